# A Klippy extra: start-up waits until the test harness reads the console; a status made to order
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# On a real printer Klippy pauses while it talks to the MCU, so its API clients
# are connected before it is ready. In file-output mode nothing pauses, and what a
# printer prints as it becomes ready would be lost.
#
# The object lab_console has whatever fields LAB_STATUS sets, and a field `large`
# of so many characters, which exists until it was read LARGE_READS times.
# LAB_STATE_MESSAGE changes Klippy's message while its state stays. LAB_EXIT ends
# Klippy as its own errors do.
import json

PATIENCE = 1.0  # seconds
CHECK = 0.002


class LabConsole:
    def __init__(self, config):
        self.printer = config.get_printer()
        self.reactor = self.printer.get_reactor()
        self.gcode = self.printer.lookup_object("gcode")
        self.status = {}
        self.large = self.large_reads = 0
        self.printer.register_event_handler("klippy:mcu_identify", self._wait)
        self.gcode.register_command("LAB_STATUS", self.cmd_LAB_STATUS)
        self.gcode.register_command(
            "LAB_STATE_MESSAGE", self.cmd_LAB_STATE_MESSAGE, when_not_ready=True
        )

        self.gcode.register_command("LAB_EXIT", self.cmd_LAB_EXIT)

    def _wait(self):
        handlers = self.gcode.output_callbacks
        before = len(handlers)  # Klippy's own, of the pseudo-terminal
        now = self.reactor.monotonic()
        deadline = now + PATIENCE
        while len(handlers) == before and now < deadline:
            now = self.reactor.pause(now + CHECK)

    def get_status(self, eventtime):
        if self.large_reads <= 0:
            return self.status
        self.large_reads -= 1
        return dict(self.status, large="x" * self.large)

    def cmd_LAB_STATUS(self, gcmd):
        self.status = json.loads(gcmd.get("FIELDS"))
        self.large = gcmd.get_int("LARGE", 0)
        self.large_reads = gcmd.get_int("LARGE_READS", 1 << 30) if self.large else 0

    def cmd_LAB_STATE_MESSAGE(self, gcmd):
        self.printer.state_message = gcmd.get("MESSAGE")

    def cmd_LAB_EXIT(self, gcmd):
        self.printer.request_exit("exit")


def load_config(config):
    return LabConsole(config)
