# The one subscription of a connection: what is wanted, and whether the peer was asked for it
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Optional

from .printer import Objects


class PeerSubscription:
    """The status objects that a peer is to report.

    Klippy keeps one subscription per connection and answers each new one with all values. So one
    request is on its way at a time, and whatever is wanted in the meantime goes into the next.
    always: objects to subscribe to in any case.
    """

    def __init__(self, always: Objects) -> None:
        self._always = always
        self._wanted: Objects = {}
        self._is_current = True  # what was asked for last is what is wanted
        self._in_flight = False  # a request was sent and not answered

    @property
    def has_wanted(self) -> bool:
        """Whether anything is wanted besides what always is."""
        return bool(self._wanted)

    def closed(self) -> None:
        """The connection is lost, and with it the request."""
        self._is_current, self._in_flight = True, False

    def want(self, objects: Objects) -> None:
        """Replace what is wanted."""
        self._wanted = objects
        self._is_current = False

    def renew(self) -> None:
        """All values are to be asked for again."""
        self._is_current = False

    def take_request(self) -> Optional[Objects]:
        """The objects to subscribe to now; None when nothing is due, or a request is on its way."""
        if self._is_current or self._in_flight:
            return None
        self._is_current = self._in_flight = True
        objects = dict(self._wanted)
        for name, always in self._always.items():
            fields = objects.get(name, [])
            if fields is not None:
                objects[name] = None if always is None else sorted({*fields, *always})
        return objects

    def answered(self) -> bool:
        """The request was answered. Returns whether the answer is to what is wanted by now."""
        self._in_flight = False
        return self._is_current
