"""Heaters of a peer: what is sent to it, and what turns them off."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.devices.heaters import Heater, Heaters
from klippy_extras.router.errors import NotReady, RouterError
from klippy_extras.router.option_lists import DeviceSettings
from klippy_extras.router.printers.printer import Job
from tests.unit.fake_klippy import CommandError, ConfigError, FakeConfig, Machine
from tests.unit.fake_printer import FakePrinter

CONFIG = "[router]\n[router led]\n"
OFF = "SET_HEATER_TEMPERATURE TARGET='0' HEATER='chamber'"
BEAT = "ROUTER_HEARTBEAT"


class FakeToolhead:
    def __init__(self):
        self.callbacks = 0

    def register_lookahead_callback(self, callback):
        callback(1.0)
        self.callbacks += 1


class Heated(Machine):
    """A machine with the heater box, which is chamber of led."""

    def __init__(self, text=CONFIG):
        super().__init__()
        self.heaters, self.available_heaters, self.available_sensors = {}, ["extruder"], []
        self.toolhead = FakeToolhead()
        self.printer.objects.update(heaters=self, toolhead=self.toolhead)
        self.led = FakePrinter("led").connects()
        self.errors = []
        source = "heater_generic chamber"
        settings = DeviceSettings(source, "heater_generic", "chamber", "heater_generic box", "box")
        self.box = Heater(self.led, settings)
        self.led.listeners.append(self.box)
        self.box.register(FakeConfig(self.printer, text).section("router"))
        self.all = Heaters([self.box])
        self.all.start(self.klippy, lambda peer: BEAT + ",".join(self.all.set_on(peer)))

    def register_sensor(self, config, sensor):
        self.available_sensors.append(config.get_name())

    def set(self, target):
        self.box.set_target({"HEATER": "box", "TARGET": str(target)}, self.done)

    def done(self, result, error):
        self.errors += [str(error)] if error else []


@pytest.fixture
def main():
    return Heated()


def set_line(target):
    return f"SET_HEATER_TEMPERATURE HEATER='chamber' TARGET='{target}'"


def test_a_target_is_sent_behind_a_heartbeat_that_names_the_heater(main):
    main.set(60)
    assert main.led.take_sent() == [f"{BEAT}chamber\n{set_line(60)}"]
    assert main.toolhead.callbacks == 1
    assert main.all.set_on(main.led) == ["chamber"]
    assert main.all.set_on(FakePrinter("afc")) == []


def test_a_target_for_a_peer_that_is_not_ready_is_refused(main):
    main.led.disconnects()
    with pytest.raises(NotReady, match="led is not connected"):
        main.set(60)
    assert main.all.set_on(main.led) == []
    main.led.connects()
    assert main.led.take_sent() == []


def test_turn_off_heaters_reaches_it_whether_this_printer_has_set_it_or_not(main):
    (heater,) = main.heaters.values()
    heater.set_temp(0.0)
    assert main.led.take_sent() == [f"{OFF}\n{BEAT}"]


def test_a_waiting_target_is_dropped_and_off_goes_first(main):
    main.led.submit(Job("SLOW"))
    main.led.submit(Job("MORE"))
    main.set(60)
    main.box.set_temp(0.0)
    assert main.led.take_sent() == ["SLOW", f"{OFF}\n{BEAT}", "MORE"]
    assert main.errors == []


def test_a_target_after_that_is_sent(main):
    main.led.submit(Job("SLOW"))
    main.set(60)
    main.box.turn_off()
    main.set(70)
    sent = main.led.take_sent()
    assert sent[1].startswith(OFF) and sent[2].endswith(set_line(70)) and len(sent) == 3


def test_off_is_made_up_for_when_the_peer_is_ready_again(main):
    main.set(60)
    main.led.take_sent()
    main.led.disconnects()
    main.box.turn_off()
    assert main.led.take_sent() == []
    main.led.connects()
    assert main.led.take_sent() == [f"{OFF}\n{BEAT}"]
    main.led.disconnects()
    main.led.connects()
    assert main.led.take_sent() == []


@pytest.mark.parametrize("restarts", [False, True])
def test_but_not_if_this_printer_had_not_set_it_or_the_peers_klippy_was_restarted(main, restarts):
    if restarts:
        main.set(60)
    main.led.take_sent()
    main.led.disconnects()
    main.box.turn_off()
    if restarts:
        main.led.restarts()
    main.led.connects()
    assert main.led.take_sent() == []


def test_an_off_that_fails_is_reported_and_tried_again(main):
    main.set(60)
    main.led.take_sent()
    main.box.turn_off()
    main.led.finish(RouterError("led: connection lost, outcome unknown"))
    assert main.console == [
        "// Router: heater_generic box was not turned off: led: connection lost, outcome unknown"
    ]
    main.led.take_sent()
    main.led.disconnects()
    main.led.connects()
    assert main.led.take_sent() == [f"{OFF}\n{BEAT}"]


def test_the_last_script_for_a_peer_turns_off_what_this_printer_has_set(main):
    assert main.all.off_script(main.led) == ""
    main.set(60)
    assert main.all.off_script(main.led) == OFF
    assert main.all.off_script(FakePrinter("afc")) == ""


def test_a_shutdown_turns_off_what_this_printer_has_set(main):
    main.all.turn_off_all()
    assert main.led.take_sent() == []
    main.set(60)
    main.led.take_sent()
    main.all.turn_off_all()
    assert main.led.take_sent() == [f"{OFF}\n{BEAT}"]


def test_user_interfaces_find_it_and_no_other_module_does(main):
    before = main.available_heaters
    main.all.list_all()
    assert main.available_heaters == ["extruder", "heater_generic box"]
    assert before == ["extruder"], "homing_heaters keeps the list of klippy:connect"
    assert main.available_sensors == ["heater_generic box"]
    assert list(main.heaters) == ["heater_generic box of led"]


@pytest.mark.parametrize(
    "section",
    ["[heater_fan fan]\nheater: box", "[controller_fan fan]\nheater: extruder, box",
     "[homing_heaters]\nheaters: heater_generic box", "[extruder1]\nshared_heater: box"],
)  # fmt: skip
def test_no_section_can_use_it(section):
    with pytest.raises(ConfigError, match="cannot use 'heater_generic box'.*printer 'led'"):
        Heated(CONFIG + section)


def test_it_is_verified_by_its_own_printer():
    with pytest.raises(ConfigError, match=r"Section 'verify_heater box'.*remove the section here"):
        Heated(CONFIG + "[verify_heater box]")


def wait_step(main, eventtime):
    return main.box.get_temp(eventtime)


def test_a_temperature_wait_reads_temperature_and_target(main):
    main.box.update(1.0, {"heater_generic chamber": {"temperature": 25.0, "target": 60.0}})
    assert wait_step(main, 10.0) == (25.0, 60.0)


def test_a_temperature_wait_ends_if_the_peer_was_not_ready_between_two_reads(main):
    main.box.update(1.0, {"heater_generic chamber": {"temperature": 25.0}})
    wait_step(main, 10.0)
    main.led.disconnects()
    main.led.connects()
    main.box.update(1.0, {"heater_generic chamber": {"temperature": 25.0}})
    with pytest.raises(CommandError, match="led was not ready during the wait"):
        wait_step(main, 11.0)
    # The next wait is another one
    assert wait_step(main, 20.0) == (25.0, 0.0)
    main.led.disconnects()
    with pytest.raises(CommandError, match="led is not connected"):
        wait_step(main, 21.0)
