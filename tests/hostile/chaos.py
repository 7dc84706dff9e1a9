"""Random failures of real peers while the host prints; every event must be accounted for.

`python -m tests.hostile.chaos [ROUNDS [SEED [HOST_KIND [PEER_KIND]]]]`
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import collections
import os
import random
import re
import sys
import threading
import time
from typing import Any, Callable, Dict, List

from klippy_extras.router.events.reports import SUMMARY_DELAY
from tests.lab import config
from tests.lab.api import Api, ApiClosed, ApiError
from tests.lab.lab import Lab
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until

PEERS = ("p1", "p2", "p3")
HOST = """
[force_move]
enable_force_move: True
[router]
{peers}
[gcode_macro TRUTH]
variable_value: 0
gcode:
[gcode_macro ROUTER_ON_ERROR]
gcode:
    M118 report TARGET={{params.TARGET}}
"""
PEER = """
[gcode_macro ROUTER_ON_READY]
gcode:
    {action_call_remote_method("router/event/subscribe", event="tick", gcode="TICK")}
    {action_call_remote_method("router/objects/subscribe", target="main",
        objects={"gcode_macro TRUTH": ["value"]}, gcode_callback="TOLD")}
[gcode_macro TICK]
gcode:
    M118 tick {params.N}
[gcode_macro TOLD]
gcode:
    M118 told {params.GCODE_MACRO_TRUTH_VALUE}
