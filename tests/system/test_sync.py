"""SYNC=1: in step with the moves of a real toolhead, on the emulated MCU."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import time
from types import SimpleNamespace

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.trace import Trace
from tests.lab.waiting import wait_until
from tests.system.macros import router_section, wait_known

SCRIPT = "ROUTER_GCODE_SCRIPT SYNC=1 TARGET="
MOTION = "[force_move]\nenable_force_move: True\n"


@pytest.fixture(scope="module")
def duo(shared_lab):
    """A host with motors that knows where it is, and the peer led.

    arrivals: line of its console without its mark -> time.monotonic()
    """
    arrivals = {}

    def arrived(line):
        arrivals.setdefault(line.replace("echo: ", ""), time.monotonic())

    sections = f"[router]\n{router_section(shared_lab, 'led')}{MOTION}"
    main = shared_lab.main(config.whole(sections), mcu="fake", trace=True)
    led = shared_lab.peer("led", config.printing(), on_line=arrived)
    shared_lab.wait_ready()
    wait_known(main, "led")
    main.script("SET_KINEMATIC_POSITION X=0 Y=0 Z=0")
    handler = {"event": "step", "gcode": "M118 {n}", "callback_target": "led"}
    main.call("router/event/subscribe", handler)
    return SimpleNamespace(main=main, led=led, arrivals=arrivals)


def echoes(printer, start):
    """What M118 printed since then."""
    lines = printer.console[start:]
    return [line[len("echo: ") :] for line in lines if line.startswith("echo: ")]


def to(position, speed=100):
    """A move of one motor of a corexy: 1.4 times as long as the numbers."""
    return f"G90\nG1 X{position} Y{position} F{speed * 60}\n"


def test_the_peer_gets_it_at_the_end_of_the_move_before_it(duo):
    lines = [f"move {number}" for number in range(3)]
    # To and fro, so that each move is one stroke
    duo.main.script(
        "".join(f"{to(x)}{SCRIPT}led SCRIPT='M118 {line}'\n" for x, line in zip((60, 0, 60), lines))
    )
    wait_until(lambda: lines[-1] in duo.arrivals, 60.0, "the peer says the last line", [duo.main])
    duo.main.script("M400")
    strokes = Trace(duo.main).strokes()
    assert len(strokes) == len(lines)
    ends = [duo.arrivals[line] - stroke.end for line, stroke in zip(lines, strokes)]
    # Seconds of slack for slow machines: tests/bench.sh sync measures milliseconds. Sent when the
    # line is parsed, the last one would be 2.5 s early; after all moves, the first 1.7 s late
    assert all(abs(seconds) < 1.0 for seconds in ends), ends


def test_motion_does_not_stop_for_sync(duo):
    steps = range(10, 61, 10)
    there = "".join(to(x, 150) for x in steps)
    back = "".join(
        f"{to(60 - x, 150)}ROUTER_EVENT_TRIGGER EVENT=x SYNC=1\n{SCRIPT}led SCRIPT='M118 at {x}'\n"
        for x in steps
    )
    mark = duo.led.mark()
    duo.main.script(to(0) + there + back + "M400")
    duo.led.wait_line("at 60", start=mark)
    assert echoes(duo.led, mark) == [f"at {x}" for x in steps]
    plain, synced = Trace(duo.main).strokes()[-2:]
    assert plain.steps == synced.steps
    # As planned, on the MCU's clock: five stops would take a quarter of a second
    assert abs((plain.end - plain.begin) - (synced.end - synced.begin)) < 0.02


def test_synced_scripts_are_sent_in_order(duo):
    mark = duo.led.mark()
    duo.main.script(
        f"{to(20)}{SCRIPT}led SCRIPT='M118 1'\nROUTER_EVENT_TRIGGER EVENT=step N=2 SYNC=1\n"
        f"{SCRIPT}led SCRIPT='M118 3'\n"
        f"{to(40)}ROUTER_EVENT_TRIGGER EVENT=step N=4 SYNC=1\n{SCRIPT}led SCRIPT='M118 5'\n"
        f"G4 P50\n{SCRIPT}led SCRIPT='M118 6'\n"
        f"{to(0)}ROUTER_EVENT_TRIGGER EVENT=step SYNC=1 CONTEXT='n=7'\n"
        "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 read ahead'"
    )
    duo.led.wait_line("echo: 7", start=mark)
    assert echoes(duo.led, mark) == ["read ahead", *"1234567"]


def test_without_moves_it_is_sent_soon(duo):
    duo.main.script("M400")
    mark, own = duo.led.mark(), duo.main.mark()
    duo.main.script(f"{SCRIPT}led SCRIPT='M118 idle'\n{SCRIPT}main SCRIPT='M118 myself'")
    duo.led.wait_line("idle", start=mark)
    duo.main.wait_line("myself", start=own)


def test_a_printer_that_stands_still_stays_idle(lab, kind):
    """Even though G-code of an LED or of idle_timeout changes its state to Printing."""

    def state():
        return main.query({"idle_timeout": ["state"]})["idle_timeout"]["state"]

    sections = "[router]\n" + router_section(lab, "led")
    main = lab.printer(kind, "main", config.whole(sections), mcu="fake")
    led = lab.printer(kind, "led", config.printing())
    lab.wait_ready()
    wait_known(main, "led")
    assert state() == "Idle"
    main.script(f"{SCRIPT}led SCRIPT='M118 in step'")
    led.wait_line("in step")
    assert state() == "Idle"


def test_a_typo_is_an_error_at_once(duo):
    with pytest.raises(ApiError, match="Unknown printer 'lde'"):
        duo.main.script(f"{SCRIPT}lde SCRIPT='M118 x'")


def test_an_offline_peer_is_a_warning_when_the_script_is_due(duo):
    duo.led.stop()
    wait_known(duo.main, "led", ready=False)
    mark = duo.main.mark()
    duo.main.script(f"{to(10)}{SCRIPT}led SCRIPT='M118 x'\nM118 read\nM400\nM118 made")
    duo.main.wait_line("made", start=mark)
    warning = duo.main.wait_line("led is not connected", start=mark)
    lines = duo.main.console[mark:]
    assert lines.index("echo: read") < lines.index(warning)
    duo.led.start().wait_ready()
    wait_known(duo.main, "led")


# Last: the host is shut down


def test_scripts_not_yet_due_are_dropped_with_a_warning_on_a_shutdown_of_the_host(duo):
    mark, told = duo.main.mark(), duo.led.mark()
    duo.main.script(
        f"{to(60, 50)}{SCRIPT}led SCRIPT='M118 never'\nROUTER_EVENT_TRIGGER EVENT=step N=0 SYNC=1"
    )
    duo.main.call("emergency_stop")
    dropped = "// Router: not done, because the printer shut down first: "
    duo.main.wait_line(dropped + "ROUTER_EVENT_TRIGGER EVENT=step N=0 SYNC=1", start=mark)
    assert dropped + f"{SCRIPT}led SCRIPT='M118 never'" in duo.main.console[mark:]
    duo.main.restart(firmware=True)
    wait_known(duo.main, "led")
    # By now the move would have ended, or nearly
    duo.main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 marker'")
    duo.led.wait_line("marker", start=told)
    assert echoes(duo.led, told) == ["marker"]
