# The script that a peer is running for the router
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Protocol

from ..errors import NotReady, PeerError
from ..sanitize import printable
from .printer import Failure, Follower, Job
from .script_output import ScriptOutput

# Characters of state_message by which Klippy's refusal of a command is recognized
MAX_REFUSAL = 100

NOBODY = Follower()  # of a script that nobody waits for


class ScriptOwner(Protocol):
    """The peer that runs the script."""

    name: str

    def end_script(self, script: "RunningScript", error: Failure) -> None: ...
    def expect_shutdown(self, script: "RunningScript") -> None: ...


class RunningScript:
    """The script that a peer is running for us.

    One at a time, because each one that waits there costs the peer a greenlet.
    """

    def __init__(self, printer: ScriptOwner, job: Job) -> None:
        self.job = job
        self.follower = job.follower or NOBODY
        self.output = ScriptOutput(self.follower)
        self._printer = printer
        self._has_begun = False

    def began(self, _result: Any, error: Failure) -> None:
        """The peer has begun to run it, after its other G-code."""
        if error is None:
            self._has_begun = True
            self.follower.began()

    def printed(self, text: str) -> None:
        """The peer has printed something, from this script or from G-code before it."""
        if self._has_begun:
            self.output.add(text)

    def answered(self, _result: Any, error: Failure) -> None:
        """The peer has finished it."""
        if error is None and self.output.has_shut_down:
            # Klippy may report a script that shuts it down as a success
            self._printer.expect_shutdown(self)
            return
        if error is None and self.output.unknown:
            error = PeerError("%s: %s" % (self._printer.name, self.output.unknown))
        self._printer.end_script(self, error)


class RefusedScript:
    """A script for a peer that is shut down or in error, which refuses all but a few commands.

    why: the error for a refusal. Klippy refuses a command with its state_message.
    """

    def __init__(self, why: NotReady, state_message: str, job: Job) -> None:
        self._why, self._done = why, job.done
        self._follower = job.follower or NOBODY
        self._refusal = printable(state_message.strip().split("\n")[0])[:MAX_REFUSAL]

    def sent(self) -> None:
        """It was sent."""
        self._follower.sent()

    def answered(self, _result: Any, error: Failure) -> None:
        """The peer has run or refused it."""
        self._follower.ended()
        if isinstance(error, PeerError) and self._refusal in str(error):
            error = self._why
        self._done(None if error else {}, error)
