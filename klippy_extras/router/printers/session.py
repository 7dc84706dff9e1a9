# The protocol with one peer's Klippy: bytes and time go in, events and bytes come out
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# It uses no socket, reactor or log: its owner moves the bytes. The phases and the transitions
# between them are in phases.py. Klippy's state has three sources, which cannot disagree for longer
# than a tick: the answer to 'info', the snapshot of objects/subscribe, and the updates of its
# object 'webhooks' (klippy/webhooks.py, get_status). The state is passed on as received and not
# stored here; the printer stores it.
from collections import deque
from typing import Any, Deque, Dict, List, Optional, Union

from ..errors import BadMessage, PeerError, TooLong
from ..version import VERSION
from .framing import Decoding, Frame, FrameReader, Oversized, decode, encode, encode_script
from .liveness import Liveness
from .message_checks import read_error, read_output, read_state, read_state_change, read_status
from .peer_methods import PeerMethods
from .peer_subscription import PeerSubscription
from .phases import Phase, Trigger, next_phase
from .printer import Objects
from .session_events import (
    Answer,
    Called,
    Event,
    Identified,
    Ready,
    Skipped,
    SkippedKind,
    StateReported,
    Status,
)
from .unanswered import OwnRequest, Unanswered

UPDATE_METHOD = "router/objects/update"
OUTPUT_METHOD = "router/gcode/output"
# Bytes of a message that is decoded in pieces, and handled in a later callback than these
LARGE_MESSAGE = 4096
CLIENT_INFO = {"program": "Klipper Router", "version": VERSION}


