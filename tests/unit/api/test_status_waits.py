"""Conditions of ROUTER_OBJECTS_WAIT."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.api.status_waits import Condition


@pytest.mark.parametrize(
    ("params", "true", "false"),
    [
        ({"EQUALS": "printing"}, ["printing"], ["standby", None, 1, "Printing"]),
        ({"EQUALS": "5"}, [5, 5.0, "5"], [6, True, None, "5.0"]),
        ({"EQUALS": "0.5"}, [0.5], [0.05, None]),
        ({"EQUALS": "true"}, [True], [False, None]),
        ({"EQUALS": "False"}, [False], [True, 0.5]),
        ({"NOT_EQUALS": "5"}, [6, "x", ""], [5, 5.0, None]),
        ({"EQUALS": ""}, [""], ["x", 0, None]),
        ({"MINIMUM": "5"}, [5, 5.5], [4.9, None, "6", True]),
        ({"MAXIMUM": "-1"}, [-1, -2.5], [0, None, "-2", False]),
        ({"MINIMUM": "1", "MAXIMUM": "2", "NOT_EQUALS": "1.5"}, [1, 2], [1.5, 0.9, 2.1]),
    ],
)
def test_conditions(params, true, false):
    condition = Condition(params)
    assert [value for value in true if not condition.is_met_by(value)] == []
    assert [value for value in false if condition.is_met_by(value)] == []
