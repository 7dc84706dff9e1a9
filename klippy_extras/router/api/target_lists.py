# Scripts for several printers: the list of targets, and their results as one answer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Collection, Dict, List, Mapping, Optional

from ..errors import UsageError
from ..printers.printer import Done, Failure, Follower, Printer

EVERYBODY = "*"
# Names in a target
MAX_TARGETS = 256


def is_list(target: object) -> bool:
    """Whether a target may name several printers: `led,afc`, `*` or a list."""
    return not isinstance(target, str) or "," in target or target.strip() == EVERYBODY


def names_of(target: object) -> List[str]:
    """The names in a target, each once. Raises UsageError."""
    names = target.split(",", MAX_TARGETS) if isinstance(target, str) else target
    if isinstance(names, list) and len(names) > MAX_TARGETS:
        raise UsageError("TARGET is too long: %d names at most" % (MAX_TARGETS,))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise UsageError("Malformed parameter TARGET: write a name, or a list of names")
    found = list(dict.fromkeys(filter(None, map(str.strip, names))))
    if not found:
        raise UsageError("Missing parameter TARGET")
    return found


class Answers:
    """Collects the answers of several printers; calls done when all of them have answered.

    The result is {"results": {name: answer}, "failed": {name: reason}}, in the order of printers.
    """

    def __init__(self, printers: Collection[Printer], done: Done) -> None:
        self._done = done
        self._results: Dict[str, Any] = dict.fromkeys(printer.name for printer in printers)
        self._failed: Dict[str, str] = {}
        self._open = len(self._results)
        if not self._open:
            self._finish()

    def done_for(self, printer: Printer, follower: Optional[Follower]) -> Done:
        """The Done for one of them."""
        return _Answer(self, printer.name, follower).done

    def answered(self, name: str, result: Any, error: Failure) -> None:
        """One of them has answered."""
        if error is None:
            self._results[name] = result
        else:
            self._failed[name] = str(error)
        self._open -= 1
        if not self._open:
            self._finish()

    def _finish(self) -> None:
        failed = {name: self._failed[name] for name in self._results if name in self._failed}
        results = {name: self._results[name] for name in self._results if name not in failed}
        self._done({"results": results, "failed": failed}, None)


class _Answer:
    """The answer of one printer."""

    def __init__(self, answers: Answers, name: str, follower: Optional[Follower]) -> None:
        self._answers, self._name, self._follower = answers, name, follower

    def done(self, result: Any, error: Failure) -> None:
        if error is not None and self._follower is not None:
            self._follower.failed(error)
        self._answers.answered(self._name, result, error)


def failures(method: str, result: Any) -> Mapping[str, str]:
    """{printer: reason} for the printers on which a method has failed."""
    if method not in ("router/gcode/script", "router/event/trigger"):
        return {}
    failed: Mapping[str, str] = result.get("failed", {})
    return failed
