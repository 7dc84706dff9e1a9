"""Lines about one printer in the log, at a bounded rate."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging

from klippy_extras.router.klippy.peer_log import BURST, PeerLog


def test_a_burst_is_logged_and_the_rest_is_counted(caplog):
    caplog.set_level(logging.INFO)
    now = [100.0]
    log = PeerLog("led", lambda: now[0])
    for number in range(BURST + 3):
        log.write(f"line {number}")
    now[0] += 1.0
    log.write("later")
    now[0] += 1.0
    log.write("last")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:BURST] == [f"router: led line {number}" for number in range(BURST)]
    assert lines[BURST:] == ["router: led later (3 lines left out)", "router: led last"]


def test_a_message_stays_on_one_line(caplog):
    caplog.set_level(logging.INFO)
    PeerLog("led", lambda: 0.0).write("says\nM112")
    assert [record.getMessage() for record in caplog.records] == ["router: led says M112"]
