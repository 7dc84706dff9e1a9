# Receivers of status updates and events: a macro, an API client or a part of the router
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, NamedTuple, Optional

from .printer import Printer, Status


class Event(NamedTuple):
    """One event.

    time: when it was triggered, in seconds of this printer's reactor. retain: whether it is kept
    for those that subscribe to it later. act_at: as in Job, for its handlers.
    """

    name: str
    context: Dict[str, Any]
    caller: Printer  # the printer that triggered it
    time: float
    retain: bool = False
    act_at: Optional[float] = None


class Receiver:
    """Receives status updates, events, or both. The defaults do nothing.

    Subscribing again with an equal receiver does not make a second subscription.
    """

    owner: Optional[Printer] = None  # the printer that made it; it ends when that Klippy restarts
    target: Optional[Printer] = None  # the printer on which it runs something for an event
    # Whether its status updates may come in a later callback of the reactor, when there are many
    can_wait = False
    title = ""  # names the subscription to the user; "" for API clients and waits

    @property
    def closed(self) -> bool:
        """Whether it receives nothing any more, so that its subscriptions can be removed."""
        return False

    def runs(self, gcode: str) -> bool:
        """Whether it runs this G-code, or calls this endpoint."""
        return False

    # -- status

    def begin(self, eventtime: float, status: Status) -> None:
        """The first snapshot, for receivers that do not get it as the result of subscribing."""

    def update(self, eventtime: float, status: Status) -> None:
        """Values that have changed."""

    def resume(self) -> None:
        """Its owner is ready again."""

    def ended(self) -> None:
        """Its subscription was removed or replaced."""

    # -- events

    def event(self, event: Event) -> None:
        """An event was triggered. Raises RouterError when it cannot be delivered."""

    def retained(self, event: Event) -> None:
        """A retained event, which was triggered before this receiver subscribed."""

    def target_restarted(self) -> None:
        """The target's Klippy was started again."""
