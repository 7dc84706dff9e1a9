"""Whatever a peer does, the host stays ready and keeps printing, and healthy peers are served.

The figures are for a benchmark (tests.hostile.measure); here are only limits that hold under any
load of the machine.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Iterator

import pytest

from klippy_extras.router.klippy.peer_log import BURST
from klippy_extras.router.sanitize import MAX_LOGGED
from tests.hostile.trial import Trial
from tests.hostile.ways import WAYS

SECONDS = 1.5
# The goal is 5 ms; a slow or busy machine may take longer for the same work
GENEROUS_CALLBACK = 0.05


@pytest.fixture(scope="module")
def shared_lab(kind: str) -> Iterator[Trial]:
    """The printers of this module: their print goes on through all tests."""
    with Trial(kind, "kalico") as trial:
        yield trial


@pytest.mark.parametrize("way", WAYS)
def test_the_print_goes_on_and_other_peers_are_served(shared_lab: Trial, way: str):
    figures = shared_lab.way(way, SECONDS)  # asserts all the time that others are served
    assert figures.longest < GENEROUS_CALLBACK, figures
    # The burst that is allowed, one per second, and a few for starting and ending it
    assert figures.log_lines <= BURST + 2 * SECONDS + 3, shared_lab.host.log_text()[-5000:]


def test_no_line_of_the_log_about_the_peer_is_long(shared_lab: Trial):
    shared_lab.way("UnencodableValues", 0.5)
    shared_lab.way("Garbage", 0.5)
    lines = [line for line in shared_lab.host.log_text().splitlines() if "router: evil" in line]
    assert lines
    assert max(map(len, lines)) <= MAX_LOGGED + len("router:  (1000000 lines left out)")


def test_the_host_made_no_internal_error(shared_lab: Trial):
    shared_lab.way(None, 0.2)
    assert "internal error" not in shared_lab.host.log_text()
