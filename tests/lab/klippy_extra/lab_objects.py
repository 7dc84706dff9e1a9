# A Klippy extra: objects of any name, as other extras make them, with a status made to order
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# [lab_objects]
# objects:
#     mmu
#     led_effect fire: SET_LED_EFFECT EFFECT
# status: {"led_effect fire": {"enabled": false}}
#
# makes the objects, and for each a command, which is named with the parameter that selects the
# object. Its status is what the option says, and `ran`: the parameters of the last command.
# LAB_OBJECT changes it.
import json


class LabObject:
    def __init__(self, status):
        self.status = dict(status, ran=None)

    def cmd_run(self, gcmd):
        self.status = dict(self.status, ran=dict(gcmd.get_command_parameters()))

    def get_status(self, eventtime):
        return self.status


class LabObjects:
    def __init__(self, config):
        printer = config.get_printer()
        gcode = printer.lookup_object("gcode")
        self.objects = {}
        status = json.loads(config.get("status", "{}"))
        for line in filter(None, map(str.strip, config.get("objects").split("\n"))):
            name, _colon, command = (part.strip() for part in line.partition(":"))
            new = self.objects[name] = LabObject(status.get(name, {}))
            printer.add_object(name, new)
            if command:
                command, key = command.split()
                gcode.register_mux_command(command, key, name.split()[-1], new.cmd_run)
        gcode.register_command("LAB_OBJECT", self.cmd_LAB_OBJECT)

    def cmd_LAB_OBJECT(self, gcmd):
        lab_object = self.objects[gcmd.get("NAME")]
        lab_object.status = dict(lab_object.status, ran=None, **json.loads(gcmd.get("FIELDS")))


def load_config(config):
    return LabObjects(config)
