"""One script for several printers: TARGET=led,afc, TARGET=* and lists over the API."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json

import pytest

from tests.lab.api import ApiError
from tests.lab.klippers import ROOT
from tests.system.macros import (
    check_log,
    remote_call,
    remote_result,
    says,
    start_trio,
    wait_known,
    wait_shown,
)
from tests.system.macros import shown as calls

pytestmark = pytest.mark.pairs

METHOD = "router/gcode/script"
INCLUDE = f"[include {ROOT}/includes/router_api.cfg]\n"
TOOLS = (
    says("DONE")
    + """
[gcode_macro FAIL]
gcode:
    {action_raise_error("broken here")}
[gcode_macro TO_ALL]
gcode:
    {action_call_remote_method("router/gcode/script", target="*", script="SHOW",
        gcode_callback="RESULT")}
"""
)


@pytest.fixture(scope="module")
def shared_trio(shared_lab):
    host = says("ROUTER_ON_ERROR") + TOOLS
    return start_trio(shared_lab, main=host, led=INCLUDE + TOOLS, afc=TOOLS)


@pytest.fixture
def trio(shared_trio):
    yield shared_trio
    check_log(shared_trio.main)


@pytest.fixture
def no_star(pair):
    """Whether * ends the parameters of a command, of the host and of the peers."""
    return [kind == "klipper2023" for kind in pair]


def everybody(trio):
    return trio.main, trio.led, trio.afc


def marks_of(trio):
    return [printer.mark() for printer in everybody(trio)]


def check_ran(trio, marks, *names, macro="SHOW"):
    """Wait until these, in the order of everybody(), have run the macro, each once, and no other.

    A console is received over another connection than an answer.
    """
    everybody_runs = "\n".join(
        f"ROUTER_GCODE_SCRIPT TARGET={p.name} SCRIPT=DONE WAIT=1" for p in everybody(trio)
    )
    trio.main.script(everybody_runs)
    ran = []
    for printer, mark in zip(everybody(trio), marks):
        wait_shown(printer, "DONE", mark)
        ran += [printer.name for _ in calls(printer, macro, mark)]
    assert ran == list(names)


@pytest.mark.parametrize(
    "target, names",
    [
        ("led,afc", ["led", "afc"]),
        (["led", "afc"], ["led", "afc"]),
        (["led"], ["led"]),
        (" afc , led , afc,", ["afc", "led"]),
        ("*", ["led", "afc"]),
        (["*", "led"], ["led", "afc"]),
        (["main", "led"], ["main", "led"]),
    ],
)
def test_one_script_each_over_the_api(trio, target, names):
    marks = marks_of(trio)
    result = trio.main.call(METHOD, {"target": target, "script": "SHOW"})
    assert result == {"results": {name: {} for name in names}, "failed": {}}
    check_ran(trio, marks, *(p.name for p in everybody(trio) if p.name in names))


def test_a_single_name_has_the_usual_result(trio):
    assert trio.main.call(METHOD, {"target": "led", "script": "SHOW"}) == {}


def test_failures_are_named_one_by_one(trio):
    marks = marks_of(trio)
    script = "SHOW\nFAIL"
    answer = trio.main.call(METHOD, {"target": ["led", "main"], "script": script})
    assert answer["results"] == {} and list(answer["failed"]) == ["led", "main"]
    assert all("broken here" in reason for reason in answer["failed"].values())
    answer = trio.main.call(METHOD, {"target": "*", "script": "SET_STATE_OF_NOTHING"})
    assert answer["results"] == {}
    assert list(answer["failed"]) == ["led", "afc"]
    check_ran(trio, marks, "main", "led")


@pytest.mark.parametrize("target", ["led,nobody", ["nobody", "led"]])
def test_an_unknown_name_is_an_error_before_anything_is_sent(trio, target):
    marks = marks_of(trio)
    with pytest.raises(ApiError, match="Unknown printer 'nobody'. Known: main, led, afc"):
        trio.main.call(METHOD, {"target": target, "script": "SHOW"})
    check_ran(trio, marks)


def test_a_macro_of_a_peer_with_the_method(trio):
    marks = marks_of(trio)
    trio.led.script("TO_ALL")  # the old parser cannot read the * in what remote_result() sends
    result = wait_shown(trio.led, "RESULT", marks[1])
    assert json.loads(result["RESULTS"]) == {"main": {}, "afc": {}} and result["FAILED"] == "{}"
    result = remote_result(trio.led, METHOD, target=["led", "afc"], script="SHOW")
    assert json.loads(result["RESULTS"]) == {"led": {}, "afc": {}}
    check_ran(trio, marks, "main", "led", "afc", "afc")


def test_the_macro_of_the_include(trio, no_star):
    marks = marks_of(trio)
    trio.led.script("ROUTER_GCODE_SCRIPT TARGET=main,afc SCRIPT=SHOW")
    for printer, mark in zip((trio.main, trio.afc), (marks[0], marks[2])):
        wait_shown(printer, start=mark)
    if not no_star[1]:
        trio.led.script("ROUTER_GCODE_SCRIPT TARGET=* SCRIPT=SHOW_A")
        for printer, mark in zip((trio.main, trio.afc), (marks[0], marks[2])):
            wait_shown(printer, "SHOW_A", mark)


def test_a_failure_of_a_remote_call_is_reported_for_each_printer(trio):
    mark = trio.main.mark()
    remote_call(trio.main, METHOD, target="led,afc", script="FAIL")
    for name in ("led", "afc"):
        report = wait_shown(trio.main, "ROUTER_ON_ERROR", mark, TARGET=name, METHOD=METHOD)
        assert "broken here" in report["MESSAGE"]


def test_the_command_without_waiting(trio, no_star):
    marks = marks_of(trio)
    trio.main.script("ROUTER_GCODE_SCRIPT TARGET=led,main,afc SCRIPT=SHOW")
    for printer, mark in zip(everybody(trio), marks):
        wait_shown(printer, start=mark)
    if no_star[0]:
        with pytest.raises(ApiError, match="TARGET"):
            trio.main.script("ROUTER_GCODE_SCRIPT TARGET=* SCRIPT=SHOW_A")
        return
    trio.main.script("ROUTER_GCODE_SCRIPT TARGET=* SCRIPT=SHOW_A")
    for printer, mark in zip((trio.led, trio.afc), marks[1:]):
        wait_shown(printer, "SHOW_A", mark)
    assert calls(trio.main, "SHOW_A", marks[0]) == []


def test_mistakes_in_the_command_are_its_errors(trio):
    marks = marks_of(trio)
    for options in "", " WAIT=1", " SYNC=1", " WAIT_EVENT=e":
        with pytest.raises(ApiError, match="Unknown printer 'nobody'"):
            trio.main.script("ROUTER_GCODE_SCRIPT TARGET=led,nobody SCRIPT=SHOW" + options)
        with pytest.raises(ApiError, match="Missing parameter TARGET"):
            trio.main.script("ROUTER_GCODE_SCRIPT TARGET=, SCRIPT=SHOW" + options)
    check_ran(trio, marks)


def test_a_wait_ends_when_every_printer_has_finished(trio):
    marks = marks_of(trio)
    trio.main.script(
        "ROUTER_GCODE_SCRIPT TARGET=led,afc SCRIPT=SHOW_B WAIT=1\n"
        "ROUTER_GCODE_SCRIPT TARGET=main,led,afc SCRIPT=SHOW WAIT=1\nSHOW_A"
    )
    check_ran(trio, marks, "led", "afc", macro="SHOW_B")
    check_ran(trio, marks, "main", "led", "afc")
    lines = trio.main.console[marks[0] :]
    last = next(i for i, line in enumerate(lines) if line.startswith("// SHOW_A"))
    assert {"// led: SHOW", "// afc: SHOW"} <= {line.strip() for line in lines[:last]}


def test_a_failed_wait_names_every_failure(trio):
    marks = marks_of(trio)
    with pytest.raises(ApiError) as e:
        trio.main.script("ROUTER_GCODE_SCRIPT TARGET=led,main,afc SCRIPT=FAIL WAIT=1")
    assert "led: " in str(e.value) and "afc: " in str(e.value)
    assert str(e.value).count("broken here") == 3
    assert trio.main.query(["router"])["router"]["last_error"].count("broken here") == 3
    trio.main.script("ROUTER_GCODE_SCRIPT TARGET=led,afc SCRIPT=SHOW WAIT=1")
    check_ran(trio, marks, "led", "afc")


def test_with_sync(trio):
    marks = marks_of(trio)
    trio.main.script("ROUTER_GCODE_SCRIPT TARGET=led,afc SCRIPT=SHOW SYNC=1\nM400")
    for printer, mark in zip((trio.led, trio.afc), marks[1:]):
        wait_shown(printer, start=mark)


def test_a_wait_for_an_event_fails_with_a_failed_script(trio):
    with pytest.raises(ApiError, match="led: .*broken here"):
        trio.main.script("ROUTER_GCODE_SCRIPT TARGET=led,afc SCRIPT=FAIL WAIT_EVENT=never")


# Last: afc is offline from here on


def test_one_of_several_printers_is_offline(trio):
    marks = marks_of(trio)
    trio.afc.kill()
    wait_known(trio.main, "afc", ready=False)
    absent = {"afc": "afc is not connected"}
    answer = trio.main.call(METHOD, {"target": "led,afc", "script": "SHOW"})
    assert answer == {"results": {"led": {}}, "failed": absent}
    # Not ready, so not included
    answer = trio.main.call(METHOD, {"target": "*", "script": "SHOW"})
    assert answer == {"results": {"led": {}}, "failed": {}}
    assert trio.main.call(METHOD, {"target": "afc,", "script": "SHOW"})["failed"] == absent
    trio.main.script("ROUTER_GCODE_SCRIPT TARGET=afc,led SCRIPT=SHOW_A")
    wait_shown(trio.led, "SHOW_A", marks[1])
    report = wait_shown(trio.main, "ROUTER_ON_ERROR", marks[0], TARGET="afc")
    assert report["MESSAGE"] == "afc is not connected"
    with pytest.raises(ApiError, match="^afc is not connected$"):
        trio.main.script("ROUTER_GCODE_SCRIPT TARGET=afc,led SCRIPT=SHOW_B WAIT=1")
    wait_shown(trio.led, "SHOW_B", marks[1])
    # After a timeout, earlier failures are named, too
    trio.led.freeze()
    with pytest.raises(ApiError, match="^afc is not connected; led: the script has not begun"):
        trio.main.script("ROUTER_GCODE_SCRIPT TARGET=afc,led SCRIPT=SHOW WAIT=1 TIMEOUT=0.2")
    trio.led.thaw()


def test_no_other_printer_is_available(trio):
    trio.led.kill()
    wait_known(trio.main, "led", "afc", ready=False)
    answer = trio.main.call(METHOD, {"target": "*", "script": "SHOW"})
    assert answer == {"results": {}, "failed": {}}
