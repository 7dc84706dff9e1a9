"""What can happen to a printer that the host knows, and to the tunnel to one."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import random
import time
from typing import Callable, Dict, List, NamedTuple, Optional

from tests.lab.forwarder import Forwarder
from tests.lab.printer import LabPrinter
from tests.lab.waiting import WaitFailed


class Target(NamedTuple):
    """A printer, and the tunnel to it if there is one."""

    printer: LabPrinter
    tunnel: Optional[Forwarder] = None


def kill(target: Target, _seconds: float) -> None:
    target.printer.kill()
    target.printer.start()


def freeze(target: Target, seconds: float) -> None:
    target.printer.freeze()
    time.sleep(seconds)
    target.printer.thaw()


def restart(target: Target, _seconds: float) -> None:
    target.printer.begin_restart()


def firmware_restart(target: Target, _seconds: float) -> None:
    target.printer.begin_restart(firmware=True)


def emergency(target: Target, _seconds: float) -> None:
    target.printer.script("M112")
    target.printer.wait_state("shutdown")
    target.printer.begin_restart(firmware=True)


def remove_socket(target: Target, seconds: float) -> None:
    os.unlink(target.printer.sock)
    time.sleep(0.2)
    kill(target, seconds)  # Klippy makes it again when it starts


def cut_tunnel(target: Target, _seconds: float) -> None:
    assert target.tunnel
    target.tunnel.cut()


def stall_tunnel(target: Target, seconds: float) -> None:
    """Half open: nothing arrives, and nothing is closed; what was sent arrives later."""
    assert target.tunnel
    target.tunnel.stall()
    time.sleep(seconds)
    target.tunnel.resume()


def stall_and_cut_tunnel(target: Target, seconds: float) -> None:
    """Half open, and then all that was sent meanwhile is lost."""
    assert target.tunnel
    target.tunnel.stall()
    time.sleep(seconds)
    target.tunnel.cut()
    target.tunnel.resume()


def wait_recovered(printer: LabPrinter) -> None:
    """Wait until it is ready again.

    Klippy gives up if its MCU was not reset (_restart_via_command in klippy/mcu.py sends nothing to
    an MCU that has not answered in time), and says what to do.
    """
    try:
        printer.wait_ready()
    except WaitFailed:
        if printer.state() != "error":
            raise
        printer.restart(firmware=True)


Failure = Callable[[Target, float], None]
OF_PRINTERS: List[Failure] = [kill, freeze, restart, firmware_restart, emergency, remove_socket]
OF_TUNNELS: List[Failure] = [cut_tunnel, stall_tunnel, stall_and_cut_tunnel]
SECONDS = (0.1, 0.5, 1.5)
PAUSES = (0.0, 0.3, 1.0)


class Round(NamedTuple):
    """A failure of one printer, how long it lasts if it can last, and the pause after it."""

    failure: Failure
    target: Target
    seconds: float
    pause: float

    def __str__(self) -> str:
        return f"{self.failure.__name__} of {self.target.printer.name} ({self.seconds} s)"


def plan(rounds: int, seed: int, targets: Dict[str, Target]) -> List[Round]:
    """The same for the same seed and names."""
    choice = random.Random(seed)
    planned = []
    for _ in range(rounds):
        target = targets[choice.choice(sorted(targets))]
        # Half of what happens to a printer behind a tunnel happens to the tunnel
        kinds = OF_TUNNELS if target.tunnel and choice.random() < 0.5 else OF_PRINTERS
        failure, seconds = choice.choice(kinds), choice.choice(SECONDS)
        planned.append(Round(failure, target, seconds, choice.choice(PAUSES)))
    return planned
