"""The packages of the extra import only what they may: arrows point one way, never in a circle."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import ast
from pathlib import Path
from typing import Dict, NamedTuple, Set

EXTRA = Path(__file__).resolve().parents[2] / "klippy_extras" / "router"

# api -> diagnosis -> {devices, status, events} -> printers -> klippy -> base; gcode is beside them.
# package: the packages it may import besides its own modules and the base, which are the modules
# at the top but for the router itself
MAY_IMPORT: Dict[str, str] = {
    "": "",
    "gcode": "",
    "klippy": "",
    "printers": "klippy",
    "devices": "printers klippy gcode",
    "status": "printers klippy gcode",
    "events": "printers klippy gcode",
    "diagnosis": "devices status events printers klippy gcode",
    "api": "diagnosis devices status events printers klippy gcode",
}
# The composition root imports everything, and nothing imports it but the entry point
ROOT_MODULES = ("router", "__init__")

# Values in, values out: no Klippy, no file, no socket, no log, no clock
PURE = (
    "errors", "option_lists", "rates", "sanitize", "settings", "version",
    "gcode.contexts", "gcode.parameters", "gcode.templates", "klippy.activity_rules",
    "printers.framing", "printers.liveness", "printers.message_checks", "printers.phases",
    "printers.peer_subscription", "printers.piecewise",
    "printers.session", "printers.session_events", "printers.unanswered",
    "status.bisection", "diagnosis.checks", "api.console",
)  # fmt: skip
IO_MODULES = {"socket", "select", "threading", "asyncio", "logging", "subprocess", "time"}
STANDARD = {
    "abc", "collections", "dataclasses", "decimal", "enum", "errno", "functools", "heapq",
    "itertools", "json", "logging", "math", "os", "random", "re", "socket", "stat", "struct", "sys",
    "typing",
}  # fmt: skip


class Imports(NamedTuple):
    """What a module imports: modules of the extra (package.module), and others by first name."""

    own: Set[str]
    foreign: Set[str]


def _imports_of(module: str) -> Imports:
    own: Set[str] = set()
    foreign: Set[str] = set()
    package = module.rpartition(".")[0]
    for node in ast.walk(ast.parse(_path(module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            foreign.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            foreign.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert node.module and node.level <= (2 if package else 1), f"{module}: {node.lineno}"
            siblings = f"{package}." if package and node.level == 1 else ""
            found = siblings + str(node.module)
            assert _path(found).is_file(), f"{module} imports {found}, which is no module"
            is_sibling = found.rpartition(".")[0] == package
            assert (node.level == 1) == (is_sibling or not package), (
                f"{module}: siblings are imported by one dot, other packages by two"
            )
            own.add(found)
    return Imports(own, foreign)


def _path(module: str) -> Path:
    return EXTRA.joinpath(*module.split(".")).with_suffix(".py")


MODULES = sorted(
    ".".join(path.relative_to(EXTRA).with_suffix("").parts) for path in EXTRA.rglob("*.py")
)
IMPORTS = {module: _imports_of(module) for module in MODULES}


def test_every_package_is_on_the_list():
    assert {module.rpartition(".")[0] for module in MODULES} == set(MAY_IMPORT)
    assert {folder.name for folder in EXTRA.iterdir() if (folder / "__init__.py").exists()} == set(
        filter(None, MAY_IMPORT)
    )


def test_a_package_imports_only_what_it_may():
    for module, imports in IMPORTS.items():
        if module in ROOT_MODULES:
            continue
        package = module.rpartition(".")[0]
        allowed = {"", package, *MAY_IMPORT[package].split()}
        for other in imports.own:
            assert other.rpartition(".")[0] in allowed, f"{module} must not import {other}"
            assert other not in ROOT_MODULES, f"{module} must not import {other}"


def test_no_module_imports_itself_through_others():
    left = {module: imports.own for module, imports in IMPORTS.items()}
    while left:
        leaves = [module for module, own in left.items() if not own & left.keys()]
        assert leaves, f"these import each other in a circle: {sorted(left)}"
        for module in leaves:
            del left[module]


def test_pure_modules_do_no_input_or_output():
    for module in PURE:
        assert not IMPORTS[module].foreign & IO_MODULES, module
        assert not {m for m in IMPORTS[module].own if m.startswith("klippy.")}, module


def test_gcode_is_pure():
    assert {module for module in MODULES if module.startswith("gcode.")} - set(PURE) == {
        "gcode.__init__"
    }


def test_only_the_standard_library_is_imported():
    for module, imports in IMPORTS.items():
        assert imports.foreign <= STANDARD, module


def test_no_state_outlives_a_restart():
    """RESTART keeps modules: what changes must not live in one."""
    for module in MODULES:
        for node in ast.parse(_path(module).read_text(encoding="utf-8")).body:
            if not isinstance(node, (ast.Assign, ast.AnnAssign)):
                continue
            changes = isinstance(node.value, (ast.List, ast.Set, ast.ListComp, ast.SetComp))
            assert not changes or module == "__init__", f"{module}, line {node.lineno}"
