"""Remote methods that a peer calls: those of the router, and those that are relayed to it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import shlex
import socket

import pytest

from klippy_extras.router.diagnosis.echo import ECHO_METHOD
from tests.unit.fake_router import Network

CONFIG = "[router]\n[router led]\nallow:\nrelay_methods: notify, beep\n[router afc]\n"


@pytest.fixture
def network():
    return Network(CONFIG)


@pytest.fixture
def client(network):
    """Another program that is connected to main; it has registered the method notify."""
    client = network.client()
    template = {"method": "on_notify", "id": 7}
    client.call("register_remote_method", remote_method="notify", response_template=template)
    return client


def reports(peer):
    """What was printed on the console of a peer."""
    scripts = map(shlex.split, peer.take_sent())
    return [script[1] for script in scripts if script[0] == "ECHO"]


def test_only_the_peer_whose_section_lists_them_gets_them(network):
    own = network.afc.methods.registered
    assert "router/gcode/script" in own and ECHO_METHOD in own
    assert network.led.methods.registered == own | {"notify", "beep"}


def test_a_call_reaches_who_registered_it_as_if_this_printer_had_called(network, client):
    network.led.call_router("notify", text="a \udc00", n=[1, {"b": float("nan")}])
    params = {"text": "a �", "n": [1, {"b": None}]}
    assert client.take() == [{"method": "on_notify", "id": 7, "params": params}]
    network.webhooks.call_remote_method("notify", **params)
    assert client.take() == [{"method": "on_notify", "id": 7, "params": params}]
    assert reports(network.led) == []


@pytest.mark.parametrize("name", ["method", "self"])
def test_a_parameter_that_klipper_cannot_pass_is_reported(network, client, name):
    network.led._on_call(network.led, "notify", {name: 1})
    (report,) = reports(network.led)
    assert f"Remote method 'notify' cannot have a parameter '{name}'" in report
    assert client.take() == []


def test_values_that_are_nested_too_deep_are_reported(network, client):
    deep = []
    for _ in range(30):
        deep = [deep]
    network.led.call_router("notify", deep=deep)
    (report,) = reports(network.led)
    assert "Malformed parameters: nested deeper" in report
    assert client.take() == []


def test_an_error_with_a_list_of_targets_has_no_target(network):
    network.led.commands["ROUTER_ON_ERROR"] = ""
    network.led.call_router("router/gcode/script", target=["main", "no"], script="SHOW")
    (script,) = network.led.take_sent()
    assert "TARGET='' MESSAGE='led is not allowed to use router/gcode/script" in script


def test_a_method_that_nobody_has_registered_is_reported_to_the_caller(network):
    network.led.commands["ROUTER_ON_ERROR"] = ""
    network.led.call_router("beep")
    (script,) = network.led.take_sent()
    macro, method, target, message = shlex.split(script)
    assert (macro, method, target) == ("ROUTER_ON_ERROR", "METHOD=beep", "TARGET=main")
    assert message.startswith("MESSAGE=main: Remote method 'beep' not registered: check that Moo")
    assert network.take_console() == []


def test_a_method_that_the_caller_relays_back_is_refused(network, client):
    ours, theirs = socket.socketpair()  # its other end is this process
    with ours, theirs:
        client.sock = ours
        network.led.call_router("notify")
        assert len(client.take()) == 1
        network.led.klippy_process = os.getpid()
        network.led.call_router("notify")
        assert client.take() == []
        (report,) = reports(network.led)
        assert "'notify' is in option 'relay_methods' of main and of led: remove it" in report
        network.led.klippy_process = os.getpid() + 1
        network.led.call_router("notify")
        assert len(client.take()) == 1
