# The only status subscription of a connection, and whether it is up to date
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Optional

from .printer import Objects


class PeerSubscription:
    """The status objects that a peer is to report.

    Klippy keeps one subscription per connection and answers each new one with all values. So there
    is one request in flight at a time, and changes meanwhile go into the next one. always: objects
    to subscribe to in any case.
    """

    def __init__(self, always: Objects) -> None:
        self._always = always
        self._objects: Objects = {}
        self._is_current = True  # whether the latest request is up to date
        self._in_flight = False  # whether a request was sent and not answered

    @property
    def has_objects(self) -> bool:
        """Whether there are objects besides those of always."""
        return bool(self._objects)

    def closed(self) -> None:
        """The connection is lost, and the request with it."""
        self._is_current, self._in_flight = True, False

    def replace(self, objects: Objects) -> None:
        """Subscribe to these objects instead of those before."""
        self._objects = objects
        self._is_current = False

    def renew(self) -> None:
        """Subscribe again, to get all values."""
        self._is_current = False

    def take_request(self) -> Optional[Objects]:
        """The objects to subscribe to now; None if nothing is due, or a request is in flight."""
        if self._is_current or self._in_flight:
            return None
        self._is_current = self._in_flight = True
        objects = dict(self._objects)
        for name, always in self._always.items():
            fields = objects.get(name, [])
            if fields is not None:
                objects[name] = None if always is None else sorted({*fields, *always})
        return objects

    def answered(self) -> bool:
        """The request was answered. Returns whether it was up to date."""
        self._in_flight = False
        return self._is_current
