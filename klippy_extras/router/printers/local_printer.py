# This printer: the interface of a printer, answered inside its own Klippy
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional

from ..errors import Busy, RouterError, UsageError
from ..klippy.guard import guarded
from ..klippy.klippy import Klippy
from ..klippy.peer_log import PeerLog
from ..klippy.runners import MAX_RUN_TIME, RUN_PAUSE, Runners
from .hints import Hints
from .printer import (
    Done,
    Follower,
    Job,
    Objects,
    Printer,
    Status,
)
from .script_output import ScriptOutput

# Seconds between two reads of the watched objects, however often the wishes change
MIN_READ_INTERVAL = 0.05
# Seconds between two looks at Klippy's state while it starts
STARTUP_INTERVAL = 1.0
# Calls of this printer's own endpoints that wait for their turn
MAX_CALLS = 32
# Those of them that pause at a time: about 97 paused greenlets end a Kalico or a 2023 Klippy
MAX_RUNNERS = 4
# Endpoints that wait for the G-code mutex, for minutes in a print: one at a time, in order
GCODE_ENDPOINTS = ("gcode/script", "gcode/restart", "gcode/firmware_restart", "pause_resume/")


class LocalPrinter(Printer):
    """The host. status_interval: seconds between two reads of the watched objects."""

    is_local = True

    def __init__(self, klippy: Klippy, name: str, status_interval: float) -> None:
        log = PeerLog(name, klippy.reactor.monotonic)
        super().__init__(name, 0.0, log.write, Hints(klippy.respond_info))
        self._klippy = klippy
        self._status_interval = status_interval
        self.old_parser = klippy.old_parser
        self._running = False
        # Not register_callback(): a script may pause in a timer, too, and this one is there already
        self._runner = klippy.reactor.register_timer(self._run_queue)
        self._gcode_calls = Runners(klippy.reactor, 1)
        self._calls = Runners(klippy.reactor, MAX_RUNNERS)
        self._status_jobs: Deque[Job] = deque()
        self._status_timer: Optional[List[Any]] = None
        self._status_at = 0.0
        self._watched: Objects = {}
        self._last: Status = {}
        self._failing: Dict[str, str] = {}
        self._snapshot_due = False
        self._timer: Optional[List[Any]] = None
        self._read_at = 0.0

    # -- what Klippy tells

    def start(self, eventtime: float) -> None:
        """Follow Klippy's state."""
        self.update_state()
        if self.state == "startup":
            # Klippy tells when it is ready or shut down, but not when it has failed to start
            self._klippy.timers.at(eventtime + STARTUP_INTERVAL, self.start)

    def update_state(self) -> None:
        """Klippy may have changed its state. Does not pause."""
        state, message = self._klippy.state()
        if state == "ready":
            self.commands = self._klippy.commands()
        self._set_state(state, message, state == "ready")

    def stop(self) -> None:
        """Read nothing and run nothing any more."""
        self._klippy.timers.cancel(self._timer)
        self._klippy.timers.cancel(self._status_timer)
        self._timer = self._status_timer = None
        self._klippy.reactor.unregister_timer(self._runner)

    # -- scripts

    def submit(
        self, render: Callable[[], str], done: Done, follower: Optional[Follower] = None
    ) -> None:
        if follower is None:
            super().submit(render, done)
            return
        # The macro that waits holds the G-code mutex: in the queue its script would wait for it
        follower.sent()
        follower.began()
        self._run(Job(render, done))
        follower.ended()

    def submit_status(self, render: Callable[[], str], done: Done) -> None:
        # All that is due runs together, and no more often than this: a print from virtual_sdcard
        # steps back each time that somebody else holds the G-code mutex
        if not self.ready:
            raise self.not_ready()
        self._status_jobs.append(Job(render, done))
        if self._status_timer is None:
            when = max(self._klippy.reactor.monotonic(), self._status_at + self._status_interval)
            self._status_timer = self._klippy.timers.at(when, self._flush_status)

    def _flush_status(self, eventtime: float) -> None:
        self._status_timer = None
        self._status_at = eventtime
        self._pump()

    def fail_queue(self) -> None:
        self._queue.extend(self._status_jobs)
        self._status_jobs.clear()
        super().fail_queue()

    def _status_due(self) -> bool:
        return bool(self._status_jobs) and self._status_timer is None

    def _pump(self) -> None:
        if not self._running and (self._queue or self._status_due()):
            self._running = True
            self._klippy.reactor.update_timer(self._runner, self._klippy.reactor.NOW)

    def _run_queue(self, eventtime: float) -> float:
        reactor = self._klippy.reactor
        with self._klippy.gcode_mutex:
            # Counted from here: the mutex may have been somebody else's for minutes
            pause_at = reactor.monotonic() + MAX_RUN_TIME
            while self._queue:
                self._run(self._queue.popleft())
                if reactor.monotonic() >= pause_at:
                    break
            while self._status_due():
                self._run(self._status_jobs.popleft())
                if reactor.monotonic() >= pause_at:
                    # Keeping the mutex: to take it again would step a print back again
                    pause_at = reactor.pause(reactor.monotonic() + RUN_PAUSE) + MAX_RUN_TIME
        if self._queue or self._status_due():
            return reactor.monotonic() + RUN_PAUSE
        self._running = False
        return reactor.NEVER

    def _run(self, job: Job) -> None:
        output = ScriptOutput(None)  # it stands on our own console already
        error: Optional[RouterError] = None
        try:
            script = job.render()
            if script:
                self._klippy.run_script_here(script, output.add)
            if not self.ready:
                error = self.not_ready()
            elif output.unknown:
                error = RouterError("%s: %s" % (self.name, output.unknown))
        except RouterError as e:
            error = self._named(e)
        except Exception as e:
            logging.exception("router: internal error (please report it)")
            error = RouterError("internal error of the router: %s" % (e,))
        guarded(job.done, None if error else {}, error)

    def _named(self, error: RouterError) -> RouterError:
        """The error as that of a peer would be told."""
        if isinstance(error, UsageError):
            return error  # of the template, not of this printer
        return RouterError("%s: %s" % (self.name, error))

    # -- endpoints and objects

    def call_endpoint(self, endpoint: str, params: Dict[str, Any], done: Done) -> None:
        def run() -> None:
            try:
                result = self._klippy.call_endpoint(endpoint, params)
            except RouterError as e:
                guarded(done, None, self._named(e))
            else:
                guarded(done, result, None)

        if endpoint == "emergency_stop":  # pauses nowhere, and waits for nobody
            self._klippy.reactor.register_callback(lambda eventtime: run())
            return
        if self._gcode_calls.length + self._calls.length >= MAX_CALLS:
            raise Busy("%s is busy: %d calls are waiting for it" % (self.name, MAX_CALLS))
        runs_gcode = endpoint.startswith(GCODE_ENDPOINTS)
        (self._gcode_calls if runs_gcode else self._calls).add(run)

    def list_objects(self, done: Done) -> None:
        done({"objects": self._klippy.object_names()}, None)

    def query_objects(self, objects: Objects, done: Done) -> None:
        eventtime = self._klippy.reactor.monotonic()
        status = {}
        for name, fields in objects.items():
            values = self._read(name, eventtime)
            status[name] = (
                dict(values) if fields is None else {field: values.get(field) for field in fields}
            )
        done({"eventtime": eventtime, "status": status}, None)

    def watch(self, objects: Objects) -> None:
        self._watched = objects
        self._last = {name: values for name, values in self._last.items() if name in objects}
        self._snapshot_due = True
        self._klippy.timers.cancel(self._timer)
        when = max(self._klippy.reactor.monotonic(), self._read_at + MIN_READ_INTERVAL)
        self._timer = self._klippy.timers.at(when, self._read_watched)

    def _read_watched(self, eventtime: float) -> None:
        self._timer = None
        self._read_at = eventtime
        if not self._watched:
            self._last = {}
            return
        # Before anything else: an error below may not end the reading
        self._timer = self._klippy.timers.at(eventtime + self._status_interval, self._read_watched)
        snapshot, self._snapshot_due = self._snapshot_due, False
        changes: Status = {}
        for name, fields in self._watched.items():
            values = self._read(name, eventtime)
            last = {} if snapshot else self._last.get(name, {})
            # A field that is gone is told as None, once
            lost = dict.fromkeys(f for f, v in last.items() if fields is None and v is not None)
            current = {**lost, **values} if fields is None else {f: values.get(f) for f in fields}
            changed = {f: v for f, v in current.items() if f not in last or v != last[f]}
            self._last[name] = current
            if changed or snapshot:
                changes[name] = changed
        if changes:
            self.status_listener(self, eventtime, changes, snapshot)

    def _read(self, name: str, eventtime: float) -> Dict[str, Any]:
        try:
            status = self._klippy.object_status(name, eventtime)
            return status if isinstance(status, dict) else {}
        except Exception as e:
            # Somebody else's get_status(): Klippy itself would shut down for it
            if self._failing.get(name) != str(e):
                self._failing[name] = str(e)
                logging.exception("router: reading the status of '%s' failed", name)
            return {}
