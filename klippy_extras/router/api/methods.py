# Every router/* method once: its parameters, the permission it needs, what it does
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, Dict, List, Mapping, NamedTuple, Optional, Protocol

from ..errors import NotAllowed, RouterError, UsageError
from ..events.events import Client as EventClient
from ..events.events import Events
from ..gcode.contexts import context_of
from ..gcode.parameters import (
    MAX_LENGTH,
    bounded,
    command,
    is_bare_command,
    parse_objects,
    same_command,
)
from ..printers.printer import Done, Follower, Job, Objects, Printer, is_stream
from ..status.subscribers import Client as StatusClient
from ..status.subscriptions import Subscriptions
from .restarts import restart
from .results import diagnosis_params, objects_params, printers_params, query_params, scalar_params
from .target_lists import EVERYBODY, Answers, is_list, names_of

# Characters: the latest events stay in printer.router.events, which others read at 4 Hz
MAX_EVENT_NAME = 100

# Methods whose result is there when call() returns, and those of which it is for this printer
_AT_ONCE = (
    "router/event/subscribe",
    "router/event/unsubscribe",
    "router/event/trigger",
    "router/printers/list",
    "router/objects/unsubscribe",
)
_AT_ONCE_HERE = ("router/objects/list", "router/objects/query")

# Endpoints that run G-code
_GCODE_ENDPOINTS = ("gcode/script", "gcode/restart", "gcode/firmware_restart")


# Checks these printers; raises Busy
Diagnose = Callable[[Collection[Printer], Done], None]


class Client(StatusClient, EventClient, Protocol):
    """A direct API client that gets updates and events on its own connection."""


class Request(NamedTuple):
    """One call of a method. done is called exactly once, unless call() raises.

    follow: makes the follower of the script on a printer, for a macro that waits for it.
    """

    caller: Printer
    params: Mapping[str, Any]
    done: Done
    client: Optional[Client] = None
    follow: Optional[Callable[[Printer], Follower]] = None


class Method(NamedTuple):
    """run may raise RouterError when the request fails at once, before anything is done."""

    name: str
    permission: Optional[str]
    run: Callable[[Request], None]
    # None: gcode_callback names a subscription there, and is not called with the result
    result_params: Optional[Callable[[Any], Dict[str, object]]]


