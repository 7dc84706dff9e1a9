"""What is read of Klippy's objects for printer.router.activity."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.klippy.activity import SERIAL_HOLD, Activity
from klippy_extras.router.klippy.activity_rules import MOVE_HOLD
from tests.unit.fake_klippy import FakeObject, Machine


class Toolhead:
    """The toolhead, and its kinematics."""

    position = (0.0, 0.0, 10.0, 0.0)

    def get_position(self):
        return list(self.position)

    def get_kinematics(self):
        return FakeObject(axis_minimum=(0.0, 0.0, -2.0, 0.0), axis_maximum=(200.0, 200.0, 200.0, 0))


class HomingMove:
    def __init__(self, toolhead):
        self.toolhead = toolhead


class Printer(Machine):
    """A printer with an extruder, and a heater of a peer."""

    def __init__(self):
        super().__init__()
        self.toolhead = Toolhead()
        self.extruder = FakeObject(temperature=20.0, target=0.0)
        self.chamber = FakeObject(temperature=20.0, target=0.0)
        self.objects = self.printer.objects
        self.objects.update({"extruder": self.extruder, "heater_generic chamber": self.chamber})
        heaters = ["extruder", "heater_generic chamber"]
        self.objects.update(toolhead=self.toolhead, heaters=FakeObject(available_heaters=heaters))
        self.activity = Activity(self.klippy, {"extruder"}.__contains__)

    @property
    def word(self):
        return self.activity.read(self.reactor.now)

    def event(self, name, toolhead=None):
        move = HomingMove(toolhead or self.toolhead)
        rails = [[]] if "rails" in name else []
        self.printer.send_event(f"homing:{name}", move, *rails)


@pytest.fixture
def printer():
    return Printer()


def test_the_state_of_klippy_comes_before_objects_that_do_not_exist_yet(printer):
    printer.objects.clear()
    for state, word in (("startup", "startup"), ("shutdown", "shutdown"), ("error", "shutdown")):
        printer.state(state)
        assert printer.word == word
    printer.state("ready")
    assert printer.word == "idle"


def test_only_heaters_with_a_section_here_heat(printer):
    printer.chamber.status["target"] = 60.0
    assert printer.word == "idle"
    printer.extruder.status["target"] = 200.0
    assert printer.word == "heating"
    printer.extruder.status["temperature"] = 199.0
    assert printer.word == "idle"


def test_print_stats_pause_resume_and_manual_probe(printer):
    printer.objects["print_stats"] = stats = FakeObject(state="printing")
    assert printer.word == "printing"
    printer.objects["manual_probe"] = probe = FakeObject(is_active=True)
    assert printer.word == "probing"
    probe.status["is_active"] = False
    stats.status["state"] = "standby"
    printer.objects["pause_resume"] = FakeObject(is_paused=True)
    assert printer.word == "paused"


def test_homing_and_probing_moves(printer):
    printer.event("home_rails_begin")
    printer.event("homing_move_begin")
    assert printer.word == "homing"
    printer.event("homing_move_end")
    printer.event("home_rails_end")
    printer.printer.send_event("toolhead:manual_move")
    printer.event("homing_move_begin")
    assert printer.word == "probing"
    printer.event("homing_move_end")
    printer.reactor.advance(MOVE_HOLD)
    assert printer.word == "idle"


@pytest.mark.parametrize(
    ("height", "word"), [(-2.0, "probing"), (200.0, "probing"), (-2.1, "homing"), (300.0, "homing")]
)
def test_a_move_from_beyond_the_limits_is_homing(printer, height, word):
    printer.toolhead.position = (0.0, 0.0, height, 0.0)
    printer.event("homing_move_begin")
    assert printer.word == word


@pytest.mark.parametrize("args", [(), (1.5,)])
def test_motors_that_were_turned_off_do_not_home(printer, args):
    printer.event("home_rails_begin")
    printer.printer.send_event("stepper_enable:motor_off", *args)
    assert printer.word == "idle"


def test_other_steppers_do_not_count(printer):
    for name in ("home_rails_begin", "homing_move_begin"):
        printer.event(name, object())
    assert printer.word == "idle"
    printer.event("homing_move_begin")
    for name in ("homing_move_end", "home_rails_end"):
        printer.event(name, object())
    printer.reactor.advance(100.0)
    assert printer.word == "probing"


def test_the_serial_port_is_busy_between_two_lines(printer):
    class Port:
        is_processing_data = True

    printer.objects["gcode_io"] = Port
    assert printer.word == "printing"
    Port.is_processing_data = False
    printer.reactor.advance(SERIAL_HOLD / 2)
    assert printer.word == "printing"
    printer.reactor.advance(SERIAL_HOLD)
    assert printer.word == "idle"


def test_an_object_that_fails_is_logged_once_and_the_word_stays(printer, caplog):
    printer.objects["print_stats"] = stats = FakeObject(state="printing")
    assert printer.word == "printing"
    stats.get_status = lambda eventtime: 1 / 0
    assert [printer.word for _ in range(10)] == ["printing"] * 10
    assert caplog.text.count("ZeroDivisionError") == 1
    del stats.get_status
    stats.status["state"] = "complete"
    assert printer.word == "complete"


def test_a_kinematics_that_fails_is_logged(printer, caplog):
    printer.toolhead.get_kinematics = lambda: None
    printer.event("homing_move_begin")
    printer.event("homing_move_end")
    assert "AttributeError" in caplog.text
    assert printer.word == "idle"
