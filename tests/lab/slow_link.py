"""A network between two machines that can be slow, or stop: forwards TCP connections."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import queue
import socket
import threading
import time
from typing import List, Tuple

from .closing import Closing

Delayed = Tuple[float, bytes]  # when it is due (time.monotonic()), and what is sent then


class SlowLink(Closing):
    """Forwards connections to a port of this machine.

    delay: seconds that everything takes, in each direction.
    """

    def __init__(self, target: int) -> None:
        self.delay = 0.0
        self._moves = threading.Event()
        self._moves.set()
        self._target = target
        self._sockets: List[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Forward nothing from now on; nothing is closed either, and nothing lost."""
        self._moves.clear()

    def resume(self) -> None:
        """End a stall(): what was sent meanwhile arrives now."""
        self._moves.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.resume()
        for sock in self._sockets:
            _shut_down(sock)

    def _accept(self) -> None:
        while True:
            try:
                near = self._listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._sockets += [near, far]
            for source, target in ((near, far), (far, near)):
                waiting: queue.SimpleQueue[Delayed] = queue.SimpleQueue()
                for work, sock in ((self._receive, source), (self._send, target)):
                    threading.Thread(target=work, args=(sock, waiting), daemon=True).start()

    def _receive(self, source: socket.socket, waiting: "queue.SimpleQueue[Delayed]") -> None:
        data = b"more"
        while data:
            try:
                data = source.recv(65536)
            except OSError:
                data = b""
            waiting.put((time.monotonic() + self.delay, data))

    def _send(self, target: socket.socket, waiting: "queue.SimpleQueue[Delayed]") -> None:
        while True:
            due, data = waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            self._moves.wait()
            try:
                target.sendall(data)
            except OSError:
                return
            if not data:
                _shut_down(target)
                return


def _shut_down(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side was faster