class Methods:
    """The methods, for the front doors. printers: by name, this printer first."""

    def __init__(
        self,
        printers: Mapping[str, Printer],
        subscriptions: Subscriptions,
        events: Events,
        diagnose: Diagnose,
    ) -> None:
        self._printers, self._diagnose = printers, diagnose
        self._subscriptions, self._events = subscriptions, events
        table = [
            Method("router/gcode/script", "gcode", self._gcode_script, scalar_params),
            Method("router/event/subscribe", "event", self._event_subscribe, scalar_params),
            Method("router/event/unsubscribe", "event", self._event_unsubscribe, scalar_params),
            Method("router/event/trigger", "event", self._event_trigger, scalar_params),
            Method("router/printers/list", None, self._printers_list, printers_params),
            Method("router/objects/list", "status", self._objects_list, objects_params),
            Method("router/objects/query", "status", self._objects_query, query_params),
            Method("router/objects/subscribe", "status", self._objects_subscribe, None),
            Method("router/objects/unsubscribe", "status", self._objects_unsubscribe, None),
            Method("router/call", "call", self._call, scalar_params),
            Method("router/restart", "gcode", self._restart, scalar_params),
            Method("router/diagnose", "status", self._diagnosis, diagnosis_params),
        ]
        self._table = {method.name: method for method in table}
        self.names = list(self._table)

    def call(self, name: str, request: Request) -> None:
        """Run a method for a caller; the result, or a late error, goes to request.done.

        With a parameter gcode_callback, this macro of the caller gets the result as well. Raises
        RouterError when it fails at once.
        """
        method = self._table[name]
        caller = request.caller
        if method.permission is not None:
            _check_allowed(caller, method.permission, name)
        if "gcode_callback" in request.params and method.result_params is not None:
            request = _with_callback(request, method.result_params)
        method.run(request)

    def answers_at_once(self, name: str, params: Mapping[str, Any]) -> bool:
        """Whether request.done is called before call() returns, if call() does not raise."""
        if name in _AT_ONCE_HERE:
            printer = self._printers.get(str(params.get("target")))
            return printer is not None and printer.is_local
        return name in _AT_ONCE

    def printer(self, name: str) -> Printer:
        """The printer of this name. Raises UsageError."""
        if name not in self._printers:
            raise UsageError("Unknown printer '%s'. Known: %s" % (name, ", ".join(self._printers)))
        return self._printers[name]

    def script_targets(self, caller: Printer, target: object) -> List[Printer]:
        """The printers that a target of router/gcode/script names, each once.

        `*` is every other printer that is ready. Raises UsageError.
        """
        printers: Dict[Printer, None] = {}
        for name in names_of(target):
            if name == EVERYBODY:
                others = (p for p in self._printers.values() if p.ready and p is not caller)
                printers.update(dict.fromkeys(others))
            else:
                printers[self.printer(name)] = None
        return list(printers)

    # -- the methods

    def _gcode_script(self, request: Request) -> None:
        target = request.params.get("target") or ""
        printers = self.script_targets(request.caller, target)
        script = _text(request.params, "script")
        if len(script) > MAX_LENGTH:
            for line in script.split("\n"):
                bounded(line)
        if not is_list(target):
            follower = _follower(request, printers[0])
            printers[0].submit(Job(script, request.done, follower, in_any_state=True))
            return
        answers = Answers(printers, request.done)
        # This one last: where its own macro waits, its script runs in place
        for printer in sorted(printers, key=lambda p: p.is_local):
            follower = _follower(request, printer)
            done = answers.of(printer, follower)
            try:
                printer.submit(Job(script, done, follower, in_any_state=True))
            except RouterError as e:
                done(None, e)

    def _event_subscribe(self, request: Request) -> None:
        caller, params = request.caller, request.params
        event = _text(params, "event")
        check_event(event)
        if request.client is not None:
            self._events.subscribe_client(event, request.client, retained=True)
        else:
            gcode = _text(params, "gcode")
            target = self.printer(_optional_text(params, "callback_target") or caller.name)
            kind = _optional_text(params, "callback_type").lower() or "gcode"
            if kind not in ("gcode", "webhook"):
                raise UsageError("Invalid callback_type '%s': write gcode or webhook" % (kind,))
            if target is not caller:
                _check_allowed(caller, "gcode", "a handler on another printer")
            if kind == "webhook":
                _check_allowed(caller, "call", "a webhook handler")
                _check_endpoint(gcode, {})
                if gcode in _GCODE_ENDPOINTS:
                    _check_allowed(caller, "gcode", gcode)
            self._events.subscribe(caller, event, gcode, target, kind)
        request.done({}, None)

    def _event_unsubscribe(self, request: Request) -> None:
        event = _text(request.params, "event")
        if request.client is not None:
            removed = self._events.unsubscribe_client(event, request.client)
        else:
            gcode = _optional_text(request.params, "gcode") or None
            removed = self._events.unsubscribe(request.caller, event, gcode)
        request.done({"removed": removed}, None)

    def _event_trigger(self, request: Request) -> None:
        params = request.params
        event = _text(params, "event")
        check_event(event)
        if event.endswith("*"):
            raise UsageError("Cannot trigger '%s': * is for subscriptions" % (event,))
        context = context_of(params.get("context"), params.get("values"))
        retain = _is_true(params.get("retain"))
        request.done(self._events.trigger(request.caller, event, context, retain), None)

    def _printers_list(self, request: Request) -> None:
        printers = [
            {
                "name": printer.name,
                "connected": printer.connected,
                "ready": printer.ready,
                "state": printer.state,
                "local": printer.is_local,
            }
            for printer in self._printers.values()
        ]
        request.done({"printers": printers}, None)

    def _objects_list(self, request: Request) -> None:
        self._target(request).list_objects(request.done)

    def _objects_query(self, request: Request) -> None:
        self._target(request).query_objects(_objects(request.params), request.done)

    def _objects_subscribe(self, request: Request) -> None:
        target, objects = self._target(request), _objects(request.params)
        if request.client is not None:
            self._subscriptions.subscribe_client(
                request.caller, target, objects, request.client, request.done
            )
        else:
            callback = _optional_text(request.params, "gcode_callback")
            if not callback:
                raise UsageError("Missing parameter CALLBACK (gcode_callback)")
            _check_macro(callback)
            self._subscriptions.subscribe(
                request.caller, target, objects, same_command(callback), request.done
            )

    def _objects_unsubscribe(self, request: Request) -> None:
        target = self._target(request)
        if request.client is not None:
            removed = self._subscriptions.unsubscribe_client(target, request.client)
        else:
            callback = same_command(_optional_text(request.params, "gcode_callback")) or None
            removed = self._subscriptions.unsubscribe(request.caller, target, callback)
        request.done({"removed": removed}, None)

    def _call(self, request: Request) -> None:
        target = self._target(request)
        endpoint = _text(request.params, "endpoint")
        params = request.params.get("params") or {}
        if not isinstance(params, dict):
            raise UsageError("Malformed params: write an object")
        _check_endpoint(endpoint, params)
        if endpoint in _GCODE_ENDPOINTS:
            _check_allowed(request.caller, "gcode", endpoint)
        target.check_connected()
        target.call_endpoint(endpoint, params, request.done)

    def _diagnosis(self, request: Request) -> None:
        name = _optional_text(request.params, "target")
        self._diagnose([self.printer(name)] if name else self._printers.values(), request.done)

    def _restart(self, request: Request) -> None:
        restart(self._target(request), _is_true(request.params.get("firmware")), request.done)

    def _target(self, request: Request) -> Printer:
        return self.printer(_text(request.params, "target"))


