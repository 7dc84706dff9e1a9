"""The example of a peer on another machine, and examples that need more than printers."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import queue
import shutil

import pytest

from tests.lab.example_run import Run
from tests.lab.klippers import ROOT
from tests.lab.sshd import NoSshd, Sshd
from tests.system.examples import each_klipper, run_example


@each_klipper
def test_the_lights_are_behind_a_tunnel(arguments, lab):
    try:
        with Sshd(lab.folder):
            pass
    except NoSshd as reason:
        pytest.skip(str(reason))
    lines = run_example("remote_host", *arguments)
    # What the macro of led prints, while main waits for it
    assert "main | // led: Lights: on" in lines


def test_an_example_says_what_it_lacks(tmp_path, capsys):
    example = tmp_path / "copy"
    shutil.copytree(ROOT / "examples/remote_host", example)
    (example / "emulated/around.py").write_text(
        "def start(lab):\n    raise LookupError('no sshd: install openssh-server')\n"
    )
    assert Run(example, "kalico", False, False, queue.SimpleQueue()).run() == 1
    assert capsys.readouterr().out == "run.sh: no sshd: install openssh-server\n"
