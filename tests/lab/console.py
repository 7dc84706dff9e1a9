"""Collects what a printer prints on its console, through restarts."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import select
import threading
import time
from typing import Callable, List, Optional

from .api import Api, ApiClosed, ApiError

PATIENCE = 1.0  # seconds to wait for the reader


class Console:
    """A background reader of a printer's console; it connects again whenever Klippy is back."""

    def __init__(self, sock: str, on_line: Optional[Callable[[str], None]] = None) -> None:
        """Begin to read; `on_line` is called with every line, on the reader's thread."""
        self.lines: List[str] = []
        """All lines so far, oldest first."""
        self._lock = threading.Lock()
        self._sessions = 0  # of Klippy, that had our subscription
        self._is_attached = False
        self._reading = threading.RLock()  # held from what is read to its lines
        self._api: Optional[Api] = None
        self._sock = sock
        self._on_line = on_line
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"console {sock}")
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; the lines stay."""
        self._stopping.set()
        self._thread.join()

    @property
    def sessions(self) -> int:
        """How many sessions of Klippy have had our subscription so far."""
        with self._lock:
            return self._sessions

    def is_attached(self, after: int = 0) -> bool:
        """Whether a session later than the first `after` ones has our subscription now."""
        with self._lock:
            return self._is_attached and self._sessions > after

    def catch_up(self) -> None:
        """Wait until `lines` has what Klippy has sent so far."""
        deadline = time.monotonic() + PATIENCE
        while self._is_behind() and time.monotonic() < deadline:
            time.sleep(0.001)

    def _is_behind(self) -> bool:
        with self._reading:
            try:
                return bool(self._api and select.select([self._api.socket], [], [], 0)[0])
            except (OSError, ValueError):  # it is closed
                return False

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with Api(self._sock, timeout=1.0) as api:
                    api.call("gcode/subscribe_output", {"response_template": {"method": "console"}})
                    with self._lock:
                        self._sessions += 1
                        self._is_attached = True
                    self._read(api)
            except (ApiClosed, ApiError, TimeoutError):
                with self._lock:
                    self._is_attached = False
                time.sleep(0.01)

    def _read(self, api: Api) -> None:
        with self._reading:
            self._api = api
            self._take(api)
        while not self._stopping.is_set():
            if select.select([api.socket], [], [], 0.1)[0]:
                with self._reading:
                    api.receive(0.0)
                    self._take(api)

    def _take(self, api: Api) -> None:
        while api.notifications:
            text = api.notifications.pop(0)["params"]["response"]
            for line in text.split("\n"):
                self.lines.append(line)
                if self._on_line:
                    self._on_line(line)
