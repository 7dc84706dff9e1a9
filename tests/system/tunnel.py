"""A tunnel to a Unix socket, as ssh makes one, that can be cut, and in which traffic can stop."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import selectors
import socket
import threading
from typing import List

from tests.lab.closing import Closing


class Tunnel(Closing):
    """Forwards connections from one socket to another; this process is the listener."""

    def __init__(self, path: str, target: str) -> None:
        """Listen on `path`; connections go to `target`, or end at once where nothing listens."""
        self._target = target
        self._open: List[socket.socket] = []
        self._lock = threading.Lock()
        self._moves = threading.Event()
        self._moves.set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(path)
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """Break every connection; new ones are possible at once."""
        with self._lock:
            for end in self._open:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self._open.clear()

    def stall(self) -> None:
        """Forward nothing from now on; nothing is closed either, and nothing lost."""
        self._moves.clear()

    def resume(self) -> None:
        """End a stall(): what was sent meanwhile arrives now."""
        self._moves.set()

    def close(self) -> None:
        """Break every connection and stop listening."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self.resume()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                far.connect(self._target)
            except OSError:
                near.close()
                far.close()
                continue
            with self._lock:
                self._open += [near, far]
            thread = threading.Thread(target=self._forward, args=(near, far), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            try:
                while True:
                    for key, _events in selector.select():
                        self._moves.wait()
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data:
                            return
                        key.data.sendall(data)
            except OSError:
                pass
