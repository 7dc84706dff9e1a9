"""Compares the flash and the shutter at the pins, and draws both."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# The times are those at which the emulated micro-controllers set the pins: the clock that is in the
# commands which Klipper sends.
import statistics
from typing import Callable, Dict, List

from tests.bench.figures import percentile
from tests.lab.klippers import ROOT
from tests.lab.pin_picture import draw
from tests.lab.printer import LabPrinter
from tests.lab.trace import Change, Trace

PIN = 40
EDGES = 24
NEAR = 0.5  # milliseconds
PICTURE = ROOT / ".cache" / "pictures" / "in_step.svg"


def edges(printer: LabPrinter) -> List[Change]:
    """The changes of the pin, without the value that it has from the start."""
    found: List[Change] = []
    for change in Trace(printer).changes(PIN):
        if change.value != (found[-1].value if found else 0):
            found.append(change)
    return found


def check(printers: Dict[str, LabPrinter], say: Callable[[str], None]) -> str:
    """Returns what is wrong, or an empty string."""
    flash, shutter = edges(printers["main"]), edges(printers["camera"])
    if len(flash) != EDGES or len(shutter) != EDGES:
        return f"{len(flash)} changes of the flash and {len(shutter)} of the shutter, not {EDGES}"
    offsets = [(theirs.time - own.time) * 1e3 for own, theirs in zip(flash, shutter)]
    distances = [abs(offset) for offset in offsets]
    median = statistics.median(distances)
    figures = (
        f"shutter minus flash, {EDGES} changes: median distance {median:.3f} ms,"
        f" p99 {percentile(distances, 99):.3f} ms, worst {max(distances):.3f} ms"
    )
    say(figures)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    PICTURE.write_text(
        draw({"flash, pin of main": flash, "shutter, pin of camera": shutter}, figures)
    )
    say(f"The picture of both: {PICTURE}")
    if max(distances) >= NEAR:
        say("Some are further apart than 0.5 ms: that is so while the machine is busy.")
    return "" if median < NEAR else f"the pins are {median:.3f} ms apart, not below {NEAR:g}"
