"""Jobs that may pause: run in order, few at a time, without starving the reactor."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.klippy.runners import MAX_RUN_TIME, RUN_PAUSE, Runners
from tests.unit.fake_reactor import FakeReactor


def test_jobs_run_in_order_and_not_inside_add():
    reactor, ran = FakeReactor(), []
    runners = Runners(reactor, 1)
    for number in range(5):
        runners.add(lambda number=number: ran.append(number))
    assert ran == [] and runners.length == 5
    reactor.run()
    assert ran == list(range(5)) and runners.length == 0
    runners.add(lambda: ran.append("later"))
    reactor.run()
    assert ran[5:] == ["later"]


@pytest.mark.parametrize("most", [1, 2, 3])
def test_while_one_job_pauses_others_run_up_to_a_limit(most):
    reactor, running, seen = FakeReactor(), [], []
    runners = Runners(reactor, most)

    def pause():
        running.append(1)
        seen.append(len(running))
        reactor.pause(reactor.now + 1.0)
        running.pop()

    for number in range(8):
        reactor.at(number * 0.01, lambda: runners.add(pause))
    reactor.advance(20.0)
    assert len(seen) == 8 and max(seen) == most
    assert runners.length == 0


def test_a_job_that_fails_does_not_stop_the_others(caplog):
    reactor, ran = FakeReactor(), []
    runners = Runners(reactor, 1)
    for _ in range(3):
        runners.add(lambda: 1 / 0)
        runners.add(lambda: ran.append(1))
    reactor.run()
    assert ran == [1, 1, 1]
    assert caplog.text.count("ZeroDivisionError") == 3
    runners.add(lambda: ran.append(2))
    reactor.run()
    assert ran[-1] == 2


def test_many_short_jobs_do_not_starve_the_reactor():
    reactor, ran, pauses = FakeReactor(), [], []
    runners = Runners(reactor, 1)

    def work():
        reactor.now += MAX_RUN_TIME / 4
        ran.append(reactor.now)

    for _ in range(20):
        runners.add(work)
    reactor.advance(1.0)
    pauses = [later - sooner for sooner, later in zip(ran, ran[1:]) if later - sooner > RUN_PAUSE]
    assert len(ran) == 20 and len(pauses) == 4
