"""SYNC=1 at the pins: a pin of a peer changes with one of the host, not 0.25 s later."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# How exact it is, on settled clocks, is measured by tests/bench.sh sync.
import statistics

import pytest

from tests.bench import pin_marks
from tests.system.macros import check_log

# Klippy's estimates of the clocks are not settled yet, and the machine is busy with other tests. A
# peer that is not told a time is late by at least 250.
TOLERANCE = 60.0  # milliseconds
MARKS = 8


@pytest.fixture(scope="module")
def bench(shared_lab):
    return pin_marks.start(shared_lab)


@pytest.mark.parametrize("scenario", ["stream", "device", "rest"])
def test_a_pin_of_the_peer_changes_with_one_of_the_host(bench, scenario):
    offsets = pin_marks.measure(bench, pin_marks.SCENARIOS[scenario], MARKS)
    assert offsets.lost == 0
    assert abs(statistics.median(offsets.peer)) < TOLERANCE, offsets
    check_log(bench.main)
    check_log(bench.peer)


def test_a_peer_that_is_busy_says_how_late_it_is(bench):
    mark = bench.main.mark()
    offsets = pin_marks.measure(bench, pin_marks.SCENARIOS["busy"], 4)
    assert offsets.lost == 0
    late = max(offsets.peer)
    assert late > 250.0
    line = bench.main.wait_line("led: SYNC=1 is ", start=mark)
    assert line.endswith(" s late")
