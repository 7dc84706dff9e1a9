# The router's errors
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.


class RouterError(Exception):
    """A request failed; str() is one sentence for the user."""


class UsageError(RouterError):
    """The request is wrong: a typo, or a missing or malformed parameter."""


class NotAllowed(RouterError):
    """Option 'allow' of the caller does not permit this."""


class NotReady(RouterError):
    """The target is not connected, or cannot serve the request in its state. Nothing was sent."""


class Busy(RouterError):
    """A limit was reached. Nothing was sent or stored."""


class PeerError(RouterError):
    """The peer answered with an error; str() is its own message."""


class TooLong(PeerError):
    """A message from the peer was longer than max_message, and was skipped."""


class LinkLost(RouterError):
    """The connection broke, or the peer shut down, after the request was sent.

    Its outcome is unknown.
    """


class BadMessage(RouterError):
    """The peer violated the protocol; its connection is closed."""


class TimedOut(RouterError):
    """An answer did not arrive in time, or what was waited for did not happen in time."""
