# A Klippy extra: how late a 1 kHz timer runs, and how long the router's callbacks take
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Its section must stand above [router]: it looks at what is registered after it. The endpoints
# lab/lateness (the figures) and lab/lateness/reset (begin again) are for tests.
import collections
import time

import greenlet

INTERVAL = 0.001  # seconds


class LabLateness:
    def __init__(self, config):
        printer = config.get_printer()
        self.reactor = printer.get_reactor()
        self._reset()
        self.running = {}  # greenlet -> (name, begin in CPU time) of its callback
        self.pause = self.reactor.pause
        self.reactor.pause = self._pause
        self.register_fd = self.reactor.register_fd
        self.register_timer = self.reactor.register_timer
        self.reactor.register_fd = self._register_fd
        self.reactor.register_timer = self._register_timer
        webhooks = printer.lookup_object("webhooks")
        webhooks.register_endpoint("lab/lateness", self._handle_figures)
        webhooks.register_endpoint("lab/lateness/reset", self._handle_reset)
        printer.register_event_handler("klippy:ready", self._handle_ready)
        printer.register_event_handler("klippy:disconnect", self._handle_disconnect)

    def _reset(self):
        self.lateness = []
        self.own = []  # of it, what this process itself was busy for
        self.cpu = time.thread_time()
        self.worst = (0.0, "")
        self.recent = (0.0, "")  # the longest callback of the router since the last tick
        self.longest = collections.defaultdict(float)  # name -> seconds of CPU
        self.callbacks = []  # seconds of CPU of each callback of the router
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

    def _watched(self, callback):
        module = getattr(callback, "__module__", None) or ""
        if ".router." not in module:
            return callback
        name = module.rsplit(".", 1)[1] + "." + callback.__qualname__

        def watched(eventtime):
            current = greenlet.getcurrent()
            self.running[current] = (name, time.thread_time())
            try:
                return callback(eventtime)
            finally:
                self._stop(current)

        return watched

    def _stop(self, current):
        name, begin = self.running.pop(current)
        seconds = time.thread_time() - begin
        self.callbacks.append(seconds)
        self.longest[name] = max(self.longest[name], seconds)
        if seconds > self.recent[0]:
            self.recent = (seconds, name)
        return name

    def _pause(self, waketime):
        """What runs while a callback pauses is not the callback's."""
        current = greenlet.getcurrent()
        if current not in self.running:
            return self.pause(waketime)
        name = self._stop(current)
        try:
            return self.pause(waketime)
        finally:
            self.running[current] = (name, time.thread_time())

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
        self.reactor.pause = self.pause


def load_config(config):
    return LabLateness(config)
