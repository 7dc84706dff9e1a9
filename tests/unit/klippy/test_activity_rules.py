"""The word for what a printer does: precedence, homing and probing moves, heaters."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import itertools

import pytest

from klippy_extras.router.klippy.activity_rules import (
    ENDED,
    HEATED_BELOW,
    HEATING_BELOW,
    MOVE_HOLD,
    RAILS_TIMEOUT,
    Facts,
    Heating,
    Motion,
    word_of,
)
from tests.documents import REFERENCE

IDLE = Facts("ready", None, "standby", False, False, False)


@pytest.mark.parametrize(
    ("facts", "word"),
    [
        ({}, "idle"),
        ({"print_state": "None"}, "idle"),
        ({"state": "startup", "motion": "homing"}, "startup"),
        ({"state": "shutdown", "motion": "homing", "print_state": "printing"}, "shutdown"),
        ({"state": "error"}, "shutdown"),
        ({"print_state": "printing"}, "printing"),
        ({"print_state": "printing", "is_heating": True}, "heating"),
        ({"print_state": "printing", "is_heating": True, "motion": "probing"}, "probing"),
        ({"print_state": "paused", "is_heating": True}, "paused"),
        ({"print_state": "paused", "motion": "homing"}, "homing"),
        ({"print_state": "complete", "is_heating": True}, "complete"),
        ({"print_state": "cancelled", "is_paused": True}, "cancelled"),
        ({"print_state": "error", "motion": "homing"}, "homing"),
        ({"is_heating": True}, "heating"),
        ({"serial_port_is_busy": True}, "printing"),
        ({"serial_port_is_busy": True, "is_paused": True}, "paused"),
        ({"serial_port_is_busy": True, "print_state": "complete"}, "printing"),
        ({"print_state": "printing", "is_paused": True}, "printing"),
    ],
)
def test_which_word_precedes_which(facts, word):
    assert word_of(IDLE._replace(**facts)) == word


def test_every_word_is_in_the_reference_and_no_other():
    facts = itertools.product(
        ("startup", "ready", "shutdown", "error"),
        ("homing", "probing", None),
        ("standby", "printing", "paused", *ENDED),
        (False, True),
        (False, True),
        (False, True),
    )
    words = {word_of(Facts(*values)) for values in facts}
    lines = REFERENCE.chapter("#### Activity in one word").split("\n")
    cells = [line.split("|")[1] for line in lines if line.startswith("| `")]
    documented = {word.strip(" `") for cell in cells for word in cell.split(",")}
    assert words == documented and len(words) == 11


# -- homing and probing

SHORT = MOVE_HOLD / 2
LONG = MOVE_HOLD * 2


class Moves:
    """Motion, with a clock."""

    def __init__(self):
        self.motion, self.now = Motion(), 100.0

    @property
    def word(self):
        return self.motion.word(self.now)

    def move(self, is_forced=False):
        """A homing move of 20 seconds; returns the word during it."""
        self.motion.move_begin(self.now, is_forced)
        self.now += 20.0
        word = self.word
        self.motion.move_end(self.now)
        return word


@pytest.fixture
def moves():
    return Moves()


def test_at_first_there_is_no_word(moves):
    assert moves.word is None
    moves.now = 0.0
    assert moves.word is None


def test_homing_rails_with_two_moves_each(moves):
    for _axis in "xyz":
        moves.motion.rails_begin(moves.now)
        assert moves.word == "homing"
        for _move in range(2):
            moves.now += LONG  # Kalico changes the current before it
            assert moves.word == "homing"
            assert moves.move() == "homing"
        moves.motion.rails_end(moves.now)
        moves.now += SHORT
        assert moves.word == "homing"
    moves.now += MOVE_HOLD
    assert moves.word is None


def test_probing_is_one_word_from_the_first_to_the_last_point(moves):
    for _point in range(3):
        assert moves.move() == "probing"
        moves.motion.moved()
        moves.now += SHORT
        assert moves.word == "probing"
    moves.now += MOVE_HOLD
    assert moves.word is None


def test_homing_with_the_probe_and_then_a_bed_mesh(moves):
    assert moves.move(is_forced=True) == "homing"
    moves.now += SHORT
    assert moves.word == "homing"
    assert moves.move() == "homing"  # the second one, more slowly
    moves.motion.moved()
    assert moves.word == "homing"
    assert moves.move() == "probing"
    assert moves.move() == "probing"


def test_a_probe_some_time_after_homing_with_it(moves):
    moves.move(is_forced=True)
    moves.now += LONG
    assert moves.move() == "probing"


def test_failed_homing_ends_when_the_motors_are_turned_off(moves):
    moves.motion.rails_begin(moves.now)
    moves.move()
    moves.motion.motors_off()
    assert moves.word is None
    assert moves.move() == "probing"


def test_failed_homing_ends_by_itself(moves):
    moves.motion.rails_begin(moves.now)
    moves.move()
    moves.now += RAILS_TIMEOUT
    assert moves.word is None
    assert moves.move() == "probing"


# -- heating


def test_heating_begins_and_ends_at_different_temperatures():
    heating = Heating()

    def update(below):
        return heating.update("extruder", 200.0 - below, 200.0)

    assert not update(HEATING_BELOW)
    assert update(HEATING_BELOW + 0.1)
    assert update(HEATED_BELOW + 0.1)
    assert not update(HEATED_BELOW)
    assert not update(HEATING_BELOW)
    assert not update(-50.0)


@pytest.mark.parametrize(("temperature", "target"), [(None, 200.0), (20.0, 0.0), (20.0, None)])
def test_a_heater_without_a_target_or_value_does_not_heat(temperature, target):
    assert not Heating().update("extruder", temperature, target)


def test_heaters_are_told_apart():
    heating = Heating()
    assert heating.update("a", 20.0, 200.0)
    assert not heating.update("b", 197.0, 200.0)
    assert heating.update("a", 197.0, 200.0)
