"""Soak: a host with 8 busy peers for many minutes; its memory and open files must not grow.

`python -m tests.hostile.soak MINUTES [HOST_KIND]`. Also: what one idle peer costs in memory.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import statistics
import sys
import time
from pathlib import Path
from typing import List, Tuple

from tests.lab import config, processes
from tests.lab.lab import Lab
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PEERS = 8
KIB = 1024
HOST = """
[gcode_macro SHOW]
gcode:
[router]
"""
REAL_PEER = """
[gcode_macro SHOW]
gcode:
[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    {% if params.PRINTER == "main" %}
    {action_call_remote_method("router/objects/subscribe", target="main",
        objects={"toolhead": None, "system_stats": None}, gcode_callback="SHOW")}
    {action_call_remote_method("router/event/subscribe", event="soak", gcode="SHOW")}
    {% endif %}
"""


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
        host = lab.printer(kind, "main", config.printing(HOST + sections, "fake"), mcu="fake")
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


def soak(minutes: float, kind: str) -> None:
    """Raises AssertionError when memory or files have grown."""
    with Lab() as lab:
        names = [f"x{i}" for i in range(PEERS)]
        sections = "".join(f"[router {n}]\nsock: {lab.sock(n)}\n" for n in names)
        host = lab.printer(kind, "main", config.printing(HOST + sections, "fake"), mcu="fake")
        peers = [lab.printer("kalico", name, config.printing(REAL_PEER)) for name in names]
        lab.wait_ready()
        samples: List[Tuple[int, int]] = []
        begin = time.monotonic()
        print(f"soak: {minutes:g} minutes, {PEERS} peers, host {kind}", flush=True)
        shown = 0
        number = 0
        while time.monotonic() < begin + minutes * 60:
            number += 1
            host.call("router/event/trigger", {"event": "soak", "context": {"n": number}})
            host.script(f"ROUTER_GCODE_SCRIPT TARGET=x{number % PEERS} SCRIPT=SHOW")
            if number % 300 == 0:
                peers[number // 300 % PEERS].restart()
            time.sleep(0.1)
            samples.append(usage(host))
            elapsed = int((time.monotonic() - begin) / 60)
            if elapsed > shown:
                shown = elapsed
                print(f"soak: {shown:4} min {samples[-1][0]:8} KiB {samples[-1][1]:4} files")
                sys.stdout.flush()
        third = len(samples) // 3
        early = statistics.median(memory for memory, _ in samples[third : 2 * third])
        late = statistics.median(memory for memory, _ in samples[2 * third :])
        files = [count for _, count in samples]
        print(f"soak: memory {early:.0f} -> {late:.0f} KiB, files {min(files)} to {max(files)}")
        assert late - early < 1024, "the host's memory grows"
        assert statistics.median(files[2 * third :]) <= statistics.median(files[third : 2 * third])
        assert host.state() == "ready"


def main(minutes: str = "30", kind: str = "kalico") -> None:
    print(f"soak: an idle peer costs the host {idle_peer_memory(kind):.0f} KiB", flush=True)
    soak(float(minutes), kind)


if __name__ == "__main__":
    main(*sys.argv[1:])
