"""A peer with a device of every kind, and a host that has them all."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
from typing import Any, Dict, NamedTuple

from tests.lab import config
from tests.lab.waiting import wait_until
from tests.system.macros import router_section

BLACK, RED = [0.0] * 4, [1.0, 0.0, 0.0, 0.0]
LIMITS = {"min_temp": 0.0, "max_temp": 300.0}
NO_FILAMENT = {"enabled": None, "filament_detected": None}
STOPPED = {"speed": 0.0, "rpm": None}
COLD = {"temperature": None, "measured_min_temp": None, "measured_max_temp": None}


class Row(NamedTuple):
    """A device of led: its status at rest, and its settings before led has ever connected.

    added: settings that led does not report, but the host adds.
    """

    here: str
    at_rest: Dict[str, Any]
    defaults: Dict[str, Any] = {}
    added: Dict[str, Any] = {}


ROWS = {
    "temperature_fan cool": Row(
        "temperature_fan cool",
        {"temperature": None, "target": 0.0, "speed": 0.0, "rpm": None},
        LIMITS,
    ),
    "temperature_sensor box": Row("temperature_sensor Box-1", COLD),
    "temperature_probe eddy": Row("temperature_probe eddy", COLD),
    "neopixel strip": Row("neopixel cabinet", {"color_data": [BLACK]}, {"color_order": ["GRB"]}),
    "led lamp": Row(
        "led lamp", {"color_data": [BLACK]}, {"red_pin": "", "green_pin": "", "blue_pin": ""}
    ),
    "dotstar dots": Row("dotstar dots", {"color_data": [BLACK]}, added={"color_order": ["RGB"]}),
    "pca9533 four": Row("pca9533 four", {"color_data": [BLACK]}, added={"color_order": ["RGBW"]}),
    "pca9632 more": Row("pca9632 more", {"color_data": [BLACK]}, added={"color_order": ["RGBW"]}),
    "led_effect fire": Row("led_effect fire", {"enabled": False}),
    "fan_generic exhaust": Row("fan_generic exhaust", STOPPED),
    "heater_fan hot": Row("heater_fan hot", STOPPED),
    "controller_fan board": Row("controller_fan led_board", STOPPED),
    "output_pin relay": Row("output_pin relay", {"value": 0.0}, {"pwm": False, "scale": 1.0}),
    "output_pin dim": Row("output_pin dim", {"value": 0.0}, {"pwm": False, "scale": 1.0}),
    "pwm_tool laser": Row("pwm_tool laser", {"value": 0.0}, {"pwm": True, "scale": 1.0}),
    "pwm_cycle_time beeper": Row(
        "pwm_cycle_time beeper", {"value": 0.0}, {"pwm": True, "scale": 1.0}
    ),
    "servo flap": Row("servo lid", {"value": 0.0}),
    "filament_switch_sensor runout": Row("filament_switch_sensor runout", NO_FILAMENT),
    "filament_motion_sensor wheel": Row("filament_motion_sensor wheel", NO_FILAMENT),
    "gcode_button knob": Row("gcode_button led_knob", {"state": None}),
    "gcode_macro VARS": Row("gcode_macro LED_VARS", {}, {"gcode": ""}),
    "bme280 air": Row("bme280 air", {}),
    "mcu": Row("led_mcu", {}),
    "ace": Row("ace", {}),
    "mmu_machine": Row("mmu_machine", {}),
    "AFC": Row("AFC", {}),
    "AFC_stepper lane1": Row("AFC_stepper lane1", {}),
}
MEASURED = {"temperature": 20.0, "measured_min_temp": 19.0, "measured_max_temp": 21.0}
# Made by the test harness, as an emulated MCU cannot do what their modules need: command, status
MADE = {
    "temperature_probe eddy": ("", MEASURED),
    "dotstar dots": ("SET_LED LED", {"color_data": [RED, BLACK]}),
    "pca9533 four": ("SET_LED LED", {"color_data": [BLACK]}),
    "pca9632 more": ("SET_LED LED", {"color_data": [BLACK]}),
    "led_effect fire": ("SET_LED_EFFECT EFFECT", {"enabled": True}),
    "bme280 air": ("", {"temperature": None, "pressure": None}),
    "ace": ("", {"slots": [], "temperature": None, "text": ""}),
    "mmu_machine": ("", {"num_units": 1, "unit_0": {"name": "Box", "num_gates": 4}}),
    "AFC": ("", {"units": ["Box"], "lanes": ["lane1"], "current_load": None}),
    "AFC_stepper lane1": ("", {"load": True, "tool": "extruder", "weight": 0}),
}
# Klipper of 2023 does not have these modules
NEWER = {
    "pwm_tool laser": ("SET_PIN PIN", {"value": 0.0}),
    "pwm_cycle_time beeper": ("SET_PIN PIN", {"value": 0.0}),
}
SENSORS = {ROWS[name].here for name in ("temperature_fan cool", "temperature_sensor box")}
SENSORS |= {"temperature_probe eddy", "temperature_sensor extruder", "temperature_sensor led-bed"}

LED = """
[fan_generic exhaust]
pin: gpio32
max_power: 0.8
[heater_fan hot]
pin: gpio33
heater: chamber
heater_temp: 110
[controller_fan board]
pin: gpio34
[output_pin relay]
pin: gpio35
[output_pin dim]
pin: gpio36
pwm: True
scale: 255
cycle_time: 0.01
[servo flap]
pin: gpio37
[filament_switch_sensor runout]
switch_pin: ^gpio38
pause_on_runout: False
[filament_motion_sensor wheel]
switch_pin: ^gpio39
detection_length: 7
extruder: extruder
pause_on_runout: False
[temperature_fan cool]
pin: gpio40
sensor_type: fake
sensor_pin: gpio41
control: watermark
min_temp: 0
max_temp: 90
target_temp: 0
[temperature_sensor box]
sensor_type: fake
sensor_pin: gpio42
min_temp: 0
max_temp: 100
[led lamp]
red_pin: gpio43
white_pin: gpio44
[gcode_macro VARS]
variable_x: 1
gcode:
    M118 {params.S|default(1)}
