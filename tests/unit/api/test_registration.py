"""How commands are registered, and how their errors are converted."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict

import pytest

from klippy_extras.router.api.registration import register_commands
from klippy_extras.router.errors import RouterError, UsageError


class CommandError(Exception):
    """Klippy's."""


class FakeGcode:
    """Remembers what is registered."""

    def __init__(self) -> None:
        self.handlers: Dict[str, Callable[[Any], None]] = {}
        self.help: Dict[str, str] = {}
        self.when_not_ready: Dict[str, bool] = {}

    def register_command(self, name, handler, when_not_ready, desc):
        self.handlers[name], self.help[name] = handler, desc
        self.when_not_ready[name] = when_not_ready


class FakeCommand:
    """A command that is run."""

    error = CommandError


class Some:
    """Commands."""

    cmd_ROUTER_STATUS_help = "Show"

    def cmd_ROUTER_STATUS(self, gcmd):
        raise UsageError("Unknown printer")

    cmd_ROUTER_FAIL_help = "Fail"

    def cmd_ROUTER_FAIL(self, gcmd):
        raise ZeroDivisionError("oops")


class Others:
    """More of them."""

    cmd_ROUTER_WAIT_help = "Wait"

    def cmd_ROUTER_WAIT(self, gcmd):
        raise RouterError("led: too late")


@pytest.fixture
def gcode():
    return FakeGcode()


def test_each_command_has_its_help(gcode):
    assert register_commands(gcode, (Some(), Others()), ()) == []
    assert gcode.help == {"ROUTER_STATUS": "Show", "ROUTER_FAIL": "Fail", "ROUTER_WAIT": "Wait"}


def test_some_commands_work_while_klippy_is_not_ready(gcode):
    register_commands(gcode, (Some(), Others()), ())
    assert gcode.when_not_ready == {
        "ROUTER_STATUS": True,
        "ROUTER_FAIL": False,
        "ROUTER_WAIT": False,
    }


def test_macros_of_the_user_stay(gcode):
    left_out = register_commands(gcode, (Some(), Others()), {"ROUTER_FAIL", "START_PRINT"})
    assert left_out == ["ROUTER_FAIL"]
    assert sorted(gcode.handlers) == ["ROUTER_STATUS", "ROUTER_WAIT"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("ROUTER_STATUS", CommandError, "Unknown printer"),
        ("ROUTER_WAIT", CommandError, "led: too late"),
        ("ROUTER_FAIL", ZeroDivisionError, "oops"),
    ],
)
def test_an_error_of_the_router_is_one_of_the_command(gcode, name, error, message):
    register_commands(gcode, (Some(), Others()), ())
    with pytest.raises(error, match=message):
        gcode.handlers[name](FakeCommand())
