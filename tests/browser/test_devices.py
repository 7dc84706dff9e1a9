"""The option 'objects' in Mainsail: a peer's devices are shown and used as the printer's own."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest
from playwright.sync_api import expect

from tests.browser.dashboard import SWITCH_OFF, SWITCH_ON
from tests.lab import config
from tests.lab.waiting import wait_until
from tests.system.macros import check_log, router_section, wait_known

OBJECTS = """objects:
    heater_generic chamber
    neopixel strip as cabinet
    fan_generic exhaust
    output_pin lamp
    output_pin dimmer
    filament_switch_sensor runout
    gcode_macro BLINK as BLINK_CABINET
    led shelf
    temperature_fan electronics
"""
# Of the kinds that the peer has, one is the printer's own
OWN = """
[neopixel nozzle]
pin: gpio33
[fan_generic board]
pin: gpio34
[output_pin relay]
pin: gpio35
"""
DEVICES = """
[fan_generic exhaust]
pin: gpio30
[output_pin lamp]
pin: gpio31
[output_pin dimmer]
pin: gpio32
pwm: True
[filament_switch_sensor runout]
switch_pin: gpio41
pause_on_runout: False
[gcode_macro BLINK]
description: Let the light blink
gcode:
    {% set count = params.COUNT|default(3)|int %}
    M118 BLINK {count} {params.COLOR|default('red')}
