"""Printers whose macros print on their console what the router makes them do."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import itertools
import json
import shlex
from typing import Any, Dict, List, NamedTuple

from tests.lab import config
from tests.lab.api import Api
from tests.lab.lab import Lab
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until

LIFECYCLE = (
    "ROUTER_ON_READY",
    "ROUTER_ON_CONNECTED",
    "ROUTER_ON_SHUTDOWN",
    "ROUTER_ON_DISCONNECTED",
)

# A remote call with any parameters, from within a macro, and a status that changes on command
_TOOLS = """
[gcode_macro REMOTE]
variable_args: {}
gcode:
    {action_call_remote_method(params.METHOD, **args)}
[gcode_macro STATE]
variable_x: 0
variable_y: 0
variable_text: None
gcode:
"""


def says(*macros: str) -> str:
    """Config of macros that print their name and raw parameters; needs no [respond]."""
    return "".join(
        f'[gcode_macro {name}]\ngcode:\n    {{action_respond_info("{name} " ~ rawparams)}}\n'
        for name in macros
    )


def recorder(*macros: str) -> str:
    """Config for shown(), remote_call() and set_state(): says() of SHOW, SHOW_A, SHOW_B, more."""
    return _TOOLS + says("SHOW", "SHOW_A", "SHOW_B", "RESULT", *macros)


def shown(printer: LabPrinter, macro: str = "SHOW", start: int = 0) -> List[Dict[str, str]]:
    """The parameters of every call of a macro of says(), from console line `start` on."""
    head = f"// {macro} "
    lines = [line + " " for line in printer.console[start:]]
    return [_parsed(line[len(head) :]) for line in lines if line.startswith(head)]


def wait_shown(
    printer: LabPrinter, macro: str = "SHOW", start: int = 0, timeout: float = 10.0, **expected: str
) -> Dict[str, str]:
    """Wait for a call of the macro with at least these parameters; return all of them."""

    def found() -> List[Dict[str, str]]:
        return [p for p in shown(printer, macro, start) if expected.items() <= p.items()]

    message = f"{printer.name}: {macro} with {expected}"
    calls = wait_until(lambda: [found()] if found() else [], timeout, message, [printer])
    first: Dict[str, str] = calls[0][0]
    return first


def _parsed(raw: str) -> Dict[str, str]:
    pairs = (word.partition("=") for word in shlex.split(raw))
    return {key: value for key, _equals, value in pairs}


def remote_call(printer: LabPrinter, method: str, **params: Any) -> None:
    """action_call_remote_method(method, ...) in a macro of this printer."""
    args = shlex.quote(repr(params))
    printer.script(
        f"SET_GCODE_VARIABLE MACRO=REMOTE VARIABLE=args VALUE={args}\nREMOTE METHOD={method}"
    )


def remote_result(printer: LabPrinter, method: str, **params: Any) -> Dict[str, str]:
    """remote_call() with a gcode_callback; waits for it and returns its parameters.

    Every later request to the host, from any client, runs after it.
    """
    mark = printer.mark()
    remote_call(printer, method, gcode_callback="RESULT", **params)
    return wait_shown(printer, "RESULT", mark)


def set_state(printer: LabPrinter, **values: Any) -> None:
    """Change the status of this printer's object `gcode_macro STATE`: fields x, y, text."""
    printer.script(
        "\n".join(
            f"SET_GCODE_VARIABLE MACRO=STATE VARIABLE={name} VALUE={shlex.quote(repr(value))}"
            for name, value in values.items()
        )
    )


def set_fields(printer: LabPrinter, options: str = "", **fields: Any) -> None:
    """Give this printer's object `lab_console` these fields; options: more of LAB_STATUS."""
    printer.script(f"LAB_STATUS FIELDS={shlex.quote(json.dumps(fields))} {options}")


fresh = itertools.count(1000).__next__
"""A number that no test has used: a change is none if a value was the same a moment ago."""


class Trio(NamedTuple):
    """A host and two peers."""

    lab: Lab
    main: LabPrinter
    led: LabPrinter
    afc: LabPrinter


def start_trio(
    lab: Lab,
    main: str = "",
    led: str = "",
    afc: str = "",
    mcu: str = "none",
    led_options: str = "",
    afc_options: str = "",
) -> Trio:
    """Start main with [router], led and afc, and wait until all three can be used.

    main, led, afc: sections behind those that every one has; mcu: of main; led_options,
    afc_options: of the host's sections of these peers.
    """
    sections = f"[router]\nstatus_interval: 0.05\n{router_section(lab, 'led', led_options)}"
    sections += router_section(lab, "afc", afc_options) + recorder() + main
    trio = Trio(
        lab,
        lab.main(config.printing(sections, mcu), mcu=mcu),
        lab.peer("led", config.printing(recorder() + led)),
        lab.peer("afc", config.printing(recorder() + afc)),
    )
    lab.wait_ready()
    wait_known(trio.main, "led", "afc")
    return trio


class Duo(NamedTuple):
    """A host and a peer."""

    main: LabPrinter
    led: LabPrinter


def start_duo(
    lab: Lab,
    main: str = "",
    led: str = "",
    mcu: str = "none",
    led_mcu: str = "none",
    options: str = "",
    led_options: str = "",
) -> Duo:
    """Start main with [router], and led, and wait until both can be used.

    main, led: sections behind those that both have; mcu, led_mcu: of each; options, led_options:
    of [router] and of the host's section of the peer.
    """
    sections = f"[router]\n{options}{router_section(lab, 'led', led_options)}{recorder()}{main}"
    duo = Duo(
        lab.main(config.printing(sections, mcu), mcu=mcu),
        lab.peer("led", config.printing(recorder() + led, led_mcu), mcu=led_mcu),
    )
    lab.wait_ready()
    wait_known(duo.main, "led")
    return duo


def router_section(lab: Lab, name: str, options: str = "") -> str:
    """The host's section of a peer."""
    return f"[router {name}]\nsock: {lab.sock(name)}\n{options}\n"


def add_config(printer: LabPrinter, text: str) -> None:
    """Append sections to printer.cfg; they take effect at the next restart."""
    with open(printer.folder / "printer.cfg", "a", encoding="utf-8") as file:
        file.write(text)


def wait_known(main: LabPrinter, *peers: str, ready: bool = True, timeout: float = 30.0) -> None:
    """Wait until these peers are ready for the host, or are not."""
    with main.api() as api:
        wait_until(
            lambda: all(is_ready(api, name) is ready for name in peers),
            timeout,
            f"main says ready={ready} of {', '.join(peers)}",
            [main],
        )


def is_ready(api: Api, peer: str) -> bool:
    """Whether this peer is ready for the host that the connection is to."""
    status = api.call("objects/query", {"objects": {"router": ["printers"]}})["status"]
    ready = status["router"]["printers"][peer]["ready"]
    assert isinstance(ready, bool)
    return ready


def check_log(main: LabPrinter) -> None:
    """No bug of the router is in the host's log, and no line with its name twice."""
    log = main.log_text()
    traces = ("router: internal error", "router: Router:", "extras/router/", "plugins/router/")
    for trace in traces:
        assert trace not in log, main.tail(100)
