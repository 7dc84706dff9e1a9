"""Whether a peer has the G-code parser from before December 2024; in doubt it has."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.klippy.old_parser import parser_is_old


@pytest.mark.parametrize(
    ("info", "commands", "status", "is_old"),
    [
        ({}, [], {}, True),
        ({"app": "Klipper"}, ["RESET_VELOCITY_LIMIT"], {}, True),
        ({"app": "Kalico"}, ["RESET_VELOCITY_LIMIT"], {}, False),
        ({"app": "Kalico"}, [], {}, True),
        ({}, [], {"idle_timeout": {"idle_timeout": 600.0}}, False),
        ({}, [], {"idle_timeout": {"idle_timeout": None}}, True),
    ],
)
def test_how_old_a_parser_is(info, commands, status, is_old):
    assert parser_is_old(info, frozenset(commands), status) is is_old
