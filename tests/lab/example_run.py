"""One run of an example: its printers, and whether they print what it expects."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# An example is a folder of examples/:
#   NAME.cfg            what a user would add to the printer.cfg of printer NAME
#   emulated/NAME.cfg   the rest of that printer.cfg, where there is no hardware
#   emulated/around.py  starts what is needed besides the printers (optional): start(lab) is called
#                       before they are started; it returns a Closing, or raises LookupError,
#                       which says what is missing
#   NAME.py             a Klipper extra that NAME.cfg needs (tests/setup.sh links it)
#   gcodes/             files to print
#   emulated/check.py   optional, check(printers, say): what is wrong at the end, or ""
#   expected.txt        a title, then what the printers must print, in order: "NAME: text"
import contextlib
import importlib.util
import os
import queue
import re
import runpy
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from .example_tmux import Tmux, send
from .klippers import ROOT
from .lab import Lab
from .printer import LabPrinter
from .waiting import WaitFailed

TIME_LIMIT = 90.0  # seconds until everything expected must have been printed
AFTERWARDS = 1.0  # seconds to see that nothing else is printed
MARK = re.compile(r"^(echo: |// )")
INTERRUPTED = 130  # the exit code of a shell's command after Ctrl-C

# What can happen: (kind, printer, text). Put by signals and threads, acted on by the main thread
# only. Kinds: line (of a console), typed, failed, quit.
Event = Tuple[str, str, str]


class Expectation:
    """Whether the printers print what the example's expected.txt requires.

    Without the marks (echo: ..., // ...) that begin the lines of a console.
    Of each printer's console the lines count that begin with a word that one of its expected lines
    begins with. They must be exactly the expected ones, in this order.
    """

    def __init__(self, example: Path) -> None:
        lines = (example / "expected.txt").read_text().splitlines()
        self.title = lines[0].lstrip("# ")
        self._wanted: Dict[str, List[str]] = {}
        for line in lines[1:]:
            name, text = line.split(": ", 1)
            self._wanted.setdefault(name, []).append(text)
        self._said: Dict[str, List[str]] = {name: [] for name in self._wanted}

    def add_line(self, name: str, line: str) -> None:
        """A line of a console."""
        text = MARK.sub("", line)
        words = {wanted.split()[0] for wanted in self._wanted.get(name, [])}
        if text.split()[:1] and text.split()[0] in words:
            self._said[name].append(text)

    @property
    def fulfilled(self) -> bool:
        """Whether everything was printed, and nothing else."""
        return self._said == self._wanted

    def problem(self) -> Optional[str]:
        """What was printed at the wrong time, or too often; None when all is well so far."""
        for name, said in self._said.items():
            wanted = self._wanted[name]
            if said != wanted[: len(said)]:
                return f"{name} said {said} where {wanted} was expected"
        return None

    def missing(self) -> str:
        """What has not been printed."""
        return "; ".join(
            f"{name}: {text}"
            for name, wanted in self._wanted.items()
            for text in wanted[len(self._said[name]) :]
        )


class Run:
    """One run of the example in this folder. keep: until Ctrl-C, to type G-code."""

    def __init__(
        self,
        folder: Path,
        kind: str,
        keep: bool,
        tmux: bool,
        events: "queue.SimpleQueue[Event]",
    ) -> None:
        self.folder = folder
        self.kind, self.keep, self.events = kind, keep, events
        self.expectation = Expectation(self.folder)
        self.checks = self.folder / "emulated" / "check.py"
        self.names = sorted(path.stem for path in self.folder.glob("*.cfg"))
        self.names.sort(key="main".__ne__)  # first
        self.lab = Lab()
        self.tmux = Tmux(self.lab, self.names, self.quit) if tmux else None

    def run(self) -> int:
        """Returns the exit code: 0 only if the printers printed what the example expects."""
        try:
            with self.lab, contextlib.ExitStack() as around:
                printers = [self.add(name) for name in self.names]
                missing = self.start_around(around)
                code, verdict = (1, missing) if missing else self.drive(printers)
        finally:
            if self.tmux:
                self.tmux.close()
        print(verdict, flush=True)
        return code

    def start_around(self, around: contextlib.ExitStack) -> str:
        """Start what the example needs besides its printers; returns what is missing."""
        path = self.folder / "emulated/around.py"
        if not path.exists():
            return ""
        spec = importlib.util.spec_from_file_location("around", path)
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        try:
            around.enter_context(module.start(self.lab))
        except LookupError as missing:
            return f"run.sh: {missing}"
        return ""

    def drive(self, printers: List[LabPrinter]) -> Tuple[int, str]:
        """Start the printers, and follow() them."""
        if self.tmux:
            self.tmux.open()
        for printer in printers:
            printer.start()
            threading.Thread(target=self.watch, args=(printer,), daemon=True).start()
        if self.keep and not self.tmux:
            print('Type G-code for a printer as "led: M118 hi"; Ctrl-C ends.', flush=True)
            threading.Thread(target=self.read_typed, daemon=True).start()
        return self.follow()

    def add(self, name: str) -> LabPrinter:
        """A printer with the example's files in its folder, and its socket where users have it."""
        printer = self.lab.add(
            self.kind,
            name,
            (self.folder / "emulated" / f"{name}.cfg").read_text(),
            mcu="fake",
            trace=self.checks.exists(),
            on_line=lambda line: self.events.put(("line", name, line)),
        )
        for config in [self.folder / f"{name}.cfg", *(ROOT / "includes").glob("*.cfg")]:
            shutil.copy(config, printer.folder)
        shutil.copytree(self.folder / "gcodes", printer.gcodes, dirs_exist_ok=True)
        data = self.lab.folder / f"printer_{name}_data"
        data.mkdir()
        (data / "comms").symlink_to(printer.folder)
        os.environ["HOME"] = str(self.lab.folder)
        return printer

    def quit(self) -> None:
        """End it from another thread."""
        self.events.put(("quit", "", ""))

    def watch(self, printer: LabPrinter) -> None:
        """Report a printer that does not become ready."""
        try:
            printer.wait_ready(TIME_LIMIT)
        except WaitFailed as problem:
            self.events.put(("failed", printer.name, str(problem)))

    def read_typed(self) -> None:
        """Lines of standard input. Unbuffered: a buffer is locked by its reader at exit."""
        with open(0, "rb", buffering=0, closefd=False) as stdin:
            for line in stdin:
                self.events.put(("typed", "", line.decode(errors="replace").strip()))

    def follow(self) -> Tuple[int, str]:
        """Act on what happens until the end; returns (exit code, verdict)."""
        deadline = time.monotonic() + TIME_LIMIT
        result: Optional[Tuple[int, str]] = None
        while True:
            try:
                kind, name, text = self.events.get(timeout=0.1)
            except queue.Empty:
                kind, name, text = "", "", ""
            if kind == "quit":
                return result or (INTERRUPTED, "run.sh: interrupted.")
            if kind == "line":
                self.show(name, text)
                self.expectation.add_line(name, text)
                if self.expectation.fulfilled:
                    deadline = time.monotonic() + AFTERWARDS
            elif kind == "typed":
                self.send(text)
            if result is None:
                result = self.judge(time.monotonic() > deadline, text if kind == "failed" else "")
                if result and not self.keep:
                    return result
                if result:
                    self.announce(result[1])

    def judge(self, is_over: bool, failure: str) -> Optional[Tuple[int, str]]:
        """The result, as soon as it is known."""
        problem = failure or self.expectation.problem()
        if problem:
            return 1, f"run.sh: FAILED: {problem}"
        if is_over and self.expectation.fulfilled:
            wrong = self.check()
            if wrong:
                return 1, f"run.sh: FAILED: {wrong}"
            return 0, "run.sh: the printers did what this example expects."
        if is_over:
            logs = self.lab.tail()
            return 1, f"{logs}\nrun.sh: FAILED: not said: {self.expectation.missing()}"
        return None

    def check(self) -> str:
        """What the example's own check finds wrong, or an empty string."""
        if not self.checks.exists():
            return ""
        check = runpy.run_path(str(self.checks))["check"]
        return str(check(self.lab.printers, self.announce))

    def show(self, name: str, line: str) -> None:
        """A line of a printer's console, with the printer's name in front."""
        if self.tmux:
            return
        label = f"{name:{max(map(len, self.names))}} |"
        if sys.stdout.isatty():
            label = f"\033[{32 + self.names.index(name) % 6}m{label}\033[0m"
        print(label, line, flush=True)

    def announce(self, text: str) -> None:
        if self.tmux:
            self.tmux.say(text.splitlines()[-1])
        else:
            print(text, flush=True)

    def send(self, text: str) -> None:
        """A line that was typed, "NAME: G-code"."""
        name, colon, gcode = (part.strip() for part in text.partition(":"))
        if colon and name in self.names:
            send(self.lab.printers[name].sock, gcode)
        elif text:
            print(f'Type a printer\'s name first: "{self.names[0]}: {text}"', flush=True)
