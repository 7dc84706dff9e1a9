"""Clients that measure: a minimal one for the floor, and readers of the stamps of lab_stamp."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import itertools
import json
import socket
import threading
import time
from typing import Any, Callable, Dict, List, Protocol

from tests.lab.api import END
from tests.lab.printer import LabPrinter

TIMEOUT = 10.0  # seconds for one job
_ids = itertools.count(1).__next__

Work = Callable[[], None]


class Row(Protocol):
    """A measurement that can be repeated."""

    def take(self) -> float:
        """One sample, in seconds."""


class RoundTrips:
    """A client that only sends a script to a printer and waits for the answer."""

    def __init__(self, printer: LabPrinter, script: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT)
        self._socket.connect(printer.sock)
        self._socket.setblocking(True)
        self._message = {"id": 1, "method": "gcode/script", "params": {"script": script}}

    def take(self) -> float:
        start = time.monotonic()
        self._socket.sendall(json.dumps(self._message).encode() + END)
        answer = self._socket.recv(4096)
        while not answer.endswith(END):
            answer += self._socket.recv(4096)
        if "result" not in json.loads(answer[:-1]):
            raise RuntimeError(f"the floor got {answer!r}")
        return time.monotonic() - start


class Interface:
    """A client that subscribes to all fields of these objects, as Moonraker does, and reads."""

    def __init__(self, printer: LabPrinter, objects: List[str]) -> None:
        self.updates = 0
        api = printer.api()
        template = {"method": "process_status_update"}
        params = {"objects": dict.fromkeys(objects), "response_template": template}
        api.call("objects/subscribe", params)
        self._socket = api.socket
        self._socket.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        data = b"..."
        while data:  # until the printer ends
            try:
                data = self._socket.recv(65536)
            except OSError:
                return
            self.updates += data.count(END)


class Waited:
    """A script with WAIT=1: how long its command takes inside the host."""

    def __init__(self, host: LabPrinter, script: str) -> None:
        self._api, self._params = host.api(), {"script": script}

    def take(self) -> float:
        return float(self._api.call("lab/duration", self._params, TIMEOUT)["duration"])


class Ends:
    """The stamps of LAB_END on a printer, as they are received."""

    def __init__(self, printer: LabPrinter) -> None:
        self._api = printer.api()
        self._api.call("lab/ends", {"response_template": {"method": "end"}})

    def wait(self, number: int, timeout: float = TIMEOUT) -> float:
        """When LAB_END ID=number ran, by time.monotonic(); TimeoutError."""

        def is_it(message: Dict[str, Any]) -> bool:
            return bool(message["params"]["id"] == number)

        when: float = self._api.wait_for(is_it, timeout)["params"]["time"]
        self._api.notifications.clear()
        return when


class MacroJob:
    """From LAB_START on one printer to LAB_END on another.

    script: G-code of the first one, which gets " ID=n" added.
    """

    def __init__(self, printer: LabPrinter, script: str, ends: Ends) -> None:
        self._api, self._script, self._ends = printer.api(), script, ends

    def take(self) -> float:
        number = _ids()
        request = self._api.request("gcode/script", {"script": f"{self._script} ID={number}"})
        arrived = self._ends.wait(number)
        self._api.answer(request)
        return arrived - float(self._api.call("lab/starts")["starts"][str(number)])


class ClientJob:
    """From a client, whose script begin() sends, to LAB_END in the printer's macro.

    begin(script): sends it; returns what reads the answer.
    """

    def __init__(self, begin: Callable[[str], Work], ends: Ends) -> None:
        self._begin, self._ends = begin, ends

    def take(self) -> float:
        number = _ids()
        start = time.monotonic()
        finish = self._begin(f"ARRIVE ID={number}")
        arrived = self._ends.wait(number)
        finish()
        return arrived - start
