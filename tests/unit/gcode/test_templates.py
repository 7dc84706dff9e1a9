"""Event handlers with placeholders: which ones are refused, and what they become."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any

import pytest

from klippy_extras.router.errors import UsageError
from klippy_extras.router.gcode.parameters import is_bare_command
from klippy_extras.router.gcode.templates import Template


@pytest.mark.parametrize(
    ("value", "text"),
    [(5, "5"), (-0.25, "-0.25"), ("+5.", "+5."), (1e-7, "0.0000001"), ("1.5E3", "1500")],
)
def test_numbers_of_traditional_g_code_have_no_exponent(value: Any, text: str) -> None:
    assert Template("G1 X{x}").render({"x": value}, False) == "G1 X" + text


@pytest.mark.parametrize(
    "value", ["", "10 Y20", "10;", "10\nM112", "10*5", "1e999", "nan", True, None, "\u0663", "0x5"]
)
def test_only_numbers_can_stand_in_traditional_g_code(value: Any) -> None:
    with pytest.raises(UsageError, match=r"{x} that is a number, not"):
        Template("G1 X{x}").render({"x": value}, False)


@pytest.mark.parametrize(
    "handler",
    [
        "{x}",
        "{x} A=1",
        "ON_{x} A=1",
        "ON_X{x} A=1",
        "M{x}",
        "M118{x}",
        "G{x} X1",
        "G1{x} X1",
        "G1 {x}",
        "T{x}",
        "N5 ON_X A={x}",
        "N{x} M118",
        "M118-{x}",
        "# {x}",
        "ON_X {x}",
        "ON_X {x}=1",
        "ON_X '{x}'",
        "ON_X A=1 {x}",
        "ON_X A{x}=1",
        "ON_X ={x}",
        "ON_X A='1' \"{x}=1\"",
        "ON_X A=\\{x}",
        'ON_X A="\\{x}"',
        "ON_X A='{x}",
        'ON_X A=1\nM118 ok\nON_X A="{x}',
    ],
)
def test_an_unsafe_handler_is_refused(handler: str) -> None:
    with pytest.raises(UsageError, match=r"^Event handler ['\"].*['\"] has ") as caught:
        Template(handler)
    assert str(caught.value).isprintable()


def test_a_missing_key_is_named() -> None:
    template = Template("ON_X A={x}\nM118 {lane}\n; {comment}")
    with pytest.raises(UsageError, match=r"ON_X A=\{x\}.*needs a value for \{lane\}"):
        template.render({"x": 1, "LANE": 2}, False)


@pytest.mark.parametrize(
    "handler",
    ["", "ON_X A='{ x }' B={} C={1} D={a.b} E={a b} {", "M118 {{}}", "G28\n\n  ON_X", "G28", "A B"],
)
def test_a_handler_without_placeholders_is_unchanged(handler: str) -> None:
    assert Template(handler).render({"x": 1, "lane": 2}, False) == handler


def test_handlers_are_encodable() -> None:
    Template("ON_X A={x} B=\ud800\nM118 \ud800").render({"x": 1}, False).encode()


def test_bare_commands() -> None:
    assert Template("ON_FEED_DONE").render({"lane": 1}, False) == "ON_FEED_DONE LANE='1'"
    for gcode in "ON_X", " on_x2 \n", "_X":
        assert is_bare_command(gcode)
    for gcode in "", "G28", "M118", "T0", "ON_X A=1", "ON_X\nON_X", "ON_X;", "ON-X", "{x}":
        assert not is_bare_command(gcode)


def test_gcode_within_a_parameter_accepts_only_numbers() -> None:
    for handler in (
        "router_gcode_script TARGET=b SCRIPT='G1 X{x}'",
        ('ROUTER_EVENT_SUBSCRIBE EVENT={e} "GCODE=ON_X A={x}"'),
    ):
        template = Template(handler)
        assert "5" in template.render({"x": 5, "e": "any 'name'"}, False)
        with pytest.raises(UsageError, match="a number"):
            template.render({"x": "5 B=1", "e": ""}, False)


def test_a_value_within_a_context_is_one_value() -> None:
    template = Template('ROUTER_EVENT_TRIGGER EVENT=e CONTEXT="lane={x}" LENGTH={x}')
    assert "lane=it's" in template.render({"x": "it's"}, False)
    for value in "1,speed=9", "a=1":
        with pytest.raises(UsageError, match="without , = { and }"):
            template.render({"x": value}, False)
    braces = Template('ROUTER_EVENT_TRIGGER EVENT=e CONTEXT="{lane:{x}}"')
    assert "{lane:2}" in braces.render({"x": 2}, False)
    with pytest.raises(UsageError, match="without , = { and }"):
        Template('ROUTER_EVENT_TRIGGER EVENT=e CONTEXT="{x}"').render({"x": "{a:1}"}, False)