"""
PWM = """
[pwm_tool laser]
pin: gpio46
scale: 1000
[pwm_cycle_time beeper]
pin: gpio47
cycle_time: 0.001
"""


def router(lab, more=""):
    """The host's sections: all ROWS, and two temperatures; more: lines of option objects."""
    objects = "".join(
        f"    {source}{'' if source == row.here else ' as ' + row.here.split()[-1]}\n"
        for source, row in ROWS.items()
    )
    objects += "    extruder\n    heater_bed as led-bed\n" + more
    return "[router]\nstatus_interval: 0.05\n" + router_section(lab, "led", "objects:\n" + objects)


def led_config(kind, more=""):
    """led: config.whole() with all ROWS, on the emulated MCU; more: further sections."""
    made = dict(MADE) if kind != "klipper2023" else {**MADE, **NEWER}
    lines = "".join(f"    {name}: {command}\n" for name, (command, _fields) in made.items())
    given = json.dumps({name: fields for name, (_command, fields) in made.items()})
    sections = LED if kind == "klipper2023" else LED + PWM
    return config.whole(f"{sections}{more}[lab_objects]\nobjects:\n{lines}status: {given}\n")


def made(led, name, **fields):
    """Give an object of MADE these fields."""
    text = json.dumps(fields).replace("'", "'\"'\"'")
    led.script(f"LAB_OBJECT NAME='{name}' FIELDS='{text}'")


def status(printer, name):
    return printer.query([name])[name]


def settings(printer):
    return printer.query({"configfile": ["settings"]})["configfile"]["settings"]


def wait_status(printer, name, timeout=10.0, **fields):
    """Wait until an object has at least these fields; return its status."""

    def reached():
        now = status(printer, name)
        return fields.items() <= now.items() and [now]

    return wait_until(reached, timeout, f"{printer.name}: {name} has {fields}", [printer])[0]


def wait_same(main, led, *sources):
    """Wait until the host has the status of these objects of led; return it by their names there.

    One query for all: Klippy answers a query with its next update of subscribers.
    """
    here = {source: ROWS[source].here for source in sources}
    found: Dict[str, Any] = {}

    def differences():
        there, now = led.query(list(here)), main.query(list(here.values()))
        found.update({source: now[name] for source, name in here.items()})
        return {s: now for s, now in found.items() if known(now) != known(there[s])}

    wait_until(lambda: not differences(), 10.0, f"{list(here)} are as on led", [main, led])
    return found


def known(values):
    return {field: value for field, value in values.items() if value is not None}
