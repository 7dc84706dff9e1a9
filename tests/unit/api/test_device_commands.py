"""The commands of devices: what runs on which printer, and what is reported."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.errors import RouterError
from klippy_extras.router.router import Router
from tests.unit.fake_klippy import CommandError, ConfigError, FakeConfig, Machine
from tests.unit.fake_router import Network

OBJECTS = """[router]
[router led]
objects:
    neopixel strip as cabinet
    fan_generic exhaust
    output_pin relay
    servo flap as lid
    temperature_fan cool
    filament_switch_sensor runout
    led_effect fire
    gcode_macro VARS as LED_VARS
    mmu
[router afc]
objects:
    dotstar strip
"""


@pytest.fixture
def net():
    return Network(OBJECTS)


@pytest.mark.parametrize(
    ("line", "sent"),
    [
        # As Mainsail sends it: quoted, with more than one parameter
        (
            'SET_LED LED="cabinet" RED=1 GREEN=0.5 BLUE=0 SYNC=0 TRANSMIT=1',
            "SET_LED LED='strip' RED='1' GREEN='0.5' BLUE='0' SYNC='0' TRANSMIT='1'",
        ),
        ("set_led red=1 led=cabinet", "SET_LED RED='1' LED='strip'"),
        ("SET_FAN_SPEED FAN=exhaust SPEED=.5", "SET_FAN_SPEED FAN='exhaust' SPEED='.5'"),
        ("SET_PIN PIN=relay VALUE=1", "SET_PIN PIN='relay' VALUE='1'"),
        ("SET_SERVO SERVO=lid ANGLE=90", "SET_SERVO SERVO='flap' ANGLE='90'"),
        (
            "SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN=cool TARGET=40",
            "SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN='cool' TARGET='40'",
        ),
        (
            "SET_FILAMENT_SENSOR SENSOR=runout ENABLE=0",
            "SET_FILAMENT_SENSOR SENSOR='runout' ENABLE='0'",
        ),
        ("QUERY_FILAMENT_SENSOR SENSOR=runout", "QUERY_FILAMENT_SENSOR SENSOR='runout'"),
        ("SET_LED_EFFECT EFFECT=fire STOP=1", "SET_LED_EFFECT EFFECT='fire' STOP='1'"),
        (
            "SET_GCODE_VARIABLE MACRO=LED_VARS VARIABLE=x VALUE=\"'a b'\"",
            "SET_GCODE_VARIABLE MACRO='VARS' VARIABLE='x' VALUE=''\"'\"'a b'\"'\"''",
        ),
    ],
)
def test_a_command_runs_on_the_devices_printer_with_its_name_there(net, line, sent):
    net.run(line)
    assert net.led.take_sent() == [sent]
    assert net.afc.take_sent() == []
    assert net.take_console() == []


@pytest.mark.parametrize(
    ("line", "is_in_step"),
    [
        ("SET_PIN PIN=relay VALUE=1", True),
        ("SET_LED LED=cabinet RED=1", True),
        ("SET_LED LED=cabinet RED=1 SYNC=0", False),
        ("SET_FAN_SPEED FAN=exhaust SPEED=1", True),
        ("SET_SERVO SERVO=lid ANGLE=90", True),
        ("SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN=cool TARGET=40", False),
        ("SET_FILAMENT_SENSOR SENSOR=runout ENABLE=0", False),
    ],
)
def test_what_klipper_runs_in_step_with_the_moves_is_in_step(net, line, is_in_step):
    net.led.acts_at_a_time = True
    due = net.printer.objects["toolhead"].end = net.reactor.now + 2.0
    net.run(line)
    net.reactor.advance(1.4)
    assert len(net.led.take_sent()) == (not is_in_step)
    net.reactor.advance(0.2)
    assert len(net.led.take_sent()) == is_in_step
    assert net.led.times == [pytest.approx(due) if is_in_step else None]


def test_devices_of_two_peers_share_a_command(net):
    net.run("SET_LED LED=strip RED=1")
    assert net.led.take_sent() == []
    assert net.afc.take_sent() == ["SET_LED LED='strip' RED='1'"]


def test_a_name_that_no_device_has_is_klippers_own_error(net):
    with pytest.raises(CommandError, match="The value 'fire' is not valid for LED"):
        net.run("SET_LED LED=fire RED=1")
    assert net.led.take_sent() == []


def test_the_commands_have_help_texts(net):
    texts = net.gcode.get_command_help()
    for name in ("SET_LED", "SET_PIN", "SET_FAN_SPEED", "QUERY_FILAMENT_SENSOR", "SET_LED_EFFECT"):
        assert texts[name]


@pytest.mark.parametrize("name", ["A-B", "A.B", "A;B"])
def test_a_parameter_that_could_become_another_command_is_refused(net, name):
    with pytest.raises(CommandError, match="^Invalid parameter '.*' of SET_PIN$"):
        net.run(f"SET_PIN PIN=relay VALUE=1 '{name}=1'")
    assert net.led.take_sent() == []


def test_values_are_quoted_for_the_peers_parser(net):
    net.led.old_parser = True
    net.run("SET_PIN PIN=relay VALUE='1\" X=2; M112'")
    assert net.led.take_sent() == ["SET_PIN PIN='relay' VALUE='1\" X=2_ M112'"]


def test_a_command_does_not_wait(net):
    net.led.duration = None
    net.run("SET_PIN PIN=relay VALUE=1\nSET_PIN PIN=relay VALUE=0")
    assert net.led.sent == ["SET_PIN PIN='relay' VALUE='1'"]
    assert len(net.led.take_sent()) == 2


def test_an_error_of_the_peer_is_reported_when_it_comes(net):
    net.led.duration = None
    net.run("SET_SERVO SERVO=lid ANGLE=999")
    assert net.take_console() == []
    net.led.finish(RouterError("led: ANGLE must be below 180"))
    assert net.take_console() == ["// Router: led: ANGLE must be below 180"]
    assert net.last_error == "led: ANGLE must be below 180"


def test_a_command_for_a_peer_that_is_offline_is_one_line(net):
    net.led.disconnects()
    net.take_console()
    net.run("SET_LED LED=cabinet RED=1\nSET_LED LED=strip RED=1")
    assert net.take_console() == ["// Router: led is not connected"]
    assert net.afc.take_sent() == ["SET_LED LED='strip' RED='1'"]
    net.led.connects()
    assert net.led.take_sent() == []  # nothing is stored


def test_a_command_for_a_peer_that_is_shut_down_is_one_line(net):
    net.led.shuts_down("M112")
    net.take_console()
    net.run("SET_PIN PIN=relay VALUE=1")
    (line,) = net.take_console()
    assert "led is not ready (shutdown: M112)" in line


def test_a_light_shows_its_color_when_the_command_has_run(net):
    net.led.objects["neopixel strip"] = {"color_data": [[0.0] * 4]}
    net.led.tick()
    light = net.printer.objects["neopixel cabinet"]
    net.led.duration = None
    net.run("SET_LED LED=cabinet RED=1")
    assert light.get_status(1.0)["color_data"] == [[0.0] * 4]
    net.led.objects["neopixel strip"] = {"color_data": [[1.0, 0.0, 0.0, 0.0]]}
    net.led.finish()
    assert light.get_status(1.0)["color_data"] == [[1.0, 0.0, 0.0, 0.0]]


def test_what_a_command_prints_there_is_shown_here(net):
    net.led.duration = None
    net.run("QUERY_FILAMENT_SENSOR SENSOR=runout")
    net.led._running.follower.printed("Filament Sensor runout: filament detected")
    assert net.take_console() == ["// led: Filament Sensor runout: filament detected"]


@pytest.mark.parametrize("light", ["cabinet", "strip"])
def test_a_template_of_this_printer_is_refused(net, light):
    with pytest.raises(CommandError) as error:
        net.run(f"SET_LED_TEMPLATE LED={light} TEMPLATE=x")
    peer = "led" if light == "cabinet" else "afc"
    assert str(error.value) == (
        f"SET_LED_TEMPLATE: '{light}' is a device of {peer}, which renders its own templates: run"
        " this command there"
    )


# -- names in use


def start(command, key, value, text=OBJECTS):
    """A router beside a module of this printer that has this command."""
    machine = Machine()
    machine.printer.objects.update(Network("[router]\n").printer.objects)
    machine.printer.objects.update(gcode=machine.gcode, webhooks=machine.webhooks)
    if key:
        machine.gcode.register_mux_command(command, key, value, lambda gcmd: None)
    else:
        machine.command(command)
    Router(FakeConfig(machine.printer, text).section("router"))
    return machine


def test_a_name_that_another_module_uses_in_the_command_is_refused_with_the_way_out():
    """Such as heater_generic extruder beside [extruder]."""
    text = "[router]\n[router led]\nobjects: output_pin extruder as e0\n"
    with pytest.raises(ConfigError) as error:
        start("SET_PIN", "PIN", "e0", text)
    assert str(error.value) == (
        "Object 'output_pin e0' in option 'objects' in section 'router led' cannot be registered:"
        " mux command SET_PIN PIN e0 already registered. Give it another name, as in"
        " 'output_pin extruder as led_e0'"
    )


def test_another_name_in_the_same_command_is_accepted():
    start("SET_PIN", "PIN", "other")


def test_klippers_own_set_led_template_without_names_stays():
    """That of 2023, which says "Unknown LED"."""
    machine = start("SET_LED_TEMPLATE", None, None)
    machine.printer.send_event("klippy:connect")


def test_without_devices_nothing_is_registered():
    before = Network("[router]\n[router led]\n[router afc]\n")
    assert "SET_LED" not in before.gcode.get_command_help()
    assert before.led.subscribed == {}
    assert before.led.queries == []
    assert "get_status" not in vars(before.printer.objects["configfile"])
