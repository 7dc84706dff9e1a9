"""Two main printers with a router each: what tests of them share."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Tuple

from tests.lab import config
from tests.lab.lab import Lab
from tests.lab.printer import LabPrinter
from tests.system.macros import LIFECYCLE, recorder, wait_known

HANDLER = "ON_EVENT"
MACROS = recorder(HANDLER, "ROUTER_ON_ERROR", *LIFECYCLE)


def start_routers(
    lab: Lab, pair: Tuple[str, str], a_options: str = "", b_options: str = "", more: str = ""
) -> Tuple[LabPrinter, LabPrinter]:
    """Start two printers with a router each, which know each other, and wait until they do.

    The first is `left`, which calls the other one `b`; that one is `right`, and calls it `a`.
    a_options, b_options: of these two sections. more: sections of both.
    """
    printers = []
    for kind, name, peer, sock, options in (
        (pair[0], "left", "b", "right", b_options),
        (pair[1], "right", "a", "left", a_options),
    ):
        section = f"[router {peer}]\nsock: {lab.sock(sock)}\n{options}\n"
        text = f"[router]\nname: {name}\n{section}{MACROS}{more}"
        printers.append(lab.printer(kind, name, config.printing(text)))
    left, right = printers
    lab.wait_ready()
    wait_known(left, "b")
    wait_known(right, "a")
    return left, right
