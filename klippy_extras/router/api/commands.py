# The ROUTER_... commands of this printer that do not wait
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, List, Mapping

from ..errors import UsageError
from ..gcode.contexts import parse_context
from .command_calls import CommandCalls
from .console import checks_text, objects_text, printers_text, restart_text, status_text
from .wait_commands import WaitCommands

# Parameters of ROUTER_EVENT_TRIGGER that are not context
_TRIGGER_PARAMS = ("EVENT", "CONTEXT", "RETAIN", "SYNC")


class Commands:
    """The commands. Each raises UsageError and NotAllowed.

    waiting: runs ROUTER_GCODE_SCRIPT with WAIT=1; status_lines: the lines of ROUTER_STATUS.
    """

    def __init__(
        self, calls: CommandCalls, waiting: WaitCommands, status_lines: Callable[[], List[str]]
    ) -> None:
        self._calls, self._waiting, self._status_lines = calls, waiting, status_lines

    cmd_ROUTER_STATUS_help = "Show all printers, their states, round trips and queues"

    def cmd_ROUTER_STATUS(self, gcmd: Any) -> None:
        gcmd.respond_info("\n".join(self._status_lines()))

    cmd_ROUTER_DIAGNOSE_help = "Check the connections to other printers and say what to do"

    def cmd_ROUTER_DIAGNOSE(self, gcmd: Any) -> None:
        params = {"target": gcmd.get("TARGET", "")}
        self._calls.call(gcmd, "router/diagnose", params, checks_text)

    cmd_ROUTER_PRINTERS_LIST_help = "List all printers and whether they are ready"

    def cmd_ROUTER_PRINTERS_LIST(self, gcmd: Any) -> None:
        self._calls.call(gcmd, "router/printers/list", {}, printers_text)

    cmd_ROUTER_GCODE_SCRIPT_help = "Run G-code on another printer"

    def cmd_ROUTER_GCODE_SCRIPT(self, gcmd: Any) -> None:
        params = {"target": gcmd.get("TARGET"), "script": gcmd.get("SCRIPT")}
        waits_for_event = gcmd.get("WAIT_EVENT", None) is not None
        if not (gcmd.get_int("WAIT", 0, minval=0, maxval=1) or waits_for_event):
            self._call_or_sync(gcmd, "router/gcode/script", params)
        elif _is_sync(gcmd):
            raise UsageError("SYNC=1 and WAIT=1 cannot be combined: use one of them")
        else:
            self._waiting.wait_for_script(gcmd, params)

    cmd_ROUTER_RESTART_help = "Restart another printer, even one that is shut down"

    def cmd_ROUTER_RESTART(self, gcmd: Any) -> None:
        params = {
            "target": gcmd.get("TARGET"),
            "firmware": gcmd.get_int("FIRMWARE", 0, minval=0, maxval=1),
        }
        self._calls.call(gcmd, "router/restart", params, restart_text)

    cmd_ROUTER_EVENT_SUBSCRIBE_help = "Run G-code whenever an event is triggered"

    def cmd_ROUTER_EVENT_SUBSCRIBE(self, gcmd: Any) -> None:
        params = {
            "event": gcmd.get("EVENT"),
            "gcode": gcmd.get("GCODE"),
            "callback_target": gcmd.get("CALLBACK_TARGET", None),
            "callback_type": gcmd.get("CALLBACK_TYPE", None),
        }
        self._calls.call(gcmd, "router/event/subscribe", params)

    cmd_ROUTER_EVENT_UNSUBSCRIBE_help = "Remove the handlers of an event"

    def cmd_ROUTER_EVENT_UNSUBSCRIBE(self, gcmd: Any) -> None:
        params = {"event": gcmd.get("EVENT"), "gcode": gcmd.get("GCODE", None)}
        self._calls.call(gcmd, "router/event/unsubscribe", params)

    cmd_ROUTER_EVENT_TRIGGER_help = "Trigger an event, which runs its handlers on all printers"

    def cmd_ROUTER_EVENT_TRIGGER(self, gcmd: Any) -> None:
        event = gcmd.get("EVENT")
        retain = bool(gcmd.get_int("RETAIN", 0, minval=0, maxval=1))
        context = parse_context(gcmd.get("CONTEXT", ""))
        for name, value in gcmd.get_command_parameters().items():
            if name not in _TRIGGER_PARAMS:
                context[name.lower()] = value
        params = {"event": event, "context": context, "retain": retain}
        self._call_or_sync(gcmd, "router/event/trigger", params)

    cmd_ROUTER_OBJECTS_LIST_help = "List the objects of a printer that have a status"

    def cmd_ROUTER_OBJECTS_LIST(self, gcmd: Any) -> None:
        params = {"target": gcmd.get("TARGET")}
        self._calls.call(gcmd, "router/objects/list", params, objects_text)

    cmd_ROUTER_OBJECTS_QUERY_help = "Show the status of objects of a printer"

    def cmd_ROUTER_OBJECTS_QUERY(self, gcmd: Any) -> None:
        params = {"target": gcmd.get("TARGET"), "objects": gcmd.get("OBJECTS")}
        self._calls.call(gcmd, "router/objects/query", params, status_text)

    cmd_ROUTER_OBJECTS_SUBSCRIBE_help = "Run a macro whenever the status of objects changes"

    def cmd_ROUTER_OBJECTS_SUBSCRIBE(self, gcmd: Any) -> None:
        params = {
            "target": gcmd.get("TARGET"),
            "objects": gcmd.get("OBJECTS"),
            "gcode_callback": gcmd.get("CALLBACK"),
        }
        self._calls.call(gcmd, "router/objects/subscribe", params)

    cmd_ROUTER_OBJECTS_UNSUBSCRIBE_help = "End status subscriptions of a printer"

    def cmd_ROUTER_OBJECTS_UNSUBSCRIBE(self, gcmd: Any) -> None:
        params = {"target": gcmd.get("TARGET"), "gcode_callback": gcmd.get("CALLBACK", None)}
        self._calls.call(gcmd, "router/objects/unsubscribe", params)

    def _call_or_sync(self, gcmd: Any, method: str, params: Mapping[str, Any]) -> None:
        if _is_sync(gcmd):
            self._calls.call_with_sync(gcmd, method, params)
        else:
            self._calls.call(gcmd, method, params)


def _is_sync(gcmd: Any) -> bool:
    return bool(gcmd.get_int("SYNC", 0, minval=0, maxval=1))
