"""Many peers in one cheap process: `python -m tests.bench.light_peers CONTENT SOCK ...`.

Each answers as a ready Klippy does. CONTENT: what they report, thing or devices. What they do
besides comes as lines of JSON on standard input, each answered by one on standard output, see
_Peers. Standard library only.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import os
import selectors
import socket
import sys
import time
from typing import Any, Dict, List, Optional

from . import device_objects

ETX = b"\x03"
OBJECT, FIELDS = "thing", 20
_READY = {"state": "ready", "state_message": "Printer is ready"}
_RESULTS: Dict[str, Any] = {
    "info": {**_READY, "process_id": os.getpid(), "software_version": "light"},
    "list_endpoints": {"endpoints": []},
    "gcode/help": {},
}


class _Thing:
    """One object, all fields of which change. number: of the update."""

    settings: Dict[str, Any] = {}

    def snapshot(self, number: int) -> Dict[str, Any]:
        return {OBJECT: {f"field_{i}": number + i / 8 for i in range(FIELDS)}}

    changes = snapshot


class _Devices:
    """Many objects, of which some fields each change."""

    settings = device_objects.SETTINGS
    snapshot = staticmethod(device_objects.snapshot)
    changes = staticmethod(device_objects.changes)


CONTENTS = {"thing": _Thing, "devices": _Devices}


class _Peer:
    """One socket, and the router's connection to it."""

    def __init__(self, content: str, path: str) -> None:
        self._content: Any = CONTENTS[content]()
        self.connection: Optional[socket.socket] = None
        self.scripts = 0  # that it was sent
        self._unread = b""
        self._number = 0
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen(1)

    def accept(self) -> socket.socket:
        self.connection, self._unread = self.server.accept()[0], b""
        return self.connection

    def read(self, connection: socket.socket) -> bool:
        """Answer what was received; False when the router has disconnected, or connected again."""
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data or connection is not self.connection:
            connection.close()
            if connection is self.connection:
                self.connection = None
            return False
        *frames, self._unread = (self._unread + data).split(ETX)
        for frame in frames:
            self._answer(json.loads(frame))
        return True

    def _answer(self, request: Dict[str, Any]) -> None:
        method = request.get("method")
        self.scripts += method == "gcode/script"
        if "id" not in request:
            return
        result = _RESULTS.get(method, {})
        if method == "objects/subscribe":
            status: Dict[str, Any] = {name: {} for name in request["params"]["objects"]}
            status.update(self._content.snapshot(self._next()), webhooks=_READY)
            result = {"eventtime": time.monotonic(), "status": status}
        elif method == "objects/query":
            status = {"configfile": {"settings": self._content.settings}}
            result = {"eventtime": time.monotonic(), "status": status}
        self.send({"id": request["id"], "result": result})

    def update(self) -> None:
        """Send the router an update in which everything has changed that does."""
        status = self._content.changes(self._next())
        params = {"eventtime": time.monotonic(), "status": status}
        self.send({"method": "router/objects/update", "params": params})

    def _next(self) -> int:
        self._number += 1
        return self._number

    def send(self, message: Dict[str, Any]) -> None:
        if self.connection is None:
            return
        try:
            self.connection.sendall(json.dumps(message).encode() + ETX)
        except OSError:
            return  # the router has disconnected: read() will notice


class _Peers:
    """Commands: {"do": "call", "peer": n, "method": ..., "params": ...};
    {"do": "stream", "peers": [n, ...], "hz": ..., "seconds": ...}, answered at its end by the
    number of updates sent and of scripts received meanwhile.
    """

    def __init__(self, content: str, paths: List[str]) -> None:
        self._selector = selectors.DefaultSelector()
        self._peers = [_Peer(content, path) for path in paths]
        for peer in self._peers:
            self._selector.register(peer.server, selectors.EVENT_READ, peer)
        self._selector.register(sys.stdin, selectors.EVENT_READ)
        self._input = b""
        self.running = True

    def serve(self, timeout: Optional[float] = None) -> None:
        """Handle what is received within so many seconds (None: until something is received)."""
        ready = self._selector.select(timeout)
        for key, _events in ready:
            if key.fileobj is sys.stdin:
                continue
            elif key.fileobj is key.data.server:
                self._selector.register(key.data.accept(), selectors.EVENT_READ, key.data)
            elif not key.data.read(key.fileobj):
                self._selector.unregister(key.fileobj)
        # Last: a command may serve, too, and ready sockets are read only once
        if any(key.fileobj is sys.stdin for key, _events in ready):
            self._command()

    def _command(self) -> None:
        data = os.read(sys.stdin.fileno(), 65536)
        self.running = bool(data)
        *lines, self._input = (self._input + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            answer = getattr(self, "_do_" + command.pop("do"))(**command)
            print(json.dumps(answer), flush=True)

    def _do_call(self, peer: int, method: str, params: Dict[str, Any]) -> Dict[str, Any]:
        self._peers[peer].send({"method": method, "params": params})
        return {}

    def _do_stream(self, peers: List[int], hz: float, seconds: float) -> Dict[str, int]:
        before = sum(peer.scripts for peer in self._peers)
        step = 1.0 / hz / len(peers)  # they take turns
        begin = time.monotonic()
        sent = 0
        while sent * step < seconds:
            due = begin + sent * step
            left = due - time.monotonic()
            if left > 0.0:
                self.serve(left)
                continue
            self._peers[peers[sent % len(peers)]].update()
            sent += 1
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            self.serve(0.05)
        return {"sent": sent, "scripts": sum(peer.scripts for peer in self._peers) - before}


if __name__ == "__main__":
    everyone = _Peers(sys.argv[1], sys.argv[2:])
    print("{}", flush=True)
    while everyone.running:
        everyone.serve()
