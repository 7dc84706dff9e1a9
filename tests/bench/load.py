"""What the router costs its host: CPU, memory and lateness, with light peers and their devices."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Hosts with 0, 1, 4, 16 and 64 peers run side by side, all idle but the one that is being
# measured, so that what the machine does besides hits all of them alike.
import json
import subprocess
import sys
import time
from contextlib import ExitStack
from typing import Any, Callable, Collection, Dict, List, NamedTuple, Tuple

from tests.lab import config, processes
from tests.lab.api import Api
from tests.lab.closing import Closing
from tests.lab.klippers import ROOT
from tests.lab.lab import Lab
from tests.lab.waiting import wait_until

from .clients import Interface
from .device_objects import OBJECTS
from .figures import KIB, SHARE, Figure, Figures, of_samples
from .light_peers import OBJECT

CALLBACK = "ON_THING"
UNWANTED = 200
UPDATES_HZ = 400.0
TRIES = 10
STREAM_PEERS, STREAM_HZ = 16, 4.0
HOSTS = {"h0": 0, "h1": 1, "h4": 4, "h16": 16, "h64": 64, "busy4": 4, "late": 16}
# Their peer has objects that are devices of the host
DEVICE_HOSTS = ("devices", "devices_late")
HOSTS.update(dict.fromkeys(DEVICE_HOSTS, 1))
# What each row needs, besides h0
NEEDS = {
    "update": ["h4"],
    "update_64": ["h64"],
    "update_unwanted": ["busy4"],
    "idle_1": ["h1"],
    "idle_4": ["h4"],
    "idle_16": ["h16"],
    "idle_64": ["h64"],
    "memory": ["h64"],
    "stream": ["h16"],
    "late_before": ["late"],
    "late": ["late"],
    "devices": ["devices"],
    "devices_callback": ["devices_late"],
    "devices_connect": ["devices_late"],
}
UPDATE_HOSTS = {"update": "h4", "update_64": "h64", "update_unwanted": "busy4"}


class Effort(NamedTuple):
    """Seconds, but for slices."""

    idle: float
    slices: int
    slice: float
    stream: float


class _Host:
    """A printer with light peers p0, p1, ...; p0 subscribes to others."""

    def __init__(self, lab: Lab, kind: str, name: str, count: int) -> None:
        folder = lab.folder / f"{name}_peers"
        folder.mkdir()
        socks = [str(folder / f"p{i}") for i in range(count)]
        has_devices = name in DEVICE_HOSTS
        content = "devices" if has_devices else "thing"
        module = [sys.executable, "-m", "tests.bench.light_peers", content, *socks]
        self._peers = processes.spawn(
            module, cwd=str(ROOT), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._read()
        sections = "[lab_stamp]\n" + "[lab_lateness]\n" * name.endswith("late")
        sections += "[router]\n" * (count > 0)
        sections += "".join(f"[router p{i}]\nsock: {sock}\n" for i, sock in enumerate(socks))
        if has_devices:
            sections += "objects:\n" + "".join(f"  {name}\n" for name in OBJECTS)
        self.count = count
        self.printer = lab.printer(kind, name, config.minimal(sections, "fake"), mcu="fake")
        self._api: List[Api] = []

    def wait_peers(self) -> None:
        def ready() -> bool:
            printers = self.printer.call("router/printers/list")["printers"]
            return all(printer["ready"] for printer in printers)

        if self.count:
            wait_until(ready, 60.0, f"{self.count} peers ready", [self.printer])

    def usage(self) -> Dict[str, float]:
        """cpu: seconds of Klippy's main thread; memory: KiB; at: time.monotonic()."""
        if not self._api:
            self._api = [self.printer.api()]
        usage: Dict[str, float] = self._api[0].call("lab/usage")
        usage["at"] = time.monotonic()
        return usage

    def call(self, peer: int, method: str, **params: Any) -> None:
        self._do("call", peer=peer, method=method, params=params)

    def subscribe(self, source: int) -> None:
        """p0 gets every update of this peer."""
        objects = {OBJECT: None}
        self._subscribe(0, source, objects, CALLBACK)

    def subscribe_to_other_things(self, source: int, count: int) -> None:
        """Subscriptions of p1 whose objects this peer never updates."""
        for i in range(count):
            self._subscribe(1, source, {f"other_{i}": None}, f"ON_OTHER_{chr(65 + i % 26)}{i}")

    def _subscribe(self, owner: int, source: int, objects: Any, callback: str) -> None:
        self.call(
            owner,
            "router/objects/subscribe",
            target=f"p{source}",
            objects=objects,
            gcode_callback=callback,
        )

    def stream(self, peers: List[int], hz: float, seconds: float) -> Dict[str, Any]:
        return self._do("stream", peers=peers, hz=hz, seconds=seconds)

    def _do(self, what: str, **params: Any) -> Dict[str, Any]:
        assert self._peers.stdin
        self._peers.stdin.write(json.dumps({"do": what, **params}).encode() + b"\n")
        self._peers.stdin.flush()
        return self._read()

    def _read(self) -> Dict[str, Any]:
        assert self._peers.stdout
        line = self._peers.stdout.readline()
        if not line:
            raise RuntimeError("the light peers have ended")
        answer: Dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        processes.end(self._peers)


