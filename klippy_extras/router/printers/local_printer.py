# The main printer: the interface of a printer, implemented in this Klippy
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from collections import deque
from typing import Any, Deque, Dict, Optional

from ..errors import Busy, RouterError, UsageError
from ..klippy.guard import guarded
from ..klippy.klippy import Klippy
from ..klippy.peer_log import PeerLog
from ..klippy.runners import MAX_RUN_TIME, RUN_PAUSE, Runners
from ..klippy.timers import Timer
from .hints import Hints
from .printer import Done, Follower, Job, Objects, Order, Printer, Status
from .script_output import ScriptOutput
from .status_poller import StatusPoller

# Seconds between two reads of Klippy's state while it starts
STARTUP_INTERVAL = 1.0
# Waiting calls of this printer's own endpoints
MAX_CALLS = 32
# Calls that may be paused at a time: about 97 paused greenlets crash Kalico and 2023-era Klipper
MAX_RUNNERS = 4
# Endpoints that wait for the G-code mutex, during a print for minutes: one at a time, in order
GCODE_ENDPOINTS = ("gcode/script", "gcode/restart", "gcode/firmware_restart", "pause_resume/")


class LocalPrinter(Printer):
    """This printer. status_interval: seconds between two reads of the subscribed objects."""

    is_local = True

    def __init__(self, klippy: Klippy, name: str, status_interval: float) -> None:
        log = PeerLog(name, klippy)
        super().__init__(name, 0.0, log.write, Hints(klippy.respond_info))
        self._klippy = klippy
        self._status_interval = status_interval
        self.old_parser = klippy.old_parser
        self._running = False
        # Not register_callback(): a script may pause in a timer, too, and this one already exists
        self._runner = klippy.reactor.register_timer(self._run_queue)
        self._gcode_calls = Runners(klippy.reactor, 1)
        self._calls = Runners(klippy.reactor, MAX_RUNNERS)
        self._status_jobs: Deque[Job] = deque()
        self._status_timer: Optional[Timer] = None
        self._status_at = 0.0
        self._poller = StatusPoller(klippy, status_interval, self._status_read)

    # -- the state of Klippy

    def start(self) -> None:
        """Follow Klippy's state."""
        self.update_state()
        if self.state == "startup":
            # Klippy sends an event when it is ready or shuts down, but not if it fails to start
            self._klippy.timers.after(STARTUP_INTERVAL, self.start)

    def update_state(self) -> None:
        """Take over Klippy's current state. Does not pause."""
        state, message = self._klippy.state()
        if state == "ready":
            self.commands = self._klippy.commands()
        self._set_state(state, message, state == "ready")

    def stop(self) -> None:
        """Stop reading status and running scripts."""
        self._poller.poll({})
        if self._status_timer is not None:
            self._status_timer.cancel()
            self._status_timer = None
        self._klippy.reactor.unregister_timer(self._runner)

    # -- scripts

    def submit(self, job: Job) -> None:
        if job.follower is not None:
            # The waiting macro holds the G-code mutex: a queued script would wait for that macro
            job.follower.sent()
            job.follower.began()
            self._run(job)
            job.follower.ended()
        elif job.order is Order.STATUS:
            self._submit_status(job)
        else:
            super().submit(job)

    def _submit_status(self, job: Job) -> None:
        # All that are due run together, at most once per status_interval: a print from
        # virtual_sdcard pauses each time something else holds the G-code mutex
        if not self.ready:
            raise self.not_ready()
        self._status_jobs.append(job)
        if self._status_timer is None:
            timers = self._klippy.timers
            delay = max(0.0, self._status_at + self._status_interval - timers.now())
            self._status_timer = timers.after(delay, self._flush_status)

    def _flush_status(self) -> None:
        self._status_timer = None
        self._status_at = self._klippy.timers.now()
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
            # Not from eventtime: waiting for the mutex may have taken minutes
            pause_at = reactor.monotonic() + MAX_RUN_TIME
            while self._queue:
                self._run(self._queue.popleft())
                if reactor.monotonic() >= pause_at:
                    break
            while self._status_due():
                self._run(self._status_jobs.popleft())
                if reactor.monotonic() >= pause_at:
                    # Keep the mutex: taking it again would pause a print again
                    pause_at = reactor.pause(reactor.monotonic() + RUN_PAUSE) + MAX_RUN_TIME
        if self._queue or self._status_due():
            return reactor.monotonic() + RUN_PAUSE
        self._running = False
        return reactor.NEVER

    def _run(self, job: Job) -> None:
        output = ScriptOutput(Follower())  # the text is on our own console already
        error: Optional[RouterError] = None
        try:
            script = job.text()
            if script:
                self._klippy.run_script_here(script, output.add)
            if not self.ready:
                error = self.not_ready()
            elif output.unknown:
                error = RouterError("%s: %s" % (self.name, output.unknown))
        except RouterError as e:
            error = self.named(e)
        except Exception as e:
            logging.exception("router: internal error (please report it)")
            error = RouterError("internal error of the router: %s" % (e,))
        guarded(job.done, None if error else {}, error)

    def named(self, error: RouterError) -> RouterError:
        """The error with this printer's name in front, as the error of a peer has it."""
        if isinstance(error, UsageError):
            return error  # from the template, not from this printer
        return RouterError("%s: %s" % (self.name, error))

    # -- endpoints and objects

    def call_endpoint(self, endpoint: str, params: Dict[str, Any], done: Done) -> None:
        call = _EndpointCall(self, self._klippy, endpoint, params, done)
        if endpoint == "emergency_stop":  # does not pause, and must not wait
            self._klippy.reactor.register_callback(lambda eventtime: call.run())
            return
        if self._gcode_calls.length + self._calls.length >= MAX_CALLS:
            raise Busy("%s is busy: %d calls are waiting for it" % (self.name, MAX_CALLS))
        runs_gcode = endpoint.startswith(GCODE_ENDPOINTS)
        (self._gcode_calls if runs_gcode else self._calls).add(call.run)

    def list_objects(self, done: Done) -> None:
        done({"objects": self._klippy.object_names()}, None)

    def query_objects(self, objects: Objects, done: Done) -> None:
        done(self._poller.query(objects), None)

    def subscribe_objects(self, objects: Objects) -> None:
        self._poller.poll(objects)

    def _status_read(self, eventtime: float, status: Status, is_snapshot: bool) -> None:
        for listener in self.listeners:
            listener.status_changed(self, eventtime, status, is_snapshot)


class _EndpointCall:
    """One call of an endpoint of this printer; run() may pause."""

    def __init__(
        self,
        printer: LocalPrinter,
        klippy: Klippy,
        endpoint: str,
        params: Dict[str, Any],
        done: Done,
    ) -> None:
        self._printer, self._klippy = printer, klippy
        self._endpoint, self._params, self._done = endpoint, params, done

    def run(self) -> None:
        try:
            result = self._klippy.call_endpoint(self._endpoint, self._params)
        except RouterError as e:
            guarded(self._done, None, self._printer.named(e))
        else:
            guarded(self._done, result, None)
