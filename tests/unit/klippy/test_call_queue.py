"""Calls in order, for a limited time in each turn of the reactor."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import List

import pytest

from klippy_extras.router.klippy.call_queue import CallQueue
from klippy_extras.router.klippy.timers import MAX_TIMERS_TIME, Timers
from tests.unit.fake_reactor import FakeReactor


class Made:
    """Numbered calls, and what was called."""

    def __init__(self) -> None:
        self.reactor = FakeReactor()
        self.timers = Timers(self.reactor)
        self.queue = CallQueue(self.timers)
        self.called: List[object] = []

    def calls(self, *numbers, cost=0.0):
        def make(number):
            self.reactor.now += cost
            self.called.append(number)

        return [lambda number=number: make(number) for number in numbers]


@pytest.fixture
def made():
    return Made()


def test_short_calls_are_made_at_once(made):
    made.queue.add(made.calls(*range(100)))
    assert made.called == list(range(100))


def test_long_ones_are_made_in_later_turns_and_in_order(made):
    made.queue.add(made.calls(1, 2, 3, cost=MAX_TIMERS_TIME))
    made.queue.add(made.calls(4))
    for expected in ([1], [1, 2], [1, 2, 3], [1, 2, 3, 4]):
        assert made.called == expected
        made.reactor.run(turns=1)


def test_calls_share_the_time_of_what_is_due_with_them(made):
    first = made.calls("busy", cost=MAX_TIMERS_TIME / 2)[0]
    made.timers.soon(first)
    made.timers.soon(lambda: made.queue.add(made.calls(1, 2, 3, cost=MAX_TIMERS_TIME / 4)))
    made.reactor.run(turns=1)
    assert made.called == ["busy", 1, 2]
    made.reactor.run()
    assert made.called == ["busy", 1, 2, 3]


def test_none_is_made_at_once_when_the_time_is_up(made):
    first = made.calls("busy", cost=MAX_TIMERS_TIME)[0]

    def late():
        first()
        made.queue.add(made.calls(1))

    made.timers.soon(late)
    made.reactor.run(turns=1)
    assert made.called == ["busy"]
    made.reactor.run()
    assert made.called == ["busy", 1]


def test_a_call_that_is_added_by_a_call_comes_last(made):
    made.queue.add([lambda: made.queue.add(made.calls(3)), *made.calls(1, 2)])
    assert made.called == [1, 2, 3]


def test_an_exception_is_logged_and_the_others_are_still_made(made, caplog):
    made.queue.add([lambda: 1 / 0, *made.calls(1)])
    assert made.called == [1]
    assert "internal error" in caplog.text
