"""README against the code: its references, its limits, and its examples on real printers."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import importlib
import inspect
import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone
from typing import Any, Dict
from unittest.mock import MagicMock

import pytest

from klippy_extras.router.api.commands import Commands
from klippy_extras.router.api.methods import Methods, Request
from klippy_extras.router.api.wait_commands import WaitCommands
from klippy_extras.router.errors import RouterError
from klippy_extras.router.settings import read_settings
from tests.lab import config
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.macros import wait_known

README = (ROOT / "README.md").read_text(encoding="utf-8")
API_CFG = (ROOT / "includes" / "router_api.cfg").read_text(encoding="utf-8")
PACKAGE = ROOT / "klippy_extras" / "router"
INCLUDE = "[include /home/pi/klipper-router/includes/router_api.cfg]\n"
# What a macro cannot do, and what is of no use there
HOST_ONLY = {"WAIT", "WAIT_EVENT", "TIMEOUT", "ON_ERROR", "SYNC"}


LINES = re.MULTILINE
TEXT = re.MULTILINE | re.DOTALL


def chapter(heading):
    """The text under a heading, up to the next heading of the same level or above."""
    level = heading.split()[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} \S|\Z)", README, TEXT)
    assert found, f"README has no {heading!r}"
    return found.group(1)


# -- commands


class Recorder:
    """A G-code command that notes which parameters are asked for."""

    def __init__(self, **given):
        self._given = given
        self.asked = set()
        self.error = RouterError

    def _get(self, name, default=None, **_bounds):
        self.asked.add(name)
        return self._given.get(name, default)

    def get(self, name, default="x", **_bounds):
        return str(self._get(name, default))

    get_int = get_float = _get

    def get_command_parameters(self):
        return self

    def __contains__(self, name):
        self.asked.add(name)
        return name in self._given

    def __getitem__(self, name):
        return self._given[name]

    def items(self):
        return self._given.items()

    def get_commandline(self):
        return ""

    def respond_info(self, _text):
        pass


def parameters_in_code(command):
    """The parameters that a command asks for, whatever path it takes."""
    waiting = made(WaitCommands)
    commands = made(Commands, waiting=waiting)
    command = "cmd_" + command
    asked = set()
    for wait in (0, 1):
        gcmd = Recorder(WAIT=wait, EQUALS="1", CONTEXT="a=b", ON_ERROR="raise")
        getattr(commands if hasattr(commands, command) else waiting, command)(gcmd)
        asked |= gcmd.asked
    return asked


def made(kind, **parts):
    """An object of this class with its parts pretended, but for these."""
    return kind(*(parts.get(name, MagicMock()) for name in inspect.signature(kind).parameters))


def commands_in_code():
    names = (
        name for kind in (Commands, WaitCommands) for name in dir(kind) if name.startswith("cmd_")
    )
    return {name[len("cmd_") :] for name in names if not name.endswith("_help")}


def commands_in_readme():
    """{command: its parameters} of the G-code reference; <KEY> stands for any."""
    entries = {}
    text = chapter("### Commands of the host")
    for name, body in re.findall(r"^#### (\w+)\n(.*?)(?=^#|\Z)", text, TEXT):
        usage = re.match(r"`(\w+)([^`]*)`: ", body)
        assert usage and usage.group(1) == name, name
        without_values = re.sub(r'"[^"]*"', "", usage.group(2))
        entries[name] = set(re.findall(r"(?<![<\w])([A-Z_]+)=", without_values))
    return entries


def test_every_command_is_in_the_reference():
    assert set(commands_in_readme()) == commands_in_code()


@pytest.mark.parametrize("command", sorted(commands_in_code()))
def test_every_parameter_is_in_the_reference(command):
    assert commands_in_readme()[command] == parameters_in_code(command)


def test_the_commands_of_a_peer():
    text = chapter("### Commands of a peer")
    macros = dict(re.findall(r"^\[gcode_macro (ROUTER_\w+)\]\n(.*?)(?=^\[|\Z)", API_CFG, TEXT))
    commands = {name: body for name, body in macros.items() if "remote_method" in body}
    assert set(re.findall(r"\bROUTER_[A-Z_]+\b", text)) - {"ROUTER_ON_ERROR"} == set(commands)
    for name, body in commands.items():
        assert set(re.findall(r"params\.([A-Z_]+)", body)) == parameters_in_code(name) - HOST_ONLY


def test_the_lifecycle_macros():
    listed = re.findall(r"^\| `(ROUTER_ON_\w+)", chapter("## Lifecycle"), LINES)
    assert set(listed) == set(re.findall(r"\b(ROUTER_ON_[A-Z]+)\b", API_CFG))
    sources = "".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert set(listed) == set(re.findall(r'"(ROUTER_ON_\w+)"', sources))


# -- options


class RecordingConfig:
    """The sections [router] and [router NAME], without options; notes those that are read."""

    error = RouterError

    def __init__(self, name, options):
        self._name = name
        self.options = options[name] = {}
        self._peers = [RecordingConfig("router NAME", options)] if name == "router" else []

    def get_name(self):
        return self._name

    def get_prefix_sections(self, _prefix):
        return self._peers

    def get(self, option, default, **bounds):
        self.options[option] = (default, bounds)
        return default

    getfloat = getint = getboolean = get


def options_in_code():
    options: Dict[str, Dict[str, Any]] = {}
    read_settings(RecordingConfig("router", options), None)
    return options


@pytest.mark.parametrize("section", ["router", "router NAME"])
def test_every_option_is_in_the_reference(section):
    block = re.search(r"```\n(.*?)```", chapter(f"### [{section}]"), re.DOTALL).group(1)
    assert block.startswith(f"[{section}]\n")
    shown = dict(re.findall(r"^#?([a-z_]+):(.*)$", block, LINES))
    known = options_in_code()[section]
    assert {name: value.strip() for name, value in shown.items()} == {
        name: str(default) for name, (default, _bounds) in known.items()
    }
    helps = dict(re.findall(r"^#([a-z_]+):.*\n((?:#   .*\n)+)", block, LINES))
    for name, (_default, bounds) in known.items():
        if bounds:
            assert f"From {bounds['minval']:.12g} to {bounds['maxval']:.12g}." in helps[name], name


def test_the_options_of_install_sh():
    listed = set(
        re.findall(r"^\| `(-[\w-]+)", chapter("## Installing, updating, uninstalling"), LINES)
    )
    script = (ROOT / "install.sh").read_text()
    assert listed == set(re.findall(r"^    (-k|--[\w-]+)\)", script, LINES))


def test_the_help_of_run_sh():
    ended = subprocess.run(
        [str(ROOT / "tests/run.sh"), "--help"], capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("Usage: tests/run.sh ") and ended.stderr == ""
    named = set(re.findall(r"tests/run\.sh (--\w+)", ended.stdout))
    script = (ROOT / "tests/run.sh").read_text()
    cases = {
        option
        for line in re.findall(r"^    (--.*)\)$", script, LINES)
        for option in line.split(" | ")
    }
    assert cases <= named
    assert set(re.findall(r"`(--\w+)[^`]*`", chapter("## For developers"))) <= named


# -- methods


def methods_in_readme():
    """{method: (parameters, permission)} of the table."""
    rows = re.findall(
        r"^\| `(router/[\w/]+)` \| (.*?) ?\| .*? \| ?(\w*) ?\|$",
        chapter("## Methods"),
        re.MULTILINE,
    )
    return {name: (set(re.findall(r"\w+", params)), allow or None) for name, params, allow in rows}


class Params(Dict[str, Any]):
    """Notes what is asked for."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = set()

    def get(self, name, default=None):
        self.asked.add(name)
        return super().get(name, default)


