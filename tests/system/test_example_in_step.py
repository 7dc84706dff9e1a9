"""The example of a shutter on a peer, which compares two pins and draws them."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import subprocess
from xml.etree import ElementTree

from tests.lab.klippers import ROOT


def test_the_example():
    ended = subprocess.run(
        [str(ROOT / "examples" / "run.sh"), "in_step"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=150,
    )
    assert ended.returncode == 0, ended.stdout
    lines = ended.stdout.splitlines()
    assert lines[-1] == "run.sh: the printers did what this example expects."
    path = [line for line in lines if line.startswith("The picture of both: ")][0].split(": ")[1]
    svg = ElementTree.parse(path).getroot()
    name = "{http://www.w3.org/2000/svg}"
    assert len(svg.findall(f"{name}polyline")) == 2
    assert len(svg.findall(f"{name}circle")) == 24
