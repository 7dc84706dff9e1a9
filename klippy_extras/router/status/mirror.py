# The status of a peer as status of this printer: printer["router NAME"].mirror
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, Optional

from ..printers.printer import Objects, Printer, PrinterListener, Status
from ..printers.receiver import Receiver
from ..sanitize import encodable
from .subscriptions import Subscriptions


class StatusWithMirror(Dict[str, Any]):
    """The status of a peer, with each mirrored object as a field of its own.

    Klipper sends all of a field when a part of it has changed, and a client that subscribes to all
    fields, as Mainsail does, gets those that keys() has (klippy/webhooks.py, QueryStatusHelper).
    Therefore `mirror` and `mirror_time`, which change with every object, are not among the keys:
    they are found by their names only, in macros and by a client that asks for them.
    """

    def __init__(self, fields: Dict[str, Any], mirror: "Mirror") -> None:
        super().__init__(fields)
        for name, values in mirror.values.items():
            self.setdefault(name, values)
        self._by_name = {"mirror": mirror.values, "mirror_time": mirror.time}

    def __missing__(self, key: str) -> Any:
        return self._by_name[key]

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or key in self._by_name

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default


class Mirror(PrinterListener, Receiver):
    """Keeps the values of a peer's objects; None while unknown.

    Every change makes new dicts, because Klipper finds a change by comparing with what it got last.
    """

    def __init__(self, objects: Objects, monotonic: Callable[[], float]) -> None:
        self._objects, self._monotonic = objects, monotonic
        self.values: Status = {
            name: dict.fromkeys(fields or ()) for name, fields in objects.items()
        }
        self.time: Optional[float] = None  # of the latest update, in reactor seconds

    def start(self, host: Printer, peer: Printer, subscriptions: Subscriptions) -> None:
        """Begin to keep the values of this peer."""
        if self._objects:
            self.title = "option 'mirror' in section 'router %s'" % (peer.name,)
            subscriptions.subscribe_always(host, peer, self._objects, self)

    def update(self, eventtime: float, status: Status) -> None:
        new = dict(self.values)
        for name, values in status.items():
            new[name] = dict(new.get(name, {}), **encodable(values))
        self.values = new
        self.time = self._monotonic()

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if not printer.connected:
            self.values = {name: dict.fromkeys(values) for name, values in self.values.items()}
            self.time = None
