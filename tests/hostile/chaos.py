"""Random failures of real printers while the host prints; all that was sent must be accounted for.

`python -m tests.hostile.chaos [ROUNDS [SEED [HOST_KIND [PEER_KIND]]]]`
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import collections
import contextlib
import sys
import time
from typing import Callable, Counter, Dict, Iterable, List

from tests.hostile.books import Book, Crossing, prefixed
from tests.hostile.failures import Round, Target, plan, wait_recovered
from tests.hostile.printers import AT_REST, LED, NAMES, OTHER, REMOTE, REPLIED, Printers
from tests.hostile.traffic import AdoptedDevices, Heater, Scripts, Ticks, Tocks
from tests.system.macros import check_log

LOST_REPLIES = 4
"""How many may be missing for one failure: those of 2 s."""
Say = Callable[[str], None]


class Chaos:
    """One run, and the books of what is sent in it."""

    def __init__(self, printers: Printers, seed: int, say: Say) -> None:
        self._printers, self._seed, self._say = printers, seed, say
        host, peers = printers.host, printers.peers
        self.targets = {name: Target(peer) for name, peer in peers.items()}
        self.targets[REMOTE] = Target(peers[REMOTE], printers.tunnel)
        self._books = {name: Book(peer, host) for name, peer in peers.items()}
        self._crossings = (Crossing("tick", printers.other), Crossing("tock", host))
        self._ticks = Ticks(host, self._books, self._crossings[0])
        self._failures: Dict[str, int] = collections.Counter()
        self._failures_of: Dict[str, int] = collections.Counter()  # by the name of the printer

    def run(self, rounds: Iterable[Round]) -> None:
        """Let these failures happen; raises AssertionError if the books do not balance."""
        host = self._printers.host
        with contextlib.ExitStack() as stack:
            for traffic in (
                self._ticks,
                Tocks(self._printers.other, self._crossings[1]),
                Scripts(host, self._books, self._seed),
                Heater(host, self._books[LED]),
                AdoptedDevices(host, self._printers.peers[LED], AT_REST),
            ):
                stack.enter_context(traffic).start()
            for number, one in enumerate(rounds, 1):
                try:
                    self._fail(one)
                except (AssertionError, OSError) as e:
                    raise AssertionError(f"round {number}, {one}, seed {self._seed}: {e}") from e
                self._failures[one.failure.__name__] += 1
                self._failures_of[one.target.printer.name] += 1
                if number % 20 == 0:
                    self._say(f"{number} rounds, {self._ticks.count} events")
            for printer in self._printers.peers.values():
                wait_recovered(printer)
            self._printers.wait_known()
            time.sleep(1.0)
        self._printers.end_print()
        for name, items in self._printers.printed().items():
            self._books[name].promised |= items
        self._check()
        self._show()

    def _fail(self, one: Round) -> None:
        printer = one.target.printer
        wait_recovered(printer)
        crossings = self._crossings if printer.name == OTHER else ()
        for crossing in crossings:
            crossing.begin_gap()
        one.failure(one.target, one.seconds)
        # The others may still be away when the next failure comes
        if printer.name in (OTHER, LED):
            wait_recovered(printer)
        for crossing in crossings:
            crossing.end_gap()
        if printer.name == LED:
            self._printers.wait_adopted()
        time.sleep(one.pause)
        assert self._printers.host.state() == "ready", self._printers.host.tail()

    def _check(self) -> None:
        assert self._printers.host.mcu_dump()["late_count"] == 0
        self._printers.wait_adopted()
        for crossing in self._crossings:
            crossing.check()
        for name, peer in self._printers.peers.items():
            truth = str(self._ticks.truth)
            peer.wait_line(f"told {truth}", 20.0)
            told = prefixed(peer, "told ")
            assert told[-1] == truth, (name, told[-3:])
            self._books[name].check()
        self._check_replies()
        self._check_lifecycle()
        check_log(self._printers.host)

    def _check_replies(self) -> None:
        """What the printers trigger themselves arrives once; some is missing for each failure.

        Klipper does not answer a remote call, so nobody knows about these.
        """
        for name, peer in self._printers.peers.items():
            ran = prefixed(peer, "crossed tick " if name == OTHER else "did tick ")
            expected = [number for number in ran if int(number) % REPLIED == 0]
            replies = prefixed(self._printers.host, f"reply {name} ")
            assert len(replies) == len(set(replies)), (name, "replies twice", replies)
            # More than expected: a macro calls before it prints, and its printer may end in between
            missing = [number for number in expected if number not in replies]
            assert len(missing) <= LOST_REPLIES * self._failures_of[name], (name, missing)

    def _check_lifecycle(self) -> None:
        """Printers connect and disconnect by turns, for the macros of the host and of OTHER."""
        for name in NAMES:
            lines = prefixed(self._printers.host, "lifecycle ")
            turns = [line.split()[0] for line in lines if line.split()[1:] == [name]]
            check_turns(turns, name)
        turns = []
        for line in prefixed(self._printers.other, "lifecycle "):
            turns.append(line.split()[0])
            if line == "ready":  # a new session of its router
                turns.clear()
            check_turns(turns, "main")

    def _show(self) -> None:
        self._say(str(dict(self._failures)))
        total: Counter[str] = collections.Counter()
        for name, book in self._books.items():
            total.update(book.figures())
            refused = self._ticks.refused[name]
            self._say(f"{name}: {book.figures()}, refused at once: {refused}")
        for crossing in self._crossings:
            self._say(f"{crossing.name} to {crossing.printer.name}: {crossing.figures()}")
        self._say(f"all printers: {dict(total)}")


def check_turns(turns: List[str], name: str) -> None:
    """One is connected first, then disconnected, and so on."""
    expected = ["connected", "disconnected"] * len(turns)
    assert turns == expected[: len(turns)], (name, turns)


def chaos(rounds: int, seed: int, kind: str, peer_kind: str, say: Say = print) -> None:
    """Raises AssertionError when the print was affected or something is not accounted for."""
    with Printers(kind, peer_kind, seed) as printers:
        printers.start()
        run = Chaos(printers, seed, say)
        run.run(plan(rounds, seed, run.targets))


def main(
    rounds: str = "200", seed: str = "1", kind: str = "kalico", peer_kind: str = "kalico"
) -> None:
    chaos(int(rounds), int(seed), kind, peer_kind, lambda line: print(f"chaos: {line}", flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
