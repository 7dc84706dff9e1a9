"""A wait blocks the macro that waits and nothing else: not the printer, not its other clients."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import statistics
from types import SimpleNamespace

import pytest

from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.macros import remote_call, set_state, start_duo, wait_known, wait_shown

WAIT = "ROUTER_EVENT_WAIT EVENT=go TIMEOUT=30"


@pytest.fixture(scope="module")
def duo(shared_lab):
    # On the emulated MCU time passes, so that its status changes at every tick
    return start_duo(shared_lab, mcu="fake")


@pytest.fixture
def waiting(duo):
    """A connection whose script waits for the event "go", and the number of its request."""
    start = duo.main.mark()
    with duo.main.api() as api:
        script = f"M118 waiting\n{WAIT}\nM118 over"
        number = api.request("gcode/script", {"script": script})
        duo.main.wait_line("waiting", start=start)
        api.call("info")
        yield SimpleNamespace(start=start, end=lambda: api.answer(number))
    if duo.main.state() != "ready":
        duo.main.restart(firmware=True)
        wait_known(duo.main, "led")


def go(duo, waiting):
    """Trigger the event that ends the wait, and wait for the end."""
    duo.main.call("router/event/trigger", {"event": "go"})
    waiting.end()
    duo.main.wait_line("over", start=waiting.start)


def lines(duo, waiting):
    """What M118 printed on the host since the wait began."""
    said = duo.main.console[waiting.start :]
    return [line[len("echo: ") :] for line in said if line.startswith("echo: ")]


def test_gcode_of_other_clients_waits_as_for_any_long_command(duo, waiting):
    with duo.main.api() as first, duo.main.api() as second:
        answers = []
        for api, name in ((first, "one"), (second, "two")):
            answers.append((api, api.request("gcode/script", {"script": f"M118 {name}"})))
            # It has been read: this is sent on the same connection
            assert api.call("info")["state"] == "ready"
        remote_call(duo.led, "router/gcode/script", target="main", script="SHOW FROM=led")
        assert lines(duo, waiting) == ["waiting"]
        go(duo, waiting)
        for api, number in answers:
            api.answer(number)
    wait_shown(duo.main, "SHOW", waiting.start, FROM="led")
    assert lines(duo, waiting)[:2] == ["waiting", "over"]
    assert sorted(lines(duo, waiting)[2:]) == ["one", "two"]


def test_status_goes_on_at_four_hertz(duo, waiting):
    with duo.main.api() as api:
        own = {"objects": {"toolhead": ["estimated_print_time"]}, "response_template": {"own": 1}}
        api.call("objects/subscribe", own)
        ticks = [api.wait_for(lambda m: "own" in m)["params"]["eventtime"] for _ in range(6)]
        # By Klippy's own clock. Generous: the error would be no update, or one at the end
        assert statistics.median(b - a for a, b in zip(ticks, ticks[1:])) < 0.4

        peers = {"target": "led", "objects": {"gcode_macro STATE": ["x"]}}
        api.call("router/objects/subscribe", {**peers, "response_template": {"led": 1}})
        for x in range(100, 103):
            set_state(duo.led, x=x)
            update = api.wait_for(lambda m: "led" in m)["params"]
            assert update["status"] == {"gcode_macro STATE": {"x": x}}
    assert lines(duo, waiting) == ["waiting"]
    go(duo, waiting)


def test_events_go_on(duo, waiting):
    handler = {"event": "news", "gcode": "SHOW_A", "callback_target": "led"}
    duo.main.call("router/event/subscribe", handler)
    with duo.main.api() as api:
        api.call("router/event/subscribe", {"event": "news", "response_template": {"told": 1}})
        for number in range(3):
            mark = duo.led.mark()
            remote_call(duo.led, "router/event/trigger", event="news", context={"n": number})
            assert api.wait_for(lambda m: "told" in m)["params"]["context"] == {"n": number}
            wait_shown(duo.led, "SHOW_A", mark, N=str(number))
    recent = duo.main.query({"router": ["events"]})["router"]["events"]
    assert recent["news"]["context"] == {"n": 2}
    assert lines(duo, waiting) == ["waiting"]
    go(duo, waiting)


def test_emergency_stop_stops_everything_at_once(duo, waiting):
    with duo.main.api() as api, duo.main.api() as queued:
        number = queued.request("gcode/script", {"script": "SHOW QUEUED=1"})
        queued.call("info")
        api.call("emergency_stop")
        # Nothing is processed later: it is the same connection
        assert api.call("info")["state"] == "shutdown"
        wait_until(lambda: duo.main.mcu_dump()["shutdown"], 5.0, "the MCU has stopped", [duo.main])
        with pytest.raises(ApiError, match="Shutdown due to webhooks request"):
            waiting.end()
        with pytest.raises(ApiError, match="Shutdown due to webhooks request"):
            queued.answer(number)
    assert lines(duo, waiting) == ["waiting"]