class Hosts(Closing):
    """The hosts that the requested rows need, ready and settled."""

    def __init__(self, kind: str, wanted: Collection[str]) -> None:
        self._wanted = [row for row in NEEDS if row in wanted]
        self._stack = ExitStack()
        names = {"h0", *(name for row in self._wanted for name in NEEDS[row])}
        try:
            lab = self._stack.enter_context(Lab())
            self._hosts = {
                name: _Host(lab, kind, name, HOSTS[name]) for name in HOSTS if name in names
            }
            for host in self._hosts.values():
                self._stack.callback(host.close)
            lab.wait_ready()
            for host in self._hosts.values():
                host.wait_peers()
            time.sleep(1.0)
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        self._stack.close()

    def measure(self, effort: Effort) -> Figures:
        figures = self._devices_connect()
        # Idle first: subscriptions stay
        figures.update({**self._idle(effort), **self._late(effort)})
        figures.update(self._updates(effort))
        figures.update(self._stream(effort))
        figures.update(self._devices(effort))
        figures.update(self._devices_callback(effort))
        return {row: figures[row] for row in self._wanted if row in figures}

    def _idle(self, effort: Effort) -> Figures:
        figures: Figures = {}
        before = {name: host.usage() for name, host in self._hosts.items()}
        time.sleep(effort.idle)
        after = {name: host.usage() for name, host in self._hosts.items()}
        shares = {name: _share(before[name], after[name]) for name in before}
        for name in ("h1", "h4", "h16", "h64"):
            if name in shares:
                row = f"idle_{HOSTS[name]}"
                figures[row] = Figure(100.0 * (shares[name] - shares["h0"]), None, SHARE)
        if "h64" in after:
            added = after["h64"]["memory"] - after["h0"]["memory"]
            figures["memory"] = Figure(added / HOSTS["h64"], None, KIB)
        return figures

    def _late(self, effort: Effort) -> Figures:
        host = self._hosts.get("late")
        if host is None:
            return {}
        figures: Figures = {}
        for row in ("late_before", "late"):
            if row == "late":
                for source in range(STREAM_PEERS):
                    host.subscribe(source)
                time.sleep(0.5)
            host.printer.call("lab/lateness/reset")
            if row == "late":
                host.stream(list(range(STREAM_PEERS)), STREAM_HZ, effort.stream)
            else:
                time.sleep(effort.stream)
            late = host.printer.call("lab/lateness")
            figures[row] = Figure(late["median"], late["p999"], samples=late["ticks"])
        return figures

    def _updates(self, effort: Effort) -> Figures:
        wanted = [(row, name) for row, name in UPDATE_HOSTS.items() if row in self._wanted]
        hosts = {row: self._hosts[name] for row, name in wanted}
        for row, host in hosts.items():
            host.subscribe(1)
            if row == "update_unwanted":
                host.subscribe_to_other_things(1, UNWANTED)
        time.sleep(0.5)
        costs: Dict[str, List[float]] = {row: [] for row in hosts}
        for number in range(effort.slices + 1 if hosts else 0):
            for row, host in hosts.items():
                cost = _cost(host, effort.slice)
                if number > 0:
                    costs[row].append(cost)
        return {row: of_samples(values) for row, values in costs.items()}

    def _stream(self, effort: Effort) -> Figures:
        if "stream" not in self._wanted:
            return {}
        host, idle = self._hosts["h16"], self._hosts["h0"]
        for source in range(STREAM_PEERS):
            host.subscribe(source)
        time.sleep(0.5)

        def stream() -> Dict[str, Any]:
            return host.stream(list(range(STREAM_PEERS)), STREAM_HZ, effort.stream)

        return {"stream": _share_of(stream, host, idle)}

    def _devices_connect(self) -> Figures:
        host = self._hosts.get("devices_late")
        if host is None:
            return {}
        # Since its start
        return {"devices_connect": _callbacks(host)}

    def _devices(self, effort: Effort) -> Figures:
        host, idle = self._hosts.get("devices"), self._hosts["h0"]
        if host is None:
            return {}
        stream = _DeviceStream(host, effort.stream)
        return {"devices": _share_of(stream.take, host, idle)}

    def _devices_callback(self, effort: Effort) -> Figures:
        host = self._hosts.get("devices_late")
        if host is None:
            return {}
        stream = _DeviceStream(host, effort.stream)
        host.printer.call("lab/lateness/reset")
        stream.take()
        return {"devices_callback": _callbacks(host)}


