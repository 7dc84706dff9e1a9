"""The option 'objects': devices of a peer as devices of the host, beside its own."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, NamedTuple, Optional

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.devices import (
    BLACK,
    RED,
    ROWS,
    SENSORS,
    led_config,
    made,
    router,
    settings,
    status,
    wait_same,
    wait_status,
)
from tests.system.macros import check_log, wait_known

# The host's own devices, of the same kinds
OWN = """
[thermistor fake]
temperature1: 25
resistance1: 100000
beta: 3950
[neopixel own]
pin: gpio1
[output_pin own]
pin: gpio2
[fan_generic own]
pin: gpio3
[servo own]
pin: gpio4
[temperature_fan own]
pin: gpio5
sensor_type: fake
sensor_pin: gpio6
control: watermark
min_temp: 0
max_temp: 90
target_temp: 0
[filament_switch_sensor own]
switch_pin: ^gpio7
pause_on_runout: False
[led own_led]
red_pin: gpio8
[temperature_sensor own]
sensor_type: fake
sensor_pin: gpio9
min_temp: 0
max_temp: 100
[gcode_button own]
pin: ^gpio10
press_gcode:
[gcode_macro OWN]
variable_x: 0
gcode:
[gcode_macro READ]
gcode:
    {% set strip = printer["neopixel cabinet"] %}
    {% set settings = printer.configfile.settings["neopixel cabinet"] %}
    M118 red={strip.color_data[0][0]} order={settings.color_order[0]}
