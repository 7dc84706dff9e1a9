"""The methods for API clients: who waits, how many may, and what they are sent."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.api.webhooks import MAX_UNSENT, MAX_WAITING
from tests.unit.fake_klippy import CommandError, FakeObject
from tests.unit.fake_router import Network

SCRIPT = "router/gcode/script"


def waits_for_nobody(network, answers, client=None):
    """A request that is never answered by itself."""

    def call():
        try:
            answers.append((client or network.client()).call(SCRIPT, target="led", script="SHOW"))
        except CommandError as e:
            answers.append(str(e))

    return call


def test_too_many_waiting_requests_are_refused_but_not_those_answered_at_once():
    network, answers, refused = Network(), [], []
    network.led.duration = None
    for _ in range(MAX_WAITING):
        network.reactor.at(1.0, waits_for_nobody(network, answers))
    network.reactor.at(2.0, waits_for_nobody(network, refused))
    network.reactor.at(2.0, lambda: refused.append(network.call("router/printers/list")))
    network.reactor.at(3.0, network.led.disconnects)
    network.reactor.advance(10.0)
    assert refused[0] == f"The router is busy: {MAX_WAITING} API requests are waiting"
    assert "printers" in refused[1]
    assert len(answers) == MAX_WAITING and set(answers) == {"led is not connected"}
    # They no longer count towards the limit
    network.led.connects()
    network.led.duration = 0.0
    assert network.call(SCRIPT, target="led", script="SHOW") == {}


def test_a_disconnected_client_does_not_count_towards_the_limit():
    network, answers = Network(), []
    network.led.duration = None
    gone = network.client()
    for _ in range(MAX_WAITING):
        network.reactor.at(1.0, waits_for_nobody(network, answers, gone))
    network.reactor.at(2.0, lambda: setattr(gone, "is_open", False))
    network.reactor.at(3.0, waits_for_nobody(network, answers))
    network.reactor.at(4.0, network.led.disconnects)
    network.reactor.advance(10.0)
    assert len(answers) == MAX_WAITING + 1
    assert answers.count("the API client has disconnected") == MAX_WAITING
    assert answers.count("led is not connected") == 1


def test_an_error_of_the_router_itself_shuts_nothing_down(caplog):
    network = Network()
    network.led.list_objects = lambda done: 1 / 0
    with pytest.raises(CommandError, match="internal error of the router: division by zero"):
        network.call("router/objects/list", target="led")
    assert "ZeroDivisionError" in caplog.text


def test_results_that_json_cannot_encode_are_converted():
    network = Network()
    network.led.objects = {"fan": {"speed": float("nan"), "name": "\ud800"}}
    answer = network.call("router/objects/query", target="led", objects="fan")
    assert answer["status"] == {"fan": {"speed": None, "name": "\ufffd"}}


@pytest.mark.parametrize("target", ["main", "led"])
def test_a_first_status_that_json_cannot_encode_is_converted(target):
    """That of a peer was converted when it was received."""
    network = Network()
    network.printer.objects["fan"] = FakeObject(speed=float("nan"))
    network.led.objects = {"fan": {"speed": None}}
    network.reactor.at(0.25, network.led.tick)
    subscribe = {"target": target, "objects": "fan", "response_template": {"method": "one"}}
    answer = network.client().call("router/objects/subscribe", **subscribe)
    assert answer["status"] == {"fan": {"speed": None}}


def test_parameters_that_are_nested_too_deep_are_an_error():
    deep: list = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(CommandError, match="Malformed parameters or answer: nested deeper"):
        Network().call("router/event/trigger", event="e", context={"a": deep})


def test_subscriptions_of_one_connection_differ_by_their_template():
    network = Network()
    client = network.client()
    for name in ("one", "two", "one"):
        client.call("router/event/subscribe", event="e", response_template={"method": name})
    network.call("router/event/trigger", event="e")
    assert [message["method"] for message in client.take()] == ["one", "two"]
    client.call("router/event/unsubscribe", event="e", response_template={"method": "one"})
    network.call("router/event/trigger", event="e")
    assert [message["method"] for message in client.take()] == ["two"]


def test_a_subscribed_client_that_does_not_read_is_disconnected(caplog):
    network = Network()
    client = network.client()
    client.close = lambda: setattr(client, "is_open", False)
    client.call("router/event/subscribe", event="e", response_template={"method": "one"})
    client.send_buffer = b"x" * MAX_UNSENT
    network.call("router/event/trigger", event="e")
    assert client.is_open and len(client.take()) == 1
    client.send_buffer += b"x"
    network.call("router/event/trigger", event="e")
    assert not client.is_open and not client.take()
    assert "not reading" in caplog.text
