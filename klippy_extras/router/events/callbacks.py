# Event handlers of printers: run G-code on a printer, or call an endpoint of it
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from abc import abstractmethod
from typing import Any, Callable, Dict, Optional, Set

from ..errors import LinkLost, NotReady, RouterError, UsageError
from ..gcode.parameters import same_command
from ..gcode.templates import Template
from ..printers.printer import Failure, Job, Printer, is_stream
from ..printers.receiver import Event, Receiver
from .reports import Report

# The report for what a printer does now
Begin = Callable[[Printer], Report]


class EventCallback(Receiver):
    """Runs something on the target. pattern: a name of an event, or a prefix that ends in *.

    Two are equal if they do the same for the same owner.
    """

    def __init__(
        self, owner: Printer, target: Printer, pattern: str, gcode: str, begin: Begin
    ) -> None:
        self.owner: Printer = owner
        self.target: Printer = target
        self.pattern, self.gcode = pattern, gcode
        self.removed = False
        self._begin = begin
        self._has: Set[str] = set()  # the retained events of which it has the latest

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
            self._has.add(event.name)
        context = event.context
        if self.pattern.endswith("*"):
            context = dict(context, event=event.name)
        try:
            self._run(event, context)
        except RouterError:
            if event.retain:
                self._has.discard(event.name)
            raise

    def retained(self, event: Event) -> None:
        if event.name in self._has:
            return
        try:
            # What fails is an error of the owner, whose handler is new
            self.event(event._replace(caller=self.owner))
        except RouterError as e:
            self._begin(self.owner).failed(self.target.name, e)

    def target_restarted(self) -> None:
        self._has.clear()

    def failed(self, event: Event, error: RouterError) -> None:
        """A run that had begun has failed."""
        if event.retain and isinstance(error, (NotReady, LinkLost)):
            self._has.discard(event.name)

    def report_for(self, event: Event) -> Report:
        """How it is reported that a run for this event has failed."""
        return self._begin(event.caller)

    @abstractmethod
    def _run(self, event: Event, context: Dict[str, Any]) -> None:
        """Raises RouterError when it cannot be sent."""


class GcodeCallback(EventCallback):
    """Runs the G-code of a template. running: the runs in progress, of all callbacks."""

    def __init__(
        self,
        owner: Printer,
        target: Printer,
        pattern: str,
        gcode: str,
        begin: Begin,
        running: "Dict[EventCallback, GcodeRun]",
    ) -> None:
        self.template = Template(gcode)
        super().__init__(owner, target, pattern, same_command(gcode), begin)
        self._running = running

    def runs(self, gcode: str) -> bool:
        return super().runs(same_command(gcode))

    def _run(self, event: Event, context: Dict[str, Any]) -> None:
        self.template.check(context)
        run = GcodeRun(self, event, context, self._running)
        # Rendered when its turn comes: a hundred handlers of one event must not take their time now
        self.target.submit(Job(run.render, run.done))


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
        self._report = callback.report_for(event)

    def done(self, _result: Any, error: Failure) -> None:
        """It has finished."""
        if error is not None:
            self._callback.failed(self._event, error)
            self._report.failed(self._callback.target.name, error)


class GcodeRun(Run):
    """Does not run where the callback has triggered itself, and failed: that would go on."""

    def __init__(
        self,
        callback: GcodeCallback,
        event: Event,
        context: Dict[str, Any],
        running: "Dict[EventCallback, GcodeRun]",
    ) -> None:
        super().__init__(callback, event)
        self._template, self._context, self._running = callback.template, context, running
        # The run that has triggered this one, if any
        self._cause: Optional[GcodeRun] = None
        if event.caller is callback.target:
            self._cause = running.get(callback)
        self._has_failed = False

    def render(self) -> str:
        """Its script, when its turn comes. Raises RouterError."""
        callback = self._callback
        if callback.removed:
            return ""
        if self._cause is not None and self._cause._has_failed:
            raise RouterError(
                "%s: handler '%s' of event '%s' triggered itself and failed: not run again"
                % (callback.target.name, callback.gcode, callback.pattern)
            )
        self._running[callback] = self
        return self._template.render(self._context, callback.target.old_parser)

    def done(self, result: Any, error: Failure) -> None:
        self._cause = None
        if self._running.get(self._callback) is self:
            del self._running[self._callback]
        self._has_failed = error is not None
        super().done(result, error)
