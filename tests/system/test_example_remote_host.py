"""The example of a peer on another machine, and examples that need more than printers."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import queue
import shutil
import subprocess

import pytest

from tests.lab.example_run import Run
from tests.lab.klippers import ROOT, available
from tests.lab.sshd import NoSshd, Sshd

CHECKOUT = pytest.param(
    ["--klipper", os.environ.get("KLIPPER_PATH", "")],
    marks=pytest.mark.skipif(not available("klipper"), reason="KLIPPER_PATH is not set"),
    id="klipper",
)


@pytest.mark.parametrize("arguments", [pytest.param([], id="kalico"), CHECKOUT])
def test_the_lights_are_behind_a_tunnel(arguments, lab):
    try:
        with Sshd(lab.folder):
            pass
    except NoSshd as reason:
        pytest.skip(str(reason))
    ended = subprocess.run(
        [ROOT / "examples/run.sh", "remote_host", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=110,
    )
    lines = ended.stdout.splitlines()
    assert ended.returncode == 0, ended.stdout
    assert lines[-1] == "run.sh: the printers did what this example expects."
    # What the macro of led prints, while main waits for it
    assert "main | // led: Lights: on" in lines
    assert not [line for line in lines if "!!" in line or "Router:" in line], lines


def test_an_example_says_what_it_lacks(tmp_path, capsys):
    example = tmp_path / "copy"
    shutil.copytree(ROOT / "examples/remote_host", example)
    (example / "emulated/around.py").write_text(
        "def start(lab):\n    raise LookupError('no sshd: install openssh-server')\n"
    )
    assert Run(example, "kalico", False, False, queue.SimpleQueue()).run() == 1
    assert capsys.readouterr().out == "run.sh: no sshd: install openssh-server\n"