GIVEN = {
    "target": "main",
    "script": "G1",
    "event": "e",
    "gcode": "G",
    "objects": {"toolhead": None},
    "endpoint": "info",
}


def test_every_method_is_in_the_table():
    printer = MagicMock(allow=None)
    printer.name = "main"
    methods = Methods({"main": printer}, MagicMock(), MagicMock(), MagicMock())
    table = methods_in_readme()
    assert set(table) == set(methods.names)
    for name in methods.names:
        params = Params(GIVEN)
        if name == "router/objects/subscribe":
            params["gcode_callback"] = "CALLBACK"
        methods.call(name, Request(printer, params, MagicMock()))
        parameters, permission = table[name]
        assert params.asked - {"gcode_callback"} == parameters - {"gcode_callback"}, name
        printer.allow = frozenset({"gcode", "event", "status", "call"}) - {permission}
        if permission is not None:
            with pytest.raises(RouterError, match="may not use"):
                methods.call(name, Request(printer, Params(GIVEN), MagicMock()))
        printer.allow = None


# -- status objects


def fields_in_readme(heading):
    return re.findall(r"^- `([\w.\[\]\"<>]+)`: ", chapter(heading), LINES)


def fields_of(status, by_name=()):
    """The fields as README writes them; by_name: {field: its index} whose keys are names."""
    for field, value in status.items():
        if field in by_name:
            inner = next(iter(value.values()))
            yield from (f'{field}["<{by_name[field]}>"].{name}' for name in inner)
        elif field == "mirror":
            yield 'mirror["<object>"].<field>'
        else:
            yield field


