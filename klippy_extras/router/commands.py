# Front door for G-code: the ROUTER_... commands of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional

from .errors import NotAllowed, RouterError, UsageError
from .gcode_params import parameter_text, parse_context
from .host import Host
from .methods import Methods, Request
from .printer import Printer
from .reports import Reports

# Parameters of ROUTER_EVENT_TRIGGER that are not context
_TRIGGER_PARAMS = ("EVENT", "CONTEXT", "RETAIN")


class Commands:
    """status_lines: the table that ROUTER_STATUS prints."""

    def __init__(
        self,
        host: Host,
        methods: Methods,
        reports: Reports,
        printer: Printer,
        status_lines: Callable[[], List[str]],
    ) -> None:
        self._host, self._methods, self._reports = host, methods, reports
        self._printer = printer
        self._status_lines = status_lines

    def register(self, taken: Collection[str]) -> None:
        """Register every command, but for names that are taken by macros of the user."""
        for attribute in sorted(dir(self)):
            if not attribute.startswith("cmd_") or attribute.endswith("_help"):
                continue
            name = attribute[len("cmd_") :]
            if name not in taken:
                self._host.gcode.register_command(
                    name,
                    getattr(self, attribute),
                    when_not_ready=name in ("ROUTER_STATUS", "ROUTER_PRINTERS_LIST"),
                    desc=getattr(self, attribute + "_help"),
                )

    cmd_ROUTER_STATUS_help = "Show all printers, their states, round trips and queues"

    def cmd_ROUTER_STATUS(self, gcmd: Any) -> None:
        gcmd.respond_info("\n".join(self._status_lines()))

    cmd_ROUTER_PRINTERS_LIST_help = "List all printers and whether they are ready"

    def cmd_ROUTER_PRINTERS_LIST(self, gcmd: Any) -> None:
        self._call(gcmd, "router/printers/list", {}, _show_printers)

    cmd_ROUTER_GCODE_SCRIPT_help = "Run G-code on another printer"

    def cmd_ROUTER_GCODE_SCRIPT(self, gcmd: Any) -> None:
        params = {"target": gcmd.get("TARGET"), "script": gcmd.get("SCRIPT")}
        self._call(gcmd, "router/gcode/script", params)

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
            context: Dict[str, str] = parse_context(gcmd.get("CONTEXT", ""))
        except UsageError as e:
            raise gcmd.error(str(e)) from None
        for name, value in gcmd.get_command_parameters().items():
            if name not in _TRIGGER_PARAMS:
                context[name.lower()] = value

        def show_failures(result: Any) -> Optional[str]:
            for target, reason in result["failed"].items():
                self._reports.failed(
                    self._printer, "router/event/trigger", target, RouterError(reason)
                )
            return None

        params = {"event": event, "context": context, "retain": retain}
        self._call(gcmd, "router/event/trigger", params, show_failures)

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

    def _call(
        self,
        gcmd: Any,
        method: str,
        params: Mapping[str, Any],
        show: Callable[[Any], Optional[str]] = lambda result: None,
    ) -> None:
        """Call a method without waiting for it; what it answers is shown on the console.

        A typo is an error of the command. A printer that is away is not: an LED that is off must
        not stop a print.
        """
        target = params.get("target", "")

        def done(result: Any, error: Optional[RouterError]) -> None:
            if error is not None:
                self._reports.failed(self._printer, method, target, error)
                return
            text = show(result)
            if text:
                self._host.respond_info(text)

        try:
            self._methods.call(method, Request(self._printer, params, done))
        except (UsageError, NotAllowed) as e:
            raise gcmd.error(str(e)) from None
        except RouterError as e:
            done(None, e)


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


def _show_status(target: str, status: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        "%s: %s.%s = %s" % (target, name, field, parameter_text(value))
        for name, values in status.items()
        for field, value in values.items()
    ]
    return "\n".join(lines) or "%s: no such objects" % (target,)
