"""Objects of a peer whose names are in use on the host: config errors with the way out."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import List, NamedTuple

import pytest

from tests.lab import config
from tests.system.macros import router_section

STRIP = "neopixel strip"
THERMISTOR = "[thermistor fake]\ntemperature1: 25\nresistance1: 100000\nbeta: 3950\n"
HEATER = """
[{}]
heater_pin: gpio30
sensor_type: fake
sensor_pin: gpio31
control: watermark
min_temp: 0
max_temp: 120
"""
COMBINED = """
[temperature_sensor both]
sensor_type: temperature_combined
sensor_list: heater_generic hot, {}
combination_method: max
maximum_deviation: 999
"""


class Case(NamedTuple):
    """Lines of option objects of led (and of afc), sections of the host, words of the error."""

    objects: str
    sections: str
    words: List[str]
    afc: str = ""


CASES = {
    "own section": Case(
        STRIP, "[neopixel strip]\npin: gpio1\n", [STRIP, "neopixel strip as led_strip"]
    ),
    "renamed to own section": Case(
        "neopixel strip as own", "[neopixel own]\npin: gpio1\n", ["neopixel strip as led_own"]
    ),
    "same LED in another module": Case(
        STRIP, "[led strip]\nred_pin: gpio1\n", ["'led strip'", "neopixel strip as led_strip"]
    ),
    "same pin in another module": Case(
        "pwm_tool x", "[output_pin x]\npin: gpio1\n", ["'output_pin x'", "pwm_tool x as led_x"]
    ),
    "temperature sensor": Case(
        "extruder as hot",
        "[temperature_sensor hot]\nsensor_type: fake\nsensor_pin: gpio31\n",
        ["'temperature_sensor hot'", "extruder as led_hot"],
    ),
    "heater with a section of its own": Case(
        "heater_generic heater_bed",
        HEATER.format("heater_bed"),
        ["'heater_generic heater_bed'", "heater_generic heater_bed as led_heater_bed"],
    ),
    "two peers": Case(STRIP, "", ["'router led'", "neopixel strip as afc_strip"], STRIP),
    "two peers, two modules": Case(
        STRIP, "", ["already registered", "dotstar strip as afc_strip"], "dotstar strip"
    ),
    "looked up by Klipper": Case("toolhead", "", ["toolhead as led_toolhead"]),
    "looked up without a section": Case("bed_mesh", "", ["bed_mesh as led_bed_mesh"]),
    "made by Klipper": Case("statistics", "", ["has an object of this name", "as led_statistics"]),
    "mcu": Case("mcu board", "", ["'mcu board'", "name it in option 'mirror'"]),
    "manual_stepper": Case("manual_stepper a as b", "", ["name it in option 'mirror'"]),
    "no name": Case("neopixel", "", ["has no name", "'neopixel NAME'"]),
    "made by a sensor": Case(
        "temperature_host pi",
        "[temperature_sensor pi]\nsensor_type: temperature_host\n",
        ["has an object of this name", "temperature_host pi as led_pi"],
    ),
    "sensor of a heater or fan": Case(
        "temperature_sensor box",
        HEATER.format("heater_generic hot") + COMBINED.format("temperature_sensor box"),
        ["'sensor_list'", "'temperature_sensor box'", "may be offline"],
    ),
}


def sections(lab, case, is_first):
    """The sections of this host; those of the router first or last."""
    router = router_section(lab, "led", f"objects:\n    {case.objects}")
    router += router_section(lab, "afc", f"objects: {case.afc}")
    parts = [router, THERMISTOR + case.sections]
    return "".join(parts if is_first else parts[::-1])


@pytest.fixture(scope="module")
def printer(kind, shared_lab):
    return shared_lab.add(kind, "main", "")


# Both orders of sections, where there is something to be ordered
ORDERS = [(name, True) for name in CASES] + [(n, False) for n, c in CASES.items() if c.sections]


@pytest.mark.parametrize("name, is_first", ORDERS)
def test_a_name_that_is_in_use_is_a_config_error_with_the_way_out(
    printer, shared_lab, name, is_first
):
    """Whether the router's sections are the first or the last of the file."""
    case = CASES[name]
    printer.write_config(config.minimal(sections(shared_lab, case, is_first)))
    if printer.process is None:
        printer.start()
    else:
        printer.begin_restart()
    printer.wait_state("error")
    message = printer.call("info")["state_message"]
    section = "'router afc'" if case.afc else "'router led'"
    for word in ["'objects'", section, *case.words]:
        assert word in message


FREE = Case(
    "\n    ".join(
        [
            "neopixel strip",  # there is another kind of object with this name
            "neopixel lights as led_lights",
            "toolhead as led_toolhead",
            "heater_bed",  # its last word is in sensor_list
            "dotstar x as dots",
        ]
    ),
    "[output_pin strip]\npin: gpio1\n[led lights]\nred_pin: gpio2\n"
    + HEATER.format("heater_bed")
    + HEATER.format("heater_generic hot").replace("gpio30", "gpio32").replace("gpio31", "gpio33")
    + COMBINED.format("heater_bed"),
    [],
    "dotstar x",
)


def test_a_name_that_is_free_is_accepted(kind, lab):
    text = config.minimal(sections(lab, FREE, is_first=True), "fake")
    printer = lab.printer(kind, "main", text, mcu="fake").wait_ready()
    printer.write_config(config.minimal(sections(lab, FREE, is_first=False), "fake"))
    printer.restart()
    names = {"neopixel strip", "neopixel led_lights", "led_toolhead", "dotstar dots", "dotstar x"}
    assert names <= set(printer.call("objects/list")["objects"])
