"""A tunnel or a network on the way to a socket, that can be cut, can be slow, and can stop."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import selectors
import socket
import threading
import time
from collections import deque
from typing import Deque, List, Tuple, Union

from .closing import Closing

Address = Union[str, Tuple[str, int]]  # the path of a Unix socket, or host and port
Delayed = Tuple[float, bytes]  # when it is due (time.monotonic()), and what is sent then


class Forwarder(Closing):
    """Forwards connections from one address to another; this process is the listener.

    delay: seconds that everything takes, in each direction.
    """

    def __init__(self, address: Address, target: Address) -> None:
        """Listen there; connections go to `target`, or end at once where nothing listens."""
        self.delay = 0.0
        self._target = target
        self._open: List[socket.socket] = []
        self._lock = threading.Lock()
        self._moves = threading.Event()
        self._moves.set()
        self._family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self._listener = socket.socket(self._family, socket.SOCK_STREAM)
        self._listener.bind(address)
        self._listener.listen()
        self.address: Address = self._listener.getsockname()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """Break every connection; new ones are possible at once."""
        with self._lock:
            _shut_down(*self._open)
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
            far = socket.socket(self._family, socket.SOCK_STREAM)
            try:
                far.connect(self._target)
            except OSError:
                near.close()
                far.close()
                continue
            with self._lock:
                self._open += [near, far]
            thread = threading.Thread(target=self._forward_both, args=(near, far), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _forward_both(self, near: socket.socket, far: socket.socket) -> None:
        with near, far:
            back = threading.Thread(target=self._forward, args=(far, near), daemon=True)
            back.start()
            self._forward(near, far)
            back.join()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        """Forward one direction until its end, which is that of the other one, too."""
        waiting: Deque[Delayed] = deque()
        with selectors.DefaultSelector() as selector:
            selector.register(source, selectors.EVENT_READ)
            try:
                while _send_due(target, waiting):
                    self._receive(selector, waiting)
            except OSError:
                pass  # the other direction has ended
        _shut_down(source, target)

    def _receive(self, selector: selectors.BaseSelector, waiting: Deque[Delayed]) -> None:
        """Wait until something arrives, or the first that waits is due."""
        arrived = selector.select(waiting[0][0] - time.monotonic() if waiting else None)
        self._moves.wait()
        for key, _events in arrived:
            data = key.fileobj.recv(65536)
            waiting.append((time.monotonic() + self.delay, data))
            if not data:
                selector.unregister(key.fileobj)


def _send_due(target: socket.socket, waiting: Deque[Delayed]) -> bool:
    """Send what is due; False once that is the end."""
    while waiting and waiting[0][0] <= time.monotonic():
        data = waiting.popleft()[1]
        if not data:
            return False
        target.sendall(data)
    return True


def _shut_down(*ends: socket.socket) -> None:
    for end in ends:
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is already
