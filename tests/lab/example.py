"""Runs an example: its printers are real Klippys on emulated micro-controllers. See --help."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import argparse
import os
import queue
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List, Optional

ROOT = Path(__file__).resolve().parents[2]
# examples/run.sh runs this file by its path
sys.path[0] = str(ROOT)

from tests.lab import processes  # noqa: E402
from tests.lab.example_run import INTERRUPTED, Event, Expectation, Run  # noqa: E402
from tests.lab.example_tmux import run_pane  # noqa: E402

EXAMPLES = ROOT / "examples"


def examples() -> List[str]:
    """The names of all examples that can be run."""
    return sorted(path.parent.name for path in EXAMPLES.glob("*/expected.txt"))


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
            print(f"{name:12} {Expectation(EXAMPLES / name).title}")
        print("Run one: examples/run.sh EXAMPLE [--keep] [--tmux] [--klipper PATH]")
        return 0
    if options.klipper and not is_checkout(Path(options.klipper).expanduser()):
        return fail(f"--klipper {options.klipper}: there is no klippy/klippy.py, name a checkout.")
    if options.tmux and not shutil.which("tmux"):
        return fail("--tmux needs tmux, which is not installed: install it (apt install tmux).")
    if options.tmux and not (sys.stdin.isatty() and sys.stdout.isatty()):
        return fail("--tmux needs a terminal.")

    # Not a Queue: a signal may arrive while the main thread is inside get()
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: events.put(("quit", "", "")))
    code = set_up(options.klipper, events)
    if code:
        return code
    kind = "klipper" if options.klipper else "kalico"
    return Run(EXAMPLES / options.example, kind, options.keep, options.tmux, events).run()


def is_checkout(path: Path) -> bool:
    """Whether this is Klipper."""
    return (path / "klippy/klippy.py").is_file()


def fail(text: str) -> int:
    """Say what is wrong; the exit code for it."""
    print(f"run.sh: {text}", file=sys.stderr)
    return 1


def set_up(checkout: Optional[str], events: "queue.SimpleQueue[Event]") -> int:
    """Build the environment; quick if it exists already. Returns an exit code."""
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


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # as in "examples/run.sh print_stats | head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
