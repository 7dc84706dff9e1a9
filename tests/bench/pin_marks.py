"""Pins of the main printer, of its second MCU and of a peer, set at the same places of a print."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# A mark is a number from 1 to 255. The G-code sets the three pins to it, one behind the other, so
# that their changes in the traces can be paired, even if a peer that is late skips some (Klipper
# does not send a value that is replaced at the same time). That takes a PWM pin; Klipper schedules
# it as it does a digital one.
import threading
import time
from typing import Callable, Dict, List, NamedTuple, Tuple

from tests.lab import config
from tests.lab.klippers import ROOT
from tests.lab.lab import Lab
from tests.lab.printer import LabPrinter
from tests.lab.trace import Trace
from tests.lab.waiting import wait_until
from tests.system.macros import router_section, wait_known

MAX_MARKS = 255
PIN = 40
HOMED = "SET_KINEMATIC_POSITION X=0 Y=0 Z=0\nG90\n"
LATEST = 15.0  # seconds that a peer has for the last mark

_PIN = """\
[output_pin {name}]
pin: {mcu}gpio40
pwm: True
hardware_pwm: True
cycle_time: 0.001
scale: 255
"""
_SECOND = f"[mcu second]\nserial: @FOLDER@/second\n{_PIN.format(name='second', mcu='second:')}"
ADOPTED = "objects: output_pin x as of_peer\n"
_PEER = (
    f"[include {ROOT}/includes/router_api.cfg]\n"
    + _PIN.format(name="x", mcu="")
    + """\
[gcode_macro LONG]
gcode:
    {% for _ in range(10) %}
        G4 P200
    {% endfor %}
    M400
"""
)


class Bench(NamedTuple):
    main: LabPrinter
    peer: LabPrinter


class Offsets(NamedTuple):
    """Milliseconds by which the others are later than the pin of the host's own main MCU."""

    peer: List[float]
    second: List[float]
    lost: int
    """Marks that the peer's pin never showed."""


def start(lab: Lab) -> Bench:
    """A host with motors that knows where it is, with a second MCU, and the peer led."""
    sections = (
        f"[router]\n{router_section(lab, 'led', ADOPTED)}[force_move]\nenable_force_move: True\n"
        + _PIN.format(name="host", mcu="")
        + _SECOND
    )
    main = lab.main(config.moving(sections), mcu="fake", trace=True, more_mcus=["second"])
    peer = lab.peer("led", config.printing(_PEER, "fake"), mcu="fake", trace=True)
    lab.wait_ready()
    wait_known(main, "led")
    main.script(HOMED)
    return Bench(main, peer)


def mark(number: int) -> str:
    """G-code that sets the three pins."""
    return (
        f"SET_PIN PIN=host VALUE={number}\nSET_PIN PIN=second VALUE={number}\n"
        f'ROUTER_GCODE_SCRIPT TARGET=led SCRIPT="SET_PIN PIN=x VALUE={number}" SYNC=1\n'
    )


def mark_of_device(number: int) -> str:
    """The same, with the pin of the peer as a pin of the main printer."""
    return mark(number).split("ROUTER_")[0] + f"SET_PIN PIN=of_peer VALUE={number}\n"


def moves(seconds: float, start: float = 0.0, step: float = 2.0) -> Tuple[str, float]:
    """(G-code of moves of X of that length at 100 mm/s, where they end); they begin at `start`.

    They go on in one direction up to the end of the axis, so that they take the time that they
    should.
    """
    lines = []
    position = start
    for _ in range(round(seconds * 100.0 / step)):
        position = (position + step) % 360.0
        lines.append(f"G1 X{min(position, 360.0 - position):g} F6000\n")
    return "".join(lines), position


def print_file(printer: LabPrinter, name: str, text: str) -> None:
    """Begin to print it from virtual_sdcard."""
    (printer.gcodes / name).write_text(text)
    printer.script(f"SDCARD_PRINT_FILE FILENAME={name}")


def streamed(marks: int, apart: float, of: Callable[[int], str] = mark) -> str:
    """A file to print: moves, with a mark every `apart` seconds."""
    parts, position = [], 0.0
    for number in range(1, marks + 1):
        text, position = moves(apart, position)
        parts.append(text + of(number))
    return HOMED + "".join(parts) + moves(1.0, position)[0]


