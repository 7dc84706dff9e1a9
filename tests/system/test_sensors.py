"""The option 'sensors': temperatures of a peer as temperature_sensor objects of the host."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.macros import check_log, recorder, router_section, set_state, wait_known

SENSORS = """sensors:
    chamber: heater_generic chamber
    other-1: gcode_macro STATE.x
"""
CHAMBER = "temperature_sensor chamber"
OTHER = "temperature_sensor other-1"
SAY = f"""
[gcode_macro SAY]
gcode:
    M118 chamber={{printer["{CHAMBER}"].temperature}}
"""
UNKNOWN = {"temperature": None, "measured_min_temp": None, "measured_max_temp": None}
CHAMBER_PIN = "gpio21"


@pytest.fixture(scope="module")
def main(shared_lab):
    """The host, ready before its peer has ever connected. TEMPERATURE_WAIT needs a real clock."""
    sections = "[router]\nstatus_interval: 0.05\n" + router_section(shared_lab, "led", SENSORS)
    text = config.printing(sections + SAY, "fake")
    return shared_lab.main(text, mcu="fake").wait_ready()


@pytest.fixture(scope="module")
def led(main, shared_lab):
    led = shared_lab.peer("led", config.heating(recorder()), mcu="fake").wait_ready()
    wait_known(main, "led")
    return led


def sensor(main, name=CHAMBER):
    return main.query([name])[name]


def wait_temperature(main, low, high, name=CHAMBER):
    def reached():
        now = sensor(main, name)
        known = now["temperature"] is not None
        return known and low <= now["temperature"] <= high and now

    return wait_until(reached, 10.0, f"{name} is between {low} and {high}", [main])


def wait_unknown(main, name=CHAMBER):
    def unknown():
        now = sensor(main, name)
        return now["temperature"] is None and now

    return wait_until(unknown, 10.0, f"{name} is not known", [main])


BOUNDS = ("MINIMUM=60", "MAXIMUM=10", "MAXIMUM=40")


def temperature_wait(bound, name=CHAMBER):
    return f'TEMPERATURE_WAIT SENSOR="{name}" {bound}'


def test_it_is_listed_as_a_sensor_of_the_host(main):
    assert {CHAMBER, OTHER} <= set(main.query(["heaters"])["heaters"]["available_sensors"])
    assert main.query(["heaters"])["heaters"]["available_heaters"] == []
    assert {CHAMBER, OTHER} <= set(main.call("objects/list")["objects"])


def test_it_has_no_value_while_the_peer_is_offline(main):
    assert sensor(main) == UNKNOWN
    assert main.state() == "ready"


@pytest.mark.parametrize("bound", BOUNDS)
def test_a_temperature_wait_for_a_peer_that_has_never_connected_ends(main, bound):
    with pytest.raises(ApiError, match="led is not connected"):
        main.script(temperature_wait(bound))


def test_klippy_keeps_reporting_while_a_temperature_is_unknown(main):
    """Its once-a-second statistics, and M105."""
    before = main.log_text().count("Stats ")
    main.script("M105")
    wait_until(lambda: main.log_text().count("Stats ") > before + 1, 10.0, "Stats", [main])
    assert main.state() == "ready"
    check_log(main)


def test_it_follows_the_peer_and_keeps_minimum_and_maximum(main, led):
    for temperature in (50, 20):
        led.set_pin(CHAMBER_PIN, temperature)
        now = wait_temperature(main, temperature - 1, temperature + 1)
    assert 19 <= now["measured_min_temp"] <= 21
    assert 49 <= now["measured_max_temp"] <= 51
    mark = main.mark()
    main.script("SAY")
    assert main.wait_line("chamber=", start=mark).startswith(
        ("echo: chamber=19", "echo: chamber=2")
    )


def test_it_can_be_any_field_of_any_object(main, led):
    set_state(led, x=12.345)
    assert wait_temperature(main, 12, 13, OTHER)["temperature"] in (12.34, 12.35)
    # Values that are not temperatures become None
    for value in ("warm", None, [30], True):
        set_state(led, x=value)
        wait_unknown(main, OTHER)
        with pytest.raises(ApiError, match="led: gcode_macro STATE.x is not known"):
            main.script(temperature_wait("MAXIMUM=40", OTHER))
        set_state(led, x=30)
        wait_temperature(main, 30.0, 30.0, OTHER)
    set_state(led, x=0)
    assert wait_temperature(main, 0.0, 0.0, OTHER)["measured_min_temp"] > 0
    assert main.state() == "ready"


def test_temperature_wait_waits_for_it(main, led):
    led.set_pin(CHAMBER_PIN, 30)
    wait_temperature(main, 29, 31)
    with main.api() as api:
        wait = f'TEMPERATURE_WAIT SENSOR="{CHAMBER}" MINIMUM=60'
        mark = main.mark()
        number = api.request("gcode/script", {"script": f"M118 waiting\n{wait}\nSAY"})
        main.wait_line("echo: waiting", start=mark)
        led.set_pin(CHAMBER_PIN, 65)
        api.answer(number, 20.0)
    line = main.wait_line("chamber=", start=mark)
    assert float(line.split("=")[1]) >= 60


@pytest.mark.parametrize("bound", ["MINIMUM=60", "MAXIMUM=10"])
def test_a_temperature_wait_ends_when_its_peer_is_lost(main, led, bound):
    led.set_pin(CHAMBER_PIN, 40)
    wait_temperature(main, 39, 41)
    with main.api() as api:
        mark = main.mark()
        script = f"M118 waiting\n{temperature_wait(bound)}\nM118 over"
        number = api.request("gcode/script", {"script": script})
        main.wait_line("echo: waiting", start=mark)
        led.kill()
        with pytest.raises(ApiError, match="led is not connected"):
            api.answer(number, 20.0)
    assert wait_unknown(main)["measured_max_temp"] >= 39
    # The loss is not a reason for a shutdown, neither at once nor a while later
    main.script("G4 P500\nM400")
    assert main.state() == "ready" and sensor(main)["temperature"] is None
    led.start().wait_ready()
    wait_temperature(main, 39, 41)
    check_log(main)


def test_a_peer_in_shutdown_has_no_temperature(main, led):
    led.set_pin(CHAMBER_PIN, 40)
    wait_temperature(main, 39, 41)
    led.script("M112")
    wait_known(main, "led", ready=False)
    try:
        for bound in BOUNDS:
            with pytest.raises(ApiError, match=r"led is not ready \(shutdown"):
                main.script(temperature_wait(bound))
    finally:
        led.restart(firmware=True)
        wait_known(main, "led")


HEATER = """
[heater_generic hot]
heater_pin: gpio30
sensor_type: fake
sensor_pin: gpio31
control: watermark
min_temp: 0
max_temp: 120
"""
COMBINED = f"""
[temperature_sensor both]
sensor_type: temperature_combined
sensor_list: heater_generic hot, {CHAMBER}
combination_method: max
maximum_deviation: 999
"""
STEERED = {
    "sensor_list": HEATER + COMBINED,
    "ambient_temp_sensor": f"{HEATER}ambient_temp_sensor: {CHAMBER}\n",
    "inner_sensor_name": f"{HEATER}inner_sensor_name: chamber\n",
}


@pytest.mark.parametrize("option", STEERED)
def test_it_cannot_control_a_heater_or_fan(lab, kind, option):
    """A missing reading would shut this printer down."""
    fake = "[thermistor fake]\ntemperature1: 25\nresistance1: 100000\nbeta: 3950\n"
    text = router_section(lab, "led", SENSORS) + fake + STEERED[option]
    printer = lab.printer(kind, "main", config.minimal(text))
    printer.wait_state("error")
    message = printer.call("info")["state_message"]
    for word in (f"'{option}'", f"'{CHAMBER}'", "'sensors'", "'router led'"):
        assert word in message


def test_a_section_of_the_same_name_is_a_config_error_in_either_order(lab, kind):
    section = f"[{CHAMBER}]\nsensor_type: fake\nsensor_pin: gpio40\n"
    router = router_section(lab, "led", SENSORS)
    fake = "[thermistor fake]\ntemperature1: 25\nresistance1: 100000\nbeta: 3950\n"
    printer = lab.add(kind, "main", "")
    for text in (router + section, section + router):
        printer.write_config(config.minimal(fake + text))
        if printer.process is None:
            printer.start()
        else:
            printer.begin_restart()
        printer.wait_state("error")
        message = printer.call("info")["state_message"]
        for word in ("'chamber'", "'sensors'", "'router led'", f"'{CHAMBER}'"):
            assert word in message


@pytest.mark.parametrize("line", ["chamber", "cham ber: heater_bed", "chamber:"])
def test_a_line_that_is_not_a_sensor_is_a_config_error(lab, line):
    text = router_section(lab, "led", f"sensors:\n    {line}\n")
    printer = lab.printer("kalico", "main", config.minimal(text))
    printer.wait_state("error")
    message = printer.call("info")["state_message"]
    assert line.rstrip(":") in message and "'sensors'" in message and "'router led'" in message
