# router/restart: restarting a printer, also one that is shut down or in error
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict

from ..printers.printer import Done, Failure, Printer, ignore_answer


def restart(target: Printer, firmware: bool, done: Done) -> None:
    """RESTART or FIRMWARE_RESTART; done({}, None) when the printer has accepted it.

    The result has a `hint` where Klipper's own message asks for the other kind. Klipper runs it
    behind the script that it is at. Raises NotReady.
    """
    target.check_connected()
    hint = _hint(target, firmware)
    result: Dict[str, Any] = {"hint": hint} if hint else {}
    endpoint = "gcode/firmware_restart" if firmware else "gcode/restart"

    def accepted(_result: Any, error: Failure) -> None:
        done(None if error else result, error)

    if target.is_local:
        # Whoever waits for the answer would not get it after the restart
        done(result, None)
        target.call_endpoint(endpoint, {}, ignore_answer)
    else:
        target.call_endpoint(endpoint, {}, accepted)


def _hint(target: Printer, firmware: bool) -> str:
    """The other kind of restart, where Klipper's message names it, in one sentence.

    Source: klippy/klippy.py. A plain restart cannot take an MCU out of its shutdown, and a
    firmware restart cannot reset an MCU that Klippy did not configure.
    """
    needed = '"FIRMWARE_RESTART"' if not firmware else '"RESTART"'
    if target.ready or needed not in target.state_message:
        return ""
    return "%s: if it does not become ready, use ROUTER_RESTART TARGET=%s FIRMWARE=%d" % (
        target.not_ready(),
        target.name,
        not firmware,
    )
