# The kinds of devices: what each shows while its printer is offline, its settings and commands
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Mapping, NamedTuple, Tuple


class DeviceCommand(NamedTuple):
    """A command that goes to the device's printer.

    key: the parameter that names the device. is_in_step: whether Klipper runs it when the toolhead
    has made the moves before it (SET_LED only if SYNC is 1, the default).
    """

    name: str
    key: str
    help: str
    is_in_step: bool = False


class Kind(NamedTuple):
    """The objects of one module of Klipper.

    at_rest: their status while the printer is offline; a field that is not listed is None then.
    defaults: their settings until the printer has answered. added: settings that the user
    interfaces read, where this module has no such option or another form of it. refused: like
    commands, but with templates, which would be those of this printer: an error. Sources:
    docs/Status_Reference.md and docs/G-Codes.md of Klipper, src/store/printer/getters.ts of
    Mainsail.
    """

    at_rest: Mapping[str, Any] = {}
    defaults: Mapping[str, Any] = {}
    added: Mapping[str, Any] = {}
    commands: Tuple[DeviceCommand, ...] = ()
    refused: Tuple[DeviceCommand, ...] = ()
    is_sensor: bool = False  # whether it is listed with the temperature sensors from the start
    is_single: bool = False  # whether there is only one, which has the name of the module


_SET_LED = DeviceCommand("SET_LED", "LED", "Set the color of an LED", True)
_SET_LED_TEMPLATE = DeviceCommand("SET_LED_TEMPLATE", "LED", "Assign a display_template to an LED")
_SET_PIN = DeviceCommand("SET_PIN", "PIN", "Set the value of an output pin", True)
_FILAMENT_COMMANDS = (
    DeviceCommand("SET_FILAMENT_SENSOR", "SENSOR", "Sets the filament sensor on/off"),
    DeviceCommand("QUERY_FILAMENT_SENSOR", "SENSOR", "Query the status of the Filament Sensor"),
)

_TEMPERATURES = {"temperature": None, "measured_min_temp": None, "measured_max_temp": None}
_SENSOR = Kind(at_rest=_TEMPERATURES, is_sensor=True)
# Limits that no device exceeds: its own printer checks every target
_HEATER_LIMITS = {"min_temp": 0.0, "max_temp": 300.0}
_FAN = Kind(at_rest={"speed": 0.0, "rpm": None})
_LIGHT = Kind(
    at_rest={"color_data": [[0.0, 0.0, 0.0, 0.0]]},
    added={"color_order": ["RGB"]},
    commands=(_SET_LED,),
    refused=(_SET_LED_TEMPLATE,),
)
_PIN = Kind(at_rest={"value": 0.0}, defaults={"pwm": False, "scale": 1.0}, commands=(_SET_PIN,))
_FILAMENT_SENSOR = Kind(
    at_rest={"enabled": None, "filament_detected": None}, commands=_FILAMENT_COMMANDS
)

# The fields of Happy Hare's object that Mainsail's panel reads, without those that name a part that
# not every changer has (encoder, espooler, grip, servo). They must be there from the start: Klippy
# sends a client that has subscribed to all fields only those that the object had then.
_MMU_FIELDS: Mapping[str, Any] = dict.fromkeys([
    "enabled", "is_homed", "print_state", "num_gates", "unit", "gate", "tool", "last_tool",
    "next_tool", "num_toolchanges", "action", "operation", "reason_for_pause", "filament",
    "filament_pos", "filament_position", "filament_direction", "bowden_progress", "sensors",
    "ttg_map", "endless_spool_groups", "gate_status", "gate_filament_name", "gate_material",
    "gate_color", "gate_temperature", "gate_spool_id", "gate_speed_override", "has_bypass",
    "sync_drive", "spoolman_support", "slicer_tool_map", "sync_feedback_enabled",
    "sync_feedback_state", "sync_feedback_bias_modelled", "sync_feedback_flow_rate", "flowguard",
    "drying_state", "espooler_active",
])  # fmt: skip

