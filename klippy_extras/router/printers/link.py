# The socket to one peer: connects, reads and writes without blocking
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import errno
import os
import socket
import struct
from typing import Any, List, NamedTuple, Optional, Protocol, Tuple

from ..klippy.guard import guarded
from ..klippy.klippy import Klippy
from ..klippy.timers import Timer

# Seconds between two attempts; for an offline peer, an attempt is just a failing connect()
RECONNECT_INTERVAL = 1.0
# Bytes read in one callback: they decode in well under a millisecond
READ_SIZE = 16384
# Unsent bytes at which the connection to a peer that does not read is closed; Klippy itself reads
# 4 KiB at a time
MAX_SEND_BUFFER = 1048576

INTERNAL_ERROR = "internal error of the router, see the log"


class SocketFile(NamedTuple):
    """The socket that a link is connected to.

    Klippy creates its socket file again at every start and RESTART (klippy/webhooks.py,
    class ServerSocket), so inode and ctime distinguish one run of Klippy from the next.
    """

    device: int
    inode: int
    ctime_ns: int
    pid: int  # of the process that listens there: Klippy, or a tunnel


class LinkOwner(Protocol):
    """The object that a link notifies. Times are reactor seconds."""

    def link_opened(self, socket_file: SocketFile, now: float) -> None: ...
    def data_received(self, data: bytes, now: float) -> None: ...
    def link_lost(self, reason: str) -> None: ...


class Link:
    """Keeps one connection open, from start() to stop()."""

    def __init__(self, klippy: Klippy, path: str, owner: LinkOwner) -> None:
        self._klippy, self._path, self._owner = klippy, path, owner
        self._sock: Optional[socket.socket] = None
        self._connected_at = 0.0
        self._fd_handle: Any = None
        self._unsent: List[bytes] = []
        self._unsent_size = 0
        self._broken: Optional[str] = None
        self._is_due = False  # whether reading is scheduled
        self._reading = True
        self._retry: Optional[Timer] = None
        self.last_failure = ""  # why the latest attempt to connect failed

    @property
    def is_open(self) -> bool:
        """Whether a connection is open, to Klippy or to another process such as a tunnel."""
        return self._sock is not None

    def start(self) -> None:
        """Connect as soon as possible, and again whenever the connection is lost."""
        self._retry = self._klippy.timers.soon(self._connect)

    def stop(self) -> None:
        """Close the connection for good. Not from within an fd callback."""
        self._stop_retrying()
        if self._unsent and self._broken is None:
            self._send_some(b"".join(self._unsent))  # as much as the socket takes
        self._close_socket()

    def fail(self, reason: str) -> None:
        """End this connection: nothing is read or sent any more; link_lost() follows soon."""
        if self._sock is not None and self._broken is None:
            self._broken = reason
            # See _handle_readable()
            self._klippy.timers.soon(self._finish)

    def send(self, data: bytes) -> None:
        """Send as much as the socket takes now, and the rest when it takes more."""
        if self._sock is None or self._broken is not None:
            return
        if not self._unsent:
            data = self._send_some(data)
            if not data:
                return
            self._unsent.append(data)
            self._set_wake()
        else:
            self._unsent.append(data)
        self._unsent_size += len(data)
        if self._unsent_size > MAX_SEND_BUFFER:
            self.fail("is not reading; send buffer full")

    def set_reading(self, reading: bool) -> None:
        """Continue or pause reading. Unread data waits in the socket, and then at the peer."""
        if self._sock is not None and reading != self._reading:
            self._reading = reading
            self._set_wake()

    # -- connecting

    def _connect(self) -> None:
        self._retry = self._klippy.timers.after(RECONNECT_INTERVAL, self._connect)
        try:
            sock, socket_file = self._open()
        except OSError as e:
            self.last_failure = e.strerror or str(e)
            return
        except ValueError as e:  # a path that no file can have
            self.last_failure = str(e)
            return
        self._stop_retrying()
        self._sock, self._broken, self._reading = sock, None, True
        self._connected_at = self._klippy.timers.now()
        self._fd_handle = self._klippy.reactor.register_fd(
            sock.fileno(), self._handle_readable, self._handle_writable
        )
        if not guarded(self._owner.link_opened, socket_file, self._connected_at):
            self.fail(INTERNAL_ERROR)

    def _open(self) -> Tuple[socket.socket, SocketFile]:
        before = os.stat(self._path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Before connect(): a stopped process with a full backlog would block us
            sock.setblocking(False)
            sock.connect(self._path)
            after = os.stat(self._path)
            if (before.st_ino, before.st_ctime_ns) != (after.st_ino, after.st_ctime_ns):
                raise OSError(errno.EAGAIN, "the socket was created again just now")
            pid = peer_pid(sock)
        except BaseException:
            sock.close()
            raise
        return sock, SocketFile(after.st_dev, after.st_ino, after.st_ctime_ns, pid)

    def _finish(self) -> None:
        reason, self._broken = self._broken or "", None
        self._close_socket()
        guarded(self._owner.link_lost, reason)
        again_at = self._connected_at + RECONNECT_INTERVAL
        delay = max(0.0, again_at - self._klippy.timers.now())
        self._retry = self._klippy.timers.after(delay, self._connect)

    def _stop_retrying(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _close_socket(self) -> None:
        if self._sock is None:
            return
        self._klippy.reactor.unregister_fd(self._fd_handle)
        self._sock.close()
        self._sock = self._fd_handle = None
        self._unsent, self._unsent_size = [], 0

    # -- reading and writing

    def _handle_readable(self, eventtime: float) -> None:
        # Not here: peers whose data arrive together share the time of one callback of the timers,
        # and what arrives may be sent on to API clients, whose connections Klippy closes if they
        # have just disconnected, perhaps an fd of the same poll; see klippy/closed_fds.py.
        if self._reading and not self._is_due:  # a hang-up is reported even while not reading
            self._is_due = True
            self._klippy.timers.at(eventtime, self._read_due)

    def _read_due(self) -> None:
        self._is_due = False
        if self._reading:
            self.read(self._klippy.timers.now())

    def read(self, eventtime: float) -> None:
        """Pass on what has arrived by now, up to READ_SIZE bytes."""
        if self._sock is None or self._broken is not None:
            return
        try:
            data = self._sock.recv(READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as e:
            self.fail("connection broken: %s" % (e.strerror,))
            return
        if not data:
            self.fail("closed the connection")
            return
        if not guarded(self._owner.data_received, data, eventtime):
            self.fail(INTERNAL_ERROR)

    def _handle_writable(self, eventtime: float) -> None:
        if self._sock is None or self._broken is not None:
            return
        rest = self._send_some(b"".join(self._unsent))
        self._unsent, self._unsent_size = ([rest], len(rest)) if rest else ([], 0)
        if not rest:
            self._set_wake()

    def _set_wake(self) -> None:
        self._klippy.reactor.set_fd_wake(self._fd_handle, self._reading, bool(self._unsent))

    def _send_some(self, data: bytes) -> bytes:
        assert self._sock is not None
        try:
            return data[self._sock.send(data) :]
        except (BlockingIOError, InterruptedError):
            return data
        except OSError as e:
            self.fail("connection broken: %s" % (e.strerror,))
            return b""


def peer_pid(sock: socket.socket) -> int:
    """The ID of the process at the other end: the one that listens there, or that connected."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", credentials)[0])
