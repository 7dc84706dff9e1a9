# Front door for G-code: the ROUTER_... commands of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, List, Mapping

from ..diagnosis.checks import console_lines
from ..errors import NotAllowed, RouterError, UsageError
from ..events.reports import Reports
from ..gcode.contexts import parse_context
from ..gcode.parameters import parameter_text
from ..klippy.klippy import Klippy
from ..printers.printer import Done, Failure, Printer
from .methods import Methods, Request
from .sync import Motion
from .target_lists import failures
from .wait_commands import WaitCommands

# Parameters of ROUTER_EVENT_TRIGGER that are not context
_TRIGGER_PARAMS = ("EVENT", "CONTEXT", "RETAIN", "SYNC")
# Commands that also work while Klippy is not ready
_WHEN_NOT_READY = ("ROUTER_STATUS", "ROUTER_PRINTERS_LIST", "ROUTER_DIAGNOSE", "ROUTER_RESTART")


# What an answer looks like on the console
Show = Callable[[Any], str]


def _nothing(result: Any) -> str:
    return ""


class Commands:
    """status_lines: the table that ROUTER_STATUS prints."""

    def __init__(
        self,
        klippy: Klippy,
        methods: Methods,
        reports: Reports,
        waiting: WaitCommands,
        motion: Motion,
        printer: Printer,
        status_lines: Callable[[], List[str]],
    ) -> None:
        self._klippy, self._methods, self._reports = klippy, methods, reports
        self._waiting, self._motion, self._printer = waiting, motion, printer
        self._status_lines = status_lines

    def register(self, taken: Collection[str]) -> List[str]:
        """Register every command, but for those that are macros of the user, which it returns."""
        left_out = []
        for commands in (self, self._waiting):
            for attribute in sorted(dir(commands)):
                if not attribute.startswith("cmd_") or attribute.endswith("_help"):
                    continue
                name = attribute[len("cmd_") :]
                if name in taken:
                    left_out.append(name)
                    continue
                self._klippy.gcode.register_command(
                    name,
                    getattr(commands, attribute),
                    when_not_ready=name in _WHEN_NOT_READY,
                    desc=getattr(commands, attribute + "_help"),
                )
        return left_out

    cmd_ROUTER_STATUS_help = "Show all printers, their states, round trips and queues"

    def cmd_ROUTER_STATUS(self, gcmd: Any) -> None:
        gcmd.respond_info("\n".join(self._status_lines()))

    cmd_ROUTER_DIAGNOSE_help = "Check the way to other printers, and say what to do"

    def cmd_ROUTER_DIAGNOSE(self, gcmd: Any) -> None:
        params = {"target": gcmd.get("TARGET", "")}
        self._call(gcmd, "router/diagnose", params, _show_checks)

    cmd_ROUTER_PRINTERS_LIST_help = "List all printers and whether they are ready"

    def cmd_ROUTER_PRINTERS_LIST(self, gcmd: Any) -> None:
        self._call(gcmd, "router/printers/list", {}, _show_printers)

    cmd_ROUTER_GCODE_SCRIPT_help = "Run G-code on another printer"

    def cmd_ROUTER_GCODE_SCRIPT(self, gcmd: Any) -> None:
        params = {"target": gcmd.get("TARGET"), "script": gcmd.get("SCRIPT")}
        waits_for_event = gcmd.get("WAIT_EVENT", None) is not None
        if gcmd.get_int("WAIT", 0, minval=0, maxval=1) or waits_for_event:
            if gcmd.get_int("SYNC", 0, minval=0, maxval=1):
                raise gcmd.error("SYNC=1 and WAIT=1 cannot be combined: use one of them")
            self._waiting.wait_for_script(gcmd, params)
            return
        self._call_in_step(gcmd, "router/gcode/script", params)

    cmd_ROUTER_RESTART_help = "Restart another printer, also one that is shut down"

    def cmd_ROUTER_RESTART(self, gcmd: Any) -> None:
        target = gcmd.get("TARGET")
        firmware = gcmd.get_int("FIRMWARE", 0, minval=0, maxval=1)
        self._call(
            gcmd,
            "router/restart",
            {"target": target, "firmware": firmware},
            lambda result: "\n".join(filter(None, [target + ": restarts", result.get("hint")])),
        )

    cmd_ROUTER_EVENT_SUBSCRIBE_help = "Run G-code whenever an event is triggered"

    def cmd_ROUTER_EVENT_SUBSCRIBE(self, gcmd: Any) -> None:
        params = {
            "event": gcmd.get("EVENT"),
            "gcode": gcmd.get("GCODE"),
            "callback_target": gcmd.get("CALLBACK_TARGET", None),
            "callback_type": gcmd.get("CALLBACK_TYPE", None),
        }
        self._call(gcmd, "router/event/subscribe", params)

    cmd_ROUTER_EVENT_UNSUBSCRIBE_help = "Forget the handlers of an event"

    def cmd_ROUTER_EVENT_UNSUBSCRIBE(self, gcmd: Any) -> None:
        params = {"event": gcmd.get("EVENT"), "gcode": gcmd.get("GCODE", None)}
        self._call(gcmd, "router/event/unsubscribe", params)

    cmd_ROUTER_EVENT_TRIGGER_help = "Trigger an event on all printers that listen to it"

    def cmd_ROUTER_EVENT_TRIGGER(self, gcmd: Any) -> None:
        event = gcmd.get("EVENT")
        retain = bool(gcmd.get_int("RETAIN", 0, minval=0, maxval=1))
        try:
            context = parse_context(gcmd.get("CONTEXT", ""))
        except UsageError as e:
            raise gcmd.error(str(e)) from None
        for name, value in gcmd.get_command_parameters().items():
            if name not in _TRIGGER_PARAMS:
                context[name.lower()] = value

        params = {"event": event, "context": context, "retain": retain}
        self._call_in_step(gcmd, "router/event/trigger", params)

    cmd_ROUTER_OBJECTS_LIST_help = "List the objects of a printer that have a status"

    def cmd_ROUTER_OBJECTS_LIST(self, gcmd: Any) -> None:
        target = gcmd.get("TARGET")
        self._call(
            gcmd,
            "router/objects/list",
            {"target": target},
            lambda result: "%s: %s" % (target, ", ".join(map(str, result["objects"]))),
        )

    cmd_ROUTER_OBJECTS_QUERY_help = "Show the status of objects of a printer"

    def cmd_ROUTER_OBJECTS_QUERY(self, gcmd: Any) -> None:
        target = gcmd.get("TARGET")
        self._call(
            gcmd,
            "router/objects/query",
            {"target": target, "objects": gcmd.get("OBJECTS")},
            lambda result: _show_status(target, result["status"]),
        )

    cmd_ROUTER_OBJECTS_SUBSCRIBE_help = "Run a macro whenever the status of objects changes"

    def cmd_ROUTER_OBJECTS_SUBSCRIBE(self, gcmd: Any) -> None:
        params = {
            "target": gcmd.get("TARGET"),
            "objects": gcmd.get("OBJECTS"),
            "gcode_callback": gcmd.get("CALLBACK"),
        }
        self._call(gcmd, "router/objects/subscribe", params)

    cmd_ROUTER_OBJECTS_UNSUBSCRIBE_help = "End status subscriptions of a printer"

    def cmd_ROUTER_OBJECTS_UNSUBSCRIBE(self, gcmd: Any) -> None:
        params = {"target": gcmd.get("TARGET"), "gcode_callback": gcmd.get("CALLBACK", None)}
        self._call(gcmd, "router/objects/unsubscribe", params)

    def proxy(self, name: str, target: str) -> None:
        """Make a command that runs the same line on another printer, without waiting.

        Under its name there: here a macro that wraps it may have given it another one.
        """

        def run(gcmd: Any) -> None:
            script = ("%s %s" % (name, gcmd.get_raw_command_parameters())).rstrip()
            self._call(gcmd, "router/gcode/script", {"target": target, "script": script})

        self._klippy.gcode.register_command(name, run, desc="Run %s on %s" % (name, target))

    # -- calling

    def _call_in_step(self, gcmd: Any, method: str, params: Mapping[str, Any]) -> None:
        """Call a method now, or with SYNC=1 when the toolhead gets here."""
        if not gcmd.get_int("SYNC", 0, minval=0, maxval=1):
            self._call(gcmd, method, params)
            return
        if "target" in params:
            targets = params["target"]
            self._checked(gcmd, lambda: self._methods.script_targets(self._printer, targets))

        done = self._finisher(method, params, _nothing)

        def act() -> None:
            try:
                self._methods.call(method, Request(self._printer, params, done))
            except RouterError as e:
                done(None, e)

        def dropped() -> None:
            self._klippy.report(
                "not done, the printer shut down before: %s" % (gcmd.get_commandline(),)
            )

        self._motion.in_step(act, dropped)

    def _call(
        self, gcmd: Any, method: str, params: Mapping[str, Any], show: Show = _nothing
    ) -> None:
        """Call a method without waiting for it; what it answers is shown on the console.

        A typo is an error of the command. A printer that is away is not: an LED that is off must
        not stop a print.
        """
        done = self._finisher(method, params, show)
        request = Request(self._printer, params, done)
        try:
            self._checked(gcmd, lambda: self._methods.call(method, request))
        except RouterError as e:
            done(None, e)

    @staticmethod
    def _checked(gcmd: Any, call: Callable[[], Any]) -> None:
        try:
            call()
        except (UsageError, NotAllowed) as e:
            raise gcmd.error(str(e)) from None

    def _finisher(self, method: str, params: Mapping[str, Any], show: Show) -> Done:
        report = self._reports.begin(self._printer, method)

        def done(result: Any, error: Failure) -> None:
            if error is not None:
                report(params.get("target", ""), error)
                return
            self._reports.undelivered(report, failures(method, result))
            text = show(result)
            if text:
                self._klippy.respond_info(text)

        return done


def _show_printers(result: Any) -> str:
    return "\n".join(
        "%s: %s%s"
        % (
            printer["name"],
            printer["state"],
            " (this printer)" if printer["local"] else "" if printer["ready"] else ", not usable",
        )
        for printer in result["printers"]
    )


def _show_checks(result: Any) -> str:
    return "\n".join(console_lines(result["checks"]))


def _show_status(target: str, status: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        "%s: %s.%s = %s" % (target, name, field, parameter_text(value))
        for name, values in status.items()
        for field, value in values.items()
    ]
    return "\n".join(lines) or "%s: no such objects" % (target,)
