"""What the printers of a run of chaos do all the time; each kind of it is a thread of its own."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import random
import threading
import time
from abc import abstractmethod
from typing import Any, Dict, List

from tests.hostile.books import DONE, Book, Crossing
from tests.lab.api import Api, ApiClosed, ApiError
from tests.lab.closing import Closing
from tests.lab.printer import LabPrinter

PATIENCE = 30.0


class Traffic(threading.Thread, Closing):
    """Calls send() with a number again and again, on a connection to one printer."""

    def __init__(self, printer: LabPrinter, apart: float) -> None:
        super().__init__(daemon=True)
        self.printer, self._apart = printer, apart
        self.count = 0
        self._stopping = threading.Event()
        self.error: List[BaseException] = []

    @abstractmethod
    def send(self, api: Api, number: int) -> None:
        """Do it once."""

    def run(self) -> None:
        try:
            with self.printer.api(timeout=PATIENCE) as api:
                while not self._stopping.wait(self._apart):
                    self.count += 1
                    self.send(api, self.count)
        except Exception as e:  # for close(), in another thread
            self.error.append(e)

    def close(self) -> None:
        """Stop; raises AssertionError if it had to end before."""
        self._stopping.set()
        if self.is_alive():
            self.join()
        assert not self.error, (type(self).__name__, self.error)


class Ticks(Traffic):
    """Triggers an event on the host, and changes a status of it with some.

    truth: the value of that status; refused: {printer: events for which it was not ready}.
    """

    EACH = 10  # Klippy runs the script between moves of the print, the event at once

    def __init__(self, host: LabPrinter, books: Dict[str, Book], crossing: Crossing) -> None:
        super().__init__(host, 0.05)
        self._books, self._crossing = books, crossing
        self.truth = 0
        self.refused = dict.fromkeys(books, 0)

    def send(self, api: Api, number: int) -> None:
        if number % self.EACH == 0:
            self.truth = number
            script = f"SET_GCODE_VARIABLE MACRO=TRUTH VARIABLE=value VALUE={number}"
            api.call("gcode/script", {"script": script}, timeout=PATIENCE)
        params = {"event": "tick", "context": {"n": number}}
        result = api.call("router/event/trigger", params, timeout=PATIENCE)
        self._crossing.sent.append(number)
        for peer in result["delivered"]:
            self._books[peer].promised.add(f"tick {number}")
        for peer in result["failed"]:
            self.refused[peer] += 1


class Scripts(Traffic):
    """Runs a script on some printer, and waits for the answer; some scripts take a while there."""

    def __init__(self, host: LabPrinter, books: Dict[str, Book], seed: int) -> None:
        super().__init__(host, 0.1)
        self._books, self._choice = books, random.Random(seed)

    def send(self, api: Api, number: int) -> None:
        peer = self._choice.choice(sorted(self._books))
        wait = self._choice.choice(("", "G4 P300\nM400\n"))
        params = {"target": peer, "script": f"{wait}M118 did script {number}"}
        answer = DONE
        try:
            api.call("router/gcode/script", params, timeout=PATIENCE)
        except ApiError as e:
            answer = str(e)
        self._books[peer].answered[f"script {number}"] = answer


class Heater(Traffic):
    """Sets an adopted heater: an error of the command if its peer is offline, else promised."""

    def __init__(self, host: LabPrinter, book: Book) -> None:
        super().__init__(host, 1.0)
        self._book = book

    def send(self, api: Api, number: int) -> None:
        item = f"heater {number}"
        target = 20 + number % 20
        script = f"SET_HEATER_TEMPERATURE HEATER=chamber TARGET={target} N={number}"
        try:
            api.call("gcode/script", {"script": script}, timeout=PATIENCE)
            self._book.promised.add(item)
        except ApiError as e:
            self._book.answered[item] = str(e)


class Tocks(Traffic):
    """Triggers an event on a second printer with a router, which is down at times."""

    def __init__(self, printer: LabPrinter, crossing: Crossing) -> None:
        super().__init__(printer, 0.2)
        self._crossing = crossing

    def run(self) -> None:
        while not self._stopping.is_set():
            super().run()
            if not self.error or not isinstance(self.error[-1], (ApiClosed, TimeoutError)):
                return
            self.error.clear()
            time.sleep(0.1)

    def send(self, api: Api, number: int) -> None:
        self._crossing.unsure.add(number)
        params = {"event": "tock", "context": {"n": number}}
        try:
            api.call("router/event/trigger", params, timeout=PATIENCE)
            self._crossing.sent.append(number)
        except ApiError:
            pass  # it is not ready
        self._crossing.unsure.discard(number)


class AdoptedDevices(Traffic):
    """Looks at adopted devices of a peer: while it is not connected, none has a stale value."""

    def __init__(self, host: LabPrinter, peer: LabPrinter, at_rest: Dict[str, Any]) -> None:
        super().__init__(host, 0.05)
        self._peer, self._at_rest = peer, at_rest

    def send(self, api: Api, number: int) -> None:
        section = f"router {self._peer.name}"
        objects: Dict[str, Any] = {section: ["connected"]}
        objects.update({name: list(fields) for name, fields in self._at_rest.items()})
        status = api.call("objects/query", {"objects": objects}, timeout=PATIENCE)["status"]
        if not status.pop(section)["connected"]:
            assert status == self._at_rest, status
