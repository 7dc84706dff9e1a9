"""Messages of a peer longer than max_message: who is notified, and what is requested again."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.errors import RouterError, TooLong
from klippy_extras.router.klippy.timers import Timers
from klippy_extras.router.printers.printer import PrinterListener
from klippy_extras.router.printers.session_events import Skipped, SkippedKind
from klippy_extras.router.printers.skipped import RESUBSCRIBE_INTERVAL, SkippedMessages
from tests.unit.fake_printer import FakePrinter
from tests.unit.fake_reactor import FakeReactor


class Listener(PrinterListener):
    def __init__(self):
        self.seen = []

    def too_long(self, printer, error):
        self.seen.append(("status", str(error)))

    def call_skipped(self, printer, method, error):
        self.seen.append((method, str(error)))


class Skipping:
    def __init__(self):
        self.reactor, self.asked = FakeReactor(), []
        self.led, self.listener = FakePrinter("led"), Listener()
        self.led.listeners.append(self.listener)
        self.skipped = SkippedMessages(
            Timers(self.reactor), self.led, 65536, lambda: self.asked.append(self.reactor.now)
        )

    def skip(self, kind, method=""):
        self.skipped.handle(Skipped(kind, method))
        self.reactor.run()


@pytest.mark.parametrize("kind", [SkippedKind.OUTPUT, SkippedKind.COMMANDS, SkippedKind.UPDATE])
def test_the_user_is_notified_once_with_the_way_out(kind):
    one = Skipping()
    for _ in range(3):
        one.skip(kind)
    (hint,) = one.led.hinted
    assert hint.startswith("Router: led: ") and "max_message (65536 bytes)" in hint
    assert hint.endswith("raise max_message in [router led]")
    assert one.listener.seen == []


def test_a_skipped_snapshot_notifies_its_followers():
    one = Skipping()
    one.skip(SkippedKind.SNAPSHOT)
    ((what, error),) = one.listener.seen
    assert what == "status" and error.startswith("led: its status is longer than max_message")
    assert one.led.hinted == [] and one.asked == []


def test_a_skipped_call_notifies_its_caller():
    one = Skipping()
    one.skip(SkippedKind.CALL, "router/event/trigger")
    ((method, error),) = one.listener.seen
    assert method == "router/event/trigger" and "this call is longer than" in error
    assert one.led.hinted == []


def test_after_a_skipped_change_all_values_are_requested_at_a_limited_rate():
    one = Skipping()
    begin = one.reactor.now
    for _ in range(10):
        one.skip(SkippedKind.UPDATE)
    assert one.asked == [begin]
    one.reactor.advance(RESUBSCRIBE_INTERVAL + 0.1)
    assert one.asked == [begin, pytest.approx(begin + RESUBSCRIBE_INTERVAL)]
    one.reactor.advance(10 * RESUBSCRIBE_INTERVAL)
    assert len(one.asked) == 2


def test_nothing_is_requested_over_a_lost_connection():
    one = Skipping()
    one.skip(SkippedKind.UPDATE)
    one.skip(SkippedKind.UPDATE)
    one.skipped.close()
    one.reactor.advance(10 * RESUBSCRIBE_INTERVAL)
    assert len(one.asked) == 1


def test_an_answer_that_is_too_long_is_an_error_with_the_way_out():
    error = Skipping().skipped.answer_error(RouterError("the answer is too long"))
    assert isinstance(error, TooLong)
    assert str(error) == (
        "led: the answer is too long: ask for less, or raise max_message in [router led]"
    )
