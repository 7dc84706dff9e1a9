"""LEDs of a peer: the color that is shown before the status of the peer arrives."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.devices.lights import Light
from klippy_extras.router.errors import Busy, RouterError
from klippy_extras.router.option_lists import DeviceSettings
from tests.unit.fake_printer import FakePrinter

STRIP = "neopixel strip"
RED, GREEN, BLACK = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0] * 4


class SlowPrinter(FakePrinter):
    """Answers queries when the test says so, as a peer does."""

    def __init__(self):
        super().__init__("led")
        self.asked = []
        self.is_busy_now = False

    def query_objects(self, objects, done):
        self.check_connected()
        if self.is_busy_now:
            raise Busy("led is busy")
        self.asked.append((objects, done))

    def answers(self, error=None, **fields):
        """The oldest query."""
        objects, done = self.asked.pop(0)
        assert objects == {STRIP: ["color_data"]}
        done(None if error else {"eventtime": 1.0, "status": {STRIP: fields}}, error)


class Lit:
    def __init__(self, count=2):
        self.led = SlowPrinter()
        settings = DeviceSettings(STRIP, "neopixel", "strip", "neopixel cabinet", "cabinet")
        self.light = Light(self.led, settings)
        self.led.listeners.append(self.light)
        self.led.connects()
        self.reports([BLACK] * count)

    def reports(self, colors):
        self.light.update(1.0, {STRIP: {"color_data": colors}})

    @property
    def colors(self):
        return self.light.get_status(1.0)["color_data"]


def test_a_color_is_shown_as_soon_as_the_peer_has_run_the_command():
    main = Lit()
    main.light.ran({"LED": "strip", "RED": "1", "SYNC": "0", "TRANSMIT": "1"})
    assert main.colors == [RED, RED]
    main.light.ran({"GREEN": "1", "INDEX": "2"})
    assert main.colors == [RED, GREEN]
    main.light.ran({"RED": ".25", "GREEN": "0.5", "BLUE": "1e-1", "WHITE": "1", "INDEX": "1"})
    assert main.colors == [[0.25, 0.5, 0.1, 1.0], GREEN]


def test_it_is_a_new_list_each_time():
    main = Lit()
    before = main.light.get_status(1.0)
    main.light.ran({"RED": "1"})
    assert before["color_data"] == [BLACK, BLACK]
    assert main.light.get_status(1.0) is not before


def test_the_peer_is_asked_whether_that_is_so():
    """It sends no change if the LEDs have not changed: a display_template may control them."""
    main = Lit()
    main.light.ran({"RED": "1"})
    main.led.answers(color_data=[GREEN, GREEN])
    assert main.colors == [GREEN, GREEN]
    assert main.led.asked == []


def test_an_answer_without_a_time_is_no_error():
    main = Lit()
    main.light.ran({"RED": "1"})
    (asked,) = main.led.asked
    asked[1]({"status": {STRIP: {"color_data": [GREEN, GREEN]}}}, None)
    assert main.colors == [GREEN, GREEN]


def test_one_query_at_a_time_and_an_answer_that_is_too_old_is_not_shown():
    main = Lit()
    main.light.ran({"RED": "1"})
    main.light.ran({"GREEN": "1"})
    main.light.ran({"GREEN": "1", "INDEX": "1"})
    assert len(main.led.asked) == 1
    main.led.answers(color_data=[RED, RED])
    assert main.colors == [GREEN, GREEN]
    main.led.answers(color_data=[GREEN, GREEN])
    assert main.colors == [GREEN, GREEN]
    assert main.led.asked == []


def test_a_query_that_fails_leaves_what_is_shown_and_the_next_one_is_sent():
    main = Lit()
    main.light.ran({"RED": "1"})
    main.led.answers(error=RouterError("timeout"))
    assert main.colors == [RED, RED]
    main.led.is_busy_now = True
    main.light.ran({"GREEN": "1"})
    assert main.colors == [GREEN, GREEN]
    main.led.is_busy_now = False
    main.light.ran({"RED": "1"})
    main.led.answers(color_data=[RED, RED])
    assert main.colors == [RED, RED]


@pytest.mark.parametrize(
    "params",
    [
        {"RED": "red"},
        {"RED": ""},
        {"RED": "1", "INDEX": "x"},
        {"RED": "nan"},
        {"BLUE": "inf"},
    ],
)
def test_values_that_are_no_colors_are_not_shown(params):
    main = Lit()
    main.light.ran(params)
    assert main.colors == [BLACK, BLACK]


def test_an_index_that_the_strip_does_not_have_changes_nothing():
    main = Lit()
    main.light.ran({"RED": "1", "INDEX": "3"})
    assert main.colors == [BLACK, BLACK]


@pytest.mark.parametrize("value", [None, "red", {}])
def test_a_peer_with_another_kind_under_the_name_is_no_error(value):
    main = Lit()
    main.reports(value)
    main.light.ran({"RED": "1"})
    assert set(map(tuple, main.colors)) == {tuple(RED)}
    main.led.disconnects()
    assert set(map(tuple, main.colors)) == {tuple(BLACK)}


def test_offline_all_leds_are_black_and_nothing_is_asked():
    main = Lit(3)
    main.light.ran({"RED": "1"})
    main.led.disconnects()
    assert main.colors == [BLACK] * 3
    main.led.answers(error=RouterError("led is not connected"))
    assert main.colors == [BLACK] * 3
    main.light.ran({"RED": "1"})  # it had run before the connection was lost
    assert main.led.asked == []
