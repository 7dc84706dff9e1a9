"""Peers that misbehave, each in its own way; see ways.py.

A FakePeer answers the router's requests as a Klippy does; its subclasses break one thing each.
Standard library only; a process of its own, so that it costs the measured Klippy nothing but what
it sends.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import os
import random
import selectors
import socket
import time
from typing import Any, Dict, List, Optional, Tuple

ETX = b"\x03"
OBJECTS = {"print_stats": {"state": "standby", "filename": ""}, "toolhead": {"position": [0, 0]}}


class Connection:
    """One connection of the router: its unread bytes, its unsent bytes, when it began."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.unread, self.unsent = b"", b""
        self.began = time.monotonic()
        self.closed = False
        self.count = 0.0  # whatever a subclass counts


class FakePeer:
    """Answers like a ready Klippy. beat() is called a thousand times a second at most."""

    backlog = 5
    read_size = 65536
    peers: Tuple[str, ...] = ("evil",)  # the names under which the host knows it

    def __init__(self, paths: List[str], host: str) -> None:
        self.paths, self.host = paths, host  # sockets: its own, and the host's
        self.random = random.Random(1)
        self.connections: List[Connection] = []

    # What a subclass may break

    def opened(self, connection: Connection) -> None:
        """The router connected."""

    def answer(self, connection: Connection, request: Dict[str, Any]) -> None:
        """A message of the router."""
        if "id" in request:
            self.send(connection, {"id": request["id"], "result": self.result(request)})

    def beat(self, connection: Connection, now: float) -> None:
        """Time passes."""

    def wants_to_read(self, connection: Connection) -> bool:
        return True

    # What a Klippy does

    def result(self, request: Dict[str, Any]) -> Any:
        method = request["method"]
        if method == "info":
            return {
                "state": "ready",
                "state_message": "Printer is ready",
                "process_id": os.getpid(),
                "software_version": "fake",
            }
        if method == "list_endpoints":
            return {"endpoints": ["info", "gcode/script"]}
        if method == "gcode/help":
            return {"ROUTER_ON_CONNECTED": "G-Code macro", "RESPOND": "Echo"}
        if method in ("objects/subscribe", "objects/query"):
            return {"eventtime": time.monotonic(), "status": self.status(request["params"])}
        if method == "objects/list":
            return {"objects": list(OBJECTS)}
        return {}

    def status(self, params: Dict[str, Any]) -> Dict[str, Any]:
        status = {name: OBJECTS.get(name, {}) for name in params.get("objects", {})}
        status["webhooks"] = {"state": "ready", "state_message": "Printer is ready"}
        return status

    def update(self, connection: Connection, **status: Any) -> None:
        params = {"eventtime": time.monotonic(), "status": status}
        self.send(connection, {"method": "router/objects/update", "params": params})

    def call(self, connection: Connection, method: str, **params: Any) -> None:
        self.send(connection, {"method": method, "params": params})

    def send(self, connection: Connection, message: Any) -> None:
        self.send_bytes(connection, json.dumps(message).encode() + ETX)

    def send_bytes(self, connection: Connection, data: bytes) -> None:
        connection.unsent += data
        self._write(connection)

    def due(self, connection: Connection, now: float, rate: float) -> int:
        """How many of `rate` a second are due since the last time."""
        due = int((now - connection.began) * rate - connection.count)
        connection.count += due
        return due

    def run(self) -> None:
        """Serve for ever."""
        servers = []
        for path in self.paths:
            if os.path.exists(path):
                os.unlink(path)
            server = socket.socket(socket.AF_UNIX)
            server.bind(path)
            server.listen(self.backlog)
            server.setblocking(False)
            servers.append(server)
        self.serve(servers)

    def serve(self, servers: List[socket.socket]) -> None:
        patience = 1.0 if type(self).beat is FakePeer.beat else 0.001
        while True:
            with selectors.DefaultSelector() as selector:
                for server in servers:
                    selector.register(server, selectors.EVENT_READ)
                for connection in self.connections:
                    events = selectors.EVENT_WRITE if connection.unsent else 0
                    if self.wants_to_read(connection):
                        events |= selectors.EVENT_READ
                    if events:
                        selector.register(connection.sock, events, connection)
                ready = selector.select(patience)
            for key, events in ready:
                if key.data is None:
                    self._accept(key.fileobj)
                    continue
                if events & selectors.EVENT_WRITE:
                    self._write(key.data)
                if events & selectors.EVENT_READ:
                    self._read(key.data)
            now = time.monotonic()
            for connection in self.connections:
                if not connection.closed:
                    self.beat(connection, now)
            self.connections = [c for c in self.connections if not c.closed]

    def close(self, connection: Connection) -> None:
        connection.closed = True
        connection.sock.close()

    def _accept(self, server: Any) -> None:
        try:
            sock = server.accept()[0]
        except OSError:
            return
        sock.setblocking(False)
        connection = Connection(sock)
        self.connections.append(connection)
        self.opened(connection)

    def _read(self, connection: Connection) -> None:
        if connection.closed:
            return
        try:
            data = connection.sock.recv(self.read_size)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close(connection)
            return
        *frames, connection.unread = (connection.unread + data).split(ETX)
        for frame in frames:
            if not connection.closed:
                self.answer(connection, json.loads(frame))

    def _write(self, connection: Connection) -> None:
        if connection.closed or not connection.unsent:
            return
        try:
            connection.unsent = connection.unsent[connection.sock.send(connection.unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.close(connection)


class Healthy(FakePeer):
    """Breaks nothing."""


class Garbage(FakePeer):
    """Random bytes, in frames."""

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 200)):
            self.send_bytes(connection, self.random.randbytes(50) + ETX)


