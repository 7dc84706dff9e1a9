# Reads the status of this printer's own objects at regular intervals and reports the changes
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from typing import Any, Callable, Dict, List, Optional

from ..klippy.klippy import Klippy
from ..klippy.timers import Timer
from .printer import Objects, Status

# Seconds between two reads of the polled objects, however often the subscriptions change
MIN_READ_INTERVAL = 0.05

# (eventtime, status, whether these are all values, not only those that have changed)
OnStatus = Callable[[float, Status, bool], None]


class StatusPoller:
    """Calls on_status with changes of the polled objects, every `interval` seconds at most."""

    def __init__(self, klippy: Klippy, interval: float, on_status: OnStatus) -> None:
        self._klippy, self._interval, self._on_status = klippy, interval, on_status
        self._objects: Objects = {}
        self._last: Status = {}
        self._failing: Dict[str, str] = {}
        self._snapshot_due = False
        self._unread: List[
            str
        ] = []  # objects that this reading has still to read, in reverse order
        self._changes: Status = {}  # that it has found
        self._timer: Optional[Timer] = None
        self._reading_timer: Optional[Timer] = None
        self._read_at = 0.0

    def poll(self, objects: Objects) -> None:
        """Read these objects instead of those before, and report all their values first."""
        self._objects = objects
        self._last = {name: values for name, values in self._last.items() if name in objects}
        self._snapshot_due = True
        for timer in (self._timer, self._reading_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._reading_timer = None
        if objects:
            timers = self._klippy.timers
            delay = max(0.0, self._read_at + MIN_READ_INTERVAL - timers.now())
            self._timer = timers.after(delay, self._read_all)

    def query(self, objects: Objects) -> Dict[str, Any]:
        """The values of these objects now, as Klipper's objects/query gives them."""
        eventtime = self._klippy.timers.now()
        status: Status = {}
        for name, fields in objects.items():
            values = self._read(name, eventtime)
            status[name] = (
                dict(values) if fields is None else {field: values.get(field) for field in fields}
            )
        return {"eventtime": eventtime, "status": status}

    def _read_all(self) -> None:
        eventtime = self._read_at = self._klippy.timers.now()
        # Before anything else: an exception below must not end the polling
        self._timer = self._klippy.timers.after(self._interval, self._read_all)
        if self._reading_timer is not None:
            return  # still reading, on a computer that is overloaded
        self._unread, self._changes = list(reversed(self._objects)), {}
        self._read_some(eventtime)

    def _read_some(self, eventtime: float) -> None:
        """Read for a limited time; the rest, and what is done with it, soon."""
        timers = self._klippy.timers
        self._reading_timer = None
        stop_at = timers.stop_at()
        is_snapshot = self._snapshot_due
        while self._unread:
            name = self._unread.pop()
            changed = self._read_changes(name, eventtime, is_snapshot)
            if changed or is_snapshot:
                self._changes[name] = changed
            if timers.now() >= stop_at:
                self._reading_timer = timers.soon(lambda: self._read_some(timers.now()))
                return
        self._snapshot_due = False
        changes, self._changes = self._changes, {}
        if changes:
            self._on_status(eventtime, changes, is_snapshot)

    def _read_changes(self, name: str, eventtime: float, is_snapshot: bool) -> Dict[str, Any]:
        """The fields of an object that have changed since the last reading."""
        fields = self._objects[name]
        values = self._read(name, eventtime)
        last = {} if is_snapshot else self._last.get(name, {})
        # A field that no longer exists is reported as None, once
        lost = dict.fromkeys(f for f, v in last.items() if fields is None and v is not None)
        current = {**lost, **values} if fields is None else {f: values.get(f) for f in fields}
        self._last[name] = current
        return {f: v for f, v in current.items() if f not in last or v != last[f]}

    def _read(self, name: str, eventtime: float) -> Dict[str, Any]:
        try:
            status = self._klippy.object_status(name, eventtime)
            return status if isinstance(status, dict) else {}
        except Exception as e:
            # From get_status() of another module: Klippy itself would shut down
            if self._failing.get(name) != str(e):
                self._failing[name] = str(e)
                logging.exception("router: reading the status of '%s' failed", name)
            return {}
