"""A reactor whose clock is set by hand, for what cannot be timed on a real Klippy."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import select
from typing import Any, Callable, Dict, List, Optional

# Turns of the loop after which a test counts as hung
MAX_TURNS = 10000


class _Timer:
    def __init__(self, callback: Callable[[float], float], waketime: float) -> None:
        self.callback, self.waketime = callback, waketime


class _FdHandle:
    def __init__(self, fd: int, read: Callable[[float], None], write: Any) -> None:
        self.fd, self.read, self.write = fd, read, write
        self.readable, self.writeable = True, False


class _Completion:
    """The reactor's completion: the loop turns inside of wait()."""

    _UNKNOWN = object()

    def __init__(self, reactor: "FakeReactor") -> None:
        self._reactor, self._result = reactor, self._UNKNOWN

    def test(self) -> bool:
        return self._result is not self._UNKNOWN

    def complete(self, result: Any) -> None:
        self._result = result

    def wait(self, waketime: float = 9999999999999999.0, waketime_result: Any = None) -> Any:
        self._reactor.turn_until(self.test, waketime)
        return self._result if self.test() else waketime_result


class _Mutex:
    """The reactor's mutex; the loop turns until it is free."""

    def __init__(self, reactor: "FakeReactor") -> None:
        self._reactor, self._is_held = reactor, False

    def test(self) -> bool:
        return self._is_held

    def __enter__(self) -> None:
        self._reactor.turn_until(lambda: not self._is_held, self._reactor.NEVER)
        self._is_held = True

    def __exit__(self, *exc: Any) -> None:
        self._is_held = False


class FakeReactor:
    """The reactor's interface without greenlets: while somebody waits, the loop turns inside.

    Hence who waits first goes on last, which a test must not depend on. Time passes only when a
    test says so, or somebody waits.

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
        timer.waketime = self.NEVER
        self.timers = [t for t in self.timers if t is not timer]

    def register_callback(self, callback: Any, waketime: float = NOW) -> None:
        def once(eventtime: float) -> float:
            self.unregister_timer(timer)
            callback(eventtime)
            return self.NEVER

        timer = self.register_timer(once, waketime)

    def completion(self) -> _Completion:
        return _Completion(self)

    def mutex(self) -> _Mutex:
        return _Mutex(self)

    def pause(self, waketime: float) -> float:
        self.turn_until(lambda: False, waketime)
        return self.now

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

    def advance(self, seconds: float) -> None:
        """Let time pass, and call every timer at its time."""
        self.pause(self.now + seconds)

    def at(self, delay: float, callback: Callable[[], Any]) -> None:
        """Call back after so many seconds, for what happens during a wait."""
        self.register_callback(lambda eventtime: callback(), self.now + delay)

    def turn_until(self, is_over: Callable[[], bool], waketime: float) -> None:
        """Turn the loop, every timer at its time, until is_over() or the time is up."""
        for _ in range(MAX_TURNS):
            if is_over():
                return
            due = min([timer.waketime for timer in self.timers], default=self.NEVER)
            if due > waketime or due >= self.NEVER:
                assert waketime < self.NEVER, "this would wait for ever"
                self.now = max(self.now, waketime)
                return
            self.now = max(self.now, due)
            self._turn()
        raise AssertionError("this turns for ever")

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
        has_called = False
        for timer in self.timers:
            if timer.waketime <= self.now:
                has_called = True
                timer.waketime = self.NEVER
                timer.waketime = timer.callback(self.now)
        return bool(happened) or has_called