class Session:
    """The protocol with one peer.

    Call receive(), and while has_more, next_event() if something is decoded, else decode(); send
    take_output().

    methods: which remote methods to register; probe: objects to subscribe to in any case; timeout:
    seconds without an answer after which the peer has timed out; max_message: bytes.
    """

    def __init__(
        self, methods: PeerMethods, probe: Objects, timeout: float, max_message: int
    ) -> None:
        self.phase = Phase.CLOSED
        self._methods = methods
        self._max_message = max_message
        self._subscription = PeerSubscription(dict(probe, webhooks=["state", "state_message"]))
        self._liveness = Liveness(timeout)
        self._unanswered = Unanswered()
        self._reader = FrameReader(max_message)
        self._frames: Deque[Frame] = deque()
        self._decoding: Optional[Decoding] = None  # of a large message
        self._is_large = False  # whether the latest message is one
        self._message: Union[Dict[str, Any], Oversized, None] = None  # decoded, and not handled
        self._events: Deque[Event] = deque()
        self._output: List[bytes] = []
        # The contents of Ready, as far as they have arrived
        self._commands: Optional[Dict[str, Any]] = None
        self._restored: Optional[Dict[str, Dict[str, Any]]] = None

    # -- what the owner calls

    def opened(self, now: float) -> None:
        """A socket is open."""
        self._change_phase(Trigger.OPENED)
        self._reset()
        self._liveness.opened(now)
        self._ask(OwnRequest.INFO, "info", {"client_info": CLIENT_INFO})

    def closed(self) -> List[Any]:
        """The connection is lost. Returns the tokens of all unanswered requests, in order."""
        self._change_phase(Trigger.LOST)
        tokens = self._unanswered.clear()
        self._reset()
        return tokens

    def _reset(self) -> None:
        self._liveness.closed()
        self._methods.closed()
        self._subscription.closed()
        self._unanswered.clear()
        self._reader = FrameReader(self._max_message)
        self._frames.clear()
        self._decoding = self._message = None
        self._events.clear()
        self._output.clear()

    def request(self, method: str, params: Dict[str, Any], token: Any) -> None:
        """Send a request; the event Answer(token, ...) follows."""
        number = self._unanswered.add_request(token)
        self._output.append(encode({"id": number, "method": method, "params": params}))

    def run_script(self, script: str, token: Any, began: Any = None) -> None:
        """Request gcode/script; Answer(began, ...) follows when the peer begins to run it.

        Klippy runs the G-code of all its clients one script at a time, in the order received
        (klippy/reactor.py, ReactorMutex). An empty script right before ours is answered when its
        turn comes: what the console shows between the two answers is from our script.
        """
        if began is not None:
            self._output.append(encode_script(self._unanswered.add_script(began), ""))
        self._output.append(encode_script(self._unanswered.add_script(token), script))

    def subscribe(self, objects: Objects) -> None:
        """Subscribe to these objects instead of those before.

        A Status snapshot follows, once connected.
        """
        self._subscription.replace(objects)
        self._send_subscription()

    def subscribe_again(self) -> None:
        """Request a new Status snapshot of the subscribed objects."""
        self._subscription.renew()
        self._send_subscription()

    @property
    def pending(self) -> int:
        """The number of request()s that are not answered, without scripts."""
        return self._unanswered.requests

    @property
    def latency(self) -> Optional[float]:
        """Seconds that the answer to the last ping took; None before the first."""
        return self._liveness.latency

    def tick(self, now: float) -> float:
        """Ping the peer if that is due; returns the time of the next call, in reactor seconds.

        Raises TimedOut when the peer has not answered in time.
        """
        check = self._liveness.check(now)
        if check.is_ping_due:
            self._ping(now)
        return check.next_time

    def take_output(self) -> bytes:
        """The bytes to send now."""
        if not self._output:
            return b""
        output = b"".join(self._output)
        self._output.clear()
        return output

    # -- what the peer sends

    def receive(self, data: bytes, now: float) -> None:
        """Bytes arrived; decode() makes events of them.

        Raises BadMessage if a message does not end: only closed() may follow.
        """
        self._liveness.received_at = now
        self._frames.extend(self._reader.feed(data))

    @property
    def has_more(self) -> bool:
        """Whether decode() or next_event() has something left to do."""
        return bool(self._frames or self._decoding) or self.has_decoded

    @property
    def has_decoded(self) -> bool:
        """Whether next_event() need not wait for decode()."""
        return bool(self._events) or self._message is not None

    @property
    def skipping(self) -> bool:
        """Whether the rest of the current message is skipped, because it is too long."""
        return self._reader.skipping

    def decode(self) -> bool:
        """Decode the next message, or a piece of it if it is a large one.

        Returns whether it is a large one. Raises BadMessage if the peer violates the protocol: only
        closed() may follow.
        """
        if self._decoding is None:
            frame = self._frames.popleft()
            if isinstance(frame, Oversized):
                self._is_large, self._message = False, frame
                return False
            self._is_large = len(frame) >= LARGE_MESSAGE
            if not self._is_large:
                self._message = decode(frame)
                return False
            self._decoding = Decoding(frame)
        self._message = self._decoding.step()
        if self._message is not None:
            self._decoding = None
        return True

    def next_event(self) -> Optional[Event]:
        """The next event of what is decoded; None if it has none, or not yet. Raises BadMessage."""
        # Not handled any earlier: a request is unanswered until its answer is passed on
        message, self._message = self._message, None
        if message is not None:
            self._events += self._handle(message)
            if self._events and self._took_long(self._events[0]):
                return None
        return self._events.popleft() if self._events else None

    def _took_long(self, event: Event) -> bool:
        """Whether making this event took long, so that its owner looks at the clock before it.

        Never for an answer, which must not wait. With Identified, several requests were made.
        """
        return type(event) is Identified or (self._is_large and type(event) is not Answer)

    def _handle(self, message: Union[Dict[str, Any], Oversized]) -> List[Event]:
        if isinstance(message, Oversized):
            return self._handle_oversized(message)
        method = message.get("method")
        if method is None:
            return self._handle_answer(message)
        params = message.get("params")
        if type(method) is not str or type(params) is not dict:
            raise BadMessage("sent a malformed call")
        if method == UPDATE_METHOD:
            return self._handle_status(params, snapshot=False)
        if method == OUTPUT_METHOD:
            return [*read_output(params)]
        if method in self._methods.accepted:
            return [Called(method, params)]
        raise BadMessage("called an unknown method")

    def _handle_answer(self, message: Dict[str, Any]) -> List[Event]:
        number = message.get("id")
        if type(number) is not int:
            raise BadMessage("sent neither an answer nor a call")
        token = self._unanswered.take(number)
        if token is None:
            return []  # a second answer, or one without a request: harmless
        if type(token) is OwnRequest:
            if "error" in message:
                error = read_error(message["error"])
                raise BadMessage("refused '%s': %s" % (token.value, error))
            return self._handle_own(token, message.get("result"))
        if "error" in message:
            return [Answer(token, None, PeerError(read_error(message["error"])))]
        return [Answer(token, message.get("result"), None)]

    def _handle_own(self, own: OwnRequest, result: Any) -> List[Event]:
        if type(result) is not dict:
            raise BadMessage("sent a malformed answer to '%s'" % (own.value,))
        if own is OwnRequest.SUBSCRIBE:
            return self._handle_subscribed(result)
        if own is OwnRequest.ENDPOINTS:
            self._handle_endpoints(result)
            return []
        if own is OwnRequest.HELP:
            self._commands = result
            return self._check_prepared()
        if own is OwnRequest.INFO:
            return self._handle_info(result)
        if own is OwnRequest.PING:
            self._liveness.answered(is_timed=True)
            return [self._state_reported(read_state(result))]
        return []

    def _handle_info(self, result: Dict[str, Any]) -> List[Event]:
        self._liveness.answered()
        self._change_phase(Trigger.IDENTIFIED)
        # Now and not when a script needs it, to miss no line. Klippy has no way to unsubscribe.
        template = {"method": OUTPUT_METHOD}
        self._ask(OwnRequest.OUTPUT, "gcode/subscribe_output", {"response_template": template})
        self._subscription.renew()
        events: List[Event] = [Identified(result), self._state_reported(read_state(result))]
        self._send_subscription()
        return events

    def _handle_subscribed(self, result: Dict[str, Any]) -> List[Event]:
        is_current = self._subscription.answered()
        events = self._handle_status(result, snapshot=True)
        if not is_current:
            # Out of date: the answer to a newer request will follow, with all values
            events.pop()
            self._send_subscription()
        elif self.phase is Phase.PREPARING:
            self._restored = result["status"]
            events += self._check_prepared()
        return events

    def _handle_status(self, params: Dict[str, Any], snapshot: bool) -> List[Event]:
        status = read_status(params, snapshot)
        webhooks = status.status.get("webhooks")
        if webhooks:
            return [self._state_reported(read_state_change(webhooks)), status]
        return [status]

    # -- messages that were too long

    def _handle_oversized(self, message: Oversized) -> List[Event]:
        number, method = message.answer_to, message.method
        if method == UPDATE_METHOD:
            return [Skipped(SkippedKind.UPDATE)]
        if method == OUTPUT_METHOD:
            return [Skipped(SkippedKind.OUTPUT)]
        if method in self._methods.accepted:
            return [Skipped(SkippedKind.CALL, method)]
        if number is None:
            raise BadMessage("sent a message of more than %d bytes" % (self._max_message,))
        token = self._unanswered.take(number)
        if token is None:
            return []
        if type(token) is OwnRequest:
            return self._handle_oversized_own(token)
        error = TooLong("its answer is longer than max_message (%d bytes)" % (self._max_message,))
        return [Answer(token, None, error)]

    def _handle_oversized_own(self, own: OwnRequest) -> List[Event]:
        if own is OwnRequest.SUBSCRIBE and self._subscription.has_objects:
            if self._subscription.answered():
                return [Skipped(SkippedKind.SNAPSHOT)]
            self._send_subscription()
            return []
        if own is OwnRequest.ENDPOINTS:
            self._handle_endpoints({"endpoints": []})  # a router has no such list
            return []
        if own is OwnRequest.HELP:
            self._commands = {}
            return [Skipped(SkippedKind.COMMANDS), *self._check_prepared()]
        if own is OwnRequest.PING:
            self._liveness.answered()
            return []
        raise BadMessage("answered '%s' with more than %d bytes" % (own.value, self._max_message))

    # -- phases

    def _change_phase(self, trigger: Trigger) -> None:
        before, self.phase = self.phase, next_phase(self.phase, trigger)
        if self.phase is Phase.PREPARING and before is not Phase.PREPARING:
            self._prepare()

    def _state_reported(self, report: StateReported) -> StateReported:
        if report.state == "ready":
            self._change_phase(Trigger.KLIPPY_READY)
        elif report.state is not None:
            self._change_phase(Trigger.KLIPPY_NOT_READY)
        return report

    def _prepare(self) -> None:
        self._commands, self._restored = None, None
        self._ask(OwnRequest.ENDPOINTS, "list_endpoints", {})
        # Objects that were subscribed to before Klippy had loaded its config did not exist yet
        self._subscription.renew()
        self._send_subscription()

    def _handle_endpoints(self, result: Dict[str, Any]) -> None:
        endpoints = result.get("endpoints")
        if type(endpoints) is not list:
            raise BadMessage("sent a malformed answer to 'list_endpoints'")
        self._methods.found(endpoints)
        for method in sorted(self._methods.registered):
            params = {"remote_method": method, "response_template": {"method": method}}
            # Without an id there is no answer; the answer to gcode/help comes after all of them
            self._output.append(encode({"method": "register_remote_method", "params": params}))
        self._ask(OwnRequest.HELP, "gcode/help", {})

    def _check_prepared(self) -> List[Event]:
        if self.phase is not Phase.PREPARING or self._commands is None or self._restored is None:
            return []
        self._change_phase(Trigger.PREPARED)
        self._ping(self._liveness.received_at)
        return [Ready(self._commands, self._restored)]

    # -- requests of its own

    def _send_subscription(self) -> None:
        if self.phase in (Phase.CLOSED, Phase.IDENTIFYING):
            return
        objects = self._subscription.take_request()
        if objects is not None:
            # A snapshot that was not taken yet lacks what is new in these objects
            self._events = deque(e for e in self._events if not _is_snapshot(e))
            params = {"objects": objects, "response_template": {"method": UPDATE_METHOD}}
            self._ask(OwnRequest.SUBSCRIBE, "objects/subscribe", params)

    def _ping(self, now: float) -> None:
        self._liveness.asked(now)
        self._ask(OwnRequest.PING, "info", {})

    def _ask(self, own: OwnRequest, method: str, params: Dict[str, Any]) -> None:
        number = self._unanswered.add_own(own)
        self._output.append(encode({"id": number, "method": method, "params": params}))


def _is_snapshot(event: Event) -> bool:
    return isinstance(event, Status) and event.snapshot
