"""The example of a filament changer that is operated as a part of the main printer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.examples import each_klipper, run_example
from tests.system.macros import check_log, router_section, wait_known

EXAMPLE = ROOT / "examples" / "mmu"
PANEL = ["mmu", "mmu_machine", "gcode_macro _MMU_SOFTWARE_VARS"]
# What Mainsail's panel reads of them without a default of its own, or shows
FIELDS = {
    "enabled", "num_gates", "unit", "gate", "tool", "last_tool", "next_tool", "num_toolchanges",
    "action", "print_state", "reason_for_pause", "filament", "filament_pos", "filament_position",
    "bowden_progress", "sensors", "ttg_map", "endless_spool_groups", "gate_status",
    "gate_filament_name", "gate_material", "gate_color", "gate_temperature", "gate_spool_id",
    "gate_speed_override", "has_bypass", "sync_drive", "spoolman_support",
}  # fmt: skip
UNIT_FIELDS = {"name", "vendor", "num_gates", "first_gate", "has_bypass", "multi_gear"}
# What its buttons send (MmuPanel.vue, MmuControls.vue, MmuUnitGateMenu.vue)
BUTTONS = {
    "MMU_SELECT", "MMU_PRELOAD", "MMU_EJECT", "MMU_CHECK_GATE", "MMU_CHECK_GATES", "MMU_RECOVER",
    "MMU_UNLOAD", "MMU_LOAD", "MMU_CHANGE_TOOL", "MMU_GATE_MAP", "MMU_STATS", "MMU_HOME",
}  # fmt: skip
STEPPER = """
[manual_stepper gear]
step_pin: gpio2
dir_pin: gpio3
enable_pin: !gpio4
microsteps: 16
rotation_distance: 22
velocity: 200
accel: 20000
"""


@each_klipper
def test_the_example(arguments):
    run_example("mmu", *arguments)


@pytest.fixture(scope="module")
def printers(shared_lab):
    """main and mmu as in the example, with a short tube."""
    lab = shared_lab
    text = (EXAMPLE / "main.cfg").read_text()
    text = text.replace("[router mmu]\n", router_section(lab, "mmu"))
    main = lab.main(config.printing(text, "fake"), mcu="fake")
    text = (EXAMPLE / "mmu.cfg").read_text().replace("tube_length: 300", "tube_length: 40")
    mmu = lab.peer("mmu", config.minimal(text + STEPPER, "fake"), mcu="fake")
    lab.wait_ready()
    wait_known(main, "mmu")
    wait_until(lambda: set(main.call("gcode/help")) >= BUTTONS, 10.0, "commands are known", [main])
    yield main, mmu
    check_log(main)


@pytest.fixture
def changer(printers):
    """The printers, with gate 1 selected and nothing loaded."""
    main, mmu = printers
    mmu.script("MMU_GATE_MAP RESET=1\nMMU_RECOVER GATE=1 LOADED=0")
    wait_status(main, gate=1, filament="Unloaded", gate_status=[1, 1, 1, 0])
    return main, mmu


def status_of(printer):
    return printer.query(["mmu"])["mmu"]


def panel_of(main):
    """What the panel reads of the main printer, without what this changer does not have."""
    shown = main.query(PANEL)
    shown["mmu"] = {field: value for field, value in shown["mmu"].items() if value is not None}
    return shown


def wait_status(main, **values):
    """Wait until the main printer's object mmu has these values."""

    def is_so():
        status = status_of(main)
        return all(status.get(field) == value for field, value in values.items())

    wait_until(is_so, 15.0, f"{values}", [main])


def test_the_panel_finds_what_it_reads(changer):
    main, mmu = changer
    assert set(PANEL) <= set(main.call("objects/list")["objects"])
    shown = panel_of(main)
    assert shown == mmu.query(PANEL)
    assert set(shown["mmu"]) >= FIELDS
    assert shown["mmu_machine"]["num_units"] == 1
    assert set(shown["mmu_machine"]["unit_0"]) >= UNIT_FIELDS
    assert shown["gcode_macro _MMU_SOFTWARE_VARS"] == {"automap_strategy": "none"}


def test_its_commands_have_help_texts(changer):
    texts = changer[0].call("gcode/help")
    assert texts["MMU_LOAD"] == "Load the filament of the selected gate into the extruder (on mmu)"
    assert all(texts[name].endswith(" (on mmu)") for name in BUTTONS)


