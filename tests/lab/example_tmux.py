"""The consoles of an example's printers side by side, in a tmux of their own."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import shlex
import subprocess
import sys
import threading
from typing import Callable, List

from .api import Api, ApiClosed, ApiError
from .console import Console
from .klippers import ROOT
from .lab import Lab

PROGRAM = str(ROOT / "tests/lab/example.py")


class Tmux:
    """The consoles side by side, in a tmux of our own. on_end: called, on a thread, at its end."""

    def __init__(self, lab: Lab, names: List[str], on_end: Callable[[], None]) -> None:
        self._command = ["tmux", "-L", lab.folder.name, "-f", os.devnull]
        self._lab, self._names, self._on_end = lab, names, on_end
        self._attached = threading.Thread(target=self._attach, daemon=True)

    def open(self) -> None:
        """Attach to a new session with a pane for each printer; Ctrl-C in a pane ends it."""
        os.environ.pop("TMUX", None)  # else it refuses to run inside another one
        for name in self._names:
            pane = [sys.executable, PROGRAM, "--pane", name, self._lab.sock(name)]
            where = ["new-session", "-d", "-x", "200", "-y", "50"]
            if name != self._names[0]:
                where = ["split-window", "-h"]
            self._run(*where, shlex.join(pane))
        self._run("select-layout", "even-horizontal")
        self._run("select-pane", "-t", ":.0")
        self._run("set", "-g", "status-right", "")
        self._run("set", "-g", "window-status-current-format", "")
        self._run("set", "-g", "status-left-length", "200")
        self._run("set", "-g", "mouse", "on")
        self.say("Type G-code in a pane (mouse, or Ctrl-B and an arrow key); Ctrl-C ends.")
        self._attached.start()

    def say(self, text: str) -> None:
        """Show a line below the consoles."""
        self._run("set", "-g", "status-left", text)

    def close(self) -> None:
        """End it, and wait until the terminal is as before: what is printed sooner is lost."""
        self._run("kill-server")
        if self._attached.is_alive():
            self._attached.join(5.0)

    def _attach(self) -> None:
        subprocess.run([*self._command, "attach"], check=False)
        self._on_end()

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [*self._command, *arguments],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def send(sock: str, gcode: str) -> None:
    """Run G-code without waiting for its end; errors show on the printer's console."""

    def run() -> None:
        try:
            with Api(sock) as api:
                api.call("gcode/script", {"script": gcode}, timeout=3600.0)
        except (ApiError, ApiClosed, TimeoutError):
            pass

    threading.Thread(target=run, daemon=True).start()


def run_pane(name: str, sock: str) -> int:
    """One printer's console, inside of tmux."""
    print(f"--- {name} ---", flush=True)
    Console(sock, lambda line: print(line, flush=True))
    try:
        for line in sys.stdin:
            send(sock, line.strip())
    except KeyboardInterrupt:
        pass
    subprocess.run(["tmux", "kill-server"], check=False)
    return 0
