"""The option 'sensors' in Mainsail: a peer's temperature in the panel of temperatures."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest
from playwright.sync_api import expect

from tests.lab import config
from tests.system.macros import check_log, router_section, wait_known

SENSORS = "sensors:\n    chamber: heater_generic chamber\n"
CHAMBER_PIN = "gpio21"


@pytest.fixture(scope="module")
def main(shared_lab):
    sections = "[router]\n" + router_section(shared_lab, "led", SENSORS)
    return shared_lab.main(config.ordinary(sections), mcu="fake").wait_ready()


@pytest.fixture(scope="module")
def led(main, shared_lab):
    led = shared_lab.peer("led", config.heating(), mcu="fake").wait_ready()
    wait_known(main, "led")
    return led


def test_a_sensor_of_a_peer_is_shown(main, led, dashboard):
    row = dashboard.temperature("Chamber")
    for temperature in (41, 28):
        led.set_pin(CHAMBER_PIN, temperature)
        expect(row).to_have_text(f"{temperature}.0°C")
    expect(dashboard.temperature("Extruder")).to_have_text("25.0°C")

    led.kill()
    expect(row).to_have_text("--°C")
    expect(dashboard.temperature("Extruder")).to_have_text("25.0°C")

    led.start()
    expect(row).to_have_text("28.0°C")
    check_log(main)


def test_a_sensor_is_shown_by_a_page_that_is_opened_while_the_peer_is_offline(main, led, dashboard):
    row = dashboard.temperature("Chamber")
    led.set_pin(CHAMBER_PIN, 28)
    expect(row).to_have_text("28.0°C")
    led.kill()
    expect(row).to_have_text("--°C")
    dashboard.reload()
    expect(row).to_have_text("--°C")
    led.start()
    expect(row).to_have_text("28.0°C")
