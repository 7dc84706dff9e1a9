"""API clients that disconnect at the moment at which the router sends something to them."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import time

import pytest

from tests.system.macros import check_log, remote_call, start_duo


@pytest.fixture(scope="module")
def duo(shared_lab):
    led = "[gcode_macro FAIL]\ngcode:\n    {action_raise_error('broken here')}\n"
    return start_duo(shared_lab, led=led, led_options="relay_methods: lab_method")


def subscribe_to_event(api):
    template = {"method": "pushed"}
    api.call("router/event/subscribe", {"event": "e", "response_template": template})


def read_console(api):
    api.call("gcode/subscribe_output", {"response_template": {"method": "console"}})


def register_method(api):
    params = {"remote_method": "lab_method", "response_template": {"method": "called"}}
    api.call("register_remote_method", params)


CALLS = {
    "event": (subscribe_to_event, "router/event/trigger", {"event": "e"}),
    "relay": (register_method, "lab_method", {"n": 1}),
    "console": (read_console, "router/gcode/script", {"target": "nobody", "script": "X"}),
}


@pytest.mark.parametrize("what", CALLS)
def test_the_printer_goes_on(duo, what):
    """Klippy learns of both at once: of the end of the client, and of what it would be sent."""
    main, led = duo
    prepare, method, params = CALLS[what]
    with main.api() as api:
        prepare(api)
        main.freeze()
        try:
            remote_call(led, method, **params)
            time.sleep(0.1)
            api.close()
        finally:
            main.thaw()
    assert main.call("info")["state"] == "ready"
    check_log(main)


def test_the_printer_goes_on_when_a_client_has_read_all_that_it_was_sent_so_far(duo):
    """Klippy still has something to send when it learns of the end, in the same poll."""
    main, _led = duo
    with main.api() as api, main.api() as other:
        subscribe_to_event(api)
        for _ in range(300):  # more than the socket takes twice
            other.call("router/event/trigger", {"event": "e", "context": {"text": "x" * 1500}})
        main.freeze()
        try:
            while api.receive(0.1):
                pass
            api.close()
        finally:
            main.thaw()
    assert main.call("info")["state"] == "ready", main.tail()
    check_log(main)
