"""Soak: the printers of tests.hostile.chaos for many minutes, with a failure now and then.

The memory and the open files of the host must not grow. Also: what one idle peer costs in memory.
`python -m tests.hostile.soak MINUTES [HOST_KIND]`
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Iterable, Iterator, List, Tuple

from tests.hostile.chaos import Chaos
from tests.hostile.failures import Round, plan
from tests.hostile.printers import Printers
from tests.lab import config, processes
from tests.lab.lab import Lab
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
KIB = 1024
APART = 20.0  # seconds from one failure to the next
SEED = 1


def usage(printer: LabPrinter) -> Tuple[int, int]:
    """(resident memory in KiB, open files) of its Klippy."""
    assert printer.process
    folder = Path("/proc") / str(printer.process.pid)
    pages = int((folder / "statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // KIB, len(list((folder / "fd").iterdir()))


def idle_peer_memory(kind: str, count: int = 64) -> float:
    """KiB of the host for each connected idle peer."""

    def host_memory(lab: Lab, peers: int) -> int:
        socks = [lab.sock(f"x{i}") for i in range(peers)]
        for sock in socks:
            Path(sock).parent.mkdir()
        module = [sys.executable, "-m", "tests.hostile.ways", "Healthy", lab.sock("main"), *socks]
        fakes = processes.spawn(module, cwd=str(ROOT))
        sections = "".join(f"[router x{i}]\nsock: {sock}\n" for i, sock in enumerate(socks))
        host = lab.printer(
            kind, "main", config.printing("[router]\n" + sections, "fake"), mcu="fake"
        )
        lab.wait_ready()

        def all_ready() -> bool:
            printers = host.query(["router"])["router"]["printers"]
            return all(printer["ready"] for printer in printers.values())

        wait_until(all_ready, 60.0, "peers ready", [host])
        time.sleep(5.0)
        memory = usage(host)[0]
        processes.end(fakes)
        return memory

    with Lab() as none, Lab() as many:
        return (host_memory(many, count) - host_memory(none, 0)) / count


class Samples:
    """Memory and open files of a printer, one sample a second; shown once a minute."""

    def __init__(self, printer: LabPrinter, minutes: float) -> None:
        self._printer, self._seconds = printer, minutes * 60
        self._begin = time.monotonic()
        self.taken: List[Tuple[int, int]] = []

    def elapsed(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._begin

    def take_for(self, seconds: float) -> None:
        """Take samples for so long."""
        end = min(self.elapsed() + seconds, self._seconds)
        while self.elapsed() < end:
            self.taken.append(usage(self._printer))
            if len(self.taken) % 60 == 0:
                memory, files = self.taken[-1]
                print(f"soak: {self.elapsed() / 60:4.0f} min {memory:8} KiB {files:4} files")
                sys.stdout.flush()
            time.sleep(1.0)

    def between(self, rounds: Iterable[Round]) -> Iterator[Round]:
        """These failures, with pauses in which samples are taken, until the time is over."""
        for one in rounds:
            self.take_for(APART)
            if self.elapsed() >= self._seconds:
                return
            yield one

    def check(self) -> None:
        """Raises AssertionError if one of them has grown from the second third to the last."""
        third = len(self.taken) // 3
        early, late = self.taken[third : 2 * third], self.taken[2 * third :]
        memory = [statistics.median(memory for memory, _ in part) for part in (early, late)]
        files = [statistics.median(count for _, count in part) for part in (early, late)]
        first, last = self.taken[0], self.taken[-1]
        print(f"soak: first {first[0]} KiB, {first[1]} files; last {last[0]} KiB, {last[1]} files")
        print(f"soak: medians of the second and last third: {memory} KiB, {files} files")
        assert memory[1] - memory[0] < 1024, "the host's memory grows"
        assert files[1] <= files[0], "the host's open files grow"


def soak(minutes: float, kind: str) -> None:
    """Raises AssertionError when memory or files have grown, or the books do not balance."""
    print(f"soak: {minutes:g} minutes, host {kind}", flush=True)
    with Printers(kind, "kalico", SEED) as printers:
        printers.start()
        samples = Samples(printers.host, minutes)
        run = Chaos(printers, SEED, lambda line: print(f"soak: {line}", flush=True))
        rounds = plan(int(minutes * 60 / APART) + 1, SEED, run.targets)
        run.run(samples.between(rounds))
        samples.check()


def main(minutes: str = "30", kind: str = "kalico") -> None:
    print(f"soak: an idle peer costs the host {idle_peer_memory(kind):.0f} KiB", flush=True)
    soak(float(minutes), kind)


if __name__ == "__main__":
    main(*sys.argv[1:])
