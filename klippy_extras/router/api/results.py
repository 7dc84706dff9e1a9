# The answers of the methods as G-code parameters, for the macro in gcode_callback
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict

from ..diagnosis.checks import worst
from ..gcode.parameters import parameter_name, status_params


def scalar_params(result: Any) -> Dict[str, object]:
    """The entries of an answer as G-code parameters (None is left out)."""
    if not isinstance(result, dict):
        return {"RESULT": result}
    return {parameter_name(name): v for name, v in result.items() if v is not None}


def printers_params(result: Any) -> Dict[str, object]:
    """PRINTERS=, and for each printer NAME_CONNECTED=, NAME_READY= and NAME_STATE=."""
    params: Dict[str, object] = {"PRINTERS": ",".join(p["name"] for p in result["printers"])}
    for printer in result["printers"]:
        for field in ("connected", "ready", "state"):
            params[parameter_name(printer["name"], field)] = printer[field]
    return params


def objects_params(result: Any) -> Dict[str, object]:
    """OBJECTS=, separated by commas."""
    return {"OBJECTS": ",".join(map(str, result["objects"]))}


def diagnosis_params(result: Any) -> Dict[str, object]:
    """RESULT=, the worst of all, and PRINTER_CHECK= for each check."""
    checks = result["checks"]
    texts = {
        parameter_name(c["printer"], c["check"]): "%s: %s" % (c["result"], c["text"])
        for c in checks
    }
    return {"RESULT": worst(checks), **texts}


def query_params(result: Any) -> Dict[str, object]:
    """OBJECT_FIELD= for each value."""
    return status_params(result["status"])
