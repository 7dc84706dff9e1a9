"""A peer that is lost: what the host prints on its console, and what happens to a print."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.macros import check_log, router_section, says, wait_known, wait_shown

ON_CONNECT = """\
[router]
on_connect:
    M118 Router is up
    SHOW FROM=on_connect
"""
# A macro of this name wraps the command of virtual_sdcard, as those of many users do
HOST = """
[gcode_macro SDCARD_PRINT_FILE]
rename_existing: _BASE_PRINT_FILE
gcode:
    M118 wrapped
    _BASE_PRINT_FILE {rawparams}
"""
PEERS = {
    "led": "",
    "quiet": "on_disconnect: ignore",
    "pausing": "on_disconnect: pause",
    "graced": "on_disconnect: pause\nrequired: True\ndisconnect_grace: 60",
    "needed": "required: True",
}


@pytest.fixture(scope="module")
def main(shared_lab):
    lab = shared_lab
    text = ON_CONNECT + "".join(router_section(lab, *peer) for peer in PEERS.items())
    text += HOST + says("SHOW")
    main = lab.main(config.printing(text, "fake"), mcu="fake")
    for name in PEERS:
        lab.peer(name, config.printing())
    lab.wait_ready()
    wait_known(main, *PEERS)
    yield main
    check_log(main)


@pytest.fixture
def lose(shared_lab, main):
    """Kill a peer and wait until the host has noticed; it is started again after the test."""
    lost = []

    def lose(name):
        lost.append(name)
        shared_lab.printers[name].kill()
        wait_known(main, name, ready=False)

    yield lose
    for name in lost:
        shared_lab.printers[name].start().wait_ready()
    wait_known(main, *PEERS)


def said(main, mark):
    """What the router itself printed on the console; complete up to a marker."""
    main.script("M118 marker")
    main.wait_line("marker", start=mark)
    return [line for line in main.console[mark:] if "Router:" in line]


def begin_print(main, text):
    (main.gcodes / "part.gcode").write_text(text)
    main.script("SDCARD_RESET_FILE\nCLEAR_PAUSE")
    main.script("SDCARD_PRINT_FILE FILENAME=part.gcode")


def print_state(main):
    return main.query({"print_stats": ["state"]})["print_stats"]["state"]


def wait_print(main, state):
    wait_until(lambda: print_state(main) == state, 15.0, f"the print is {state}", [main])


def test_on_connect_of_the_router_runs_on_this_printer_when_it_is_ready(main):
    wait_shown(main, FROM="on_connect")
    assert "echo: Router is up" in main.console
    mark = main.mark()
    main.restart()
    wait_known(main, *PEERS)
    wait_shown(main, start=mark, FROM="on_connect")


# -- the console


def test_the_first_connection_is_not_reported(main):
    assert [line for line in main.console if "ready again" in line] == []


def test_a_loss_and_a_reconnection_are_one_line_each(shared_lab, main):
    led = shared_lab.printers["led"]
    mark = main.mark()
    led.kill()
    main.wait_line("Router: led is disconnected (closed the connection)", start=mark)
    led.start().wait_ready()
    main.wait_line("Router: led is ready again", start=mark)
    led.script("M112")
    main.wait_line("Router: led is not ready (shutdown: Shutdown due to M112 command", start=mark)
    led.restart()
    wait_known(main, "led")
    assert len(said(main, mark)) == 4


def test_ignore_reports_nothing(main, lose):
    mark = main.mark()
    lose("quiet")
    assert said(main, mark) == []


def test_a_loss_within_disconnect_grace_is_not_reported(shared_lab, main):
    mark = main.mark()
    shared_lab.printers["graced"].restart()
    wait_known(main, "graced")
    assert said(main, mark) == []


def test_a_peer_that_keeps_reconnecting_is_reported_at_a_limited_rate(shared_lab, main):
    led = shared_lab.printers["led"]
    mark = main.mark()
    for _ in range(5):
        led.begin_restart()
        wait_known(main, "led", ready=False)
        led.wait_ready()
        wait_known(main, "led")
    lines = said(main, mark)
    assert 1 <= len(lines) < 8
    # Lines may be left out, but the last one is true, even if it is late
    wait_until(lambda: "ready again" in said(main, mark)[-1], 30.0, "the last line is true", [main])


# -- on_disconnect in a print


def test_warn_lets_the_print_go_on(main, lose):
    begin_print(main, "M118 first\nG4 P1500\nM400\nM118 last\n")
    mark = main.mark()
    lose("led")
    main.wait_line("Router: led is disconnected", start=mark)
    wait_print(main, "complete")


def test_pause_pauses_the_print_with_a_message(main, lose):
    begin_print(main, "G4 P500\nM400\n" * 6 + "M118 last\n")
    wait_print(main, "printing")
    mark = main.mark()
    lose("pausing")
    wait_print(main, "paused")
    main.wait_line("// Router: pausing the print: pausing is disconnected (closed", start=mark)
    assert main.query({"pause_resume": ["is_paused"]})["pause_resume"]["is_paused"]
    main.script("RESUME")
    wait_print(main, "complete")
    assert len([line for line in main.console[mark:] if "pausing the print" in line]) == 1


def test_pause_does_nothing_when_nothing_is_printing(main, lose):
    main.script("SDCARD_RESET_FILE\nCLEAR_PAUSE")
    mark = main.mark()
    lose("pausing")
    assert len(said(main, mark)) == 1
    assert not main.query({"pause_resume": ["is_paused"]})["pause_resume"]["is_paused"]


def test_pause_waits_for_disconnect_grace(shared_lab, main):
    begin_print(main, "G4 P500\nM400\n" * 6 + "M118 last\n")
    mark = main.mark()
    shared_lab.printers["graced"].restart()
    wait_known(main, "graced")
    wait_print(main, "complete")
    assert said(main, mark) == []


def test_a_print_that_cannot_be_paused_is_reported(main, lose):
    """A pause from before the print was left behind: PAUSE does nothing then."""
    begin_print(main, "M118 in print\nPAUSE\n")
    wait_print(main, "paused")
    (main.gcodes / "part.gcode").write_text("G4 P500\nM400\n" * 6)
    main.script("SDCARD_PRINT_FILE FILENAME=part.gcode")
    mark = main.mark()
    lose("pausing")
    main.wait_line("// Router: the print was not paused: ", start=mark)
    wait_print(main, "complete")
    main.script("CLEAR_PAUSE")


# -- required


@pytest.mark.parametrize("start", ["SDCARD_PRINT_FILE FILENAME=part.gcode", "M24"])
def test_a_print_does_not_start_while_a_required_peer_is_not_ready(main, lose, start):
    (main.gcodes / "part.gcode").write_text("M118 a line of the file\n")
    main.script("SDCARD_RESET_FILE\nCLEAR_PAUSE\nM23 part.gcode")
    mark = main.mark()
    lose("needed")
    with pytest.raises(ApiError, match=r"not started: needed is disconnected \(closed the conn"):
        main.script(start)
    main.wait_line("!! The print was not started: needed is disconnected", start=mark)
    assert print_state(main) == "standby"
    assert not main.query({"virtual_sdcard": ["is_active"]})["virtual_sdcard"]["is_active"]
    said(main, mark)
    assert not [line for line in main.console[mark:] if "a line of the file" in line]


def test_a_print_starts_after_the_peer_has_reconnected(main):
    begin_print(main, "M118 a line of the file\n")
    wait_print(main, "complete")


def test_a_print_starts_while_the_loss_is_within_disconnect_grace(main, lose):
    lose("graced")
    begin_print(main, "M118 a line of the file\n")
    wait_print(main, "complete")


@pytest.mark.parametrize("resume", ["RESUME", "M24"])
def test_resuming_a_print_is_not_a_start(main, lose, resume):
    begin_print(main, ("PAUSE" if resume == "RESUME" else "M25") + "\nM118 goes on\n")
    wait_print(main, "paused")
    lose("needed")
    main.script(resume)
    wait_print(main, "complete")


def test_another_print_instead_of_a_paused_one_is_a_start(main, lose):
    (main.gcodes / "part.gcode").write_text("M118 a line of the file\n")
    begin_print(main, "M25\nM118 goes on\n")
    wait_print(main, "paused")
    lose("needed")
    with pytest.raises(ApiError, match="The print was not started: needed is disconnected"):
        main.script("SDCARD_PRINT_FILE FILENAME=part.gcode")
    assert print_state(main) == "paused"
    main.script("M24")
    wait_print(main, "complete")


def test_a_peer_that_has_never_connected_counts_too(lab, kind):
    text = "[router]\n" + router_section(lab, "led", "required: True")
    main = lab.printer(kind, "main", config.printing(text)).wait_ready()
    (main.gcodes / "part.gcode").write_text("M118 a line of the file\n")
    with pytest.raises(ApiError, match="not started: led is not connected"):
        main.script("SDCARD_PRINT_FILE FILENAME=part.gcode")


@pytest.mark.parametrize(
    "option, message",
    [
        ("on_disconnect: stop", "Unknown word 'stop' in option 'on_disconnect'.*router led"),
        ("required: maybe", "Unable to parse option 'required' in section 'router led'"),
    ],
)
def test_mistakes_in_the_options(lab, option, message):
    text = "[router]\n" + router_section(lab, "led", option)
    main = lab.printer("kalico", "main", config.printing(text))
    main.wait_state("error")
    main_message = main.call("info")["state_message"]
    assert re.search(message, main_message)