"""


@pytest.fixture(scope="module")
def main(shared_lab):
    """The host, ready before led has ever connected. Its [router] is above its own devices."""
    text = config.printing(router(shared_lab) + OWN, "fake")
    return shared_lab.main(text, mcu="fake").wait_ready()


@pytest.fixture(scope="module")
def led_started(main, shared_lab):
    return shared_lab.peer("led", led_config(shared_lab.peer_kind), mcu="fake").wait_ready()


@pytest.fixture
def led(main, led_started):
    """The peer, ready."""
    wait_known(main, "led")
    return led_started


# -- before the peer has ever connected


def test_all_objects_exist(main):
    names = {row.here for row in ROWS.values()}
    names |= {"temperature_sensor extruder", "temperature_sensor led-bed"}
    assert names <= set(main.call("objects/list")["objects"])
    heaters = main.query(["heaters"])["heaters"]
    own = {"temperature_fan own", "temperature_sensor own"}
    assert set(heaters["available_sensors"]) == SENSORS | own
    assert heaters["available_heaters"] == []


def test_their_status_is_that_at_rest(main):
    assert main.query([row.here for row in ROWS.values()]) == {
        row.here: row.at_rest for row in ROWS.values()
    }


def test_their_settings_are_those_that_an_interface_can_work_with(main):
    found = settings(main)
    for row in ROWS.values():
        assert found[row.here.lower()] == {**row.defaults, **row.added}, row.here


def test_the_hosts_own_settings_are_as_they_were(main):
    own = settings(main)
    assert own["output_pin own"]["pin"] == "gpio2"
    assert "router led" in own and "gcode_macro own" in own
    text = main.query({"configfile": ["config"]})["configfile"]["config"]
    assert text["output_pin own"] == {"pin": "gpio2"}
    assert text["neopixel cabinet"] == {"color_order": "GRB"}


# -- status, settings


def test_the_status_becomes_that_of_the_peer(main, led):
    for source, now in wait_same(main, led, *ROWS).items():
        # Nothing that an interface reads is missing
        assert ROWS[source].at_rest.keys() <= now.keys(), source


def test_the_settings_become_those_of_the_peer(main, led):
    there = settings(led)
    expected = {
        row.here.lower(): {**there.get(source.lower(), row.defaults), **row.added}
        for source, row in ROWS.items()
    }

    def differences():
        found = settings(main)
        return {name: found[name] for name in expected if found[name] != expected[name]}

    wait_until(lambda: not differences(), 10.0, "the settings are led's", [main, led])


def test_changes_of_the_peer_arrive(main, led):
    led.set_pin("gpio42", 33)
    led.set_pin("gpio41", 44)
    led.set_pin("gpio27", 55)
    led.set_pin("gpio29", 66)
    led.set_pin("gpio38", 1)
    led.set_pin("gpio31", 1)
    wait_status(main, "filament_switch_sensor runout", filament_detected=True)
    wait_status(main, "gcode_button led_knob", state="PRESSED")
    for name, value in (
        ("temperature_sensor Box-1", 33),
        ("temperature_fan cool", 44),
        ("temperature_sensor extruder", 55),
        ("temperature_sensor led-bed", 66),
    ):
        wait_until(
            lambda name=name, value=value: (
                abs((status(main, name)["temperature"] or 0) - value) < 1
            ),
            10.0,
            f"{name} is {value}",
            [main, led],
        )
    made(led, "ace", slots=[{"color": [1, 2, 3]}], text='it\'s = "a"')
    wait_same(main, led, "ace")
    assert status(main, "ace")["slots"] == [{"color": [1, 2, 3]}]


def test_an_object_of_unknown_kind_becomes_a_sensor_with_its_first_temperature(main, led):
    def sensors():
        return main.query(["heaters"])["heaters"]["available_sensors"]

    assert "bme280 air" not in sensors()
    made(led, "bme280 air", temperature=21.5, pressure=1013.2)
    wait_status(main, "bme280 air", temperature=21.5, pressure=1013.2)
    assert sensors().count("bme280 air") == 1


# -- commands


class Command(NamedTuple):
    """A command for a device of led, and what becomes of its status, there and here.

    own: the host's own device of the kind, and its field that the same command changes.
    """

    line: str
    source: str
    fields: Dict[str, Any]
    own: Optional[str] = None


COMMANDS = [
    Command(
        'SET_LED LED="{}" RED=1 GREEN=0 BLUE=0 SYNC=0 TRANSMIT=1',
        "neopixel strip",
        {"color_data": [RED] * 20},
        "neopixel own",
    ),
    Command("SET_LED LED={} RED=1", "led lamp", {"color_data": [RED]}, "led own_led"),
    Command("SET_LED LED={} RED=1", "dotstar dots", {"ran": {"LED": "dots", "RED": "1"}}),
    Command("SET_LED LED={} WHITE=1", "pca9533 four", {"ran": {"LED": "four", "WHITE": "1"}}),
    Command("SET_LED LED={} WHITE=.5", "pca9632 more", {"ran": {"LED": "more", "WHITE": ".5"}}),
    Command(
        'SET_LED_EFFECT EFFECT="{}" STOP=1',
        "led_effect fire",
        {"ran": {"EFFECT": "fire", "STOP": "1"}},
    ),
    Command("SET_FAN_SPEED FAN={} SPEED=0.5", "fan_generic exhaust", {}, "fan_generic own"),
    Command("SET_PIN PIN={} VALUE=1", "output_pin relay", {"value": 1.0}, "output_pin own"),
    Command("SET_PIN PIN={} VALUE=51", "output_pin dim", {"value": 0.2}),
    Command("SET_PIN PIN={} VALUE=1", "pwm_tool laser", {}),
    Command("SET_PIN PIN={} VALUE=1", "pwm_cycle_time beeper", {}),
    Command("SET_SERVO SERVO={} ANGLE=90", "servo flap", {}, "servo own"),
    Command(
        "SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN={} TARGET=70",
        "temperature_fan cool",
        {"target": 70.0},
        "temperature_fan own",
    ),
    Command(
        "SET_FILAMENT_SENSOR SENSOR={} ENABLE=0",
        "filament_switch_sensor runout",
        {"enabled": False},
        "filament_switch_sensor own",
    ),
    Command(
        "SET_FILAMENT_SENSOR SENSOR={} ENABLE=0",
        "filament_motion_sensor wheel",
        {"enabled": False},
    ),
    Command(
        "SET_GCODE_VARIABLE MACRO={} VARIABLE=x VALUE='\"it is\"'",
        "gcode_macro VARS",
        {"x": "it is"},
        "gcode_macro OWN",
    ),
]


def own_status(main):
    """Of the host's own devices, but for the temperature, which changes by itself."""
    found = main.query([row.own for row in COMMANDS if row.own])
    return {name: {**now, "temperature": None} for name, now in found.items()}