def test_every_status_field_is_in_the_reference(lab):
    text = "[router]\n[router led]\nsensors:\n    chamber: heater_generic chamber\n"
    main = lab.printer("kalico", "main", config.printing(text)).wait_ready()
    main.script("ROUTER_EVENT_TRIGGER EVENT=e")
    status = main.query(["router", "router led", "temperature_sensor chamber"])
    by_name = {"printers": "printer", "events": "event"}
    assert fields_in_readme("### router") == list(fields_of(status["router"], by_name))
    assert fields_in_readme("### router NAME") == list(fields_of(status["router led"]))
    for field in status["temperature_sensor chamber"]:
        assert f"`{field}`" in chapter("### router NAME")


# -- limits


def constants_in_code():
    """{module.NAME: value} of the numbers that bound something."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        module = importlib.import_module(f"klippy_extras.router.{name}")
        # Only what is defined there, not what it imports
        for name in re.findall(r"^([A-Z][A-Z_]+) = ", path.read_text(), LINES):
            value = getattr(module, name)
            if type(value) in (int, float):
                found[f"{path.stem}.{name}"] = value
    return found


def test_every_limit_is_in_the_table():
    rows = re.findall(r"^\|[^|]*\| ([\d.]+)[^|]*\|.*\| `([\w.]+)` \|$", chapter("## Limits"), LINES)
    assert {name: float(value) for value, name in rows} == constants_in_code()


# -- code blocks that no printer runs

# {how one begins: the test that holds it}
UNMARKED = {
    "main printer's Klippy": "a drawing",
    "./examples/run.sh print_stats": "test_example.py",
    "./tests/run.sh": "continuous integration",
    "git clone <address of this repository> ~/klipper-router": "shell",
    "[update_manager klipper-router]": "test_the_section_for_moonraker",
    "[router]": "test_every_option_is_in_the_reference",
    "[router NAME]": "test_every_option_is_in_the_reference",
    "curl -s http://localhost:7125/printer/router/event/trigger \\": "test_the_request_over_http",
    "Section 'router' is not a valid config section": "test_readme_messages.py",
    "ssh -N -o StreamLocalBindUnlink=yes -o ServerAliveInterval=2 \\": "shell",
}


def unmarked_blocks():
    fences = re.findall(r"^ *```([^\n]*)\n(.*?)^ *```$", README, TEXT)
    return [text for language, text in fences if not language]


def test_every_other_code_block_is_held_by_a_test():
    firsts = {re.split(r" {5,}", text.strip())[0].split("\n")[0] for text in unmarked_blocks()}
    assert firsts == set(UNMARKED)


def test_the_section_for_moonraker():
    section = next(text for text in unmarked_blocks() if text.startswith("[update_manager"))
    fixed = [line for line in section.splitlines() if not line.startswith(("path:", "origin:"))]
    script = (ROOT / "install.sh").read_text()
    assert not [line for line in fixed if line not in script]


def test_the_request_over_http():
    request = next(text for text in unmarked_blocks() if text.startswith("curl "))
    method = re.search(r"7125/printer/(\S+)", request)[1]
    body = json.loads(re.search(r"-d '(.*)'", request)[1])
    printer = MagicMock(allow=None)
    events = MagicMock()
    methods = Methods({"main": printer}, MagicMock(), events, MagicMock())
    methods.call(method, Request(printer, body, MagicMock()))
    assert events.trigger.call_args[0][1:3] == ("lane_change", {"lane": 2})


# -- links and names


def test_links_lead_somewhere():
    text = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
    anchors = {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, LINES)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif "://" not in target:
            assert (ROOT / target).exists(), target
    for name in re.findall(r"`((?:examples|tests|includes|klippy_extras)/[\w./]*)`", text):
        assert (ROOT / name).exists(), name


def test_every_module_is_named():
    named = set(re.findall(r"`(\w+\.py)`", chapter("## For developers")))
    assert named == {path.name for path in PACKAGE.rglob("*.py")} - {"__init__.py"}


# -- on real printers

# What the examples of a chapter make a printer say; of the others only that nothing goes wrong
SAYS = {
    "## Quick start on a printer": {"main": "led: ready"},
    "## Run G-code on another printer": {"main": "Hello from led"},
    "## Wait for another printer": {"main": "Button 2", "led": "Lane 2 loaded"},
    "## Events": {"main": "Lane 2 is loaded", "led": "Lane 2, 50 mm"},
    "### Retained events and `*`": {"main": "led/color is red"},
    "## Follow the status of another printer": {"led": "main is standby"},
    "## Mirror the status of a peer in macros": {"main": "led is ready, its print standby"},
    "## Use the commands of a peer as your own": {"led": "Disco 2"},
    "## When something is wrong: ROUTER_DIAGNOSE": {"main": "led echo: there and back"},
    "## Call any API endpoint of another printer": {"main": "state ready"},
}


def examples():
    """{heading: [(language, printer, text), ...]} of the chapters that have marked code blocks."""
    found = {}
    for part in re.split(r"(?m)^(?=##+ )", README):
        blocks = re.findall(r"^```(ini|gcode|console) (main|led)\n(.*?)^```$", part, TEXT)
        if blocks:
            found[part.split("\n", 1)[0]] = blocks
    return found


def samples_of_consoles():
    """(heading, number of its blocks up to the sample) of each block that shows a console."""
    for heading, blocks in examples().items():
        for number, (language, _printer, _text) in enumerate(blocks, 1):
            if language == "console":
                yield heading, number


def config_of(printer, blocks):
    texts = [text for language, of, text in blocks if (language, of) == ("ini", printer)]
    text = "\n".join(texts)
    if printer == "led" and INCLUDE not in text:
        text = INCLUDE + text
    return text.replace("/home/pi/klipper-router", str(ROOT))


def test_the_expected_lines_are_of_chapters_that_exist():
    assert set(SAYS) <= set(examples())


def run_examples(lab, blocks):
    """Start main and led with the config of these blocks, and run their G-code."""
    main_config = config_of("main", blocks) + f"\n[router]\n[router led]\nsock: {lab.sock('led')}\n"
    main = lab.printer("kalico", "main", config.printing(main_config, "fake"), mcu="fake")
    lab.printer("kalico", "led", config.heating(config_of("led", blocks)), mcu="fake")
    lab.wait_ready()
    wait_known(main, "led")
    for name in ("main", "led"):  # behind its ROUTER_ON_READY
        main.call("router/gcode/script", {"target": name, "script": "G4 P1"})
    with ThreadPoolExecutor() as pool:
        # A block may wait for what a later one does
        running = []
        for language, printer, text in blocks:
            if language == "gcode":
                running.append(pool.submit(lab.printers[printer].script, text))
                try:
                    running[-1].result(1.0)
                except NotDone:
                    pass
        for script in running:
            script.result(30.0)


@pytest.mark.parametrize("heading", examples())
def test_examples_work(lab, heading):
    run_examples(lab, examples()[heading])
    for printer, text in SAYS.get(heading, {}).items():
        lab.printers[printer].wait_line(text)
    wrong = [
        line
        for printer in lab.printers.values()
        for line in printer.console
        if line.startswith("!!") or "Unknown command" in line or "Router:" in line
    ]
    assert not wrong


@pytest.mark.parametrize(("heading", "number"), samples_of_consoles())
def test_a_console_shows_what_the_sample_shows(lab, heading, number):
    blocks = examples()[heading][:number]
    run_examples(lab, blocks)
    _language, printer, text = blocks[-1]
    # Times and versions differ
    sample = re.sub(r"\d+(\\\.\d+)+", r"\\d+(\\.\\d+)+", re.escape(text))
    # So do paths, processes and users; ... stands for anything
    sample = re.sub(r"/home/pi/[^\s,]+", r"/[^\\s,]+", sample)
    sample = re.sub(r"([pu]id)\\ \d+", r"\1 \\d+", sample).replace(r"\.\.\.", ".*")

    def console():
        return "\n".join(lab.printers[printer].console) + "\n"

    wait_until(
        lambda: re.search("^" + sample, console(), LINES),
        10.0,
        "the sample",
        [lab.printers[printer]],
    )
