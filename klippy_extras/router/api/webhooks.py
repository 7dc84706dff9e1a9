# API clients: the methods as webhooks endpoints of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from typing import Any, Callable, Dict, List, Optional, Tuple

from ..errors import Busy, RouterError
from ..klippy.klippy import Klippy
from ..klippy.protocols import Reactor
from ..printers.peer_methods import EXCHANGE_METHOD
from ..printers.printer import Failure, Printer, Status
from ..printers.receiver import Event, Receiver
from ..sanitize import plain, plain_text
from .methods import Methods, Request
from .subscribers import IsSelected, Params

# Each waiting request is a paused greenlet, and about 97 of them crash Kalico and 2023-era Klipper
MAX_WAITING = 32
# Unsent bytes at which an API client that does not read is disconnected: Klippy copies all of them
# each time that it sends more, and itself disconnects such a client after some seconds
# (klippy/webhooks.py, class ClientConnection)
MAX_UNSENT = 524288
# Levels of nesting in an answer, such as the status of all objects: far below the limit of Klippy's
# JSON encoder (about 900)
ANSWER_DEPTH = 64


class ApiClient(Receiver):
    """Sends to the connection of an API client, in the form of its response_template.

    Two are equal if they have the same connection and template. It is both the subscriber and the
    receiver of its requests. now: the time, in seconds.
    """

    can_wait = True

    def __init__(self, connection: Any, template: Dict[str, Any], now: Callable[[], float]) -> None:
        self._connection, self._template, self._now = connection, template, now
        self.is_status_plain = False  # whether plain() has been applied to it: a peer's
        self._is_router = template.get("method") == EXCHANGE_METHOD

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ApiClient)
            and self._connection is other._connection
            and self._template == other._template
        )

    def __hash__(self) -> int:
        return id(self._connection)

    @property
    def closed(self) -> bool:
        return bool(self._connection.is_closed())

    def update(self, eventtime: float, status: Status) -> None:
        if not self.is_status_plain:
            status = plain(status, ANSWER_DEPTH)
        self._push({"eventtime": eventtime, "status": status})

    def event(self, event: Event) -> None:
        if self._is_router and event.caller.has_router:
            return  # it has sent this event itself, or knows the router that has
        self._push(
            {
                "event": event.name,
                "context": event.context,
                "source": event.caller.name,
                "retain": event.retain,
                "age": self._now() - event.time,
            }
        )

    def retained(self, event: Event) -> None:
        self.event(event)

    def event_receiver(self, event: str, params: Params) -> Receiver:
        return self

    def status_receiver(self, target: Printer, params: Params) -> Receiver:
        self.is_status_plain = not target.is_local  # see framing.decode()
        return self

    def selected_by(self, params: Params, name: str) -> IsSelected:
        return lambda receiver: receiver == self

    def _push(self, params: Dict[str, Any]) -> None:
        """params: plain(), because a value that JSON cannot encode would shut the printer down."""
        if self.closed:
            return
        if len(getattr(self._connection, "send_buffer", b"")) > MAX_UNSENT:
            logging.warning("router: disconnected an API client that is not reading")
            self._connection.close()
        else:
            self._connection.send(dict(self._template, params=params))


class _Answer:
    """The answer to one request. A greenlet waits for it, unless it is known at once."""

    def __init__(self, reactor: Reactor, web_request: Any) -> None:
        self._completion = reactor.completion()
        self._connection = web_request.get_client_connection()
        self._answer: Optional[Tuple[Any, Failure]] = None

    @property
    def is_known(self) -> bool:
        return self._answer is not None

    def done(self, result: Any, error: Failure) -> None:
        if self._answer is None:
            self._answer = (result, error)
            self._completion.complete(self._answer)

    def end_if_closed(self) -> None:
        """End the wait if the API client has disconnected."""
        if self._connection.is_closed():
            self.done(None, RouterError("the API client has disconnected"))

    def wait(self) -> Any:
        """The result. Raises RouterError."""
        result, error = self._answer or self._completion.wait()
        if error is not None:
            raise error
        return result


class Endpoints:
    """The methods as endpoints. This printer is the caller of every request."""

    def __init__(self, klippy: Klippy, methods: Methods, printer: Printer) -> None:
        self._klippy, self._methods, self._printer = klippy, methods, printer
        self._waiting: List[_Answer] = []

    def register(self) -> None:
        """Offer every method under its own name."""
        for name in self._methods.names:
            self._klippy.webhooks.register_endpoint(name, self._handle_request)

    def _handle_request(self, web_request: Any) -> None:
        try:
            web_request.send(self._call(web_request))
        except RouterError as e:
            raise web_request.error(plain_text(str(e))) from None
        except ValueError as e:
            raise web_request.error("Malformed parameters or answer: %s" % (e,)) from None
        except self._klippy.command_error:
            raise
        except Exception as e:
            # Klippy would shut the printer down
            logging.exception("router: internal error (please report it)")
            raise web_request.error("internal error of the router: %s" % (e,)) from None

    def _call(self, web_request: Any) -> Any:
        """The result, plain(). Raises RouterError and ValueError."""
        answer = _Answer(self._klippy.reactor, web_request)
        method, params = web_request.get_method(), plain(dict(web_request.params))
        client = self._client(web_request)
        request = Request(self._printer, params, answer.done, client)
        if not self._methods.answers_at_once(method, params):
            self._check_places()
        self._methods.call(method, request)
        self._waiting.append(answer)
        try:
            result = answer.wait()
        finally:
            self._waiting.remove(answer)
        is_plain = client is not None and client.is_status_plain
        return result if is_plain else plain(result, ANSWER_DEPTH)

    def _check_places(self) -> None:
        """Raises Busy if too many requests are already waiting."""
        if len(self._waiting) >= MAX_WAITING:
            # A place becomes free as soon as its greenlet has run
            for answer in self._waiting:
                answer.end_if_closed()
            if sum(not answer.is_known for answer in self._waiting) >= MAX_WAITING:
                raise Busy("The router is busy: %d API requests are waiting" % (MAX_WAITING,))

    def _client(self, web_request: Any) -> Optional[ApiClient]:
        template = web_request.get_dict("response_template", None)
        if template is None:
            return None
        connection = web_request.get_client_connection()
        return ApiClient(connection, template, self._klippy.timers.now)
