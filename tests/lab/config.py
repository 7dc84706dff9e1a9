"""Printer configurations for printers without hardware, on every kind of Klipper."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.

_MINIMAL = """\
[mcu]
serial: {serial}
[printer]
kinematics: none
max_velocity: 300
max_accel: 3000
"""

_PRINTING = """\
[virtual_sdcard]
path: @FOLDER@/gcodes
[pause_resume]
[display_status]
[respond]
"""

_THERMISTOR = """\
[thermistor fake]
temperature1: 25
resistance1: 100000
beta: 3950
"""

_CHAMBER = """\
[heater_generic chamber]
heater_pin: gpio20
sensor_type: fake
sensor_pin: gpio21
control: watermark
min_temp: 0
max_temp: 120
[neopixel strip]
pin: gpio1
chain_count: 20
"""

_STEPPERS = """\
[stepper_x]
step_pin: gpio2
dir_pin: gpio3
enable_pin: !gpio4
microsteps: 16
rotation_distance: 40
endstop_pin: ^gpio14
position_endstop: 0
position_max: 200
homing_speed: 50
[stepper_y]
step_pin: gpio5
dir_pin: !gpio6
enable_pin: !gpio7
microsteps: 16
rotation_distance: 40
endstop_pin: ^gpio15
position_endstop: 0
position_max: 200
homing_speed: 50
[stepper_z]
step_pin: gpio8
dir_pin: gpio9
enable_pin: !gpio10
microsteps: 16
rotation_distance: 8
endstop_pin: ^!gpio16
position_endstop: 0.5
position_max: 200
"""

_REST = """\
[extruder]
step_pin: gpio11
dir_pin: gpio12
enable_pin: !gpio13
microsteps: 16
rotation_distance: 33.5
nozzle_diameter: 0.4
filament_diameter: 1.75
heater_pin: gpio26
sensor_type: fake
sensor_pin: gpio27
control: watermark
min_temp: 0
max_temp: 250
[heater_bed]
heater_pin: gpio28
sensor_type: fake
sensor_pin: gpio29
control: watermark
min_temp: 0
max_temp: 130
[fan]
pin: gpio30
[gcode_button knob]
pin: ^gpio31
press_gcode:
"""

_PRINT_MACROS = "".join(
    f"[gcode_macro {name}]\nrename_existing: BASE_{name}\ngcode:\n    BASE_{name}\n"
    for name in ("PAUSE", "RESUME", "CANCEL_PRINT")
)


def minimal(extra: str = "", mcu: str = "none") -> str:
    """The smallest printer, with the sections `extra` behind; `mcu` as in LabPrinter.

    It has no [respond], hence no M118.
    """
    return _MINIMAL.format(serial="@MCU@" if mcu == "fake" else "/dev/none") + extra


def printing(extra: str = "", mcu: str = "none") -> str:
    """A printer without kinematics that prints files of @FOLDER@/gcodes.

    It has virtual_sdcard (print_stats with it), pause_resume, display_status and respond. Moves
    take their time on the emulated MCU, though nothing moves.
    """
    return minimal(_PRINTING + extra, mcu)


def heating(extra: str = "") -> str:
    """printing() on the emulated MCU, with `heater_generic chamber` (sensor on gpio21) and a
    `neopixel strip` of 20 (pin gpio1)."""
    return printing(_THERMISTOR + _CHAMBER + extra, "fake")


def moving(extra: str = "") -> str:
    """printing() on the emulated MCU, with three steppers and their endstops."""
    return _corexy(printing(_STEPPERS + extra, "fake"))


def ordinary(extra: str = "") -> str:
    """A printer as most are, with what interfaces ask for: moving() with extruder (sensor gpio27),
    bed (gpio29), fan, and macros to pause, resume and cancel a print; no chamber, no light."""
    return moving(_THERMISTOR + _REST + _PRINT_MACROS + extra)


def whole(extra: str = "") -> str:
    """heating() with steppers, endstops, extruder (sensor gpio27), bed (gpio29), fan and button."""
    return _corexy(heating(_STEPPERS + _REST + extra))


def _corexy(text: str) -> str:
    """With the kinematics that every kind has: cartesian of the 2023 Klipper cannot be imported."""
    limits = "kinematics: corexy\nmax_z_velocity: 10\nmax_z_accel: 100"
    return text.replace("kinematics: none", limits, 1)
