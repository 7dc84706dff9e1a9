# Errors of the router, by what went wrong
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.


class RouterError(Exception):
    """A request failed; str() is one sentence for the user."""


class UsageError(RouterError):
    """The caller asked for something wrong: a typo, a missing or malformed parameter."""


class NotAllowed(RouterError):
    """The caller must not do this ('allow' in its section)."""


class NotReady(RouterError):
    """The target is not connected, or in no state to serve the request. Nothing was sent."""


class Busy(RouterError):
    """A bound was reached. Nothing was sent, nothing was stored."""


class PeerError(RouterError):
    """The peer answered with an error; str() is its own message."""


class TooLong(PeerError):
    """What the peer sent is longer than max_message: it was skipped."""


class LinkLost(RouterError):
    """The connection broke after the request was sent: its outcome is unknown."""


class BadMessage(RouterError):
    """The peer sent what the protocol does not allow; its connection ends."""


class TimedOut(RouterError):
    """An answer, or what was waited for, did not arrive in time."""
