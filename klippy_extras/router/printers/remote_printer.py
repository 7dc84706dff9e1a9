# A peer: the interface of a printer, implemented over a connection to its API socket
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, List, Optional

from ..errors import Busy, PeerError, RouterError, TooLong
from ..klippy.guard import guarded
from ..klippy.klippy import Klippy
from ..klippy.old_parser import PARSER_PROBE, parser_is_old
from ..klippy.peer_log import PeerLog
from ..sanitize import counted, plain_text, printable
from ..settings import PeerSettings
from ..version import INCLUDE_PROBE, include_version
from .checked_answer import CheckedAnswer, is_object_list, is_status
from .connection import Connection, Loss
from .hints import Hints
from .peer_clock import PeerClock
from .peer_methods import PeerMethods
from .printer import Done, Failure, Job, Objects, Order, Printer, ignore_answer
from .running_script import NOBODY, RefusedScript, RunningScript
from .session import Session
from .session_events import (
    Answer,
    Called,
    Event,
    Identified,
    Output,
    Ready,
    Skipped,
    StateReported,
    Status,
)
from .skipped import SkippedMessages
from .timed_script import SYNC_MACRO, LateNotices, TimedFollower, at_print_time

# Requests, other than scripts, that a peer has not answered. Each may cost it a waiting greenlet,
# and about 97 of those crash Kalico and 2023-era Klipper (RecursionError).
MAX_REQUESTS = 32
# Seconds within which a peer that reports a shutdown on its console also has that state
SHUTDOWN_DELAY = 1.0
# Characters of state_message that are kept
MAX_STATE_MESSAGE = 2000

Receiver = Callable[[Printer, str, Dict[str, Any]], None]


