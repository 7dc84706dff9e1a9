# The results of methods as G-code parameters, for the macro in gcode_callback
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict

from ..diagnosis.checks import worst
from ..errors import RouterError, UsageError
from ..gcode.parameters import check_size, command, parameter_name, status_params
from ..printers.printer import Done, Failure, Job, Printer

# The result of a method as G-code parameters. Raises UsageError if it is too long for a command
ResultParams = Callable[[Any], Dict[str, object]]


class ResultCallback:
    """Runs a macro of the caller with the result of a method, and passes the result on."""

    def __init__(self, caller: Printer, macro: str, params: ResultParams, passed_to: Done) -> None:
        self._caller, self._macro = caller, macro
        self._params, self._passed_to = params, passed_to

    def done(self, result: Any, error: Failure) -> None:
        """The Done of the method. If the macro cannot be run, the method fails."""
        if error is None:
            try:
                params = self._params(result)
                self._caller.submit(Job(command(self._macro, params, self._caller.old_parser)))
            except UsageError as e:
                result, error = None, UsageError("%s was not run: %s" % (self._macro, e))
            except RouterError as e:
                result, error = None, e
        self._passed_to(result, error)


def scalar_params(result: Any) -> Dict[str, object]:
    """The entries of a result as G-code parameters; None is left out."""
    if not isinstance(result, dict):
        result = {"RESULT": result}
    check_size({"": result})
    return {parameter_name(name): v for name, v in result.items() if v is not None}


def printers_params(result: Any) -> Dict[str, object]:
    """PRINTERS=, and NAME_CONNECTED=, NAME_READY= and NAME_STATE= for each printer."""
    params: Dict[str, object] = {"PRINTERS": ",".join(p["name"] for p in result["printers"])}
    for printer in result["printers"]:
        prefix = parameter_name(printer["name"]).rstrip("_")
        params[prefix + "_CONNECTED"] = printer["connected"]
        params[prefix + "_READY"] = printer["ready"]
        params[prefix + "_STATE"] = printer["state"]
    return params


def objects_params(result: Any) -> Dict[str, object]:
    """OBJECTS=, separated by commas."""
    check_size({"": result})
    return {"OBJECTS": ",".join(map(str, result["objects"]))}


def diagnosis_params(result: Any) -> Dict[str, object]:
    """RESULT=, the worst result of all checks, and PRINTER_CHECK= for each check."""
    checks = result["checks"]
    texts = {
        parameter_name(c["printer"], c["check"]): "%s: %s" % (c["result"], c["text"])
        for c in checks
    }
    return {"RESULT": worst(checks), **texts}


def query_params(result: Any) -> Dict[str, object]:
    """OBJECT_FIELD= for each value."""
    check_size(result["status"])
    return status_params(result["status"])
