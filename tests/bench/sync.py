"""How far from the end of a move the peer gets a script sent with SYNC=1, in milliseconds."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# The host makes moves on the emulated MCU, to and fro on one axis, each with a SYNC behind it. The
# MCU's trace has the steps of the moves: the time of the last step of each is the planned time,
# whatever else the machine does. The peer's console shows when it got the script.
import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from tests.lab import config
from tests.lab.klippers import ALL_KINDS, KINDS, available
from tests.lab.lab import Lab
from tests.lab.mcu_protocol import CLOCK_FREQ
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until
from tests.system.macros import router_section, wait_known

GOAL_MEDIAN, GOAL_P99 = 20.0, 50.0  # milliseconds
MOTION = "[force_move]\nenable_force_move: True\n"
HOMED = "SET_KINEMATIC_POSITION X=0 Y=0 Z=0\n"

Command = Tuple[float, str, Dict[str, Any]]


class Stroke(NamedTuple):
    """Steps of one motor in one direction, by time.monotonic()."""

    begin: float
    """The first step."""
    end: float
    """The last step."""
    steps: int


def trace_of(printer: LabPrinter) -> Iterator[Command]:
    """The commands sent to the emulated MCU: (time.monotonic(), command, arguments)."""
    for line in Path(printer.folder, "mcu.trace").read_text().splitlines():
        when, name, args = line.split(" ", 2)
        yield float(when), name, json.loads(args)


def epoch_of(printer: LabPrinter) -> float:
    """time.monotonic() at clock 0 of the emulated MCU."""

    def measure() -> float:
        uptime = float(printer.mcu_dump()["uptime"])
        return time.monotonic() - uptime  # too late, by the time that the answer took

    return min(measure() for _ in range(20))


def strokes_of(printer: LabPrinter, epoch: float) -> List[Stroke]:
    """The strokes of the one motor that has moved: from change to change of its direction."""
    strokes: Dict[int, List[Stroke]] = {}
    clocks: Dict[int, int] = {}
    turned: Dict[int, bool] = {}
    for when, name, args in trace_of(printer):
        oid = args.get("oid", -1)
        if name == "config_stepper":
            clocks[oid] = 0  # counts from there until it is set again
        elif name == "reset_step_clock":
            now = int((when - epoch) * CLOCK_FREQ)
            # The clock nearest to now that ends in these 32 bits
            clocks[oid] = now + ((args["clock"] - now + 2**31) % 2**32) - 2**31
        elif name == "set_next_step_dir":
            turned[oid] = True
        elif name == "queue_step":
            count, interval, add = args["count"], args["interval"], args["add"]
            begin = clocks[oid] + interval
            clocks[oid] += count * interval + add * count * (count - 1) // 2
            end = epoch + clocks[oid] / CLOCK_FREQ
            own = strokes.setdefault(oid, [])
            if turned.pop(oid, False) or not own:
                own.append(Stroke(epoch + begin / CLOCK_FREQ, end, count))
            else:
                own[-1] = own[-1]._replace(end=end, steps=own[-1].steps + count)
    if len(strokes) != 1:
        raise ValueError(f"{len(strokes)} motors have moved, not one")
    return next(iter(strokes.values()))


class Listener:
    """Notes when lines of a peer's console arrive."""

    def __init__(self) -> None:
        self.times: Dict[str, float] = {}
        """line without its mark -> time.monotonic()"""

    def add_line(self, line: str) -> None:
        self.times.setdefault(line.replace("echo: ", ""), time.monotonic())


def start(lab: Lab) -> Tuple[LabPrinter, LabPrinter, Listener]:
    """A host with motors that knows where it is, and the peer led."""
    listener = Listener()
    sections = f"[router]\n{router_section(lab, 'led')}{MOTION}"
    main = lab.main(config.whole(sections), mcu="fake", trace=True)
    led = lab.peer("led", config.printing(), on_line=listener.add_line)
    lab.wait_ready()
    wait_known(main, "led")
    main.script(HOMED)
    return main, led, listener


def to_and_fro(moves: int, distance: float = 20.0, speed: float = 100.0) -> str:
    """G-code of moves of one motor, each with SYNC=1 behind it."""
    lines = ["G90"]
    for number in range(moves):
        # On a corexy the diagonal is one motor's
        there = distance if number % 2 == 0 else 0.0
        lines.append(f"G1 X{there} Y{there} F{speed * 60:g}")
        lines.append(f"ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 move {number}' SYNC=1")
    return "\n".join(lines)


def offsets(main: LabPrinter, listener: Listener, moves: int) -> List[float]:
    """Milliseconds from the end of each move to the line of the peer; negative: before it."""
    last = f"move {moves - 1}"
    wait_until(lambda: last in listener.times, 60.0, f"the peer says {last!r}", [main])
    main.script("M400")
    strokes = strokes_of(main, epoch_of(main))
    if len(strokes) != moves:
        raise ValueError(f"{len(strokes)} strokes for {moves} moves")
    return [
        (listener.times[f"move {number}"] - stroke.end) * 1000.0
        for number, stroke in enumerate(strokes)
    ]


def run(host: str, peer: str, moves: int) -> List[float]:
    with Lab(host, peer) as lab:
        main, _led, listener = start(lab)
        main.script(to_and_fro(moves), timeout=120.0)
        return offsets(main, listener, moves)


def percentile(values: List[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100.0))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/bench.sh sync", description=__doc__)
    parser.add_argument("--moves", type=int, default=120, help="moves to make; default 120")
    parser.add_argument(
        "--kinds", help=f"kinds of Klipper, separated by commas: {', '.join(ALL_KINDS)}"
    )
    options = parser.parse_args()
    kinds = options.kinds.split(",") if options.kinds else [k for k in KINDS if available(k)]
    print(f"SYNC=1, {options.moves} moves: milliseconds from the end of the move to the peer")
    print(f"{'Klipper':12} {'median':>8} {'p99':>8} {'min':>8} {'max':>8}")
    missed = False
    for kind in kinds:
        values = run(kind, kind, options.moves)
        distances = [abs(value) for value in values]
        p99 = percentile(distances, 99)
        missed |= statistics.median(distances) > GOAL_MEDIAN or p99 > GOAL_P99
        print(
            f"{kind:12} {statistics.median(values):8.1f} {p99:8.1f}"
            f" {min(values):8.1f} {max(values):8.1f}",
            flush=True,
        )
    print(f"goal: within {GOAL_MEDIAN:g} at the median, {GOAL_P99:g} at p99 (of the distance)")
    print("goal missed" if missed else "goal met")
    return 0


if __name__ == "__main__":
    sys.exit(main())
