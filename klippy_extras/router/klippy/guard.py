# Keeps an exception of the router from ending a print
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from typing import Any, Callable


def guarded(callback: Callable[..., Any], *args: Any) -> bool:
    """Call it, and log an exception, which would end the print. Returns whether it succeeded.

    Does not catch BaseException: Klippy ends waiting greenlets by throwing GreenletExit into them.
    """
    try:
        callback(*args)
        return True
    except Exception:
        logging.exception("router: internal error (please report it)")
        return False
