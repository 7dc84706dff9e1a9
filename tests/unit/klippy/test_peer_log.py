"""Lines about one printer in the log, at a bounded rate."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging

import pytest

from klippy_extras.router.klippy.peer_log import BURST, PeerLog
from tests.unit.fake_klippy import Machine


@pytest.fixture
def main():
    return Machine()


def test_a_burst_is_logged_and_the_rest_is_counted(main, caplog):
    caplog.set_level(logging.INFO)
    log = PeerLog("led", main.klippy)
    for number in range(BURST + 3):
        log.write(f"line {number}")
    main.reactor.run(1.0)
    log.write("later")
    main.reactor.run(1.0)
    log.write("last")
    main.reactor.run()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:BURST] == [f"router: led line {number}" for number in range(BURST)]
    assert lines[BURST:] == ["router: led later (3 lines left out)", "router: led last"]


def test_a_message_stays_on_one_line_and_is_logged_in_a_later_callback(main, caplog):
    caplog.set_level(logging.INFO)
    PeerLog("led", main.klippy).write("says\nM112")
    assert caplog.records == []
    main.reactor.run()
    assert [record.getMessage() for record in caplog.records] == ["router: led says M112"]