class RemotePrinter(Printer):
    """A peer.

    methods: the remote methods for it; on_call(printer, method, params): called when the
    peer calls one of them.
    """

    def __init__(
        self, klippy: Klippy, settings: PeerSettings, methods: PeerMethods, on_call: Receiver
    ) -> None:
        log = PeerLog(settings.name, klippy)
        hints = Hints(klippy.respond_info)
        super().__init__(settings.name, settings.disconnect_grace, log.write, hints)
        self.allow = settings.allow
        self.sock = settings.sock  # the path of its API socket
        self.methods = methods
        self._accepts_calls = settings.accept_calls
        self.software_version = ""
        self.reconnects = 0  # connections after the first
        self.calls = 0  # remote method calls received
        self._timers = klippy.timers
        self._clock = PeerClock(self, klippy.timers.now)
        self._late_notices = LateNotices(settings.name, klippy.report, klippy.timers.now)
        self._on_call = on_call
        probe = dict(PARSER_PROBE, **INCLUDE_PROBE)
        session = Session(methods, probe, settings.timeout, settings.max_message)
        self._connection = Connection(klippy, settings.sock, session, self)
        self._skipped = SkippedMessages(
            klippy.timers, self, settings.max_message, self._connection.subscribe_again
        )
        self._info: Dict[str, Any] = {}  # its answer to 'info'
        self._klippy_run: Any = None  # the same until its Klippy restarts
        self._was_connected = False
        self._running: Optional[RunningScript] = None
        self._handlers: Dict[type, Callable[[Any], None]] = {
            Answer: self._answered,
            Status: self._status_received,
            Output: self._printed,
            Called: self._called,
            Identified: self._identified,
            StateReported: self._state_reported,
            Ready: self._became_ready,
            Skipped: self._skipped.handle,
        }

    # -- the interface of a printer

    def start(self) -> None:
        """Connect, now and whenever the connection is lost."""
        self._connection.start()

    def stop(self) -> None:
        """Disconnect for good."""
        self._connection.stop()

    @property
    def latency(self) -> Optional[float]:
        """Seconds that the answer to the last ping took; None while disconnected."""
        return self._connection.latency

    @property
    def listening_pid(self) -> Optional[int]:
        """The process that listens on its socket: Klippy, or a tunnel. None while disconnected."""
        socket_file = self._connection.socket_file
        return None if socket_file is None else socket_file.pid

    @property
    def klippy_pid(self) -> Optional[int]:
        """The process ID that its Klippy reports; None while disconnected."""
        pid = self._info.get("process_id") if self.connected else None
        return pid if type(pid) is int else None

    @property
    def _is_behind_tunnel(self) -> bool:
        """Whether another process than its Klippy listens on its socket."""
        return self.listening_pid != self._info.get("process_id")

    @property
    def has_router(self) -> bool:
        return self.methods.has_router

    @property
    def accepts_calls(self) -> bool:
        return self._accepts_calls and not self.has_router

    @property
    def unanswered(self) -> int:
        """The number of requests and scripts that it has not answered yet."""
        return self._connection.pending

    def describe(self) -> List[str]:
        words = super().describe()
        if not self.connected and self._connection.last_failure:
            words.append(self._connection.last_failure)
        if self.latency is not None:
            words.append("round trip %.1f ms" % (self.latency * 1000.0,))
        if self.reconnects:
            words.append(counted(self.reconnects, "reconnect"))
        return words

    def call_endpoint(self, endpoint: str, params: Dict[str, Any], done: Done) -> None:
        self._request(endpoint, params, done)

    def list_objects(self, done: Done) -> None:
        answer = CheckedAnswer(self.name, is_object_list, done)
        self._request("objects/list", {}, answer.answered)

    def query_objects(self, objects: Objects, done: Done) -> None:
        answer = CheckedAnswer(self.name, is_status, done)
        self._request("objects/query", {"objects": objects}, answer.answered)

    def emergency_stop(self) -> None:
        """Stop the peer at once, without waiting for its answer."""
        if self.connected:
            self._connection.request("emergency_stop", {}, ignore_answer)

    def send_last(self, script: str) -> None:
        """Send a script whose outcome does not matter, directly before stop()."""
        if script:
            self._connection.request("gcode/script", {"script": script}, ignore_answer)

    def submit(self, job: Job) -> None:
        # Not in startup: it may be ready when the script arrives, and would run all of it
        if job.in_any_state and self.state in ("shutdown", "error"):
            self._send_unready(job)
        else:
            super().submit(job)

    def _send_unready(self, job: Job) -> None:
        refused = RefusedScript(self.not_ready(), self.state_message, job)
        self._request("gcode/script", {"script": job.text()}, refused.answered)
        refused.sent()

    def subscribe_objects(self, objects: Objects) -> None:
        self._connection.subscribe(objects)

    # -- scripts

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
            print_time = self._print_time_of(job)
            if print_time is not None:
                script = at_print_time(script, print_time)
                follower = TimedFollower(job.follower or NOBODY, self._late_notices)
                job = job._replace(follower=follower)
            running = self._running = RunningScript(self, job)
            began = running.began if job.order is Order.IN_TURN else None
            self._connection.run_script(script, running.answered, began)
            running.follower.sent()

    def expect_timed_jobs(self, is_requested: bool) -> None:
        if SYNC_MACRO in self.commands:
            self._clock.read(self._clock_is_foreign if is_requested else None)
        elif self.ready and is_requested:
            self._explain_late(
                "it has no macro %s, so include router_api.cfg there" % (SYNC_MACRO,)
            )

    def _clock_is_foreign(self) -> None:
        # Without a tunnel it is on this machine: its eventtime is a moment older than the request
        if self._is_behind_tunnel:
            self._explain_late("it runs on another machine, whose clock is not known here")

    def _explain_late(self, reason: str) -> None:
        self.hints.say(
            "%s acts about 0.25 s after the moves of this printer, not in step (SYNC=1): %s"
            % (self.name, reason)
        )

    @property
    def can_act_at_a_time(self) -> bool:
        is_known = self._clock.print_time(self._timers.now()) is not None
        return is_known and SYNC_MACRO in self.commands

    def _print_time_of(self, job: Job) -> Optional[float]:
        """The print time of this peer at which the job is to act; None: at once."""
        if job.act_at is None or SYNC_MACRO not in self.commands:
            return None
        return self._clock.print_time(job.act_at)

    def end_script(self, script: RunningScript, error: Failure) -> None:
        """The script has ended: start the next one. Harmless if it had ended already."""
        if script is not self._running:
            return
        self._running = None
        try:
            script.output.end(error)
            script.job.done(None if error else {}, error)
        finally:
            self._pump()

    def expect_shutdown(self, script: RunningScript) -> None:
        """The peer has printed that it shuts down; its state follows soon, and is the error."""
        if self.ready:
            self._timers.after(SHUTDOWN_DELAY, lambda: self.end_script(script, None))
        else:
            self.end_script(script, self.interrupted())

    def _request(self, method: str, params: Dict[str, Any], done: Done) -> None:
        """Call an endpoint of the peer. Raises NotReady if it is not connected, and Busy."""
        self.check_connected()
        if self._connection.pending >= MAX_REQUESTS:
            raise Busy("%s is busy: %d requests are not answered" % (self.name, MAX_REQUESTS))
        self._connection.request(method, params, done)

    # -- what the peer does

    def handle_event(self, event: Event) -> None:
        self._handlers[type(event)](event)

    def connection_lost(self, loss: Loss) -> None:
        self._skipped.close()
        self._clock.forget()
        self.loss_reason = "timeout" if loss.has_timed_out else "disconnected"
        if self.connected:
            self.log("disconnected: %s" % (loss.reason,))
            self.last_error = plain_text(printable(loss.reason))
        self._set_state("disconnected", "", False)
        for done in loss.unanswered:
            guarded(done, None, self.interrupted())

    def _answered(self, event: Answer) -> None:
        error = event.error
        if isinstance(error, TooLong):
            error = self._skipped.answer_error(error)
        elif error is not None:
            error = PeerError("%s: %s" % (self.name, printable(error)))
        if error is not None:
            self.last_error = plain_text(str(error))
        # An exception while handling an answer is not the peer's fault
        guarded(event.token, event.result, error)

    def _status_received(self, event: Status) -> None:
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
        self.include_version = include_version(event.status)
        self._set_state(self.state, self.state_message, True)

    def _identified(self, event: Identified) -> None:
        info = event.info
        self._info = info
        self.software_version = plain_text(printable(info.get("software_version", "")))
        if self._was_connected:
            self.reconnects += 1
        self._was_connected = True
        self.log("connected: %s, Klipper %s" % (info.get("state"), self.software_version))
        run: Any = self._connection.socket_file
        if self._is_behind_tunnel:
            run = object()  # a tunnel's socket says nothing about Klippy
        if run != self._klippy_run:
            self._klippy_run = run
            self.hints.klippy_restarted()
            for listener in self.listeners:
                listener.klippy_restarted(self)

    def _state_reported(self, event: StateReported) -> None:
        state, message = self.state, self.state_message
        if event.state is not None:
            state = plain_text(printable(event.state))
        if event.message is not None:
            message = plain_text(event.message[:MAX_STATE_MESSAGE])
        if state != self.state and self.connected:
            self.log("is %s" % (state,))
        self._set_state(state, message, self.ready and state == self.state)
        if self._running is not None and state != "ready":
            # It was sent, and may have run: Klippy answers later than it reports its state, or not
            guarded(self.end_script, self._running, self.interrupted())
