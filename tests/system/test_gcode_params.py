"""Values to G-code and back: through the real parser of every Klipper."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import math
import re
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from klippy_extras.router.errors import UsageError
from klippy_extras.router.gcode.parameters import (
    MAX_LENGTH,
    ParameterNames,
    StatusParameters,
    command,
    is_bare_command,
    parameter_name,
    parameter_text,
    parse_objects,
    quote,
    status_params,
)
from klippy_extras.router.gcode.templates import Template
from tests.system.parsers import Parser, Ran

# A parser may be slow once, while the machine is busy
many = settings(deadline=None, max_examples=60)

# What Klipper, shlex, str.strip(), str.upper() and JSON have ever treated specially
NASTY = (
    "'\"\\#*;=/,{}()% \t\n\r\x0b\x0c\x1c\x1d\x1e\x85\xa0\u2028\u2029\0NMGT15xaeß\u0131\u017f\u212a"
    "\ud800\udfff"
)
texts = (
    st.text(st.sampled_from(NASTY))
    | st.text()
    | st.sampled_from(
        ["M112", "\nM112", "'\nM112\n'", "A' B='1", 'A" B="1', "1 Y20", "INTERRUPT", " " * 40, "\\"]
    )
)
names = st.sampled_from(["A", "B_2", "M118", "N", "TARGET", "_"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def parser(kind: str) -> Iterator[Parser]:
    parser = Parser(kind)
    yield parser
    parser.close()


def received(text: str, old: bool) -> str:
    """The text as the contract says it arrives."""
    text = text.replace("\r\n", " ").replace("\r", " ").replace("\n", " ")
    text = "".join("\ufffd" if 0xD800 <= ord(char) <= 0xDFFF else char for char in text)
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
def test_a_text_arrives_as_it_is(parser: Parser, text: str) -> None:
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


def test_the_parser_is_old_only_where_the_router_thinks_so(parser: Parser, kind: str) -> None:
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


def test_a_command_that_would_halt_the_printer_is_refused() -> None:
    command("ON_X", {"A": "x" * (MAX_LENGTH - 9)})
    with pytest.raises(UsageError, match="16385 characters"):
        command("ON_X", {"A": "x" * (MAX_LENGTH - 9) + "x"})
    with pytest.raises(UsageError, match="20005 characters"):
        Template("M118 {x}").render({"x": "x" * 20000}, False)


@pytest.mark.parametrize("name", ["", "M112\nON_X", "ON_X A=1", "ON X", "M117", "G28", "ß", "A2_B"])
def test_only_a_command_is_a_command(name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a command"):
        command(name, {})


# -- names and texts


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("print_stats", "state"), "PRINT_STATS_STATE"),
        (("heater_generic chamber", "temperature"), "HEATER_GENERIC_CHAMBER_TEMPERATURE"),
        (("fan_generic  Kühler (2)", "speed"), "FAN_GENERIC_K_HLER_2_SPEED"),
        (("weiß", "\u0131\u017f"), "WEISS_IS"),
        (("\u212aelvin",), "_ELVIN"),
        (("lane=1 b",), "LANE_1_B"),
        (("1st",), "_1ST"),
        (("",), "_"),
    ],
)
def test_parameter_names(parts: Tuple[str, ...], name: str) -> None:
    assert parameter_name(*parts) == name


@many
@given(key=texts)
def test_a_parameter_name_stays_itself(key: str) -> None:
    name = parameter_name(key)
    assert name == parameter_name(name) == name.upper()
    assert name.isascii() and name.isidentifier()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        (None, ""),
        (True, "True"),
        (False, "False"),
        (1, "1"),
        (-0.5, "-0.5"),
        (1e-07, "1e-07"),
        (100.0, "100.0"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        ([0.1, 2, None, True], "[0.1,2,null,true]"),
        ((1.0, 2.0), "[1.0,2.0]"),
        ({"a": {"b": "é"}}, '{"a":{"b":"é"}}'),
        ({"a": {1}}, '{"a":"{1}"}'),
        ({(1, 2): 3}, "<dict>"),
    ],
)
def test_texts(value: Any, text: str) -> None:
    assert parameter_text(value) == text


@many
@given(value=values)
def test_lists_and_objects_are_json(value: Any) -> None:
    text = parameter_text(value)
    if isinstance(value, (list, dict)):
        assert json.dumps(json.loads(text)) == json.dumps(value)


def test_no_value_is_too_odd_for_a_text() -> None:
    class Silent:
        def __str__(self) -> str:
            raise RuntimeError

    class Number:
        def tolist(self) -> float:
            return 2.5

    class Word(str):
        def __str__(self) -> str:
            return "another"

    circle: List[Any] = []
    circle.append(circle)
    deep: List[Any] = []
    for _ in range(100000):
        deep = [deep]
    assert parameter_text(Silent()) == "<Silent>"
    assert parameter_text([Silent()]) == "<list>"
    assert parameter_text(circle) == "<list>"
    assert parameter_text(deep) == "<list>"
    assert parameter_text(10**5000) in ("<int>", "1" + "0" * 5000)  # older Pythons can write it
    assert parameter_text(Number()) == "2.5"
    assert parameter_text([Number()]) == "[2.5]"
    assert parameter_text(Word("word")) == "word"


def test_none_is_left_out_of_a_result_and_empty_in_a_change() -> None:
    status = {"heater_generic chamber": {"target": None, "power": 0.0}}
    assert status_params(status) == {"HEATER_GENERIC_CHAMBER_POWER": 0.0}
    written = StatusParameters(ParameterNames()).write(status, old_parser=False)
    assert written == ["HEATER_GENERIC_CHAMBER_TARGET=''", "HEATER_GENERIC_CHAMBER_POWER='0.0'"]


@given(
    told=st.lists(
        st.tuples(st.booleans(), st.dictionaries(texts, st.dictionaries(texts, values))), max_size=4
    ),
    old=st.lists(st.booleans(), min_size=1, max_size=3),
)
def test_what_is_shared_is_written_as_if_it_were_not(told: Any, old: List[bool]) -> None:
    shared, names = StatusParameters(ParameterNames()), ParameterNames()
    for share, status in told:
        shared.share(share)
        for old_parser in old:
            alone = StatusParameters(names).write(status, old_parser)
            assert shared.write(status, old_parser) == alone


def test_a_value_that_several_are_told_is_written_once() -> None:
    written: List[str] = []

    class Noted:
        def __str__(self) -> str:
            written.append("once")
            return "text"

    shared = StatusParameters(ParameterNames())
    shared.share(True)
    status = {"thing": {"field": Noted()}}
    for _ in range(3):
        assert shared.write(status, old_parser=False) == ["THING_FIELD='text'"]
    assert written == ["once"]


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


# Handlers of any kind: most are nonsense to Klipper, and none may let a value out
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
def test_traditional_g_code_takes_numbers_only(parser: Parser, x: Any) -> None:
    template = Template("G1 X{x} Y-{x} ; {comment}\nG1X{x}F3000")
    try:
        script = template.render({"x": x}, parser.old)
    except UsageError as e:
        assert "that is a number, not" in str(e)
        return
    result = ran(parser, script, "G1")
    assert [list(params) for _, params in result.calls] == [["G", "X", "Y"], ["G", "X", "F"]]
    assert all(float(params["X"]) == float(x) for _, params in result.calls)


@pytest.mark.parametrize(
    ("value", "text"),
    [(5, "5"), (-0.25, "-0.25"), ("+5.", "+5."), (1e-7, "0.0000001"), ("1.5E3", "1500")],
)
def test_numbers_of_traditional_g_code_have_no_exponent(value: Any, text: str) -> None:
    assert Template("G1 X{x}").render({"x": value}, False) == "G1 X" + text


@pytest.mark.parametrize(
    "value", ["", "10 Y20", "10;", "10\nM112", "10*5", "1e999", "nan", True, None, "\u0663", "0x5"]
)
def test_what_is_no_number_stays_out_of_traditional_g_code(value: Any) -> None:
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
def test_a_handler_that_cannot_be_safe_is_refused(handler: str) -> None:
    with pytest.raises(UsageError, match=r"^Event handler ['\"].*['\"] has ") as caught:
        Template(handler)
    assert str(caught.value).isprintable()


def test_a_key_that_the_event_lacks_is_named() -> None:
    template = Template("ON_X A={x}\nM118 {lane}\n; {comment}")
    with pytest.raises(UsageError, match=r"ON_X A=\{x\}.*needs a value for \{lane\}"):
        template.render({"x": 1, "LANE": 2}, False)


@pytest.mark.parametrize(
    "handler",
    ["", "ON_X A='{ x }' B={} C={1} D={a.b} E={a b} {", "M118 {{}}", "G28\n\n  ON_X", "G28", "A B"],
)
def test_a_handler_without_placeholders_is_run_as_it_is(handler: str) -> None:
    assert Template(handler).render({"x": 1, "lane": 2}, False) == handler


def test_handlers_are_encodable() -> None:
    Template("ON_X A={x} B=\ud800\nM118 \ud800").render({"x": 1}, False).encode()


@many
@given(context=st.dictionaries(texts, values, max_size=4))
def test_a_bare_command_gets_the_whole_context(parser: Parser, context: Dict[str, Any]) -> None:
    result = ran(parser, Template(" ON_X \n").render(context, parser.old), "ON_X")
    expected = {
        parameter_name(k): received(parameter_text(v), parser.old) for k, v in context.items()
    }
    assert result.calls == [("ON_X", expected)]
    assert result.output == []


def test_bare_commands() -> None:
    assert Template("ON_FEED_DONE").render({"lane": 1}, False) == "ON_FEED_DONE LANE='1'"
    for gcode in "ON_X", " on_x2 \n", "_X":
        assert is_bare_command(gcode)
    for gcode in "", "G28", "M118", "T0", "ON_X A=1", "ON_X\nON_X", "ON_X;", "ON-X", "{x}":
        assert not is_bare_command(gcode)


def test_gcode_within_a_parameter_takes_numbers_only() -> None:
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


# -- our own parameters


def test_objects() -> None:
    assert parse_objects("print_stats:state|filename,toolhead") == {
        "print_stats": ["state", "filename"],
        "toolhead": None,
    }
    assert parse_objects(" heater_generic chamber : temperature | target ,fan") == {
        "heater_generic chamber": ["temperature", "target"],
        "fan": None,
    }
    assert parse_objects("a:b,a:c|b,d:e,d,f,f:g") == {"a": ["b", "c"], "d": None, "f": None}


@pytest.mark.parametrize("text", ["", " ", ",", "a,", "a:", "a:b|", ":b", "a,,b"])
def test_malformed_objects(text: str) -> None:
    with pytest.raises(UsageError, match="^Malformed OBJECTS '"):
        parse_objects(text)


@many
@given(text=texts)
def test_messages_about_input_are_short_and_printable(text: str) -> None:
    try:
        parse_objects("=:," + text * 10)
    except UsageError as e:
        assert str(e).isprintable() and len(str(e)) < 1000
