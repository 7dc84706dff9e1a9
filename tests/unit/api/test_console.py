"""How the results of the methods are printed on the console."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.api.console import (
    checks_text,
    no_text,
    objects_text,
    printers_text,
    restart_text,
    status_text,
)

PARAMS = {"target": "led"}


def printer(name, state="ready", ready=True, local=False):
    return {"name": name, "state": state, "ready": ready, "local": local, "connected": True}


def test_nothing():
    assert no_text(PARAMS, {"removed": 1}) == ""


def test_printers():
    printers = [
        printer("main", local=True),
        printer("led"),
        printer("afc", state="shutdown", ready=False),
    ]
    assert printers_text({}, {"printers": printers}).split("\n") == [
        "main: ready (this printer)",
        "led: ready",
        "afc: shutdown, not usable",
    ]


def test_checks():
    row = {"printer": "led", "check": "klippy", "result": "warn", "text": "it is starting"}
    assert checks_text({}, {"checks": [row]}).split("\n") == [
        "WARN led klippy: it is starting",
        "Checks: 0 ok, 1 WARN, 0 FAIL",
    ]


@pytest.mark.parametrize(
    ("result", "text"),
    [({}, "led: restarting"), ({"hint": "led is in error"}, "led: restarting\nled is in error")],
)
def test_a_restart(result, text):
    assert restart_text(PARAMS, result) == text


def test_objects():
    assert objects_text(PARAMS, {"objects": ["toolhead", "mcu"]}) == "led: toolhead, mcu"


def test_a_status():
    status = {"toolhead": {"homed_axes": "xyz", "position": [1.5, 2]}, "mcu": {"x": None}}
    assert status_text(PARAMS, {"status": status}).split("\n") == [
        "led: toolhead.homed_axes = xyz",
        "led: toolhead.position = [1.5,2]",
        "led: mcu.x = ",
    ]
    assert status_text(PARAMS, {"status": {}}) == "led: no such objects"
