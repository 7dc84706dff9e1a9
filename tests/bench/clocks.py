"""Waits until Klippys know the clocks of their MCUs as well as they ever will."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Klippy estimates the clock of an MCU by a regression over about 30 samples, one a second
# (klippy/clocksync.py, DECAY). Until then an estimate jumps by some milliseconds; a loaded machine
# keeps it unsteady. The emulated MCUs tell the true clock, so the errors of the estimates can be
# watched.
import time
from typing import List, NamedTuple, Tuple

from tests.lab.mcu_protocol import CLOCK_FREQ
from tests.lab.printer import LabPrinter

ENOUGH, TOO_LONG = 35.0, 60.0
"""Seconds to wait at least, for the regression, and at most."""
WINDOW = 10  # samples, one a second
STEADY = 0.0003  # seconds: how far errors differ within the window
STEADY_HZ = CLOCK_FREQ * 50e-6  # the same for the second MCU's frequency

Sample = Tuple[float, float, float]


class Clocks(NamedTuple):
    """How well the Klippys know them. Errors in milliseconds, spreads over WINDOW samples."""

    settled: bool
    seconds: float
    """From the first look."""
    main_error: float
    main_spread: float
    peer_error: float
    peer_spread: float
    second_hz: float
    """The frequency by which Klippy follows the clock of the second MCU, of CLOCK_FREQ."""
    second_spread: float

    def line(self) -> str:
        state = "settled" if self.settled else "NOT settled"
        return (
            f"clocks {state} after {self.seconds:.0f} s: estimate minus true clock, with its spread"
            f" over {WINDOW} s: main {self.main_error:.3f} ms ({self.main_spread:.3f}), peer"
            f" {self.peer_error:.3f} ms ({self.peer_spread:.3f}); frequency of the second [mcu]"
            f" {self.second_hz / CLOCK_FREQ * 1e6 - 1e6:+.1f} ppm"
            f" ({self.second_spread / CLOCK_FREQ * 1e6:.1f})"
        )


def error_of(printer: LabPrinter) -> float:
    """Seconds by which Klippy's estimated_print_time is ahead of the clock of its main MCU."""
    assert printer.mcu
    epoch = float(printer.mcu.dump()["epoch"])
    # Klippy's eventtime is CLOCK_MONOTONIC_RAW (klippy/chelper/pyhelper.c), which drifts from
    # CLOCK_MONOTONIC while NTP corrects the latter
    raw = time.clock_gettime(time.CLOCK_MONOTONIC_RAW) - time.monotonic()
    wanted = {"objects": {"toolhead": ["estimated_print_time"]}}
    answer = printer.call("objects/query", wanted)
    estimate = float(answer["status"]["toolhead"]["estimated_print_time"])
    return estimate - (float(answer["eventtime"]) - raw - epoch)


def settle(main: LabPrinter, peer: LabPrinter) -> Clocks:
    """Wait for it; main has a section [mcu second]."""
    began = time.monotonic()
    samples: List[Sample] = []
    while True:
        stats = main.query({"mcu second": ["last_stats"]})["mcu second"]["last_stats"]
        samples.append((error_of(main), error_of(peer), stats.get("adj", 0.0)))
        clocks = _judge(samples[-WINDOW:], time.monotonic() - began)
        if clocks.settled or clocks.seconds > TOO_LONG:
            return clocks
        time.sleep(1.0)


def _judge(samples: List[Sample], seconds: float) -> Clocks:
    main, peer, hertz = zip(*samples)
    spreads = [max(values) - min(values) for values in (main, peer, hertz)]
    settled = (
        seconds >= ENOUGH
        and len(samples) == WINDOW
        and max(spreads[:2]) < STEADY
        and spreads[2] < STEADY_HZ
    )
    return Clocks(
        settled,
        seconds,
        main[-1] * 1e3,
        spreads[0] * 1e3,
        peer[-1] * 1e3,
        spreads[1] * 1e3,
        hertz[-1],
        spreads[2],
    )
