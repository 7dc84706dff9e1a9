"""What was sent to the printers, what they have run, and what was reported: it must balance."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import collections
import re
from typing import Dict, List, Set, Tuple

from klippy_extras.router.events.reports import SUMMARY_DELAY
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until

UNKNOWN = "outcome unknown"
DONE = "done"
IN_ORDER = ("tick", "corner", "sync", "script", "mark", "heater", "strip", "pin")
REPORT = "report TARGET={params.TARGET} {params.MESSAGE}"
"""What ROUTER_ON_ERROR of the host prints."""


class Book:
    """What was sent to one printer, each with a name of its own, such as "tick 7".

    promised: sent without an error, and nobody waits: it runs, or is reported.
    answered: what somebody waited for, and the answer: DONE or the error.
    """

    def __init__(self, printer: LabPrinter, host: LabPrinter) -> None:
        self.printer, self.host = printer, host
        self.promised: Set[str] = set()
        self.answered: Dict[str, str] = {}

    def ran(self) -> List[str]:
        """What the printer has run, in order."""
        return prefixed(self.printer, "did ")

    def lost(self) -> Set[str]:
        """What was promised, and did not run."""
        return self.promised - set(self.ran())

    def reports(self) -> Tuple[int, int, int]:
        """How many were reported as failed, as of unknown outcome, and only as some errors."""
        name = self.printer.name
        one = re.compile(rf"report TARGET={name} (.*)")
        # Of many alike some are only counted, and of very many not even per printer
        alike = re.compile(rf"Router: ({name}\b.*) \((\d+) more like this left out\)")
        counts: Dict[bool, int] = collections.Counter()
        vague = 0
        for line in self.host.console:
            single, several = one.search(line), alike.search(line)
            if single:
                counts[UNKNOWN in single.group(1)] += 1
            elif several:
                counts[UNKNOWN in several.group(1)] += int(several.group(2))
            else:
                left_out = re.search(r"Router: (\d+) more errors? left out", line)
                vague += int(left_out.group(1)) if left_out else 0
        return counts[False], counts[True], vague

    def figures(self) -> Dict[str, int]:
        ran, answers = self.ran(), list(self.answered.values())
        failed, unknown, vague = self.reports()
        return {
            "sent": len(self.promised) + len(answers),
            "run": len(ran),
            "run twice": len(ran) - len(set(ran)),
            "failed": failed + sum(a != DONE and UNKNOWN not in a for a in answers),
            "unknown": unknown + sum(UNKNOWN in a for a in answers),
            "not attributed": vague,
        }

    def check(self) -> None:
        """Nothing ran twice, nothing was lost silently, and nothing was reported falsely."""
        name, ran = self.printer.name, self.ran()
        twice = [item for item, count in collections.Counter(ran).items() if count > 1]
        assert not twice, (name, "run twice", twice)
        strangers = set(ran) - self.promised - set(self.answered)
        assert not strangers, (name, "run, but not sent", sorted(strangers))
        for item, answer in self.answered.items():
            if UNKNOWN not in answer:
                assert (item in ran) is (answer == DONE), (name, item, answer)
        wait_until(self._all_reported, 2 * SUMMARY_DELAY, f"{name}: reports", [self.host])
        failed, unknown, vague = self.reports()
        lost = self.lost()
        if not failed <= len(lost) <= failed + unknown + vague:
            reports = [line for line in self.host.console if f"TARGET={name} " in line]
            raise AssertionError(f"{name}: {self.figures()}, not run: {sorted(lost)}, {reports}")
        for kind in IN_ORDER:
            numbers = [int(n) for k, n in map(str.split, ran) if k == kind]
            assert numbers == sorted(numbers), (name, kind, "not in the order sent")

    def _all_reported(self) -> bool:
        return len(self.lost()) <= sum(self.reports())


class Crossing:
    """Numbered events from one router to the handler of another: each exactly once.

    sent: those that were triggered. While either is down they may be missing: in the gaps.
    """

    def __init__(self, name: str, printer: LabPrinter) -> None:
        self.name, self.printer = name, printer
        self.sent: List[int] = []
        self.unsure: Set[int] = set()  # the trigger's answer did not arrive
        self.gaps: List[Tuple[int, int]] = []

    def seen(self) -> List[int]:
        """The numbers that have arrived, in order."""
        lines = prefixed(self.printer, f"crossed {self.name} ")
        return [int(number) for number in lines]

    def begin_gap(self) -> None:
        """Wait until all that was sent has arrived; what is sent from now on may be missing."""
        sent = self.sent[-1] if self.sent else 0
        self._wait_beyond(sent - 1)
        self.gaps.append((sent, sent))

    def end_gap(self) -> None:
        """Wait until an event arrives that was sent later than now: none may be missing then."""
        seen = self._wait_beyond(self.sent[-1])
        self.gaps[-1] = (self.gaps[-1][0], seen)

    def check(self) -> None:
        self._wait_beyond(self.sent[-1] - 1)
        seen = self.seen()
        assert len(seen) == len(set(seen)), (self.name, "twice", self._twice())
        assert seen == sorted(seen), (self.name, "not in the order triggered")
        excused = {n for begin, end in self.gaps for n in range(begin + 1, end)}
        missing = set(self.sent) - set(seen) - excused - self.unsure
        assert not missing, (self.name, "missing while both were up", sorted(missing))

    def figures(self) -> Dict[str, int]:
        excused = [end - begin - 1 for begin, end in self.gaps if end > begin]
        return {"sent": len(self.sent), "run": len(self.seen()), "sent in gaps": sum(excused)}

    def _twice(self) -> List[int]:
        return [n for n, count in collections.Counter(self.seen()).items() if count > 1]

    def _wait_beyond(self, number: int) -> int:
        """Wait for an event with a higher number; return that."""

        def beyond() -> List[int]:
            return [n for n in self.seen()[-1:] if n > number]

        message = f"{self.name} after {number} on {self.printer.name}"
        (seen,) = wait_until(beyond, 20.0, message, [self.printer])
        return int(seen)


def prefixed(printer: LabPrinter, start: str) -> List[str]:
    """The rest of what a printer has printed with M118 and this beginning."""
    start = "echo: " + start
    return [line[len(start) :] for line in printer.console if line.startswith(start)]
