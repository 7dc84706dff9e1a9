# The interface of a printer (this one or a peer): its state, script queue, endpoints and objects
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from abc import ABC, abstractmethod
from collections import deque
from enum import Enum
from typing import (
    Any,
    Callable,
    Deque,
    Dict,
    FrozenSet,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Union,
)

from ..errors import Busy, LinkLost, NotReady, RouterError
from ..sanitize import counted
from .hints import Hints

# Scripts waiting for one printer; further ones fail with Busy
MAX_QUEUE = 256

# Why a request failed; None if it did not
Failure = Optional[RouterError]
# How a request ends, exactly once: (result, None) or (None, error)
Done = Callable[[Any, Failure], None]
# Klipper's own form: {object: None for all its fields, or a list of fields}
Objects = Dict[str, Optional[List[str]]]
Status = Dict[str, Dict[str, Any]]


# Streaming endpoints: their answers continue, on the connection that asked
_STREAMS = ("objects/subscribe", "gcode/subscribe_output", "register_remote_method")


def is_stream(endpoint: str, params: Mapping[str, Any]) -> bool:
    """Whether this is a streaming endpoint: its answers would continue on a connection of ours.

    Source: klippy/extras/bulk_sensor.py, whose dump_... endpoints need no response_template.
    """
    name = endpoint.rsplit("/", 1)[-1]
    is_dump = name.startswith("dump_") and name != "dump_mesh"
    return endpoint in _STREAMS or is_dump or "response_template" in params


class Follower:
    """Follows one script on one printer, for a macro that waits. The defaults do nothing."""

    @property
    def given_up(self) -> bool:
        """Whether the wait is over: if the script was not sent yet, it must not be sent."""
        return False

    def sent(self) -> None:
        """It has left the queue."""

    def began(self) -> None:
        """The printer has begun to run it, after other G-code of that printer."""

    def printed(self, text: str) -> None:
        """The script has printed this text, of one or more lines."""

    def ended(self) -> None:
        """It has ended, whether it failed or not."""

    def failed(self, error: RouterError) -> None:
        """It failed or was not sent; only for one of several scripts waited for together."""


class Order(Enum):
    """The place of a script in a printer's queue.

    Only IN_TURN scripts are refused beyond MAX_QUEUE. Only there, an unknown command is an error:
    detecting it costs a peer one more request. The outcome of the others does not matter.
    """

    IN_TURN = "behind the waiting scripts"
    FIRST = "in front of the waiting scripts: urgent, and does not affect them"
    STATUS = "a status callback: there is at most one for each subscription"


def ignore_answer(_result: Any, _error: Failure) -> None:
    """A Done for answers that are not needed."""


class Job(NamedTuple):
    """A script for a printer.

    script: its text, or a function that returns the text, with the latest values, when its turn
    comes. Empty text is not run; a RouterError of the function is the error of the job.
    in_any_state: also send it to a printer that is shut down or in error, for the few commands that
    Klipper accepts then. act_at: the time, of this printer's reactor, at which its first command is
    to act; see Printer.lead.
    """

    script: Union[str, Callable[[], str]]
    done: Done = ignore_answer
    follower: Optional[Follower] = None
    order: Order = Order.IN_TURN
    in_any_state: bool = False
    act_at: Optional[float] = None

    def text(self) -> str:
        """The G-code to run now. Raises RouterError."""
        return self.script if isinstance(self.script, str) else self.script()


class PrinterListener:
    """Is notified of what happens to printers. The defaults do nothing."""

    def klippy_restarted(self, printer: "Printer") -> None:
        """Its Klippy was restarted: what it had registered is void."""

    def became_ready(self, printer: "Printer") -> None:
        """It is ready for use."""

    def state_changed(self, printer: "Printer", was_ready: bool) -> None:
        """printer.state has changed."""

    def lost(self, printer: "Printer", reason: str) -> None:
        """It was ready, and has not been for its disconnect_grace.

        reason: a state of Klippy, disconnected or timeout.
        """

    def status_changed(
        self, printer: "Printer", eventtime: float, status: Status, is_snapshot: bool
    ) -> None:
        """Values of the subscribed objects, read at eventtime (seconds of the printer's own clock).

        is_snapshot: all of them, not only those that have changed.
        """

    def too_long(self, printer: "Printer", error: RouterError) -> None:
        """The status of the subscribed objects was longer than max_message."""

    def call_skipped(self, printer: "Printer", method: str, error: RouterError) -> None:
        """Its call of one of our methods was longer than max_message."""


