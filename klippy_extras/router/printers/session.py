# The conversation with one peer's Klippy: bytes and time come in, events and bytes go out
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# No socket, no reactor, no log: whoever owns a Session moves its bytes. The phases:
#
#   phase        entered when                          left when
#   CLOSED       the connection is gone                a socket is open       -> IDENTIFYING
#   IDENTIFYING  'info' was sent                       'info' is answered     -> CONNECTED
#   CONNECTED    Klippy says startup, error, shutdown  Klippy says ready      -> PREPARING
#   PREPARING    Klippy says ready: methods are being  all of it is answered  -> READY
#                registered, subscriptions restored    Klippy says otherwise  -> CONNECTED
#   READY        everything is in place                Klippy says otherwise  -> CONNECTED
#
# Every phase goes to CLOSED when the connection breaks. Klippy's state comes from three sources
# that cannot disagree for longer than a tick: the answer of 'info', the snapshot of
# objects/subscribe and its updates of the object 'webhooks' (klippy/webhooks.py, get_status).
# It is handed over as it comes and not kept here: its owner is the printer.
from typing import Any, Dict, FrozenSet, List, Optional, Sequence

from ..errors import BadMessage, PeerError, TimedOut, TooLong
from ..sanitize import counted
from ..version import VERSION
from .framing import (
    Frame,
    FrameReader,
    Oversized,
    decode,
    encode,
    encode_script,
)
from .session_events import (
    CALL,
    COMMANDS,
    OUTPUT,
    SNAPSHOT,
    UPDATE,
    Answer,
    Called,
    Event,
    Identified,
    Output,
    Ready,
    Skipped,
    StateSaid,
    Status,
)

CLOSED, IDENTIFYING, CONNECTED, PREPARING, READY = range(5)

UPDATE_METHOD = "router/objects/update"
OUTPUT_METHOD = "router/gcode/output"
CLIENT_INFO = {"program": "Klipper Router", "version": VERSION}

Objects = Dict[str, Optional[List[str]]]


class _Own:
    """Tokens of the session's own requests."""

    INFO, PING, HELP, SUBSCRIBE, OUTPUT = "info", "ping", "help", "subscribe", "output"


