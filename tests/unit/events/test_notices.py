"""What the console says by itself of peers that are lost, and back."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.events.notices import BURST, INTERVAL, Notices, absence
from klippy_extras.router.version import VERSION
from tests.unit.fake_klippy import Machine
from tests.unit.fake_printer import FakePrinter


class Noticed(Machine):
    def __init__(self, is_quiet=False):
        super().__init__()
        self.led = FakePrinter("led")
        self.notices = Notices(self.klippy, [self.led] if is_quiet else [])
        self.led.listeners.append(self.notices)
        self.led.connects()

    def lose(self, reason="disconnected"):
        self.led.disconnects(reason)
        self.notices.lost(self.led, reason)


LOST, BACK = "// Router: led is not connected", "// Router: led is ready again"


def test_a_loss_and_a_return_are_a_line_each():
    main = Noticed()
    assert main.console == []
    main.lose()
    main.led.connects()
    assert main.console == [LOST, BACK]


def test_a_return_from_a_loss_that_was_not_said_is_not_said():
    main = Noticed()
    main.led.disconnects()  # within its disconnect_grace
    main.led.connects()
    assert main.console == []


def test_quiet_peers_and_this_printer_are_not_spoken_of():
    main = Noticed(is_quiet=True)
    main.lose()
    main.led.connects()
    local = FakePrinter("main", is_local=True)
    main.notices.lost(local, "shutdown")
    main.notices.became_ready(local)
    assert main.console == []


def test_one_that_comes_and_goes_says_less_and_its_last_state_in_the_end():
    main = Noticed()
    for _ in range(50):
        main.lose()
        main.led.connects()
    assert main.console == [LOST, BACK] * (BURST // 2)
    main.lose()
    main.reactor.advance(2 * INTERVAL)
    assert main.console == [LOST, BACK] * (BURST // 2) + [LOST]
    main.reactor.advance(100 * INTERVAL)
    main.led.connects()
    assert main.console[-1] == BACK and len(main.console) == BURST + 2


def test_back_before_its_turn_to_be_said_it_was_not_lost():
    main = Noticed()
    for _ in range(BURST // 2):
        main.lose()
        main.led.connects()
    main.lose()
    main.led.connects()
    main.reactor.advance(3 * INTERVAL)
    assert len(main.console) == BURST


def test_another_version_of_the_include_file_is_said_once():
    main = Noticed()
    for version in (None, VERSION, "0.0.1", "0.0.1", VERSION, "0.0.1"):
        main.led.disconnects()
        main.led.include_version = version
        main.led.connects()
    lines = [line for line in main.console if "router_api.cfg" in line]
    assert len(lines) == 2
    assert lines[0].startswith("// Router: led has router_api.cfg of version 0.0.1")
    assert VERSION in lines[0]


@pytest.mark.parametrize(
    ("state", "message", "last_error", "said"),
    [
        ("disconnected", "", "", "led is not connected"),
        ("disconnected", "", "No such file", "led is disconnected (No such file)"),
        ("shutdown", "M112\nmore", "old", "led is not ready (shutdown: M112)"),
    ],
)
def test_why_it_cannot_be_used(state, message, last_error, said):
    led = FakePrinter("led")
    led.is_in(state, message)
    led.last_error = last_error
    assert absence(led) == said
