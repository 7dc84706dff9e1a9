"""ROUTER_RESTART and router/restart, and scripts for a peer that is shut down or in error."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.macros import (
    check_log,
    recorder,
    remote_call,
    router_section,
    wait_known,
    wait_shown,
)

INCLUDE = f"[include {ROOT}/includes/router_api.cfg]\n"
# As in the configs of people who have an LED controller
HOST = """
[gcode_macro LED_FIRMWARE_RESTART]
gcode:
    ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=FIRMWARE_RESTART
"""
ERROR = "\n[no_such_section]\n"
# The default toggles a line that a pseudo-terminal does not have: Klippy's own cleanup fails there
# then, and its sockets stay open
MCU = "[mcu]\nrestart_method: command\n"


@pytest.fixture(scope="module")
def printers(shared_lab):
    """main and led on emulated MCUs, afc without one and without permission to run G-code."""
    lab = shared_lab
    text = "[router]\n" + router_section(lab, "led")
    text += router_section(lab, "afc", "allow: event, status") + HOST + recorder()
    main = lab.main(config.printing(MCU + text, "fake"), mcu="fake")
    led = lab.peer("led", config.printing(MCU + INCLUDE + recorder(), "fake"), mcu="fake")
    lab.peer("afc", config.printing(recorder()))
    lab.wait_ready()
    wait_known(main, "led", "afc")
    yield main, led
    check_log(main)


@pytest.fixture
def led_in(printers):
    """Bring led into a state; it is ready again after the test."""
    main, led = printers
    path = led.folder / "printer.cfg"
    good = path.read_text(encoding="utf-8")

    def led_in(state):
        if state == "shutdown":
            led.call("emergency_stop")
        else:
            path.write_text(good + ERROR, encoding="utf-8")
            led.begin_restart()
            led.wait_state(state)
            path.write_text(good, encoding="utf-8")
        wait_state(main, state)
        return led.mark()

    yield led_in
    path.write_text(good, encoding="utf-8")
    for firmware in (False, True):
        wait_until(lambda: settled(led), 30.0, "led has started", [led])
        if led.state() != "ready":
            begin = starts(led)
            led.begin_restart(firmware)
            wait_start(led, begin)
    wait_until(lambda: settled(led), 30.0, "led has started", [led])
    led.wait_ready()
    wait_known(main, "led")


def settled(printer):
    """Whether its Klippy has reached a state that lasts."""
    try:
        return printer.state() != "startup"
    except ConnectionError:
        return False


def starts(printer):
    """How often its Klippy has started."""
    return printer.log_text().count("Start printer at")


def wait_start(printer, before):
    """Wait for a start after `before` ones."""
    wait_until(lambda: starts(printer) > before, 20.0, f"{printer.name} restarts", [printer])


def wait_state(main, state):
    """Wait until main reports this state of led."""

    def current():
        return main.query({"router led": ["state"]})["router led"]["state"]

    wait_until(lambda: current() == state, 30.0, f"led is {state}", [main])


def wait_ready_again(main, led, before):
    """Wait until led has started again and is ready for main."""
    wait_start(led, before)
    led.wait_ready()
    wait_known(main, "led")


# The kind of restart that helps in each state
NEEDED = {"shutdown": 1, "error": 0}


@pytest.mark.parametrize("state", NEEDED)
def test_it_restarts_a_peer_that_is_not_ready(printers, led_in, state):
    main, led = printers
    mark = main.mark()
    led_in(state)
    before = starts(led)
    main.script(f"ROUTER_RESTART TARGET=led FIRMWARE={NEEDED[state]}")
    main.wait_line("// led: restarting", start=mark)
    wait_ready_again(main, led, before)
    assert not [line for line in main.console[mark:] if "if it does not become ready" in line]


@pytest.mark.parametrize("state", NEEDED)
def test_the_hint_names_the_kind_of_restart_that_is_needed(printers, led_in, state):
    main, led = printers
    mark = main.mark()
    led_in(state)
    before = starts(led)
    main.script(f"ROUTER_RESTART TARGET=led FIRMWARE={1 - NEEDED[state]}")
    line = main.wait_line("if it does not become ready", start=mark)
    assert line.startswith(f"// led is not ready ({state}: ")
    assert line.endswith(f"use ROUTER_RESTART TARGET=led FIRMWARE={NEEDED[state]}")
    wait_start(led, before)


def test_the_hint_follows_the_message_of_klipper_not_the_state(printers, led_in):
    """A plain restart after a shutdown ends in an error that a firmware restart clears."""
    main, led = printers
    mark = main.mark()
    led_in("shutdown")
    main.script("ROUTER_RESTART TARGET=led")
    wait_state(main, "error")
    before = starts(led)
    main.script("ROUTER_RESTART TARGET=led")
    main.wait_line("// led is not ready (error: Can not update MCU", start=mark)
    wait_start(led, before)
    wait_state(main, "error")
    before = starts(led)
    main.script("ROUTER_RESTART TARGET=led FIRMWARE=1")
    wait_ready_again(main, led, before)


@pytest.mark.parametrize("firmware", [0, 1])
def test_it_restarts_a_peer_that_is_ready(printers, firmware):
    main, led = printers
    before = starts(led)
    assert main.call("router/restart", {"target": "led", "firmware": bool(firmware)}) == {}
    wait_ready_again(main, led, before)


def test_over_the_api_the_hint_is_in_the_result(printers, led_in):
    main, led = printers
    led_in("shutdown")
    before = starts(led)
    hint = main.call("router/restart", {"target": "led"})["hint"]
    assert "FIRMWARE=1" in hint
    wait_start(led, before)


def test_a_peer_that_is_not_connected_is_an_error(lab, kind):
    text = "[router]\n" + router_section(lab, "led")
    main = lab.printer(kind, "main", config.printing(text)).wait_ready()
    with pytest.raises(ApiError, match="led is not connected"):
        main.call("router/restart", {"target": "led"})


def test_it_needs_the_permission_gcode(printers, shared_lab):
    _main, led = printers
    afc = shared_lab.printers["afc"]
    mark, before = afc.mark(), starts(led)
    remote_call(afc, "router/restart", target="led")
    afc.wait_line("is not allowed to use router/restart: add 'gcode'", start=mark)
    assert starts(led) == before


def test_a_peer_restarts_itself_and_this_printer(printers):
    main, led = printers
    before, mark = starts(led), led.mark()
    led.script("ROUTER_RESTART TARGET=led")
    wait_ready_again(main, led, before)
    before = starts(main)
    led.script("ROUTER_RESTART TARGET=main FIRMWARE=1")
    wait_start(main, before)
    main.wait_ready()
    wait_known(main, "led", "afc")
    assert not [line for line in led.console[mark:] if "Router:" in line]


@pytest.mark.parametrize("firmware", [0, 1])
def test_this_printer_restarts_itself_at_the_end_of_a_macro(printers, firmware):
    main, _led = printers
    mark, before = main.mark(), starts(main)
    main.script(f"ROUTER_RESTART TARGET=main FIRMWARE={firmware}\nM118 after it")
    main.wait_line("echo: after it", start=mark)
    wait_start(main, before)
    main.wait_ready()
    wait_known(main, "led", "afc")


def test_over_the_api_this_printer_answers_before_it_restarts(printers):
    main, _led = printers
    before = starts(main)
    assert main.call("router/restart", {"target": "main"}) == {}
    wait_start(main, before)
    main.wait_ready()
    wait_known(main, "led", "afc")


def test_it_works_while_this_printer_is_not_ready(printers):
    main, led = printers
    mark, before = main.mark(), starts(led)
    main.call("emergency_stop")
    main.wait_state("shutdown")
    main.script("ROUTER_RESTART TARGET=led")
    main.wait_line("led: restarting", start=mark)
    wait_start(led, before)
    led.wait_ready()
    before = starts(main)
    main.script("ROUTER_RESTART TARGET=main FIRMWARE=1")
    wait_start(main, before)
    main.wait_ready()
    wait_known(main, "led", "afc")


# -- scripts


@pytest.mark.parametrize("state", NEEDED)
def test_scripts_that_klipper_accepts_while_not_ready_run(printers, led_in, state):
    main, led = printers
    mark = led_in(state)
    main.call("router/gcode/script", {"target": "led", "script": "RESPOND MSG=taken"})
    led.wait_line("echo: taken", start=mark)
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=HELP WAIT=1")
    led.wait_line("not all commands available", start=mark)


@pytest.mark.parametrize("state", NEEDED)
@pytest.mark.parametrize("script", ["SHOW", "G28", "NO_SUCH_COMMAND", "SHOW\nRESTART"])
def test_all_other_scripts_are_refused_as_not_ready(printers, led_in, state, script):
    main, led = printers
    mark = led_in(state)
    before = starts(led)
    with pytest.raises(ApiError, match=rf"^led is not ready \({state}: "):
        main.call("router/gcode/script", {"target": "led", "script": script})
    assert led.state() == state
    assert starts(led) == before
    assert not [line for line in led.console[mark:] if "// SHOW" in line]


def test_a_wait_for_it_fails_with_the_same_message(printers, led_in):
    main, _led = printers
    led_in("shutdown")
    with pytest.raises(ApiError, match=r"led is not ready \(shutdown: Shutdown due to"):
        main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SHOW WAIT=1")


def test_the_button_of_an_led_controller_restarts_it(printers, led_in):
    main, led = printers
    led_in("shutdown")
    before, mark = starts(led), main.mark()
    main.script("LED_FIRMWARE_RESTART")
    wait_ready_again(main, led, before)
    remote_call(led, "router/gcode/script", target="main", script="SHOW FROM=led")
    wait_shown(main, start=mark, FROM="led")
