# Reports messages of a peer that were skipped because they are longer than max_message
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Callable, Optional

from ..errors import RouterError, TooLong
from ..klippy.timers import Timer, Timers
from .printer import Printer
from .session_events import Skipped, SkippedKind

# Seconds between two subscriptions that are renewed because an update was skipped
RESUBSCRIBE_INTERVAL = 1.0

_SENTENCES = {
    SkippedKind.SNAPSHOT: "its status is longer than {limit}: name the fields that you need, or"
    " {raise_it}",
    SkippedKind.UPDATE: "an update of its status longer than {limit} was skipped, and all values"
    " are requested again; name the fields that you need, or {raise_it}",
    SkippedKind.OUTPUT: "a message on its console longer than {limit} is not shown; to see it,"
    " {raise_it}",
    SkippedKind.COMMANDS: "its list of commands is longer than {limit}: its ROUTER_ON_ macros are"
    " not run, and * in proxy_commands matches none; {raise_it}",
    SkippedKind.CALL: "this call is longer than {limit}: send less, or {raise_it}",
}


class SkippedMessages:
    """Reports what was skipped, and requests status values that are out of date.

    subscribe_again: requests all values of the peer's status.
    """

    def __init__(
        self,
        timers: Timers,
        printer: Printer,
        max_message: int,
        subscribe_again: Callable[[], None],
    ) -> None:
        self._timers, self._printer = timers, printer
        self._subscribe_again = subscribe_again
        self._words = {
            "limit": "max_message (%d bytes)" % (max_message,),
            "raise_it": "raise max_message in [router %s]" % (printer.name,),
        }
        self._timer: Optional[Timer] = None
        self._at = 0.0  # when it last subscribed again

    def handle(self, event: Skipped) -> None:
        """Report it to the listeners or the user; after an update, request all values again."""
        sentence = _SENTENCES[event.kind].format(**self._words)
        error = TooLong("%s: %s" % (self._printer.name, sentence))
        if event.kind is SkippedKind.SNAPSHOT:
            for listener in self._printer.listeners:
                listener.too_long(self._printer, error)
        elif event.kind is SkippedKind.CALL:
            for listener in self._printer.listeners:
                listener.call_skipped(self._printer, event.method, error)
        else:
            self._printer.hints.say(str(error))
        if event.kind is SkippedKind.UPDATE and self._timer is None:
            wait = self._at + RESUBSCRIBE_INTERVAL - self._timers.now()
            self._timer = self._timers.after(max(0.0, wait), self._due)

    def answer_error(self, error: RouterError) -> RouterError:
        """The error of a request whose answer was skipped, and what to do about it."""
        words = (self._printer.name, error, self._words["raise_it"])
        return TooLong("%s: %s: ask for less, or %s" % words)

    def close(self) -> None:
        """The connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self._timer, self._at = None, self._timers.now()
        self._subscribe_again()
