"""Processes that cannot outlive the test harness, whatever ends it (even SIGKILL)."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import atexit
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import Any, Iterator, List, Optional

# A process of its own: it reads "+GROUP" and "-GROUP" lines, and when the pipe closes, because we
# ended in whatever way, it kills the process groups left. PR_SET_PDEATHSIG would not do: it fires
# when the *thread* that started a process ends.
_REAPER = """
import os, signal, sys
groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass
"""
_lock = threading.Lock()
_reaper: Optional["subprocess.Popen[str]"] = None
_reaper_owner = 0


def spawn(argv: List[str], **options: Any) -> "subprocess.Popen[Any]":
    """Start a program in a process group of its own; options are those of subprocess.Popen."""
    with _blocked(signal.SIGINT, signal.SIGHUP):
        process = subprocess.Popen(argv, start_new_session=True, **options)
    _notify_reaper(f"+{process.pid}")
    return process


@contextmanager
def _blocked(*numbers: signal.Signals) -> Iterator[None]:
    """What is started in here inherits it, and never needs these signals: a Ctrl-C that arrives
    before it has its own session would end it.
    """
    others = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, others)


def end(process: "subprocess.Popen[Any]", grace: float = 0.0) -> int:
    """End a process and its group: SIGTERM, and SIGKILL after `grace` seconds; the exit code."""
    if process.poll() is None and grace:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            pass
    _signal(process, signal.SIGKILL)
    code = process.wait()
    _notify_reaper(f"-{process.pid}")
    return code


def group_is_alive(group: int) -> bool:
    """Whether any process of this group still exists."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _signal(process: "subprocess.Popen[Any]", number: int) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


def _notify_reaper(line: str) -> None:
    global _reaper, _reaper_owner
    with _lock:
        if _reaper is None or _reaper_owner != os.getpid():
            _reaper_owner = os.getpid()
            with _blocked(signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
                _reaper = subprocess.Popen(
                    [sys.executable, "-S", "-c", _REAPER],
                    stdin=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            atexit.register(_stop_reaper)
        assert _reaper.stdin
        _reaper.stdin.write(line + "\n")
        _reaper.stdin.flush()


def _stop_reaper() -> None:
    if _reaper and _reaper.stdin and _reaper_owner == os.getpid():
        _reaper.stdin.close()
        _reaper.wait()
