"""The reference against the code: its commands, options, methods and limits."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import importlib
import inspect
import json
import re
import subprocess
import sys
from typing import Any, Dict, NamedTuple, Optional, Set
from unittest.mock import MagicMock

import pytest

from klippy_extras.router.api.commands import Commands
from klippy_extras.router.api.methods import Methods, Request
from klippy_extras.router.api.wait_commands import WaitCommands
from klippy_extras.router.errors import RouterError, UsageError
from klippy_extras.router.settings import read_settings
from tests.bench import rows
from tests.documents import ALL, DOCUMENTS, EXAMPLES, README, REFERENCE, TESTS, blocks_of
from tests.lab.klippers import ROOT

API_CFG = (ROOT / "includes" / "router_api.cfg").read_text(encoding="utf-8")
WATCHDOG_CFG = (ROOT / "includes" / "router_watchdog.cfg").read_text(encoding="utf-8")
PACKAGE = ROOT / "klippy_extras" / "router"
# What a macro cannot do, or has no use for
HOST_ONLY = {"WAIT", "WAIT_EVENT", "TIMEOUT", "ON_ERROR", "SYNC"}
LINES = re.MULTILINE
TEXT = re.MULTILINE | re.DOTALL
chapter = REFERENCE.chapter


# -- commands


class Recorder:
    """A G-code command that notes which parameters are read."""

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
    """The parameters that a command reads, whatever path it takes."""
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
    """An object of this class whose parts are mocks, except these."""
    return kind(*(parts.get(name, MagicMock()) for name in inspect.signature(kind).parameters))


def commands_in_code():
    names = (
        name for kind in (Commands, WaitCommands) for name in dir(kind) if name.startswith("cmd_")
    )
    return {name[len("cmd_") :] for name in names if not name.endswith("_help")}


def commands_in_reference():
    """{command: its parameters} of the G-code reference; <KEY> stands for any."""
    entries = {}
    text = chapter("### Commands of the main printer")
    for name, body in re.findall(r"^#### (\w+)\n(.*?)(?=^#|\Z)", text, TEXT):
        usage = re.match(r"`(\w+)([^`]*)`: ", body)
        assert usage and usage.group(1) == name, name
        without_values = re.sub(r'"[^"]*"', "", usage.group(2))
        entries[name] = set(re.findall(r"(?<![<\w])([A-Z_]+)=", without_values))
    return entries


def test_every_command_is_in_the_reference():
    assert set(commands_in_reference()) == commands_in_code()


@pytest.mark.parametrize("command", sorted(commands_in_code()))
def test_every_parameter_is_in_the_reference(command):
    assert commands_in_reference()[command] == parameters_in_code(command)


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


# -- options of scripts

# {script: what prints its options without setting up the environment of the tests}
HELP = {
    "install.sh": [str(ROOT / "install.sh")],
    "tests/run.sh": [str(ROOT / "tests/run.sh")],
    "tests/bench.sh": [sys.executable, "-m", "tests.bench"],
    "examples/run.sh": [sys.executable, str(ROOT / "tests/lab/example.py")],
}


def options_of(*command):
    """The options that a command names in its help, and the help."""
    ended = subprocess.run(
        [*command, "--help"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert ended.stderr == ""
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", ended.stdout)), ended.stdout


def test_the_options_of_install_sh():
    listed = set(re.findall(r"^\| `(-[\w-]+)", chapter("## install.sh"), LINES))
    script = (ROOT / "install.sh").read_text()
    assert listed == set(re.findall(r"^ +(-k|--[\w-]+)\)", script, LINES))


def test_the_help_of_run_sh():
    named, text = options_of(*HELP["tests/run.sh"])
    assert text.startswith("Usage: tests/run.sh ")
    script = (ROOT / "tests/run.sh").read_text()
    cases = {
        option
        for line in re.findall(r"^    (-.*)\)$", script, LINES)
        for option in line.split(" | ")
    }
    assert cases - {"-h", "--help"} <= named


@pytest.mark.parametrize("script", HELP)
def test_options_in_calls_of_a_script_are_its_own(script):
    known = options_of(*HELP[script])[0]
    if script == "tests/run.sh":
        known |= {"-k", "-n", "--pairs"}  # of pytest and tests/conftest.py
    elif script == "tests/bench.sh":
        known |= options_of(sys.executable, "-m", "tests.bench.sync")[0]
    for document in ALL:
        calls = re.findall(rf"{re.escape(script)}((?: [-\[\]\w/.=]+)*)", document.text)
        used = {option for call in calls for option in re.findall(r"(?<![\w-])-[\w-]+", call)}
        assert used - {"--help"} <= known, document


def test_options_of_examples_are_those_of_their_script():
    listed = set(re.findall(r"`(--\w+)[^`]*`", EXAMPLES.prose))
    assert listed and listed == options_of(*HELP["examples/run.sh"])[0] - {"-h", "--help"}


def test_every_example_has_a_chapter():
    folders = {path.parent.name for path in (ROOT / "examples").glob("*/expected.txt")}
    chapters = {heading.partition(" ")[2] for heading in EXAMPLES.headings}
    assert folders and folders <= chapters


# -- methods


class Entry(NamedTuple):
    """What the reference says about a method."""

    parameters: Set[str]
    optional: Set[str]
    permission: Optional[str]
    request: Dict[str, Any]


def methods_in_reference():
    """{method: its entry}."""
    found = {}
    headings = [h for h in REFERENCE.headings if h.startswith("### router/")]
    for name, text in ((h.partition(" ")[2], REFERENCE.section(h)) for h in headings):
        listed = re.findall(r"^- `(\w+)`( \(optional\))?: ", text, LINES)
        example = re.search(r'For\s+example:\s+`(\{"id": 123,\s.*?\})`\n\n', text, TEXT)
        permission = re.search(r"Permission:\s+`(\w+)`|No permission is needed", text)
        assert example and permission, name
        found[name] = Entry(
            {parameter for parameter, _optional in listed},
            {parameter for parameter, optional in listed if optional},
            permission[1],
            json.loads(example[1]),
        )
    return found


class Params(Dict[str, Any]):
    """Notes which parameters are read."""

    def __init__(self, *args):
        super().__init__(*args)
        self.asked = set()

    def get(self, name, default=None):
        self.asked.add(name)
        return super().get(name, default)


@pytest.fixture
def printer():
    """A printer called main that may use everything."""
    printer = MagicMock(allow=None)
    printer.name = "main"
    return printer


@pytest.fixture
def methods(printer):
    return Methods({"main": printer, "led": printer}, MagicMock(), MagicMock(), MagicMock())


def test_every_method_is_in_the_reference(methods):
    assert list(methods_in_reference()) == methods.names


@pytest.mark.parametrize("name", methods_in_reference())
def test_methods_match_the_reference(methods, printer, name):
    entry = methods_in_reference()[name]
    assert entry.request["method"] == name
    params = Params(entry.request.get("params", {}))
    assert set(params) <= entry.parameters
    methods.call(name, Request(printer, params, MagicMock()))
    assert params.asked - {"gcode_callback"} == entry.parameters - {"gcode_callback"}
    required = entry.parameters - entry.optional
    for missing in required:
        others = {key: value for key, value in params.items() if key != missing}
        with pytest.raises(UsageError):
            methods.call(name, Request(printer, others, MagicMock()))
    only_required = {key: params[key] for key in required}
    methods.call(name, Request(printer, only_required, MagicMock()))
    printer.allow = frozenset({"gcode", "event", "status", "call"}) - {entry.permission}
    if entry.permission is not None:
        with pytest.raises(RouterError, match="is not allowed to use"):
            methods.call(name, Request(printer, only_required, MagicMock()))


def test_the_request_over_http(printer):
    (request,) = [b.text for b in blocks_of(REFERENCE.text) if b.text.startswith("curl ")]
    method = re.search(r"7125/printer/(\S+)", request)[1]
    body = json.loads(re.search(r"-d '(.*)'", request)[1])
    events = MagicMock()
    methods = Methods({"main": printer}, MagicMock(), events, MagicMock())
    methods.call(method, Request(printer, body, MagicMock()))
    assert events.trigger.call_args[0][0][:2] == ("lane_change", {"lane": 2})


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


# -- names in all documents


def test_every_word_with_router_is_a_command_or_a_macro():
    macros = set(re.findall(r"\[gcode_macro (ROUTER_\w+)\]", API_CFG + WATCHDOG_CFG))
    lifecycle = set(re.findall(r"^\| `(ROUTER_ON_\w+)", chapter("## Lifecycle"), LINES))
    known = commands_in_code() | macros | lifecycle
    for document in DOCUMENTS:
        used = set(re.findall(r"\bROUTER_[A-Z_]*[A-Z]\b", document.text))
        assert used <= known, document


def test_every_method_that_a_document_names_exists(methods):
    names = {*methods.names, "router/objects/update", "router/gcode/output", "router/echo"}
    for document in DOCUMENTS:
        used = set(re.findall(r"(?<![\w/.-])router/[a-z]+(?:/[a-z]+)?(?![\w/])", document.text))
        assert used <= names, document


def test_figures_of_the_readme_are_those_of_the_benchmarks():
    listed = re.findall(r"[\d.]+ [µm]s / [\d.]+ [µm]s", README.chapter("## How fast"))
    measured = TESTS.chapter("## Benchmarks")
    assert listed and all(figure in measured for figure in listed)
    assert re.findall(r"\d{4}-\d\d-\d\d", README.chapter("## How fast"))[0] in measured


def test_rows_of_the_benchmarks_are_those_that_can_be_measured():
    measured = TESTS.chapter("## Benchmarks")
    assert set(re.findall(r"^\| `(\w+)` \|", measured, LINES)) <= set(rows.ALL)
