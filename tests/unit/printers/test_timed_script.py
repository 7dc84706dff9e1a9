"""Scripts that act at a time, and what is said of those that are late."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from klippy_extras.router.printers.printer import Follower
from klippy_extras.router.printers.timed_script import (
    LateNotices,
    TimedFollower,
    at_print_time,
)
from klippy_extras.router.rates import ALIKE_BURST, ALIKE_INTERVAL


class Seen(Follower):
    def __init__(self):
        self.calls = []

    def sent(self):
        self.calls.append("sent")

    def began(self):
        self.calls.append("began")

    def printed(self, line):
        self.calls.append(line)

    def ended(self):
        self.calls.append("ended")


def test_a_script_waits_for_a_print_time():
    assert at_print_time("M118 a", 12.5) == "_ROUTER_SYNC PRINT_TIME=12.500000\nM118 a"


def test_how_late_it_is_is_shown_here_and_the_rest_is_left_to_its_follower():
    shown, seen = [], Seen()
    follower = TimedFollower(seen, LateNotices("led", shown.append, lambda: 1.0))
    follower.sent()
    follower.began()
    follower.printed("SYNC=1 is 0.123 s late")
    follower.printed("SYNC")
    follower.ended()
    assert shown == ["led: SYNC=1 is 0.123 s late"]
    assert seen.calls == ["sent", "began", "SYNC", "ended"]
    assert not follower.given_up


def test_what_only_begins_like_it_is_left_to_the_follower():
    shown, seen = [], Seen()
    follower = TimedFollower(seen, LateNotices("led", shown.append, lambda: 1.0))
    text = "SYNC=1 is late\n// action:cancel"
    follower.printed(text)
    assert (shown, seen.calls) == ([], [text])


def test_at_a_limited_rate():
    shown, now = [], [1.0]
    notices = LateNotices("led", shown.append, lambda: now[0])
    for _ in range(100):
        assert notices.printed("SYNC=1 is 1.000 s late")
    assert len(shown) == ALIKE_BURST
    now[0] += ALIKE_INTERVAL
    notices.printed("SYNC=1 is 1.000 s late")
    assert len(shown) == ALIKE_BURST + 1