def run_stream(
    bench: Bench, marks: int, apart: float = 0.5, of: Callable[[int], str] = mark
) -> None:
    """A streaming file.

    Not closer together: after a change Klipper flushes its queues up to 0.35 s ahead, and does not
    begin before that again (klippy/toolhead.py, _calc_print_time).
    """
    print_file(bench.main, "marks.gcode", streamed(marks, apart, of))
    wait_until(
        lambda: bench.main.query({"print_stats": ["state"]})["print_stats"]["state"] == "complete",
        60.0 + marks * apart * 2,
        "the print is complete",
        [bench.main],
    )
    bench.main.script("M400")


def run_dense(bench: Bench, marks: int) -> None:
    """A streaming file with marks 0.15 s apart. Klipper's minimum is 0.1 (PIN_MIN_TIME)."""
    run_stream(bench, marks, 0.15)


def run_device(bench: Bench, marks: int) -> None:
    """A streaming file, with the peer's pin as a pin of the main printer."""
    run_stream(bench, marks, of=mark_of_device)


def run_rest(bench: Bench, marks: int) -> None:
    """One move and a mark, after a rest of two seconds each."""
    position = 0.0
    bench.main.script(HOMED)
    for number in range(1, marks + 1):
        text, position = moves(0.3, position)
        time.sleep(2.0)
        bench.main.script(text + mark(number))
        bench.main.script("M400")


def run_busy(bench: Bench, marks: int) -> None:
    """A streaming file, while the peer runs macro LONG (2 s) again and again, a second apart."""
    over = threading.Event()
    thread = threading.Thread(target=_keep_busy, args=(bench.peer, over))
    thread.start()
    try:
        run_stream(bench, marks, 1.7)
    finally:
        over.set()
        thread.join()


def _keep_busy(peer: LabPrinter, over: threading.Event) -> None:
    while not over.wait(1.0):
        peer.script("LONG")


def run_printing(bench: Bench, marks: int) -> None:
    """A streaming file, while the peer prints one of its own, of the same moves."""
    apart = 1.1
    print_file(bench.peer, "own.gcode", "G90\n" + moves(marks * apart * 1.5 + 10.0)[0])
    try:
        run_stream(bench, marks, apart)
    finally:
        bench.peer.script("CANCEL_PRINT")


class Scenario(NamedTuple):
    label: str
    marks: int
    run: Callable[[Bench, int], None]


SCENARIOS = {
    "stream": Scenario("a streaming file, 0.5 s apart", 120, run_stream),
    "dense": Scenario("the same, 0.15 s apart", 120, run_dense),
    "device": Scenario("the same, 0.5 s apart, option objects", 120, run_device),
    "rest": Scenario("a move after a rest of 2 s", 20, run_rest),
    "busy": Scenario("the peer runs macros of 2 s", 20, run_busy),
    "printing": Scenario("the peer prints, too", 20, run_printing),
}


def measure(bench: Bench, scenario: Scenario, marks: int) -> Offsets:
    """Run it and compare the traces."""
    since = time.monotonic()
    scenario.run(bench, marks)
    deadline = time.monotonic() + LATEST
    traces = Trace(bench.main), Trace(bench.main, "second"), Trace(bench.peer)
    while marks not in _times(traces[2], since) and time.monotonic() < deadline:
        time.sleep(0.5)
    host, second, peer = (_times(trace, since) for trace in traces)
    if len(host) != marks or len(second) != marks:
        raise ValueError(f"{len(host)} and {len(second)} of {marks} marks at the host's own pins")
    return Offsets(
        [(peer[number] - host[number]) * 1e3 for number in host if number in peer],
        [(second[number] - host[number]) * 1e3 for number in host],
        sum(number not in peer for number in host),
    )


def _times(trace: Trace, since: float) -> Dict[int, float]:
    """Mark -> the first time at which the pin has it."""
    times: Dict[int, float] = {}
    for change in trace.changes(PIN, since):
        times.setdefault(change.value, change.time)
    times.pop(0, None)
    return times
