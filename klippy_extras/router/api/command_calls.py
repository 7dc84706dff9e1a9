# Calls of methods by this printer's commands: immediate, or with SYNC=1
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Mapping, Optional

from ..errors import NotAllowed, RouterError, UsageError
from ..events.reports import Report, Reports
from ..printers.printer import Failure, Printer
from .console import Show, no_text
from .methods import Follow, Methods, Request
from .sync import Action, SyncQueue, Targets
from .target_lists import failures


class CommandCalls:
    """Calls methods for commands that do not wait for the answer. printer: this one."""

    def __init__(
        self, methods: Methods, reports: Reports, sync_queue: SyncQueue, printer: Printer
    ) -> None:
        self._methods, self._reports = methods, reports
        self._sync_queue, self._printer = sync_queue, printer

    def call(
        self,
        gcmd: Any,
        method: str,
        params: Mapping[str, Any],
        show: Show = no_text,
        follow: Optional[Follow] = None,
    ) -> None:
        """Call a method, and show its result on the console.

        follow: makes the follower of a script on a printer.

        Raises UsageError and NotAllowed: a typo is an error of the command. That a printer is
        offline is only reported: an LED that is off must not stop a print.
        """
        request = self._request(gcmd, method, params, show)._replace(follow=follow)
        try:
            self._methods.call(method, request)
        except (UsageError, NotAllowed):
            raise
        except RouterError as e:
            request.done(None, e)

    def call_with_sync(self, gcmd: Any, method: str, params: Mapping[str, Any]) -> None:
        """Call a method for the time when the toolhead gets here.

        Raises UsageError for an unknown target.
        """
        if "target" not in params:
            self._add_sync(gcmd, method, params, lambda: self._methods.event_targets(params))
            return
        for printer in self._methods.script_targets(self._printer, params["target"]):
            one = {**params, "target": printer.name}
            self._add_sync(gcmd, method, one, _just(printer))

    def _add_sync(
        self, gcmd: Any, method: str, params: Mapping[str, Any], targets: Targets
    ) -> None:
        request = self._request(gcmd, method, params, no_text)
        call = _SyncCall(self._methods, method, request)
        self._sync_queue.add(Action(call.run, targets, gcmd.get_commandline()))

    def _request(self, gcmd: Any, method: str, params: Mapping[str, Any], show: Show) -> Request:
        report = self._reports.begin(self._printer, method)
        answer = _Answer(gcmd, method, params, report, show)
        return Request(self._printer, params, answer.done)


class _Answer:
    """The answer to a command, which is shown on the console or reported as an error."""

    def __init__(
        self, gcmd: Any, method: str, params: Mapping[str, Any], report: Report, show: Show
    ) -> None:
        self._gcmd, self._method, self._params = gcmd, method, params
        self._report, self._show = report, show

    def done(self, result: Any, error: Failure) -> None:
        if error is not None:
            self._report.failed(self._params.get("target", ""), error)
            return
        self._report.undelivered(failures(self._method, result))
        text = self._show(self._params, result)
        if text:
            self._gcmd.respond_info(text)


class _SyncCall:
    """A call whose command has ended: every failure is reported."""

    def __init__(self, methods: Methods, method: str, request: Request) -> None:
        self._methods, self._method, self._request = methods, method, request

    def run(self, act_at: Optional[float]) -> None:
        """act_at: as in Job."""
        try:
            self._methods.call(self._method, self._request._replace(act_at=act_at))
        except RouterError as e:
            self._request.done(None, e)


def _just(printer: Printer) -> Targets:
    return lambda: [printer]