class Truncated(FakePeer):
    """Half an answer, then it closes the connection."""

    def answer(self, connection: Connection, request: Dict[str, Any]) -> None:
        message = json.dumps({"id": request.get("id"), "result": self.result(request)}).encode()
        self.send_bytes(connection, message[: len(message) // 2])
        self.close(connection)


class WrongTypes(FakePeer):
    """JSON of every type where another one belongs."""

    THINGS: Tuple[Any, ...] = (None, True, -1, 1.5, "x", [], {}, [[]], {"status": 1}, {"a": {}})

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 100)):
            keys = ("id", "method", "params", "result", "error")
            chosen = [key for key in keys if self.random.random() < 0.6]
            self.send(connection, {key: self.random.choice(self.THINGS) for key in chosen})


class WrongAnswers(FakePeer):
    """Answers every request, but with results of other types."""

    def result(self, request: Dict[str, Any]) -> Any:
        if request["method"] in ("info", "list_endpoints", "gcode/help", "objects/subscribe"):
            return super().result(request)
        return self.random.choice(WrongTypes.THINGS)

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 20)):
            self.call(connection, "router/objects/list", target="evil", gcode_callback="SHOW")
            self.call(
                connection,
                "router/objects/query",
                target="evil",
                objects={"toolhead": None},
                gcode_callback="SHOW",
            )


class DeepNesting(FakePeer):
    """Values nested deeper than any recursion can go, and just as deep as it can."""

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 20)):
            depth = self.random.choice((20, 30, 200, 700, 990, 5000))
            value = b"[" * depth + b"]" * depth
            self.send_bytes(
                connection,
                b'{"method":"router/event/trigger","params":{"event":"deep","context":{"a":'
                + value
                + b"}}}"
                + ETX,
            )


class TenMegabytes(FakePeer):
    """One message of 10 MB."""

    def beat(self, connection: Connection, now: float) -> None:
        if self.due(connection, now, 1):
            self.send_bytes(connection, b'{"id":"' + b"x" * 10_000_000 + b'"}' + ETX)


class TooLongMessages(FakePeer):
    """Status, console messages and calls that are longer than allowed, as many as it can send."""

    TEXT = "x" * 100_000

    def beat(self, connection: Connection, now: float) -> None:
        while len(connection.unsent) < 1_000_000 and not connection.closed:
            self.update(connection, toolhead={"position": self.TEXT})
            self.call(connection, "router/gcode/output", response=self.TEXT)
            message = {"params": {"event": self.TEXT}, "method": "router/event/trigger"}
            self.send(connection, message)


class NeverEnding(FakePeer):
    """A message without an end."""

    def beat(self, connection: Connection, now: float) -> None:
        if len(connection.unsent) < 1_000_000:
            self.send_bytes(connection, b"x" * 100_000)


class ReadsNothing(FakePeer):
    """Requests much, and stops reading after a second."""

    def wants_to_read(self, connection: Connection) -> bool:
        return time.monotonic() < connection.began + 1.0

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 100)):
            self.call(connection, "router/printers/list", gcode_callback="ROUTER_ON_CONNECTED")


class AnswersNothing(FakePeer):
    """Accepts and reads, but never answers."""

    def answer(self, connection: Connection, request: Dict[str, Any]) -> None:
        pass


