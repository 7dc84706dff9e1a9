"""The results of the methods as parameters of a macro."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.api import results
from klippy_extras.router.api.results import (
    diagnosis_params,
    objects_params,
    printers_params,
    query_params,
    scalar_params,
)
from klippy_extras.router.errors import UsageError


@pytest.mark.parametrize(
    ("params", "result", "expected"),
    [
        (scalar_params, {}, {}),
        (scalar_params, {"removed": 2, "hint": None}, {"REMOVED": 2}),
        (scalar_params, "text", {"RESULT": "text"}),
        (objects_params, {"objects": ["fan", "gcode_macro A"]}, {"OBJECTS": "fan,gcode_macro A"}),
        (
            query_params,
            {"status": {"fan_generic a": {"speed": 0.5, "rpm": None}}},
            {"FAN_GENERIC_A_SPEED": 0.5},
        ),
        (
            printers_params,
            {"printers": [{"name": "my-led", "connected": True, "ready": False, "state": "error"}]},
            {
                "PRINTERS": "my-led",
                "MY_LED_CONNECTED": True,
                "MY_LED_READY": False,
                "MY_LED_STATE": "error",
            },
        ),
        (
            diagnosis_params,
            {
                "checks": [
                    {"printer": "led", "check": "round trip", "result": "ok", "text": "1 ms"},
                    {"printer": "led", "check": "state", "result": "warn", "text": "startup"},
                ]
            },
            {"RESULT": "warn", "LED_ROUND_TRIP": "ok: 1 ms", "LED_STATE": "warn: startup"},
        ),
    ],
)
def test_results(params, result, expected):
    assert params(result) == expected


@pytest.mark.parametrize(
    ("params", "result"),
    [
        (scalar_params, dict.fromkeys(map(str, range(2000)), 1)),
        (scalar_params, {"values": [[1] * 100] * 20}),
        (scalar_params, [1] * 2000),
        (objects_params, {"objects": ["fan"] * 2000}),
        (query_params, {"status": {"fan": dict.fromkeys(map(str, range(2000)), 1)}}),
    ],
)
def test_what_would_be_too_long_is_refused_before_it_is_written(params, result, monkeypatch):
    monkeypatch.setattr(results, "parameter_name", None)
    monkeypatch.setattr(results, "status_params", None)
    with pytest.raises(UsageError, match="more would block the printer"):
        params(result)
