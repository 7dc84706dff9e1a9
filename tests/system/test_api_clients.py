"""Every method, called by a direct client of the host's API socket."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.macros import fresh, set_state, shown, start_trio, wait_shown

TEMPLATE = {"method": "pushed", "mine": 5}
STATE_X = {"gcode_macro STATE": ["x"]}


@pytest.fixture(scope="module")
def trio(shared_lab):
    # With an MCU, so that time passes: closed connections are cleaned up once a second
    return start_trio(shared_lab, mcu="fake")


@pytest.fixture
def client(trio):
    with trio.main.api() as api:
        yield api


@pytest.fixture(params=["led", "main"])
def target(request, trio):
    """A peer, or the host."""
    return trio.lab.printers[request.param]


def is_push(message):
    return message.get("method") == "pushed"


def has_status(message, **fields):
    """Whether this is a push with these values of `gcode_macro STATE`."""
    status = message.get("params", {}).get("status", {})
    return fields.items() <= status.get("gcode_macro STATE", {}).items()


def pushes(api):
    """The params of all pushes so far."""
    return [message["params"] for message in api.notifications if is_push(message)]


def test_gcode_script_is_answered_after_it_has_run(trio, client, target):
    mark = target.mark()
    script = {"target": target.name, "script": "SHOW FROM=api"}
    assert client.call("router/gcode/script", script) == {}
    wait_shown(target, start=mark, FROM="api")


def test_gcode_script_is_not_answered_before_it_has_run(trio, client):
    trio.led.freeze()
    try:
        script = {"target": "led", "script": "SHOW"}
        number = client.request("router/gcode/script", script)
        client.call("router/printers/list")
        with pytest.raises(TimeoutError):
            client.answer(number, timeout=0)
    finally:
        trio.led.thaw()
    assert client.answer(number) == {}


def test_gcode_script_returns_the_error_of_the_target(client, target):
    # The host's own message is unchanged
    with pytest.raises(ApiError, match="not valid|Unknown|Unable|open"):
        client.call(
            "router/gcode/script",
            {"target": target.name, "script": "SDCARD_PRINT_FILE FILENAME=none.gcode"},
        )
    with pytest.raises(ApiError, match="^led: "):
        client.call(
            "router/gcode/script",
            {"target": "led", "script": "SET_GCODE_VARIABLE MACRO=STATE VARIABLE=x VALUE=nonsense"},
        )


def test_gcode_callback_runs_on_the_host(trio, client):
    mark = trio.main.mark()
    client.call("router/printers/list", {"gcode_callback": "SHOW"})
    assert wait_shown(trio.main, start=mark)["PRINTERS"] == "main,led,afc"


def test_events(trio, client, target):
    mark = target.mark()
    handler = {"event": "e", "gcode": "SHOW_A", "callback_target": target.name}
    assert client.call("router/event/subscribe", handler) == {}
    trigger = {"event": "e", "context": {"lane": 1, "words": "two words"}}
    answer = {"delivered": [target.name], "failed": {}}
    assert client.call("router/event/trigger", trigger) == answer
    assert wait_shown(target, "SHOW_A", mark) == {"LANE": "1", "WORDS": "two words"}
    assert client.call("router/event/unsubscribe", {"event": "e"}) == {"removed": 1}
    assert client.call("router/event/trigger", trigger) == {"delivered": [], "failed": {}}


def test_a_webhook_handler_calls_an_endpoint(client, target):
    mark = target.mark()
    handler = {
        "event": "e",
        "gcode": "gcode/script",
        "callback_target": target.name,
        "callback_type": "webhook",
    }
    client.call("router/event/subscribe", handler)
    trigger = {"event": "e", "context": {"script": "SHOW FROM=hook"}}
    assert client.call("router/event/trigger", trigger)["delivered"] == [target.name]
    wait_shown(target, start=mark, FROM="hook")
    assert client.call("router/event/unsubscribe", {"event": "e"}) == {"removed": 1}


def test_printers_list(client):
    expected = [
        {"name": name, "connected": True, "ready": True, "state": "ready", "local": name == "main"}
        for name in ("main", "led", "afc")
    ]
    assert client.call("router/printers/list") == {"printers": expected}


def test_objects_list_returns_what_klipper_returns(client, target):
    answer = client.call("router/objects/list", {"target": target.name})
    assert answer == target.call("objects/list")


def test_objects_query_returns_what_klipper_returns(client, target):
    set_state(target, x=[1, {"two": None}], y="\u00fc \u2028", text=None)
    objects = {"gcode_macro STATE": None, "webhooks": ["state", "nonsense"], "nothing": None}
    answer = client.call("router/objects/query", {"target": target.name, "objects": objects})
    assert answer["status"] == target.query(objects)
    assert answer["status"]["gcode_macro STATE"]["x"] == [1, {"two": None}]
    assert answer["eventtime"] > 0


def test_objects_subscribe_with_a_callback_belongs_to_the_host(trio, client, target):
    x = fresh()
    set_state(target, x=x)
    mark = trio.main.mark()
    subscription = {"target": target.name, "objects": STATE_X, "gcode_callback": "SHOW_A"}
    answer = client.call("router/objects/subscribe", subscription)
    assert answer["status"].keys() == {"gcode_macro STATE"}
    assert answer["status"]["gcode_macro STATE"].keys() == {"x"}
    assert answer["eventtime"] > 0
    wait_shown(trio.main, "SHOW_A", mark, GCODE_MACRO_STATE_X=str(x))
    wish = {"target": target.name, "gcode_callback": "SHOW_A"}
    assert client.call("router/objects/unsubscribe", wish) == {"removed": 1}
    assert client.call("router/objects/unsubscribe", {"target": target.name}) == {"removed": 0}


def test_call_returns_the_result_of_the_endpoint(client, target):
    answer = client.call("router/call", {"target": target.name, "endpoint": "info"})
    assert answer["process_id"] == target.process.pid
    params = {"objects": {"webhooks": ["state"]}}
    call = {"target": target.name, "endpoint": "objects/query", "params": params}
    assert client.call("router/call", call)["status"] == {"webhooks": {"state": "ready"}}


def test_call_returns_the_error_of_the_endpoint(client, target):
    call = {"target": target.name, "endpoint": "no/such/endpoint"}
    with pytest.raises(ApiError, match="no/such/endpoint"):
        client.call("router/call", call)


def test_changes_are_pushed_in_the_form_of_the_template(client, target):
    subscription = {"target": target.name, "objects": STATE_X, "response_template": TEMPLATE}
    answer = client.call("router/objects/subscribe", subscription)
    assert answer["status"].keys() == {"gcode_macro STATE"}
    assert answer["status"]["gcode_macro STATE"].keys() == {"x"}
    set_state(target, y=fresh(), text="not asked for")
    x = fresh()
    set_state(target, x=x)
    message = client.wait_for(lambda message: has_status(message, x=x))
    assert message["mine"] == 5
    assert message["params"]["status"] == {"gcode_macro STATE": {"x": x}}
    assert message["params"]["eventtime"] > answer["eventtime"]
    assert not any("y" in push["status"]["gcode_macro STATE"] for push in pushes(client))


def test_events_are_pushed_in_the_form_of_the_template(trio, client):
    subscription = {"event": "e", "response_template": TEMPLATE}
    assert client.call("router/event/subscribe", subscription) == {}
    trio.main.script("ROUTER_EVENT_TRIGGER EVENT=other K=0")
    trio.main.script("ROUTER_EVENT_TRIGGER EVENT=e K=1")
    message = client.wait_for(is_push)
    assert message["mine"] == 5
    told = {key: message["params"][key] for key in ("event", "context")}
    assert told == {"event": "e", "context": {"k": "1"}}
    assert pushes(client) == []


def test_each_client_gets_what_it_requested(trio, client):
    value = fresh()
    with trio.main.api() as other:
        for api, field in ((client, "x"), (other, "y")):
            objects = {"gcode_macro STATE": [field]}
            api.call(
                "router/objects/subscribe",
                {"target": "led", "objects": objects, "response_template": TEMPLATE},
            )
        set_state(trio.led, x=value, y=value)
        for api, field in ((client, "x"), (other, "y")):
            news = {field: value}
            message = api.wait_for(lambda message, news=news: has_status(message, **news))
            assert message["params"]["status"] == {"gcode_macro STATE": news}


def test_a_client_that_subscribes_again_is_notified_once(trio, client):
    """As with Klipper's own objects/subscribe, a later subscription replaces the earlier one."""
    for fields in (["x"], ["x", "y"]):
        objects = {"gcode_macro STATE": fields}
        client.call(
            "router/objects/subscribe",
            {"target": "led", "objects": objects, "response_template": TEMPLATE},
        )
        client.call("router/event/subscribe", {"event": "e", "response_template": TEMPLATE})
    x = fresh()
    set_state(trio.led, x=x)
    client.wait_for(lambda message: has_status(message, x=x))
    client.call("router/event/trigger", {"event": "e"})
    # A second notification would have arrived by now
    client.call("router/printers/list")
    assert [message for message in client.notifications if has_status(message, x=x)] == []
    assert len([push for push in pushes(client) if "event" in push]) == 1


