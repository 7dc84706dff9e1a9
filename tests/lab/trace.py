"""What the trace of an emulated MCU says that its outputs did, and when, by time.monotonic()."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# These times are exact, whatever else the machine does: a command has the clock at which it takes
# effect, and the clock of an emulated MCU is time.monotonic() since its start, in ticks of 20 ns.
import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from .mcu_protocol import CLOCK_FREQ
from .printer import LabPrinter

Command = Tuple[float, str, Dict[str, Any]]
QUEUED = {"queue_digital_out": "on_ticks", "queue_pwm_out": "value"}
"""Commands that set a pin at a clock, and their parameter with its value."""


class Stroke(NamedTuple):
    """Steps of one motor in one direction, by time.monotonic()."""

    begin: float
    """The first step."""
    end: float
    """The last step."""
    steps: int


class Change(NamedTuple):
    """A pin that is set. time: when it takes effect, by time.monotonic()."""

    time: float
    value: int


class Trace:
    """The trace of one MCU of a printer that was started with trace=True."""

    def __init__(self, printer: LabPrinter, mcu: str = "mcu") -> None:
        self._path = Path(printer.folder, f"{mcu}.trace")
        self.epoch = float(printer.mcus[mcu].dump()["epoch"])
        """time.monotonic() at clock 0, since the last reset."""

    def commands(self) -> Iterator[Command]:
        """The commands sent so far: (time.monotonic() of their arrival, command, arguments)."""
        for line in self._path.read_text().splitlines():
            when, name, args = line.split(" ", 2)
            yield float(when), name, json.loads(args)

    def changes(self, pin: int, since: float = 0.0) -> List[Change]:
        """What pin gpio<pin> was set to by commands that arrived after `since`."""
        found: List[Change] = []
        own = None
        for when, name, args in self.commands():
            if name.startswith("config_") and args.get("pin") == pin:
                own = args["oid"]
            elif name in QUEUED and args["oid"] == own and when >= since:
                clock = self._full_clock(args["clock"], when)
                found.append(Change(self.epoch + clock / CLOCK_FREQ, args[QUEUED[name]]))
        return found

    def strokes(self) -> List[Stroke]:
        """The strokes of the one motor that has moved: from change to change of its direction."""
        strokes: Dict[int, List[Stroke]] = {}
        clocks: Dict[int, int] = {}
        turned: Dict[int, bool] = {}
        for when, name, args in self.commands():
            oid = args.get("oid", -1)
            if name == "config_stepper":
                clocks[oid] = 0  # counts from there until it is set again
            elif name == "reset_step_clock":
                clocks[oid] = self._full_clock(args["clock"], when)
            elif name == "set_next_step_dir":
                turned[oid] = True
            elif name == "queue_step":
                count, interval, add = args["count"], args["interval"], args["add"]
                begin = clocks[oid] + interval
                clocks[oid] += count * interval + add * count * (count - 1) // 2
                end = self.epoch + clocks[oid] / CLOCK_FREQ
                own = strokes.setdefault(oid, [])
                if turned.pop(oid, False) or not own:
                    own.append(Stroke(self.epoch + begin / CLOCK_FREQ, end, count))
                else:
                    own[-1] = own[-1]._replace(end=end, steps=own[-1].steps + count)
        if len(strokes) != 1:
            raise ValueError(f"{len(strokes)} motors have moved, not one")
        return next(iter(strokes.values()))

    def _full_clock(self, clock: int, when: float) -> int:
        """The clock nearest to that time that ends in these 32 bits."""
        now = int((when - self.epoch) * CLOCK_FREQ)
        return now + ((clock - now + 2**31) % 2**32) - 2**31
