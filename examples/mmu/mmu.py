# A Klippy extra: a small filament changer, which Mainsail's MMU panel can show and operate
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# An example, for the changer's own Klipper: link it into its folder klippy/extras. It has gates
# with filament, one motor (a [manual_stepper]) and one tube to the extruder. Its objects, mmu and
# mmu_machine, have the fields that the panel reads, and its commands are those of the buttons.

# gate, tool: none is selected, or the one for filament that does not come from a gate
UNKNOWN, BYPASS = -1, -2
# gate_status
EMPTY, AVAILABLE = 0, 1
# filament_pos
UNLOADED, AT_GATE, IN_TUBE, LOADED = 0, 1, 3, 10
# Parts of a move: after each of them the status shows about where the filament is
PARTS = 5


class Gate:
    """A gate, from its line in option 'gates': "empty", or material, color, temperature, name."""

    def __init__(self, line):
        words = [word.strip() for word in line.split(",", 3)]
        self.status = EMPTY if words == ["empty"] else AVAILABLE
        if self.status == EMPTY:
            words = ["", "", "0", ""]
        self.material, self.color, temperature, self.name = words
        self.temperature = int(temperature)
        self.spool_id, self.speed = -1, 100

    def change(self, gcmd):
        """Take over the parameters of MMU_GATE_MAP."""
        self.name = gcmd.get("NAME", self.name)
        self.material = gcmd.get("MATERIAL", self.material)
        self.color = gcmd.get("COLOR", self.color)
        self.temperature = gcmd.get_int("TEMP", self.temperature)
        self.spool_id = gcmd.get_int("SPOOLID", self.spool_id)
        self.speed = gcmd.get_int("SPEED", self.speed, minval=10, maxval=150)
        self.status = gcmd.get_int("AVAILABLE", self.status, minval=EMPTY, maxval=AVAILABLE)

    def __str__(self):
        if self.status == EMPTY:
            return "empty"
        return " ".join(filter(None, [self.name, self.material])) or "filament"


class Machine:
    """The object mmu_machine: what does not change."""

    def __init__(self, num_gates):
        unit = {
            "name": "Example",
            "vendor": "HappyHare",  # one of those whose pictures Mainsail has
            "version": "1.0",
            "num_gates": num_gates,
            "first_gate": 0,
            "selector_type": "VirtualSelector",
            "has_bypass": True,
            "multi_gear": False,
            "can_crossload": False,
        }
        self.status = {"num_units": 1, "unit_0": unit}

    def get_status(self, eventtime):
        return self.status


