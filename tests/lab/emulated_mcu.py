"""The emulated MCU of one printer, as a process with a line to talk to it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Dict, List, Sequence

from . import processes
from .klippers import ROOT
from .waiting import wait_until


class EmulatedMcu:
    """Runs fake_mcu; `link` becomes the serial port for printer.cfg."""

    def __init__(self, link: Path, options: List[str], prefix: Sequence[str] = ()) -> None:
        """Start it and wait for its serial port; its output goes to `link`.err."""
        self._lock = threading.Lock()
        with open(link.with_suffix(".err"), "ab") as errors:
            self._process: subprocess.Popen[str] = processes.spawn(
                [*prefix, sys.executable, "-m", "tests.lab.fake_mcu", *options, str(link)],
                cwd=str(ROOT),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.pid = self._process.pid
        wait_until(link.is_symlink, 10.0, "the emulated MCU did not start")

    def is_running(self) -> bool:
        return self._process.poll() is None

    def command(self, line: str) -> None:
        """Send one line: `set PIN VALUE`, `shutdown` or `reset`, see fake_mcu."""
        with self._lock:
            self._send(line)

    def dump(self) -> Dict[str, Any]:
        """Its state: objects, positions of steppers, late commands and more."""
        with self._lock:
            self._send("dump")
            assert self._process.stdout
            state = json.loads(self._process.stdout.readline())
        assert isinstance(state, dict)
        return state

    def stop(self) -> None:
        processes.end(self._process, grace=1.0)

    def _send(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
