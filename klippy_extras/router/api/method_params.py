# Reads and checks the parameters of methods
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Mapping

from ..errors import NotAllowed, UsageError
from ..gcode.parameters import is_bare_command, parse_objects
from ..printers.printer import Objects, Printer, is_stream
from ..status.subscriptions import MAX_FIELDS, MAX_OBJECTS

# Characters. The latest events stay in printer.router.events, which clients read at 4 Hz.
MAX_EVENT_NAME = 100

# Endpoints that run G-code
_GCODE_ENDPOINTS = ("gcode/script", "gcode/restart", "gcode/firmware_restart")


def text(params: Mapping[str, Any], name: str) -> str:
    """A required parameter. Raises UsageError."""
    value = params.get(name)
    if value is None or value == "":
        raise UsageError("Missing parameter %s" % (name.upper(),))
    if not isinstance(value, str):
        raise UsageError("Malformed parameter %s: write text" % (name.upper(),))
    return value


def optional_text(params: Mapping[str, Any], name: str) -> str:
    """An optional parameter; "" if it is left out. Raises UsageError."""
    return "" if params.get(name) in (None, "") else text(params, name)


def is_true(params: Mapping[str, Any], name: str) -> bool:
    """A flag, as JSON, Jinja and G-code write it."""
    return params.get(name) in (True, 1, "1", "True", "true")


def event_name(params: Mapping[str, Any]) -> str:
    """The parameter event. Raises UsageError."""
    event = text(params, "event")
    check_event(event)
    return event


def check_event(event: str) -> None:
    """Raises UsageError if the name of an event is missing or too long."""
    if not event:
        raise UsageError("Missing parameter EVENT")
    if len(event) > MAX_EVENT_NAME:
        raise UsageError("EVENT is too long: %d characters at most" % (MAX_EVENT_NAME,))


def objects_of(params: Mapping[str, Any]) -> Objects:
    """The parameter objects, which may be in Klipper's form or text. Raises UsageError."""
    objects = params.get("objects")
    if not objects:
        raise UsageError("Missing parameter OBJECTS")
    if _is_too_long(objects):
        raise UsageError(
            "OBJECTS is too long: %d objects and %d fields at most" % (MAX_OBJECTS, MAX_FIELDS)
        )
    if isinstance(objects, str):
        return parse_objects(objects)
    if isinstance(objects, dict) and all(_is_object(n, fields) for n, fields in objects.items()):
        return objects
    raise UsageError(
        "Malformed OBJECTS: write text like print_stats:state|filename,toolhead, or an object"
        " whose values are null or lists of fields"
    )


def _is_too_long(objects: Any) -> bool:
    """Whether it is too long to look at all of it in a short time."""
    if isinstance(objects, str):
        return objects.count(",") >= MAX_OBJECTS or objects.count("|") >= MAX_FIELDS
    if isinstance(objects, dict) and len(objects) <= MAX_OBJECTS:
        return sum(len(f) for f in objects.values() if isinstance(f, list)) > MAX_FIELDS
    return isinstance(objects, dict)


def _is_object(name: Any, fields: Any) -> bool:
    listed = isinstance(fields, list) and all(isinstance(f, str) for f in fields)
    return isinstance(name, str) and (fields is None or listed)


def macro_name(params: Mapping[str, Any]) -> str:
    """The parameter gcode_callback: the name of a macro, or "". Raises UsageError."""
    name = optional_text(params, "gcode_callback")
    if name and not is_bare_command(name):
        raise UsageError("Invalid CALLBACK '%s': write the name of a macro" % (name,))
    return name


def check_allowed(caller: Printer, permission: str, what: str) -> None:
    """Raises NotAllowed unless option 'allow' of the caller lists this permission."""
    if caller.allow is not None and permission not in caller.allow:
        raise NotAllowed(
            "%s is not allowed to use %s: add '%s' to option 'allow' in section 'router %s' of the"
            " main printer" % (caller.name, what, permission, caller.name)
        )


def check_endpoint(caller: Printer, endpoint: str, params: Mapping[str, Any]) -> None:
    """Raises UsageError for an endpoint that cannot be called for others, and NotAllowed for one
    that runs G-code if the caller is not allowed to.
    """
    if endpoint.startswith("router/"):
        raise UsageError(
            "'%s' cannot be called through router/call: call it directly" % (endpoint,)
        )
    if is_stream(endpoint, params):
        raise UsageError(
            "Endpoint '%s' is a streaming endpoint: use ROUTER_OBJECTS_SUBSCRIBE, or your own"
            " connection" % (endpoint,)
        )
    if endpoint in _GCODE_ENDPOINTS:
        check_allowed(caller, "gcode", endpoint)
