# A Klippy extra: start-up waits until the laboratory reads the console
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# On a real printer Klippy pauses while it talks to the MCU, so its API clients
# are there before it is ready. In file-output mode nothing pauses, and what a
# printer prints as it becomes ready would reach nobody.

PATIENCE = 1.0  # seconds
CHECK = 0.002


class LabConsole:
    def __init__(self, config):
        self.reactor = config.get_printer().get_reactor()
        self.gcode = config.get_printer().lookup_object("gcode")
        config.get_printer().register_event_handler("klippy:mcu_identify", self._wait)

    def _wait(self):
        handlers = self.gcode.output_callbacks
        before = len(handlers)  # Klippy's own, of the pseudo-terminal
        now = self.reactor.monotonic()
        deadline = now + PATIENCE
        while len(handlers) == before and now < deadline:
            now = self.reactor.pause(now + CHECK)


def load_config(config):
    return LabConsole(config)
