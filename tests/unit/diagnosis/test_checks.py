"""The findings of a diagnosis: complete when all checks have ended, and how they are shown."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from klippy_extras.router.diagnosis.checks import (
    FAIL,
    OK,
    WARN,
    CheckList,
    Finding,
    console_lines,
    worst,
)


def test_a_list_is_completed_once_when_all_checks_have_ended():
    complete = []
    checks = CheckList(5.0, complete.append)
    first = checks.add("led", "ping", Finding(FAIL, "no answer"))
    checks.note("led", "state", Finding(OK, "ready"))
    second = checks.add("afc", "ping", Finding(FAIL, "no answer"))
    first.found(OK, "1 ms")
    second.found(WARN, "100 ms")
    assert complete == []
    checks.close()
    first.found(FAIL, "too late")
    checks.time_is_up()
    assert complete == [checks]
    rows = [tuple(row.values()) for row in checks.rows()]
    assert rows == [
        ("led", "ping", OK, "1 ms"),
        ("led", "state", OK, "ready"),
        ("afc", "ping", WARN, "100 ms"),
    ]


def test_a_check_that_times_out_has_its_timeout_finding():
    complete = []
    checks = CheckList(5.0, complete.append)
    checks.add("led", "ping", Finding(FAIL, "no answer")).found(OK, "1 ms")
    checks.add("led", "call", Finding(WARN, "did not call back"))
    checks.close()
    assert complete == []
    checks.time_is_up()
    assert complete == [checks]
    assert [row["text"] for row in checks.rows()] == ["1 ms", "did not call back"]


def test_an_empty_list_is_complete():
    complete = []
    CheckList(5.0, complete.append).close()
    assert len(complete) == 1 and worst(complete[0].rows()) == OK


def test_lines_for_the_console_end_with_their_count():
    checks = CheckList(5.0, lambda checks: None)
    for result, text in ((OK, "ready"), (WARN, "slow"), (OK, "there"), (FAIL, "gone")):
        checks.note("led", "x", Finding(result, text))
    rows = checks.rows()
    assert console_lines(rows) == [
        "ok   led x: ready",
        "WARN led x: slow",
        "ok   led x: there",
        "FAIL led x: gone",
        "Checks: 2 ok, 1 WARN, 1 FAIL",
    ]
    assert worst(rows) == FAIL and worst(rows[:3]) == WARN and worst(rows[:1]) == OK