class Printer(ABC):
    """One printer, by name. Subclasses: LocalPrinter (this one), RemotePrinter (a peer)."""

    is_local = False

    def __init__(
        self, name: str, disconnect_grace: float, log: Callable[[str], None], hints: Hints
    ) -> None:
        self.name = name
        self.log = log  # writes one line about this printer, at a limited rate
        self.hints = hints  # about it, on the main printer's console
        # One sentence for each subscribed object or field that it does not have
        self.missing: List[str] = []
        # What it is allowed to do: gcode, event, status, call; None: everything
        self.allow: Optional[FrozenSet[str]] = None
        self.disconnect_grace = disconnect_grace  # seconds
        self.listeners: List[PrinterListener] = []  # notified in this order
        self.state = "disconnected"  # or Klippy's: startup, ready, shutdown, error
        self.state_message = ""
        self.ready = False
        self.old_parser = True
        # Its G-code commands that have a help text, macros included: {name: text}. A peer's text is
        # not checked: it may be anything.
        self.commands: Dict[str, Any] = {}
        self.include_version: Optional[str] = None  # of its router_api.cfg; None without one
        self.last_error = ""
        self.loss_reason = ""  # why it disconnected: disconnected or timeout
        self._queue: Deque[Job] = deque()

    @property
    def klippy_pid(self) -> Optional[int]:
        """The process ID that its Klippy reports; None if it is not known."""
        return None

    @property
    def has_router(self) -> bool:
        """Whether it is a peer that loads [router] itself."""
        return False

    @property
    def accepts_calls(self) -> bool:
        """Whether this router takes the calls of its macros, and so runs its lifecycle macros."""
        return True

    @property
    def connected(self) -> bool:
        """Whether its Klippy answers, ready or not."""
        return self.state != "disconnected"

    @property
    def queue_length(self) -> int:
        """The number of waiting scripts."""
        return len(self._queue)

    def describe(self) -> List[str]:
        """Its state, queue and so on, in a few words each."""
        words = ["ready" if self.ready else str(self.not_ready())[len(self.name + " is ") :]]
        if self._queue:
            words.append(counted(len(self._queue), "script") + " waiting")
        return words

    # -- scripts

    def submit(self, job: Job) -> None:
        """Run a script when its turn comes. job.done({}, None) when it has finished.

        An unknown command in it is an error, although Klipper continues after it and reports
        success. Raises NotReady or Busy; job.done is not called then.
        """
        if not self.ready:
            raise self.not_ready()
        if job.order is Order.FIRST:
            self._queue.appendleft(job)
        elif job.order is Order.IN_TURN and len(self._queue) >= MAX_QUEUE:
            raise Busy("%s is busy: %d scripts are waiting for it" % (self.name, MAX_QUEUE))
        else:
            self._queue.append(job)
        self._pump()

    def expect_timed_jobs(self, is_requested: bool) -> None:  # noqa: B027 - nothing to do
        """A job with act_at will come within seconds.

        is_requested: whether to say so if this printer cannot do that.
        """

    @property
    def can_act_at_a_time(self) -> bool:
        """Whether a job with act_at, submitted some time ahead, acts then; else it acts at once."""
        return False

    def not_ready(self) -> NotReady:
        """Why it cannot be used now, in one sentence."""
        if not self.connected:
            return NotReady("%s is not connected" % (self.name,))
        if self.state == "ready":
            return NotReady("%s is not ready (still connecting)" % (self.name,))
        first_line = self.state_message.strip().split("\n")[0]
        reason = ": ".join(filter(None, [self.state, first_line]))
        return NotReady("%s is not ready (%s)" % (self.name, reason))

    def interrupted(self) -> LinkLost:
        """Why a script that it was running has ended when it became unready."""
        if not self.connected:
            return LinkLost("%s: connection lost, outcome unknown" % (self.name,))
        return LinkLost("%s, outcome unknown" % (self.not_ready(),))

    def check_connected(self) -> None:
        """Raises NotReady if it is not connected."""
        if not self.connected:
            raise self.not_ready()

    def fail_queue(self) -> None:
        """Fail the waiting scripts: nothing is stored for a printer that is not ready."""
        jobs = list(self._queue)
        self._queue.clear()
        why = self.not_ready()
        for job in jobs:
            job.done(None, why)

    def drop_timed_jobs(self, now: float) -> None:
        """The main printer shuts down, at this reactor time: fail jobs that are due later."""
        waiting, self._queue = self._queue, deque()
        for job in waiting:
            if job.act_at is None or job.act_at <= now:
                self._queue.append(job)
            else:
                job.done(None, NotReady("not done, because the main printer shut down first"))

    @abstractmethod
    def _pump(self) -> None:
        """Start the next scripts, if it can run them now."""

    # -- endpoints and objects

    @abstractmethod
    def call_endpoint(self, endpoint: str, params: Dict[str, Any], done: Done) -> None:
        """Call an endpoint of its API; done(answer, None). Raises NotReady or Busy.

        Not for streaming endpoints such as objects/subscribe.
        """

    @abstractmethod
    def list_objects(self, done: Done) -> None:
        """List its objects; done({"objects": [...]}, None), as for Klipper's objects/list."""

    @abstractmethod
    def query_objects(self, objects: Objects, done: Done) -> None:
        """Read these objects; done({"eventtime": ..., "status": ...}, None), as objects/query."""

    @abstractmethod
    def subscribe_objects(self, objects: Objects) -> None:
        """Notify listeners of the status of these objects from now on, with a snapshot first.

        Like Klipper's objects/subscribe, it replaces the previous subscription.
        """

    # -- for subclasses

    def _set_state(self, state: str, message: str, ready: bool) -> None:
        changed = (state, ready) != (self.state, self.ready)
        was_ready = self.ready
        self.state, self.state_message, self.ready = state, message, ready
        if not changed:
            return
        if was_ready and not ready:
            self.fail_queue()
        for listener in self.listeners:
            if ready and not was_ready:
                listener.became_ready(self)
            else:
                listener.state_changed(self, was_ready)
