# A peer: the interface of a printer over a link and a session
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, List, Optional, Sequence

from ..errors import (
    BadMessage,
    Busy,
    LinkLost,
    PeerError,
    RouterError,
    TimedOut,
    TooLong,
)
from ..klippy.guard import guarded
from ..klippy.klippy import Klippy
from ..klippy.old_parser import PARSER_PROBE, parser_is_old
from ..klippy.peer_log import PeerLog
from ..klippy.timers import Timer
from ..sanitize import counted, plain_text, printable
from ..version import INCLUDE_PROBE, include_version
from .hints import Hints
from .link import Link, SocketFile
from .printer import Done, Failure, Job, Objects, Order, Printer, ignore_answer
from .running_script import RefusedScript, RunningScript
from .session import Session
from .session_events import (
    Answer,
    Called,
    Identified,
    Output,
    Ready,
    Skipped,
    StateReported,
    Status,
)
from .skipped import SkippedMessages

# Requests, other than scripts, that a peer has not answered. Each may cost it a waiting greenlet,
# and about 97 of them end a Kalico or a 2023 Klippy (RecursionError).
MAX_REQUESTS = 32
# Seconds within which a peer that said on its console that it shuts down also has that state
SHUTDOWN_DELAY = 1.0
# Messages of one peer are handled for this long in one callback (seconds), then others have their
# turn for so many times as long as it took: a peer that floods us gets a fifth of our time
MAX_CALLBACK_TIME = 0.00025
CATCH_UP_PAUSE = 4.0
# Characters of state_message that are kept
MAX_STATE_MESSAGE = 2000

Receiver = Callable[[Printer, str, Dict[str, Any]], None]


