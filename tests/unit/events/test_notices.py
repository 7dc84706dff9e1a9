"""What is printed on the console when peers are lost, and when they are back."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.events.notices import BURST, INTERVAL, Notices, loss_text
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


def test_a_loss_and_a_reconnection_are_one_line_each():
    main = Noticed()
    assert main.console == []
    main.lose()
    main.led.connects()
    assert main.console == [LOST, BACK]


def test_a_reconnection_after_an_unreported_loss_is_not_reported():
    main = Noticed()
    main.led.disconnects()  # within its disconnect_grace
    main.led.connects()
    assert main.console == []


def test_ignored_peers_and_this_printer_are_not_reported():
    main = Noticed(is_quiet=True)
    main.lose()
    main.led.connects()
    local = FakePrinter("main", is_local=True)
    main.notices.lost(local, "shutdown")
    main.notices.became_ready(local)
    assert main.console == []


def test_frequent_changes_are_limited_and_end_with_the_last_state():
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


def test_a_peer_back_before_its_loss_is_reported_was_not_lost():
    main = Noticed()
    for _ in range(BURST // 2):
        main.lose()
        main.led.connects()
    main.lose()
    main.led.connects()
    main.reactor.advance(3 * INTERVAL)
    assert len(main.console) == BURST


def test_another_version_of_the_include_file_is_reported_once():
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
def test_the_reason_why_a_peer_cannot_be_used(state, message, last_error, said):
    led = FakePrinter("led")
    led.is_in(state, message)
    led.last_error = last_error
    assert loss_text(led) == said
