"""What router/diagnose reports about real printers."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Dict, List

from tests.lab.klippers import ROOT
from tests.lab.printer import LabPrinter

INCLUDES = "".join(
    f"[include {ROOT}/includes/{name}.cfg]\n" for name in ("router_api", "router_watchdog")
)
"""All that a peer can have of the router."""


def rows(main: LabPrinter, **params: str) -> List[Dict[str, str]]:
    """The findings, in order."""
    found: List[Dict[str, str]] = main.call("router/diagnose", params)["checks"]
    return found


def findings(main: LabPrinter, target: str) -> Dict[str, str]:
    """{check: "result: text"} of one printer."""
    return {row["check"]: f"{row['result']}: {row['text']}" for row in rows(main, target=target)}


def not_ok(main: LabPrinter, target: str) -> Dict[str, str]:
    """The findings that are not ok."""
    found = findings(main, target)
    return {check: text for check, text in found.items() if not text.startswith("ok: ")}


def console_after(main: LabPrinter, command: str = "ROUTER_DIAGNOSE") -> List[str]:
    """The lines that the command prints."""
    mark = main.mark()
    main.script(command)
    main.wait_line("// Checks: ", start=mark)
    return main.console[mark:]
