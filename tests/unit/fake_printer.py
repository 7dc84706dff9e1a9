"""A printer that a test controls, to test the code that uses printers."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, List, NamedTuple, Optional

from klippy_extras.router.errors import RouterError
from klippy_extras.router.printers.hints import Hints
from klippy_extras.router.printers.printer import Done, Job, Objects, Printer, Status


class Call(NamedTuple):
    """An endpoint of it that was called; the test answers with done()."""

    endpoint: str
    params: Dict[str, Any]
    done: Done


class FakePrinter(Printer):
    """Runs one script at a time, and each until the test ends it."""

    def __init__(
        self, name: str = "led", disconnect_grace: float = 0.0, is_local: bool = False
    ) -> None:
        self.logged: List[str] = []  # lines about it in the log
        self.hinted: List[str] = []  # and on the console
        super().__init__(name, disconnect_grace, self.logged.append, Hints(self.hinted.append))
        self.is_local = is_local
        self.old_parser = False
        self.sent: List[str] = []  # the scripts that were sent to it
        self.times: List[Optional[float]] = []  # at which they are to act
        self.acts_at_a_time = False
        self.called: List[Call] = []  # its endpoints
        self.objects: Status = {}
        self.subscribed: Objects = {}
        self.queries: List[Objects] = []
        self.eventtime = 1.0
        self._running: Optional[Job] = None
        self._fields: Objects = {}
        self._snapshot_due = False
        self._told: Status = {}

    @property
    def can_act_at_a_time(self) -> bool:
        return self.acts_at_a_time

    # -- what a test makes happen to it

    def connects(self, *commands: str) -> "FakePrinter":
        """It becomes ready, and has these commands."""
        self.commands = dict.fromkeys(commands, "A macro")
        self._set_state("ready", "Printer is ready", True)
        return self

    def disconnects(self, reason: str = "disconnected") -> None:
        self.loss_reason = reason
        self._set_state("disconnected", "", False)
        self._end_running(self.not_ready())

    def shuts_down(self, message: str = "Lost communication with MCU 'mcu'\nmore") -> None:
        self.is_in("shutdown", message)
        self._end_running(self.not_ready())

    def is_in(self, state: str, message: str = "") -> None:
        """Its Klippy changes to a state in which it is not ready."""
        self._set_state(state, message, False)

    def restarts(self) -> None:
        """Its Klippy is a new one from now on."""
        self.hints.klippy_restarted()
        for listener in self.listeners:
            listener.klippy_restarted(self)

    # -- scripts

    @property
    def is_busy(self) -> bool:
        """Whether a script runs."""
        return self._running is not None

    def finish(self, error: Optional[RouterError] = None) -> None:
        """End the script that runs; the next one in the queue begins."""
        assert self._running is not None, "no script runs"
        self._end_running(error)

    def take_sent(self) -> List[str]:
        """Let it run its whole queue; returns the scripts that were sent since the last call."""
        while self._running is not None:
            self.finish()
        sent, self.sent = self.sent, []
        return sent

    def _pump(self) -> None:
        while self._queue and self._running is None:
            job = self._queue.popleft()
            try:
                given_up = job.follower is not None and job.follower.given_up
                script = "" if given_up else job.text()
            except RouterError as e:
                job.done(None, e)
                continue
            if not script:
                job.done({}, None)
                continue
            self._running = job
            self.sent.append(script)
            self.times.append(job.act_at)
            if job.follower is not None:
                job.follower.sent()
                job.follower.began()
            self._begin(job)

    def _begin(self, job: Job) -> None:
        """A script has begun."""

    def _end_running(self, error: Optional[RouterError]) -> None:
        job, self._running = self._running, None
        if job is not None:
            if job.follower is not None:
                job.follower.ended()
            job.done(None if error else {}, error)
            self._pump()

    # -- endpoints and objects

    def call_endpoint(self, endpoint: str, params: Dict[str, Any], done: Done) -> None:
        self.check_connected()
        self.called.append(Call(endpoint, params, done))

    def list_objects(self, done: Done) -> None:
        self.check_connected()
        done({"objects": list(self.objects)}, None)

    def query_objects(self, objects: Objects, done: Done) -> None:
        self.check_connected()
        self.queries.append(objects)
        done({"eventtime": self.eventtime, "status": self._part(objects)}, None)

    def subscribe_objects(self, objects: Objects) -> None:
        self.subscribed, self._fields = objects, dict(objects)
        self._told, self._snapshot_due = {}, True

    def tick(self) -> None:
        """A quarter of a second later it sends what its subscribers do not know yet.

        As klippy/webhooks.py, class QueryStatusHelper: an object with all its fields has the
        fields that it had first, and a value that is None is as one that is not there.
        """
        self.eventtime += 0.25
        is_snapshot, self._snapshot_due = self._snapshot_due, False
        status: Status = {}
        for name, listed in self._fields.items():
            values, last = self.objects.get(name, {}), self._told.get(name, {})
            fields = list(values) if listed is None else listed
            if fields:
                self._fields[name] = fields
            changed = {
                field: values.get(field)
                for field in fields
                if is_snapshot or values.get(field) != last.get(field)
            }
            self._told[name] = {field: values.get(field) for field in fields}
            if changed or is_snapshot:
                status[name] = changed
        if status:
            self.send_status(status, is_snapshot)

    def send_status(self, status: Status, is_snapshot: bool) -> None:
        for listener in self.listeners:
            listener.status_changed(self, self.eventtime, status, is_snapshot)

    def _part(self, objects: Objects) -> Status:
        return {
            name: dict(self.objects.get(name, {}))
            if fields is None
            else {field: self.objects.get(name, {}).get(field) for field in fields}
            for name, fields in objects.items()
        }
