"""A run of examples/run.sh, as a user runs it, which must leave nothing behind."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab.closing import Closing
from tests.lab.klippers import ROOT, available
from tests.lab.waiting import wait_until

RUN = str(ROOT / "examples" / "run.sh")
SUCCESS = "run.sh: the printers did what this example expects."
MARK = "KLIPPER_ROUTER_TEST_EXAMPLE"
LIMIT = 110.0  # seconds; another run of tests/setup.sh may hold us up

# The arguments for each Klipper that it knows
each_klipper = pytest.mark.parametrize(
    "arguments",
    [
        pytest.param([], id="kalico"),
        pytest.param(
            ["--klipper", os.environ.get("KLIPPER_PATH", "")],
            marks=pytest.mark.skipif(not available("klipper"), reason="KLIPPER_PATH is not set"),
            id="klipper",
        ),
    ],
)


def run_example(name, *arguments):
    """Returns the lines that it printed: the last one is its success, and none is an error."""
    with Running(name, *arguments) as running:
        code = running.end()
    lines = running.lines
    assert (code, lines[-1:]) == (0, [SUCCESS]), "\n".join(lines)
    assert not [line for line in lines if "!!" in line or "Router:" in line], "\n".join(lines)
    return lines


class Running(Closing):
    """A run of examples/run.sh; everything that it starts inherits a mark in its environment."""

    def __init__(self, *arguments, stdin=subprocess.DEVNULL):
        # Short, because the path of a socket must be
        self.folder = tempfile.mkdtemp(prefix="kre-")
        os.chmod(self.folder, 0o711)  # for the user of tests/lab/sshd.py
        self.lines = []
        self.process = subprocess.Popen(
            [RUN, *arguments],
            env=dict(os.environ, TMPDIR=self.folder, **{MARK: self.folder}),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            bufsize=0,  # select() does not see what is in a buffer
        )

    def wait_line(self, text):
        """Read until a line with this text; None reads to the end."""
        output = self.process.stdout
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if select.select([output], [], [], 1.0)[0]:
                line = output.readline().decode()
                if not line and text is None:
                    return
                assert line, f"it ended without a line {text!r}: {self.lines}"
                self.lines.append(line.rstrip("\n"))
                if text is not None and text in line:
                    return
        pytest.fail(f"not within {LIMIT:g} s: {text or 'its end'}, but {self.lines}")

    def end(self):
        """Read to the end; returns the exit code. No process and no file may be left."""
        self.wait_line(None)
        code = self.process.wait(10)
        wait_until(lambda: not self.processes(), 5.0, f"left behind: {self.processes()}")
        assert os.listdir(self.folder) == []
        return code

    def processes(self):
        """The command lines of the processes with our mark."""
        mark = f"{MARK}={self.folder}".encode()
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            try:
                if mark in environ.read_bytes().split(b"\0"):
                    found.append((environ.parent / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found

    def close(self):
        processes.end(self.process, grace=20.0)
        self.process.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)
