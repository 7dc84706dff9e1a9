"""A picture of a peer's devices in Mainsail, and what examples/pictures/ has of such pictures."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest
from playwright.sync_api import expect

from tests.lab import config
from tests.lab.klippers import ROOT
from tests.system.macros import router_section, wait_known

PICTURES = ROOT / "examples/pictures"
MAX_SIZE = 150 * 1024

OBJECTS = """objects:
    heater_generic chamber
    neopixel strip as cabinet
    fan_generic exhaust
    output_pin filter
    filament_switch_sensor dryer
    gcode_macro PURGE_AIR
"""
DEVICES = """
[fan_generic exhaust]
pin: gpio30
[output_pin filter]
pin: gpio31
[filament_switch_sensor dryer]
switch_pin: gpio41
pause_on_runout: False
[gcode_macro PURGE_AIR]
description: Run the exhaust fan for some minutes
gcode:
    SET_FAN_SPEED FAN=exhaust SPEED={params.SPEED|default(1)}
"""
SCENE = """
SET_HEATER_TEMPERATURE HEATER=chamber TARGET=45
SET_LED LED=strip RED=1 GREEN=0.7 BLUE=0.3
SET_FAN_SPEED FAN=exhaust SPEED=0.4
SET_PIN PIN=filter VALUE=1
"""
# Only the panels with these devices, and the dialog of the light below the temperatures
STYLE = """
main .panel:not(.temperature-panel):not(.miscellaneous-panel):not(.macros-panel) {display: none}
.panel {margin-bottom: 12px !important}
.temperature-panel hr, .temperature-panel hr ~ * {display: none !important}
.v-overlay {display: none !important}
.v-dialog__content {align-items: flex-start; justify-content: flex-end}
.v-dialog {margin: 285px 100px !important}
"""


@pytest.fixture(scope="module")
def main(shared_lab):
    sections = "[router]\n" + router_section(shared_lab, "enclosure", OBJECTS)
    main = shared_lab.main(config.ordinary(sections), mcu="fake")
    shared_lab.peer("enclosure", config.heating(DEVICES), mcu="fake")
    shared_lab.wait_ready()
    wait_known(main, "enclosure")
    return main


def test_devices(main, shared_lab, dashboard, pictures):
    peer = shared_lab.printers["enclosure"]
    for pin, value in (("gpio21", 41.3), ("gpio41", 1)):
        peer.set_pin(pin, value)
    main.set_pin("gpio29", 60)
    main.script("SET_HEATER_TEMPERATURE HEATER=heater_bed TARGET=60")
    peer.script(SCENE)
    expect(dashboard.temperature("Chamber")).to_have_text("41.3°C")
    expect(dashboard.target("Chamber")).to_have_value("45")
    expect(dashboard.target("Heater Bed")).to_have_value("60")
    expect(dashboard.device("Dryer")).to_contain_text("detected")
    expect(dashboard.device("Exhaust").locator("input")).to_have_value("40")
    dashboard.page.add_style_tag(content=STYLE)
    dashboard.light_color("Cabinet").click()
    dashboard.page.wait_for_timeout(500)  # until the dialog has faded in
    place = dashboard.page.locator("main .row").first.bounding_box()
    place["height"] += 50  # of the dialog
    dashboard.page.screenshot(path=pictures / "mainsail_devices.png", clip=place)


@pytest.mark.parametrize("path", sorted(PICTURES.glob("*")), ids=lambda path: path.name)
def test_they_are_small(path):
    assert path.stat().st_size <= MAX_SIZE
