# The phases of a connection to a peer, and the transitions between them
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from enum import Enum
from typing import Dict

from ..errors import BadMessage


class Phase(Enum):
    """The phase of a connection."""

    CLOSED = "closed"  # no connection
    IDENTIFYING = "identifying"  # 'info' was sent
    CONNECTED = "connected"  # Klippy is in startup, error or shutdown
    PREPARING = "preparing"  # Klippy is ready: methods are registered, subscriptions restored
    READY = "ready"  # all of that was answered


class Trigger(Enum):
    """What can change the phase."""

    # Ours
    OPENED = "opened the connection"
    LOST = "lost the connection"
    PREPARED = "finished preparing"
    # The peer's
    IDENTIFIED = "answered 'info'"
    KLIPPY_READY = "reported that it is ready"
    KLIPPY_NOT_READY = "reported that it is not ready"


_OURS = (Trigger.OPENED, Trigger.LOST, Trigger.PREPARED)

TRANSITIONS: Dict[Phase, Dict[Trigger, Phase]] = {
    Phase.CLOSED: {
        Trigger.OPENED: Phase.IDENTIFYING,
    },
    Phase.IDENTIFYING: {
        Trigger.IDENTIFIED: Phase.CONNECTED,
        Trigger.LOST: Phase.CLOSED,
    },
    Phase.CONNECTED: {
        Trigger.KLIPPY_READY: Phase.PREPARING,
        Trigger.KLIPPY_NOT_READY: Phase.CONNECTED,
        Trigger.LOST: Phase.CLOSED,
    },
    Phase.PREPARING: {
        Trigger.PREPARED: Phase.READY,
        Trigger.KLIPPY_READY: Phase.PREPARING,
        Trigger.KLIPPY_NOT_READY: Phase.CONNECTED,
        Trigger.LOST: Phase.CLOSED,
    },
    Phase.READY: {
        Trigger.KLIPPY_READY: Phase.READY,
        Trigger.KLIPPY_NOT_READY: Phase.CONNECTED,
        Trigger.LOST: Phase.CLOSED,
    },
}


class ImpossibleTransition(Exception):
    """A Session was used wrongly: a bug of the router."""


def next_phase(phase: Phase, trigger: Trigger) -> Phase:
    """The phase after a trigger.

    If there is none, raises BadMessage for a trigger of the peer, and ImpossibleTransition for one
    of the router.
    """
    following = TRANSITIONS[phase].get(trigger)
    if following is not None:
        return following
    text = "%s while %s" % (trigger.value, phase.value)
    if trigger in _OURS:
        raise ImpossibleTransition(text)
    raise BadMessage(text)
