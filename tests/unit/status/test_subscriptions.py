"""Callbacks with the status of another printer: macros and API clients."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.errors import RouterError
from klippy_extras.router.status.feed import Feed
from klippy_extras.router.status.subscriptions import (
    MAX_FIELDS,
    MAX_NAME,
    MAX_OBJECTS,
    MAX_SUBSCRIPTIONS,
    REMOVED_AT_ONCE,
)
from tests.unit.fake_klippy import CommandError, FakeObject
from tests.unit.fake_router import Network

SUBSCRIBE, UNSUBSCRIBE = "router/objects/subscribe", "router/objects/unsubscribe"


@pytest.fixture
def network():
    network = Network()
    network.led.objects = {"fan": {"speed": 0.5, "rpm": None}, "bed": {"target": 60}}
    return network


def subscribe(network, callback="ON_FAN", objects="fan", peer="afc", target="led"):
    params = {"target": target, "objects": objects, "gcode_callback": callback}
    network.peers[peer].call_router(SUBSCRIBE, **params)


def tick(network, **fan):
    network.led.objects["fan"].update(fan)
    network.led.tick()


def test_a_callback_gets_all_values_first_and_then_only_changes(network):
    subscribe(network)
    assert network.afc.sent == []
    tick(network)
    assert network.afc.take_sent() == ["ON_FAN FAN_SPEED='0.5'"]
    tick(network, rpm=7)
    tick(network)
    tick(network, speed=None, rpm=8)
    assert network.afc.take_sent() == ["ON_FAN FAN_RPM='7'", "ON_FAN FAN_SPEED='' FAN_RPM='8'"]


def test_changes_are_merged_while_a_callback_is_in_flight(network):
    network.afc.duration = None
    subscribe(network)
    tick(network)
    for speed in (0.6, 0.7, 0.8):
        tick(network, speed=speed)
    tick(network, rpm=1)
    assert network.afc.take_sent() == [
        "ON_FAN FAN_SPEED='0.5'",
        "ON_FAN FAN_SPEED='0.8' FAN_RPM='1'",
    ]


def test_a_lost_owner_gets_what_it_missed_when_it_is_ready_again(network):
    network.afc.duration = None
    subscribe(network)
    tick(network)
    network.afc.shuts_down()
    tick(network, rpm=1)
    network.afc.sent.clear()
    network.afc.connects()
    assert network.afc.take_sent() == ["ON_FAN FAN_SPEED='0.5' FAN_RPM='1'"]


def test_a_macro_that_fails_is_not_run_again_for_the_same_values(network):
    network.afc.duration = None
    subscribe(network)
    tick(network)
    network.afc.finish(RouterError("afc: broken"))
    assert network.afc.take_sent() == ["ON_FAN FAN_SPEED='0.5'"]
    assert network.last_error == ""
    tick(network, rpm=1)
    assert network.afc.take_sent() == ["ON_FAN FAN_RPM='1'"]


def test_a_macro_of_this_printer(network):
    network.run("ROUTER_OBJECTS_SUBSCRIBE TARGET=led OBJECTS=fan:speed CALLBACK=SHOW_A")
    tick(network)
    assert network.take_ran()[-1] == "SHOW_A FAN_SPEED='0.5'"


def test_this_printer_can_be_the_target(network):
    network.printer.objects["fan"] = FakeObject(speed=0.25)
    subscribe(network, target="main")
    network.reactor.advance(0.3)
    assert network.afc.take_sent() == ["ON_FAN FAN_SPEED='0.25'"]


def test_the_same_callback_again_replaces_the_first(network):
    subscribe(network, objects="fan,bed")
    subscribe(network, callback="on_fan", objects="bed")
    tick(network)
    assert network.afc.take_sent() == ["ON_FAN BED_TARGET='60'"]
    assert network.led.subscribed == {"bed": None}


def test_unsubscribing_ends_all_or_one(network):
    for callback in ("ON_A", "ON_B", "ON_C"):
        subscribe(network, callback)
    subscribe(network, peer="led", target="led")
    tick(network)
    network.afc.take_sent(), network.led.take_sent()
    network.afc.call_router(UNSUBSCRIBE, target="led", gcode_callback="on_b")
    tick(network, rpm=1)
    assert network.afc.take_sent() == ["ON_A FAN_RPM='1'", "ON_C FAN_RPM='1'"]
    network.afc.call_router(UNSUBSCRIBE, target="led")
    tick(network, rpm=2)
    assert network.afc.sent == []
    assert network.led.take_sent() == ["ON_FAN FAN_RPM='1'", "ON_FAN FAN_RPM='2'"]


def test_a_queued_callback_is_not_run_after_unsubscribing(network):
    network.afc.duration = None
    network.call("router/gcode/script", target="led", script="SHOW")
    subscribe(network)
    subscribe(network, "ON_B")
    tick(network)
    network.afc.call_router(UNSUBSCRIBE, target="led")
    assert network.afc.take_sent() == ["ON_FAN FAN_SPEED='0.5'"]


def test_subscriptions_end_with_the_session_of_their_owner(network):
    subscribe(network)
    subscribe(network, peer="led", callback="ON_LED", target="main", objects="toolhead")
    network.afc.restarts()
    assert network.led.subscribed == {}
    assert "subscriptions=1" in network.router.stats(0.0)[1]


def test_many_of_them_end_in_steps_and_newer_ones_stay(network, monkeypatch):
    remove = Feed.remove

    def slow_remove(feed, removed):
        network.reactor.now += 1.0
        remove(feed, removed)

    names = [a + b for a in "ABCDEFGHIJKLM" for b in "ABCDEFGHIJ"]
    for name in names:
        subscribe(network, "ON_" + name)
    monkeypatch.setattr(Feed, "remove", slow_remove)
    network.afc.restarts()
    left = len(names) - REMOVED_AT_ONCE
    assert f"subscriptions={left}" in network.router.stats(0.0)[1]
    subscribe(network, "ON_AA")
    network.reactor.run()
    assert "subscriptions=1" in network.router.stats(0.0)[1]
    network.led.tick()
    assert network.afc.take_sent() == ["ON_AA FAN_SPEED='0.5'"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"target": "no", "objects": "fan"}, "Unknown printer 'no'"),
        ({"target": "led"}, "Missing parameter OBJECTS"),
        ({"target": "led", "objects": "a:,b"}, "Malformed OBJECTS 'a:,b'"),
        ({"target": "led", "objects": {"a": "b"}}, "Malformed OBJECTS: write text"),
        (
            {"target": "led", "objects": "a," * MAX_OBJECTS + "b"},
            "^OBJECTS is too long: 256 objects",
        ),
        ({"target": "led", "objects": "a:" + "b|" * MAX_FIELDS + "c"}, "^OBJECTS is too long"),
        (
            {"target": "led", "objects": {str(n): ["b"] * 200 for n in range(11)}},
            f"^OBJECTS is too long: {MAX_OBJECTS} objects and {MAX_FIELDS} fields at most",
        ),
        ({"target": "led", "objects": "fan"}, "Missing parameter CALLBACK"),
        ({"target": "led", "objects": "fan", "gcode_callback": "M118 x"}, "Invalid CALLBACK"),
        (
            {
                "target": "led",
                "gcode_callback": "ON_A",
                "objects": {str(n): None for n in range(MAX_OBJECTS + 1)},
            },
            f"^OBJECTS is too long: {MAX_OBJECTS} objects and {MAX_FIELDS} fields at most",
        ),
        (
            {
                "target": "led",
                "gcode_callback": "ON_A",
                "objects": {"fan": [str(f) for f in range(MAX_OBJECTS + 1)]},
            },
            f"or more than {MAX_OBJECTS} fields of one object",
        ),
        (
            {"target": "led", "gcode_callback": "ON_A", "objects": {"x" * (MAX_NAME + 1): None}},
            f"name of more than {MAX_NAME} characters",
        ),
    ],
)
def test_invalid_subscriptions(network, params, message):
    with pytest.raises(CommandError, match=message):
        network.call(SUBSCRIBE, **params)


def test_the_objects_and_fields_of_all_subscriptions_together_are_limited(network):
    half = {str(n): None for n in range(MAX_OBJECTS // 2)}
    subscribe(network, "ON_A", objects=half)
    subscribe(network, "ON_B", objects=half)
    subscribe(network, "ON_C", objects={f"other_{n}": None for n in range(MAX_OBJECTS // 2 + 1)})
    assert network.last_error.startswith(f"Cannot subscribe: more than {MAX_OBJECTS} objects of")
    many = {str(n): [str(f) for f in range(MAX_FIELDS // 16)] for n in range(15)}
    subscribe(network, "ON_D", objects=many)
    subscribe(network, "ON_E", objects=many)
    assert network.last_error.startswith(f"Cannot subscribe: more than {MAX_FIELDS} fields of led")


def test_the_number_per_printer_is_limited(network):
    for number in range(MAX_SUBSCRIPTIONS + 1):
        subscribe(network, "ON_" + "".join(map("ABCDEFGHIJ".__getitem__, map(int, str(number)))))
    assert network.last_error.startswith(f"afc has {MAX_SUBSCRIPTIONS} subscriptions already")
    network.led.disconnects()
    subscribe(network)
    assert network.last_error == "led is not connected"


def test_an_api_client_gets_the_first_snapshot_as_the_answer(network):
    client = network.client()
    template = {"method": "led_status"}
    network.reactor.at(0.25, network.led.tick)
    answer = client.call(
        SUBSCRIBE, target="led", objects={"fan": ["speed"]}, response_template=template
    )
    assert answer["status"] == {"fan": {"speed": 0.5}}
    tick(network, speed=0.75)
    (message,) = client.take()
    assert message["method"] == "led_status"
    assert message["params"]["status"] == {"fan": {"speed": 0.75}}
    assert client.call(UNSUBSCRIBE, target="led", response_template=template) == {"removed": 1}
    tick(network, speed=0.8)
    assert client.take() == []


def test_an_api_client_that_waits_for_a_printer_that_is_lost_gets_an_error(network):
    client = network.client()
    network.reactor.at(0.1, network.led.disconnects)
    with pytest.raises(CommandError, match="^led is not connected$"):
        client.call(SUBSCRIBE, target="led", objects={"fan": None}, response_template={})
    assert "subscriptions=0" in network.router.stats(0.0)[1]


# -- what the target does not have


def test_a_typo_is_reported_to_the_owner_once(network):
    subscribe(network, objects="fann,fan:sped|speed")
    tick(network)
    network.reactor.run()
    prefix = "subscription of afc with callback ON_FAN: led has no "
    expected = [
        prefix + "object 'fann': did you mean 'fan'?",
        prefix + "field 'fan.sped': did you mean 'fan.speed'?",
    ]
    said = [s for s in network.afc.take_sent() if s.startswith("ECHO")]
    assert len(said) == 2
    assert sorted(network.led.missing) == sorted(expected)
    for _ in range(3):
        tick(network)
        subscribe(network, objects="fann,fan:sped|speed")
    network.reactor.run()
    assert [s for s in network.afc.take_sent() if s.startswith("ECHO")] == []


def test_nothing_is_requested_where_all_values_are_known(network):
    subscribe(network, objects="fan:speed,bed")
    tick(network)
    network.reactor.run()
    assert network.led.queries == [] and network.led.missing == []
    network.afc.call_router(UNSUBSCRIBE, target="led")


def test_a_name_that_appears_later_is_no_longer_missing(network):
    subscribe(network, objects="fan:volume")
    tick(network)
    network.reactor.run()
    assert len(network.led.missing) == 1
    tick(network, volume=11)
    assert network.led.missing == []