def test_a_client_unsubscribes_only_itself(trio, client):
    mark = trio.main.mark()
    trio.main.script("ROUTER_EVENT_SUBSCRIBE EVENT=e GCODE=SHOW_A")
    trio.main.script(
        'ROUTER_OBJECTS_SUBSCRIBE TARGET=led OBJECTS="gcode_macro STATE:x" CALLBACK=SHOW_B'
    )
    own = {"response_template": TEMPLATE}
    client.call("router/event/subscribe", {"event": "e", **own})
    client.call("router/objects/subscribe", {"target": "led", "objects": STATE_X, **own})

    assert client.call("router/event/unsubscribe", {"event": "e", **own}) == {"removed": 1}
    assert client.call("router/objects/unsubscribe", {"target": "led", **own}) == {"removed": 1}
    trio.main.script("ROUTER_EVENT_TRIGGER EVENT=e")
    wait_shown(trio.main, "SHOW_A", mark)
    news = fresh()
    set_state(trio.led, x=news)
    wait_shown(trio.main, "SHOW_B", mark, GCODE_MACRO_STATE_X=str(news))
    client.call("router/printers/list")
    assert pushes(client) == []
    trio.main.script("ROUTER_EVENT_UNSUBSCRIBE EVENT=e\nROUTER_OBJECTS_UNSUBSCRIBE TARGET=led")


def test_registrations_of_a_client_end_with_its_connection(trio):
    def subscriptions():
        return trio.main.query(["router"])["router"]["subscriptions"]

    wait_until(lambda: subscriptions() == 0, 10.0, "earlier clients are forgotten", [trio.main])
    with trio.main.api() as api:
        for target in ("led", "main"):
            api.call(
                "router/objects/subscribe",
                {"target": target, "objects": STATE_X, "response_template": TEMPLATE},
            )
        api.call("router/event/subscribe", {"event": "e", "response_template": TEMPLATE})
        assert subscriptions() == 2
        mark = trio.main.mark()
        trio.main.script("ROUTER_STATUS")
        trio.main.wait_line("2 subscriptions, 1 event handler", start=mark)
    # Updates and events sent before the closed connection is noticed cause no error
    set_state(trio.led, x=fresh())
    assert trio.main.call("router/event/trigger", {"event": "e"})["failed"] == {}
    wait_until(lambda: subscriptions() == 0, 10.0, "they end", [trio.main])
    mark = trio.main.mark()
    trio.main.script("ROUTER_STATUS")
    trio.main.wait_line("0 subscriptions, 0 event handlers", start=mark)
    assert trio.main.state() == "ready"
    assert shown(trio.main, start=mark) == []
