"""includes/router_api.cfg has the router's commands: names, parameters, helps."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re

from tests.unit.include_file import (
    NATIVE_COMMANDS,
    NATIVE_PARAMETERS,
    NEEDS,
    buttons,
    commands_with_parameters,
    macros,
    native_commands,
)


def test_commands_parameters_and_helps_are_those_of_the_native_commands():
    expected = {
        name: (parameters - NATIVE_PARAMETERS, text)
        for name, (parameters, text) in native_commands().items()
        if name not in NATIVE_COMMANDS
    }
    found = {
        name: (set(re.findall(r"\bparams\.([A-Z_]+)", section["gcode"])), section["description"])
        for name, section in macros().items()
        if not name.startswith(("_", "ROUTER_ON_"))
    }
    assert found == expected
    assert NEEDS.keys() == found.keys() - {"ROUTER_PRINTERS_LIST", "ROUTER_DIAGNOSE"}


def test_every_macro_has_a_description():
    for name, section in macros().items():
        assert len(section["description"]) > 10, name


def test_no_macro_is_one_that_the_user_writes():
    # It would be a useless button in the peer's interface
    assert not [name for name in macros() if name.startswith("ROUTER_ON_")]


def test_every_parameter_has_a_default():
    # An undefined one shuts the printer down: JSON cannot encode it
    for name, section in macros().items():
        if not name.startswith("_"):
            for behind in re.findall(r"params\.[A-Z_]+(.*)", section["gcode"]):
                assert behind.startswith((' or "', "|default(")), name


def test_every_parameter_is_a_field_in_the_text_of_the_file():
    sections = {f"gcode_macro {name}": dict(section) for name, section in macros().items()}
    assert buttons(sections) == commands_with_parameters()