"""


class Counts:
    """The events that were triggered, and for each peer those delivered and refused."""

    def __init__(self) -> None:
        self.delivered: Dict[str, List[int]] = {peer: [] for peer in PEERS}
        self.failed: Dict[str, int] = collections.Counter()
        self.triggered = 0


class Events(threading.Thread):
    """Triggers an event 20 times a second and changes a status of the host with each."""

    def __init__(self, host: LabPrinter, counts: Counts) -> None:
        super().__init__(daemon=True)
        self.host, self.counts = host, counts
        self.stopping = threading.Event()
        self.error: List[BaseException] = []

    def run(self) -> None:
        try:
            with self.host.api(timeout=30.0) as api:
                while not self.stopping.is_set():
                    self._tick(api)
                    time.sleep(0.05)
        except (ApiClosed, ApiError, TimeoutError) as e:
            self.error.append(e)

    def _tick(self, api: Api) -> None:
        self.counts.triggered += 1
        number = self.counts.triggered
        script = f"SET_GCODE_VARIABLE MACRO=TRUTH VARIABLE=value VALUE={number}"
        api.call("gcode/script", {"script": script}, timeout=30.0)
        params = {"event": "tick", "context": {"n": number}}
        result = api.call("router/event/trigger", params, timeout=30.0)
        for peer in result["delivered"]:
            self.counts.delivered[peer].append(number)
        for peer in result["failed"]:
            self.counts.failed[peer] += 1


def kill(peer: LabPrinter) -> None:
    peer.kill()
    peer.start()


def freeze(peer: LabPrinter) -> None:
    peer.freeze()
    time.sleep(random.choice((0.1, 0.5, 1.5)))
    peer.thaw()


def restart(peer: LabPrinter) -> None:
    peer.begin_restart()


def firmware_restart(peer: LabPrinter) -> None:
    peer.begin_restart(firmware=True)


def emergency(peer: LabPrinter) -> None:
    peer.script("M112")
    peer.wait_state("shutdown")
    peer.begin_restart(firmware=True)


def remove_socket(peer: LabPrinter) -> None:
    os.unlink(peer.sock)
    time.sleep(0.2)
    kill(peer)  # Klippy makes it again when it starts


FAILURES: List[Callable[[LabPrinter], None]] = [
    kill,
    freeze,
    restart,
    firmware_restart,
    emergency,
    remove_socket,
]


def chaos(
    rounds: int, seed: int, kind: str, peer_kind: str, say: Callable[[str], None] = print
) -> None:
    """Raises AssertionError when the print was affected or an event is not accounted for."""
    choice = random.Random(seed)
    random.seed(seed)
    with Lab(kind, peer_kind) as lab:
        sections = "".join(f"[router {p}]\nsock: {lab.sock(p)}\ntimeout: 1.0\n" for p in PEERS)
        text = config.moving(HOST.format(peers=sections))
        host = lab.add(kind, "main", text, mcu="fake", strict=True)
        lines = ["SET_KINEMATIC_POSITION X=10 Y=10 Z=10"]
        for i in range(200000):
            x, y = ((10, 10), (30, 10), (30, 30), (10, 30))[i % 4]
            lines.append(f"G1 X{x + i % 7} Y{y} F6000")
        (host.gcodes / "long.gcode").write_text("\n".join(lines) + "\n")
        host.start()
        peers = [lab.peer(name, config.printing(PEER, "fake"), mcu="fake") for name in PEERS]
        lab.wait_ready()
        until_ready(host)
        host.script("SDCARD_PRINT_FILE FILENAME=long.gcode")
        counts = Counts()
        events = Events(host, counts)
        events.start()
        done: Dict[str, int] = collections.Counter()
        for number in range(rounds):
            failure, peer = choice.choice(FAILURES), choice.choice(peers)
            failure(peer)
            done[failure.__name__] += 1
            peer.wait_ready()
            time.sleep(choice.choice((0.0, 0.3, 1.0)))
            assert host.state() == "ready", host.tail()
            if (number + 1) % 20 == 0:
                say(f"chaos: {number + 1} rounds, {counts.triggered} events")
        until_ready(host)
        time.sleep(1.0)
        events.stopping.set()
        events.join()
        assert not events.error, events.error
        check(host, peers, counts)
        say(f"chaos: {dict(done)}")
        for peer in peers:
            say(f"chaos: {peer.name}: {totals(peer, host, counts)}")


def until_ready(host: LabPrinter) -> None:
    def ready() -> bool:
        printers = host.query(["router"])["router"]["printers"]
        return all(printers[name]["ready"] for name in PEERS)

    wait_until(ready, 30.0, "all peers ready", [host])


def ticks(peer: LabPrinter) -> List[int]:
    """The events that it has received, in order."""
    found = (re.search(r"tick (\d+)", line) for line in peer.console)
    return [int(match.group(1)) for match in found if match]


def totals(peer: LabPrinter, host: LabPrinter, counts: Counts) -> Dict[str, Any]:
    seen = ticks(peer)
    reports = sum(f"report TARGET={peer.name}" in line for line in host.console)
    # Of many alike some are only counted, and of very many not even per printer
    left_out = re.compile(rf"Router: ({peer.name}\b.*\((\d+) more like|(\d+) more errors?) ")
    for found in filter(None, map(left_out.search, host.console)):
        reports += int(found.group(2) or found.group(3))
    return {
        "delivered": len(counts.delivered[peer.name]),
        "seen": len(seen),
        "seen twice": len(seen) - len(set(seen)),
        "reported": reports,
        "refused": counts.failed[peer.name],
    }


def wait_reported(peer: LabPrinter, host: LabPrinter, counts: Counts, lost: int) -> None:
    """Wait until at least so many events are reported as not received by the peer."""
    wait_until(
        lambda: totals(peer, host, counts)["reported"] >= lost,
        2 * SUMMARY_DELAY,
        f"reports of what {peer.name} did not get: {lost}",
        [host],
    )


def check(host: LabPrinter, peers: List[LabPrinter], counts: Counts) -> None:
    """The print goes on, no event is lost silently or run twice, and the last status is right."""
    state = host.query({"print_stats": ["state", "message"]})["print_stats"]
    assert state["state"] == "printing", state
    assert host.mcu_dump()["late_count"] == 0
    for peer in peers:
        last = f"tick {counts.delivered[peer.name][-1]}"
        peer.wait_line(last, 20.0)
        peer.wait_line(f"told {counts.triggered}", 20.0)
        seen, delivered = ticks(peer), counts.delivered[peer.name]
        wait_reported(peer, host, counts, len(delivered) - len(seen))
        figures = totals(peer, host, counts)
        assert figures["seen twice"] == 0, (peer.name, figures)
        assert set(seen) <= set(delivered), (peer.name, sorted(set(seen) - set(delivered))[:10])
        assert seen == sorted(seen), (peer.name, "not in the order triggered")
        told = [line for line in peer.console if "told " in line]
        assert told[-1].endswith(f"told {counts.triggered}"), told[-3:]
    assert "internal error" not in host.log_text()


def main(
    rounds: str = "200", seed: str = "1", kind: str = "kalico", peer_kind: str = "kalico"
) -> None:
    chaos(int(rounds), int(seed), kind, peer_kind, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
