"""The goals, and whether figures meet them."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Callable, List, NamedTuple, Optional

from .figures import SECONDS, SHARE, Figures, ratio, written
from .rows import FLOOR

STATUS_INTERVAL = 0.25
WAYS = ("host_to_peer", "peer_to_host")

Measure = Callable[[Figures], Optional[float]]


class Goal(NamedTuple):
    text: str
    limit: float
    measure: Measure
    unit: str = ""  # none: a ratio

    def line(self, figures: Figures) -> str:
        value = self.measure(figures)
        if value is None:
            return f"not measured  {self.text}"
        met = "met   " if value <= self.limit else "MISSED"
        return f"{met}  {self.text}: {self._written(value)}, at most {self._written(self.limit)}"

    def _written(self, value: float) -> str:
        return written(value, self.unit) if self.unit else f"{value:.2f} x"


def _ratio(row: str, other: str, p99: bool = False) -> Measure:
    return lambda figures: ratio(figures.get(row), figures.get(other), p99)


def _median(row: str) -> Measure:
    return lambda figures: figures[row].median if row in figures else None


def _p99(row: str) -> Measure:
    return lambda figures: figures[row].p99 if row in figures else None


def goals() -> List[Goal]:
    found = [
        Goal("WAIT=1 to the floor, median", 1.5, _ratio("wait", FLOOR)),
        Goal("WAIT=1 to the floor, p99", 2.0, _ratio("wait", FLOOR, p99=True)),
    ]
    for way in WAYS:
        text = way.replace("_", " ")
        found += [
            Goal(f"{text}, one way, to the daemon", 0.6, _ratio(way, f"daemon_{way}")),
            Goal(f"{text}, one way, to Moonraker's HTTP", 0.35, _ratio(way, "http")),
            Goal(f"{text}, one way, to curl", 0.1, _ratio(way, "curl")),
            Goal(f"{text}, one way, to MQTT", 0.1, _ratio(way, "mqtt")),
        ]
    return found + [
        Goal(
            "status of the host to a peer's callback, median",
            STATUS_INTERVAL / 2 + 0.002,
            _median("status_to_callback"),
            SECONDS,
        ),
        Goal("idle with 16 peers", 0.3, _median("idle_16"), SHARE),
        Goal("16 peers x 4 Hz x 20 fields, forwarded", 3.0, _median("stream"), SHARE),
        Goal("40 devices that change at 4 Hz", 5.0, _median("devices"), SHARE),
        Goal("longest callback with them", 0.001, _p99("devices_callback"), SECONDS),
        Goal("longest callback until they are known", 0.001, _p99("devices_connect"), SECONDS),
        Goal("an update with 64 peers to one with 4", 1.2, _ratio("update_64", "update")),
        Goal("200 subscriptions to other things to none", 1.2, _ratio("update_unwanted", "update")),
    ]