class AcceptsNothing(FakePeer):
    """A stopped process with a full backlog."""

    backlog = 0

    def serve(self, servers: List[socket.socket]) -> None:
        fillers = []
        while True:
            filler = socket.socket(socket.AF_UNIX)
            filler.setblocking(False)
            fillers.append(filler)
            try:
                filler.connect(self.paths[0])
            except BlockingIOError:
                time.sleep(3600.0)


class ClosesAtRandom(FakePeer):
    """Ends the connection at any point."""

    def answer(self, connection: Connection, request: Dict[str, Any]) -> None:
        if self.random.random() < 0.2:
            self.close(connection)
        else:
            super().answer(connection, request)


class FloodsCalls(FakePeer):
    """5,000 remote calls a second."""

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(min(self.due(connection, now, 5000), 200)):
            if len(connection.unsent) < 1_000_000:
                self.call(connection, "router/event/trigger", event="flood", context={"n": 1})


class FloodsScripts(FakePeer):
    """5,000 gcode/script calls a second, to the host and to a printer that is busy."""

    def beat(self, connection: Connection, now: float) -> None:
        for i in range(min(self.due(connection, now, 5000), 200)):
            if len(connection.unsent) < 1_000_000:
                target = ("main", "good")[i % 2]
                self.call(connection, "router/gcode/script", target=target, script="NOTHING")


class FloodsStatus(FakePeer):
    """Status updates without end."""

    def beat(self, connection: Connection, now: float) -> None:
        for i in range(min(self.due(connection, now, 5000), 200)):
            if len(connection.unsent) < 1_000_000:
                self.update(connection, toolhead={"position": [now, i]})


class FlipsState(FakePeer):
    """Ready, shutdown, ready, 50 times a second."""

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 50)):
            state = ("ready", "shutdown")[self.random.randrange(2)]
            self.update(connection, webhooks={"state": state, "state_message": state})


class WrongIds(FakePeer):
    """Answers with ids that no request had."""

    def answer(self, connection: Connection, request: Dict[str, Any]) -> None:
        for number in (0, -1, 10**30, 4711, request.get("id", 1) + 1):
            self.send(connection, {"id": number, "result": self.result(request)})
        super().answer(connection, request)


class AnswersTwice(FakePeer):
    """Answers everything twice, the second time with an error."""

    def answer(self, connection: Connection, request: Dict[str, Any]) -> None:
        super().answer(connection, request)
        super().answer(connection, request)
        self.send(connection, {"id": request.get("id"), "error": {"message": "again"}})


class UnencodableValues(FakePeer):
    """NaN, infinity, integers without end and lone surrogates, wherever a value can stand."""

    NASTY = b'{"a":NaN,"b":Infinity,"c":"\\ud800","d":1e999,"e":99999999999999999999999}'

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 20)):
            for params in (
                b'{"event":"nasty\\ud800","context":%s}' % self.NASTY,
                b'{"event":"nasty","context":%s,"retain":true}' % self.NASTY,
                b'{"event":"nasty","context":%s,"gcode_callback":"SHOW"}' % self.NASTY,
            ):
                message = b'{"method":"router/event/trigger","params":%s}' % params
                self.send_bytes(connection, message + ETX)
            status = b'{"toolhead":%s,"print_stats":{"state":"\\ud800"}}' % self.NASTY
            params = b'{"eventtime":1.0,"status":%s}' % status
            message = b'{"method":"router/objects/update","params":%s}' % params
            self.send_bytes(connection, message + ETX)
            self.call(connection, "router/gcode/script", target="nowhere", script="x")


class ManyCallers(FakePeer):
    """Makes 300 callers wait at once, repeatedly."""

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 300)):
            self.call(connection, "router/gcode/script", target="good", script="SLOW")
            self.call(
                connection,
                "router/call",
                target="good",
                endpoint="gcode/script",
                params={"script": "SLOW"},
                gcode_callback="SHOW",
            )
            self.call(
                connection,
                "router/call",
                target="main",
                endpoint="objects/query",
                params={"objects": {"toolhead": None}},
            )


class GreedySubscriber(FakePeer):
    """Subscribes to everything, under new names each time."""

    def beat(self, connection: Connection, now: float) -> None:
        for _ in range(self.due(connection, now, 200)):
            number = int(connection.count)
            objects: Dict[str, Optional[List[str]]] = {f"nothing_{number}": None, "toolhead": None}
            self.call(
                connection,
                "router/objects/subscribe",
                target="main",
                objects=objects,
                gcode_callback=f"CALLBACK_{number}",
            )
            self.call(
                connection, "router/event/subscribe", event=f"event_{number}", gcode="NOTHING"
            )
