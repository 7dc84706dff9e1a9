"""Results of a measurement: samples, their median and p99, and how they are printed."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import statistics
from typing import Dict, List, NamedTuple, Optional

SECONDS, SHARE, KIB = "s", "%", "KiB"


class Figure(NamedTuple):
    """One row of the table. median, p99: in the unit; p99 None where there is one value only."""

    median: float
    p99: Optional[float] = None
    unit: str = SECONDS
    samples: int = 1


Figures = Dict[str, Figure]
"""By the name of the row; a row that could not be measured is missing."""


def percentile(values: List[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100.0))]


def of_samples(values: List[float]) -> Figure:
    """The figure of times in seconds."""
    return Figure(statistics.median(values), percentile(values, 99), SECONDS, len(values))


def written(value: Optional[float], unit: str) -> str:
    """A value with its unit, in three digits or so."""
    if value is None:
        return ""
    if unit == SECONDS:
        if value < 0.00995:
            return f"{value * 1e6:.0f} µs"
        return f"{value * 1e3:.1f} ms"
    if unit == SHARE:
        return f"{value:.2f} %"
    return f"{value:.1f} {unit}"


def ratio(figure: Optional[Figure], other: Optional[Figure], p99: bool = False) -> Optional[float]:
    """How many times the other's median (or p99); None where one of them is missing."""
    if figure is None or other is None or figure.unit != other.unit:
        return None
    above, below = (figure.p99, other.p99) if p99 else (figure.median, other.median)
    return above / below if above is not None and below else None