def test_select_load_and_unload(changer):
    main, _mmu = changer
    mark = main.mark()
    main.script("MMU_SELECT GATE=2")
    wait_status(main, gate=2, tool=2)
    main.script("MMU_LOAD")
    wait_status(main, action="Loading", filament_pos=3)
    wait_status(main, action="Idle", filament="Loaded", filament_pos=10, filament_position=40.0)
    main.script("MMU_UNLOAD")
    wait_status(main, filament="Unloaded", filament_pos=0, filament_position=0.0)
    assert [line for line in main.console[mark:] if line.startswith("// mmu: ")] == [
        "// mmu: Gate 2 selected",
        "// mmu: Gate 2 loaded",
        "// mmu: Gate 2 unloaded",
    ]


def test_the_buttons_of_a_gate(changer):
    main, _mmu = changer
    main.script("MMU_CHANGE_TOOL GATE=0")
    wait_status(main, gate=0, filament="Loaded")
    main.script("MMU_EJECT GATE=0")
    wait_status(main, filament="Unloaded", gate_status=[0, 1, 1, 0])
    main.script("MMU_SELECT BYPASS=1")
    wait_status(main, gate=-2)
    main.script("MMU_PRELOAD GATE=3")
    wait_status(main, gate_status=[0, 1, 1, 1])
    mark = main.mark()
    main.script("MMU_CHECK_GATES\nMMU_STATS SHOWCOUNTS=1")
    main.wait_line("mmu: Gate 0: empty", start=mark)
    main.wait_line("tool changes", start=mark)


def test_the_gate_map(changer):
    main, _mmu = changer
    main.script('MMU_GATE_MAP GATE=3 NAME="Deep black" QUIET=1')
    main.script("MMU_GATE_MAP GATE=3 COLOR=101010FF TEMP=225 SPEED=90 AVAILABLE=1 QUIET=1")
    wait_status(main, gate_temperature=[215, 240, 210, 225], gate_status=[1, 1, 1, 1])
    status = status_of(main)
    assert status["gate_filament_name"][3] == "Deep black"
    assert status["gate_color"][3] == "101010FF" and status["gate_speed_override"][3] == 90
    main.script("MMU_GATE_MAP RESET=1")
    wait_status(main, gate_filament_name=["Signal red", "Sky blue", "Lemon", ""])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("MMU_SELECT GATE=3\nMMU_LOAD", "Gate 3 is empty"),
        ("MMU_SELECT GATE=9", "There is no gate 9"),
        ("MMU_SELECT", "Write GATE= or TOOL= with a number"),
        ("MMU_RECOVER LOADED=1\nMMU_SELECT GATE=0", "Filament is loaded: use MMU_UNLOAD first"),
        ("MMU_SELECT BYPASS=1\nMMU_EJECT", "No gate is selected: use MMU_SELECT first, or write"),
    ],
)
def test_an_error_is_shown_once_and_in_the_panel(changer, line, reason):
    main, _mmu = changer
    mark = main.mark()
    main.script(line)
    assert main.wait_line(reason, start=mark).startswith("// Router: mmu: ")
    wait_until(lambda: reason in status_of(main)["reason_for_pause"], 5.0, reason, [main])
    assert len([said for said in main.console[mark:] if reason in said]) == 1


def test_a_tool_of_the_slicer_waits_for_the_changer(changer):
    main, _mmu = changer
    main.script("T2")
    mark = main.mark()
    main.script("ROUTER_OBJECTS_WAIT TARGET=mmu\nSHOW_FILAMENT")
    main.wait_line("Tool 2 has Lemon: Loaded", start=mark)


def test_the_changer_is_offline_and_back(changer):
    main, mmu = changer
    mmu.kill()
    wait_known(main, "mmu", ready=False)
    mark = main.mark()
    main.script("MMU_LOAD")
    main.script("M118 marker")
    main.wait_line("marker", start=mark)
    said = [line for line in main.console[mark:] if "mmu is not connected" in line]
    assert said == ["// Router: mmu is not connected"]
    # Mainsail indexes the two lists without a check
    shown = status_of(main)
    assert (shown["enabled"], shown["gate"]) == (False, None)
    assert (shown["gate_status"], shown["gate_color"]) == ([], [])
    mmu.start()
    wait_known(main, "mmu")
    wait_status(main, gate=-1, filament="Unloaded")
    assert panel_of(main) == mmu.query(PANEL)


@pytest.mark.parametrize("line", ["PLA, FF0000", "PLA, FF0000, hot, Red", "PLA"])
def test_a_malformed_gate_is_a_config_error(lab, kind, line):
    text = (EXAMPLE / "mmu.cfg").read_text().replace("    empty\n", f"    {line}\n")
    printer = lab.printer(kind, "mmu", config.minimal(text + STEPPER))
    printer.wait_state("error", 10.0)
    assert "Option 'gates' in section 'mmu'" in printer.call("info")["state_message"]
