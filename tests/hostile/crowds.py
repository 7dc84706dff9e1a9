"""Peers and API clients that misbehave by being many, slow or large, and not by what they say."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import socket
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

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
        time.sleep(0.3)  # until the peer is ready
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


class _Subscribing(FakePeer):
    """A healthy peer that may have an API client on the host; both subscribe once it is ready."""

    def became_ready(self, connection: Connection) -> None:
        """The host knows its commands."""

    def client_requests(self) -> List[Dict[str, Any]]:
        """What its client sends; without any there is no client."""
        return []

    reads = True  # whether the client does

    def answer(self, connection: Connection, request: Dict[str, Any]) -> None:
        super().answer(connection, request)
        if request["method"] == "gcode/help":
            self.became_ready(connection)
            if self.client_requests() and not hasattr(self, "_client"):
                self._client = _ApiClient(self.host, self.client_requests(), self.reads)


class SlowReader(_Subscribing):
    """Reads 4 KiB at a time, 20 times a second, and its API client on the host reads nothing.

    That client is subscribed to its status and to its events, of which it sends many.
    """

    TEXT = "x" * 4000
    read_size = 4096

    reads = False
    _ready: Optional[Connection] = None

    def became_ready(self, connection: Connection) -> None:
        self._ready = connection  # the router ends a connection that calls it any earlier

    def client_requests(self) -> List[Dict[str, Any]]:
        template = {"event": "slow", "gcode": "", "response_template": {"method": "event"}}
        return [
            _subscribe("evil", {"toolhead": None}, "status"),
            {"method": "router/event/subscribe", "params": template},
        ]

    def wants_to_read(self, connection: Connection) -> bool:
        return time.monotonic() % 0.05 < 0.002

    def beat(self, connection: Connection, now: float) -> None:
        due = self.due(connection, now, 100)
        for _ in range(due if connection is self._ready else 0):
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


class Subscriptions250(_Subscribing):
    """250 of its macros subscribe to one status of the host, 250 subscriptions of an API client to
    one of its own, which changes four times a second as the host's does.
    """

    COUNT = 250

    def client_requests(self) -> List[Dict[str, Any]]:
        return [_subscribe("evil", {"toolhead": None}, f"client_{i}") for i in range(self.COUNT)]

    def became_ready(self, connection: Connection) -> None:
        for i in range(self.COUNT):
            self.call(
                connection,
                "router/objects/subscribe",
                target="main",
                objects={"gcode_move": None, "toolhead": None},
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
        if "configfile" in params["objects"]:
            return {"configfile": {"settings": device_objects.SETTINGS}}
        return {**super().status(params), **device_objects.snapshot(0)}

    def beat(self, connection: Connection, now: float) -> None:
        if now > connection.began + self.INTERVAL:
            self.close(connection)
        elif self.due(connection, now, 4):
            self.update(connection, **device_objects.changes(int(connection.count)))


class Message64k(_Subscribing):
    """Messages of all kinds that are nearly as long as is allowed, ten a second.

    One of its macros is subscribed to its status.
    """

    SIZE = 65000

    def became_ready(self, connection: Connection) -> None:
        self.call(
            connection,
            "router/objects/subscribe",
            target="evil",
            objects={"toolhead": None},
            gcode_callback="SHOW",
        )

    def answer(self, connection: Connection, request: Dict[str, Any]) -> None:
        if request["params"].get("script") == "PRINT":
            self.call(connection, "router/gcode/output", response="\n" * (self.SIZE // 2))
        super().answer(connection, request)

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 10)):
            kind = int(connection.count) % 7
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
            elif kind == 5:  # a script of its own, for which it prints many lines
                self.call(connection, "router/gcode/script", target="evil", script="PRINT")
            else:
                context = {f"key_{i}": i for i in range(self.SIZE // 16)}
                self.call(connection, "router/event/trigger", event="large", context=context)


class Forwarded64k(Message64k):
    """The same, and an API client of the host is subscribed to its status.

    Klippy's own encoder takes most of the time: 65 KB of JSON with a single list of numbers 2.5 ms.
    """

    def client_requests(self) -> List[Dict[str, Any]]:
        return [_subscribe("evil", {"toolhead": None}, "status")]


class LargeLists(_Subscribing):
    """Answers with thousands of names, and requests with thousands of them, ten a second.

    The host has all of its commands that it can have (proxy_commands: NAME*).
    """

    peers = ("lists",)
    NAMES = [f"NAME{i}" for i in range(5000)]
    OBJECTS: Objects = dict.fromkeys(NAMES[:3500])
    FIELDS = {name: i for i, name in enumerate(NAMES[:3500])}
    RESULTS: Dict[str, Any] = {
        "list_endpoints": {"endpoints": ["gcode/script", *NAMES]},
        "gcode/help": dict.fromkeys(NAMES[:3500], ""),
        "objects/list": {"objects": NAMES},
        "objects/query": {"eventtime": 1.0, "status": {"toolhead": FIELDS}},
        "list_values": FIELDS,
    }

    def result(self, request: Dict[str, Any]) -> Any:
        return self.RESULTS.get(request["method"]) or super().result(request)

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 10)):
            calls = self.calls()
            method, params = calls[int(connection.count) % len(calls)]
            self.call(connection, method, **params)
            self.call(connection, "router/gcode/output", response=self.NAMES)  # and not text
            self.update(connection, **dict.fromkeys(self.NAMES[:4000], {}))

    def calls(self) -> List[Tuple[str, Dict[str, Any]]]:
        """The methods that take a list, or whose answer is one."""
        shown = {"target": "lists", "gcode_callback": "SHOW"}
        script, subscribe = "router/gcode/script", "router/objects/subscribe"
        return [
            (script, {"target": self.NAMES, "script": "M118"}),
            (script, {"target": ",".join(self.NAMES), "script": "M118"}),
            (subscribe, dict(shown, objects=self.OBJECTS)),
            (subscribe, dict(shown, objects=",".join(self.NAMES))),
            (subscribe, dict(shown, objects={"toolhead": self.NAMES})),
            ("router/objects/query", dict(shown, objects={"toolhead": None})),
            ("router/objects/query", dict(shown, target="main", objects=self.OBJECTS)),
            ("router/objects/list", shown),
            ("router/call", dict(shown, endpoint="list_values")),
            ("router/call", dict(shown, endpoint="objects/list")),
            (subscribe, {"target": "lists", "objects": {"no": None}, "gcode_callback": "SHOW"}),
        ]
