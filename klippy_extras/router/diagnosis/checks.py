# The checks of a diagnosis and their results
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Callable, Dict, List, NamedTuple, Optional

OK, WARN, FAIL = "ok", "warn", "fail"
# From best to worst
RESULTS = (OK, WARN, FAIL)


class Finding(NamedTuple):
    """The result of a check: one of RESULTS. text: what was found, and what to do about it."""

    result: str
    text: str


class Check:
    """One check of one printer. Only the first finding counts.

    late: the finding if there is no other in time.
    """

    def __init__(self, printer: str, name: str, late: Finding, on_found: Callable[[], None]):
        self.printer, self.name = printer, name
        self.finding: Optional[Finding] = None
        self._late, self._on_found = late, on_found

    def found(self, result: str, text: str) -> None:
        """The check has ended with this finding."""
        if self.finding is None:
            self.finding = Finding(result, text)
            self._on_found()

    def time_is_up(self) -> None:
        """End the check with the late finding, unless it has ended."""
        self.found(*self._late)


class CheckList:
    """The checks of some printers, in order.

    seconds: how long a check may take; on_complete: called once, when all have ended.
    """

    def __init__(self, seconds: float, on_complete: Callable[["CheckList"], None]) -> None:
        self.seconds, self._on_complete = seconds, on_complete
        self._checks: List[Check] = []
        self._is_closed = False  # no more checks are added

    def add(self, printer: str, name: str, late: Finding) -> Check:
        """Add a check that will end later."""
        check = Check(printer, name, late, self._check_complete)
        self._checks.append(check)
        return check

    def note(self, printer: str, name: str, finding: Finding) -> None:
        """Add a check that has ended."""
        self.add(printer, name, finding).time_is_up()

    def close(self) -> None:
        """No more checks will be added."""
        self._is_closed = True
        self._check_complete()

    def time_is_up(self) -> None:
        """End the checks that have no finding yet."""
        for check in self._checks:
            check.time_is_up()

    def rows(self) -> List[Dict[str, str]]:
        """The findings, as router/diagnose returns them."""
        return [
            {"printer": c.printer, "check": c.name, "result": c.finding[0], "text": c.finding[1]}
            for c in self._checks
            if c.finding is not None
        ]

    def _check_complete(self) -> None:
        if self._is_closed and all(check.finding is not None for check in self._checks):
            self._is_closed = False
            self._on_complete(self)


def worst(rows: List[Dict[str, str]]) -> str:
    """The worst result of these findings; ok if there are none."""
    return max((row["result"] for row in rows), key=RESULTS.index, default=OK)


def console_lines(rows: List[Dict[str, str]]) -> List[str]:
    """One line per check, and the number of checks with each result."""
    words = {OK: "ok  ", WARN: "WARN", FAIL: "FAIL"}
    lines = [
        "%s %s %s: %s" % (words[r["result"]], r["printer"], r["check"], r["text"]) for r in rows
    ]
    count = [sum(row["result"] == result for row in rows) for result in RESULTS]
    return [*lines, "Checks: %d ok, %d WARN, %d FAIL" % tuple(count)]
