"""The mirror: objects of a peer in the host's own status."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import ast
import json
import re

import pytest

from tests.lab import config
from tests.lab.waiting import wait_until
from tests.system.macros import check_log, fresh, recorder, router_section, set_state, wait_known

STATUS_INTERVAL = 0.1
# With a long timeout, so that no ping is sent
MIRROR = """timeout: 60
mirror:
    gcode_macro STATE: x, text
    toolhead
    gcode_macro NOT_THERE: x
"""
SAY = """
[gcode_macro SAY]
gcode:
    {% set led = printer["router led"] %}
    {% set state = led.mirror["gcode_macro STATE"] %}
    M118 x={state.x} state={led.state} known={led.mirror_time is not none}
"""


@pytest.fixture(scope="module")
def main(shared_lab):
    """The host, ready before its peer has ever connected."""
    sections = f"[router]\nstatus_interval: {STATUS_INTERVAL}\n"
    sections += router_section(shared_lab, "led", MIRROR) + recorder() + SAY
    return shared_lab.main(config.printing(sections)).wait_ready()


@pytest.fixture(scope="module")
def made_led(shared_lab):
    return shared_lab.add(shared_lab.peer_kind, "led", config.printing(recorder()))


@pytest.fixture
def led(main, made_led):
    """The peer, ready and known to the host."""
    if made_led.process is None or made_led.process.poll() is not None:
        made_led.start().wait_ready()
    wait_known(main, "led")
    wait_until(lambda: status(main)["mirror_time"], 5.0, "led is mirrored", [main])
    return made_led


def status(main):
    fields = ["connected", "ready", "state", "state_message", "mirror", "mirror_time"]
    return main.query({"router led": fields})["router led"]


def mirror(main):
    return status(main)["mirror"]


def wait_x(main, value):
    wait_until(
        lambda: mirror(main)["gcode_macro STATE"]["x"] == value,
        20.0,
        f"the mirror has {value}",
        [main],
    )


def said(main):
    """The values that the macro of the host reads."""
    mark = main.mark()
    main.script("SAY")
    return main.wait_line("echo: ", start=mark).split(" ", 1)[1]


def assert_nothing_known(main):
    now = status(main)
    assert (now["connected"], now["ready"], now["state"]) == (False, False, "disconnected")
    assert now["mirror"]["gcode_macro STATE"] == {"x": None, "text": None}
    assert now["mirror"]["gcode_macro NOT_THERE"] == {"x": None}
    assert set(now["mirror"]["toolhead"].values()) <= {None}
    assert now["mirror_time"] is None
    assert said(main) == "x=None state=disconnected known=False"


def test_the_keys_exist_before_the_peer_has_connected(main):
    assert_nothing_known(main)


def test_values_follow_the_peer_and_macros_can_read_them(main, led):
    set_state(led, x=1.5, text="two words", y=7)
    wait_x(main, 1.5)
    # Only what the config names, and None for what the peer does not have
    assert mirror(main)["gcode_macro STATE"] == {"x": 1.5, "text": "two words"}
    assert mirror(main)["gcode_macro NOT_THERE"] == {"x": None}
    assert said(main) == "x=1.5 state=ready known=True"
    set_state(led, text=None)
    wait_until(
        lambda: mirror(main)["gcode_macro STATE"]["text"] is None, 5.0, "None is a value", [main]
    )


def test_an_object_without_fields_has_all_of_them(main, led):
    asked = led.query(["toolhead"])["toolhead"]
    assert mirror(main)["toolhead"].keys() == asked.keys()
    assert mirror(main)["toolhead"]["max_velocity"] == asked["max_velocity"]
    led.script("SET_VELOCITY_LIMIT VELOCITY=123")
    wait_until(
        lambda: mirror(main)["toolhead"]["max_velocity"] == 123, 5.0, "the limit is told", [main]
    )


def test_mirror_time_is_when_the_host_received_the_values(main, led):
    def clock():
        return main.call("objects/query", {"objects": {"router": ["name"]}})["eventtime"]

    before, value = clock(), fresh()
    set_state(led, x=value)
    wait_x(main, value)
    assert before <= status(main)["mirror_time"] <= clock()


def test_a_subscriber_of_the_host_sees_every_new_value(main, led):
    with main.api() as api:
        params = {"objects": {"router led": ["mirror"]}, "response_template": {"method": "pushed"}}
        api.call("objects/subscribe", params)
        for value in (fresh(), [1, 2], {"a": {"b": fresh()}}):
            set_state(led, x=value)
            api.wait_for(
                lambda message, value=value: (
                    message["params"]["status"]
                    .get("router led", {})
                    .get("mirror", {})
                    .get("gcode_macro STATE", {})
                    .get("x")
                    == value
                )
            )


def updates_until(api, value):
    """What a client with the template `pushed` was sent of the peer, until x had this value."""
    found = []

    def has_value(message):
        found.append(message["params"]["status"].get("router led", {}))
        return f'"x": {value}' in json.dumps(found[-1])

    api.wait_for(has_value)
    return [update for update in found if update]


def test_a_change_goes_out_alone_to_clients_that_have_all_fields(main, led):
    with main.api() as everything, main.api() as by_name:
        template = {"method": "pushed"}
        for api, fields in ((everything, None), (by_name, ["mirror", "gcode_macro STATE"])):
            wish = {"objects": {"router led": fields}, "response_template": template}
            first = api.call("objects/subscribe", wish)["status"]["router led"]
            assert first["gcode_macro STATE"].keys() == {"x", "text"}
            # The listed fields are those of the peer and the mirrored objects
            assert ("mirror" in first) is (fields is not None)
        assert first["mirror"].keys() == {"gcode_macro STATE", "toolhead", "gcode_macro NOT_THERE"}
        value = fresh()
        set_state(led, x=value, text="same")
        updates = updates_until(everything, value)
        assert {key for update in updates for key in update} == {"gcode_macro STATE"}
        assert updates[-1]["gcode_macro STATE"] == {"x": value, "text": "same"}
        update = updates_until(by_name, value)[-1]
        assert update.keys() == {"gcode_macro STATE", "mirror"}
        assert update["mirror"]["gcode_macro STATE"] == update["gcode_macro STATE"]
        assert update["mirror"]["toolhead"]["max_velocity"] is not None


def test_the_hosts_own_objects_are_read_no_faster_than_status_interval(main):
    times = []
    with main.api() as api:
        objects = {"gcode_macro STATE": ["x"]}
        template = {"method": "pushed"}
        params = {"target": "main", "objects": objects, "response_template": template}
        api.call("router/objects/subscribe", params)
        while len(times) < 6:
            set_state(main, x=fresh())
            api.receive(0.005)
            times = [message["params"]["eventtime"] for message in api.notifications]
    assert min(b - a for a, b in zip(times, times[1:])) >= STATUS_INTERVAL * 0.99


def requests_of_the_router(printer):
    """(time, method) of the latest 20, from what Klippy writes in its log when it shuts down."""
    for dump in printer.log_text().split("requests for client")[1:]:
        lines = re.findall(r"^Received ([0-9.]+): (b['\"].*)$", dump, re.MULTILINE)
        requests = [(float(t), json.loads(ast.literal_eval(text))) for t, text in lines]
        # Not by the name of the client: Klippy keeps the last 20 requests only
        if "router/objects/update" in dump:
            return [(time, request["method"]) for time, request in requests]
    return []


def test_reading_the_mirror_sends_no_request_to_the_peer(main, led):
    value = fresh()
    set_state(led, x=value)
    wait_x(main, value)
    before = led.call("objects/query", {"objects": {"webhooks": None}})["eventtime"]
    with main.api() as api:
        wish = {"objects": {"router led": ["mirror"]}}
        for number in [api.request("objects/query", wish) for _ in range(50)]:
            told = api.answer(number)["status"]["router led"]["mirror"]
            assert told["gcode_macro STATE"]["x"] == value
    main.script("SAY\n" * 50)
    led.script("M112")
    requests = wait_until(lambda: requests_of_the_router(led), 5.0, "the dump", [led])
    # Queried once for its names, as not all values are known; since then the router only receives
    assert requests[0][0] < before
    methods = [method for time, method in requests]
    assert methods.count("objects/list") == methods.count("objects/query") == 1
    # Twice if it connected while the peer was starting: again when the peer was ready
    assert methods.count("objects/subscribe") in (1, 2)
    assert [request for request in requests if request[0] >= before] == []
    # And a peer that is shut down is still connected
    wait_known(main, "led", ready=False)
    assert said(main) == f"x={value} state=shutdown known=True"
    led.restart(firmware=True)


def test_the_message_follows_the_peer_while_its_state_stays_the_same(main, led):
    led.script("M112")
    try:
        wait_until(lambda: status(main)["state"] == "shutdown", 5.0, "shut down", [main])
        assert "M112" in status(main)["state_message"]
        led.script("LAB_STATE_MESSAGE MESSAGE='The heater is too hot'")
        wait_until(
            lambda: status(main)["state_message"] == "The heater is too hot", 5.0, "told", [main]
        )
        assert status(main)["state"] == "shutdown" and not status(main)["ready"]
    finally:
        led.restart(firmware=True)
        wait_known(main, "led")


def test_values_are_none_while_the_peer_is_offline_and_return_with_it(main, led):
    value = fresh()
    set_state(led, x=value)
    wait_x(main, value)
    led.kill()
    wait_known(main, "led", ready=False)
    assert_nothing_known(main)
    assert "max_velocity" in mirror(main)["toolhead"]
    led.start().wait_ready()
    wait_x(main, 0)
    # During its startup some values are known before others
    wait_until(
        lambda: mirror(main)["toolhead"]["max_velocity"] == 300, 20.0, "the toolhead", [main]
    )
    check_log(main)
