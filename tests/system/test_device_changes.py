"""Devices whose peer was restarted with another config, or has settings that cannot be read."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.macros import check_log, router_section, wait_known

OBJECTS = """objects:
    neopixel strip as cabinet
    fan_generic exhaust
    filament_switch_sensor runout
    gcode_macro VARS
    ace
"""
HERE = [
    "neopixel cabinet",
    "fan_generic exhaust",
    "filament_switch_sensor runout",
    "gcode_macro VARS",
    "ace",
]
BLACK, RED = [0.0] * 4, [1.0, 0.0, 0.0, 0.0]
STATUS = {
    "neopixel strip": {"color_data": [RED, RED]},
    "fan_generic exhaust": {"speed": 0.5, "rpm": 1200},
    "filament_switch_sensor runout": {"enabled": True, "filament_detected": True},
    "ace": {"slots": [{"color": [1, 2, 3]}], "temperature": 31.0},
}
COMMANDS = {
    "neopixel strip": "SET_LED LED",
    "fan_generic exhaust": "SET_FAN_SPEED FAN",
    "filament_switch_sensor runout": "SET_FILAMENT_SENSOR SENSOR",
}
MACRO = "[gcode_macro VARS]\nvariable_x: {}\ngcode:\n    M118 {{params.A|default(1)}}\n"
MISSING = "option 'objects' in section 'router led': led has no object "
UNREAD = "user interfaces show its devices with default limits"


ONE = MACRO.format(1)


def led_config(status=None, sections=ONE):
    """A peer with these objects."""
    status = STATUS if status is None else status
    lines = "".join(f"    {name}: {COMMANDS.get(name, '')}\n" for name in status)
    made = f"[lab_objects]\nobjects:\n{lines}status: {json.dumps(status)}\n" if status else ""
    return config.printing(sections + made)


@pytest.fixture(scope="module")
def printers(shared_lab):
    router = "[router]\nstatus_interval: 0.05\n" + router_section(shared_lab, "led", OBJECTS)
    main = shared_lab.main(config.printing(router))
    return main, shared_lab.peer("led", led_config())


@pytest.fixture(scope="module")
def main(printers, shared_lab):
    shared_lab.wait_ready()
    wait_known(printers[0], "led")
    yield printers[0]
    check_log(printers[0])


@pytest.fixture(scope="module")
def led(printers):
    return printers[1]


def restarted(main, led, text):
    """Restart led with another config; returns the place in the console before that."""
    mark, before = main.mark(), reconnects(main)
    led.write_config(text)
    led.restart()
    wait_until(lambda: reconnects(main) > before, 10.0, "main has connected again", [main, led])
    wait_known(main, "led")
    return mark


def reconnects(main):
    return main.query({"router led": ["reconnects"]})["router led"]["reconnects"]


def wait_status(main, **expected):
    """Wait until the devices have exactly this status."""
    expected = {name: expected[name.split()[-1]] for name in HERE}

    def differences():
        return {n: s for n, s in main.query(HERE).items() if s != expected[n]}

    wait_until(lambda: not differences(), 10.0, f"the devices are {expected}", [main])


def settings(main, name):
    return main.query({"configfile": ["settings"]})["configfile"]["settings"][name]


def missing(main, mark):
    """The objects that the console has called missing since then."""
    lines = [line for line in main.console[mark:] if MISSING in line]
    return sorted(line.split(MISSING)[1] for line in lines)


def all_right(**changes):
    return {
        "cabinet": {**STATUS["neopixel strip"], "ran": None},
        "exhaust": {**STATUS["fan_generic exhaust"], "ran": None},
        "runout": {**STATUS["filament_switch_sensor runout"], "ran": None},
        "VARS": {"x": 1},
        "ace": {**STATUS["ace"], "ran": None},
        **changes,
    }


def test_the_peer_as_it_should_be(main, led):
    wait_status(main, **all_right())
    assert settings(main, "gcode_macro vars")["gcode"].strip() == "M118 {params.A|default(1)}"


def test_another_config_is_followed(main, led):
    status = {**STATUS, "neopixel strip": {"color_data": [BLACK] * 3}}
    mark = restarted(main, led, led_config(status, MACRO.replace("A|", "B|").format(2)))
    wait_status(main, **all_right(cabinet={"color_data": [BLACK] * 3, "ran": None}, VARS={"x": 2}))
    wait_until(
        lambda: "params.B" in settings(main, "gcode_macro vars")["gcode"],
        10.0,
        "the macro has its new parameter",
        [main],
    )
    assert missing(main, mark) == []


def test_objects_that_it_no_longer_has_are_at_rest_and_that_is_said_once(main, led):
    mark = restarted(main, led, led_config({"led_effect fire": {}}, ""))
    for name in ("neopixel strip", "gcode_macro VARS", "ace"):
        main.wait_line(f"{MISSING}'{name}'", start=mark)
    wait_status(
        main,
        cabinet={"color_data": [BLACK] * 3, "ran": None},
        exhaust={"speed": 0.0, "rpm": None, "ran": None},
        runout={"enabled": None, "filament_detected": None, "ran": None},
        VARS={"x": None},
        ace={"slots": None, "temperature": None, "ran": None},
    )
    # The settings are those of a device that has not been seen yet
    assert settings(main, "gcode_macro vars") == {"gcode": ""}
    assert settings(main, "neopixel cabinet") == {"color_order": ["GRB"]}
    assert len(missing(main, mark)) == 5
    # A command is led's own error
    main.script("SET_FAN_SPEED FAN=exhaust SPEED=1")
    main.wait_line("led: Unknown command", start=mark)
    assert len(missing(main, mark)) == 5
    assert main.state() == "ready"


def test_other_kinds_under_the_names_are_no_error(main, led):
    status = {
        "neopixel strip": {"color_data": "red", "value": 1.0},
        "fan_generic exhaust": {"temperature": 20.0},
        "filament_switch_sensor runout": {"enabled": [1]},
        "ace": {"temperature": "warm", "gates": 4},
    }
    mark = restarted(main, led, led_config(status, MACRO.format("'text'").replace("x:", "y:")))
    wait_status(
        main,
        cabinet={"color_data": "red", "value": 1.0, "ran": None},
        exhaust={"speed": 0.0, "rpm": None, "temperature": 20.0, "ran": None},
        runout={"enabled": [1], "filament_detected": None, "ran": None},
        VARS={"x": None, "y": "text"},
        ace={"slots": None, "temperature": "warm", "gates": 4, "ran": None},
    )
    main.script("SET_LED LED=cabinet RED=1")
    wait_until(
        lambda: led.query(["neopixel strip"])["neopixel strip"]["ran"], 10.0, "it has run", [led]
    )
    assert missing(main, mark) == []
    led.kill()
    wait_known(main, "led", ready=False)
    colors = main.query(HERE)["neopixel cabinet"]["color_data"]
    assert set(map(tuple, colors)) == {tuple(BLACK)}
    led.start().wait_ready()
    wait_known(main, "led")


def test_everything_is_right_again_when_the_peer_is(main, led):
    mark = restarted(main, led, led_config())
    # Fields that only the others had are None: not stale
    wait_status(
        main,
        **all_right(
            cabinet={**STATUS["neopixel strip"], "value": None, "ran": None},
            exhaust={**STATUS["fan_generic exhaust"], "temperature": None, "ran": None},
            VARS={"x": 1, "y": None},
            ace={**STATUS["ace"], "gates": None, "ran": None},
        ),
    )
    assert missing(main, mark) == []
    main.script('SET_FAN_SPEED FAN="exhaust" SPEED=1')
    wait_until(
        lambda: led.query(["fan_generic exhaust"])["fan_generic exhaust"]["ran"],
        10.0,
        "the command has run",
        [main, led],
    )


def test_a_peer_with_an_error_in_its_config_has_no_devices(main, led):
    led.write_config("[nonsense")
    led.begin_restart()
    led.wait_state("error")
    wait_known(main, "led", ready=False)
    mark = main.mark()
    main.script("SET_FAN_SPEED FAN=exhaust SPEED=1")
    main.wait_line("led is not ready (error", start=mark)
    now = main.query(HERE)
    assert now["fan_generic exhaust"]["speed"] == 0.0 and now["ace"]["slots"] is None
    led.write_config(led_config())
    led.restart()
    wait_known(main, "led")
    wait_until(lambda: main.query(HERE)["ace"]["slots"], 10.0, "it is back", [main])


def test_kalico_reloads_its_own_macros_and_no_other(main, led):
    if main.kind != "kalico":
        pytest.skip("only Kalico has RELOAD_GCODE_MACROS")
    main.script("RELOAD_GCODE_MACROS")
    text = (main.folder / "printer.cfg").read_text()
    main.write_config(text + ONE)
    with pytest.raises(ApiError, match="'gcode_macro VARS' has the name of an object in option"):
        main.script("RELOAD_GCODE_MACROS")
    assert main.state() == "ready"
    main.write_config(text)


def test_settings_longer_than_max_message_are_the_defaults_and_one_line(main, led, shared_lab):
    options = OBJECTS + "max_message: 16384\n"
    router = "[router]\nstatus_interval: 0.05\n" + router_section(shared_lab, "led", options)
    main.write_config(config.printing(router))
    lines = "".join(f"    M118 {number} {'x' * 80}\n" for number in range(400))
    mark = restarted(main, led, led_config() + f"[gcode_macro LONG]\ngcode:\n{lines}")
    assert settings(main, "gcode_macro vars")["gcode"]
    main.restart()
    wait_known(main, "led")
    main.wait_line(UNREAD, start=mark)
    assert "longer than max_message (16384 bytes)" in main.wait_line(UNREAD, start=mark)
    assert settings(main, "gcode_macro vars") == {"gcode": ""}
    assert settings(main, "neopixel cabinet") == {"color_order": ["GRB"]}
    # All else works, and the connection is the same
    wait_until(lambda: main.query(HERE)["ace"].get("slots"), 10.0, "the status is read", [main])
    main.script("SET_FAN_SPEED FAN=exhaust SPEED=1\nM118 end")
    main.wait_line("end", start=mark)
    assert len([line for line in main.console[mark:] if UNREAD in line]) == 1
    assert reconnects(main) == 0
    # Said once per start of led's Klippy
    mark = main.mark()
    led.restart()
    main.wait_line(UNREAD, start=mark)
    # And read when they are short enough
    restarted(main, led, led_config())
    wait_until(
        lambda: "params.A" in settings(main, "gcode_macro vars")["gcode"],
        10.0,
        "the settings are read",
        [main],
    )


def test_without_objects_nothing_of_it_exists(main, shared_lab):
    """A peer without the option adds what the section of a peer always adds."""
    known = []
    for sections in ("", router_section(shared_lab, "led")):
        main.write_config(config.printing("[router]\n" + sections))
        main.restart()
        known.append(
            (
                set(main.call("objects/list")["objects"]),
                main.call("gcode/help").keys(),
                main.query(["configfile"])["configfile"]["settings"].keys(),
            )
        )
    without, with_peer = known
    assert with_peer[0] - without[0] == {"router led"}
    assert with_peer[1] == without[1]
    assert with_peer[2] - without[2] == {"router led"}
