# Event handlers of printers, which run G-code on a printer or call one of its endpoints
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from abc import abstractmethod
from typing import Any, Dict, Set

from ..errors import LinkLost, NotReady, RouterError, UsageError
from ..gcode.parameters import same_command
from ..gcode.templates import Template
from ..printers.printer import Failure, Job, Printer, is_stream
from ..printers.receiver import Event, Receiver
from .reports import Report, Reports


class Runs:
    """The runs of all callbacks. reports: notifies the caller of the event if one fails."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self.in_progress: Dict[EventCallback, Run] = {}  # those that run G-code

    def begin(self, caller: Printer) -> Report:
        """Begin a run; the report is for its failure."""
        return self._reports.begin(caller, "router/event/trigger")


class EventCallback(Receiver):
    """Runs something on the target. pattern: the name of an event, or a prefix followed by *.

    Two are equal if they do the same for the same owner.
    """

    def __init__(
        self, owner: Printer, target: Printer, pattern: str, gcode: str, runs: Runs
    ) -> None:
        self.owner: Printer = owner
        self.target: Printer = target
        self.pattern, self.gcode = pattern, gcode
        self.removed = False
        self.all_runs = runs
        self._up_to_date: Set[str] = set()  # the retained events whose latest one it has received

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EventCallback) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> object:
        return type(self), self.owner, self.target, self.pattern, self.gcode

    def runs(self, gcode: str) -> bool:
        return self.gcode == gcode

    def ended(self) -> None:
        self.removed = True

    def event(self, event: Event) -> None:
        if event.retain:
            self._up_to_date.add(event.name)
        context = event.context
        if self.pattern.endswith("*"):
            context = dict(context, event=event.name)
        try:
            self._run(event, context)
        except RouterError:
            if event.retain:
                self._up_to_date.discard(event.name)
            raise

    def retained(self, event: Event) -> None:
        if event.name in self._up_to_date:
            return
        try:
            # A failure is reported to the owner, because its handler is new
            self.event(event._replace(caller=self.owner))
        except RouterError as e:
            self.all_runs.begin(self.owner).failed(self.target.name, e)

    def target_restarted(self) -> None:
        self._up_to_date.clear()

    def failed(self, event: Event, error: RouterError) -> None:
        """A run has failed after it had begun."""
        if event.retain and isinstance(error, (NotReady, LinkLost)):
            self._up_to_date.discard(event.name)

    @abstractmethod
    def _run(self, event: Event, context: Dict[str, Any]) -> None:
        """Run it for this event. Raises RouterError if it cannot be sent."""


class GcodeCallback(EventCallback):
    """Runs the G-code of a template."""

    def __init__(
        self, owner: Printer, target: Printer, pattern: str, gcode: str, runs: Runs
    ) -> None:
        super().__init__(owner, target, pattern, same_command(gcode), runs)
        self.template = Template(gcode)

    def runs(self, gcode: str) -> bool:
        return super().runs(same_command(gcode))

    def _run(self, event: Event, context: Dict[str, Any]) -> None:
        self.template.check(context)
        run = GcodeRun(self, event, context)
        # Rendered when its turn comes: a hundred handlers of one event must not block the reactor
        self.target.submit(Job(run.render, run.done, act_at=event.act_at))


class EndpointCallback(EventCallback):
    """Calls an endpoint of the target's API with the event's context; gcode is its name."""

    def _run(self, event: Event, context: Dict[str, Any]) -> None:
        if is_stream(self.gcode, context):
            raise UsageError("Endpoint '%s' is a streaming endpoint" % (self.gcode,))
        if not self.target.ready:
            raise self.target.not_ready()
        self.target.call_endpoint(self.gcode, context, Run(self, event).done)


class Run:
    """One run of a callback, for one event."""

    def __init__(self, callback: EventCallback, event: Event) -> None:
        self._callback, self._event = callback, event
        self._report = callback.all_runs.begin(event.caller)
        self.has_failed = False

    def done(self, _result: Any, error: Failure) -> None:
        """It has finished."""
        if error is not None:
            self.has_failed = True
            self._callback.failed(self._event, error)
            self._report.failed(self._callback.target.name, error)


class GcodeRun(Run):
    """A run of G-code. Skipped if the callback triggered itself and failed: it would never end."""

    def __init__(self, callback: GcodeCallback, event: Event, context: Dict[str, Any]) -> None:
        super().__init__(callback, event)
        self._template, self._context = callback.template, context
        self._in_progress = callback.all_runs.in_progress
        # The run that triggered this one, if any
        triggered_itself = event.caller is callback.target
        self._cause = self._in_progress.get(callback) if triggered_itself else None

    def render(self) -> str:
        """Its script, when its turn comes. Raises RouterError."""
        callback = self._callback
        if callback.removed:
            return ""
        if self._cause is not None and self._cause.has_failed:
            raise RouterError(
                "%s: handler '%s' of event '%s' triggered itself and failed: not run again"
                % (callback.target.name, callback.gcode, callback.pattern)
            )
        self._in_progress[callback] = self
        return self._template.render(self._context, callback.target.old_parser)

    def done(self, result: Any, error: Failure) -> None:
        self._cause = None
        if self._in_progress.get(self._callback) is self:
            del self._in_progress[self._callback]
        super().done(result, error)
