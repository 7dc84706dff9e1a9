"""The methods: what they do, what they refuse to whom, and their results."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.errors import RouterError
from klippy_extras.router.gcode.parameters import MAX_LENGTH
from klippy_extras.router.settings import PERMISSIONS
from tests.unit.fake_klippy import CommandError, FakeObject
from tests.unit.fake_router import Network

SCRIPT = "router/gcode/script"


@pytest.fixture
def network():
    network = Network()
    network.led.objects = {"fan": {"speed": 0.5, "rpm": None}}
    return network


# -- router/gcode/script


def test_a_script_runs_on_its_target_and_is_answered_at_its_end(network):
    network.led.duration = 3.0
    begin = network.reactor.now
    assert network.call(SCRIPT, target="led", script="SHOW A=1\nSHOW B=2") == {}
    assert network.led.sent == ["SHOW A=1\nSHOW B=2"]
    assert network.reactor.now == begin + 3.0


def test_the_failure_of_the_script_is_the_error(network):
    network.led.duration = None
    network.reactor.at(1.0, lambda: network.led.finish(RouterError("led: no filament")))
    with pytest.raises(CommandError, match="^led: no filament$"):
        network.call(SCRIPT, target="led", script="JAM")


def test_a_script_for_this_printer_itself(network):
    assert network.call(SCRIPT, target="main", script="SHOW") == {}
    assert network.take_ran() == ["SHOW"]
    with pytest.raises(CommandError, match='^main: Unknown command:"NO"$'):
        network.call(SCRIPT, target="main", script="NO")


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("led,afc", ["led", "afc"]),
        (["afc", "led"], ["afc", "led"]),
        ("*", ["led", "afc"]),
        ("main , *", ["main", "led", "afc"]),
    ],
)
def test_a_script_for_several_printers_has_a_result_for_each(network, target, names):
    answer = network.call(SCRIPT, target=target, script="SHOW")
    assert answer == {"results": {name: {} for name in names}, "failed": {}}
    assert list(answer["results"]) == names
    assert [p.name for p in network.peers.values() if p.sent == ["SHOW"]] == sorted(
        set(names) - {"main"}, key=["led", "afc"].index
    )


def test_everybody_means_all_ready_printers_but_the_caller(network):
    network.led.call_router(SCRIPT, target="*", script="SHOW A=1")
    assert network.take_ran() == ["SHOW A=1"]
    assert network.afc.sent == ["SHOW A=1"] and network.led.sent == []
    network.afc.shuts_down()
    assert network.call(SCRIPT, target="*", script="SHOW")["results"] == {"led": {}}


def test_a_failure_among_several_printers_is_named(network):
    network.afc.disconnects()
    assert network.call(SCRIPT, target="led,afc", script="SHOW") == {
        "results": {"led": {}},
        "failed": {"afc": "afc is not connected"},
    }


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"script": "SHOW"}, "Missing parameter TARGET"),
        ({"target": "led"}, "Missing parameter SCRIPT"),
        ({"target": "led", "script": 5}, "Malformed parameter SCRIPT: write text"),
        ({"target": "no", "script": "X"}, "Unknown printer 'no'. Known: main, led, afc"),
        ({"target": "led", "script": "X" * (MAX_LENGTH + 1)}, "more than 16384"),
        ({"target": "led", "script": "X\n" * 9 + "Y" * (MAX_LENGTH + 1)}, "more than 16384"),
    ],
)
def test_scripts_that_are_refused(network, params, message):
    with pytest.raises(CommandError, match=message):
        network.call(SCRIPT, **params)
    assert network.led.sent == []


def test_a_long_script_of_short_lines_is_fine(network):
    script = "SHOW\n" * MAX_LENGTH
    network.call(SCRIPT, target="led", script=script)
    assert network.led.sent == [script]


# -- of peers and of macros here


def test_the_result_of_a_macros_call_goes_to_its_gcode_callback(network):
    network.led.call_router("router/printers/list", gcode_callback="ON_LIST")
    (script,) = network.led.take_sent()
    assert script.startswith("ON_LIST PRINTERS='main,led,afc' MAIN_CONNECTED='True'")
    params = {"target": "led", "gcode_callback": "ON_RESULT"}
    network.led.call_router("router/objects/list", **params)
    network.led.call_router("router/objects/query", objects="fan", **params)
    assert network.led.take_sent() == ["ON_RESULT OBJECTS='fan'", "ON_RESULT FAN_SPEED='0.5'"]


def test_only_a_macro_gets_a_result(network):
    network.led.call_router("router/printers/list", gcode_callback="M118 x")
    assert network.last_error == "Invalid CALLBACK 'M118 x': write the name of a macro"


def test_a_macro_of_this_printer_calls_methods_like_one_of_a_peer(network):
    call = network.webhooks.call_remote_method
    call(SCRIPT, target="led", script="SHOW", gcode_callback="SHOW_A")
    network.reactor.run()
    assert network.led.sent == ["SHOW"] and network.take_ran() == ["SHOW_A"]
    call(SCRIPT, target="no", script="SHOW")
    assert network.take_console() == ["// Router: Unknown printer 'no'. Known: main, led, afc"]


def test_an_error_of_a_call_goes_to_its_caller_only(network):
    network.led.commands["ROUTER_ON_ERROR"] = ""
    network.led.call_router(SCRIPT, target="no", script="SHOW")
    assert network.led.take_sent() == [
        "ROUTER_ON_ERROR METHOD='router/gcode/script' TARGET='no'"
        " MESSAGE='Unknown printer '\"'\"'no'\"'\"'. Known: main, led, afc'"
    ]
    assert network.take_console() == [] and network.afc.sent == []


def test_parameters_that_cannot_be_used_are_an_error(network):
    deep: list = []
    for _ in range(200):
        deep = [deep]
    network.led.call_router("router/event/trigger", event="e", context={"a": deep})
    assert "Malformed parameters: nested deeper" in network.last_error


# -- permissions

NEEDED = [
    ("gcode", SCRIPT, {"target": "afc", "script": "SHOW"}),
    ("gcode", "router/restart", {"target": "afc"}),
    ("event", "router/event/trigger", {"event": "e"}),
    ("event", "router/event/subscribe", {"event": "e", "gcode": "ON_A"}),
    ("event", "router/event/unsubscribe", {"event": "e"}),
    ("status", "router/objects/list", {"target": "afc"}),
    ("status", "router/objects/query", {"target": "afc", "objects": "fan"}),
    ("status", "router/objects/unsubscribe", {"target": "afc"}),
    ("call", "router/call", {"target": "afc", "endpoint": "info"}),
]


@pytest.mark.parametrize(("permission", "method", "params"), NEEDED)
def test_each_method_needs_its_permission_and_no_other(permission, method, params):
    for allowed in (permission, ", ".join(set(PERMISSIONS) - {permission})):
        network = Network(f"[router]\n[router led]\nallow: {allowed}\n[router afc]\n")
        network.led.call_router(method, **params)
        if allowed == permission:
            assert network.last_error == ""
        else:
            assert network.last_error == (
                f"led is not allowed to use {method}: add '{permission}' to option 'allow' in"
                " section 'router led' of the main printer"
            )
            assert network.afc.sent == [] and network.afc.called == []


@pytest.mark.parametrize(
    ("allow", "params", "what"),
    [
        ("event", {"callback_target": "afc"}, "a handler on another printer"),
        ("event, gcode", {"callback_type": "webhook"}, "a webhook handler"),
        ("event, call", {"callback_type": "webhook", "gcode": "gcode/script"}, "gcode/script"),
    ],
)
def test_a_handler_may_do_no_more_than_its_owner(allow, params, what):
    network = Network(f"[router]\n[router led]\nallow: {allow}\n[router afc]\n")
    network.led.call_router("router/event/subscribe", **{"event": "e", "gcode": "info", **params})
    assert network.last_error.startswith(f"led is not allowed to use {what}: add")
    network.call("router/event/trigger", event="e")
    assert network.afc.sent == network.led.sent == [] or "ECHO" in network.led.sent[0]


def test_everybody_may_list_the_printers():
    network = Network("[router]\n[router led]\nallow:\n")
    network.led.call_router("router/printers/list", gcode_callback="ON_LIST")
    assert network.led.take_sent()[0].startswith("ON_LIST PRINTERS='main,led'")


# -- objects, call, restart


def test_objects_of_any_printer(network):
    network.printer.objects["fan"] = FakeObject(speed=0.25)
    assert network.call("router/objects/list", target="led") == {"objects": ["fan"]}
    assert "fan" in network.call("router/objects/list", target="main")["objects"]
    for objects in ("fan:speed", {"fan": ["speed"]}):
        for target, speed in (("led", 0.5), ("main", 0.25)):
            answer = network.call("router/objects/query", target=target, objects=objects)
            assert answer["status"] == {"fan": {"speed": speed}}


def test_commands_print_their_results(network):
    network.run("ROUTER_OBJECTS_LIST TARGET=led\nROUTER_OBJECTS_QUERY TARGET=led OBJECTS=fan")
    network.run("ROUTER_OBJECTS_QUERY TARGET=led OBJECTS=none\nROUTER_PRINTERS_LIST")
    assert network.take_console() == [
        "// led: fan",
        "// led: fan.speed = 0.5",
        "// led: fan.rpm =",
        "// led: no such objects",
        "// main: ready (this printer)",
        "// led: ready",
        "// afc: ready",
    ]


def test_a_command_fails_for_a_typo_and_only_reports_what_is_offline(network):
    with pytest.raises(CommandError, match="Unknown printer 'no'"):
        network.run("ROUTER_GCODE_SCRIPT TARGET=no SCRIPT=SHOW\nSHOW")
    network.led.disconnects()
    network.take_ran(), network.take_console()
    network.run("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SHOW\nSHOW")
    assert network.take_ran()[1:] == ["SHOW"]
    assert network.take_console() == ["// Router: led is not connected"]


def test_an_endpoint_of_another_printer(network):
    network.reactor.at(1.0, lambda: network.led.called[0].done({"n": 3}, None))
    params = {"lane": 1}
    answer = network.call("router/call", target="led", endpoint="lanes/load", params=params)
    assert answer == {"n": 3}
    assert network.led.called[0][:2] == ("lanes/load", params)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "Missing parameter ENDPOINT"),
        ({"endpoint": "router/call"}, "'router/call' cannot be called through router/call"),
        ({"endpoint": "objects/subscribe"}, "is a streaming endpoint"),
        ({"endpoint": "x", "params": {"response_template": {}}}, "is a streaming endpoint"),
        ({"endpoint": "x", "params": [1]}, "Malformed params: write an object"),
    ],
)
def test_endpoints_that_cannot_be_called(network, params, message):
    with pytest.raises(CommandError, match=message):
        network.call("router/call", target="led", **params)
    network.led.disconnects()
    with pytest.raises(CommandError, match="led is not connected"):
        network.call("router/call", target="led", endpoint="info")


@pytest.mark.parametrize(
    ("message", "firmware", "hint"),
    [
        ("", 0, ""),
        ('Use "FIRMWARE_RESTART" to reset', 0, "FIRMWARE=1"),
        ('Use "FIRMWARE_RESTART" to reset', 1, ""),
        ('the "RESTART" command', 1, "FIRMWARE=0"),
    ],
)
def test_a_restart_says_when_another_kind_is_needed(network, message, firmware, hint):
    if message:
        network.led.is_in("shutdown", message)
    network.reactor.at(0.1, network.led.take_calls)
    calls = network.led.called
    answer = network.call("router/restart", target="led", firmware=firmware)
    assert calls[0].endpoint == ("gcode/firmware_restart" if firmware else "gcode/restart")
    assert (hint in answer["hint"]) if hint else answer == {}


def test_a_restart_of_this_printer_is_answered_before_it(network):
    network.webhooks.register_endpoint("gcode/restart", lambda request: network.run("SHOW"))
    assert network.call("router/restart", target="main") == {}
    assert network.take_ran() == ["SHOW"]


def test_a_disconnected_printer_cannot_be_restarted(network):
    network.led.disconnects()
    with pytest.raises(CommandError, match="led is not connected"):
        network.call("router/restart", target="led")
