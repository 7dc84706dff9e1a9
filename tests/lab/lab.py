"""A set of printers that belong together, in one short temporary folder."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import atexit
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any, Dict

from .closing import Closing
from .printer import READY_TIMEOUT, LabPrinter

LIVE: "weakref.WeakSet[Lab]" = weakref.WeakSet()
"""The labs not closed yet, for reports of failed tests."""


class Lab(Closing):
    """Makes printers and cleans up after them; also a context manager that closes it.

    kind, peer_kind: of the host and of its peers, see main() and peer().
    """

    def __init__(self, kind: str = "kalico", peer_kind: str = "") -> None:
        self.kind, self.peer_kind = kind, peer_kind or kind
        # Not pytest's tmp_path: a Unix socket's path must stay under 108 characters
        self.folder = Path(tempfile.mkdtemp(prefix="kr-"))
        self.printers: Dict[str, LabPrinter] = {}
        LIVE.add(self)
        atexit.register(self.close)

    def sock(self, name: str) -> str:
        """The API socket of the printer of this name, whether that exists yet or not."""
        return str(self.folder / name / "klippy.sock")

    def main(self, config_text: str, **options: Any) -> LabPrinter:
        """Make and start the host, named main; as printer()."""
        return self.printer(self.kind, "main", config_text, **options)

    def peer(self, name: str, config_text: str, **options: Any) -> LabPrinter:
        """Make and start a printer for the host to know; as printer()."""
        return self.printer(self.peer_kind, name, config_text, **options)

    def printer(self, kind: str, name: str, config_text: str, **options: Any) -> LabPrinter:
        """Make and start a printer, without waiting; options are those of LabPrinter."""
        return self.add(kind, name, config_text, **options).start()

    def add(self, kind: str, name: str, config_text: str, **options: Any) -> LabPrinter:
        """Make a printer without starting it."""
        if name in self.printers:
            raise ValueError(f"there is a printer {name} already")
        printer = LabPrinter(kind, name, self.folder, config_text, **options)
        self.printers[name] = printer
        return printer

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Wait until every printer that was started is ready."""
        for printer in self.printers.values():
            if printer.process:
                printer.wait_ready(timeout)

    def tail(self) -> str:
        """The ends of all consoles and logs."""
        return "\n".join(printer.tail() for printer in self.printers.values())

    def close(self) -> None:
        """Stop every printer and remove the folder."""
        LIVE.discard(self)
        atexit.unregister(self.close)
        for printer in self.printers.values():
            printer.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
