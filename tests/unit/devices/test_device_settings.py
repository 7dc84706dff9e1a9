"""The settings of devices in what this printer reports of its config."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import math

import pytest

from klippy_extras.router.devices.device import Device
from klippy_extras.router.devices.device_settings import DeviceSections
from klippy_extras.router.errors import RouterError
from klippy_extras.router.option_lists import DeviceSettings
from tests.unit.fake_klippy import FakeObject
from tests.unit.fake_printer import FakePrinter

OWN = {"settings": {"fan": {"max_power": 1.0}}, "config": {"fan": {"pin": "gpio1"}}}
STRIP = DeviceSettings("neopixel strip", "neopixel", "strip", "neopixel Cabinet", "Cabinet")
LAMP = DeviceSettings("dotstar lamp", "dotstar", "lamp", "dotstar lamp", "lamp")
PIN = DeviceSettings("output_pin relay", "output_pin", "relay", "output_pin relay", "relay")
MMU = DeviceSettings("mmu", "mmu", "", "mmu", "mmu")


class Configured:
    """The configfile object of a printer with these devices of led."""

    def __init__(self, *settings):
        self.led, self.afc = FakePrinter("led"), FakePrinter("afc")
        self.sections = DeviceSections([Device(self.led, one) for one in settings])
        self.own = {**OWN, "warnings": []}
        self.configfile = FakeObject()
        self.configfile.get_status = lambda eventtime: dict(self.own)
        self.sections.register(self.configfile)
        for peer in (self.led, self.afc):
            peer.listeners.append(self.sections)

    def has(self, settings):
        """led has these settings and is ready."""
        self.led.objects["configfile"] = {"settings": settings}
        self.led.connects()
        return self

    def get(self, part="settings"):
        return self.configfile.get_status(1.0)[part]


def test_they_have_the_defaults_of_their_kind_before_the_peer_has_ever_connected():
    main = Configured(STRIP, PIN, MMU)
    assert main.get() == {
        **OWN["settings"],
        "neopixel cabinet": {"color_order": ["GRB"]},
        "output_pin relay": {"pwm": False, "scale": 1.0},
        "mmu": {},
    }
    # There, names are as in the file, and values are text
    assert main.get("config") == {
        **OWN["config"],
        "neopixel Cabinet": {"color_order": "GRB"},
        "output_pin relay": {"pwm": "False", "scale": "1.0"},
        "mmu": {},
    }
    assert main.get("warnings") == []


def test_then_they_have_the_peers_own():
    main = Configured(STRIP, PIN, MMU)
    main.has(
        {
            "neopixel strip": {"color_order": ["RGBW", "GRB"], "chain_count": 2},
            "output_pin relay": {"pwm": True},
            "fan": {"max_power": 0.1},
        }
    )
    assert main.get() == {
        **OWN["settings"],
        "neopixel cabinet": {"color_order": ["RGBW", "GRB"], "chain_count": 2},
        "output_pin relay": {"pwm": True},
        "mmu": {},
    }
    assert main.get("config")["neopixel Cabinet"] == {
        "color_order": "RGBW, GRB",
        "chain_count": "2",
    }


def test_what_the_interfaces_need_and_the_module_has_not_is_added():
    main = Configured(LAMP).has({"dotstar lamp": {"chain_count": 3}})
    assert main.get()["dotstar lamp"] == {"color_order": ["RGB"], "chain_count": 3}


def test_sections_of_this_printer_are_never_replaced():
    main = Configured(PIN)
    main.own["settings"] = {"output_pin relay": {"pwm": True}}
    assert main.get()["output_pin relay"] == {"pwm": True}


def test_names_are_lower_case_there_as_in_klipper():
    upper = DeviceSettings("gcode_macro SHOW", "gcode_macro", "SHOW", "gcode_macro SAY", "SAY")
    main = Configured(upper)
    assert main.get() == {**OWN["settings"], "gcode_macro say": {"gcode": ""}}
    main.has({"gcode_macro show": {"gcode": "M118 {params.X|default(1)}"}})
    assert main.get()["gcode_macro say"] == {"gcode": "M118 {params.X|default(1)}"}


def test_they_are_read_once_whenever_the_peers_klippy_has_started():
    main = Configured(PIN).has({"output_pin relay": {"pwm": True}})
    main.led.objects["configfile"] = {"settings": {}}
    main.led.disconnects()
    assert main.get()["output_pin relay"] == {"pwm": True}  # limits do not depend on it
    main.led.connects()
    assert len(main.led.queries) == 1
    main.led.disconnects()
    main.led.restarts()
    main.led.connects()
    assert len(main.led.queries) == 2
    assert main.get()["output_pin relay"] == {"pwm": False, "scale": 1.0}


def test_other_peers_are_not_read():
    main = Configured(PIN)
    main.afc.connects()
    assert main.afc.queries == []


def test_the_status_is_the_same_object_until_something_changes():
    """Klippy compares it with the last one, which is long."""
    main = Configured(PIN)
    first = main.get()
    assert main.get() is first
    main.has({"output_pin relay": {"pwm": True}})
    second = main.get()
    assert second is not first and main.get() is second
    main.own["settings"] = {}
    assert main.get() == {"output_pin relay": {"pwm": True}}


@pytest.mark.parametrize("answer", [{}, {"settings": None}, {"settings": []}])
def test_an_answer_without_settings_leaves_the_defaults(answer):
    main = Configured(PIN, LAMP)
    main.led.objects["configfile"] = answer
    main.led.connects()
    assert main.get()["output_pin relay"] == {"pwm": False, "scale": 1.0}
    assert main.get()["dotstar lamp"] == {"color_order": ["RGB"]}
    assert main.led.hinted == []


def test_values_that_json_does_not_have_are_made_plain():
    main = Configured(PIN).has({"output_pin relay": {"scale": math.inf, "value": "\ud800"}})
    assert main.get()["output_pin relay"] == {"scale": None, "value": "\ufffd"}


@pytest.mark.parametrize("section", [None, [], "pwm"])
def test_a_section_that_is_malformed_leaves_the_defaults(section):
    main = Configured(PIN).has({"output_pin relay": section})
    assert main.get()["output_pin relay"] == {"pwm": False, "scale": 1.0}


class FailingPrinter(FakePrinter):
    """Cannot be read. at_once: already when it is asked."""

    def __init__(self, at_once):
        super().__init__("led")
        self.at_once, self.asked = at_once, []

    def query_objects(self, objects, done):
        if self.at_once:
            raise RouterError("led is busy")
        self.asked.append(done)


@pytest.mark.parametrize("at_once", [False, True])
def test_settings_that_cannot_be_read_are_one_line_and_read_again_later(at_once):
    led = FailingPrinter(at_once)
    sections = DeviceSections([Device(led, PIN)])
    led.listeners.append(sections)
    for _connection in range(2):
        led.connects()
        for done in led.asked:
            done(None, RouterError("led sent a message of more than 65536 bytes"))
        led.asked = []
        led.disconnects()
    (line,) = led.hinted
    assert line.startswith(
        "Router: option 'objects' in section 'router led': user interfaces show its devices with"
        " default limits, because its settings were not read: led "
    )


def test_a_query_that_ends_with_the_connection_is_no_line():
    led = FailingPrinter(at_once=False)
    sections = DeviceSections([Device(led, PIN)])
    led.listeners.append(sections)
    led.connects()
    led.disconnects()
    led.asked[0](None, led.not_ready())
    assert led.hinted == []