def check_commands(main, led):
    """Each changes led's device, and no other; for the host's own device, only that."""
    sources = [row.source for row in COMMANDS]
    own, there = own_status(main), led.query(sources)
    for row in COMMANDS:
        main.script(row.line.format(ROWS[row.source].here.split()[-1]))

    def missing():
        now = led.query(sources)
        return {
            row.line: now[row.source]
            for row in COMMANDS
            if now[row.source] == there[row.source]
            or not row.fields.items() <= now[row.source].items()
        }

    wait_until(lambda: not missing(), 10.0, "the commands have changed led", [main, led])
    changed = wait_same(main, led, *sources)
    assert own_status(main) == own
    for row in COMMANDS:
        if row.own:
            main.script(row.line.format(row.own.split()[-1]))

    def unchanged():
        return [name for name, now in own_status(main).items() if now == own[name]]

    wait_until(lambda: not unchanged(), 10.0, "the commands have changed the host", [main])
    assert wait_same(main, led, *sources) == changed


def test_each_command_reaches_its_device_on_the_peer_and_only_that(main, led):
    mark = main.mark()
    check_commands(main, led)
    assert [line for line in main.console[mark:] if "outer:" in line or line[:2] == "!!"] == []


def test_what_the_peer_answers_is_shown(main, led):
    mark = main.mark()
    main.script("QUERY_FILAMENT_SENSOR SENSOR=runout")
    main.wait_line("led: Filament Sensor runout: filament detected", start=mark)
    main.script("QUERY_FILAMENT_SENSOR SENSOR=own")
    main.wait_line("// Filament Sensor own: filament not detected", start=mark)


def test_the_peers_limits_are_shown_as_its_errors(main, led):
    mark = main.mark()
    main.script("SET_PIN PIN=relay VALUE=7\nM118 goes on")
    assert "led: " in main.wait_line("VALUE", start=mark)
    main.wait_line("goes on", start=mark)


def test_one_led_of_a_strip_can_be_set(main, led):
    main.script("SET_LED LED=cabinet RED=0")
    main.script("SET_LED LED=cabinet GREEN=1 INDEX=3")
    wait_status(main, "neopixel cabinet", color_data=[BLACK] * 2 + [[0, 1, 0, 0]] + [BLACK] * 17)
    wait_same(main, led, "neopixel strip")


def test_a_second_color_right_after_the_first_sees_the_first(main, led):
    """Long before the next status of the peer: Mainsail sends what it has seen last."""
    for number in range(1, 6):
        color = [number / 10, 0.0, 0.0, 0.0]
        main.call(
            "router/gcode/script",
            {"target": "main", "script": f"SET_LED LED=cabinet RED={color[0]}"},
        )
        wait_status(main, "neopixel cabinet", timeout=0.2, color_data=[color] * 20)


def test_a_macro_of_the_host_reads_status_and_settings(main, led):
    main.script("SET_LED LED=cabinet RED=1")
    wait_status(main, "neopixel cabinet", color_data=[RED] * 20)
    mark = main.mark()
    main.script("READ")
    main.wait_line("red=1.0 order=GRB", start=mark)


def test_templates_belong_to_the_peer(main, led):
    for name in ("cabinet", "dots"):
        with pytest.raises(ApiError) as error:
            main.script(f"SET_LED_TEMPLATE LED={name} TEMPLATE=x")
        # With LEDs of its own, Klipper of 2023 has its own command, which does not know others
        expected = "Unknown LED" if main.kind == "klipper2023" else f"'{name}' is a device of led"
        assert expected in str(error.value)


def test_a_name_that_no_device_has_is_klippers_own_error(main, led):
    with pytest.raises(ApiError, match="is not valid for LED"):
        main.script("SET_LED LED=strip RED=1")


