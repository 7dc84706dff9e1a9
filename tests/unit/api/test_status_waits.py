"""Macros that wait for a value in the status of a printer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.api.status_waits import Condition
from tests.unit.fake_klippy import CommandError, FakeObject
from tests.unit.fake_router import Network


@pytest.mark.parametrize(
    ("params", "true", "false"),
    [
        ({"EQUALS": "printing"}, ["printing"], ["standby", None, 1, "Printing"]),
        ({"EQUALS": "5"}, [5, 5.0, "5"], [6, True, None, "5.0"]),
        ({"EQUALS": "0.5"}, [0.5], [0.05, None]),
        ({"EQUALS": "true"}, [True], [False, None]),
        ({"EQUALS": "False"}, [False], [True, 0.5]),
        ({"NOT_EQUALS": "5"}, [6, "x", ""], [5, 5.0, None]),
        ({"EQUALS": ""}, [""], ["x", 0, None]),
        ({"MINIMUM": "5"}, [5, 5.5], [4.9, None, "6", True]),
        ({"MAXIMUM": "-1"}, [-1, -2.5], [0, None, "-2", False]),
        ({"MINIMUM": "1", "MAXIMUM": "2", "NOT_EQUALS": "1.5"}, [1, 2], [1.5, 0.9, 2.1]),
    ],
)
def test_conditions(params, true, false):
    condition = Condition(params)
    assert [value for value in true if not condition.is_met_by(value)] == []
    assert [value for value in false if condition.is_met_by(value)] == []


@pytest.mark.parametrize("params", [{}, {"EQUAL": "1"}, {"MINIMUM": "x"}, {"MAXIMUM": "nan"}])
def test_malformed_conditions(params):
    with pytest.raises(ValueError):
        Condition(params)


WAIT = "ROUTER_OBJECTS_WAIT TARGET={} OBJECT=fan FIELD=speed "


@pytest.fixture
def network():
    """Led sends its status four times a second."""
    network = Network()
    network.led.objects = {"fan": {"speed": 0.0}}
    network.printer.objects["fan"] = FakeObject(speed=0.0)

    def tick(eventtime):
        network.led.tick()
        return eventtime + 0.25

    network.reactor.register_timer(tick, network.reactor.NOW)
    return network


def set_speed(network, target, speed):
    if target == "led":
        network.led.objects["fan"]["speed"] = speed
    else:
        network.printer.objects["fan"].status["speed"] = speed


@pytest.mark.parametrize("target", ["main", "led"])
def test_the_macro_goes_on_when_the_condition_is_true(network, target):
    begin = network.reactor.now
    for delay, speed in ((1.0, 0.4), (2.0, 0.5), (3.0, 0.6)):
        network.reactor.at(delay, lambda speed=speed: set_speed(network, target, speed))
    network.run(WAIT.format(target) + "MINIMUM=0.5\nSHOW_A")
    assert begin + 2.0 <= network.reactor.now <= begin + 2.5
    assert network.take_ran()[-1] == "SHOW_A" and network.last_error == ""
    assert "subscriptions=0" in network.router.stats(0.0)[1]


@pytest.mark.parametrize("target", ["main", "led"])
def test_a_condition_that_is_true_already_is_enough(network, target):
    begin = network.reactor.now
    set_speed(network, target, 0.75)
    network.run(WAIT.format(target) + "EQUALS=0.75")
    assert network.reactor.now <= begin + 0.3


def test_a_value_from_before_the_wait_is_not_enough(network):
    """The known value may be a quarter of a second old, so the peer is queried first."""
    network.run(WAIT.format("led") + "EQUALS=0")
    assert len(network.led.queries) == 1


@pytest.mark.parametrize("target", ["main", "led"])
def test_the_error_of_a_timeout_names_the_value(network, target):
    set_speed(network, target, 0.25)
    with pytest.raises(
        CommandError, match=f"^{target}: fan.speed is still '0.25' after 3 seconds$"
    ):
        network.run(WAIT.format(target) + "EQUALS=0.5 TIMEOUT=3")
    assert "subscriptions=0" in network.router.stats(0.0)[1]


def test_a_missing_field_is_reported_at_once_and_may_appear_later(network):
    wait = "ROUTER_OBJECTS_WAIT TARGET=led OBJECT=fan FIELD=sped EQUALS=1 TIMEOUT=3"
    missing = "led has no field 'fan.sped': did you mean 'fan.speed'?"
    with pytest.raises(
        CommandError, match="fan.sped is not known after 3 seconds: led has no"
    ) as e:
        network.run(wait)
    assert str(e.value).endswith(missing)
    assert network.led.hinted == ["Router: ROUTER_OBJECTS_WAIT: " + missing]
    network.reactor.at(1.0, lambda: network.led.objects["fan"].update(sped=1))
    network.run(wait)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("disconnects", "led: connection lost, outcome unknown"),
        (
            "shuts_down",
            "led is not ready (shutdown: Lost communication with MCU 'mcu'), outcome unknown",
        ),
    ],
)
def test_a_target_that_is_lost_ends_the_wait(network, loss, message):
    network.reactor.at(1.0, getattr(network.led, loss))
    with pytest.raises(CommandError) as error:
        network.run(WAIT.format("led") + "EQUALS=0.5")
    assert str(error.value) == message
    assert "subscriptions=0" in network.router.stats(0.0)[1]


@pytest.mark.parametrize(
    ("wait", "message"),
    [
        ("OBJECT=fan FIELD=speed", "write EQUALS= or NOT_EQUALS="),
        ("OBJECT=fan FIELD=speed MINIMUM=warm", "write EQUALS= or NOT_EQUALS="),
        ("OBJECT=fan EQUALS=1", "missing FIELD"),
        (f"OBJECT={'x' * 101} FIELD=speed EQUALS=1", "name of more than 100 characters"),
    ],
)
def test_impossible_waits(network, wait, message):
    with pytest.raises(CommandError, match=message):
        network.run("ROUTER_OBJECTS_WAIT TARGET=led " + wait)
    network.led.disconnects()
    with pytest.raises(CommandError, match="^led is not connected$"):
        network.run("ROUTER_OBJECTS_WAIT TARGET=led OBJECT=fan FIELD=speed EQUALS=1")


def test_without_an_object_it_waits_for_a_fresh_status(network):
    queries = network.led.queries
    network.run("ROUTER_OBJECTS_WAIT TARGET=led")
    assert queries == [{"webhooks": ["state"]}]
    network.led.query_objects = lambda objects, done: None
    with pytest.raises(CommandError, match="^led: did not answer a status query within 2 seconds$"):
        network.run("ROUTER_OBJECTS_WAIT TARGET=led TIMEOUT=2")
