# The router/* methods and the permissions that they need
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, Dict, List, Mapping, NamedTuple, Optional

from ..errors import RouterError, UsageError
from ..events.events import Events
from ..gcode.contexts import context_of
from ..gcode.parameters import MAX_LENGTH, bounded
from ..printers.printer import Done, Follower, Job, Printer
from ..printers.receiver import Event
from ..status.subscriptions import Subscriptions
from .method_params import (
    check_allowed,
    check_endpoint,
    event_name,
    is_true,
    macro_name,
    objects_of,
    optional_text,
    text,
)
from .restarts import restart
from .results import (
    ResultCallback,
    ResultParams,
    diagnosis_params,
    objects_params,
    printers_params,
    query_params,
    scalar_params,
)
from .subscribers import Macros, Subscriber
from .target_lists import EVERYBODY, Answers, is_list, names_of

# Methods whose result is known when call() returns: for every printer, and for this printer only
_AT_ONCE = (
    "router/event/subscribe",
    "router/event/unsubscribe",
    "router/event/trigger",
    "router/printers/list",
    "router/objects/unsubscribe",
)
_AT_ONCE_HERE = ("router/objects/list", "router/objects/query")

# Makes the follower of the script on a printer
Follow = Callable[[Printer], Follower]
# Checks these printers. Raises Busy.
Diagnose = Callable[[Collection[Printer], Done], None]


class Request(NamedTuple):
    """One call of a method. done is called exactly once, unless call() raises.

    client: the API client that subscribes; without one, macros of the caller do. follow: makes the
    follower of the script on a printer, for a macro that waits for it. act_at: as in Job.
    """

    caller: Printer
    params: Mapping[str, Any]
    done: Done
    client: Optional[Subscriber] = None
    follow: Optional[Follow] = None
    act_at: Optional[float] = None


class Method(NamedTuple):
    """A method. run raises RouterError if the request fails before anything was done."""

    name: str
    permission: Optional[str]
    run: Callable[[Request], None]
    # None: gcode_callback is the callback of a subscription, and does not get the result
    result_params: Optional[ResultParams]


class Methods:
    """The methods. printers: by name, this printer first."""

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
        """Run a method for a caller; the result, or a later error, goes to request.done.

        The caller's macro in the parameter gcode_callback gets the result as well. Raises
        RouterError if it fails at once.
        """
        method = self._table[name]
        caller = request.caller
        if method.permission is not None:
            check_allowed(caller, method.permission, name)
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

    def event_targets(self, params: Mapping[str, Any]) -> List[Optional[Printer]]:
        """The printers whose handlers router/event/trigger with these parameters would run."""
        return self._events.targets(event_name(params))

    # -- the methods

    def _gcode_script(self, request: Request) -> None:
        target = request.params.get("target") or ""
        printers = self.script_targets(request.caller, target)
        script = text(request.params, "script")
        if len(script) > MAX_LENGTH:
            for line in script.split("\n"):
                bounded(line)
        if not is_list(target):
            follower = _follower(request, printers[0])
            printers[0].submit(_job(script, request.done, follower, request))
            return
        answers = Answers(printers, request.done)
        # This printer last: if its own macro waits, its script runs in place
        for printer in sorted(printers, key=lambda p: p.is_local):
            follower = _follower(request, printer)
            done = answers.done_for(printer, follower)
            try:
                printer.submit(_job(script, done, follower, request))
            except RouterError as e:
                done(None, e)

    def _event_subscribe(self, request: Request) -> None:
        event = event_name(request.params)
        receiver = self._subscriber(request).event_receiver(event, request.params)
        self._events.subscribe(event, receiver)
        request.done({}, None)

    def _event_unsubscribe(self, request: Request) -> None:
        event = text(request.params, "event")
        is_selected = self._subscriber(request).selected_by(request.params, "gcode")
        request.done({"removed": self._events.unsubscribe(event, is_selected)}, None)

    def _event_trigger(self, request: Request) -> None:
        params = request.params
        name = event_name(params)
        if name.endswith("*"):
            raise UsageError("Cannot trigger '%s': * is only for subscriptions" % (name,))
        context = context_of(params.get("context"), params.get("values"))
        retain = is_true(params, "retain")
        event = Event(name, context, request.caller, self._events.now(), retain, request.act_at)
        request.done(self._events.trigger(event), None)

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
        self._target(request).query_objects(objects_of(request.params), request.done)

    def _objects_subscribe(self, request: Request) -> None:
        target, objects = self._target(request), objects_of(request.params)
        receiver = self._subscriber(request).status_receiver(target, request.params)
        self._subscriptions.subscribe(request.caller, target, objects, receiver, request.done)

    def _objects_unsubscribe(self, request: Request) -> None:
        target = self._target(request)
        is_selected = self._subscriber(request).selected_by(request.params, "gcode_callback")
        request.done({"removed": self._subscriptions.unsubscribe(target, is_selected)}, None)

    def _call(self, request: Request) -> None:
        target = self._target(request)
        endpoint = text(request.params, "endpoint")
        params = request.params.get("params") or {}
        if not isinstance(params, dict):
            raise UsageError("Malformed params: write an object")
        check_endpoint(request.caller, endpoint, params)
        target.check_connected()
        target.call_endpoint(endpoint, params, request.done)

    def _diagnosis(self, request: Request) -> None:
        name = optional_text(request.params, "target")
        self._diagnose([self.printer(name)] if name else self._printers.values(), request.done)

    def _restart(self, request: Request) -> None:
        restart(self._target(request), is_true(request.params, "firmware"), request.done)

    def _target(self, request: Request) -> Printer:
        return self.printer(text(request.params, "target"))

    def _subscriber(self, request: Request) -> Subscriber:
        if request.client is not None:
            return request.client
        return Macros(request.caller, self.printer, self._events, self._subscriptions)


def _job(script: str, done: Done, follower: Optional[Follower], request: Request) -> Job:
    return Job(script, done, follower, in_any_state=True, act_at=request.act_at)


def _follower(request: Request, printer: Printer) -> Optional[Follower]:
    return None if request.follow is None else request.follow(printer)


def _with_callback(request: Request, result_params: ResultParams) -> Request:
    """The request, with its result also going to the macro in gcode_callback, if any."""
    macro = macro_name(request.params)
    if not macro:
        return request
    callback = ResultCallback(request.caller, macro, result_params, request.done)
    return request._replace(done=callback.done)