[led shelf]
white_pin: gpio36
[temperature_fan electronics]
pin: gpio37
sensor_type: fake
sensor_pin: gpio38
control: watermark
min_temp: 0
max_temp: 80
target_temp: 40
"""
SENSOR_PIN, RUNOUT_PIN = "gpio21", "gpio41"
RED, BLACK = "rgb(255, 0, 0)", "rgb(0, 0, 0)"


@pytest.fixture(scope="module")
def main(shared_lab):
    sections = "[router]\n" + router_section(shared_lab, "enclosure", OBJECTS)
    return shared_lab.main(config.ordinary(OWN + sections), mcu="fake").wait_ready()


@pytest.fixture(scope="module")
def peer(main, shared_lab):
    if "enclosure" not in shared_lab.printers:
        shared_lab.peer("enclosure", config.heating(DEVICES), mcu="fake").wait_ready()
    wait_known(main, "enclosure")
    return shared_lab.printers["enclosure"]


def wait_value(printer, name, field, expected):
    """Wait until the object of this printer has this value, as the printer itself says."""

    def has_it():
        return printer.query([name])[name][field] == expected

    wait_until(has_it, 10.0, f"{name} of {printer.name}: {field} is {expected}", [printer])


def wait_errors(dashboard):
    """The errors that the page shows; the fixture does not object to them any more."""
    return wait_until(dashboard.take_errors, 10.0, "the page shows an error")


def enter(field, text):
    field.fill(text)
    field.press("Enter")


def test_a_page_that_was_opened_before_their_printer_connected(main, shared_lab, dashboard):
    expect(dashboard.temperature("Chamber")).to_have_text("--°C")
    expect(dashboard.target("Chamber")).to_have_value("0")
    expect(dashboard.light_color("Cabinet")).to_have_css("background-color", BLACK)
    expect(dashboard.device("Exhaust").locator("input")).to_have_value("0")
    expect(dashboard.switch_icon("Lamp")).to_have_attribute("d", SWITCH_OFF)
    expect(dashboard.device("Runout")).to_contain_text("empty")

    # From here on its settings are known, too
    shared_lab.peer("enclosure", config.heating(DEVICES), mcu="fake").wait_ready()
    expect(dashboard.temperature("Chamber")).to_have_text("25.0°C")
    expect(dashboard.slider("Dimmer")).to_be_visible()
    expect(dashboard.slider("Shelf")).to_be_visible()
    enter(dashboard.target("Chamber"), "121")
    assert "(max: 120)" in wait_errors(dashboard)[0]


def test_a_heater(main, peer, dashboard):
    peer.set_pin(SENSOR_PIN, 27)
    expect(dashboard.temperature("Chamber")).to_have_text("27.0°C")
    enter(dashboard.target("Chamber"), "60")
    wait_value(peer, "heater_generic chamber", "target", 60.0)
    expect(dashboard.temperature_row("Chamber").locator("td.state")).to_contain_text("100")

    dashboard.panel("temperature").get_by_role("button", name="Cooldown").click()
    wait_value(peer, "heater_generic chamber", "target", 0.0)
    expect(dashboard.target("Chamber")).to_have_value("0")


def test_a_temperature_fan(main, peer, dashboard):
    peer.set_pin("gpio38", 35)
    expect(dashboard.temperature("Electronics")).to_have_text("35.0°C")
    expect(dashboard.target("Electronics")).to_have_value("40")
    enter(dashboard.target("Electronics"), "50")
    wait_value(peer, "temperature_fan electronics", "target", 50.0)


def test_a_light(main, peer, dashboard):
    dashboard.light_color("Cabinet").click()
    enter(dashboard.light_dialog().get_by_label("red"), "255")
    expect(dashboard.light_color("Cabinet")).to_have_css("background-color", RED)
    wait_value(peer, "neopixel strip", "color_data", [[1.0, 0.0, 0.0, 0.0]] * 20)
    assert main.query(["neopixel nozzle"])["neopixel nozzle"]["color_data"] == [[0.0] * 4]


def test_a_light_of_one_color(main, peer, dashboard):
    enter(dashboard.device("Shelf").locator("input"), "60")
    wait_value(peer, "led shelf", "color_data", [[0.0, 0.0, 0.0, 0.6]])
    handle = dashboard.slider("Shelf").get_by_role("slider")
    expect(handle).to_have_attribute("aria-valuenow", "0.6")


def test_a_second_color_keeps_the_first(main, peer, dashboard):
    """Mainsail sends the whole color, as it was shown last, 0.5 s after a channel was entered."""
    dashboard.light_color("Cabinet").click()
    red, green = map(dashboard.light_dialog().get_by_label, ("red", "green"))
    for _round in range(3):
        peer.script("SET_LED LED=strip")
        expect(red).to_have_value("0")
        expect(green).to_have_value("0")
        with dashboard.sends("SET_LED"):
            enter(red, "255")
        enter(green, "255")
        wait_value(peer, "neopixel strip", "color_data", [[1.0, 1.0, 0.0, 0.0]] * 20)
        expect(red).to_have_value("255")
        expect(green).to_have_value("255")


def test_a_fan(main, peer, dashboard):
    enter(dashboard.device("Exhaust").locator("input"), "30")
    wait_value(peer, "fan_generic exhaust", "speed", 0.3)
    handle = dashboard.slider("Exhaust").get_by_role("slider")
    expect(handle).to_have_attribute("aria-valuenow", "0.3")
    dashboard.slider("Exhaust").click()  # in its middle
    wait_value(peer, "fan_generic exhaust", "speed", 0.5)
    expect(handle).to_have_attribute("aria-valuenow", "0.5")
    assert main.query(["fan_generic board"])["fan_generic board"]["speed"] == 0.0


def test_pins(main, peer, dashboard):
    for icon, value in ((SWITCH_ON, 1.0), (SWITCH_OFF, 0.0)):
        dashboard.switch("Lamp").click()
        wait_value(peer, "output_pin lamp", "value", value)
        expect(dashboard.switch_icon("Lamp")).to_have_attribute("d", icon)
    enter(dashboard.device("Dimmer").locator("input"), "40")
    wait_value(peer, "output_pin dimmer", "value", 0.4)
    assert main.query(["output_pin relay"])["output_pin relay"]["value"] == 0.0


def test_a_runout_sensor(main, peer, dashboard):
    line = dashboard.device("Runout")
    for level, text in ((1, "detected"), (0, "empty"), (1, "detected")):
        peer.set_pin(RUNOUT_PIN, level)
        expect(line).to_contain_text(text)
    for icon, enabled in ((SWITCH_OFF, False), (SWITCH_ON, True)):
        dashboard.switch("Runout").click()
        wait_value(peer, "filament_switch_sensor runout", "enabled", enabled)
        expect(dashboard.switch_icon("Runout")).to_have_attribute("d", icon)
    check_log(main)


def test_a_macro(main, peer, dashboard):
    buttons = dashboard.macro("BLINK CABINET")
    mark = peer.mark()
    buttons.get_by_role("button").first.click()
    peer.wait_line("BLINK 3 red", start=mark)

    buttons.get_by_role("button").last.click()
    count, color = map(dashboard.menu().get_by_label, ("COUNT", "COLOR"))
    expect(count).to_have_attribute("placeholder", "3")
    expect(color).to_have_attribute("placeholder", "red")
    count.fill("5")
    color.fill("green")
    dashboard.menu().get_by_role("button", name="Send").click()
    peer.wait_line("BLINK 5 green", start=mark)
    check_log(main)


def test_they_are_off_while_their_printer_is_offline(main, peer, dashboard):
    peer.set_pin(SENSOR_PIN, 33)
    peer.set_pin(RUNOUT_PIN, 1)
    peer.script(
        "SET_LED LED=strip RED=1\nSET_FAN_SPEED FAN=exhaust SPEED=0.7\nSET_PIN PIN=lamp VALUE=1\n"
        "SET_HEATER_TEMPERATURE HEATER=chamber TARGET=50"
    )
    expect(dashboard.temperature("Chamber")).to_have_text("33.0°C")
    expect(dashboard.target("Chamber")).to_have_value("50")
    expect(dashboard.light_color("Cabinet")).to_have_css("background-color", RED)
    expect(dashboard.device("Exhaust").locator("input")).to_have_value("70")
    expect(dashboard.switch_icon("Lamp")).to_have_attribute("d", SWITCH_ON)
    expect(dashboard.device("Runout")).to_contain_text("detected")

    peer.kill()
    expect(dashboard.temperature("Chamber")).to_have_text("--°C")
    expect(dashboard.target("Chamber")).to_have_value("0")
    expect(dashboard.light_color("Cabinet")).to_have_css("background-color", BLACK)
    expect(dashboard.device("Exhaust").locator("input")).to_have_value("0")
    expect(dashboard.switch_icon("Lamp")).to_have_attribute("d", SWITCH_OFF)
    expect(dashboard.device("Runout")).to_contain_text("empty")
    mark = main.mark()
    dashboard.macro("BLINK CABINET").get_by_role("button").first.click()
    main.wait_line("enclosure is not connected", start=mark)
    assert dashboard.take_errors() == []
    enter(dashboard.target("Chamber"), "40")
    assert "enclosure is not connected" in wait_errors(dashboard)[0]

    peer.start()
    expect(dashboard.temperature("Chamber")).to_have_text("33.0°C")
    expect(dashboard.device("Runout")).to_contain_text("detected")
    enter(dashboard.device("Exhaust").locator("input"), "20")
    wait_value(peer, "fan_generic exhaust", "speed", 0.2)
    # Not for long: nothing heats it, and its verify_heater would notice
    for target, state in ((45.0, "100 %"), (0.0, "off")):
        enter(dashboard.target("Chamber"), str(target))
        wait_value(peer, "heater_generic chamber", "target", target)
        expect(dashboard.temperature_row("Chamber").locator("td.state")).to_contain_text(state)
    check_log(main)


def test_a_restart_of_the_main_printer(main, peer, moonraker, dashboard):
    peer.set_pin(SENSOR_PIN, 29)
    expect(dashboard.temperature("Chamber")).to_have_text("29.0°C")
    main.restart()
    moonraker.wait_ready()
    expect(dashboard.temperature("Chamber")).to_have_text("29.0°C")
    enter(dashboard.device("Exhaust").locator("input"), "80")
    wait_value(peer, "fan_generic exhaust", "speed", 0.8)
    check_log(main)


def test_a_printer_that_starts_with_other_settings(main, peer, dashboard):
    """One device is missing, one has other limits, one is a switch, which was a slider."""
    old = (peer.folder / "printer.cfg").read_text()
    new = old.replace("[output_pin lamp]\n", "[output_pin other]\n")
    new = new.replace("max_temp: 120", "max_temp: 70").replace("pwm: True", "pwm: False")
    expect(dashboard.slider("Dimmer")).to_be_visible()
    peer.set_pin(SENSOR_PIN, 31)
    (peer.folder / "printer.cfg").write_text(new)
    peer.restart()
    expect(dashboard.temperature("Chamber")).to_have_text("31.0°C")
    expect(dashboard.slider("Dimmer")).to_have_count(0)
    dashboard.switch("Dimmer").click()
    wait_value(peer, "output_pin dimmer", "value", 1.0)
    enter(dashboard.target("Chamber"), "71")
    assert "(max: 70)" in wait_errors(dashboard)[0]

    (peer.folder / "printer.cfg").write_text(old)
    peer.restart()
    expect(dashboard.slider("Dimmer")).to_be_visible()
    dashboard.switch("Lamp").click()
    wait_value(peer, "output_pin lamp", "value", 1.0)
    check_log(main)