def _follower(request: Request, printer: Printer) -> Optional[Follower]:
    return None if request.follow is None else request.follow(printer)


# -- parameters


def _text(params: Mapping[str, Any], name: str) -> str:
    value = params.get(name)
    if value is None or value == "":
        raise UsageError("Missing parameter %s" % (name.upper(),))
    if not isinstance(value, str):
        raise UsageError("Malformed parameter %s: write text" % (name.upper(),))
    return value


def _is_true(value: Any) -> bool:
    return value in (True, 1, "1", "True", "true")


def _optional_text(params: Mapping[str, Any], name: str) -> str:
    return "" if params.get(name) in (None, "") else _text(params, name)


def _objects(params: Mapping[str, Any]) -> Objects:
    objects = params.get("objects")
    if not objects:
        raise UsageError("Missing parameter OBJECTS")
    if isinstance(objects, str):
        return parse_objects(objects)
    if isinstance(objects, dict) and all(_is_wish(n, fields) for n, fields in objects.items()):
        return objects
    raise UsageError(
        "Malformed OBJECTS: write text like print_stats:state|filename,toolhead, or an object"
        " whose values are null or lists of fields"
    )


def _is_wish(name: Any, fields: Any) -> bool:
    listed = isinstance(fields, list) and all(isinstance(f, str) for f in fields)
    return isinstance(name, str) and (fields is None or listed)


def _check_allowed(caller: Printer, permission: str, what: str) -> None:
    if caller.allow is not None and permission not in caller.allow:
        raise NotAllowed(
            "%s may not use %s: add '%s' to option 'allow' in section 'router %s' of the host"
            % (caller.name, what, permission, caller.name)
        )


def _check_macro(name: str) -> None:
    if not is_bare_command(name):
        raise UsageError("Invalid CALLBACK '%s': write the name of a macro" % (name,))


def check_event(event: str) -> None:
    """Raises UsageError for what cannot be the name of an event, or too long a one."""
    if not event:
        raise UsageError("Missing parameter EVENT")
    if len(event) > MAX_EVENT_NAME:
        raise UsageError("EVENT is too long: %d characters at most" % (MAX_EVENT_NAME,))


def _check_endpoint(endpoint: str, params: Mapping[str, Any]) -> None:
    if endpoint.startswith("router/"):
        raise UsageError("'%s' cannot be called through router/call: call it itself" % (endpoint,))
    if is_stream(endpoint, params):
        raise UsageError(
            "Endpoint '%s' answers on and on: use ROUTER_OBJECTS_SUBSCRIBE, or a connection of"
            " your own" % (endpoint,)
        )


# -- results


def _with_callback(request: Request, result_params: Callable[[Any], Dict[str, object]]) -> Request:
    """The request whose result goes to a macro of the caller, too."""
    caller, done = request.caller, request.done
    callback = _optional_text(request.params, "gcode_callback")
    if not callback:
        return request
    _check_macro(callback)

    def finish(result: Any, error: Optional[RouterError]) -> None:
        if error is None:
            try:
                script = command(callback, result_params(result), caller.old_parser)
                caller.submit(Job(script))
            except RouterError as e:
                result, error = None, e
        done(result, error)

    return request._replace(done=finish)
