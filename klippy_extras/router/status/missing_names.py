# Finds objects and fields that a printer does not have, and similar names that it has
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, FrozenSet, List, NamedTuple, Optional, Set, Tuple

from ..errors import RouterError, TooLong
from ..printers.printer import Failure, Objects, Printer

# Names of one printer that a wrong one is compared with, and how many of them per turn
MAX_COMPARED = 512
COMPARED_AT_ONCE = 16
# Objects of a printer that are looked at in one turn
LISTED_AT_ONCE = 1024
# Characters of a name that are compared
MAX_COMPARED_LENGTH = 60
# Similarity of two names, from 0 to 1, above which one is suggested instead of the other
_ALIKE = 0.5

Soon = Callable[[Callable[[], None]], Any]


class Missing(NamedTuple):
    """A missing object, or a missing field of an existing object, and a sentence about it."""

    name: str
    field: Optional[str]
    sentence: str

    def is_in(self, objects: Objects) -> bool:
        """Whether these objects and fields include it."""
        fields = objects.get(self.name) or ()
        return self.name in objects and (self.field is None or self.field in fields)


class _Guess:
    """The name that has the most pairs of letters in common with a wrong one.

    If both begin with the same word, such as gcode_macro, only the rest is compared. Without
    difflib, which takes 15 ms for the macros of one printer, and seconds for bad names.
    """

    def __init__(self, wrong: str, known: List[str]) -> None:
        self._wrong = wrong[:MAX_COMPARED_LENGTH].lower()
        self._module, _space, self._rest = self._wrong.partition(" ")
        self._left = known[:MAX_COMPARED]
        self._best = _ALIKE
        self.name = ""  # "" if none is similar

    def compare_more(self) -> bool:
        """Compare it with some more names. Returns whether there are any left."""
        for name in self._left[:COMPARED_AT_ONCE]:
            similarity = self._similarity(name[:MAX_COMPARED_LENGTH].lower())
            if similarity > self._best:
                self._best, self.name = similarity, name
        del self._left[:COMPARED_AT_ONCE]
        return bool(self._left)

    def _similarity(self, name: str) -> float:
        module, _space, rest = name.partition(" ")
        if self._rest and rest and module == self._module:
            return _in_common(self._rest, rest)
        is_part = name.startswith(self._wrong) or bool(rest and rest == self._rest)
        return _in_common(self._wrong, name) + (_ALIKE if is_part else 0.0)


class Search:
    """Finds which of these objects and fields a printer does not have, and calls found() once.

    A field exists if the object has it, whatever its value. If the printer does not answer, nothing
    is missing. soon: calls back in the next turn of the reactor.
    """

    def __init__(
        self,
        target: Printer,
        objects: Objects,
        soon: Soon,
        found: Callable[[List[Missing]], None],
    ) -> None:
        self._target, self._objects, self._soon, self._found = target, objects, soon, found
        self._wrong: List[Tuple[str, Optional[str], _Guess]] = []
        self._batches: List[List[str]] = []  # objects to query, for their fields
        self._batch: List[str] = []  # objects of the current query
        self._missing: List[Missing] = []

    def start(self) -> None:
        try:
            self._target.list_objects(self._listed)
        except RouterError:
            self._found([])

    def _listed(self, result: Any, error: Failure) -> None:
        if error is not None:
            self._found([])
            return
        self._look_at(result["objects"], 0, set())

    def _look_at(self, names: List[Any], begin: int, existing: Set[str]) -> None:
        """Look at the existing objects, some of them now and the rest soon; then query them."""
        end = begin + LISTED_AT_ONCE
        existing.update([name for name in names[begin:end] if isinstance(name, str)])
        if end < len(names):
            self._soon(lambda: self._look_at(names, end, existing))
            return
        known = [name for name in names[:MAX_COMPARED] if isinstance(name, str)]
        for name in self._objects:
            if name not in existing:
                self._wrong.append((name, None, _Guess(name, known)))
        self._batches.append([n for n, fields in self._objects.items() if n in existing and fields])
        self._query()

    def _query(self) -> None:
        """Query the fields of the next objects; when all are known, find similar names."""
        self._batch = self._batches.pop() if self._batches else []
        if not self._batch:
            self._soon(self._guess)
            return
        try:
            self._target.query_objects(dict.fromkeys(self._batch), self._queried)
        except RouterError:
            self._soon(self._guess)

    def _queried(self, result: Any, error: Failure) -> None:
        half = len(self._batch) // 2
        if isinstance(error, TooLong) and half:
            self._batches += [self._batch[half:], self._batch[:half]]
        elif error is None:
            self._check_fields(self._batch, result["status"])
        self._query()

    def _check_fields(self, names: List[str], status: Any) -> None:
        for name in names:
            values = status.get(name, {})
            for field in self._objects[name] or ():
                if field not in values:
                    self._wrong.append((name, field, _Guess(field, list(values))))

    def _guess(self) -> None:
        if not self._wrong:
            self._found(self._missing)
            return
        name, field, guess = self._wrong[0]
        if not guess.compare_more():
            del self._wrong[0]
            self._conclude(name, field, guess.name)
        self._soon(self._guess)

    def _conclude(self, name: str, field: Optional[str], guess: str) -> None:
        what = "object '%s'" % (name,)
        if field is not None:
            what = "field '%s.%s'" % (name, field)
            guess = guess and "%s.%s" % (name, guess)
        sentence = "%s has no %s" % (self._target.name, what)
        if guess:
            sentence += ": did you mean '%s'?" % (guess,)
        self._missing.append(Missing(name, field, sentence))


def _in_common(some: str, other: str) -> float:
    pairs, others = _pairs(some), _pairs(other)
    return 2.0 * len(pairs & others) / (len(pairs) + len(others))


def _pairs(text: str) -> FrozenSet[str]:
    text = "^%s$" % (text,)
    return frozenset(map("".join, zip(text, text[1:])))
