# A Klippy extra: notes when commands run, so that times between printers can be measured
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# All processes of a machine share time.monotonic(). Commands: LAB_START and LAB_END note when they
# run; LAB_VALUE does so, too, and changes the status of this object. The endpoints are for tests:
# lab/ends pushes the notes of LAB_END to a connection, so that a test waits without asking.
import os
import time

WATCH_INTERVAL = 0.0005  # seconds
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class LabStamp:
    def __init__(self, config):
        self.printer = config.get_printer()
        self.reactor = self.printer.get_reactor()
        self.gcode = self.printer.lookup_object("gcode")
        self.value = 0
        self.starts = {}  # id -> time
        self.listeners = []  # (connection, response_template)
        self.watched = self.seen = None
        self.watch_timer = self.reactor.register_timer(self._watch)
        for name in ("LAB_START", "LAB_END", "LAB_VALUE"):
            self.gcode.register_command(name, getattr(self, "cmd_" + name))
        webhooks = self.printer.lookup_object("webhooks")
        for name in ("starts", "ends", "duration", "watch", "usage"):
            webhooks.register_endpoint("lab/" + name, getattr(self, "_handle_" + name))

    def get_status(self, eventtime):
        return {"value": self.value}

    def cmd_LAB_START(self, gcmd):
        now = time.monotonic()
        self.starts[gcmd.get_int("ID")] = now

    def cmd_LAB_END(self, gcmd):
        now = time.monotonic()
        self._end(gcmd.get_int("ID"), now)

    def cmd_LAB_VALUE(self, gcmd):
        self.cmd_LAB_START(gcmd)
        self.value = gcmd.get_int("ID")

    def _end(self, number, now):
        for connection, template in self.listeners:
            if not connection.is_closed():
                connection.send(dict(template, params={"id": number, "time": now}))

    def _handle_ends(self, web_request):
        """Push every LAB_END to this connection from now on."""
        template = web_request.get_dict("response_template")
        self.listeners.append((web_request.get_client_connection(), template))

    def _handle_starts(self, web_request):
        """The notes of LAB_START and LAB_VALUE since the last time."""
        starts, self.starts = self.starts, {}
        web_request.send({"starts": starts})

    def _handle_duration(self, web_request):
        """Run a script as a macro would, and answer how long it took, in seconds."""
        script = web_request.get_str("script")
        with self.gcode.get_mutex():
            start = time.monotonic()
            self.gcode.run_script_from_command(script)
            web_request.send({"duration": time.monotonic() - start})

    def _handle_watch(self, web_request):
        """Note, as LAB_END does, when a field of an object's `mirror` changes; none: stop."""
        self.watched = web_request.get("path", None)
        self.seen = None
        when = self.reactor.NOW if self.watched else self.reactor.NEVER
        self.reactor.update_timer(self.watch_timer, when)

    def _watch(self, eventtime):
        if not self.watched:
            return self.reactor.NEVER
        name, mirrored, field = self.watched
        status = self.printer.lookup_object(name).get_status(eventtime)
        value = status["mirror"].get(mirrored, {}).get(field)
        if value != self.seen:
            self.seen = value
            if value is not None:
                self._end(value, time.monotonic())
        return self.reactor.monotonic() + WATCH_INTERVAL

    def _handle_usage(self, web_request):
        """CPU time of Klippy's main thread, seconds, and resident memory, KiB."""
        with open("/proc/self/statm") as statm:
            memory = int(statm.read().split()[1]) * PAGE_KIB
        web_request.send({"cpu": time.thread_time(), "memory": memory})


def load_config(config):
    return LabStamp(config)
