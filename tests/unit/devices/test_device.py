"""One object of a peer as an object of this printer, and the config errors of its name."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import math

import pytest

from klippy_extras.router.devices.device import Device
from klippy_extras.router.devices.devices import Devices
from klippy_extras.router.devices.heaters import Heater
from klippy_extras.router.devices.lights import Light
from klippy_extras.router.devices.macros import Macro
from klippy_extras.router.settings import read_settings
from tests.unit.fake_klippy import CommandError, ConfigError, FakeConfig, FakeObject, Machine
from tests.unit.fake_printer import FakePrinter


class Equipped(Machine):
    """A machine with these objects of led. text: further sections."""

    def __init__(self, *lines, text="", afc=()):
        super().__init__()
        self.available_sensors = []
        self.heaters = {}
        self.printer.objects["heaters"] = self
        self.printer.objects["configfile"] = FakeObject(settings={}, config={})
        config = "[router]\n"
        for peer, objects in (("led", lines), ("afc", afc)):
            config += f"[router {peer}]\n" + "".join(
                ["objects:\n", *(f"    {o}\n" for o in objects)]
            )
        self.config = FakeConfig(self.printer, config + text).section("router")
        settings = read_settings(self.config, None)
        self.peers = {name: FakePrinter(name) for name in ("led", "afc")}
        self.led = self.peers["led"]
        self.all = Devices(self.peers, settings.peers)
        self.devices = self.all.all

    def registered(self):
        self.all.register(self.config)
        for device in self.devices:
            device.peer.listeners.append(device)
        self.printer.send_event("klippy:connect")
        return self

    def register_sensor(self, config, sensor):
        self.available_sensors.append(config.get_name())

    def status(self, name):
        return self.printer.objects[name].get_status(1.0)

    def reports(self, name, **fields):
        """led has a new status of its object."""
        for device in self.devices:
            if device.settings.source == name:
                device.update(1.0, {name: fields})


def equipped(*lines, **options):
    return Equipped(*lines, **options).registered()


# -- status


def test_it_is_at_rest_until_its_peer_has_answered():
    main = equipped("fan_generic exhaust", "ace")
    assert main.status("fan_generic exhaust") == {"speed": 0.0, "rpm": None}
    assert main.status("ace") == {}


def test_it_has_all_fields_of_the_peers_object_under_its_name_here():
    main = equipped("fan_generic exhaust as out")
    main.reports("fan_generic exhaust", speed=0.5, rpm=1200, power=1)
    assert main.status("fan_generic out") == {"speed": 0.5, "rpm": 1200, "power": 1}
    main.reports("fan_generic exhaust", speed=0.25)
    assert main.status("fan_generic out") == {"speed": 0.25, "rpm": 1200, "power": 1}
    assert "fan_generic exhaust" not in main.printer.objects


def test_a_change_is_a_new_dict_in_which_only_what_changed_is_new():
    """Klippy compares each field with what it has sent last."""
    main = equipped("ace")
    main.reports("ace", gates=[1, 2], tool=0)
    before = main.status("ace")
    copy = dict(before)
    main.reports("ace", tool=1)
    after = main.status("ace")
    assert before == copy and after == {"gates": [1, 2], "tool": 1}
    assert after["gates"] is before["gates"]
    assert main.status("ace") is after


def test_what_json_cannot_have_does_not_get_into_it():
    main = equipped("ace")
    deep = value = []
    for _level in range(100):
        value.append([])
        value = value[0]
    main.reports("ace", a=math.nan, b=[math.inf], c="\ud800", d=2**80, deep=deep)
    status = main.status("ace")
    assert status == {"a": None, "b": [None], "c": "\ufffd", "d": float(2**80), "deep": None}
    json.dumps(status, allow_nan=False).encode()


def test_a_field_that_the_peers_object_no_longer_has_is_at_rest():
    main = equipped("fan_generic exhaust", "ace")
    main.reports("fan_generic exhaust", speed=0.5, rpm=1200)
    main.reports("fan_generic exhaust", speed=None, rpm=None)
    assert main.status("fan_generic exhaust") == {"speed": 0.0, "rpm": None}
    main.reports("ace", tool=3)
    main.reports("ace", tool=None, slots=4)
    assert main.status("ace") == {"tool": None, "slots": 4}


@pytest.mark.parametrize(
    ("line", "fields", "offline"),
    [
        ("fan_generic x", {"speed": 1.0, "rpm": 9}, {"speed": 0.0, "rpm": None}),
        ("output_pin x", {"value": 1.0}, {"value": 0.0}),
        ("servo x", {"value": 0.5}, {"value": 0.0}),
        (
            "temperature_fan x",
            {"temperature": 30.0, "target": 40.0, "speed": 1.0},
            {"temperature": None, "target": 0.0, "speed": 0.0, "rpm": None},
        ),
        (
            "filament_switch_sensor x",
            {"enabled": True, "filament_detected": True},
            {"enabled": None, "filament_detected": None},
        ),
        ("gcode_button x", {"state": "PRESSED"}, {"state": None}),
        ("led_effect x", {"enabled": True}, {"enabled": False}),
        ("gcode_macro X", {"speed": 5, "text": "a"}, {"speed": None, "text": None}),
        ("ace", {"tool": 1}, {"tool": None}),
        ("neopixel x", {"color_data": [[1, 1, 1, 0]] * 2}, {"color_data": [[0.0] * 4] * 2}),
    ],
)
def test_nothing_is_stale_while_the_peer_is_offline(line, fields, offline):
    main = equipped(line)
    main.led.connects()
    main.reports(line, **fields)
    main.led.shuts_down("M112")
    assert main.status(line).items() >= fields.items()  # it is still read there
    main.led.disconnects()
    assert main.status(line) == offline
    main.led.connects()
    main.reports(line, **fields)
    assert main.status(line).items() >= fields.items()


# -- temperatures


def test_it_is_listed_as_a_sensor_if_its_kind_has_a_temperature():
    main = equipped("temperature_sensor box", "output_pin x", "temperature_fan cool as f")
    assert main.available_sensors == ["temperature_sensor box", "temperature_fan f"]


def test_an_object_of_unknown_kind_is_listed_once_when_its_temperature_is_first_seen():
    main = equipped("bme280 box")
    assert main.available_sensors == []
    main.reports("bme280 box", pressure=1013.0, temperature=None)
    assert main.available_sensors == []
    before = main.available_sensors
    main.reports("bme280 box", temperature=21.0)
    main.reports("bme280 box", temperature=22.0)
    assert main.available_sensors == ["bme280 box"]
    # Klippy sends a list only if it is not equal to the last one, which must not be this one
    assert main.available_sensors is not before


def test_a_macro_with_a_variable_of_this_name_is_no_sensor():
    main = equipped("gcode_macro PREHEAT")
    main.reports("gcode_macro PREHEAT", temperature=60)
    assert main.available_sensors == []
    assert main.status("gcode_macro PREHEAT") == {"temperature": 60}


def test_also_if_its_status_arrives_before_klippy_has_connected():
    """An object of unknown kind is registered only at klippy:connect."""
    main = Equipped("dryer")
    main.all.register(main.config)
    main.reports("dryer", temperature=40.0)
    assert main.available_sensors == [] and main.console == []
    main.printer.send_event("klippy:connect")
    assert main.available_sensors == ["dryer"]
    assert main.status("dryer") == {"temperature": 40.0}


def test_temperature_wait_reads_temperature_and_target():
    main = equipped("temperature_fan cool")
    (device,) = main.devices
    with pytest.raises(CommandError, match="^led is not connected$"):
        device.get_temp(1.0)
    main.led.connects()
    with pytest.raises(CommandError, match="^led: temperature_fan cool is not known$"):
        device.get_temp(10.0)
    main.reports("temperature_fan cool", temperature=30.0, target=45.0)
    assert device.get_temp(20.0) == (30.0, 45.0)


SECTION = "[temperature_sensor all]\nsensor_list: {}\n"


@pytest.mark.parametrize("name", ["temperature_sensor box", "extruder, temperature_sensor box"])
def test_a_section_that_would_use_it_to_control_something_is_refused(name):
    with pytest.raises(ConfigError) as error:
        equipped("temperature_sensor box", text=SECTION.format(name))
    for word in (
        "'sensor_list'",
        "'temperature_sensor all'",
        "'led'",
        "may be offline",
        "'objects'",
    ):
        assert word in str(error.value)


def test_a_section_of_this_printer_that_is_called_like_it_may_be_used():
    text = "[extruder]\n" + SECTION.format("extruder")
    equipped("temperature_sensor extruder", text=text)


# -- which class


def test_heaters_lights_and_macros_are_more_than_a_device():
    lines = (
        "heater_generic chamber",
        "neopixel strip",
        "led lamp",
        "gcode_macro A",
        "led_effect b",
    )
    classes = [type(device) for device in equipped(*lines).devices]
    assert classes == [Heater, Light, Light, Macro, Device]


def test_kalico_cannot_reload_a_macro_from_a_section_that_was_added():
    (macro,) = equipped("gcode_macro A as B").devices
    with pytest.raises(CommandError) as error:
        macro.template.reload("jinja", "M118")
    assert str(error.value) == (
        "Section 'gcode_macro B' has the name of an object in option 'objects' in section 'router"
        " led': give one of them another name"
    )


# -- names


def refused(*lines, **options):
    with pytest.raises(ConfigError) as error:
        equipped(*lines, **options)
    return str(error.value)


@pytest.mark.parametrize("name", ["toolhead", "configfile", "bed_mesh", "axis_twist_compensation"])
def test_a_name_that_klippers_modules_look_up_is_refused(name):
    message = refused(name)
    assert f"Object '{name}' in option 'objects' in section 'router led'" in message
    assert message.endswith(f"write '{name} as led_{name}'")
    main = equipped(f"{name} as led_{name}")
    main.reports(name, a=1)
    assert main.status(f"led_{name}") == {"a": 1}


def test_nothing_may_be_renamed_to_one_either():
    assert "write 'mmu as led_toolhead'" in refused("mmu as toolhead")


@pytest.mark.parametrize("line", ["mcu board", "manual_stepper lane", "mcu board as x"])
def test_modules_of_which_klippy_uses_every_object_are_refused(line):
    message = refused(line)
    assert "name it in option 'mirror'" in message and "'router led'" in message


@pytest.mark.parametrize("line", ["neopixel", "heater_generic as chamber", "temperature_sensor"])
def test_a_kind_without_a_name_is_refused(line):
    module = line.split()[0]
    assert f"Object '{module}' in option 'objects' in section 'router led' has no name: write" in (
        refused(line)
    )


@pytest.mark.parametrize("section", ["neopixel strip", "dotstar strip", "led strip"])
def test_one_name_for_two_leds_is_refused(section):
    message = refused("neopixel strip", text=f"[{section}]\n")
    assert message.startswith("Object 'neopixel strip' in option 'objects' ")
    assert "'router led'" in message and message.endswith("as in 'neopixel strip as led_strip'")


@pytest.mark.parametrize("section", ["extruder", "heater_bed"])
def test_a_heater_cannot_have_the_name_of_the_heater_of_a_section(section):
    message = refused(f"heater_generic {section}", text=f"[{section}]\n")
    assert f"its commands are those of section '{section}'" in message
    equipped(f"output_pin {section}", text=f"[{section}]\n")


def test_a_driver_cannot_be_that_of_a_stepper_of_this_printer():
    message = refused("tmc2209 stepper_x", text="[stepper_x]\n[tmc5160 stepper_x]\n")
    assert "it would be the driver of section 'stepper_x'" in message
    assert message.endswith("as in 'tmc2209 stepper_x as led_stepper_x'")
    equipped("tmc2209 stepper_x", text="[stepper_y]\n")


def test_other_modules_may_have_the_name():
    equipped("neopixel strip", text="[output_pin strip]\n[heater_fan strip]\n")


@pytest.mark.parametrize("is_at_connect", [False, True])
def test_an_object_that_klippy_has_made_without_a_section_is_not_replaced(is_at_connect):
    name = "statistics" if is_at_connect else "temperature_sensor host"
    main = Equipped(name)
    own = main.printer.objects[name] = FakeObject()
    with pytest.raises(ConfigError) as error:
        main.registered()
    assert "this printer has an object of this name" in str(error.value)
    assert f"as in '{name} as led_{name.split()[-1]}'" in str(error.value)
    assert main.printer.objects[name] is own


def test_two_peers_need_two_names():
    message = refused("fan_generic out", afc=["fan_generic out"])
    assert message == (
        "The object 'fan_generic out' in option 'objects' of section 'router afc' already exists,"
        " in section 'router led': define it only once, or give it another name, as in"
        " 'fan_generic out as afc_out'"
    )
    main = equipped("fan_generic out", afc=["fan_generic out as afc_out"])
    main.reports("fan_generic out", speed=1.0)
    assert {"fan_generic out", "fan_generic afc_out"} <= main.printer.objects.keys()
