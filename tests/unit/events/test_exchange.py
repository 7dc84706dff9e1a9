"""Events of other routers: which are triggered here, which are sent there, what is retained."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json

import pytest

from klippy_extras.router.errors import LinkLost, PeerError
from klippy_extras.router.printers.peer_methods import EXCHANGE_METHOD, SUBSCRIBE_ENDPOINT
from tests.unit.fake_router import Network

TRIGGER = "router/event/trigger"
NESTED = json.loads("[" * 100 + "]" * 100)
SUBSCRIPTION = {"event": "*", "response_template": {"method": EXCHANGE_METHOD}}


class Routers(Network):
    """led and afc load [router] themselves."""

    def __init__(self, config="[router]\n[router led]\n[router afc]\n"):
        super().__init__(config, is_ready=False)
        self.printer.send_event("klippy:ready")
        for peer in self.peers.values():
            peer.has_own_router = True
            peer.connects()
        self.run("ROUTER_EVENT_SUBSCRIBE EVENT=fed GCODE=SHOW")
        self.take_ran()

    def answered(self):
        """The routers have answered the subscription to their events."""
        for peer in self.peers.values():
            peer.take_calls()
        return self

    def ran(self):
        return [line for line in self.take_ran() if line.startswith("SHOW")]


def send(peer, event="fed", context=None, **params):
    """The router of a peer sends an event."""
    entry = {"event": event, "context": {} if context is None else context, "source": "led"}
    entry.update({"retain": False, "age": 0.0, **params})
    peer.call_router(EXCHANGE_METHOD, **entry)


def retained(network, event="fed"):
    """The context and the source of a retained event, as a new subscriber gets it."""
    client = network.client()
    client.call("router/event/subscribe", event=event, response_template={})
    return [(m["params"]["context"], m["params"]["source"]) for m in client.take()]


@pytest.fixture
def network():
    return Routers().answered()


def test_it_subscribes_to_all_events_of_a_router():
    network = Routers()
    assert network.led.take_calls() == [(SUBSCRIBE_ENDPOINT, SUBSCRIPTION)]
    network.led.disconnects()
    network.led.connects()
    assert network.led.take_calls() == [(SUBSCRIBE_ENDPOINT, SUBSCRIPTION)]


def test_it_asks_nothing_of_a_peer_without_a_router():
    assert Network().led.called == []


@pytest.mark.parametrize(("allow", "calls"), [("gcode, status", 0), ("event", 1), ("", 0)])
def test_allow_without_event_keeps_the_events_out(allow, calls):
    network = Routers(f"[router]\n[router led]\nallow: {allow}\n")
    assert len(network.led.called) == calls


def test_an_event_of_another_router_is_triggered_here(network):
    send(network.led, context={"lane": 3})
    assert network.ran() == ["SHOW LANE='3'"]
    assert network.router.get_status(0.0)["events"]["fed"]["source"] == "led"


def test_events_are_sent_to_routers_but_never_passed_on(network):
    routers, client = [network.client() for _ in range(2)], network.client()
    for router in routers:
        router.call(SUBSCRIBE_ENDPOINT, **SUBSCRIPTION)
    client.call(SUBSCRIBE_ENDPOINT, event="*", response_template={"method": "pushed"})
    send(network.led, "theirs")
    network.call(TRIGGER, event="ours", context={})
    sent = [[m["params"]["event"] for m in one.take()] for one in (*routers, client)]
    assert sent == [["ours"], ["ours"], ["theirs", "ours"]]


def test_an_event_is_not_dropped_for_having_been_sent_before(network):
    for _ in range(2):
        send(network.led, context={"lane": 3})
    assert len(network.ran()) == 2


def test_a_retained_event_is_retained_here_too(network):
    send(network.led, context={"n": 1}, retain=True, age=2.0)
    assert retained(network) == [({"n": 1}, "led")]


@pytest.mark.parametrize("answered", [False, True])
def test_what_a_router_sends_when_it_connects_must_be_news(answered):
    network = Routers()
    network.call(TRIGGER, event="fed", context={"n": 1}, retain=True)
    network.ran()
    if answered:
        network.answered()
    send(network.led, context={"n": 1}, retain=True)
    send(network.led, context={"n": 2}, retain=True, age=5.0)
    assert len(network.ran()) == (2 if answered else 0)


def test_the_newer_retained_event_of_a_name_counts():
    network = Routers()
    network.call(TRIGGER, event="fed", context={"n": 1}, retain=True)
    network.reactor.run(10.0)
    send(network.led, context={"n": 2}, retain=True, age=4.0)
    assert retained(network) == [({"n": 2}, "led")]
    send(network.afc, context={"n": 3}, retain=True, age=5.0)  # older than that
    assert retained(network) == [({"n": 2}, "led")]


def test_an_unknown_retained_event_is_news():
    network = Routers()
    send(network.led, context={"n": 2}, retain=True, age=100.0)
    assert retained(network) == [({"n": 2}, "led")]


@pytest.mark.parametrize("error", [PeerError("busy"), LinkLost("lost")])
def test_a_router_that_does_not_send_its_events(error):
    network = Routers()
    network.led.called[0].done(None, error)
    assert network.led.logged[-1] == f"does not send its events: {error}"
    # It is not waited for any more: all that it sends is news
    network.call(TRIGGER, event="fed", context={}, retain=True)
    network.ran()
    send(network.led, retain=True, age=5.0)
    assert len(network.ran()) == 1


def test_a_router_that_is_not_connected_any_more_when_it_is_asked():
    network = Routers()
    network.led.disconnects()
    network.router._exchange.became_ready(network.led)
    assert network.led.logged[-1].startswith("does not send its events: ")


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"event": "", "context": {}},
        {"event": 5, "context": {}},
        {"event": "fed"},
        {"event": "fed", "context": [1]},
        {"event": "fed", "context": {"n": NESTED}},
    ],
)
def test_a_malformed_event_is_logged_and_dropped(network, params):
    network.led.call_router(EXCHANGE_METHOD, **params)
    assert network.ran() == []
    assert "an event that was not triggered" in network.led.logged[-1]


@pytest.mark.parametrize("age", [-5.0, "old", None, 3, True])
def test_a_strange_age_is_that_of_a_new_event(network, age):
    now = network.reactor.now
    send(network.led, age=age)
    assert network.router.get_status(0.0)["events"]["fed"]["eventtime"] == now
