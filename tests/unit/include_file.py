"""includes/router_api.cfg as text, beside the commands that it stands for."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import ast
import configparser
import re

from tests.lab.klippers import ROOT

API = ROOT / "includes" / "router_api.cfg"
# What a macro cannot do: wait, and know the time
NATIVE_COMMANDS = {"ROUTER_STATUS", "ROUTER_EVENT_WAIT", "ROUTER_OBJECTS_WAIT"}
NATIVE_PARAMETERS = {"WAIT", "WAIT_EVENT", "TIMEOUT", "ON_ERROR", "SYNC"}
# Every macro with required parameters, and those parameters in order
NEEDS = {
    "ROUTER_RESTART": ["TARGET=main"],
    "ROUTER_GCODE_SCRIPT": ["TARGET=main", "SCRIPT=SHOW"],
    "ROUTER_EVENT_SUBSCRIBE": ["EVENT=e", "GCODE=SHOW"],
    "ROUTER_EVENT_UNSUBSCRIBE": ["EVENT=e"],
    "ROUTER_EVENT_TRIGGER": ["EVENT=e"],
    "ROUTER_OBJECTS_LIST": ["TARGET=main"],
    "ROUTER_OBJECTS_QUERY": ["TARGET=main", "OBJECTS=toolhead"],
    "ROUTER_OBJECTS_SUBSCRIBE": ["TARGET=main", "OBJECTS=toolhead", "CALLBACK=SHOW"],
    "ROUTER_OBJECTS_UNSUBSCRIBE": ["TARGET=main"],
}


def macros():
    """name -> section, of the file."""
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=("#", ";"))
    parser.read(API)
    names = [name for name in parser.sections() if name.startswith("gcode_macro ")]
    return {name.split()[1]: parser[name] for name in names}


def native_commands():
    """name -> its parameters, and its help, as klippy_extras/router/api/commands.py has them."""
    tree = ast.parse((ROOT / "klippy_extras/router/api/commands.py").read_text())
    helps, parameters = {}, {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found = re.fullmatch("cmd_(ROUTER_.*)_help", node.targets[0].id)
            if found:
                helps[found[1]] = ast.literal_eval(node.value)
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("cmd_ROUTER_"):
            parameters[node.name[len("cmd_") :]] = {
                call.args[0].value
                for call in ast.walk(node)
                if isinstance(call, ast.Call)
                and isinstance(call.func, ast.Attribute)
                and call.func.attr in ("get", "get_int", "get_float")
                and isinstance(call.args[0], ast.Constant)
                and isinstance(call.func.value, ast.Name)
                and call.func.value.id == "gcmd"
            }
    assert helps.keys() == parameters.keys()
    return {name: (parameters[name], helps[name]) for name in helps}


def fields(gcode):
    """The parameters that Mainsail offers as fields of a macro's button, from its text.

    Source: mainsail, src/plugins/helpers.ts, getMacroParams. A parameter counts where its name
    stands between braces in one line, and of one pair of braces only the first one counts.
    """
    found = []
    for line in gcode.splitlines():
        for braces in re.findall(r"\{[^}]*\}", line):
            found += re.findall(r"\bparams\.(\w+)", braces)[:1]
    return found


def buttons(settings):
    """{macro: its fields} of configfile.settings, as a printer has it; a name with _ is hidden."""
    found = {}
    for section, options in settings.items():
        kind, _space, name = section.partition(" ")
        if kind == "gcode_macro" and not name.startswith("_"):
            found[name.upper()] = set(fields(options["gcode"]))
    return found


def commands_with_parameters():
    """{command of a peer: its parameters}."""
    return {
        name: parameters - NATIVE_PARAMETERS
        for name, (parameters, _help) in native_commands().items()
        if name not in NATIVE_COMMANDS
    }
