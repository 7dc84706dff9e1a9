"""router/call: any API endpoint of any printer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.system.macros import (
    check_log,
    remote_call,
    router_section,
    shown,
    start_trio,
    wait_shown,
)

# They keep sending to the connection that called them: the router's
STREAMS = [
    ("objects/subscribe", {"objects": {"webhooks": None}}),
    ("objects/subscribe", {"objects": {}, "response_template": {"method": "x"}}),
    ("gcode/subscribe_output", {"response_template": {"method": "x"}}),
    ("register_remote_method", {"remote_method": "mine", "response_template": {"method": "x"}}),
    # Such as an endpoint of some other extra
    ("adxl345/dump_adxl345", {"sensor": "x", "response_template": {"method": "x"}}),
]


@pytest.fixture(scope="module")
def trio(shared_lab):
    off = router_section(shared_lab, "off")
    return start_trio(shared_lab, main=off)


@pytest.fixture
def client(trio):
    with trio.main.api() as api:
        yield api


@pytest.fixture(params=["led", "main"])
def target(request, trio):
    """A peer, or the host itself."""
    return trio.lab.printers[request.param]


@pytest.fixture(params=["afc", "main"])
def caller(request, trio):
    """Whose macros call: a peer, or the host."""
    return trio.lab.printers[request.param]


def call(client, target, endpoint, **params):
    wish = {"target": target.name, "endpoint": endpoint, "params": params}
    return client.call("router/call", wish)


def test_the_result_is_that_of_the_endpoint(client, target):
    info = target.call("info")
    assert call(client, target, "info") == info
    assert client.call("router/call", {"target": target.name, "endpoint": "info"}) == info
    assert call(client, target, "gcode/help") == target.call("gcode/help")
    assert call(client, target, "list_endpoints") == target.call("list_endpoints")


def test_params_reach_the_endpoint(client, target):
    asked = {"objects": {"gcode_macro STATE": ["x"]}}
    status = call(client, target, "objects/query", **asked)["status"]
    assert status == {"gcode_macro STATE": {"x": 0}}
    mark = target.mark()
    assert call(client, target, "gcode/script", script="SHOW FROM=call") == {}
    wait_shown(target, start=mark, FROM="call")


def test_a_slow_endpoint_delays_no_other_request(client, target):
    """An endpoint that waits does not delay other requests."""
    number = client.request(
        "router/call",
        {
            "target": target.name,
            "endpoint": "gcode/script",
            "params": {"script": "\n".join(["G4 P100", "M400"] * 5)},
        },
    )
    assert call(client, target, "info")["state"] == "ready"
    assert client.answer(number) == {}


@pytest.mark.parametrize("endpoint, params", STREAMS)
def test_streaming_endpoints_are_refused(client, target, endpoint, params):
    with pytest.raises(ApiError, match=f"'{endpoint}'"):
        call(client, target, endpoint, **params)
    # None of them was called: the router depends on its one subscription
    assert call(client, target, "info")["state"] == "ready"


@pytest.mark.parametrize("endpoint, params", STREAMS)
def test_streaming_endpoints_are_refused_to_macros_as_well(trio, caller, target, endpoint, params):
    mark = caller.mark()
    remote_call(caller, "router/call", target=target.name, endpoint=endpoint, params=params)
    assert f"'{endpoint}'" in caller.wait_line("Router: ", start=mark)


@pytest.mark.parametrize("endpoint", ["no/such/endpoint", "objects/query"])
def test_errors_name_the_target_and_the_reason(client, target, endpoint):
    reason = "objects" if endpoint == "objects/query" else endpoint
    with pytest.raises(ApiError, match=f"{target.name}.*{reason}"):
        call(client, target, endpoint)


def test_errors_go_to_the_calling_macro(trio, caller, target):
    mark = caller.mark()
    remote_call(caller, "router/call", target=target.name, endpoint="no/such/endpoint")
    assert "no/such/endpoint" in caller.wait_line("Router: ", start=mark)


def test_an_offline_target_is_an_error(client):
    with pytest.raises(ApiError, match="off is not connected"):
        client.call("router/call", {"target": "off", "endpoint": "info"})


@pytest.mark.parametrize(
    "wish, reason",
    [
        ({"endpoint": "info"}, "TARGET"),
        ({"target": "led"}, "ENDPOINT"),
        ({"target": "nobody", "endpoint": "info"}, "Unknown printer 'nobody'. Known: main, led"),
        ({"target": "led", "endpoint": ["info"]}, "ENDPOINT"),
        ({"target": "led", "endpoint": "info", "params": "x"}, "params"),
    ],
)
def test_a_mistake_is_an_error(client, wish, reason):
    with pytest.raises(ApiError, match=reason):
        client.call("router/call", wish)


def test_the_callback_gets_scalars_as_they_are(trio, caller, target):
    mark = caller.mark()
    remote_call(caller, "router/call", target=target.name, endpoint="info", gcode_callback="SHOW")
    told, info = wait_shown(caller, start=mark), target.call("info")
    assert told["PROCESS_ID"] == str(target.process.pid)
    assert told["STATE"] == "ready" and told["HOSTNAME"] == info["hostname"]
    assert told.keys() == {name.upper() for name in info}


def test_the_callback_gets_lists_and_objects_as_json(trio, caller, target):
    mark = caller.mark()
    query = {"objects": {"gcode_macro STATE": ["x"]}}
    remote_call(
        caller,
        "router/call",
        target=target.name,
        endpoint="objects/query",
        params=query,
        gcode_callback="SHOW",
    )
    told = wait_shown(caller, start=mark)
    assert told.pop("EVENTTIME")
    assert told == {"STATUS": '{"gcode_macro STATE":{"x":0}}'}


def test_the_callback_does_not_run_when_the_call_fails(trio, caller):
    mark = caller.mark()
    for endpoint in ("no/such/endpoint", "info"):
        remote_call(caller, "router/call", target="led", endpoint=endpoint, gcode_callback="SHOW")
    wait_shown(caller, start=mark)
    assert len(shown(caller, start=mark)) == 1
    check_log(trio.main)


def test_no_call_of_the_host_waits_for_itself(lab, kind):
    """router/call and webhook handlers can name the router's own methods."""
    main = lab.printer(kind, "main", config.minimal("[router]\n")).wait_ready()
    info = {"target": "main", "endpoint": "info"}
    nested = {"target": "main", "endpoint": "router/call", "params": info}
    with main.api() as api:
        for _depth in (1, 2):
            try:
                assert api.call("router/call", nested, timeout=5.0)["state"] == "ready"
            except ApiError as refused:
                assert "router/call" in str(refused)
            nested = {"target": "main", "endpoint": "router/call", "params": nested}
        assert api.call("router/call", info, timeout=5.0)["state"] == "ready"
    check_log(main)


def test_quick_endpoints_of_the_host_do_not_wait_for_scripts(trio, client):
    """Nor for other endpoints that pause, as long as not too many do."""
    mark = trio.main.mark()
    scripts = [
        request(client, "gcode/script", script=f"SHOW N={n}\nROUTER_EVENT_WAIT EVENT=go TIMEOUT=30")
        for n in range(8)
    ]
    wait_shown(trio.main, start=mark, N="0")
    queries = [request(client, "objects/query", objects={"toolhead": None}) for _ in range(3)]
    assert call(client, trio.main, "info")["state"] == "ready"
    for number in queries:
        assert "toolhead" in client.answer(number)["status"]
    # They run one after another, in order
    for n, number in enumerate(scripts):
        wait_shown(trio.main, start=mark, N=str(n))
        trio.main.call("router/event/trigger", {"event": "go"})
        client.answer(number)
    said = [call["N"] for call in shown(trio.main, start=mark)]
    assert said == [str(n) for n in range(8)]


def request(client, endpoint, **params):
    """Call an endpoint of the host; returns the number of the request."""
    return client.request("router/call", {"target": "main", "endpoint": endpoint, "params": params})
