"""The example of two printers with a router each, and an accessory that they share."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import queue
import shutil

import pytest

from tests.lab.example_run import Run
from tests.lab.klippers import ROOT
from tests.system.examples import each_klipper, run_example

EXAMPLE = ROOT / "examples" / "two_printers"


@each_klipper
def test_the_example(arguments):
    lines = run_example("two_printers", *arguments)
    # right has waited: its print is the shorter one
    order = [
        lines.index(line)
        for line in (
            "right | echo: Waiting for the box",
            "arm   | echo: Taking the box from left",
            "arm   | echo: Taking the lid from right",
        )
    ]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("option", "instead", "problem"),
    [
        ("accept_calls: False", "", "left said ['Ready: box', 'Stacked: box', 'Stacked: box'"),
        ("[router left]", "[router left]\nallow: gcode, status", "right said ['Ready: lid'"),
    ],
    ids=["calls twice", "no events"],
)
def test_it_fails_without(tmp_path, monkeypatch, kind, option, instead, problem):
    example = tmp_path / "copy"
    shutil.copytree(EXAMPLE, example)
    config = example / "right.cfg"
    text = config.read_text()
    assert option in text
    config.write_text(text.replace(option, instead))
    monkeypatch.setenv("HOME", os.environ["HOME"])  # the run changes it
    run = Run(example, kind, False, False, queue.SimpleQueue())
    with run.lab:
        code, verdict = run.drive([run.add(name) for name in run.names])
    assert code == 1
    assert problem in verdict
