"""The table of kinds: what each needs to be shown and controlled by the user interfaces."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json

import pytest

from klippy_extras.router.devices.kinds import (
    CLAIMED,
    CLAIMED_MODULES,
    KINDS,
    UNKNOWN,
    kind_of,
)

BLACK = [[0.0, 0.0, 0.0, 0.0]]
LIMITS = {"min_temp": 0.0, "max_temp": 300.0}
NO_TEMPERATURES = {"temperature": None, "measured_min_temp": None, "measured_max_temp": None}
NO_FILAMENT = {"enabled": None, "filament_detected": None}
RGB = {"color_order": ["RGB"]}
RGBW = {"color_order": ["RGBW"]}
PWM = {"pwm": True, "scale": 1.0}
PINS = {"red_pin": "", "green_pin": "", "blue_pin": ""}
FAN = {"speed": 0.0, "rpm": None}
HEATED_FAN = {"temperature": None, "target": 0.0, "speed": 0.0, "rpm": None}
FILAMENT = "SET_FILAMENT_SENSOR SENSOR, QUERY_FILAMENT_SENSOR SENSOR"

# module -> (status at rest, settings before the peer has answered, commands and their parameter)
ROWS = {
    "heater_generic": (
        {"temperature": None, "target": 0.0, "power": 0.0},
        LIMITS,
        "SET_HEATER_TEMPERATURE HEATER",
    ),
    "temperature_fan": (HEATED_FAN, LIMITS, "SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN"),
    "temperature_sensor": (NO_TEMPERATURES, {}, ""),
    "temperature_probe": (NO_TEMPERATURES, {}, ""),
    "neopixel": ({"color_data": BLACK}, {"color_order": ["GRB"]}, "SET_LED LED"),
    "dotstar": ({"color_data": BLACK}, RGB, "SET_LED LED"),
    "pca9533": ({"color_data": BLACK}, RGBW, "SET_LED LED"),
    "pca9632": ({"color_data": BLACK}, RGBW, "SET_LED LED"),
    "led": ({"color_data": BLACK}, PINS, "SET_LED LED"),
    "led_effect": ({"enabled": False}, {}, "SET_LED_EFFECT EFFECT"),
    "fan_generic": (FAN, {}, "SET_FAN_SPEED FAN"),
    "heater_fan": (FAN, {}, ""),
    "controller_fan": (FAN, {}, ""),
    "output_pin": ({"value": 0.0}, {"pwm": False, "scale": 1.0}, "SET_PIN PIN"),
    "pwm_tool": ({"value": 0.0}, PWM, "SET_PIN PIN"),
    "pwm_cycle_time": ({"value": 0.0}, PWM, "SET_PIN PIN"),
    "servo": ({"value": 0.0}, {}, "SET_SERVO SERVO"),
    "filament_switch_sensor": (NO_FILAMENT, {}, FILAMENT),
    "filament_motion_sensor": (NO_FILAMENT, {}, FILAMENT),
    "gcode_button": ({"state": None}, {}, ""),
    "mmu": ({"enabled": False, "gate_status": [], "gate_color": []}, {}, ""),
    "gcode_macro": ({}, {"gcode": ""}, "SET_GCODE_VARIABLE MACRO"),
}


@pytest.mark.parametrize("module", ROWS)
def test_a_kind(module):
    at_rest, settings, commands = ROWS[module]
    kind = kind_of(module)
    shown = kind.at_rest
    if module == "mmu":  # its many other fields are None
        shown = {field: value for field, value in shown.items() if value is not None}
    assert shown == at_rest
    assert {**kind.defaults, **kind.added} == settings
    assert ", ".join(f"{c.name} {c.key}" for c in kind.commands) == commands
    assert all(c.help for c in kind.commands + kind.refused)


def test_a_client_that_subscribes_before_the_changer_connects_gets_all_that_its_panel_reads():
    """Klippy sends only fields that were there when all were subscribed to, if there were any."""
    fields = kind_of("mmu").at_rest
    assert {"num_gates", "gate", "tool", "filament_pos", "action", "ttg_map"} <= fields.keys()
    # Their mere presence means that the changer has one
    assert not {"encoder", "espooler", "grip", "servo"} & fields.keys()
    assert kind_of("mmu_machine").at_rest == {}


def test_no_kind_is_left_out_above():
    assert KINDS.keys() == ROWS.keys()


def test_an_unknown_kind_has_nothing_of_its_own():
    assert kind_of("AFC") is UNKNOWN
    assert UNKNOWN == ({}, {}, {}, (), (), False, False)


def test_those_with_a_temperature_are_sensors():
    assert {m for m, kind in KINDS.items() if kind.is_sensor} == {
        module for module, kind in KINDS.items() if "temperature" in kind.at_rest
    }


def test_templates_are_refused_for_all_lights_and_only_there():
    for kind in KINDS.values():
        refused = [(c.name, c.key) for c in kind.refused]
        is_light = "color_data" in kind.at_rest
        assert refused == ([("SET_LED_TEMPLATE", "LED")] if is_light else [])


def test_a_command_names_its_devices_with_one_parameter():
    """Klipper allows only one (register_mux_command of klippy/gcode.py)."""
    keys = {}
    for kind in KINDS.values():
        for command in kind.commands + kind.refused:
            assert keys.setdefault(command.name, command.key) == command.key


def test_json_has_all_values():
    for kind in KINDS.values():
        for values in (kind.at_rest, kind.defaults, kind.added):
            assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_names_that_are_claimed_are_no_kinds_with_a_status():
    assert not CLAIMED_MODULES & KINDS.keys()
    assert CLAIMED & KINDS.keys() == {"led", "gcode_macro"}  # without a name, Klipper's modules
