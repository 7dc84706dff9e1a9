"""SYNC=1 when the print is paused or cancelled, or a printer shuts down or is killed meanwhile."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import time

import pytest

from tests.bench import pin_marks
from tests.lab.lab import Lab
from tests.lab.trace import Trace
from tests.lab.waiting import wait_until
from tests.system.macros import check_log

LEAD = 0.5  # seconds ahead of which the router sends (api/sync.py)
MARKS = 40
APART = 0.3


@pytest.fixture
def bench(kind):
    with Lab(kind, kind) as lab:
        yield pin_marks.start(lab)


def seen(printer, mcu="mcu"):
    """Mark -> when the pin of this printer gets it."""
    times = {}
    for change in Trace(printer, mcu).changes(pin_marks.PIN):
        times.setdefault(change.value, change.time)
    times.pop(0, None)
    return times


def begin(bench):
    """Print a file, until the first marks are at the peer's pin."""
    pin_marks.print_file(bench.main, "marks.gcode", pin_marks.streamed(MARKS, APART))
    wait_until(lambda: len(seen(bench.peer)) >= 4, 30.0, "marks at the peer", [bench.main])


@pytest.mark.parametrize("command", ["PAUSE", "CANCEL_PRINT"])
def test_the_peer_does_what_the_moves_that_are_still_made_lead_to(bench, command):
    begin(bench)
    bench.main.script(command)
    bench.main.script("M400")
    own = seen(bench.main)
    assert 4 <= len(own) < MARKS
    wait_until(lambda: seen(bench.peer).keys() >= own.keys(), 10.0, "the same marks", [bench.main])
    time.sleep(1.0)
    assert seen(bench.peer).keys() == own.keys()
    check_log(bench.main)


def test_a_shutdown_drops_what_was_not_sent_and_says_so(bench):
    begin(bench)
    bench.main.script("M112")
    stopped = time.monotonic()
    bench.main.wait_state("shutdown")
    bench.main.wait_line("not done, because the ")
    time.sleep(LEAD + 1.5)
    done = seen(bench.peer)
    assert all(when < stopped + LEAD + 0.3 for when in done.values()), (stopped, done)
    assert len(done) < MARKS
    assert sorted(done) == list(range(1, len(done) + 1))


def test_a_killed_main_printer_leaves_at_most_what_was_sent(bench):
    begin(bench)
    bench.main.kill()
    stopped = time.monotonic()
    time.sleep(LEAD + 1.5)
    done = seen(bench.peer)
    assert all(when < stopped + LEAD + 0.3 for when in done.values()), (stopped, done)


def test_a_peer_that_restarts_is_in_step_again(bench):
    begin(bench)
    bench.peer.restart()
    bench.peer.wait_ready()
    before = set(seen(bench.peer))
    wait_until(
        lambda: bench.main.query({"print_stats": ["state"]})["print_stats"]["state"] == "complete",
        60.0,
        "the print is complete",
        [bench.main],
    )
    bench.main.script("M400")
    own = seen(bench.main)
    assert len(own) == MARKS
    last = max(own)
    wait_until(lambda: last in seen(bench.peer), 10.0, "the last mark", [bench.main])
    theirs = seen(bench.peer)
    again = sorted(set(theirs) - before)
    assert len(again) >= 4
    # The clocks of a peer that has just started are not settled, but it is told a time
    for mark in again[-3:]:
        assert abs(theirs[mark] - own[mark]) < 0.15, (mark, own, theirs)
