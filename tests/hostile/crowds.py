"""Peers and API clients that misbehave by being many, slow or large, and not by what they say."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import socket
import threading
import time
from typing import Any, Dict, List, Optional

from tests.bench import device_objects

from .fake_peers import ETX, Connection, FakePeer

Objects = Dict[str, Optional[List[str]]]


class _ApiClient:
    """A client of the host's API, on a thread of its own; connects again when it is disconnected.

    requests: what it sends as soon as it is connected. reads: whether it ever reads.
    """

    def __init__(self, host: str, requests: List[Dict[str, Any]], reads: bool) -> None:
        self._host, self._requests, self._reads = host, requests, reads
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as sock:
                    sock.connect(self._host)
                    for number, request in enumerate(self._requests):
                        sock.sendall(json.dumps({"id": number, **request}).encode() + ETX)
                    while self._reads and sock.recv(65536):
                        pass
                    while not self._reads:
                        sock.sendall(b'{"id":1,"method":"info","params":{}}' + ETX)
                        time.sleep(0.5)
            except OSError:
                time.sleep(0.1)


def _subscribe(target: str, objects: Objects, method: str) -> Dict[str, Any]:
    params = {"target": target, "objects": objects, "response_template": {"method": method}}
    return {"method": "router/objects/subscribe", "params": params}


class SlowReader(FakePeer):
    """Reads 4 KiB at a time, 20 times a second, and its API client on the host reads nothing.

    That client is subscribed to its status and to its events, of which it sends many.
    """

    TEXT = "x" * 4000
    read_size = 4096

    def opened(self, connection: Connection) -> None:
        if len(self.connections) == 1 and not hasattr(self, "_client"):
            template = {"event": "slow", "gcode": "", "response_template": {"method": "event"}}
            requests = [
                _subscribe("evil", {"toolhead": None}, "status"),
                {"method": "router/event/subscribe", "params": template},
            ]
            self._client = _ApiClient(self.host, requests, reads=False)

    def wants_to_read(self, connection: Connection) -> bool:
        return time.monotonic() % 0.05 < 0.002

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 100)):
            context = {"text": self.TEXT}
            self.call(connection, "router/event/trigger", event="slow", context=context)
            self.update(connection, toolhead={"position": [now, connection.count, self.TEXT]})
            self.call(connection, "router/printers/list", gcode_callback="ROUTER_ON_CONNECTED")


class Reconnecting64(FakePeer):
    """64 peers that are all disconnected at the same moment, every 1.5 seconds."""

    INTERVAL = 1.5
    peers = tuple(f"r{i}" for i in range(64))

    def beat(self, connection: Connection, now: float) -> None:
        if connection.began // self.INTERVAL != now // self.INTERVAL:
            self.close(connection)


class Subscriptions250(FakePeer):
    """250 of its macros subscribe to one status of the host, 250 subscriptions of an API client to
    one of its own, which changes four times a second as the host's does.
    """

    COUNT = 250

    def opened(self, connection: Connection) -> None:
        names = [f"subscriber_{i}" for i in range(self.COUNT)]
        requests = [_subscribe("evil", {"toolhead": None}, name) for name in names]
        if not hasattr(self, "_client"):
            self._client = _ApiClient(self.host, requests, reads=True)

    def answer(self, connection: Connection, request: Dict[str, Any]) -> None:
        super().answer(connection, request)
        for i in range(self.COUNT if request["method"] == "gcode/help" else 0):
            self.call(
                connection,
                "router/objects/subscribe",
                target="main",
                objects={"motion_report": None, "toolhead": None},
                gcode_callback="ON_STATUS_" + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i % 26] * (1 + i // 26),
            )

    def beat(self, connection: Connection, now: float) -> None:
        if self.due(connection, now, 4):
            self.update(connection, toolhead={"position": [now, connection.count]})


class Devices40(FakePeer):
    """40 objects that are devices of the host, all of which change four times a second.

    It disconnects every 1.5 seconds, so that all of their status and settings are read again.
    """

    INTERVAL = 1.5
    peers = ("devices",)

    def status(self, params: Dict[str, Any]) -> Dict[str, Any]:
        settings = {"configfile": {"settings": device_objects.SETTINGS}}
        return {**super().status(params), **device_objects.snapshot(0), **settings}

    def beat(self, connection: Connection, now: float) -> None:
        if now > connection.began + self.INTERVAL:
            self.close(connection)
        elif self.due(connection, now, 4):
            self.update(connection, **device_objects.changes(int(connection.count)))


class Message64k(FakePeer):
    """Messages of all kinds that are nearly as long as is allowed, ten a second.

    An API client and a macro are subscribed to its status.
    """

    SIZE = 65000

    def opened(self, connection: Connection) -> None:
        if not hasattr(self, "_client"):
            requests = [_subscribe("evil", {"toolhead": None}, "status")]
            self._client = _ApiClient(self.host, requests, reads=True)
        self.call(
            connection,
            "router/objects/subscribe",
            target="evil",
            objects={"toolhead": None},
            gcode_callback="SHOW",
        )

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 10)):
            kind = int(connection.count) % 6
            if kind == 0:  # as a heightmap or a list of colors
                self.update(connection, toolhead={"position": [now] + [0.5] * (self.SIZE // 5)})
            elif kind == 1:
                fields = {f"field_{i}": {"value": now, "name": "text"} for i in range(1000)}
                self.update(connection, toolhead=fields)
            elif kind == 2:
                self.update(connection, toolhead={"message": "\u00e9\n" * (self.SIZE // 8)})
            elif kind == 3:
                self.update(connection, toolhead={"rows": [[now, [], {}]] * (self.SIZE // 32)})
            elif kind == 4:
                self.call(connection, "router/gcode/output", response="x" * self.SIZE)
            else:
                context = {f"key_{i}": i for i in range(self.SIZE // 16)}
                self.call(connection, "router/event/trigger", event="large", context=context)
