"""The output of a script: shown to its follower, and what it says about its success."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.errors import RouterError
from klippy_extras.router.printers.printer import Follower
from klippy_extras.router.printers.script_output import ScriptOutput


class Lines(Follower):
    def __init__(self):
        self.lines, self.over = [], 0

    def printed(self, text):
        self.lines += text.split("\n")

    def ended(self):
        self.over += 1


def shown(texts, error=None):
    """What the follower of a script that prints these and ends so is shown."""
    follower = Lines()
    output = ScriptOutput(follower)
    for text in texts:
        output.add(text)
    output.end(error)
    assert follower.over == 1
    return follower.lines, output


@given(st.lists(st.sampled_from(["// a", "echo: b", "!! c", "plain", "// d\n// e"]), max_size=8))
def test_every_line_of_a_success_is_shown_once_in_order_without_its_mark(texts):
    lines, output = shown(texts)
    marks = [line.split(" ", 1)[-1] for text in texts for line in text.split("\n")]
    assert lines == marks
    assert output.unknown == "" and not output.has_shut_down


def test_the_lines_of_one_message_are_shown_together():
    follower = Follower()
    with mock.patch.object(follower, "printed") as printed:
        ScriptOutput(follower).add("// a\n!! b\n// c\n!! d")
    printed.assert_called_once_with("a\nb\nc")


def test_a_line_that_only_repeats_the_error_is_left_out():
    error = RouterError("led: Error evaluating 'gcode_macro JAM:gcode': no filament")
    lines, _ = shown(
        ["// first", "!! Error evaluating 'gcode_macro JAM:gcode': no filament"], error
    )
    assert lines == ["first"]
    # Of several only the last one is its reason, and without a failure none is
    lines, _ = shown(["!! another", "// between", "!! no filament"], error)
    assert lines == ["another", "between"]
    lines, _ = shown(["!! no filament", "// after"], error)
    assert lines == ["no filament", "after"]
    assert shown(["!! no filament"])[0] == ["no filament"]
    assert shown(["!! else"], error)[0] == ["else"]


def test_a_long_error_line_is_recognised_by_its_beginning():
    text = "x" * 150
    assert shown(["!! " + text + "y"], RouterError("led: " + text))[0] == []


def test_the_first_unknown_command_is_why_it_failed_and_is_not_shown():
    lines, output = shown(['// Unknown command:"FOO"', '// Unknown command:"BAR"', "echo: on"])
    assert output.unknown == 'Unknown command:"FOO"'
    assert lines == ['Unknown command:"BAR"', "on"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("// Klipper state: Shutdown", True),
        ("// one\n// Klipper state: Shutdown", True),
        ("// Klipper state: Ready", False),
        ("echo: Klipper state: Shutdown", False),
    ],
)
def test_a_shutdown_is_noticed(text, expected):
    assert shown([text])[1].has_shut_down is expected


def test_what_it_prints_is_made_safe_to_show():
    assert shown(["// a\tb\x07"])[0] == ["a b"]
