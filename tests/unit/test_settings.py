"""The config sections [router] and [router NAME]: what is read from them, and what is refused."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.option_lists import DeviceSettings, SensorSettings
from klippy_extras.router.settings import (
    DEFAULT_MAX_MESSAGE,
    PERMISSIONS,
    gcode_prefix,
    read_settings,
)
from tests.unit.fake_klippy import ConfigError, FakeConfig, Machine


def read(text, own_sock=None):
    return read_settings(FakeConfig(Machine().printer, text).section("router"), own_sock)


def peer(options):
    """The settings of a peer with these lines in its section."""
    return read(f"[router]\n[router led]\n{options}\n").peers[0]


def test_defaults():
    settings = read("[router]\n[router led]\n")
    assert (settings.name, settings.status_interval, settings.on_connect) == ("main", 0.25, "")
    led = settings.peers[0]
    assert led.sock.endswith("/printer_led_data/comms/klippy.sock") and "~" not in led.sock
    assert (led.timeout, led.disconnect_grace, led.max_message) == (5.0, 0.0, DEFAULT_MAX_MESSAGE)
    assert (led.on_disconnect, led.required, led.emergency_stop) == ("warn", False, False)
    assert (led.mirror, led.sensors, led.proxy_commands) == ({}, (), ())
    assert led.relay_methods == ()
    assert led.proxy_patterns == ()
    assert led.allow == set(PERMISSIONS)


def test_peers_come_in_the_order_of_the_file():
    settings = read("[router b]\n[router]\n[router a]\nsock: /tmp/a\n[router c]\nsock: /tmp/c\n")
    assert [p.name for p in settings.peers] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("options", "mirror"),
    [
        ("mirror: toolhead", {"toolhead": None}),
        (
            "mirror:\n  print_stats: state , filename\n\n  heater_generic chamber\n",
            {"print_stats": ["state", "filename"], "heater_generic chamber": None},
        ),
        ("mirror:", {}),
    ],
)
def test_mirror(options, mirror):
    assert peer(options).mirror == mirror


@pytest.mark.parametrize("lines", ["print_stats:", ": state", "toolhead\n  toolhead", "a: ,"])
def test_a_mirror_that_is_malformed(lines):
    with pytest.raises(
        ConfigError, match="Invalid line .* in option 'mirror' of section 'router l"
    ):
        peer(f"mirror:\n  {lines}")


def test_sensors():
    assert peer("sensors:\n  chamber: heater_generic chamber\n  mcu: mcu.temp").sensors == (
        SensorSettings("chamber", "heater_generic chamber", "temperature"),
        SensorSettings("mcu", "mcu", "temp"),
    )


@pytest.mark.parametrize("line", ["chamber", "chamber:", "two words: a", ": a", "x: .temperature"])
def test_a_sensor_that_is_malformed(line):
    with pytest.raises(ConfigError, match="Invalid line .* in option 'sensors' of section 'router"):
        peer(f"sensors:\n  {line}")


def test_a_sensor_that_exists_on_this_printer():
    with pytest.raises(ConfigError, match="Sensor 'a' in option 'sensors' .* already exists"):
        peer("sensors:\n  a: fan\n[temperature_sensor a]")


def test_relayed_methods_are_names_and_each_counts_once():
    led = peer("relay_methods: notify, a.b/c-d,\n  Notify, notify\n")
    assert led.relay_methods == ("notify", "a.b/c-d", "Notify")


def test_objects():
    led = peer(
        "objects:\n  neopixel strip as cabinet\n\n  mmu_machine\n  mcu as led_mcu\n"
        "  AFC_stepper lane.1-b  as  l1\n  extruder\n  heater_bed as led-bed\n  extruder12"
    )
    assert led.objects == (
        DeviceSettings("neopixel strip", "neopixel", "strip", "neopixel cabinet", "cabinet"),
        DeviceSettings("mmu_machine", "mmu_machine", "", "mmu_machine", "mmu_machine"),
        DeviceSettings("mcu", "mcu", "", "led_mcu", "led_mcu"),
        DeviceSettings("AFC_stepper lane.1-b", "AFC_stepper", "lane.1-b", "AFC_stepper l1", "l1"),
    )
    assert led.sensors == (
        SensorSettings("extruder", "extruder", "temperature", "objects"),
        SensorSettings("led-bed", "heater_bed", "temperature", "objects"),
        SensorSettings("extruder12", "extruder12", "temperature", "objects"),
    )
    assert peer("objects:").objects == ()


@pytest.mark.parametrize(
    "line",
    [
        "a b c",
        "neopixel strip as",
        "neopixel strip as a b",
        "a, b",
        "mmu as x y",
        "a b as c.d",
        "a:",
    ],
)
def test_an_object_that_is_malformed(line):
    with pytest.raises(ConfigError) as error:
        peer(f"objects:\n  {line}")
    assert str(error.value) == (
        f"Invalid line '{line}' in option 'objects' of section 'router led': write one object per"
        " line, as in 'heater_generic chamber' or 'neopixel strip as cabinet'"
    )


@pytest.mark.parametrize(
    ("line", "section", "way_out"),
    [
        ("neopixel strip", "neopixel strip", "neopixel strip as led_strip"),
        ("neopixel strip as a", "neopixel a", "neopixel strip as led_a"),
        ("mmu", "mmu", "mmu as led_mmu"),
        ("mmu as other", "other", "mmu as led_other"),
        ("extruder", "temperature_sensor extruder", "extruder as led_extruder"),
        ("heater_bed as bed", "temperature_sensor bed", "heater_bed as led_bed"),
    ],
)
def test_an_object_that_exists_on_this_printer(line, section, way_out):
    for text in (
        "[router]\n[router led]\nobjects: {0}\n[{1}]",
        "[{1}]\n[router]\n[router led]\nobjects: {0}",
    ):
        with pytest.raises(ConfigError) as error:
            read(text.format(line, section))
        assert str(error.value) == (
            f"Object '{section}' in option 'objects' of section 'router led' already exists in this"
            f" printer: give it another name, as in '{way_out}'"
        )


def test_an_object_may_have_the_name_of_a_section_of_another_module():
    peer("objects: neopixel strip\n[output_pin strip]\n[strip]\n[neopixel strip2]")


def test_proxy_commands_and_allow_are_words():
    led = peer("proxy_commands: feed,\n  LOAD_LANE, m150\nallow: status\n  event,")
    assert led.proxy_commands == ("FEED", "LOAD_LANE", "M150")
    assert led.allow == {"status", "event"}
    assert peer("allow:").allow == set()


def test_proxy_commands_may_end_in_an_asterisk():
    led = peer("proxy_commands: MMU_*, T0, t*\n  _X*")
    assert (led.proxy_commands, led.proxy_patterns) == (("T0",), ("MMU_", "T", "_X"))
    both = "[router]\n[router a]\nproxy_commands: A*\n[router b]\nproxy_commands: A*, A1"
    assert [p.proxy_patterns for p in read(both).peers] == [("A",), ("A",)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("proxy_commands: A B", "Invalid command 'A B'"),
        ("relay_methods: *", "Invalid remote method '\\*' in option 'relay_methods'"),
        ("relay_methods: a b", "Invalid remote method 'a b' in option 'relay_methods'"),
        ("relay_methods: a, router/call", "'router/call' .* is the router's own: remove it"),
        ("proxy_commands: M118;", "Invalid command 'M118;'"),
        ("proxy_commands: MMU_*_X", r"Invalid command 'MMU_\*_X'.*at the end of a name matches"),
        ("proxy_commands: *", r"Invalid '\*' in option 'proxy_commands' of .*match all commands"),
        ("proxy_commands: MMU_**", r"Invalid 'MMU_\*\*' .* only at the end of a name"),
        ("proxy_commands: *_MMU*", r"Invalid '\*_MMU\*' .* only at the end of a name"),
        ("proxy_commands: 3D*", r"Invalid '3D\*' .* only at the end of a name"),
        ("proxy_commands: router_*", r"Invalid 'ROUTER_\*' .* the router has these commands"),
        ("proxy_commands: abort", "Invalid command 'ABORT' .* during a calibration: leave it out"),
        ("allow: gcodes", "Unknown word 'gcodes' in option 'allow'"),
        ("on_disconnect: stop", "Unknown word 'stop' in option 'on_disconnect'.*ignore, warn, pau"),
        ("sock:", "Option 'sock' in section 'router led' is empty"),
        ("timeout: nan", "Option 'timeout' in section 'router led' must be a number of seconds"),
        ("timeout: 0.5", "'timeout' in section 'router led'"),
        ("disconnect_grace: -1", "'disconnect_grace' in section 'router led'"),
        ("max_message: 1000", "'max_message' in section 'router led'"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        peer(options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[router]\nname: a b", "Invalid printer name 'a b' in option 'name'"),
        ("[router]\n[router my.led]", r"Invalid printer name 'my.led' in section"),
        ("[router]\n[router main]", "Section 'router main' has the name of this printer"),
        ("[router]\n[router a-b]\n[router a_b]", "'a-b' and 'a_b' are both A_B"),
        ("[router]\n[router a]\nsock: /x\n[router b]\nsock: /y/../x", "also the socket of .*'rout"),
        ("[router]\n[router a]\nsock: /own", "this printer's own API socket"),
        (
            "[router]\n[router a]\nproxy_commands: A_B\n[router b]\nsock: /b\nproxy_commands: a_b",
            "command 'A_B' .* of section 'router b' already exists, in section 'router a'",
        ),
        (
            "[router]\n[router a]\nsensors: x: fan\n[router b]\nsock: /b\nsensors: x: fan",
            "sensor 'x' .* of section 'router b' already exists, in section 'router a'",
        ),
        (
            "[router]\n[router a]\nobjects: mmu\n[router b]\nsock: /b\nobjects: ace as mmu",
            "object 'mmu' .* of section 'router b' already exists, in section 'router a': define it"
            " only once, or give it another name, as in 'ace as b_mmu'$",
        ),
        (
            "[router]\n[router a]\nobjects: extruder\n[router b]\nsock: /b\nobjects: extruder",
            "sensor 'extruder' .* of section 'router b' .* as in 'extruder as b_extruder'$",
        ),
        (
            "[router]\n[router a]\nsensors: extruder: fan\nobjects: extruder",
            "sensor 'extruder' in option 'objects' .* as in 'extruder as a_extruder'$",
        ),
        (
            "[router]\n[router a]\nsensors: x: fan\n[router b]\nsock: /b\n"
            "objects: temperature_sensor y as x",
            "object 'temperature_sensor x' .* as in 'temperature_sensor y as b_x'$",
        ),
        (
            "[router]\n[router a]\nobjects: led x\n  led y as x",
            "section 'router a' already exists, in section 'router a': define it only once",
        ),
    ],
)
def test_names_and_sockets_must_be_unique(text, message):
    with pytest.raises(ConfigError, match=message):
        read(text, own_sock="/own")


def test_a_section_without_a_name_is_an_error():
    config = FakeConfig(Machine().printer, "[router]\n[router ]\n")
    with pytest.raises(ConfigError, match=r"write \[router\] for this printer"):
        read_settings(config.section("router "), None)


@given(st.text(st.sampled_from("aZ09_-"), min_size=1), st.text(max_size=8))
def test_a_prefix_is_part_of_a_parameter_name(name, text):
    assert re.fullmatch("[A-Z0-9_]+", gcode_prefix(name))
    assert gcode_prefix(name) == gcode_prefix(name.lower()) == gcode_prefix(gcode_prefix(name))
    assert re.fullmatch("[A-Z0-9_]*", gcode_prefix(text))
