"""A reactor whose clock is set by hand, for what no real Klippy can be made to do in time."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import select
from typing import Any, Callable, Dict, List, Optional


class _Timer:
    def __init__(self, callback: Callable[[float], float], waketime: float) -> None:
        self.callback, self.waketime = callback, waketime


class _FdHandle:
    def __init__(self, fd: int, read: Callable[[float], None], write: Any) -> None:
        self.fd, self.read, self.write = fd, read, write
        self.readable, self.writeable = True, False


class FakeReactor:
    """The reactor's interface without greenlets: nothing may pause on it.

    As Klipper's of 2023 it looks every fd up again after a poll: a callback that unregisters an
    fd of the same poll makes run() raise KeyError.
    """

    NOW, NEVER = 0.0, 9999999999999999.0

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: List[_Timer] = []
        self.fds: Dict[int, _FdHandle] = {}

    def monotonic(self) -> float:
        return self.now

    def register_timer(self, callback: Any, waketime: float = NEVER) -> _Timer:
        timer = _Timer(callback, waketime)
        self.timers = [*self.timers, timer]
        return timer

    def update_timer(self, timer: _Timer, waketime: float) -> None:
        timer.waketime = waketime

    def unregister_timer(self, timer: _Timer) -> None:
        self.timers = [t for t in self.timers if t is not timer]

    def register_callback(self, callback: Any, waketime: float = NOW) -> None:
        def once(eventtime: float) -> float:
            self.unregister_timer(timer)
            callback(eventtime)
            return self.NEVER

        timer = self.register_timer(once, waketime)

    def register_fd(self, fd: int, read: Any, write: Optional[Any] = None) -> _FdHandle:
        self.fds[fd] = handle = _FdHandle(fd, read, write)
        return handle

    def unregister_fd(self, handle: _FdHandle) -> None:
        del self.fds[handle.fd]

    def set_fd_wake(self, handle: _FdHandle, readable: bool = True, writeable: bool = False):
        handle.readable, handle.writeable = readable, writeable

    def run(self, seconds: float = 0.0, turns: int = 20) -> None:
        """Let time pass in one step, then turn the loop until nothing happens any more."""
        self.now += seconds
        for _ in range(turns):
            if not self._turn():
                return

    def _turn(self) -> bool:
        poll = select.poll()
        for handle in self.fds.values():
            flags = select.POLLIN * handle.readable | select.POLLOUT * handle.writeable
            poll.register(handle.fd, flags | select.POLLHUP)
        happened = poll.poll(0)
        for fd, event in happened:
            if event & (select.POLLIN | select.POLLHUP):
                self.fds[fd].read(self.now)
            if event & select.POLLOUT:
                self.fds[fd].write(self.now)
        due = [timer for timer in self.timers if timer.waketime <= self.now]
        for timer in due:
            timer.waketime = self.NEVER
            timer.waketime = timer.callback(self.now)
        return bool(happened or due)