class Mmu:
    """The object mmu, and its commands. Tool 0 is gate 0, and so on."""

    def __init__(self, config):
        self.printer = config.get_printer()
        self.gcode = self.printer.lookup_object("gcode")
        self.stepper = config.get("stepper")
        self.speed = config.getfloat("speed", 200.0, above=0.0)
        self.tube_length = config.getfloat("tube_length", above=0.0)
        self.lines = [line for line in config.get("gates").split("\n") if line.strip()]
        try:
            self.gates = [Gate(line) for line in self.lines]
        except ValueError:
            raise config.error(
                "Option 'gates' in section 'mmu': write one gate per line, as in"
                " 'PLA, FF4040, 215, Signal red', or 'empty'"
            ) from None
        self.gate, self.filament_pos, self.position = UNKNOWN, UNLOADED, 0.0
        self.action, self.direction = "Idle", 0
        self.last_tool = self.next_tool = UNKNOWN
        self.num_changes, self.last_error = 0, ""
        self.printer.add_object("mmu_machine", Machine(len(self.gates)))
        for attribute in dir(self):
            if attribute.startswith("cmd_") and not attribute.endswith("_help"):
                name = attribute[len("cmd_") :]
                text = getattr(self, attribute + "_help")
                self.gcode.register_command(name, getattr(self, attribute), desc=text)

    def get_status(self, eventtime):
        is_moving = self.filament_pos == IN_TUBE
        return {
            "enabled": True,
            "is_homed": True,
            "print_state": "ready",
            "num_gates": len(self.gates),
            "unit": 0,
            "gate": self.gate,
            "tool": self.gate,
            "last_tool": self.last_tool,
            "next_tool": self.next_tool,
            "num_toolchanges": self.num_changes,
            "action": self.action,
            "reason_for_pause": self.last_error,
            "filament": {UNLOADED: "Unloaded", LOADED: "Loaded"}.get(self.filament_pos, "Unknown"),
            "filament_pos": self.filament_pos,
            "filament_position": round(self.position, 1),
            "filament_direction": self.direction,
            "bowden_progress": int(self.position / self.tube_length * 100) if is_moving else -1,
            "sensors": {
                "mmu_gate": self.filament_pos != UNLOADED,
                "toolhead": self.filament_pos == LOADED,
            },
            "gate_status": [gate.status for gate in self.gates],
            "gate_filament_name": [gate.name for gate in self.gates],
            "gate_material": [gate.material for gate in self.gates],
            "gate_color": [gate.color for gate in self.gates],
            "gate_temperature": [gate.temperature for gate in self.gates],
            "gate_spool_id": [gate.spool_id for gate in self.gates],
            "gate_speed_override": [gate.speed for gate in self.gates],
            "ttg_map": list(range(len(self.gates))),
            "endless_spool_groups": list(range(len(self.gates))),
            "has_bypass": True,
            "sync_drive": False,
            "spoolman_support": "off",
        }

    # -- commands

    cmd_MMU_STATUS_help = "Show the gates, and where the filament is"

    def cmd_MMU_STATUS(self, gcmd):
        lines = ["%s: %s" % (self._name(n), gate) for n, gate in enumerate(self.gates)]
        state = self.get_status(0.0)["filament"].lower()
        gcmd.respond_info("\n".join(lines + ["%s selected, %s" % (self._name(self.gate), state)]))

    cmd_MMU_STATS_help = "Show how often the tool was changed"

    def cmd_MMU_STATS(self, gcmd):
        gcmd.respond_info("%d tool changes" % (self.num_changes,))

    cmd_MMU_HOME_help = "Select the first gate"

    def cmd_MMU_HOME(self, gcmd):
        self._select(gcmd, 0)

    cmd_MMU_SELECT_help = "Select a gate: GATE=, TOOL= or BYPASS=1"

    def cmd_MMU_SELECT(self, gcmd):
        self._select(gcmd, self._gate_of(gcmd))

    cmd_MMU_LOAD_help = "Load the filament of the selected gate into the extruder"

    def cmd_MMU_LOAD(self, gcmd):
        self._load(gcmd)

    cmd_MMU_UNLOAD_help = "Unload the filament back into its gate"

    def cmd_MMU_UNLOAD(self, gcmd):
        self._unload(gcmd)

    cmd_MMU_CHANGE_TOOL_help = "Unload, select another gate (GATE= or TOOL=) and load"

    def cmd_MMU_CHANGE_TOOL(self, gcmd):
        self.last_tool, self.next_tool = self.gate, self._gate_of(gcmd)
        try:
            if self.filament_pos != UNLOADED:
                self._unload(gcmd)
            self._select(gcmd, self.next_tool)
            self._load(gcmd)
            self.num_changes += 1
        finally:
            self.next_tool = UNKNOWN

    cmd_MMU_PRELOAD_help = "Take in new filament at a gate (default: the selected one)"

    def cmd_MMU_PRELOAD(self, gcmd):
        number = self._gate_of(gcmd, self.gate)
        self._check_is_gate(gcmd, number)
        self.gates[number].status = AVAILABLE
        self._say(gcmd, "%s: %s" % (self._name(number), self.gates[number]))

    cmd_MMU_EJECT_help = "Unload, and eject filament from its gate (default: the selected one)"

    def cmd_MMU_EJECT(self, gcmd):
        number = self._gate_of(gcmd, self.gate)
        self._check_is_gate(gcmd, number)
        if number == self.gate and self.filament_pos != UNLOADED:
            self._unload(gcmd)
        self.gates[number].status = EMPTY
        self._say(gcmd, "%s: empty" % (self._name(number),))

    cmd_MMU_CHECK_GATE_help = "Check whether a gate has filament (default: the selected one)"

    def cmd_MMU_CHECK_GATE(self, gcmd):
        number = self._gate_of(gcmd, self.gate)
        self._check_is_gate(gcmd, number)
        self._say(gcmd, "%s: %s" % (self._name(number), self.gates[number]))

    cmd_MMU_CHECK_GATES_help = "Check which gates have filament"
    cmd_MMU_CHECK_GATES = cmd_MMU_STATUS

    cmd_MMU_RECOVER_help = "Tell the changer which gate is selected, and whether filament is LOADED"

    def cmd_MMU_RECOVER(self, gcmd):
        self.gate = self._gate_of(gcmd, self.gate)
        is_loaded = gcmd.get_int("LOADED", int(self.filament_pos == LOADED), minval=0, maxval=1)
        self.filament_pos = LOADED if is_loaded else UNLOADED
        self.position = self.tube_length if is_loaded else 0.0
        self.last_error = ""
        self.cmd_MMU_STATUS(gcmd)

    cmd_MMU_GATE_MAP_help = "Show or change what is known about the filaments"

    def cmd_MMU_GATE_MAP(self, gcmd):
        if gcmd.get_int("RESET", 0):
            self.gates = [Gate(line) for line in self.lines]
        elif gcmd.get("GATE", None) is not None:
            self.gates[self._gate_of(gcmd)].change(gcmd)
        if not gcmd.get_int("QUIET", 0):
            self.cmd_MMU_STATUS(gcmd)

    # -- what they do

    def _select(self, gcmd, number):
        if number != self.gate and self.filament_pos != UNLOADED:
            raise self._failed(gcmd, "Filament is loaded: use MMU_UNLOAD first")
        self.gate = number
        self._say(gcmd, "%s selected" % (self._name(number),))

    def _load(self, gcmd):
        if self.gate == UNKNOWN:
            raise self._failed(gcmd, "No gate is selected: use MMU_SELECT first")
        if self.gate >= 0 and self.gates[self.gate].status == EMPTY:
            raise self._failed(gcmd, "%s is empty" % (self._name(self.gate),))
        if self.filament_pos != LOADED:
            self._move("Loading", 1)
        self._say(gcmd, "%s loaded" % (self._name(self.gate),))

    def _unload(self, gcmd):
        if self.filament_pos != UNLOADED:
            self._move("Unloading", -1)
        self._say(gcmd, "%s unloaded" % (self._name(self.gate),))

    def _move(self, action, direction):
        """Move the filament through the tube. direction: 1 to the extruder, -1 back."""
        reactor = self.printer.get_reactor()
        length = direction * self.tube_length
        self.action, self.direction = action, direction
        self.filament_pos = IN_TUBE
        try:
            self.gcode.run_script_from_command(
                "MANUAL_STEPPER STEPPER=%s SET_POSITION=0 MOVE=%.3f SPEED=%.3f"
                % (self.stepper, length, self.speed)
            )
            for _ in range(PARTS):
                reactor.pause(reactor.monotonic() + self.tube_length / self.speed / PARTS)
                self.position += length / PARTS
            self.printer.lookup_object("toolhead").wait_moves()
        finally:
            self.action, self.direction = "Idle", 0
        self.filament_pos = LOADED if direction > 0 else UNLOADED
        self.position = self.tube_length if direction > 0 else 0.0

    # -- parameters and messages

    def _gate_of(self, gcmd, default=None):
        """The gate that a command names; the default if it names none."""
        if gcmd.get_int("BYPASS", 0):
            return BYPASS
        number = gcmd.get_int("GATE", gcmd.get_int("TOOL", default))
        if number is None:
            raise self._failed(gcmd, "Write GATE= or TOOL= with a number")
        if not BYPASS <= number < len(self.gates):
            raise self._failed(gcmd, "There is no gate %d" % (number,))
        return number

    def _check_is_gate(self, gcmd, number):
        if number < 0:
            raise self._failed(gcmd, "No gate is selected: use MMU_SELECT first, or write GATE=")

    def _name(self, number):
        return {UNKNOWN: "No gate", BYPASS: "Bypass"}.get(number, "Gate %d" % (number,))

    def _say(self, gcmd, text):
        self.last_error = ""
        gcmd.respond_info(text)

    def _failed(self, gcmd, text):
        """The error of the command, which the panel shows as well."""
        self.last_error = text
        return gcmd.error(text)


def load_config(config):
    return Mmu(config)