class RemotePrinter(Printer):
    """A peer. on_call(printer, method, params): it called one of our remote methods."""

    def __init__(
        self,
        klippy: Klippy,
        name: str,
        sock: str,
        timeout: float,
        max_message: int,
        disconnect_grace: float,
        methods: Sequence[str],
        on_call: Receiver,
    ) -> None:
        log = PeerLog(name, klippy.timers.now)
        super().__init__(name, disconnect_grace, log.write, Hints(klippy.respond_info))
        self.sock = sock  # the path of its API socket
        self.methods = len(methods)  # that are registered there when it is ready
        self.software_version = ""
        self.reconnects = 0  # connections after the first
        self.calls = 0  # remote method calls received
        self._klippy = klippy
        self._on_call = on_call
        probe = dict(PARSER_PROBE, **INCLUDE_PROBE)
        self._session = Session(methods, probe, timeout, max_message)
        self._skipped = SkippedMessages(klippy, self, max_message, self._subscribe_again)
        self._link = Link(klippy, sock, self)
        self._info: Dict[str, Any] = {}  # what the peer said about itself
        self._socket_file: Optional[SocketFile] = None
        self._klippy_session: Any = None
        self._was_connected = False
        self._running: Optional[RunningScript] = None
        self._watchdog: Optional[Timer] = None
        self._catch_up: Optional[Timer] = None  # the rest of what was read is due then
        self._handlers: Dict[type, Callable[[Any], None]] = {
            Answer: self._answered,
            Status: self._told_status,
            Output: self._printed,
            Called: self._called,
            Identified: self._identified,
            StateReported: self._state_said,
            Ready: self._became_ready,
            Skipped: self._skipped.handle,
        }
        self._corked = False  # what is to be sent is collected until the end of a callback

    # -- the interface of a printer

    def start(self) -> None:
        """Connect, now and whenever the connection is lost."""
        self._link.start()

    def stop(self) -> None:
        """Disconnect for good."""
        self._link.stop()
        self._stop_watchdog()

    @property
    def latency(self) -> Optional[float]:
        """Seconds that the latest answer to a ping took; None while disconnected."""
        return self._session.latency

    @property
    def listening_pid(self) -> Optional[int]:
        """The process that listens on its socket: Klippy, or a tunnel. None without connection."""
        is_open = self._link.is_open and self._socket_file is not None
        return self._socket_file.pid if is_open and self._socket_file else None

    @property
    def klippy_pid(self) -> Optional[int]:
        """The process that Klippy says it is."""
        pid = self._info.get("process_id") if self.connected else None
        return pid if type(pid) is int else None

    @property
    def unanswered(self) -> int:
        """The number of requests and scripts that it has not answered yet."""
        return self._session.pending

    def describe(self) -> List[str]:
        words = super().describe()
        if not self.connected and self._link.last_failure:
            words.append(self._link.last_failure)
        if self.latency is not None:
            words.append("round trip %.1f ms" % (self.latency * 1000.0,))
        if self.reconnects:
            words.append(counted(self.reconnects, "reconnect"))
        return words

    def call_endpoint(self, endpoint: str, params: Dict[str, Any], done: Done) -> None:
        self._request(endpoint, params, done)

    def list_objects(self, done: Done) -> None:
        self._request("objects/list", {}, self._checked(done, _is_object_list))

    def query_objects(self, objects: Objects, done: Done) -> None:
        self._request("objects/query", {"objects": objects}, self._checked(done, _is_status))

    def emergency_stop(self) -> None:
        """Stop the peer at once; whoever calls this does not wait for an answer."""
        if self.connected:
            self._ask("emergency_stop", {}, ignore_answer)

    def send_last(self, script: str) -> None:
        """Run a script there of which nothing is to be known any more, before stop()."""
        if script:
            self._ask("gcode/script", {"script": script}, ignore_answer)

    def submit(self, job: Job) -> None:
        # Not while it starts: it may be ready when the script arrives, and then run all of it
        if job.in_any_state and self.state in ("shutdown", "error"):
            self._send_unready(job)
        else:
            super().submit(job)

    def _send_unready(self, job: Job) -> None:
        refused = RefusedScript(self.not_ready(), self.state_message, job)
        self._request("gcode/script", {"script": job.text()}, refused.answered)
        if job.follower is not None:
            job.follower.sent()

    def watch(self, objects: Objects) -> None:
        self._session.want(objects)
        self._flush()

    def _pump(self) -> None:
        while self._queue and self._running is None:
            job = self._queue.popleft()
            try:
                script = "" if job.follower is not None and job.follower.given_up else job.text()
            except RouterError as e:
                job.done(None, e)
                continue
            if not script:
                job.done({}, None)
                continue
            running = self._running = RunningScript(self, job)
            began = running.began if job.order is Order.IN_TURN else None
            self._session.run_script(script, running.answered, began)
            running.sent()
            self._flush()

    def end_script(self, script: RunningScript, error: Failure) -> None:
        """The script is over, and the next has its turn. Harmless when it was over already."""
        if script is not self._running:
            return
        self._running = None
        try:
            script.output.end(error)
            script.job.done(None if error else {}, error)
        finally:
            self._pump()

    def expect_shutdown(self, script: RunningScript) -> None:
        """The peer has said that it shuts down; its state follows soon, and is the error then."""
        if self.ready:
            self._klippy.timers.after(SHUTDOWN_DELAY, lambda: self.end_script(script, None))
        else:
            self.end_script(script, self.not_ready())

    def _request(self, method: str, params: Dict[str, Any], done: Done) -> None:
        """Ask an endpoint of the peer. Raises NotReady when it is not connected, and Busy."""
        self.check_connected()
        if self._session.pending >= MAX_REQUESTS:
            raise Busy("%s is busy: %d requests are not answered" % (self.name, MAX_REQUESTS))
        self._ask(method, params, done)

    def _ask(self, method: str, params: Dict[str, Any], done: Done) -> None:
        self._session.request(method, params, done)
        self._flush()

    def _checked(self, done: Done, is_good: Callable[[Any], bool]) -> Done:
        def check(result: Any, error: Optional[RouterError]) -> None:
            if error is None and not is_good(result):
                error = PeerError("%s: sent an answer that is not one" % (self.name,))
            done(result if error is None else None, error)

        return check

    def _flush(self) -> None:
        if not self._corked:
            output = self._session.take_output()
            if output:
                self._link.send(output)

    # -- what the link tells

    def link_opened(self, socket_file: SocketFile, eventtime: float) -> None:
        self._socket_file = socket_file
        self.loss_reason = "disconnected"
        self._session.opened(eventtime)
        self._flush()
        self._watch_over(eventtime)

    def link_received(self, data: bytes, eventtime: float) -> None:
        begin = self._klippy.timers.now()
        try:
            self._session.receive(data, eventtime)
        except BadMessage as e:
            self._link.fail(str(e))
            return
        self._handle_events()
        if self._session.skipping and self._catch_up is None:
            # What is thrown away is read with the same pauses as what is handled
            self._pause_reading(begin)

    def link_closed(self, reason: str) -> None:
        self._stop_watchdog()
        self._stop_catching_up()
        self._skipped.close()
        unanswered = self._session.closed()
        if self.connected:
            self.log("disconnected: %s" % (reason,))
            self.last_error = plain_text(printable(reason))
        self._set_state("disconnected", "", False)
        for done in unanswered:
            guarded(done, None, LinkLost("%s: connection lost, outcome unknown" % (self.name,)))

    # -- the messages of the peer

    def _handle_events(self) -> None:
        """Handle what has arrived, for a bounded time; the rest in the next turn."""
        was_reading = self._catch_up is None
        if not was_reading:
            self._stop_catching_up()
        self._corked = True
        begin = self._klippy.timers.now()
        try:
            while True:
                event = self._session.next_event()
                if event is None:
                    break
                self._handlers[type(event)](event)
                if self._session.has_more:
                    now = self._klippy.timers.now()
                    if now - begin >= MAX_CALLBACK_TIME:
                        self._catch_up_after(CATCH_UP_PAUSE * (now - begin))
                        break
        except BadMessage as e:
            self._link.fail(str(e))
        finally:
            self._corked = False
            self._flush()
            is_reading = self._catch_up is None
            if is_reading != was_reading:
                self._link.set_reading(is_reading)

    def _pause_reading(self, begin: float) -> None:
        self._catch_up_after(CATCH_UP_PAUSE * (self._klippy.timers.now() - begin))
        self._link.set_reading(False)

    def _catch_up_after(self, delay: float) -> None:
        self._catch_up = self._klippy.timers.after(delay, self._handle_events)

    def _stop_catching_up(self) -> None:
        if self._catch_up is not None:
            self._catch_up.cancel()
            self._catch_up = None

    def _subscribe_again(self) -> None:
        self._session.subscribe_again()
        self._flush()

    def _answered(self, event: Answer) -> None:
        error = event.error
        if isinstance(error, TooLong):
            error = self._skipped.answer_error(error)
        elif error is not None:
            error = PeerError("%s: %s" % (self.name, printable(error)))
        if error is not None:
            self.last_error = plain_text(str(error))
        # What goes wrong with an answer is no fault of the peer that gave it
        guarded(event.token, event.result, error)

    def _told_status(self, event: Status) -> None:
        for listener in self.listeners:
            listener.status_changed(self, event.eventtime, event.status, event.snapshot)

    def _printed(self, event: Output) -> None:
        if self._running is not None:
            self._running.printed(event.text)

    def _called(self, event: Called) -> None:
        self.calls += 1
        self._on_call(self, event.method, event.params)

    def _became_ready(self, event: Ready) -> None:
        self.commands = event.commands
        self.old_parser = parser_is_old(self._info, self.commands, event.status)
        version = include_version(event.status)
        self.include_version = None if version is None else plain_text(printable(version))
        self._set_state(self.state, self.state_message, True)

    def _identified(self, event: Identified) -> None:
        info = event.info
        self._info = info
        self.software_version = plain_text(printable(info.get("software_version", "")))
        if self._was_connected:
            self.reconnects += 1
        self._was_connected = True
        self.log("connected: %s, Klipper %s" % (info.get("state"), self.software_version))
        session: Any = self._socket_file
        if self._socket_file is None or self._socket_file.pid != info.get("process_id"):
            session = object()  # somebody else's socket, a tunnel's: cannot be recognised again
        if session != self._klippy_session:
            self._klippy_session = session
            self.hints.new_session()
            for listener in self.listeners:
                listener.new_session(self)

    def _state_said(self, event: StateReported) -> None:
        state, message = self.state, self.state_message
        if event.state is not None:
            state = plain_text(printable(event.state))
        if event.message is not None:
            message = plain_text(event.message[:MAX_STATE_MESSAGE])
        if state != self.state and self.connected:
            self.log("is %s" % (state,))
        self._set_state(state, message, self.ready and state == self.state)
        if self._running is not None and state != "ready":
            guarded(self.end_script, self._running, self.not_ready())

    # -- is it alive

    def _watch_over(self, eventtime: float) -> None:
        try:
            next_time = self._session.tick(eventtime)
        except TimedOut:
            # Perhaps it was us who did not listen: what has arrived by now counts
            self._link.read(eventtime)
            try:
                next_time = self._session.tick(eventtime)
            except TimedOut as e:
                self.loss_reason = "timeout"
                self._link.fail(str(e))
                return
        self._flush()
        timers = self._klippy.timers
        delay = max(0.0, next_time - timers.now())
        self._watchdog = timers.after(delay, lambda: self._watch_over(timers.now()))

    def _stop_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None


def _is_object_list(result: Any) -> bool:
    return type(result) is dict and type(result.get("objects")) is list


def _is_status(result: Any) -> bool:
    if type(result) is not dict or type(result.get("status")) is not dict:
        return False
    return all(type(values) is dict for values in result["status"].values())
