"""Echoes: one test of a peer at a time, which ends with its macro."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
from typing import List

import pytest

from klippy_extras.router.diagnosis.echo import MAX_ANSWERS, Echo, Echoes
from klippy_extras.router.errors import NotReady, PeerError
from klippy_extras.router.printers.printer import Job
from tests.unit.fake_printer import FakePrinter


class News:
    """Counts the notifications of an echo."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def led():
    return FakePrinter("led").connects()


@pytest.fixture
def echoes():
    return Echoes(["main", "led"])


@pytest.fixture
def news():
    return News()


def begin(echoes: Echoes, led: FakePrinter, news: News) -> Echo:
    echo = echoes.start(led, news)
    assert echo is not None
    return echo


def test_the_macro_gets_the_token(echoes, led, news):
    echo = begin(echoes, led, news)
    assert re.fullmatch(r"_ROUTER_ECHO TOKEN=['\"]?%s['\"]?" % (echo.token,), led.sent[0])


def test_the_echo_returns_and_other_programs_answer(echoes, led, news):
    echo = begin(echoes, led, news)
    echoes.received(led, {"token": echo.token})
    assert (echo.is_back, echo.answers, news.count) == (True, [], 1)
    for _ in range(MAX_ANSWERS + 1):
        echoes.received(led, {"token": echo.token, "printers": "voron,led"})
    assert echo.answers == ["voron,led"] * MAX_ANSWERS
    assert echoes.own_answer == "main,led"


@pytest.mark.parametrize("params", [{}, {"token": "x"}, {"token": 1, "printers": "voron"}])
def test_another_token_is_ignored(echoes, led, news, params):
    echo = begin(echoes, led, news)
    echoes.received(led, params)
    assert (echo.is_back, echo.answers, news.count) == (False, [], 0)


def test_another_printer_is_ignored(echoes, led, news):
    echo = begin(echoes, led, news)
    echoes.received(FakePrinter("afc"), {"token": echo.token})
    assert not echo.is_back


def test_the_next_echo_begins_when_this_one_and_its_macro_have_ended(echoes, led, news):
    echo = begin(echoes, led, news)
    assert echoes.start(led, news) is None
    echo.is_over = True
    assert echoes.start(led, news) is None  # the macro still runs there
    led.finish()
    begin(echoes, led, news)


def test_the_next_echo_begins_when_the_macro_has_ended_first(echoes, led, news):
    echo = begin(echoes, led, news)
    led.finish()
    assert echoes.start(led, news) is None
    echo.is_over = True
    begin(echoes, led, news)


def test_an_answer_after_the_end_is_ignored(echoes, led, news):
    echo = begin(echoes, led, news)
    echo.is_over = True
    echoes.received(led, {"token": echo.token})
    led.finish(PeerError("Unknown command"))
    assert (echo.is_back, news.count) == (False, 0)


def test_a_macro_that_fails_is_news(echoes, led, news):
    echo = begin(echoes, led, news)
    led.finish(PeerError("Unknown command"))
    assert (str(echo.error), news.count) == ("Unknown command", 1)


def test_the_macro_does_not_run_when_the_echo_ends_before_its_turn(echoes, led, news):
    led.submit(Job("G4 P1000"))
    echo = begin(echoes, led, news)
    echo.is_over = True
    led.finish()
    assert sent(led) == ["G4 P1000"]
    begin(echoes, led, news)


def test_a_printer_that_is_not_ready(echoes, led, news):
    led.disconnects()
    with pytest.raises(NotReady):
        echoes.start(led, news)
    led.connects()
    begin(echoes, led, news)


def sent(led: FakePrinter) -> List[str]:
    return [script for script in led.sent if script]
