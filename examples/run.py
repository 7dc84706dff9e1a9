"""Runs an example: its printers are real Klippys on emulated micro-controllers. See --help."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# An example is a folder beside this file:
#   NAME.cfg            what a user would add to the printer.cfg of printer NAME
#   emulated/NAME.cfg   the rest of that printer.cfg, where there is no hardware
#   gcodes/             files to print
#   expected.txt        a title, then what the printers must say, in order: "NAME: text"
import argparse
import os
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Dict, List, Optional, Tuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from tests.lab import processes  # noqa: E402
from tests.lab.api import Api, ApiClosed, ApiError  # noqa: E402
from tests.lab.console import Console  # noqa: E402
from tests.lab.lab import Lab  # noqa: E402
from tests.lab.printer import LabPrinter  # noqa: E402
from tests.lab.waiting import WaitFailed  # noqa: E402

TIME_LIMIT = 90.0  # seconds until everything expected must have been said
AFTERWARDS = 1.0  # seconds to see that nothing else is said
INTERRUPTED = 130  # the exit code of a shell's command after Ctrl-C

# What can happen: (kind, printer, text). Put by signals and threads, acted on by the main thread
# only. Kinds: line (of a console), typed, failed, quit.
Event = Tuple[str, str, str]


class Expectation:
    """Whether the printers say what the example's expected.txt wants of them.

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

    def hear(self, name: str, line: str) -> None:
        """A line of a console."""
        text = line[len("echo: ") :] if line.startswith("echo: ") else line
        words = {wanted.split()[0] for wanted in self._wanted.get(name, [])}
        if text.split()[:1] and text.split()[0] in words:
            self._said[name].append(text)

    @property
    def fulfilled(self) -> bool:
        """Whether everything was said, and nothing else."""
        return self._said == self._wanted

    def problem(self) -> Optional[str]:
        """What was said at the wrong time, or too often; None when all is well so far."""
        for name, said in self._said.items():
            wanted = self._wanted[name]
            if said != wanted[: len(said)]:
                return f"{name} said {said} where {wanted} was expected"
        return None

    def missing(self) -> str:
        """What has not been said."""
        return "; ".join(
            f"{name}: {text}"
            for name, wanted in self._wanted.items()
            for text in wanted[len(self._said[name]) :]
        )


def examples() -> List[str]:
    """The names of all examples that can be run."""
    return sorted(path.parent.name for path in HERE.glob("*/expected.txt"))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="examples/run.sh",
        description="Runs an example: real Klippys on emulated micro-controllers. Sets up what it"
        " needs under .cache/ first. Without arguments, lists the examples.",
    )
    parser.add_argument("example", nargs="?", choices=examples(), metavar="EXAMPLE")
    parser.add_argument("--keep", action="store_true", help="go on until Ctrl-C, to type G-code")
    parser.add_argument("--tmux", action="store_true", help="show the consoles side by side")
    parser.add_argument("--klipper", metavar="PATH", help="use this checkout of Klipper")
    parser.add_argument("--pane", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pane:
        return run_pane(*options.pane)
    if options.example is None:
        for name in examples():
            print(f"{name:12} {Expectation(HERE / name).title}")
        print("Run one: examples/run.sh EXAMPLE [--keep] [--tmux] [--klipper PATH]")
        return 0
    if options.klipper and not is_checkout(Path(options.klipper).expanduser()):
        return fail(f"--klipper {options.klipper}: there is no klippy/klippy.py, name a checkout.")
    if options.tmux and not shutil.which("tmux"):
        return fail("--tmux needs tmux, which is not there: install it (apt install tmux).")
    if options.tmux and not (sys.stdin.isatty() and sys.stdout.isatty()):
        return fail("--tmux needs a terminal.")

    # Not a Queue: a signal may come while the main thread is inside of get()
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: events.put(("quit", "", "")))
    code = set_up(options.klipper, events)
    if code:
        return code
    kind = "klipper" if options.klipper else "kalico"
    return Run(options.example, kind, options.keep, options.tmux, events).run()


def is_checkout(path: Path) -> bool:
    """Whether this is Klipper."""
    return (path / "klippy/klippy.py").is_file()


