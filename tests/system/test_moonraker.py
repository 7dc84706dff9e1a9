"""Through the real Moonraker: endpoints over HTTP and JSON-RPC, mirror, sensors, its restart."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.moonraker import LabMoonraker, MoonrakerError
from tests.lab.waiting import wait_until
from tests.system.macros import (
    check_log,
    fresh,
    recorder,
    router_section,
    set_state,
    shown,
    wait_known,
    wait_shown,
)

OPTIONS = """mirror:
    gcode_macro STATE: x
sensors:
    chamber: heater_generic chamber
"""
DOORS = ("get", "post", "rpc")


@pytest.fixture(scope="module")
def main(shared_lab):
    sections = "[router]\nstatus_interval: 0.05\n" + router_section(shared_lab, "led", OPTIONS)
    sections += router_section(shared_lab, "off", "sensors:\n    exhaust: heater_bed\n")
    sections += recorder()
    main = shared_lab.main(config.printing(sections))
    shared_lab.peer("led", config.heating(recorder()), mcu="fake")
    shared_lab.wait_ready()
    wait_known(main, "led")
    return main


@pytest.fixture(scope="module")
def led(main, shared_lab):
    return shared_lab.printers["led"]


@pytest.fixture(scope="module")
def moonraker(main):
    with LabMoonraker(main) as moonraker:
        yield moonraker.start()


@pytest.fixture
def rpc(moonraker):
    with moonraker.rpc() as rpc:
        yield rpc


@pytest.fixture(params=DOORS)
def call(request, moonraker, rpc):
    """Calls a method of the router over HTTP or JSON-RPC."""

    def call(method, **params):
        if request.param == "rpc":
            result = rpc.call("printer." + method.replace("/", "."), params)
        elif request.param == "post":
            result = moonraker.post("/printer/" + method, params)
        else:
            result = moonraker.get("/printer/" + method, **params)
        # What Moonraker turns an empty result into
        return {} if result == "ok" else result

    return call


# -- every endpoint. Parameters that an address can carry: text only


def test_printers_list(call):
    printers = call("router/printers/list")["printers"]
    assert [(p["name"], p["ready"], p["local"]) for p in printers] == [
        ("main", True, True),
        ("led", True, False),
        ("off", False, False),
    ]


@pytest.mark.parametrize("target", ["led", "main"])
def test_gcode_script(call, shared_lab, target):
    printer = shared_lab.printers[target]
    mark = printer.mark()
    assert call("router/gcode/script", target=target, script="SHOW FROM='the web'") == {}
    wait_shown(printer, start=mark, FROM="the web")


def test_events(call, main, led):
    handler = {"event": "web", "gcode": "SHOW_A LANE={lane}"}
    mark = led.mark()
    assert call("router/event/subscribe", callback_target="led", **handler) == {}
    told = call("router/event/trigger", event="web", context="lane=1")
    assert told == {"delivered": ["led"], "failed": {}}
    assert wait_shown(led, "SHOW_A", mark) == {"LANE": "1"}
    # The caller counts as the host: its macros have the same registrations
    assert main.call("router/event/trigger", {"event": "web"})["failed"].keys() == {"led"}
    assert call("router/event/unsubscribe", **handler) == {"removed": 1}


def test_objects(call, main, led):
    value = fresh()
    set_state(led, x=value)
    objects = "gcode_macro STATE:x"
    assert "gcode_macro STATE" in call("router/objects/list", target="led")["objects"]
    status = call("router/objects/query", target="led", objects=objects)["status"]
    assert status == {"gcode_macro STATE": {"x": value}}
    mark = main.mark()
    wish = {"target": "led", "gcode_callback": "SHOW_B"}
    first = call("router/objects/subscribe", objects=objects, **wish)
    assert first["status"] == status
    wait_shown(main, "SHOW_B", mark, GCODE_MACRO_STATE_X=str(value))
    assert call("router/objects/unsubscribe", **wish) == {"removed": 1}


def test_call(call, led):
    assert call("router/call", target="led", endpoint="info")["process_id"] == led.process.pid


def test_diagnose(call):
    assert {finding["printer"] for finding in call("router/diagnose", target="led")["checks"]} == {
        "led"
    }


def test_every_endpoint_is_tested(main):
    """Those of the router, and whether the tests above use them."""
    endpoints = main.call("list_endpoints")["endpoints"]
    assert {name for name in endpoints if name.startswith("router/")} == {
        "router/printers/list",
        "router/gcode/script",
        "router/event/subscribe",
        "router/event/unsubscribe",
        "router/event/trigger",
        "router/objects/list",
        "router/objects/query",
        "router/objects/subscribe",
        "router/objects/unsubscribe",
        "router/call",
        "router/restart",
        "router/diagnose",
    }


@pytest.mark.parametrize("door", ["post", "rpc"])
def test_parameters_can_be_objects_over_json(moonraker, rpc, led, door):
    set_state(led, x=5)
    query = {"target": "led", "objects": {"gcode_macro STATE": ["x"], "webhooks": ["state"]}}
    nested = {"target": "led", "endpoint": "objects/query", "params": query}
    event = {"event": "nobody", "context": {"n": 1.5, "list": [1]}, "retain": False}
    answers = [
        moonraker.post("/printer/" + method, params)
        if door == "post"
        else rpc.call("printer." + method.replace("/", "."), params)
        for method, params in (
            ("router/objects/query", query),
            ("router/call", nested),
            ("router/event/trigger", event),
        )
    ]
    status = {"gcode_macro STATE": {"x": 5}, "webhooks": {"state": "ready"}}
    assert answers[0]["status"] == answers[1]["status"] == status
    assert answers[2] == {"delivered": [], "failed": {}}


# -- errors


@pytest.mark.parametrize(
    "method, params, message",
    [
        (
            "router/gcode/script",
            {"target": "nobody", "script": "M118 x"},
            "Unknown printer 'nobody'. Known: main, led, off",
        ),
        ("router/gcode/script", {"target": "off", "script": "M118 x"}, "off is not connected"),
        ("router/gcode/script", {"target": "led"}, "Missing parameter SCRIPT"),
        (
            "router/gcode/script",
            {"target": "led", "script": "SET_LED LED=foo"},
            "led: The value 'foo' is not valid for LED",
        ),
        ("router/objects/query", {"target": "off", "objects": "webhooks"}, "off is not connected"),
        ("router/call", {"target": "led", "endpoint": "no/such"}, "no/such"),
    ],
)
def test_errors_have_our_message(call, method, params, message):
    with pytest.raises(MoonrakerError) as error:
        call(method, **params)
    assert message in str(error.value)
    assert error.value.code == 400


# -- status


def test_the_mirror_can_be_queried(moonraker, main, led):
    value = fresh()
    set_state(led, x=value)

    def asked():
        answer = moonraker.get("/printer/objects/query?router%20led=mirror,ready")
        return answer["status"]["router led"]

    expected = {"mirror": {"gcode_macro STATE": {"x": value}}, "ready": True}
    wait_until(lambda: asked() == expected, 5.0, f"the mirror has {value}", [main, moonraker])


def test_mirrored_objects_can_be_subscribed_to(rpc, led):
    set_state(led, x=1)
    wish = {"objects": {"router led": None, "router": ["printers", "events"]}}
    first = rpc.call("printer.objects.subscribe", wish)["status"]
    assert first["router led"]["state"] == "ready"
    assert first["router"]["printers"]["main"] == {
        "connected": True,
        "ready": True,
        "state": "ready",
    }
    for value in (fresh(), fresh()):
        set_state(led, x=value)
        wait_update(
            rpc,
            lambda status, value=value: (
                status.get("router led") == {"gcode_macro STATE": {"x": value}}
            ),
        )
    rpc.call("printer.router.event.trigger", {"event": "seen", "context": {"n": 1}})
    wait_update(rpc, lambda status: "seen" in status.get("router", {}).get("events", {}))


def wait_update(rpc, predicate):
    rpc.wait_for(
        lambda message: (
            message["method"] == "notify_status_update" and predicate(message["params"][0])
        )
    )


def test_the_router_can_be_queried(moonraker):
    status = moonraker.get("/printer/objects/query?router")["status"]["router"]
    assert status["name"] == "main" and set(status["printers"]) == {"main", "led", "off"}
    assert {"router", "router led", "router off"} <= set(
        moonraker.get("/printer/objects/list")["objects"]
    )


def test_sensors_are_listed_and_recorded(moonraker, main, led):
    heaters = moonraker.get("/printer/objects/query?heaters")["status"]["heaters"]
    assert set(heaters["available_sensors"]) == {
        "temperature_sensor chamber",
        "temperature_sensor exhaust",
    }
    led.set_pin("gpio21", 44)

    def recorded():
        store = moonraker.get("/server/temperature_store")["temperature_sensor chamber"]
        return 43 < store["temperatures"][-1] < 45

    wait_until(recorded, 10.0, "Moonraker has recorded the temperature", [main, moonraker])


def test_an_unknown_temperature_is_none(moonraker, main):
    """Interfaces show it as --°C."""
    unknown = dict.fromkeys(["temperature", "measured_min_temp", "measured_max_temp"])
    status = moonraker.get("/printer/objects/query?temperature_sensor%20exhaust")["status"]
    assert status == {"temperature_sensor exhaust": unknown}

    def recorded():
        store = moonraker.get("/server/temperature_store")["temperature_sensor exhaust"]
        return len(store["temperatures"]) > 1 and set(store["temperatures"]) == {None}

    wait_until(recorded, 10.0, "Moonraker has recorded that it is not known", [main, moonraker])


# -- Moonraker restarts


def test_a_restart_of_moonraker_loses_nothing(moonraker, main, led):
    moonraker.post("/printer/router/event/subscribe", {"event": "kept", "gcode": "SHOW_A"})
    wish = {"target": "led", "objects": "gcode_macro STATE:x", "gcode_callback": "SHOW_B"}
    moonraker.post("/printer/router/objects/subscribe", wish)
    count = main.query({"router": ["subscriptions"]})
    mark = main.mark()
    moonraker.restart()
    assert main.query({"router": ["subscriptions"]}) == count

    value = fresh()
    set_state(led, x=value)
    wait_shown(main, "SHOW_B", mark, GCODE_MACRO_STATE_X=str(value))
    with moonraker.rpc() as rpc:
        params = {"event": "kept", "context": {"n": 1}}
        told = rpc.call("printer.router.event.trigger", params)
        assert told == {"delivered": ["main"], "failed": {}}
        wait_shown(main, "SHOW_A", mark, N="1")
        assert shown(main, "SHOW_A", mark) == [{"N": "1"}]
        first = rpc.call("printer.objects.subscribe", {"objects": {"router led": ["mirror"]}})
        mirror = first["status"]["router led"]["mirror"]
        assert mirror["gcode_macro STATE"].keys() == {"x"}
        value = fresh()
        set_state(led, x=value)
        wait_update(rpc, lambda status: str(value) in str(status.get("router led")))
    check_log(main)


def test_a_restart_of_the_host_restores_everything(moonraker, main):
    main.restart()
    wait_known(main, "led")
    moonraker.wait_ready()

    def ready():
        return moonraker.get("/printer/objects/query?router%20led=ready")["status"]

    expected = {"router led": {"ready": True}}
    wait_until(lambda: ready() == expected, 5.0, "led is ready", [main, moonraker])
    assert moonraker.get("/printer/router/printers/list")["printers"][1]["ready"]