class Session:
    """One peer.

    methods: the remote methods to register; probe: objects to ask for in any case; timeout:
    seconds without an answer after which it counts as gone; max_message: bytes.
    """

    def __init__(
        self, methods: Sequence[str], probe: Objects, timeout: float, max_message: int
    ) -> None:
        self.phase = CLOSED
        self.latency: Optional[float] = None  # seconds, of the last ping
        self._methods = frozenset(methods)
        self._always: Objects = dict(probe, webhooks=["state", "state_message"])
        self._timeout = timeout
        self._max_message = max_message
        self._wanted: Objects = {}
        self._reset(0.0)

    def _reset(self, now: float) -> None:
        self._frames = FrameReader(self._max_message)
        self.output: List[bytes] = []
        """What is to be sent; see take_output()."""
        self._next_id = 0
        self._pending: Dict[int, Any] = {}
        self._scripts: Dict[int, Any] = {}
        self._own: Dict[int, str] = {}
        self._received_at = now
        self._ping_at: Optional[float] = None
        self._subscribing = False  # a subscription request is on its way
        self._stale = False  # what is subscribed is not what is wanted
        self._commands: Optional[FrozenSet[str]] = None
        self._restored: Optional[Dict[str, Dict[str, Any]]] = None

    # -- what the owner does

    def opened(self, now: float) -> None:
        """A socket is open."""
        self._reset(now)
        self.phase = IDENTIFYING
        self._ping_at = now
        self._ask(_Own.INFO, "info", {"client_info": CLIENT_INFO})

    def closed(self) -> List[Any]:
        """The connection is gone. Returns the tokens of all unanswered requests, in order."""
        unanswered = {**self._scripts, **self._pending}
        tokens = [unanswered[number] for number in sorted(unanswered)]
        self._reset(0.0)
        self.phase = CLOSED
        self.latency = None
        return tokens

    def request(self, method: str, params: Dict[str, Any], token: Any) -> None:
        """Ask the peer; its answer comes as Answer(token, ...)."""
        self._next_id += 1
        message = encode({"id": self._next_id, "method": method, "params": params})
        self._pending[self._next_id] = token
        self.output.append(message)

    def run_script(self, script: str, token: Any, began: Any = None) -> None:
        """request() of gcode/script; Answer(began, ...) comes when the peer begins to run it.

        Klippy runs the G-code of all its clients one script at a time, in the order in which they
        came (klippy/reactor.py, ReactorMutex). An empty script right before ours is answered when
        its turn comes: what the console says between the two answers is said by our script.
        """
        self._next_id += 1
        if began is not None:
            self._scripts[-self._next_id] = began
            self.output.append(encode_script(-self._next_id, ""))
        self._scripts[self._next_id] = token
        self.output.append(encode_script(self._next_id, script))

    def want(self, objects: Objects) -> None:
        """Subscribe to these objects from now on; a Status snapshot follows when connected."""
        self._wanted = objects
        self._stale = True
        self._subscribe()

    def subscribe_again(self) -> None:
        """Ask for a new Status snapshot of what is wanted."""
        self._stale = True
        self._subscribe()

    @property
    def pending(self) -> int:
        """The number of request()s that are not answered, without scripts."""
        return len(self._pending)

    def take_output(self) -> bytes:
        """The bytes to send now."""
        output = b"".join(self.output)
        self.output.clear()
        return output

    @property
    def skipping(self) -> bool:
        """Whether the bytes that come next are thrown away: their message is too long."""
        return self._frames.skipping

    def receive(self, data: bytes, now: float) -> List[Frame]:
        """Bytes arrived: returns the complete frames, to be handed to handle() one by one.

        Raises BadMessage when a message does not end.
        """
        self._received_at = now
        return self._frames.feed(data)

    def tick(self, now: float) -> float:
        """Keep the peer under watch; returns the time of the next call, in reactor seconds.

        Raises TimedOut when the peer has not answered for that long.
        """
        half = self._timeout * 0.5
        if self._ping_at is None:
            if now < self._received_at + half:
                return self._received_at + half
            self._ping(now)
            return now + half
        # However late we asked, half of the timeout is for the answer
        gone_at = max(self._received_at + self._timeout, self._ping_at + half)
        if now < gone_at:
            return gone_at
        if now < gone_at + half:
            raise TimedOut("did not answer within %s" % (counted(self._timeout, "second"),))
        # So late we can only be when we stood still, and perhaps the peer with us: once more
        self._ping(now)
        return now + half

    def _ping(self, now: float) -> None:
        self._ping_at = now
        self._ask(_Own.PING, "info", {})

    # -- what the peer says

    def handle(self, frame: Frame, now: float) -> List[Event]:
        """One message of the peer. Raises BadMessage when it breaks the protocol."""
        if isinstance(frame, Oversized):
            return self._handle_oversized(frame)
        message = decode(frame)
        method = message.get("method")
        if method is None:
            return self._handle_answer(message, now)
        params = message.get("params")
        if type(method) is not str or type(params) is not dict:
            raise BadMessage("sent a call that is not one")
        if method == UPDATE_METHOD:
            return self._handle_status(params, snapshot=False)
        if method == OUTPUT_METHOD:
            return [Output(str(params.get("response", "")))]
        if method in self._methods:
            return [Called(method, params)]
        raise BadMessage("called an unknown method")

    def _handle_answer(self, message: Dict[str, Any], now: float) -> List[Event]:
        number = message.get("id")
        if type(number) is not int:
            raise BadMessage("sent neither an answer nor a call")
        own = self._own.pop(number, None)
        if own is not None:
            if "error" in message:
                raise BadMessage("refused '%s': %s" % (own, _error_text(message["error"])))
            return self._handle_own(own, message.get("result"), now)
        requests = self._pending if number in self._pending else self._scripts
        if number not in requests:
            return []  # a second answer, or one to nothing: harmless, and of no use
        token = requests.pop(number)
        if "error" in message:
            return [Answer(token, None, PeerError(_error_text(message["error"])))]
        return [Answer(token, message.get("result"), None)]

    def _handle_oversized(self, message: Oversized) -> List[Event]:
        number, method = message.answer_to, message.method
        if method == UPDATE_METHOD:
            return [Skipped(UPDATE)]
        if method == OUTPUT_METHOD:
            return [Skipped(OUTPUT)]
        if method in self._methods:
            return [Skipped(CALL, method)]
        if number is None:
            raise BadMessage("sent a message of more than %d bytes" % (self._max_message,))
        own = self._own.pop(number, None)
        if own is not None:
            return self._handle_oversized_own(own)
        requests = self._pending if number in self._pending else self._scripts
        if number not in requests:
            return []
        error = TooLong("its answer is longer than max_message (%d bytes)" % (self._max_message,))
        return [Answer(requests.pop(number), None, error)]

    def _handle_oversized_own(self, own: str) -> List[Event]:
        if own == _Own.SUBSCRIBE and self._wanted:
            self._subscribing = False
            if not self._stale:
                return [Skipped(SNAPSHOT)]
            self._subscribe()
            return []
        if own == _Own.HELP:
            self._commands = frozenset()
            return [Skipped(COMMANDS), *self._check_prepared()]
        if own == _Own.PING:
            self._ping_at = None
            return []
        raise BadMessage("answered '%s' with more than %d bytes" % (own, self._max_message))

    def _handle_own(self, own: str, result: Any, now: float) -> List[Event]:
        if type(result) is not dict:
            raise BadMessage("answered '%s' with no object" % (own,))
        if own == _Own.SUBSCRIBE:
            return self._handle_subscribed(result)
        if own == _Own.OUTPUT:
            return []
        if own == _Own.HELP:
            self._commands = frozenset(str(name) for name in result)
            return self._check_prepared()
        events: List[Event] = []
        ping_at, self._ping_at = self._ping_at, None
        if own == _Own.PING and ping_at is not None:
            self.latency = now - ping_at
        if own == _Own.INFO:
            self.phase = CONNECTED
            self._stale = True
            # Now, not where it is wanted: no line may be missed. Klippy cannot take it back.
            template = {"method": OUTPUT_METHOD}
            self._ask(_Own.OUTPUT, "gcode/subscribe_output", {"response_template": template})
            events.append(Identified(result))
        state, message = result.get("state"), result.get("state_message")
        if type(state) is not str or type(message) is not str:
            raise BadMessage("sent a malformed state")
        events += self._set_state(state, message)
        self._subscribe()
        return events

    def _handle_subscribed(self, result: Dict[str, Any]) -> List[Event]:
        self._subscribing = False
        events = self._handle_status(result, snapshot=True)
        if self._stale:
            # Not the answer to what is wanted by now: a newer one will follow, with everything
            events.pop()
            self._subscribe()
        elif self.phase == PREPARING:
            self._restored = result["status"]
            events += self._check_prepared()
        return events

    def _handle_status(self, params: Dict[str, Any], snapshot: bool) -> List[Event]:
        status, eventtime = params.get("status"), params.get("eventtime")
        if not isinstance(eventtime, (int, float)):
            raise BadMessage("sent a status without a time")
        if type(status) is not dict:
            raise BadMessage("sent a status that is not one")
        for values in status.values():
            if type(values) is not dict:
                raise BadMessage("sent a status that is not one")
        events: List[Event] = []
        webhooks = status.get("webhooks")
        if webhooks:
            state, message = webhooks.get("state"), webhooks.get("state_message")
            if not all(text is None or type(text) is str for text in (state, message)):
                raise BadMessage("sent a malformed state")
            events += self._set_state(state, message)
        events.append(Status(eventtime, status, snapshot))
        return events

    # -- state

    def _set_state(self, state: Optional[str], message: Optional[str]) -> List[Event]:
        if state == "ready":
            if self.phase < PREPARING:
                self._prepare()
        elif state is not None:
            self.phase = CONNECTED
        return [StateSaid(state, message)]

    def _prepare(self) -> None:
        self.phase = PREPARING
        self._commands, self._restored = None, None
        for method in sorted(self._methods):
            # Without an id there is no answer: the one of gcode/help comes after all of them
            self.output.append(
                encode(
                    {
                        "method": "register_remote_method",
                        "params": {
                            "remote_method": method,
                            "response_template": {"method": method},
                        },
                    }
                )
            )
        self._ask(_Own.HELP, "gcode/help", {})
        # Objects that were asked for before Klippy had loaded its config are not there yet
        self._stale = True
        self._subscribe()

    def _check_prepared(self) -> List[Event]:
        if self.phase != PREPARING or self._commands is None or self._restored is None:
            return []
        self.phase = READY
        self._ping(self._received_at)
        return [Ready(self._commands, self._restored)]

    def _subscribe(self) -> None:
        # Klippy keeps one subscription a connection, and answers a new one with everything
        if self.phase < CONNECTED or self._subscribing or not self._stale:
            return
        self._subscribing, self._stale = True, False
        objects = dict(self._wanted)
        for name, always in self._always.items():
            fields = objects.get(name, [])
            if fields is not None:
                objects[name] = sorted(set(fields).union(always or ()))
        self._ask(
            _Own.SUBSCRIBE,
            "objects/subscribe",
            {"objects": objects, "response_template": {"method": UPDATE_METHOD}},
        )

    def _ask(self, own: str, method: str, params: Dict[str, Any]) -> None:
        self._next_id += 1
        self._own[self._next_id] = own
        self.output.append(encode({"id": self._next_id, "method": method, "params": params}))


def _error_text(error: Any) -> str:
    if type(error) is dict and type(error.get("message")) is str:
        return str(error["message"])
    return "an error without a message"
