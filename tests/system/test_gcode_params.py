"""Values to G-code and back: through the real parser of every Klipper."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from klippy_extras.router.errors import UsageError
from klippy_extras.router.gcode.parameters import (
    MAX_LENGTH,
    command,
    parameter_name,
    parameter_text,
    quote,
    status_params,
)
from klippy_extras.router.gcode.templates import Template
from tests.system.parsers import Parser, Ran
from tests.unit.gcode.values import texts, values

# A parser may be slow once, while the machine is busy
many = settings(deadline=None, max_examples=60)

names = st.sampled_from(["A", "B_2", "M118", "N", "TARGET", "_"])


@pytest.fixture(scope="module")
def parser(kind: str) -> Iterator[Parser]:
    parser = Parser(kind)
    yield parser
    parser.close()


def received(text: str, old: bool) -> str:
    """The text as it must arrive."""
    text = text.replace("\r\n", " ").replace("\r", " ").replace("\n", " ")
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    for char in "#*;" if old else "":
        text = text.replace(char, "_")
    return text


def ran(parser: Parser, script: str, *commands: str) -> Ran:
    script.encode()  # no half surrogate pairs
    result = parser.run(script, *commands)
    assert result.shutdown is None
    return result


# -- one command


@many
@given(text=texts)
@example(text='it\'s 100% "C:\\" # * ; a=b')
@example(text="\\")
@example(text="")
def test_a_text_arrives_unchanged(parser: Parser, text: str) -> None:
    result = ran(parser, "ON_X A=" + quote(text, parser.old), "ON_X")
    assert result.calls == [("ON_X", {"A": received(text, parser.old)})]
    assert result.output == []


@many
@given(context=st.dictionaries(texts, values, max_size=5))
@example(context={"1": "a"})
@example(context={"": "a"})
@example(context={"HEATER_INTERRUPT": "INTERRUPT INTERRUPT"})
def test_one_command_runs_with_exactly_its_parameters(
    parser: Parser, context: Dict[str, Any]
) -> None:
    params = {parameter_name(key): value for key, value in context.items()}
    script = command("ON_X", params, parser.old)
    assert "INTERRUPT" not in script  # Kalico would not take the mutex
    result = ran(parser, script, "ON_X")
    expected = {key: received(parameter_text(v), parser.old) for key, v in params.items()}
    assert result.calls == [("ON_X", expected)]
    assert result.output == []


@many
@given(status=st.dictionaries(texts, st.dictionaries(texts, values, max_size=3), max_size=3))
def test_a_status_is_one_command(parser: Parser, status: Dict[str, Dict[str, Any]]) -> None:
    params = status_params(status)
    assert None not in params.values()
    result = ran(parser, command("ON_STATUS_UPDATE", params, parser.old), "ON_STATUS_UPDATE")
    assert [(name, set(got)) for name, got in result.calls] == [("ON_STATUS_UPDATE", set(params))]


def test_the_router_knows_which_parser_is_old(parser: Parser, kind: str) -> None:
    assert parser.old == (kind == "klipper2023")


def test_no_run_of_whitespace_blocks_the_old_parser(parser: Parser) -> None:
    # It takes 2 s for these without the quotation marks in between
    for space in " ", "\xa0":
        text = "x" + space * (MAX_LENGTH // 2) + "x"
        for script in (
            command("ON_X", {"A": text}, parser.old),
            Template('ON_X A="{x}"').render({"x": text}, parser.old),
        ):
            assert not parser.old or re.search(r"\s{17}", script) is None
            assert ran(parser, script, "ON_X").calls == [("ON_X", {"A": text})]


# -- event templates

# The handler, and its parameters with X and Y for the values (None: the text of an M117 or M118)
LINES = [
    ("ON_X A={x}", {"A": "X"}),
    ("  on_x a=pre{x}post B=2", {"A": "preXpost", "B": "2"}),
    ("ON_X A='{x}' B={y}", {"A": "X", "B": "Y"}),
    ("ON_X A='a {x} \\{y}' B=\"it's {y}\"", {"A": "a X \\Y", "B": "it's Y"}),
    ('ON_X A="{x}\\"{y}\\\\{x}"', {"A": 'X"Y\\X'}),
    ("ON_X A={x}{y}'{x}'\"{y}\"", {"A": "XYXY"}),
    ("ON_X A=\\'{x}\\\\{y}\\ b", {"A": "'X\\Y b"}),
    ("ON_X B=1 'A={x} b'", {"B": "1", "A": "X b"}),
    ("ON_X A=b={x}", {"A": "b=X"}),
    ("ON_X A={x};{y}{z}", {"A": "X"}),
    ("ON_X\tA={x} # {z}", {"A": "X"}),
    ("ON_X A={{x}} B='{{\"k\": {y}}' C={}", {"A": "{X}", "B": '{{"k": Y}', "C": "{}"}),
    ("M118 {x}", None),
    ("M118\t{x}", None),
    ("m118 Lane {x}: {y}", None),
    ("M118foo 'bar' \"{x}\" ; # * {y}", None),
    ("M117 {x}{y}", None),
]


def plain(text: str) -> str:
    """A text as M117 and M118 show it."""
    text = received(text, False).replace("INTERRUPT", "Interrupt")
    lines = dict.fromkeys([*range(9), *range(10, 32), *range(127, 160), 0x2028, 0x2029], " ")
    return text.translate(lines)


@many
@given(lines=st.lists(st.sampled_from(LINES), max_size=4), x=texts, y=texts)
@example(lines=LINES, x="' B=1 '\nM112", y='" B=1 "; M112')
@example(lines=LINES, x="\\", y="\\")
@example(lines=LINES, x="5", y="112")
@example(lines=LINES, x="", y="")
def test_a_value_is_escaped_for_where_it_stands(
    parser: Parser, lines: List[Tuple[str, Any]], x: str, y: str
) -> None:
    handler = "\n".join(line for line, _ in lines)
    script = Template(handler).render({"x": x, "y": y}, parser.old)
    assert "INTERRUPT" not in script
    result = ran(parser, script, "ON_X")
    got = {"X": received(x, parser.old), "Y": received(y, parser.old)}
    assert result.calls == [
        (
            "ON_X",
            {key: "".join(got.get(char, char) for char in text) for key, text in params.items()},
        )
        for _, params in lines
        if params is not None
    ]
    assert all(text.startswith("echo: ") for text in result.output)
    assert len(result.output) == sum(line[:4].upper() == "M118" for line, _ in lines)
    assert result.error is None


@many
@given(x=texts, y=texts)
@example(x="5; #9*33", y="112")
def test_the_text_of_m117_and_m118_is_plain(parser: Parser, x: str, y: str) -> None:
    template = Template("M118 {x}\nM118 Lane {x}, {y} ; # *7\nM117 '{x}'")
    result = ran(parser, template.render({"x": x, "y": y}, parser.old))
    assert result.error is None and result.calls == []
    assert result.output == [
        "echo: " + ("M118 " + plain(x)).strip()[5:],
        "echo: Lane %s, %s ; # *7" % (plain(x), plain(y)),
    ]
    assert result.display == "'%s'" % (plain(x),)


# Handlers of any kind: most are nonsense to Klipper, but in none may a value leave its parameter
starts = ["ON_X A=", 'ON_X A="', "ON_X A='", "ON_X B=1 A=", "G1 X", "M118 ", "M118\t", ""]
ends = ["", "'", '"', " B=1", "' B=1", '" B=1', "\nON_X A={x}"]
noise = st.lists(st.sampled_from(["{y}", *"'\"\\ =#;*1A"]), max_size=2)
handlers = st.builds(
    lambda start, before, after, end: "".join([start, *before, "{x}", *after, end]),
    *(st.sampled_from(starts), noise, noise, st.sampled_from(ends)),
)
attacks = st.sampled_from(
    ["5", " B=1", "' B='1", "\\' B='1", '" B="1', '\\" B="1', "\\", "\nON_X", "'\nON_X A='"]
)


def shape(result: Ran) -> Tuple[List[Tuple[str, List[str]]], List[str], bool]:
    """Which commands ran with which parameters, without their values."""
    return (
        [(name, sorted(params)) for name, params in result.calls],
        [text.split(":", 1)[0].split("'", 1)[0] for text in result.output],
        result.error is None,
    )


@settings(many, max_examples=300)
@given(handler=handlers, x=attacks | texts, y=attacks | st.integers() | st.floats())
def test_no_value_changes_what_a_handler_does(parser: Parser, handler: str, x: str, y: Any) -> None:
    try:
        template = Template(handler)
        script = template.render({"x": x, "y": y}, parser.old)
    except UsageError:
        assume(False)
    known = ("ON_X", "G1", "ON_XA")
    harmless = template.render({"x": "1", "y": "2"}, parser.old)
    assert shape(ran(parser, script, *known)) == shape(ran(parser, harmless, *known))


@many
@given(x=texts | values)
def test_traditional_g_code_accepts_only_numbers(parser: Parser, x: Any) -> None:
    template = Template("G1 X{x} Y-{x} ; {comment}\nG1X{x}F3000")
    try:
        script = template.render({"x": x}, parser.old)
    except UsageError as e:
        assert "that is a number, not" in str(e)
        return
    result = ran(parser, script, "G1")
    assert [list(params) for _, params in result.calls] == [["G", "X", "Y"], ["G", "X", "F"]]
    assert all(float(params["X"]) == float(x) for _, params in result.calls)


@many
@given(context=st.dictionaries(texts, values, max_size=4))
def test_a_bare_command_gets_the_whole_context(parser: Parser, context: Dict[str, Any]) -> None:
    result = ran(parser, Template(" ON_X \n").render(context, parser.old), "ON_X")
    expected = {
        parameter_name(k): received(parameter_text(v), parser.old) for k, v in context.items()
    }
    assert result.calls == [("ON_X", expected)]
    assert result.output == []
