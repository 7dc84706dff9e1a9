"""A heater of a peer as a heater of the host, and everything that turns it off."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import time

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.macros import router_section, wait_known

CHAMBER, DRYER, OWN = "heater_generic chamber", "heater_generic dryer", "heater_generic own"
OBJECTS = "timeout: 1\nobjects:\n    heater_generic chamber as box\n    heater_generic dryer\n"
BOX = "heater_generic box"
CHAMBER_PIN = "gpio21"
HEATER = """
[heater_generic {name}]
heater_pin: {heater}
sensor_type: fake
sensor_pin: {sensor}
control: watermark
min_temp: 0
max_temp: 100
"""
THERMISTOR = "[thermistor fake]\ntemperature1: 25\nresistance1: 100000\nbeta: 3950\n"
WATCHDOG = (
    f"[include {ROOT}/includes/router_watchdog.cfg]\n"
    "[gcode_macro ROUTER_HEARTBEAT]\nvariable_timeout: 6\n"
)
IDLE = "[idle_timeout]\ntimeout: 3\n"


@pytest.fixture(scope="module")
def main(shared_lab):
    sections = "[router]\nstatus_interval: 0.05\n" + router_section(shared_lab, "led", OBJECTS)
    sections += THERMISTOR + HEATER.format(name="own", heater="gpio2", sensor="gpio3")
    return shared_lab.main(config.printing(sections + IDLE, "fake"), mcu="fake").wait_ready()


@pytest.fixture(scope="module")
def led_started(main, shared_lab):
    dryer = HEATER.format(name="dryer", heater="gpio22", sensor="gpio23")
    return shared_lab.peer("led", config.heating(dryer + WATCHDOG), mcu="fake").wait_ready()


@pytest.fixture
def led(main, led_started):
    """The peer, ready, with its heaters off."""
    wait_known(main, "led")
    led_started.set_pin(CHAMBER_PIN, 25)
    main.script("TURN_OFF_HEATERS")
    wait_target(led_started, 0.0)
    wait_target(main, 0.0, BOX)
    return led_started


def target(printer, name=CHAMBER):
    return printer.query([name])[name]["target"]


def wait_target(printer, value, name=CHAMBER, timeout=10.0):
    wait_until(
        lambda: target(printer, name) == value, timeout, f"target {value} of {name}", [printer]
    )


def heat(main, led, value=60):
    main.script(f"SET_HEATER_TEMPERATURE HEATER=box TARGET={value}")
    wait_target(led, value)


def test_it_is_listed_before_its_peer_has_connected(main):
    heaters = main.query(["heaters"])["heaters"]
    assert heaters["available_heaters"] == [OWN, BOX, DRYER]
    assert set(heaters["available_sensors"]) == {OWN, BOX, DRYER}
    assert main.query([BOX])[BOX] == {"temperature": None, "target": 0.0, "power": 0.0}


def test_a_target_for_a_peer_that_has_never_connected_is_an_error(main):
    with pytest.raises(ApiError, match="led is not connected"):
        main.script("SET_HEATER_TEMPERATURE HEATER=box TARGET=60")
    with pytest.raises(ApiError, match="led is not connected"):
        main.script(f'TEMPERATURE_WAIT SENSOR="{BOX}" MAXIMUM=50')


def test_turning_it_off_never_fails(main):
    main.script("TURN_OFF_HEATERS")
    mark = main.mark()
    main.script("SET_HEATER_TEMPERATURE HEATER=box TARGET=0\nSET_HEATER_TEMPERATURE HEATER=box")
    main.wait_line("led is not connected", start=mark)


def test_a_target_reaches_the_peer_and_only_that_heater(main, led):
    heat(main, led)
    wait_target(main, 60.0, BOX)
    assert [target(led, DRYER), target(main, DRYER), target(main, OWN)] == [0.0] * 3
    main.script("SET_HEATER_TEMPERATURE HEATER=box")
    wait_target(led, 0.0)


def test_the_heaters_of_the_host_go_on_working(main, led):
    main.script("SET_HEATER_TEMPERATURE HEATER=own TARGET=50")
    assert target(main, OWN) == 50.0
    heat(main, led)
    main.script("TURN_OFF_HEATERS")
    assert target(main, OWN) == 0.0
    wait_target(led, 0.0)


def test_the_peer_checks_its_limits(main, led):
    mark = main.mark()
    main.script("SET_HEATER_TEMPERATURE HEATER=box TARGET=500")
    main.wait_line("led: Requested temperature (500.0) out of range", start=mark)


def test_a_target_that_waits_in_the_queue_is_not_set_after_the_heater_was_turned_off(main, led):
    main.script('ROUTER_GCODE_SCRIPT TARGET=led SCRIPT="G4 P1000"')
    main.script("SET_HEATER_TEMPERATURE HEATER=box TARGET=60\nTURN_OFF_HEATERS")
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=M400 WAIT=1")
    assert target(led) == 0.0


def test_temperature_wait_waits_for_it(main, led):
    heat(main, led)
    with main.api() as api:
        number = api.request(
            "gcode/script", {"script": f'TEMPERATURE_WAIT SENSOR="{BOX}" MINIMUM=58'}
        )
        led.set_pin(CHAMBER_PIN, 61)
        api.answer(number, 20.0)


@pytest.mark.parametrize("loss", ["kill", "restart"])
def test_a_temperature_wait_ends_when_the_peer_is_lost(main, led, loss):
    heat(main, led)
    with main.api() as api:
        number = api.request(
            "gcode/script", {"script": f'TEMPERATURE_WAIT SENSOR="{BOX}" MINIMUM=58'}
        )
        time.sleep(1.2)  # it has read once at least
        if loss == "kill":
            led.kill()
        else:
            led.restart()
        with pytest.raises(ApiError, match="led (is not connected|was not ready|is not ready)"):
            api.answer(number, 20.0)
    if loss == "kill":
        assert main.query([BOX])[BOX]["temperature"] is None
        assert target(main, BOX) == 0.0
        led.start().wait_ready()


def test_the_idle_timeout_turns_it_off(main, led):
    state = {"idle_timeout": ["state"]}
    wait_until(
        lambda: main.query(state)["idle_timeout"]["state"] == "Idle", 20.0, "main is idle", [main]
    )
    heat(main, led)
    wait_target(led, 0.0, timeout=20.0)


def test_a_shutdown_of_the_host_turns_it_off(main, led):
    heat(main, led)
    with main.api() as api:
        api.call("emergency_stop")
    wait_target(led, 0.0)
    main.restart(firmware=True)
    main.wait_ready()
    wait_known(main, "led")
    assert target(led) == 0.0


def test_a_restart_of_the_host_turns_it_off(main, led):
    heat(main, led)
    main.restart()
    wait_target(led, 0.0)


@pytest.mark.parametrize("starts_again", [False, True], ids=["stays_dead", "starts_again"])
def test_the_watchdog_turns_it_off_when_the_host_is_killed(main, led, starts_again):
    heat(main, led)
    main.script("SET_HEATER_TEMPERATURE HEATER=dryer TARGET=50")
    wait_target(led, 50.0, DRYER)
    main.kill()
    if starts_again:
        main.start().wait_ready()
    wait_target(led, 0.0, timeout=30.0)
    wait_target(led, 0.0, DRYER)
    if not starts_again:
        main.start().wait_ready()


def test_what_the_peer_has_set_itself_is_left_alone(main, led):
    led.script("SET_HEATER_TEMPERATURE HEATER=chamber TARGET=45")
    wait_target(main, 45.0, BOX)
    with main.api() as api:
        api.call("emergency_stop")
    main.restart(firmware=True)
    main.wait_ready()
    wait_known(main, "led")
    assert target(led) == 45.0


def test_a_heater_that_could_not_be_turned_off_is_turned_off_when_its_peer_is_back(main, led):
    heat(main, led)
    led.freeze()
    try:
        wait_until(
            lambda: not main.query(["router led"])["router led"]["connected"],
            20.0,
            "led is offline",
            [main],
        )
        main.script("TURN_OFF_HEATERS")
    finally:
        led.thaw()
    wait_target(led, 0.0, timeout=5.0)
