# The script that a peer runs for the router
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Protocol

from ..errors import NotReady, PeerError
from ..sanitize import printable
from .printer import Failure, Job
from .script_output import ScriptOutput

# Characters of a state's message by which Klippy's refusal of a command is recognized
MAX_REFUSAL = 100


class ScriptOwner(Protocol):
    """The peer whose script it is."""

    name: str

    def end_script(self, script: "RunningScript", error: Failure) -> None: ...
    def expect_shutdown(self, script: "RunningScript") -> None: ...


class RunningScript:
    """The script that a peer runs for us. One at a time: each that waits there costs a greenlet."""

    def __init__(self, printer: ScriptOwner, job: Job) -> None:
        self.job, self.output = job, ScriptOutput(job.follower)
        self._printer = printer
        self._has_begun = False

    def sent(self) -> None:
        if self.job.follower is not None:
            self.job.follower.sent()

    def began(self, _result: Any, error: Failure) -> None:
        if error is None:
            self._has_begun = True
            if self.job.follower is not None:
                self.job.follower.began()

    def printed(self, text: str) -> None:
        """The peer has printed something, our script or another one before it."""
        if self._has_begun:
            self.output.add(text)

    def answered(self, _result: Any, error: Failure) -> None:
        if error is None and self.output.has_shut_down:
            # A script that shuts Klippy down may be a success for Klippy
            self._printer.expect_shutdown(self)
            return
        if error is None and self.output.unknown:
            error = PeerError("%s: %s" % (self._printer.name, self.output.unknown))
        self._printer.end_script(self, error)


class RefusedScript:
    """A script for a peer that is shut down or in error: it runs few commands, and refuses others.

    The message of its state is how Klippy refuses a command then: that is `why` it cannot be used.
    """

    def __init__(self, why: NotReady, state_message: str, job: Job) -> None:
        self._why, self._job = why, job
        self._refusal = printable(state_message.strip().split("\n")[0])[:MAX_REFUSAL]

    def answered(self, _result: Any, error: Failure) -> None:
        if self._job.follower is not None:
            self._job.follower.ended()
        if isinstance(error, PeerError) and self._refusal in str(error):
            error = self._why
        self._job.done(None if error else {}, error)