class _DeviceStream:
    """The devices of a host change, and a client is notified."""

    def __init__(self, host: _Host, seconds: float) -> None:
        self._host, self._seconds = host, seconds
        self._client = Interface(host.printer, OBJECTS)
        time.sleep(0.5)

    def take(self) -> Dict[str, Any]:
        """The numbers of updates that were sent by the peer and received by the client."""
        before = self._client.updates
        told = self._host.stream([0], STREAM_HZ, self._seconds)
        return {"sent": told["sent"], "scripts": self._client.updates - before}


def _callbacks(host: _Host) -> Figure:
    """CPU of the router's callbacks: median and maximum."""
    found = host.printer.call("lab/lateness")
    return Figure(found["callback_median"], found["callback_max"], samples=found["callbacks"])


def _share_of(stream: Callable[[], Dict[str, Any]], host: _Host, idle: _Host) -> Figure:
    """CPU that a stream takes the host, above that of an idle one."""

    def measure() -> Tuple[Dict[str, Any], float]:
        before, idle_before = host.usage(), idle.usage()
        told = stream()
        after, idle_after = host.usage(), idle.usage()
        return told, _share(before, after) - _share(idle_before, idle_after)

    return Figure(100.0 * _forwarded(measure), None, SHARE)


def _forwarded(measure: Callable[[], Tuple[Dict[str, Any], float]]) -> float:
    """The results of the peers and of measure(), from a time with hardly any merged updates."""
    for _ in range(TRIES):
        told, found = measure()
        if told["scripts"] > told["sent"] * 0.9:
            return found
        # The machine was busy with something else: late updates are merged, and cost less
    raise RuntimeError(f"{told['sent']} updates, but {told['scripts']} callbacks")


def _share(before: Dict[str, float], after: Dict[str, float]) -> float:
    return (after["cpu"] - before["cpu"]) / (after["at"] - before["at"])


def _cost(host: _Host, seconds: float) -> float:
    """CPU seconds for a forwarded update, above what the host takes anyway."""

    def measure() -> Tuple[Dict[str, Any], float]:
        begin = host.usage()
        time.sleep(0.2)
        before = host.usage()
        told = host.stream([1], UPDATES_HZ, seconds)
        after = host.usage()
        idle = _share(begin, before) * (after["at"] - before["at"])
        return told, (after["cpu"] - before["cpu"] - idle) / told["sent"]

    return _forwarded(measure)


def measure(kind: str, wanted: Collection[str], effort: Effort) -> Figures:
    """The requested rows of LOAD on this kind."""
    with Hosts(kind, wanted) as hosts:
        return hosts.measure(effort)
