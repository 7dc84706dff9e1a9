"""Many deadlines on one reactor timer (fake reactor)."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.klippy.timers import MAX_TIMERS_TIME, Timers
from tests.unit.fake_reactor import FakeReactor


@given(st.lists(st.floats(0.0, 10.0), max_size=20), st.lists(st.floats(0.01, 3.0), max_size=8))
def test_callbacks_run_in_order_and_never_early(delays, steps):
    reactor = FakeReactor()
    timers = Timers(reactor)
    start = reactor.now
    called = []
    for delay in delays:
        timers.after(delay, lambda due=start + delay: called.append((due, reactor.now)))
    for step in [0.0, *steps]:
        reactor.run(step)
    due_by_now = sorted(start + d for d in delays if start + d <= reactor.now)
    assert [due for due, _ in called] == due_by_now
    assert all(due <= now for due, now in called)


def test_a_cancelled_callback_does_not_run():
    reactor = FakeReactor()
    timers = Timers(reactor)
    called = []
    timer = timers.after(1, lambda: called.append("cancelled"))
    timers.after(1, lambda: called.append("other"))
    timer.cancel()
    reactor.run(2.0)
    assert called == ["other"]
    timer.cancel()


def test_a_callback_may_schedule_the_next_one_without_starving_the_reactor():
    reactor = FakeReactor()
    timers = Timers(reactor)
    count = []

    def again() -> None:
        count.append(reactor.now)
        timers.soon(again)

    timers.soon(again)
    reactor.run(turns=5)
    assert len(count) == 5


def test_many_callbacks_due_at_once_do_not_starve_the_reactor():
    reactor = FakeReactor()
    timers = Timers(reactor)
    called, turns = [], []

    def work(number: int) -> None:
        reactor.now += MAX_TIMERS_TIME / 4
        called.append(number)

    def look(eventtime: float) -> float:
        turns.append(len(called))
        return eventtime

    for number in range(20):
        timers.after(1.0, lambda number=number: work(number))
    reactor.register_timer(look, reactor.now + 1.0)
    reactor.run(1.0)
    assert called == list(range(20))
    assert max(after - before for before, after in zip([0, *turns], turns)) <= 5


def test_an_exception_is_logged_and_the_other_callbacks_still_run(caplog):
    reactor = FakeReactor()
    timers = Timers(reactor)
    called = []
    timers.soon(lambda: 1 / 0)
    timers.soon(lambda: called.append(reactor.now))
    reactor.run()
    assert len(called) == 1
    assert "ZeroDivisionError" in caplog.text


def test_nothing_runs_after_close():
    reactor = FakeReactor()
    timers = Timers(reactor)
    called = []
    timers.soon(lambda: called.append(reactor.now))
    timers.close()
    timers.soon(lambda: called.append(reactor.now))
    reactor.run(1.0)
    assert called == []
    assert reactor.timers == []