def fail(text: str) -> int:
    """Say what is wrong; the exit code for it."""
    print(f"run.sh: {text}", file=sys.stderr)
    return 1


def set_up(checkout: Optional[str], events: "queue.SimpleQueue[Event]") -> int:
    """Build the environment; quick where it is there already. Returns an exit code."""
    if checkout:
        os.environ["KLIPPER_PATH"] = str(Path(checkout).expanduser().resolve())
    part = "klipper" if checkout else "kalico"
    process = processes.spawn(
        [str(ROOT / "tests/setup.sh"), part],
        env=dict(os.environ, PYTHON=sys.executable),
        stdin=subprocess.DEVNULL,
    )
    while process.poll() is None and events.empty():
        time.sleep(0.05)
    # Also for what pip left in the background
    code = processes.end(process, grace=2.0)
    return code if events.empty() else INTERRUPTED


class Run:
    """One run of an example."""

    def __init__(
        self,
        example: str,
        kind: str,
        keep: bool,
        tmux: bool,
        events: "queue.SimpleQueue[Event]",
    ) -> None:
        self.folder = HERE / example
        self.kind, self.keep, self.events = kind, keep, events
        self.expectation = Expectation(self.folder)
        self.names = sorted(path.stem for path in self.folder.glob("*.cfg"))
        self.names.sort(key="main".__ne__)  # first
        self.lab = Lab()
        self.tmux = Tmux(self.lab, self.names, events) if tmux else None

    def run(self) -> int:
        """Returns the exit code: 0 only if the printers said what the example expects."""
        try:
            with self.lab:
                printers = [self.add(name) for name in self.names]
                if self.tmux:
                    self.tmux.open()
                for printer in printers:
                    printer.start()
                    threading.Thread(target=self.watch, args=(printer,), daemon=True).start()
                if self.keep and not self.tmux:
                    print('Type G-code for a printer as "led: M118 hi"; Ctrl-C ends.', flush=True)
                    threading.Thread(target=self.read_typed, daemon=True).start()
                code, verdict = self.follow()
        finally:
            if self.tmux:
                self.tmux.close()
        print(verdict, flush=True)
        return code

    def add(self, name: str) -> LabPrinter:
        """A printer with the example's files in its folder, and its socket where users have it."""
        printer = self.lab.add(
            self.kind,
            name,
            (self.folder / "emulated" / f"{name}.cfg").read_text(),
            mcu="fake",
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

    def watch(self, printer: LabPrinter) -> None:
        """Tell when a printer does not become ready."""
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
                self.expectation.hear(name, text)
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
        """The result, as soon as there is one."""
        problem = failure or self.expectation.problem()
        if problem:
            return 1, f"run.sh: FAILED: {problem}"
        if is_over and self.expectation.fulfilled:
            return 0, "run.sh: the printers did what this example expects."
        if is_over:
            logs = self.lab.tail()
            return 1, f"{logs}\nrun.sh: FAILED: not said: {self.expectation.missing()}"
        return None

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


def send(sock: str, gcode: str) -> None:
    """Run G-code without waiting for its end; errors show on the printer's console."""

    def run() -> None:
        try:
            with Api(sock) as api:
                api.call("gcode/script", {"script": gcode}, timeout=3600.0)
        except (ApiError, ApiClosed, TimeoutError):
            pass

    threading.Thread(target=run, daemon=True).start()


class Tmux:
    """The consoles side by side, in a tmux of our own."""

    def __init__(self, lab: Lab, names: List[str], events: "queue.SimpleQueue[Event]") -> None:
        self._command = ["tmux", "-L", lab.folder.name, "-f", os.devnull]
        self._lab, self._names, self._events = lab, names, events
        self._attached = threading.Thread(target=self._attach, daemon=True)

    def open(self) -> None:
        """Attach to a new session with a pane for each printer; Ctrl-C in a pane ends it."""
        os.environ.pop("TMUX", None)  # else it refuses to run inside another one
        for name in self._names:
            pane = [sys.executable, str(Path(__file__)), "--pane", name, self._lab.sock(name)]
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
        self._events.put(("quit", "", ""))

    def _run(self, *arguments: str) -> None:
        subprocess.run(
            [*self._command, *arguments],
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


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


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # as in "examples/run.sh print_stats | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
