"""The example of a shutter on a peer, which compares two pins and draws them.

How far apart the pins are depends on how busy the machine is, which runs other tests beside this
one. So an example that has failed for half a millisecond only is accepted here, unless the shutter
is late by what it would be without SYNC=1. `tests/bench.sh sync` measures the distance.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
from xml.etree import ElementTree

from tests.system.examples import SUCCESS, Running

TOO_FAR = r"run\.sh: FAILED: the pins are ([0-9.]+) ms apart, not below 0\.5"
WITHOUT_SYNC = 250  # milliseconds: how late a toolhead at rest starts


def test_the_example():
    with Running("in_step") as running:
        code = running.end()
    lines = running.lines
    if code:
        apart = re.fullmatch(TOO_FAR, lines[-1])
        assert apart and float(apart.group(1)) < WITHOUT_SYNC / 10, "\n".join(lines)
    else:
        assert lines[-1] == SUCCESS
    path = [line for line in lines if line.startswith("The picture of both: ")][0].split(": ")[1]
    svg = ElementTree.parse(path).getroot()
    name = "{http://www.w3.org/2000/svg}"
    assert len(svg.findall(f"{name}polyline")) == 2
    assert len(svg.findall(f"{name}circle")) == 24
