# router/restart: restarts a printer, even one that is shut down or in error
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict

from ..printers.printer import Done, Failure, Printer, ignore_answer


def restart(target: Printer, firmware: bool, done: Done) -> None:
    """RESTART or FIRMWARE_RESTART; done({}, None) when the printer has accepted it.

    The result has a `hint` if Klipper's own message asks for the other kind. Klipper restarts
    after the script that it is running. Raises NotReady.
    """
    target.check_connected()
    hint = _hint(target, firmware)
    accepted = _Accepted({"hint": hint} if hint else {}, done)
    endpoint = "gcode/firmware_restart" if firmware else "gcode/restart"
    if target.is_local:
        # Answer first: after the restart it could not be delivered
        accepted.done(None, None)
        target.call_endpoint(endpoint, {}, ignore_answer)
    else:
        target.call_endpoint(endpoint, {}, accepted.done)


class _Accepted:
    """Replaces the answer of the endpoint by the result of the method."""

    def __init__(self, result: Dict[str, Any], passed_to: Done) -> None:
        self._result, self._passed_to = result, passed_to

    def done(self, _answer: Any, error: Failure) -> None:
        self._passed_to(None if error else self._result, error)


def _hint(target: Printer, firmware: bool) -> str:
    """One sentence about the other kind of restart, if Klipper's message names it, or "".

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
