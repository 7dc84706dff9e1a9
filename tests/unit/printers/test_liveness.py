"""When a peer is pinged, and when it counts as disconnected (clock set by hand)."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.errors import TimedOut
from klippy_extras.router.printers.liveness import Check, Liveness

TIMEOUT = 4.0


def answering(now: float) -> Liveness:
    """One whose first request was answered at once."""
    liveness = Liveness(TIMEOUT)
    liveness.opened(now)
    liveness.answered()
    return liveness


def test_received_data_postpones_the_ping():
    liveness = answering(10.0)
    assert liveness.check(10.0) == Check(False, 12.0)
    liveness.received_at = 11.5
    assert liveness.check(12.0) == Check(False, 13.5)
    assert liveness.check(13.5) == Check(True, 15.5)


def test_other_data_than_the_answer_postpones_the_timeout():
    liveness = answering(10.0)
    liveness.asked(12.0)
    liveness.received_at = 13.0
    assert liveness.check(14.0) == Check(False, 17.0)
    with pytest.raises(TimedOut, match="^did not answer within 4 seconds$"):
        liveness.check(17.0)


def test_only_the_answer_to_a_ping_gives_the_latency():
    liveness = answering(10.0)
    assert liveness.latency is None
    liveness.asked(12.0)
    liveness.received_at = 12.25
    liveness.answered(is_timed=True)
    assert liveness.latency == 0.25
    liveness.answered(is_timed=True)  # a second answer to the same ping
    assert liveness.latency == 0.25
    liveness.closed()
    assert liveness.latency is None


@given(st.lists(st.floats(0.01, TIMEOUT * 3), max_size=20))
def test_no_peer_is_lost_with_less_than_half_the_timeout_to_answer(pauses):
    liveness, now, asked_at = answering(0.0), 0.0, None
    for pause in pauses:
        now += pause
        try:
            check = liveness.check(now)
        except TimedOut:
            assert asked_at is not None and now - asked_at >= TIMEOUT / 2 - 1e-6  # rounding
            return
        assert check.next_time > now
        if check.is_ping_due:
            liveness.asked(now)
            asked_at = now
