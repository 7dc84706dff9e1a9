"""All ways to misbehave: `python -m tests.hostile.ways WAY HOST_SOCK SOCK ...` is such a peer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import sys
from typing import Dict, Type

from . import crowds, fake_peers
from .fake_peers import FakePeer

WAYS: Dict[str, Type[FakePeer]] = {
    name: way
    for module in (fake_peers, crowds)
    for name, way in vars(module).items()
    if isinstance(way, type) and issubclass(way, FakePeer) and way.__module__ == module.__name__
}
# Those that break nothing, and a base class
del WAYS["FakePeer"], WAYS["Healthy"], WAYS["_Subscribing"]

if __name__ == "__main__":
    chosen = {**WAYS, "Healthy": fake_peers.Healthy}[sys.argv[1]]
    chosen(sys.argv[3:], sys.argv[2]).run()
