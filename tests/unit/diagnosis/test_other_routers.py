"""Peers are tested for other routers by themselves, once, and what is found is said once."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.diagnosis.echo import ECHO_MACRO, Echoes
from klippy_extras.router.diagnosis.echo_test import LISTEN, EchoListener, EchoTest
from klippy_extras.router.diagnosis.other_routers import (
    ATTEMPTS,
    MAX_DELAY,
    OtherRouters,
    others_text,
)
from klippy_extras.router.errors import PeerError
from tests.unit.fake_klippy import Machine
from tests.unit.fake_printer import FakePrinter

OWN = "main,led"


class Peer(FakePrinter):
    accepts_calls = True


class Main(Machine):
    def __init__(self):
        super().__init__()
        self.led = Peer("led")
        self.echoes = Echoes(OWN.split(","))
        self.said = []
        self.led.listeners.append(OtherRouters(self.klippy.timers, self.echoes, self.said.append))

    def connects(self):
        self.led.connects(ECHO_MACRO)

    def wait(self, seconds):
        self.reactor.run(seconds)

    def answer(self, *printers):
        """The macro runs, and these answers arrive."""
        token = self.led.sent[-1].split("=")[1].strip("'\"")
        self.led.finish()
        self.echoes.received(self.led, {"token": token})
        for names in printers:
            self.echoes.received(self.led, {"token": token, "printers": names})
        self.wait(LISTEN)

    def diagnose(self):
        """An echo test of ROUTER_DIAGNOSE."""
        return EchoTest(self.klippy.timers, self.echoes, EchoListener()).start(self.led)


@pytest.fixture
def main():
    return Main()


def test_another_router_is_said_once(main):
    main.connects()
    assert main.led.sent == []
    main.wait(MAX_DELAY)
    assert len(main.led.sent) == 1
    main.answer(OWN, "voron,led")
    assert main.said == ["led: " + others_text("led", ["voron,led"])]
    main.led.disconnects()
    main.connects()
    main.wait(100.0)
    assert len(main.led.sent) == 1


def test_none_is_not_said_and_the_next_test_is_that_of_the_next_connection(main):
    main.connects()
    main.wait(MAX_DELAY)
    main.answer(OWN)
    main.wait(100.0)
    assert (main.said, len(main.led.sent)) == ([], 1)
    main.led.disconnects()
    main.connects()
    main.wait(MAX_DELAY)
    main.answer("voron,led", OWN)
    assert len(main.said) == 1


@pytest.mark.parametrize(("accepts_calls", "command"), [(False, ECHO_MACRO), (True, "M117")])
def test_peers_that_are_not_tested(main, accepts_calls, command):
    main.led.accepts_calls = accepts_calls
    main.led.connects(command)
    main.wait(100.0)
    assert main.led.sent == []


def test_a_peer_that_is_lost_before_the_test(main):
    main.connects()
    main.led.disconnects()
    main.wait(MAX_DELAY)
    assert main.led.sent == []


def test_a_peer_that_reconnects_before_the_test_is_tested_once(main):
    main.connects()
    main.led.disconnects()
    main.connects()
    main.wait(MAX_DELAY)
    main.answer(OWN)
    main.wait(100.0)
    assert len(main.led.sent) == 1


def test_it_runs_when_the_peer_has_time(main):
    main.connects()
    main.wait(100.0)
    main.answer(OWN, "voron,led")
    assert len(main.said) == 1


def test_without_our_own_answer_it_tests_again_a_few_times(main):
    main.connects()
    for count in range(ATTEMPTS):
        main.wait(MAX_DELAY)
        assert len(main.led.sent) == count + 1
        main.answer()
    main.wait(100.0)
    assert (main.said, len(main.led.sent)) == ([], ATTEMPTS)


def test_a_macro_that_fails_is_logged(main):
    main.connects()
    main.wait(MAX_DELAY)
    main.led.finish(PeerError("Unknown command"))
    main.wait(100.0)
    assert (main.said, len(main.led.sent)) == ([], 1)
    assert "other routers take its calls: _ROUTER_ECHO did not run: Unknown" in main.led.logged[-1]


def test_a_diagnosis_takes_over_and_it_tests_again(main):
    main.connects()
    main.wait(MAX_DELAY)
    assert main.diagnose()
    main.led.finish()
    main.answer(OWN, "voron,led")  # to the diagnosis
    assert main.said == []
    main.wait(MAX_DELAY)
    main.answer(OWN, "voron,led")
    assert len(main.said) == 1


def test_it_gives_way_also_while_it_listens(main):
    main.connects()
    main.wait(MAX_DELAY)
    main.led.finish()
    assert main.diagnose()
    assert len(main.led.sent) == 2


def test_it_waits_for_a_diagnosis(main):
    main.connects()
    assert main.diagnose()
    main.wait(MAX_DELAY)
    assert len(main.led.sent) == 1
    assert not main.diagnose()  # of these, only one at a time
    main.led.finish()
