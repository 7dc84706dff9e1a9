# The results of methods as text for the console
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Mapping

from ..diagnosis.checks import console_lines
from ..gcode.parameters import parameter_text

# (parameters of the call, its result) -> one or more lines; nothing is shown if empty
Show = Callable[[Mapping[str, Any], Any], str]


def no_text(params: Mapping[str, Any], result: Any) -> str:
    """For a method without a result to show."""
    return ""


def output_text(name: str, text: str) -> str:
    """What a script has printed on this printer: its name in front of each line."""
    return "\n".join("%s: %s" % (name, line) for line in text.split("\n"))


def printers_text(params: Mapping[str, Any], result: Any) -> str:
    """For router/printers/list: one line per printer."""
    return "\n".join(
        "%s: %s%s"
        % (
            printer["name"],
            printer["state"],
            " (this printer)" if printer["local"] else "" if printer["ready"] else ", not usable",
        )
        for printer in result["printers"]
    )


def checks_text(params: Mapping[str, Any], result: Any) -> str:
    """For router/diagnose: one line per check, and their number."""
    return "\n".join(console_lines(result["checks"]))


def restart_text(params: Mapping[str, Any], result: Any) -> str:
    """For router/restart: that it restarts, and the hint, if there is one."""
    lines = ["%s: restarting" % (params["target"],), result.get("hint")]
    return "\n".join(filter(None, lines))


def objects_text(params: Mapping[str, Any], result: Any) -> str:
    """For router/objects/list: one line."""
    return "%s: %s" % (params["target"], ", ".join(map(str, result["objects"])))


def status_text(params: Mapping[str, Any], result: Any) -> str:
    """For router/objects/query: one line per field."""
    target = params["target"]
    lines = [
        "%s: %s.%s = %s" % (target, name, field, parameter_text(value))
        for name, values in result["status"].items()
        for field, value in values.items()
    ]
    return "\n".join(lines) or "%s: no such objects" % (target,)
