# Keeps the end of an API client's connection from ending a print on Kalico and older Klippers
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Klippy polls all fds, and then looks up the handler of each result, once for reading and once for
# writing (klippy/reactor.py, PollReactor). A handler that closes its own fd while reading, or
# another one of the same poll, causes a KeyError: "Unhandled exception during run", and a shutdown.
# It takes no more than a client that has read all that Klippy could send it so far, and then
# disconnects before Klippy sends the rest. The router makes that more likely, as it sends much to
# API clients. Klipper since bb88985b8 (September 2025) has a handler that does nothing for closed
# fds; accept_closed_fds() gives the other ones the same.
from typing import Any, Dict


class _ClosedFd:
    """Takes the place of the reactor's ReactorFileHandler."""

    def read_callback(self, eventtime: float) -> None:
        """Do nothing."""

    write_callback = read_callback


_CLOSED_FD = _ClosedFd()


class _Handlers(Dict[int, Any]):
    """The handlers by fd; the reactor makes a copy for each change."""

    def __missing__(self, fd: int) -> _ClosedFd:
        return _CLOSED_FD

    def copy(self) -> "_Handlers":
        return _Handlers(self)


def accept_closed_fds(reactor: Any) -> None:
    """Let this reactor ignore what a poll has returned for an fd that was closed since."""
    handlers = getattr(reactor, "_fds", None)
    if type(handlers) is dict and not hasattr(reactor, "_dummy_fd_hdl"):
        reactor._fds = _Handlers(handlers)
