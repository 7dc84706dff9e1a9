"""The option 'relay_methods': remote methods of Moonraker and others, for macros of a peer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.moonraker import LabMoonraker
from tests.lab.waiting import wait_until
from tests.system.macros import (
    check_log,
    recorder,
    remote_call,
    remote_result,
    router_section,
    start_trio,
    wait_known,
    wait_shown,
)

OPTIONS = "allow:\nrelay_methods: lab_method, other_method,\n    lab_method, agent_method\n"
TEMPLATE = {"method": "called"}
NOT_REGISTERED = "Router: main: Remote method 'other_method' not registered: check that Moonraker"


@pytest.fixture(scope="module")
def trio(shared_lab):
    """led is offered methods of main, afc is not."""
    return start_trio(shared_lab, led_options=OPTIONS)


@pytest.fixture
def client(trio):
    """A client of main's API socket that has registered lab_method there."""
    with trio.main.api() as api:
        register(api, "lab_method")
        yield api


def register(api, method):
    api.call("register_remote_method", {"remote_method": method, "response_template": TEMPLATE})


def called(api, printer):
    """What the client was called with. Every call that this printer has made was handled."""
    remote_result(printer, "router/printers/list")
    api.call("info")
    found, api.notifications = [m["params"] for m in api.notifications], []
    return found


def test_a_macro_of_the_peer_calls_a_method_of_the_main_printer(trio, client):
    params = {"text": "it is ü", "number": 1.5, "nested": {"list": [1, None, True]}}
    remote_call(trio.led, "lab_method", **params)
    message = client.wait_for(lambda m: m.get("method") == "called")
    assert message == {"method": "called", "params": params}
    remote_call(trio.main, "lab_method", **params)
    assert called(client, trio.main) == [params]


def test_every_client_that_registered_it_is_called(trio, client):
    with trio.main.api() as second:
        register(second, "lab_method")
        remote_call(trio.led, "lab_method", n=1)
        assert called(client, trio.led) == called(second, trio.led) == [{"n": 1}]


def test_only_the_peer_whose_section_lists_it_has_it(trio, client):
    remote_call(trio.afc, "lab_method", n=1)
    assert called(client, trio.afc) == []
    assert "Remote method 'lab_method' not registered" in trio.afc.log_text()


def test_a_method_that_nobody_has_registered_is_said_on_the_console_of_the_caller(trio):
    mark, led_mark = trio.main.mark(), trio.led.mark()
    remote_call(trio.led, "other_method", n=1)
    trio.led.wait_line(NOT_REGISTERED, start=led_mark)
    assert not any("other_method" in line for line in trio.main.console[mark:])


def test_a_method_whose_client_has_disconnected_is_reported(trio):
    with trio.main.api() as api:
        register(api, "other_method")
        remote_call(trio.led, "other_method", n=1)
        assert called(api, trio.led) == [{"n": 1}]
    mark = trio.led.mark()
    remote_call(trio.led, "other_method", n=2)
    trio.led.wait_line("for method 'other_method': check that Moonraker", start=mark)


def test_values_that_are_nested_too_deep_are_reported(trio, client):
    deep = 1
    for _ in range(40):
        deep = [deep]
    mark = trio.led.mark()
    remote_call(trio.led, "lab_method", deep=deep)
    trio.led.wait_line("Malformed parameters: nested deeper", start=mark)
    assert called(client, trio.led) == []
    check_log(trio.main)


def test_they_are_there_again_after_the_peer_has_restarted(trio, client):
    trio.led.restart()
    wait_known(trio.main, "led")
    remote_call(trio.led, "lab_method", n=1)
    assert called(client, trio.led) == [{"n": 1}]


def test_router_diagnose_counts_them(trio):
    counts = {}
    for name in ("afc", "led"):
        mark = trio.main.mark()
        trio.main.script(f"ROUTER_DIAGNOSE TARGET={name}")
        line = trio.main.wait_line(f"{name} methods: ", start=mark, timeout=15.0)
        counts[name] = int(line.split(": ")[1].split()[0])
    assert counts["led"] == counts["afc"] + 3


# -- Moonraker


@pytest.fixture(scope="module")
def moonraker(trio):
    with LabMoonraker(trio.main) as moonraker:
        yield moonraker.start()


def test_a_method_that_moonraker_has_registered(trio, moonraker):
    with moonraker.rpc() as rpc:
        agent = {"client_name": "lab", "version": "1", "type": "agent", "url": "http://lab"}
        rpc.call("server.connection.identify", agent)
        rpc.call("connection.register_remote_method", {"method_name": "agent_method"})
        # Moonraker does not wait for Klippy's answer
        registered = "registering remote method 'agent_method'"
        wait_until(lambda: registered in trio.main.log_text(), 10.0, registered, [trio.main])
        remote_call(trio.led, "agent_method", spool_id=4)
        message = rpc.wait_for(lambda m: m.get("method") == "agent_method")
        assert message["params"] == {"spool_id": 4}


# -- config


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            "notify, *",
            "Invalid remote method '*' in option 'relay_methods' of section 'router led'",
        ),
        ("router/call", "'relay_methods' of section 'router led' is the router's own: remove it"),
    ],
)
def test_what_is_a_config_error(lab, kind, names, message):
    text = "[router]\n" + router_section(lab, "led", f"relay_methods: {names}")
    printer = lab.printer(kind, "main", config.minimal(text))
    printer.wait_state("error", 10.0)
    assert message in printer.call("info")["state_message"]


def test_two_routers_do_not_relay_a_method_back_and_forth(lab, kind):
    for name, other in (("main", "led"), ("led", "main")):
        text = f"[router]\nname: {name}\n" + router_section(lab, other, "relay_methods: lab_method")
        lab.printer(kind, name, config.printing(text + recorder()))
    lab.wait_ready()
    main, led = lab.printers["main"], lab.printers["led"]
    wait_known(main, "led")
    wait_known(led, "main")
    with main.api() as api:
        register(api, "lab_method")
        remote_call(led, "lab_method", n=1)
        led.wait_line("'lab_method' is in option 'relay_methods' of main and of led: remove it")
        led.script("ROUTER_GCODE_SCRIPT TARGET=main SCRIPT='SHOW N=1'")
        wait_shown(main, N="1")
        assert api.call("info")["state"] == "ready"
        assert api.notifications == []