KINDS: Mapping[str, Kind] = {
    "heater_generic": Kind(
        at_rest={"temperature": None, "target": 0.0, "power": 0.0},
        defaults=_HEATER_LIMITS,
        commands=(
            DeviceCommand("SET_HEATER_TEMPERATURE", "HEATER", "Sets a heater temperature"),
        ),
        is_sensor=True,
    ),
    "temperature_fan": Kind(
        at_rest={"temperature": None, "target": 0.0, "speed": 0.0, "rpm": None},
        defaults=_HEATER_LIMITS,
        commands=(
            DeviceCommand(
                "SET_TEMPERATURE_FAN_TARGET",
                "TEMPERATURE_FAN",
                "Sets a temperature fan target and fan speed limits",
            ),
        ),
        is_sensor=True,
    ),
    "temperature_sensor": _SENSOR,
    "temperature_probe": _SENSOR,
    "neopixel": _LIGHT._replace(defaults={"color_order": ["GRB"]}, added={}),
    "dotstar": _LIGHT,
    "pca9533": _LIGHT._replace(added={"color_order": ["RGBW"]}),
    "pca9632": _LIGHT._replace(added={"color_order": ["RGBW"]}),
    # Its settings name a pin for each color that it has
    "led": _LIGHT._replace(
        defaults={"red_pin": "", "green_pin": "", "blue_pin": ""}, added={}
    ),
    "led_effect": Kind(
        at_rest={"enabled": False},
        commands=(DeviceCommand("SET_LED_EFFECT", "EFFECT", "Starts or stops an LED effect"),),
    ),
    "fan_generic": _FAN._replace(
        commands=(DeviceCommand("SET_FAN_SPEED", "FAN", "Sets the speed of a fan", True),)
    ),
    "heater_fan": _FAN,
    "controller_fan": _FAN,
    "output_pin": _PIN,
    "pwm_tool": _PIN._replace(defaults={"pwm": True, "scale": 1.0}),
    "pwm_cycle_time": _PIN._replace(defaults={"pwm": True, "scale": 1.0}),
    "servo": Kind(
        at_rest={"value": 0.0},
        commands=(DeviceCommand("SET_SERVO", "SERVO", "Set servo angle", True),),
    ),
    "filament_switch_sensor": _FILAMENT_SENSOR,
    "filament_motion_sensor": _FILAMENT_SENSOR,
    "gcode_button": Kind(at_rest={"state": None}),
    "mmu": Kind(
        at_rest={**_MMU_FIELDS, "enabled": False, "gate_status": [], "gate_color": []},
        is_single=True,
    ),
    "gcode_macro": Kind(
        defaults={"gcode": ""},
        commands=(
            DeviceCommand("SET_GCODE_VARIABLE", "MACRO", "Set the value of a macro variable"),
        ),
    ),
}  # fmt: skip
UNKNOWN = Kind()


def kind_of(module: str) -> Kind:
    """The kind of this module's objects; UNKNOWN where it is not in the table."""
    return KINDS.get(module, UNKNOWN)


# Other modules of a Klippy find these objects by name and call their methods, also if they have no
# section: lookup_object("axis_twist_compensation", None)
CLAIMED = frozenset([
    "aio_executor", "axis_twist_compensation", "bed_mesh", "buttons", "canbus_ids", "configfile",
    "danger_options", "display_status", "display_template", "dockable_probe", "dual_carriage",
    "endstop_phase", "error_mcu", "exclude_object", "fan", "force_move", "gcode", "gcode_macro",
    "gcode_move", "heaters", "homing", "idle_timeout", "indx_factories", "input_shaper", "led",
    "manual_probe", "mcu", "motion_queuing", "motion_report", "pause_resume", "pid_calibrate",
    "pins", "print_stats", "probe", "query_adc", "query_endstops", "safe_z_home", "save_variables",
    "stepper_enable", "template_evaluator", "testing", "tmc_uart", "toolhead", "trad_rack",
    "tuning_tower", "virtual_sdcard", "webhooks",
])  # fmt: skip
# Modules of which a Klippy uses every object that there is
CLAIMED_MODULES = frozenset(["mcu", "manual_stepper"])
