"""Collects what a printer prints on its console, through restarts."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import threading
import time
from typing import Callable, List, Optional

from .api import Api, ApiClosed, ApiError


class Console:
    """A background reader of a printer's console; it connects again whenever Klippy is back."""

    def __init__(self, sock: str, on_line: Optional[Callable[[str], None]] = None) -> None:
        """Begin to read; `on_line` is called with every line, on the reader's thread."""
        self.lines: List[str] = []
        """All lines so far, oldest first."""
        self.attached = threading.Event()
        """Set while Klippy has our subscription."""
        self._sock = sock
        self._on_line = on_line
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"console {sock}")
        self._thread.start()

    def stop(self) -> None:
        """Stop reading; the lines stay."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with Api(self._sock, timeout=1.0) as api:
                    api.call("gcode/subscribe_output", {"response_template": {"method": "console"}})
                    self.attached.set()
                    self._read(api)
            except (ApiClosed, ApiError, TimeoutError):
                self.attached.clear()
                time.sleep(0.01)

    def _read(self, api: Api) -> None:
        while not self._stopping.is_set():
            while api.notifications:
                text = api.notifications.pop(0)["params"]["response"]
                for line in text.split("\n"):
                    self.lines.append(line)
                    if self._on_line:
                        self._on_line(line)
            api.receive(0.1)