def test_the_commands_have_help_texts(main):
    texts = main.call("gcode/help")
    for row in COMMANDS:
        assert row.line.split()[0] in texts


# -- offline


@pytest.fixture
def offline(main, led_started):
    """led is killed, and started again afterwards."""
    led_started.kill()
    wait_known(main, "led", ready=False)
    yield led_started
    led_started.start().wait_ready()
    wait_known(main, "led")


def test_offline_nothing_is_stale_and_a_command_is_one_line(main, led, offline):
    found = main.query([row.here for row in ROWS.values()])
    for source, row in ROWS.items():
        for field, value in found[row.here].items():
            if field == "color_data":
                assert value and set(map(tuple, value)) == {tuple(BLACK)}, source
            else:
                assert value == row.at_rest.get(field), (source, field)
    assert len(found["neopixel cabinet"]["color_data"]) == 20
    mark = main.mark()
    lines = [row.line.format(ROWS[row.source].here.split()[-1]) for row in COMMANDS]
    main.script("\n".join([*lines, "M118 goes on"]))
    main.wait_line("goes on", start=mark)
    said = [line for line in main.console[mark:] if "led" in line]
    # The first of them are shown, and the others counted later
    assert set(said) == {"// Router: led is not connected"} and len(said) < len(lines)
    assert main.state() == "ready"


def test_settings_stay_while_it_is_offline(main, led, offline):
    assert settings(main)["output_pin dim"]["scale"] == 255.0


def test_commands_for_it_are_not_stored(main, led):
    """Nothing that was sent while it was offline runs now."""
    assert status(led, "output_pin relay") == {"value": 0.0}
    same = wait_same(main, led, "output_pin relay", "neopixel strip")
    assert same["output_pin relay"] == {"value": 0.0}
    check_log(main)


def test_a_peer_in_shutdown_is_one_line_too(main, led):
    led.script("M112")
    wait_known(main, "led", ready=False)
    mark = main.mark()
    main.script("SET_PIN PIN=relay VALUE=1")
    main.wait_line("led is not ready (shutdown", start=mark)
    led.restart(firmware=True)
    wait_known(main, "led")


# -- restarts


def test_a_restart_of_the_host_with_its_router_below_its_devices(main, led, shared_lab):
    """The order of sections makes no difference; led is ready while the host starts."""
    made(led, "ace", temperature=31.0)
    main.write_config(config.printing(OWN + router(shared_lab), "fake"))
    main.restart()
    wait_known(main, "led")
    for row in COMMANDS:
        led.script(OFF.get(row.source) or f"LAB_OBJECT NAME='{row.source}' FIELDS='{{}}'")
    wait_same(main, led, *ROWS)
    sensors = main.query(["heaters"])["heaters"]["available_sensors"]
    assert sensors.count("ace") == 1
    check_commands(main, led)
    check_log(main)


# Back to where COMMANDS change something again
OFF = {
    "neopixel strip": "SET_LED LED=strip RED=0",
    "led lamp": "SET_LED LED=lamp RED=0",
    "fan_generic exhaust": "SET_FAN_SPEED FAN=exhaust SPEED=0",
    "output_pin relay": "SET_PIN PIN=relay VALUE=0",
    "output_pin dim": "SET_PIN PIN=dim VALUE=0",
    "pwm_tool laser": "SET_PIN PIN=laser VALUE=0",
    "pwm_cycle_time beeper": "SET_PIN PIN=beeper VALUE=0",
    "servo flap": "SET_SERVO SERVO=flap WIDTH=0",
    "temperature_fan cool": "SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN=cool TARGET=0",
    "filament_switch_sensor runout": "SET_FILAMENT_SENSOR SENSOR=runout ENABLE=1",
    "filament_motion_sensor wheel": "SET_FILAMENT_SENSOR SENSOR=wheel ENABLE=1",
    "gcode_macro VARS": "SET_GCODE_VARIABLE MACRO=VARS VARIABLE=x VALUE=1",
}
