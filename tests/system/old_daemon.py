"""The stand-in of the router daemon that this router replaces."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import subprocess
import sys
from contextlib import contextmanager
from typing import Iterator

from tests.lab import processes
from tests.lab.klippers import ROOT
from tests.lab.lab import Lab


@contextmanager
def old_daemon(lab: Lab) -> Iterator[int]:
    """Run it meanwhile, connected to all printers of the lab. Yields its process ID."""
    settings = lab.folder / "daemon.cfg"
    settings.write_text(
        "".join(f"[klippy {p.name}]\nsock: {p.sock}\n" for p in lab.printers.values())
    )
    program = str(ROOT / "tests" / "bench" / "reference_daemon.py")
    quiet = subprocess.DEVNULL
    daemon = processes.spawn(
        [sys.executable, program, "-c", str(settings)], stdin=quiet, stdout=quiet, stderr=quiet
    )
    try:
        yield daemon.pid
    finally:
        processes.end(daemon)
