"""How often something may be reported: buckets and repeats, with a clock set by hand."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.rates import (
    ALIKE_BURST,
    ALIKE_INTERVAL,
    ALL_BURST,
    MAX_KINDS,
    Bucket,
    Repeats,
)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_bucket_allows_a_burst_and_then_one_per_interval(clock):
    bucket = Bucket(3, 2.0, clock)
    assert [bucket.take() for _ in range(5)] == [True] * 3 + [False] * 2
    assert (bucket.take_left_out(), bucket.take_left_out()) == (2, 0)
    clock.now += 2.0
    assert [bucket.take() for _ in range(2)] == [True, False]
    clock.now += 1000.0
    assert [bucket.take() for _ in range(4)] == [True] * 3 + [False]


def test_reports_of_one_kind_are_counted_and_others_are_not_held_back(clock):
    repeats = Repeats(clock)
    assert sum(repeats.take(("absent",)) for _ in range(1000)) == ALIKE_BURST
    assert repeats.take(("other",))
    assert repeats.take_left_out() == [(("absent",), 1000 - ALIKE_BURST)]
    assert repeats.take_left_out() == []
    clock.now += ALIKE_INTERVAL
    assert [repeats.take(("absent",)) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("times", [1, ALIKE_BURST + 5])
def test_not_even_reports_of_different_kinds_are_unlimited(clock, times):
    repeats = Repeats(clock)
    kinds = [(str(i),) for i in range(2000) for _ in range(times)]
    through = sum(repeats.take(kind) for kind in kinds)
    assert through == ALL_BURST
    counts = repeats.take_left_out()
    assert len(counts) <= MAX_KINDS + 1
    assert sum(count for _kind, count in counts) == len(kinds) - through


def test_kinds_not_seen_for_long_are_forgotten(clock):
    repeats = Repeats(clock)
    for i in range(MAX_KINDS):
        repeats.take((str(i),))
    clock.now += 1000.0
    assert repeats.take_left_out() == []
    assert repeats._kinds == {}
