"""The objects of a light peer that are devices of its host: their status, and their settings."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Fields and sizes are those that Klipper's modules and Happy Hare report.
import json
from typing import Any, Callable, Dict, List

Status = Dict[str, Dict[str, Any]]

LEDS, GATES = 20, 12
SETTINGS_SIZE = 60000  # bytes of JSON, as of the printer.cfg of a large printer
CHANGER = "changer"
_COUNTS = {
    "heater_generic": 6,
    "neopixel": 6,
    "fan_generic": 7,
    "output_pin": 7,
    "temperature_sensor": 7,
    "gcode_macro": 6,
}
OBJECTS: List[str] = [
    *(f"{module} d{i}" for module, count in _COUNTS.items() for i in range(count)),
    CHANGER,
]
_CHANGER_AT_REST: Dict[str, Any] = {
    **{f"flag_{i}": bool(i % 2) for i in range(40)},
    **{f"number_{i}": i * 1.25 for i in range(30)},
    **{f"text_{i}": f"some words of state {i}" for i in range(20)},
    **{f"gate_{i}": [f"value {gate}" for gate in range(GATES)] for i in range(8)},
    "slicer_tool_map": {
        f"tool {i}": {"color": "ff8000", "material": "PETG", "temp": 240, "name": "a spool"}
        for i in range(GATES)
    },
}


def _heater(number: int) -> Dict[str, Any]:
    return {"temperature": 60.0 + number % 97 / 100, "power": number % 89 / 89}


def _strip(number: int) -> Dict[str, Any]:
    return {
        "color_data": [
            [(number + led * 7 + color * 31) % 256 / 255 for color in range(3)] + [0.0]
            for led in range(LEDS)
        ]
    }


def _macro(number: int) -> Dict[str, Any]:
    return {"count": number, "last": f"pass {number}"}


def _changer(number: int) -> Dict[str, Any]:
    return {
        "encoder_pos": number * 1.234567,
        "filament_position": number * 0.75,
        "gate": number % GATES,
        "gate_status": [(number + gate) % 3 for gate in range(GATES)],
        "action": f"Loading {number}",
    }


# What changes, by module; the number differs from one call to the next
_CHANGES: Dict[str, Callable[[int], Dict[str, Any]]] = {
    "heater_generic": _heater,
    "neopixel": _strip,
    "fan_generic": lambda number: {"speed": number % 101 / 100, "rpm": 3000.0 + number % 71},
    "output_pin": lambda number: {"value": number % 256 / 255},
    "temperature_sensor": lambda number: {"temperature": 40.0 + number % 83 / 100},
    "gcode_macro": _macro,
    CHANGER: _changer,
}
_AT_REST: Dict[str, Dict[str, Any]] = {
    "heater_generic": {"target": 60.0},
    "temperature_sensor": {"measured_min_temp": 20.0, "measured_max_temp": 41.0},
    "gcode_macro": {"is_open": False, "speeds": [10, 20, 30], "state": {"tool": 3}},
    CHANGER: _CHANGER_AT_REST,
}


def changes(number: int) -> Status:
    """An update in which all objects have changed. number: another one each time."""
    return {name: _CHANGES[name.split()[0]](number + i) for i, name in enumerate(OBJECTS)}


def snapshot(number: int) -> Status:
    """All fields of all objects."""
    return {n: {**_AT_REST.get(n.split()[0], {}), **c} for n, c in changes(number).items()}


def _settings() -> Dict[str, Dict[str, Any]]:
    """Of all sections, those of the objects among them."""
    settings: Dict[str, Dict[str, Any]] = {
        name: {"pin": "gpio1", "min_temp": 0.0, "max_temp": 120.0, "color_order": ["GRB"]}
        for name in OBJECTS
    }
    gcode = '{% set speed = params.SPEED|default(100)|float %}\nG1 X10 F{speed * 60}\nM118 "done"\n'
    while len(json.dumps(settings)) < SETTINGS_SIZE:
        settings[f"gcode_macro macro_{len(settings)}"] = {
            "gcode": gcode * 4,
            "description": "A macro of the peer",
            "variable_state": {"count": 3},
        }
    return settings


SETTINGS = _settings()
