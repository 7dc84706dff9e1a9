"""The example of a print that waits for a filament changer, run as a user runs it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import subprocess

import pytest

from tests.lab.klippers import ROOT, available

RUN = str(ROOT / "examples" / "run.sh")
CHECKOUT = pytest.param(
    ["--klipper", os.environ.get("KLIPPER_PATH", "")],
    marks=pytest.mark.skipif(not available("klipper"), reason="KLIPPER_PATH is not set"),
    id="klipper",
)


@pytest.mark.parametrize("arguments", [pytest.param([], id="kalico"), CHECKOUT])
def test_the_print_waits_three_times(arguments):
    ended = subprocess.run(
        [RUN, "changer", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
    )
    lines = ended.stdout.splitlines()
    assert ended.returncode == 0, ended.stdout
    assert lines[-1] == "run.sh: the printers did what this example expects."
    # Each step begins when the one before it is over, and the print goes on after the last
    said = [line.split("| ", 1)[1] for line in lines if line.startswith("main ")]
    marks = ("echo: Change", "// changer:", "echo: Print")
    assert [line for line in said if line.startswith(marks)] == [
        "echo: Change to lane 1",
        "echo: Change: FEED LANE=1",
        "// changer: Feeding lane 1",
        "// changer: Fed lane 1",
        "echo: Change: LOAD LENGTH=50",
        "// changer: Loading 50 mm",
        "// changer: Loaded",
        "echo: Change: PURGE",
        "// changer: Purging",
        "// changer: Purged",
        "echo: Print is over",
    ]
    assert not [line for line in lines if "!!" in line], ended.stdout
