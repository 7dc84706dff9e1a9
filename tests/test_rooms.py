"""The rooms of the extra know only what they may: arrows run down a list, never in a circle."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import ast
from pathlib import Path
from typing import Dict, Set

EXTRA = Path(__file__).resolve().parents[1] / "klippy_extras" / "router"

# room: the rooms it may know. The pure ones know no Klippy at all: not even host.
MAY_KNOW: Dict[str, str] = {
    "errors": "",
    "plain": "",
    "settings": "",
    "version": "",
    "framing": "errors plain",
    "gcode_params": "errors",
    "templates": "errors gcode_params",
    "contexts": "errors gcode_params plain",
    "session_events": "errors",
    "session": "errors framing plain session_events version",
    "host": "errors plain",
    "rates": "",
    "peer_log": "plain rates",
    "link": "host",
    "hints": "plain",
    "printer": "errors hints plain",
    "script_output": "errors plain printer",
    "running_script": "errors plain printer script_output",
    "skipped": "errors host printer session_events",
    "remote_printer": "errors framing hints host link peer_log plain printer running_script"
    " session session_events skipped version",
    "runners": "host",
    "local_printer": "errors hints host peer_log printer runners script_output",
    "missing": "errors printer",
    "subscribers": "errors missing printer gcode_params",
    "target_lists": "errors printer",
    "trial": "subscribers",
    "feed": "errors gcode_params printer subscribers trial",
    "name_check": "feed missing printer subscribers",
    "subscriptions": "errors feed gcode_params name_check printer subscribers",
    "events": "errors printer gcode_params templates",
    "absences": "printer",
    "lifecycle": "errors printer gcode_params",
    "reports": "errors host printer gcode_params plain rates",
    "notices": "absences printer rates version",
    "print_guard": "absences errors host notices printer",
    "watchdog": "errors host printer gcode_params",
    "mirror": "plain printer subscriptions",
    "sensors": "plain printer",
    "motion": "host",
    "waits": "errors events host plain printer subscriptions",
    "status_waits": "errors gcode_params host missing plain printer subscriptions waits",
    "checks": "",
    "socket_checks": "checks link plain",
    "echo": "errors gcode_params host plain printer",
    "way_checks": "checks echo errors host plain printer remote_printer",
    "peer_checks": "checks echo errors events host plain printer remote_printer socket_checks"
    " subscriptions version watchdog way_checks",
    "host_checks": "checks events host link local_printer peer_checks plain reports socket_checks"
    " subscriptions version",
    "diagnosis": "checks errors host host_checks link peer_checks printer remote_printer",
    "restarts": "printer",
    "results": "checks gcode_params",
    "methods": "contexts errors events gcode_params printer restarts results subscribers"
    " subscriptions"
    " target_lists",
    "wait_commands": "errors events host methods printer reports status_waits subscriptions waits",
    "commands": "checks contexts errors gcode_params host methods motion printer reports"
    " target_lists wait_commands",
    "endpoints": "errors host methods plain printer",
    "remote_methods": "echo errors host methods plain printer reports target_lists",
    "router": "*",
    "__init__": "router",
}
PURE = (
    "errors", "plain", "settings", "version", "framing", "gcode_params", "templates",
    "contexts", "session", "session_events", "rates",
)  # fmt: skip
IO_MODULES = {"socket", "select", "threading", "asyncio", "logging", "subprocess", "time"}


def imports_of(room: str) -> Dict[str, Set[str]]:
    """The siblings and the foreign modules that a room imports."""
    siblings: Set[str] = set()
    foreign: Set[str] = set()
    for node in ast.walk(ast.parse((EXTRA / f"{room}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            assert node.level == 1, f"{room}: siblings are imported by a single dot"
            siblings.add(str(node.module))
        elif isinstance(node, ast.ImportFrom):
            foreign.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Import):
            foreign.update(alias.name.split(".")[0] for alias in node.names)
    return {"siblings": siblings, "foreign": foreign}


ROOMS = sorted(path.stem for path in EXTRA.glob("*.py"))


def test_every_room_is_on_the_list():
    assert set(ROOMS) == set(MAY_KNOW)


def test_a_room_knows_only_what_it_may():
    known = {room: imports_of(room)["siblings"] for room in ROOMS}
    too_much = {
        room: sorted(siblings - set(MAY_KNOW[room].split()))
        for room, siblings in known.items()
        if MAY_KNOW[room] != "*" and siblings - set(MAY_KNOW[room].split())
    }
    assert too_much == {}


def test_the_arrows_make_no_circle():
    known = {room: imports_of(room)["siblings"] for room in ROOMS}
    while known:
        leaves = [room for room, siblings in known.items() if not siblings & known.keys()]
        assert leaves, f"these know each other in a circle: {sorted(known)}"
        for room in leaves:
            del known[room]


def test_pure_rooms_do_no_input_or_output():
    for room in PURE:
        assert not imports_of(room)["foreign"] & IO_MODULES, room


def test_no_room_imports_a_module_of_klippy_or_a_package():
    standard = {
        "abc", "collections", "dataclasses", "decimal", "errno", "heapq", "json", "logging",
        "math", "os", "re", "socket", "stat", "struct", "sys", "typing",
    }  # fmt: skip
    for room in ROOMS:
        assert imports_of(room)["foreign"] <= standard, room


def test_no_state_outlives_a_restart():
    """RESTART keeps modules: what changes may not live in one."""
    for room in ROOMS:
        for node in ast.parse((EXTRA / f"{room}.py").read_text(encoding="utf-8")).body:
            if not isinstance(node, (ast.Assign, ast.AnnAssign)):
                continue
            changes = isinstance(node.value, (ast.List, ast.Set, ast.ListComp, ast.SetComp))
            assert not changes or room == "__init__", f"{room}, line {node.lineno}"
