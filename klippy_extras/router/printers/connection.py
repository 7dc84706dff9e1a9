# The connection to one peer: moves bytes between its socket and its session, at a limited rate
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, List, NamedTuple, Optional, Protocol

from ..errors import BadMessage, TimedOut
from ..klippy.klippy import Klippy
from ..klippy.timers import Timer
from .link import Link, SocketFile
from .printer import Objects
from .session import Session
from .session_events import Event

# Seconds for which the messages of one peer are handled in one callback. A pause follows that is
# CATCH_UP_PAUSE times as long, so that a peer that floods us gets a fifth of our time.
MAX_CALLBACK_TIME = 0.00015
CATCH_UP_PAUSE = 4.0


class Loss(NamedTuple):
    """The end of a connection. unanswered: the tokens of its requests, in order."""

    reason: str
    has_timed_out: bool
    unanswered: List[Any]


class ConnectionOwner(Protocol):
    """The object that a connection notifies."""

    def handle_event(self, event: Event) -> None: ...
    def connection_lost(self, loss: Loss) -> None: ...


class Connection:
    """Keeps a session alive over a link, from start() to stop()."""

    def __init__(self, klippy: Klippy, sock: str, session: Session, owner: ConnectionOwner) -> None:
        self._timers = klippy.timers
        self._session, self._owner = session, owner
        self._link = Link(klippy, sock, self)
        self._socket_file: Optional[SocketFile] = None
        self._is_handling = False  # output is collected until all events are handled
        self._catch_up: Optional[Timer] = None  # until it is due, nothing is read or handled
        self._liveness_timer: Optional[Timer] = None
        self._has_timed_out = False

    def start(self) -> None:
        """Connect, now and whenever the connection is lost."""
        self._link.start()

    def stop(self) -> None:
        """Disconnect for good. Not from within an fd callback."""
        self._link.stop()
        self._stop_timers()

    @property
    def socket_file(self) -> Optional[SocketFile]:
        """The socket that it is connected to, Klippy's or a tunnel's; None while disconnected."""
        return self._socket_file if self._link.is_open else None

    @property
    def last_failure(self) -> str:
        """Why the latest attempt to connect failed."""
        return self._link.last_failure

    @property
    def latency(self) -> Optional[float]:
        """Seconds that the answer to the last ping took; None while disconnected."""
        return self._session.latency

    @property
    def pending(self) -> int:
        """The number of request()s that are not answered, without scripts."""
        return self._session.pending

    # -- requests; see Session

    def request(self, method: str, params: Dict[str, Any], token: Any) -> None:
        """Send a request; the event Answer(token, ...) follows."""
        self._session.request(method, params, token)
        self._send()

    def run_script(self, script: str, token: Any, began: Any) -> None:
        """Request gcode/script; Answer(began, ...) follows when the peer begins to run it."""
        self._session.run_script(script, token, began)
        self._send()

    def subscribe(self, objects: Objects) -> None:
        """Subscribe to these objects instead of those before."""
        self._session.subscribe(objects)
        self._send()

    def subscribe_again(self) -> None:
        """Request all values of the subscribed objects."""
        self._session.subscribe_again()
        self._send()

    def _send(self) -> None:
        if not self._is_handling:
            output = self._session.take_output()
            if output:
                self._link.send(output)

    # -- the link's notifications

    def link_opened(self, socket_file: SocketFile, now: float) -> None:
        self._socket_file = socket_file
        self._has_timed_out = False
        self._session.opened(now)
        self._send()
        self._check_liveness()

    def data_received(self, data: bytes, now: float) -> None:
        begin = self._timers.now()
        try:
            self._session.receive(data, now)
        except BadMessage as e:
            self._link.fail(str(e))
            return
        self._handle_events()
        if self._session.skipping and self._catch_up is None:
            # Reading what is skipped takes the same pauses as handling messages
            self._pause(begin)

    def link_lost(self, reason: str) -> None:
        self._stop_timers()
        unanswered = self._session.closed()
        self._owner.connection_lost(Loss(reason, self._has_timed_out, unanswered))

    # -- pace

    def _handle_events(self) -> None:
        """Handle what has arrived, for a limited time; the rest after a pause."""
        was_paused = self._catch_up is not None
        if was_paused:
            self._stop_catching_up()
        begin = self._timers.now()
        self._is_handling = True
        try:
            while self._session.has_more:
                if self._handle_next(begin) and self._session.has_more:
                    self._pause(begin)
                    break
        except BadMessage as e:
            self._link.fail(str(e))
        finally:
            self._is_handling = False
            self._send()
            if was_paused and self._catch_up is None:
                self._link.set_reading(True)

    def _handle_next(self, begin: float) -> bool:
        """Handle an event, or decode a piece of one. Returns whether it is time for a pause."""
        if not self._session.has_decoded and self._session.decode():
            if self._session.has_decoded:
                return True  # a large event takes a callback of its own
        else:
            event = self._session.next_event()
            if event is not None:
                self._owner.handle_event(event)
        return self._timers.now() - begin >= MAX_CALLBACK_TIME

    def _pause(self, begin: float) -> None:
        delay = CATCH_UP_PAUSE * (self._timers.now() - begin)
        self._catch_up = self._timers.after(delay, self._handle_events)
        self._link.set_reading(False)

    def _stop_catching_up(self) -> None:
        if self._catch_up is not None:
            self._catch_up.cancel()
            self._catch_up = None

    # -- liveness

    def _check_liveness(self) -> None:
        now = self._timers.now()
        try:
            next_time = self._session.tick(now)
        except TimedOut:
            # Perhaps this process was late, not the peer: read what has arrived by now
            self._link.read(now)
            try:
                next_time = self._session.tick(now)
            except TimedOut as e:
                self._has_timed_out = True
                self._link.fail(str(e))
                return
        self._send()
        delay = max(0.0, next_time - self._timers.now())
        self._liveness_timer = self._timers.after(delay, self._check_liveness)

    def _stop_timers(self) -> None:
        self._stop_catching_up()
        if self._liveness_timer is not None:
            self._liveness_timer.cancel()
            self._liveness_timer = None
