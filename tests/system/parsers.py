"""The real G-code parser of each Klipper, without its printer: which commands does a script run?

As a module: Parser. As a program, under that Klipper's own Python: the process behind it.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import importlib
import json
import logging
import subprocess
import sys
from contextlib import nullcontext
from typing import Any, Dict, List, NamedTuple, Optional, Tuple


class Ran(NamedTuple):
    """What happened when a script ran."""

    calls: List[Tuple[str, Dict[str, str]]]
    """The known commands that ran, with their parameters."""
    output: List[str]
    """What M118, unknown commands and errors printed."""
    display: Optional[str]
    """The text of M117."""
    error: Optional[str]
    shutdown: Optional[str]


class Parser:
    """Runs scripts on the real GCodeDispatch of one kind of Klipper, M117 and M118 included."""

    def __init__(self, kind: str) -> None:
        # The program half of this file has no package around it
        from tests.lab.klippers import klipper

        found = klipper(kind)
        tree = found.extras.parents[1]
        package = "" if kind.startswith("klipper") and kind != "klipper2023" else "klippy."
        self._process = subprocess.Popen(
            [found.start[0], __file__, str(tree if package else tree / "klippy"), package],
            cwd=found.cwd,
            env=found.env(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="ascii",
        )
        self.old: bool = self._read()

    def run(self, script: str, *commands: str) -> Ran:
        """Run the script on a printer that knows these commands."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([script, commands]) + "\n")
        self._process.stdin.flush()
        calls, *rest = self._read()
        return Ran([(name, params) for name, params in calls], *rest)

    def close(self) -> None:
        self._process.communicate()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


# -- the program


class _Printer:
    """As much of Klippy's Printer, Reactor and ConfigWrapper as the parser asks for."""

    command_error = config_error = Exception

    def __init__(self) -> None:
        self.shutdown: Optional[str] = None
        self.gcode: Any = None

    def invoke_shutdown(self, message: str) -> None:
        self.shutdown = message

    def lookup_object(self, name: str, default: Any = None) -> Any:
        return self.gcode

    def get_start_args(self) -> Dict[str, str]:
        return {}

    def get_reactor(self) -> "_Printer":
        return self

    def get_printer(self) -> "_Printer":
        return self

    def mutex(self) -> Any:
        return nullcontext()

    def get(self, option: str, default: Any = None) -> Any:
        return default

    getboolean = get

    def getchoice(self, option: str, choices: Dict[str, str], default: str) -> str:
        return choices[default]

    def register_event_handler(self, *args: Any) -> None:
        pass

    send_event = register_event_handler


def _serve(path: str, package: str) -> None:
    sys.path[0] = path
    logging.disable()
    printer = _Printer()
    dispatch = importlib.import_module(package + "gcode").GCodeDispatch
    printer.gcode = gcode = dispatch(printer)
    importlib.import_module(package + "extras.respond").load_config(printer)
    display = importlib.import_module(package + "extras.display_status").load_config(printer)
    gcode._handle_ready()
    calls: List[Tuple[str, Dict[str, str]]] = []
    output: List[str] = []
    gcode.register_output_handler(output.append)

    def record(gcmd: Any) -> None:
        calls.append((gcmd.get_command(), dict(gcmd.get_command_parameters())))

    print(json.dumps(hasattr(gcode, "extended_r")), flush=True)
    for line in sys.stdin:
        script, commands = json.loads(line)
        for name in commands:
            if name not in gcode.ready_gcode_handlers:
                gcode.register_command(name, record)
        error = display.message = printer.shutdown = None
        calls.clear()
        output.clear()
        try:
            gcode.run_script(script)
        except gcode.error as e:
            error = str(e)
        answer = [calls, output, display.message, error, printer.shutdown]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
