"""Option accept_calls: an accessory that two main printers share."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.findings import not_ok
from tests.system.macros import (
    LIFECYCLE,
    fresh,
    recorder,
    remote_call,
    router_section,
    set_state,
    shown,
    wait_known,
    wait_shown,
)

pytestmark = pytest.mark.pairs
INCLUDE = f"[include {ROOT}/includes/router_api.cfg]\n"
HEART = "gcode_macro ROUTER_HEARTBEAT"
CHAMBER = """
[thermistor fake]
temperature1: 25
resistance1: 100000
beta: 3950
[heater_generic chamber]
heater_pin: gpio20
sensor_type: fake
sensor_pin: gpio21
control: watermark
min_temp: 0
max_temp: 120
"""


@pytest.fixture(scope="module")
def trio(shared_lab):
    """main takes the calls of led; second shares it."""
    lab = shared_lab
    macros = recorder("ON_STATUS", "ON_EVENT", *LIFECYCLE)
    main = lab.main(config.printing("[router]\n" + router_section(lab, "led") + macros))
    section = router_section(
        lab,
        "led",
        "accept_calls: False\non_connect: SHOW CONNECTED=second\n"
        "mirror:\n    gcode_macro STATE: x\nobjects:\n    heater_generic chamber",
    )
    text = config.printing(f"[router]\nname: second\n{section}{macros}")
    second = lab.printer(lab.kind, "second", text)
    heart = "[gcode_macro ROUTER_HEARTBEAT]\nvariable_timeout: 6\n"
    led = lab.peer("led", config.printing(INCLUDE + heart + CHAMBER + macros, "fake"), mcu="fake")
    lab.wait_ready()
    for host in (main, second):
        wait_known(host, "led")
    return main, second, led


def hosts(led):
    return led.query([HEART])[HEART]["hosts"]


def target(led):
    return led.query({"heater_generic chamber": ["target"]})["heater_generic chamber"]["target"]


def settle(*printers):
    for printer in printers:
        printer.script("M400")


def test_each_call_of_its_macros_runs_once(trio):
    main, second, led = trio
    marks = {printer: printer.mark() for printer in trio}
    number = str(fresh())
    remote_call(led, "router/gcode/script", target="main", script=f"SHOW N={number}")
    wait_shown(main, "SHOW", marks[main], N=number)
    led.script(f"ROUTER_EVENT_SUBSCRIBE EVENT=e{number} GCODE=ON_EVENT")
    led.script(f"ROUTER_EVENT_TRIGGER EVENT=e{number} N={number}")
    wait_shown(led, "ON_EVENT", marks[led], N=number)
    remote_call(led, "router/gcode/script", target="second", script="SHOW N=1")
    led.wait_line("Unknown printer 'second'", start=marks[led])
    settle(*trio)
    assert shown(main, "SHOW", marks[main]) == [{"N": number}]
    assert shown(led, "ON_EVENT", marks[led]) == [{"N": number}]
    assert second.console[marks[second] :] == []


def test_what_the_second_printer_can_do_there(trio):
    _main, second, led = trio
    mark, other = led.mark(), second.mark()
    second.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='SHOW N=5' WAIT=1")
    assert shown(led, "SHOW", mark) == [{"N": "5"}]
    assert "// led: SHOW N=5" in second.console[other:]
    second.script(
        "ROUTER_OBJECTS_SUBSCRIBE TARGET=led OBJECTS='gcode_macro STATE:x' CALLBACK=ON_STATUS"
    )
    number = fresh()
    set_state(led, x=number)
    wait_shown(second, "ON_STATUS", other, GCODE_MACRO_STATE_X=str(number))
    section = "router led"
    wait_until(
        lambda: second.query([section])[section]["gcode_macro STATE"]["x"] == number,
        10.0,
        "the mirror has it",
        [second],
    )
    second.script("ROUTER_EVENT_SUBSCRIBE EVENT=done GCODE=ON_EVENT CALLBACK_TARGET=led")
    second.script("ROUTER_EVENT_TRIGGER EVENT=done N=7")
    wait_shown(led, "ON_EVENT", mark, N="7")


def test_its_lifecycle_macros_run_once(trio):
    main, second, led = trio
    marks = {printer: printer.mark() for printer in trio}
    led.restart()
    for host in (main, second):
        wait_shown(host, "ROUTER_ON_DISCONNECTED", marks[host], 20.0, PRINTER="led")
        wait_shown(host, "ROUTER_ON_CONNECTED", marks[host], 20.0, PRINTER="led")
        wait_known(host, "led")
    wait_shown(led, "SHOW", marks[led], CONNECTED="second")
    wait_shown(led, "ROUTER_ON_CONNECTED", marks[led], PRINTER="main")
    settle(*trio)
    assert len(shown(led, "ROUTER_ON_READY", marks[led])) == 1
    assert shown(led, "ROUTER_ON_CONNECTED", marks[led]) == [{"PRINTER": "main"}]


def test_what_the_second_printer_had_set_goes_off_when_it_is_killed(trio):
    main, second, led = trio
    mark = led.mark()
    wait_until(lambda: set(hosts(led)) == {"main", "second"}, 20.0, "both are watched", [led])
    second.script("SET_HEATER_TEMPERATURE HEATER=chamber TARGET=40")
    wait_until(lambda: target(led) == 40.0, 10.0, "the heater is on", [led])
    due = hosts(led)["main"]["due"]
    # A heartbeat of the other printer leaves it on
    wait_until(lambda: hosts(led)["main"]["due"] != due, 20.0, "a heartbeat of main", [led])
    assert target(led) == 40.0
    second.kill()
    wait_until(lambda: target(led) == 0.0, 20.0, "the heater is off", [led])
    assert [hosts(led)[name]["notified"] for name in ("main", "second")] == [0, 1]
    second.start().wait_ready()
    wait_known(second, "led")
    wait_until(lambda: not hosts(led)["second"]["notified"], 20.0, "it is watched again", [led])
    assert shown(led, "ROUTER_ON_DISCONNECTED", mark) == []
    assert is_watched(main, led, mark)


def is_watched(main, led, mark):
    main.kill()
    wait_shown(led, "ROUTER_ON_DISCONNECTED", mark, 20.0, PRINTER="main", REASON="timeout")
    main.start().wait_ready()
    wait_known(main, "led")
    return shown(led, "ROUTER_ON_DISCONNECTED", mark) == [{"PRINTER": "main", "REASON": "timeout"}]


def test_the_diagnosis(trio):
    main, second, _led = trio
    assert not_ok(main, "led") == {}
    assert not_ok(second, "led") == {}
    mark = second.mark()
    second.script("ROUTER_DIAGNOSE TARGET=led")
    second.wait_line("led methods: none registered there: accept_calls is False", start=mark)
    second.wait_line("led other routers: its calls are for another router", start=mark)


def test_a_printer_without_calls_has_nothing_to_relay(lab, kind):
    section = router_section(lab, "led", "accept_calls: False\nrelay_methods: notify")
    printer = lab.printer(kind, "main", config.minimal("[router]\n" + section))
    printer.wait_state("error", 10.0)
    assert (
        "Section 'router led' has both 'relay_methods' and 'accept_calls: False'"
        in printer.call("info")["state_message"]
    )
