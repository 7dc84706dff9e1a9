"""The option 'emergency_stop': when the host shuts down, so does the peer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.api import ApiClosed, ApiError
from tests.system.macros import (
    Trio,
    check_log,
    recorder,
    router_section,
    wait_known,
    wait_shown,
)

STOP = "emergency_stop: True"


@pytest.fixture
def trio(shared_lab):
    """led stops with the host, afc does not; all are ready."""
    lab = shared_lab
    told = recorder("ROUTER_ON_SHUTDOWN")
    if not lab.printers:
        main = "[router]\n" + router_section(lab, "led", STOP) + router_section(lab, "afc")
        lab.main(config.printing(main + told))
        lab.peer("led", config.printing(told, "fake"), mcu="fake")
        lab.peer("afc", config.printing(told))
        lab.wait_ready()
    for printer in lab.printers.values():
        if printer.state() != "ready":
            printer.restart(firmware=True)
    trio = Trio(lab, *lab.printers.values())
    wait_known(trio.main, "led", "afc")
    return trio


def test_a_shutdown_of_the_host_stops_the_peer_at_once(trio):
    marks = trio.led.mark(), trio.afc.mark()
    with trio.led.api() as api:
        number = api.request("gcode/script", {"script": "M118 begins\nG4 P60000\nM400\nM118 over"})
        trio.led.wait_line("begins", start=marks[0])
        trio.main.call("emergency_stop")
        trio.led.wait_state("shutdown", 5.0)
        with pytest.raises((ApiError, ApiClosed), match="(?i)shutdown|closed"):
            api.answer(number, 5.0)
    assert not any("over" in line for line in trio.led.console[marks[0] :])
    # The other one was notified of both, and continues
    for name in ("main", "led"):
        wait_shown(trio.afc, "ROUTER_ON_SHUTDOWN", marks[1], PRINTER=name)
    assert trio.afc.state() == "ready"
    check_log(trio.main)


def test_a_shutdown_of_the_peer_does_not_stop_the_host(trio):
    mark = trio.main.mark()
    trio.led.script("M112")
    wait_shown(trio.main, "ROUTER_ON_SHUTDOWN", mark, PRINTER="led")
    assert trio.main.state() == "ready" and trio.afc.state() == "ready"
    check_log(trio.main)


def test_a_restart_of_the_host_does_not_stop_the_peer(trio):
    trio.main.restart()
    wait_known(trio.main, "led", "afc")
    assert trio.led.state() == "ready"
