# A Klippy extra: how late a 1 kHz timer runs, and how long the router's callbacks take
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Its section must stand above [router]: it looks at what is registered after it: timers, fds,
# callbacks and endpoints. The endpoints lab/lateness (the figures) and lab/lateness/reset (begin
# again) are for tests. Garbage collections are apart: Python runs one in whatever callback happens
# to make the object that is one too many (Klipper until 2025 runs them in its idle reactor). So is
# what Klippy needs to encode and send a message for an API client.
import collections
import gc
import sys
import time

import greenlet

INTERVAL = 0.001  # seconds


class LabLateness:
    def __init__(self, config):
        printer = config.get_printer()
        self.reactor = printer.get_reactor()
        self._reset()
        self.running = {}  # greenlet -> the _Run of its callback
        self.gc_begin = 0.0
        self.pause = self.reactor.pause
        self.reactor.pause = self._pause
        self.register_fd = self.reactor.register_fd
        self.register_timer = self.reactor.register_timer
        self.register_callback = self.reactor.register_callback
        self.reactor.register_fd = self._register_fd
        self.reactor.register_timer = self._register_timer
        self.reactor.register_callback = self._register_callback
        gc.callbacks.append(self._gc)
        webhooks = printer.lookup_object("webhooks")
        self.client_class = sys.modules[type(webhooks).__module__].ClientConnection
        self.send = self.client_class.send
        self.client_class.send = self._sent_by(self.send)
        webhooks.register_endpoint("lab/lateness", self._handle_figures)
        webhooks.register_endpoint("lab/lateness/reset", self._handle_reset)
        register_endpoint = webhooks.register_endpoint
        webhooks.register_endpoint = lambda path, callback: register_endpoint(
            path, self._watched(callback)
        )
        printer.register_event_handler("klippy:ready", self._handle_ready)
        printer.register_event_handler("klippy:disconnect", self._handle_disconnect)

    def _reset(self):
        self.lateness = []
        self.own = []  # of it, what this process itself was busy for
        self.cpu = time.thread_time()
        self.worst = (0.0, "")
        self.recent = (0.0, "")  # the longest callback of the router since the last tick
        self.longest = collections.defaultdict(float)  # name -> seconds of CPU
        self.longest_wall = (0.0, "")  # the same by the clock, of all callbacks
        self.callbacks = []  # seconds of CPU of each callback of the router
        self.klippy_longest = 0.0  # seconds of CPU of Klippy's send() in one of these callbacks
        self.gc_longest = 0.0  # seconds of CPU of the longest garbage collection
        self.gc_total = 0.0
        self.due = None

    # The 1 kHz timer

    def _handle_ready(self):
        self.register_timer(self._tick, self.reactor.NOW)

    def _tick(self, eventtime):
        now = self.reactor.monotonic()
        if self.due is not None:
            late = now - self.due
            self.lateness.append(late)
            self.own.append(min(late, time.thread_time() - self.cpu))
            if late > self.worst[0]:
                self.worst = (late, self.recent[1])
        self.recent = (0.0, "")
        self.cpu = time.thread_time()
        self.due = now + INTERVAL
        return self.due

    # The router's callbacks

    def _register_fd(self, fd, read_callback, write_callback=None):
        if write_callback is not None:
            write_callback = self._watched(write_callback)
        return self.register_fd(fd, self._watched(read_callback), write_callback)

    def _register_timer(self, callback, waketime=9999999999999999.0):
        return self.register_timer(self._watched(callback), waketime)

    def _register_callback(self, callback, *waketime):
        return self.register_callback(self._watched(callback), *waketime)

    def _watched(self, callback):
        module = getattr(callback, "__module__", None) or ""
        if ".router." not in module:
            return callback
        name = module.rsplit(".", 1)[1] + "." + callback.__qualname__
        timers = sys.modules[module] if module.endswith(".klippy.timers") else None
        if timers is not None and timers.guarded.__name__ != "watched_timer":
            timers.guarded = self._named(timers.guarded)

        def watched(argument):
            current = greenlet.getcurrent()
            if current in self.running:  # called by another callback of the router
                return callback(argument)
            self.running[current] = _Run(self, name)
            try:
                return callback(argument)
            finally:
                self._stop(current)

        return watched

    def _named(self, guarded):
        """The router has one timer of the reactor for all of its own: name the longest of them."""

        def watched_timer(callback, *args):
            begin = time.thread_time()
            try:
                return guarded(callback, *args)
            finally:
                run = self.running.get(greenlet.getcurrent())
                seconds = time.thread_time() - begin
                if run is not None and seconds > run.longest:
                    function = getattr(callback, "func", callback)  # of a partial()
                    run.longest, run.name = seconds, "timer " + function.__qualname__

        return watched_timer

    def _stop(self, current):
        run = self.running.pop(current)
        seconds = time.thread_time() - run.cpu - (self.gc_total - run.gc) - run.klippy
        self.klippy_longest = max(self.klippy_longest, run.klippy)
        wall = time.monotonic() - run.clock
        self.callbacks.append(seconds)
        self.longest[run.name] = max(self.longest[run.name], seconds)
        self.longest_wall = max(self.longest_wall, (wall, run.name))
        if seconds > self.recent[0]:
            self.recent = (seconds, run.name)
        return run.name

    def _sent_by(self, send):
        """Klippy's send(), measured if a callback of the router calls it."""

        def watched_send(connection, data):
            begin, gc_begin = time.thread_time(), self.gc_total
            try:
                send(connection, data)
            finally:
                run = self.running.get(greenlet.getcurrent())
                if run is not None:
                    run.klippy += time.thread_time() - begin - (self.gc_total - gc_begin)

        return watched_send

    def _pause(self, waketime):
        """What runs while a callback pauses is not the callback's."""
        current = greenlet.getcurrent()
        if current not in self.running:
            return self.pause(waketime)
        name = self._stop(current)
        try:
            return self.pause(waketime)
        finally:
            self.running[current] = _Run(self, name)

    def _gc(self, phase, _info):
        if phase == "start":
            self.gc_begin = time.thread_time()
        else:
            seconds = time.thread_time() - self.gc_begin
            self.gc_total += seconds
            self.gc_longest = max(self.gc_longest, seconds)

    # The figures, in seconds

    def _handle_figures(self, web_request):
        ordered = sorted(self.lateness) or [0.0]
        own = sorted(self.own) or [0.0]
        callbacks = sorted(self.callbacks) or [0.0]
        web_request.send(
            {
                "ticks": len(self.lateness),
                "median": ordered[len(ordered) // 2],
                "p999": ordered[int(len(ordered) * 0.999)],
                "max": ordered[-1],
                "own_p999": own[int(len(own) * 0.999)],
                "own_max": own[-1],
                "before_worst": self.worst[1],
                "longest": dict(self.longest),
                "wall": self.longest_wall[0],
                "wall_name": self.longest_wall[1],
                "klippy": self.klippy_longest,
                "gc": self.gc_longest,
                "callbacks": len(callbacks),
                "callback_median": callbacks[len(callbacks) // 2],
                "callback_max": callbacks[-1],
                "total": sum(callbacks),
            }
        )

    def _handle_reset(self, web_request):
        self._reset()

    def _handle_disconnect(self):
        self.reactor.register_fd = self.register_fd
        self.reactor.register_timer = self.register_timer
        self.reactor.register_callback = self.register_callback
        self.reactor.pause = self.pause
        self.client_class.send = self.send
        gc.callbacks.remove(self._gc)


class _Run:
    """A callback that runs now: its name, and the clocks when it began."""

    def __init__(self, lateness, name):
        self.name, self.longest = name, 0.0
        self.klippy = 0.0
        self.gc = lateness.gc_total
        self.clock, self.cpu = time.monotonic(), time.thread_time()


def load_config(config):
    return LabLateness(config)
