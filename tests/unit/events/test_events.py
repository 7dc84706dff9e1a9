"""Events: which handlers run, in which order, with what, and how failures are reported."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klippy_extras.router.errors import LinkLost, RouterError
from klippy_extras.router.events.events import MAX_HANDLERS, MAX_RECENT
from tests.unit.fake_klippy import CommandError
from tests.unit.fake_router import Network

SUBSCRIBE, UNSUBSCRIBE = "router/event/subscribe", "router/event/unsubscribe"
TRIGGER = "router/event/trigger"


@pytest.fixture
def network():
    return Network()


def trigger(network, event, retain=False, **context):
    return network.call(TRIGGER, event=event, context=context, retain=retain)


# -- handlers


def test_a_handler_runs_on_its_target_with_the_context(network):
    network.led.call_router(SUBSCRIBE, event="fed", gcode="ON_FED")
    network.led.call_router(SUBSCRIBE, event="fed", gcode="SHOW N={lane}", callback_target="afc")
    network.run("ROUTER_EVENT_SUBSCRIBE EVENT=fed GCODE=SHOW_A")
    result = trigger(network, "fed", lane=3)
    assert result == {"delivered": ["led", "afc", "main"], "failed": {}}
    assert network.led.take_sent() == ["ON_FED LANE='3'"]
    assert network.afc.take_sent() == ["SHOW N='3'"]
    assert network.take_ran()[-1] == "SHOW_A LANE='3'"


def test_handlers_run_in_the_order_subscribed_and_an_equal_one_keeps_its_place(network):
    for gcode in ("ON_A", "ON_B", "ON_C", "on_a"):
        network.led.call_router(SUBSCRIBE, event="fed", gcode=gcode)
    trigger(network, "fed")
    assert network.led.take_sent() == ["ON_A", "ON_B", "ON_C"]


@settings(max_examples=50)
@given(
    st.lists(st.text(st.sampled_from("ab"), max_size=3).map(lambda p: p + "*"), max_size=4),
    st.text(st.sampled_from("ab"), min_size=1, max_size=4),
)
def test_a_pattern_matches_every_event_with_that_prefix(patterns, event):
    network = Network("[router]\n[router led]\n")
    for number, pattern in enumerate(patterns):
        network.led.call_router(SUBSCRIBE, event=pattern, gcode=f"ON_{'ABCD'[number]}")
    trigger(network, event, lane=1)
    sent = [script.split() for script in network.led.take_sent()]
    expected = ["ON_" + "ABCD"[n] for n, p in enumerate(patterns) if event.startswith(p[:-1])]
    assert [words[0] for words in sent] == expected
    assert all(words[1:] == ["LANE='1'", f"EVENT='{event}'"] for words in sent)


def test_other_events_are_not_delivered(network):
    network.led.call_router(SUBSCRIBE, event="fed", gcode="ON_FED")
    for event in ("feds", "FED", "fe"):
        assert trigger(network, event) == {"delivered": [], "failed": {}}
    assert network.led.sent == []


def test_an_endpoint_can_be_a_handler(network):
    options = {"callback_target": "afc", "callback_type": "Webhook"}
    network.led.call_router(SUBSCRIBE, event="fed", gcode="lanes/load", **options)
    assert trigger(network, "fed", lane=3)["delivered"] == ["afc"]
    assert network.afc.take_calls() == [("lanes/load", {"lane": 3})]
    network.afc.disconnects()
    assert trigger(network, "fed")["failed"] == {"afc": "afc is not connected"}


def test_unsubscribing_removes_all_of_an_event_or_one(network):
    for event, gcode in (
        ("fed", "ON_A"),
        ("fed", "ON_B"),
        ("fed", "SHOW N={lane}"),
        ("cut", "ON_A"),
    ):
        network.led.call_router(SUBSCRIBE, event=event, gcode=gcode)
    network.afc.call_router(SUBSCRIBE, event="fed", gcode="ON_A")
    network.led.call_router(UNSUBSCRIBE, event="fed", gcode=" on_b")
    assert trigger(network, "fed", lane=1)["delivered"] == ["led", "afc"]
    assert network.led.take_sent() == ["ON_A LANE='1'", "SHOW N='1'"]
    network.led.call_router(UNSUBSCRIBE, event="fed")
    assert trigger(network, "fed")["delivered"] == ["afc"]
    assert trigger(network, "cut")["delivered"] == ["led"]


def test_a_removed_handler_does_not_run_even_if_queued(network):
    network.led.duration = None
    network.led.call_router(SUBSCRIBE, event="fed", gcode="ON_A")
    for number in range(3):
        trigger(network, "fed", n=number)
    network.led.call_router(UNSUBSCRIBE, event="fed")
    assert network.led.take_sent() == ["ON_A N='0'"]


def test_handlers_end_with_the_session_of_their_owner(network):
    network.led.call_router(SUBSCRIBE, event="fed", gcode="ON_A", callback_target="afc")
    network.afc.call_router(SUBSCRIBE, event="fed", gcode="ON_B")
    network.led.restarts()
    assert trigger(network, "fed")["delivered"] == ["afc"]
    assert network.afc.take_sent() == ["ON_B"]


def test_the_number_per_printer_is_limited(network):
    for number in range(MAX_HANDLERS + 1):
        network.led.call_router(SUBSCRIBE, event=f"e{number}", gcode="ON_A")
    assert network.last_error.startswith(f"led has {MAX_HANDLERS} event handlers already")
    network.led.call_router(SUBSCRIBE, event="e0", gcode="on_a")  # this one is subscribed already
    network.afc.call_router(SUBSCRIBE, event="e0", gcode="ON_A")
    assert trigger(network, "e0")["delivered"] == ["led", "afc"]
    assert trigger(network, f"e{MAX_HANDLERS}")["delivered"] == []


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"gcode": "ON_A"}, "Missing parameter EVENT"),
        ({"event": "x" * 101, "gcode": "ON_A"}, "EVENT is too long"),
        ({"event": "e"}, "Missing parameter GCODE"),
        ({"event": "e", "gcode": "ON_{x}"}, "Event handler"),
        ({"event": "e", "gcode": "A", "callback_type": "x"}, "Invalid callback_type 'x'"),
        ({"event": "e", "gcode": "A", "callback_target": "no"}, "Unknown printer 'no'"),
        (
            {"event": "e", "gcode": "objects/subscribe", "callback_type": "webhook"},
            "Endpoint 'objects/subscribe' is a streaming endpoint",
        ),
    ],
)
def test_invalid_subscriptions(network, params, message):
    with pytest.raises(CommandError, match=message):
        network.call(SUBSCRIBE, **params)


# -- failures


def test_a_printer_that_is_not_ready_is_named_and_the_others_get_the_event(network):
    network.led.call_router(SUBSCRIBE, event="fed", gcode="ON_A")
    network.afc.call_router(SUBSCRIBE, event="fed", gcode="ON_A")
    network.led.shuts_down("M112")
    assert trigger(network, "fed") == {
        "delivered": ["afc"],
        "failed": {"led": "led is not ready (shutdown: M112)"},
    }


def test_a_failure_is_reported_to_the_triggering_printer(network):
    network.afc.commands["ROUTER_ON_ERROR"] = ""
    network.led.duration = None
    network.led.call_router(SUBSCRIBE, event="fed", gcode="ON_A")
    network.afc.call_router(TRIGGER, event="fed", context={"lane": 1})
    assert network.led.sent == ["ON_A LANE='1'"]
    network.led.finish(RouterError("led: no filament"))
    assert network.afc.take_sent() == [
        "ROUTER_ON_ERROR METHOD='router/event/trigger' TARGET='led' MESSAGE='led: no filament'"
    ]


def test_a_missing_key_is_a_failure_of_that_handler(network):
    network.led.call_router(SUBSCRIBE, event="fed", gcode="SHOW N={lane}")
    result = trigger(network, "fed", speed=1)
    assert "needs a value for {lane}" in result["failed"]["led"] and result["delivered"] == []


def test_a_handler_that_triggers_itself_and_fails_stops(network):
    """Otherwise it would repeat for ever, and finally shut the printer down."""
    network.command("LOOP", lambda gcmd: network.run_again())
    network.run_again = lambda: (
        network.webhooks.call_remote_method(TRIGGER, event="again", context={}),
        network.fail(None),
    )
    network.run("ROUTER_EVENT_SUBSCRIBE EVENT=again GCODE=LOOP")
    trigger(network, "again")
    network.reactor.advance(10.0)
    assert network.take_ran().count("LOOP") == 1
    assert "triggered itself and failed: not run again" in network.last_error


def test_a_handler_that_triggers_itself_and_succeeds_goes_on(network):
    count = []

    def again(gcmd):
        count.append(1)
        if len(count) < 5:
            network.webhooks.call_remote_method(TRIGGER, event="again", context={})

    network.command("LOOP", again)
    network.run("ROUTER_EVENT_SUBSCRIBE EVENT=again GCODE=LOOP")
    trigger(network, "again")
    network.reactor.advance(1.0)
    assert len(count) == 5 and network.last_error == ""


# -- retained and recent events


def test_later_subscribers_get_the_latest_of_a_retained_event_once(network):
    trigger(network, "color", retain=True, rgb="red")
    trigger(network, "color", retain=True, rgb="blue")
    trigger(network, "fed", lane=1)
    for _ in range(2):
        network.led.call_router(SUBSCRIBE, event="color", gcode="ON_COLOR")
        network.led.call_router(SUBSCRIBE, event="fed", gcode="ON_FED")
    assert network.led.take_sent() == ["ON_COLOR RGB='blue'"]
    # Another handler is another subscriber
    network.led.call_router(SUBSCRIBE, event="c*", gcode="ON_ANY")
    assert network.led.take_sent() == ["ON_ANY RGB='blue' EVENT='color'"]


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (LinkLost("led: connection lost, outcome unknown"), True),
        (RouterError("led: no filament"), False),
        (None, False),
    ],
)
def test_an_undelivered_event_is_sent_again_with_the_next_subscription(error, again):
    network = Network()
    network.led.duration = None
    network.led.call_router(SUBSCRIBE, event="color", gcode="ON_COLOR")
    trigger(network, "color", retain=True, rgb="red")
    network.led.finish(error)
    network.led.take_sent()
    network.led.call_router(SUBSCRIBE, event="color", gcode="ON_COLOR")
    assert network.led.take_sent() == (["ON_COLOR RGB='red'"] if again else [])


def test_a_restarted_target_gets_retained_events_again(network):
    network.led.call_router(SUBSCRIBE, event="color", gcode="ON_A", callback_target="afc")
    trigger(network, "color", retain=True, rgb="red")
    assert network.afc.take_sent() == ["ON_A RGB='red'"]
    network.afc.restarts()
    network.led.call_router(SUBSCRIBE, event="color", gcode="ON_A", callback_target="afc")
    assert network.afc.take_sent() == ["ON_A RGB='red'"]


def test_what_is_missing_for_a_retained_event_is_reported_to_the_subscriber(network):
    trigger(network, "color", retain=True, rgb="red")
    network.led.commands["ROUTER_ON_ERROR"] = ""
    network.led.call_router(SUBSCRIBE, event="color", gcode="SHOW N={lane}")
    (script,) = network.led.take_sent()
    assert script.startswith("ROUTER_ON_ERROR") and "needs a value for {lane}" in script


def test_the_number_of_retained_events_is_limited(network):
    for number in range(MAX_RECENT):
        trigger(network, f"e{number}", retain=True)
    network.led.call_router(SUBSCRIBE, event="one_more", gcode="ON_A")
    with pytest.raises(CommandError, match=f"Cannot retain 'one_more': {MAX_RECENT} events"):
        trigger(network, "one_more", retain=True)
    assert network.led.sent == []
    assert trigger(network, "one_more")["delivered"] == ["led"]
    trigger(network, "e0", retain=True, again=1)


@settings(max_examples=20)
@given(st.lists(st.integers(0, MAX_RECENT + 10), max_size=30))
def test_the_latest_of_each_recent_event_is_in_the_status(numbers):
    network, expected = Network("[router]\n"), {}
    for value, number in enumerate([*range(MAX_RECENT), *numbers]):
        before = network.router.get_status(0.0)["events"]
        trigger(network, f"e{number}", n=value)
        expected.pop(f"e{number}", None)
        expected[f"e{number}"] = value
        # Klipper finds a change by comparing with what it got before
        assert network.router.get_status(0.0)["events"] is not before
    recent = network.router.get_status(0.0)["events"]
    assert {name: entry["context"]["n"] for name, entry in recent.items()} == dict(
        list(expected.items())[-MAX_RECENT:]
    )
    assert all(entry["source"] == "main" for entry in recent.values())


# -- API clients


def test_an_api_client_gets_events_in_its_own_form(network):
    client, other = network.client(), network.client()
    trigger(network, "color", retain=True, rgb="red")
    for one in (client, other):
        one.call(SUBSCRIBE, event="*", response_template={"method": "on_event"})
    client.call(SUBSCRIBE, event="*", response_template={"method": "on_event"})
    network.led.call_router(TRIGGER, event="fed", context={"lane": 1})
    color = {"event": "color", "context": {"rgb": "red"}, "source": "main", "retain": True}
    color["age"] = 0.0
    fed = {"event": "fed", "context": {"lane": "1"}, "source": "led"}
    received = [message["params"] for message in client.take()]
    assert [entry["event"] for entry in received] == ["color", "color", "fed"]
    assert received[0] == color and received[2]["source"] == fed["source"]
    assert client.call(UNSUBSCRIBE, event="*", response_template={"method": "on_event"}) == {
        "removed": 1
    }
    trigger(network, "fed")
    assert client.take() == []
    assert [m["params"]["event"] for m in other.take()] == ["color", "fed", "fed"]


def test_disconnected_clients_are_not_counted(network):
    client = network.client()
    client.call(SUBSCRIBE, event="*", response_template={})
    assert "handlers=1" in network.router.stats(0.0)[1]
    client.is_open = False
    trigger(network, "fed")
    assert client.take() == []
    assert "handlers=0" in network.router.stats(0.0)[1]


# -- commands


def test_the_command_takes_a_context_and_other_parameters(network):
    network.led.call_router(SUBSCRIBE, event="fed", gcode="ON_FED")
    network.run('ROUTER_EVENT_TRIGGER EVENT=fed CONTEXT="lane=1,length=5" TEMP=200 LENGTH=6')
    assert network.led.take_sent() == ["ON_FED LANE='1' LENGTH='6' TEMP='200'"]
    with pytest.raises(CommandError, match="Malformed CONTEXT"):
        network.run("ROUTER_EVENT_TRIGGER EVENT=fed CONTEXT=lane")
    with pytest.raises(CommandError, match=r"Cannot trigger 'fed\*'"):
        network.run("ROUTER_EVENT_TRIGGER EVENT=fed*")
    assert network.led.sent == []
