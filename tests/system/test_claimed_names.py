"""The names of objects that Klipper's own modules look up, in the sources of every Klipper."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import ast
import warnings

import pytest

from klippy_extras.router.devices.kinds import CLAIMED, CLAIMED_MODULES
from tests.lab.klippers import klipper

# The place of the name among the arguments
LOOKUPS = {"lookup_object": 0, "load_object": 1, "lookup_objects": 0}
# RELOAD_GCODE_MACROS of Kalico takes those that have a section in the config file; the class Macro
# allows for one that was added
HARMLESS_MODULES = {"gcode_macro"}


@pytest.fixture(scope="module")
def names(kind):
    """{function: {name that is looked up: file}}, where the name is written in the source."""
    found = {function: {} for function in LOOKUPS}
    root = klipper(kind).extras.parent
    files = [path for path in root.rglob("*.py") if not path.is_symlink()]
    assert len(files) > 100
    for path in files:
        relative = path.relative_to(root)
        if "router" not in relative.parts:
            for node in ast.walk(parsed(path)):
                function, name = looked_up(node)
                found.get(function, {})[name] = str(relative)
    return found


def parsed(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Klipper's own, in regular expressions
        return ast.parse(path.read_text(encoding="utf-8"))


def looked_up(node):
    """(function, name) of a lookup; empty strings for everything else."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return "", ""
    function = node.func.attr
    if function not in LOOKUPS:
        return "", ""
    named = [k.value for k in node.keywords if k.arg in ("name", "section", "module")]
    arguments = node.args[LOOKUPS[function] :] or named or [ast.Constant("")]
    name = arguments[0].value if isinstance(arguments[0], ast.Constant) else ""
    return (function, name) if name else ("", "")


def test_names_that_klippers_modules_look_up_cannot_be_those_of_devices(names):
    looked_up = {**names["lookup_object"], **names["load_object"]}
    assert {"toolhead", "configfile", "probe"} <= looked_up.keys()  # they are found
    missing = {name: file for name, file in looked_up.items() if name not in CLAIMED}
    assert missing == {}


def test_modules_of_which_klipper_uses_all_objects_cannot_be_those_of_devices(names):
    modules = names["lookup_objects"]
    assert "mcu" in modules
    assert modules.keys() - HARMLESS_MODULES - CLAIMED_MODULES == set()
