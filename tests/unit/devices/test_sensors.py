"""Temperatures of a peer as sensors of this printer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import math

import pytest

from klippy_extras.router.devices.sensors import RemoteSensor
from tests.unit.fake_klippy import CommandError, ConfigError, FakeConfig, Machine
from tests.unit.fake_printer import FakePrinter

CONFIG = """
[router]
[router led]
"""


class Sensed(Machine):
    """A machine with the sensor chamber of led."""

    def __init__(self, text=CONFIG):
        super().__init__()
        self.registered, self.available_sensors = [], []
        self.printer.objects["heaters"] = self
        self.led = FakePrinter("led").connects()
        self.sensor = RemoteSensor("chamber", self.led, "heater_bed", "temperature", "sensors")
        self.led.listeners.append(self.sensor)
        self.sensor.register(FakeConfig(self.printer, text).section("router"))

    def register_sensor(self, config, sensor):
        self.registered.append((config.get_name(), sensor))

    def reads(self, *temperatures):
        for temperature in temperatures:
            self.sensor.update(1.0, {"heater_bed": {"temperature": temperature}})

    def status(self):
        status = self.sensor.get_status(1.0)
        return tuple(
            status[name] for name in ("temperature", "measured_min_temp", "measured_max_temp")
        )


def test_klipper_knows_it_as_a_temperature_sensor():
    main = Sensed()
    assert main.registered == [("temperature_sensor chamber", main.sensor)]
    assert main.printer.objects["temperature_sensor chamber"] is main.sensor


def test_it_has_the_temperature_of_the_peer_and_its_extremes():
    main = Sensed()
    assert main.status() == (None, None, None)
    main.reads(21.456)
    assert main.status() == (21.46, 21.46, 21.46)
    main.reads(30, 25.0)
    assert main.status() == (25.0, 21.46, 30.0)
    assert main.sensor.get_temp(1.0) == (25.0, 0.0)
    assert main.sensor.stats(1.0) == (False, "chamber: temp=25.0")


def test_zero_is_a_temperature_but_not_an_extreme():
    main = Sensed()
    main.reads(0.0)
    assert main.status() == (0.0, None, None)
    main.reads(20.0, 0.0)
    assert main.status() == (0.0, 20.0, 20.0)


@pytest.mark.parametrize("value", [None, "21.0", True, math.nan, math.inf, [21.0], {}])
def test_a_value_that_is_not_a_number_is_unknown(value):
    main = Sensed()
    main.reads(20.0, value)
    assert main.status() == (None, 20.0, 20.0)
    assert main.sensor.stats(1.0) == (False, "")
    json.dumps(main.sensor.get_status(1.0), allow_nan=False)
    with pytest.raises(CommandError, match="^led: heater_bed.temperature is not known$"):
        main.sensor.get_temp(1.0)


def test_other_objects_and_fields_are_ignored():
    main = Sensed()
    main.reads(20.0)
    main.sensor.update(1.0, {"extruder": {"temperature": 200.0}})
    assert main.status()[0] is None


def test_an_offline_peer_has_no_temperature():
    main = Sensed()
    main.reads(20.0)
    main.led.shuts_down("M112")
    assert main.status()[0] == 20.0  # it is still read there
    with pytest.raises(CommandError, match=r"^led is not ready \(shutdown: M112\)$"):
        main.sensor.get_temp(1.0)
    main.led.disconnects()
    assert main.status() == (None, 20.0, 20.0)
    with pytest.raises(CommandError, match="^led is not connected$"):
        main.sensor.get_temp(1.0)


@pytest.mark.parametrize(
    "section",
    [
        "[temperature_sensor all]\nsensor_list: temperature_sensor chamber, extruder",
        "[heater_bed]\nambient_temp_sensor: temperature_sensor chamber",
        "[heater_bed]\ninner_sensor_name: chamber",
    ],
)
def test_it_cannot_control_a_heater_or_fan(section):
    with pytest.raises(ConfigError, match="cannot use 'temperature_sensor chamber'"):
        Sensed(CONFIG + section)


def test_a_section_that_uses_other_sensors_is_accepted():
    Sensed(CONFIG + "[temperature_sensor all]\nsensor_list: temperature_sensor chamber_2, extruder")
