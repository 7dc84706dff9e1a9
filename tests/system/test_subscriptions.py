"""Status subscriptions: who gets which values, how often, and what survives a restart."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab.waiting import wait_until
from tests.system.macros import (
    fresh,
    remote_call,
    remote_result,
    set_fields,
    set_state,
    shown,
    start_trio,
    wait_known,
    wait_shown,
)

pytestmark = pytest.mark.pairs

# As people write it: whenever a printer connects, the LED subscribes to its state
LED = """
[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    {% if params.PRINTER == "main" %}
    {action_call_remote_method("router/objects/subscribe", target="main",
        objects={"print_stats": ["state"], "webhooks": ["state"]},
        gcode_callback="ON_STATUS_UPDATE")}
    {% endif %}
[gcode_macro ON_STATUS_UPDATE]
gcode:
    {action_respond_info("ON_STATUS_UPDATE " ~ rawparams)}
"""


@pytest.fixture(scope="module")
def running(shared_lab):
    trio = start_trio(shared_lab, led=LED)
    (trio.main.gcodes / "short.gcode").write_text("G4 P10\n")
    return trio


@pytest.fixture
def trio(running):
    """The three printers; what the test subscribes by SHOW, SHOW_A and SHOW_B ends with it."""
    yield running
    for printer in (running.main, running.led, running.afc):
        for target in ("main", "led", "afc"):
            for callback in ("SHOW", "SHOW_A", "SHOW_B"):
                remote_call(
                    printer, "router/objects/unsubscribe", target=target, gcode_callback=callback
                )
        remote_result(printer, "router/printers/list")


@pytest.fixture(params=["main", "afc"])
def target(request, trio):
    """The host or a peer, for subscriptions of led."""
    return trio.lab.printers[request.param]


def subscribe(printer, target, objects, callback="SHOW_A"):
    remote_call(
        printer,
        "router/objects/subscribe",
        target=target.name,
        objects=objects,
        gcode_callback=callback,
    )


def state_params(**fields):
    """The callback's parameters for these fields of `gcode_macro STATE`."""
    return {f"GCODE_MACRO_STATE_{name.upper()}": str(value) for name, value in fields.items()}


def change(printer, **other):
    """Change x of `gcode_macro STATE`, and more; returns the callback's parameters for it."""
    x = fresh()
    set_state(printer, x=x, **other)
    return state_params(x=x, **other)


# -- the values


def test_the_first_callback_has_all_values_and_later_ones_only_changes(trio, target):
    set_state(target, text=None)
    mark = trio.led.mark()
    subscribe(trio.led, target, {"gcode_macro STATE": None, "webhooks": ["state"]})
    news = change(target)
    wait_shown(trio.led, "SHOW_A", mark, **news)
    first, *later = shown(trio.led, "SHOW_A", mark)
    # None is left out of the first one
    assert first.keys() == {*state_params(x=0, y=0), "WEBHOOKS_STATE"}
    # Unless the first one had it already
    assert later in ([news], [])
    seen = len(shown(trio.led, "SHOW_A", mark))
    news = change(target)
    wait_shown(trio.led, "SHOW_A", mark, **news)
    assert shown(trio.led, "SHOW_A", mark)[seen:] == [news]


def test_a_value_that_becomes_none_later_is_an_empty_text(trio, target):
    news = change(target, text="words")
    mark = trio.led.mark()
    subscribe(trio.led, target, {"gcode_macro STATE": ["x", "text"]})
    wait_shown(trio.led, "SHOW_A", mark, **news)
    set_state(target, text=None)
    wait_shown(trio.led, "SHOW_A", mark, **state_params(text=""))
    assert shown(trio.led, "SHOW_A", mark)[-1] == state_params(text="")


def test_two_subscribers_of_one_target_each_get_exactly_what_they_requested(trio):
    marks = [trio.led.mark(), trio.main.mark()]
    y = fresh()
    news = change(trio.afc, y=y)
    subscribe(trio.led, trio.afc, {"gcode_macro STATE": ["x"]}, "SHOW_A")
    subscribe(trio.main, trio.afc, {"gcode_macro STATE": ["y"], "webhooks": ["state"]}, "SHOW_A")
    subscribe(trio.led, trio.afc, {"gcode_macro STATE": None}, "SHOW_B")
    wait_shown(trio.led, "SHOW_B", marks[0], **news)

    marks = [trio.led.mark(), trio.main.mark()]
    y = fresh()
    news = change(trio.afc, y=y)
    x_news = {"GCODE_MACRO_STATE_X": news["GCODE_MACRO_STATE_X"]}
    wait_shown(trio.led, "SHOW_A", marks[0], **x_news)
    wait_shown(trio.main, "SHOW_A", marks[1], **state_params(y=y))
    wait_shown(trio.led, "SHOW_B", marks[0], **state_params(y=y))
    assert shown(trio.led, "SHOW_A", marks[0])[-1] == x_news
    assert shown(trio.main, "SHOW_A", marks[1])[-1] == state_params(y=y)
    assert all(p.keys() <= {"GCODE_MACRO_STATE_X"} for p in shown(trio.led, "SHOW_A", marks[0]))

    # And when one of them ends, the other is updated as before
    remote_call(trio.led, "router/objects/unsubscribe", target="afc", gcode_callback="SHOW_A")
    remote_call(trio.led, "router/objects/unsubscribe", target="afc", gcode_callback="SHOW_B")
    y = fresh()
    change(trio.afc, y=y)
    wait_shown(trio.main, "SHOW_A", marks[1], **state_params(y=y))


def test_subscribing_twice_gives_one_callback_per_change(trio, target):
    mark = trio.led.mark()
    for _again in range(2):
        subscribe(trio.led, target, {"gcode_macro STATE": ["x"]})
    wait_shown(trio.led, "SHOW_A", mark)
    for _change in range(2):
        news = change(target)
        wait_shown(trio.led, "SHOW_A", mark, **news)
    # The next change has arrived: a second callback for the first one would have, too
    changes = shown(trio.led, "SHOW_A", mark)
    assert len([p for p in changes if p == news]) == 1
    assert len({tuple(p.items()) for p in changes[1:]}) == len(changes[1:])


def test_subscribing_again_replaces_the_requested_fields(trio, target):
    mark = trio.led.mark()
    subscribe(trio.led, target, {"gcode_macro STATE": ["x"]})
    wait_shown(trio.led, "SHOW_A", mark)
    subscribe(trio.led, target, {"gcode_macro STATE": ["y"]})
    wait_until(
        lambda: any("GCODE_MACRO_STATE_Y" in p for p in shown(trio.led, "SHOW_A", mark)),
        5.0,
        "the snapshot of the second subscription",
        [trio.led],
    )
    mark = trio.led.mark()
    y = fresh()
    change(target, y=y)
    wait_shown(trio.led, "SHOW_A", mark, **state_params(y=y))
    assert all("GCODE_MACRO_STATE_X" not in p for p in shown(trio.led, "SHOW_A", mark))


def test_callbacks_that_differ_only_in_case_are_the_same(trio, target):
    mark = trio.led.mark()
    subscribe(trio.led, target, {"gcode_macro STATE": ["x"]}, "SHOW_A")
    subscribe(trio.led, target, {"gcode_macro STATE": ["x"]}, "show_a")
    wait_shown(trio.led, "SHOW_A", mark)
    count = trio.main.query({"router": ["subscriptions"]})["router"]["subscriptions"]
    remote_call(trio.led, "router/objects/unsubscribe", target=target.name, gcode_callback="Show_A")
    remote_result(trio.led, "router/printers/list")
    left = trio.main.query({"router": ["subscriptions"]})["router"]["subscriptions"]
    assert left == count - 1


def test_the_same_subscription_twice_before_its_first_values_is_no_error(trio, target):
    marks = [trio.led.mark(), trio.main.mark()]
    for _again in range(2):
        subscribe(trio.led, target, {"gcode_macro STATE": ["x"]})
    command = "ROUTER_OBJECTS_SUBSCRIBE OBJECTS=webhooks:state CALLBACK=SHOW_A TARGET="
    trio.main.script(f"{command}{target.name}\n{command}{target.name}")
    wait_shown(trio.led, "SHOW_A", marks[0])
    wait_shown(trio.main, "SHOW_A", marks[1])
    for printer, mark in zip((trio.led, trio.main), marks):
        remote_result(printer, "router/printers/list")
        assert not [line for line in printer.console[mark:] if "!!" in line or "ERROR" in line]


def test_a_subscription_that_ends_before_its_first_values_is_no_error(trio, target):
    mark = trio.led.mark()
    subscribe(trio.led, target, {"gcode_macro STATE": ["x"]})
    remote_call(trio.led, "router/objects/unsubscribe", target=target.name, gcode_callback="SHOW_A")
    remote_result(trio.led, "router/objects/query", target=target.name, objects="webhooks:state")
    assert not [line for line in trio.led.console[mark:] if "!!" in line or "ERROR" in line]


def test_an_api_client_that_subscribes_twice_at_once_gets_both_answers(trio, target):
    params = {"target": target.name, "objects": {"gcode_macro STATE": ["x"]}}
    params["response_template"] = {"method": "pushed"}
    with trio.main.api() as api:
        for number in [api.request("router/objects/subscribe", params) for _again in range(2)]:
            assert api.answer(number)["status"]["gcode_macro STATE"].keys() == {"x"}


def test_a_subscription_of_the_owners_own_status_works(trio):
    mark = trio.led.mark()
    subscribe(trio.led, trio.led, {"gcode_macro STATE": ["x"]})
    news = change(trio.led)
    wait_shown(trio.led, "SHOW_A", mark, **news)


# -- merging


def test_while_a_callback_runs_newer_values_are_merged_into_the_next(trio):
    mark = trio.led.mark()
    subscribe(trio.led, trio.main, {"gcode_macro STATE": ["x", "y", "text"]})
    wait_shown(trio.led, "SHOW_A", mark)
    mark = trio.led.mark()
    template = {"target": "main", "objects": {"gcode_macro STATE": ["x"]}, "response_template": {}}
    with trio.main.api() as api:
        api.call("router/objects/subscribe", template)
        trio.led.freeze()
        try:
            values = []
            y = fresh()
            for number in range(5):
                # Only the second change has a new y
                values.append(change(trio.main, **({"y": y} if number == 1 else {})))
                x = int(values[-1]["GCODE_MACRO_STATE_X"])
                # Until the router has seen it
                api.wait_for(lambda m, x=x: m["params"]["status"]["gcode_macro STATE"]["x"] == x)
        finally:
            trio.led.thaw()
    latest = values[-1]
    wait_shown(trio.led, "SHOW_A", mark, **latest)
    assert shown(trio.led, "SHOW_A", mark) == [values[0], {**latest, **state_params(y=y)}]
    # Nothing was left after it
    news = change(trio.main)
    wait_shown(trio.led, "SHOW_A", mark, **news)
    assert shown(trio.led, "SHOW_A", mark)[2:] == [news]


# -- restarts and shutdowns


def test_a_restarted_target_is_subscribed_again_automatically_with_a_fresh_snapshot(trio):
    news = change(trio.afc, y=fresh())
    mark = trio.led.mark()
    subscribe(trio.led, trio.afc, {"gcode_macro STATE": None})
    wait_shown(trio.led, "SHOW_A", mark, **news)
    mark = trio.led.mark()
    trio.afc.restart()
    # The values of the config, all of them
    wait_shown(trio.led, "SHOW_A", mark, **state_params(x=0, y=0))
    news = change(trio.afc)
    wait_shown(trio.led, "SHOW_A", mark, **news)
    assert shown(trio.led, "SHOW_A", mark)[-1] == news


def test_a_restarted_target_sends_its_values_even_if_they_are_the_same(trio):
    trio.afc.restart()
    wait_known(trio.main, "afc")
    mark = trio.led.mark()
    subscribe(trio.led, trio.afc, {"gcode_macro STATE": None})
    wait_shown(trio.led, "SHOW_A", mark, **state_params(x=0, y=0))
    mark = trio.led.mark()
    trio.afc.restart()
    wait_shown(trio.led, "SHOW_A", mark, **state_params(x=0, y=0))


def test_what_a_restarted_target_no_longer_has_is_sent_as_none(trio):
    news = change(trio.afc, y=fresh(), text="words")
    marks = [trio.led.mark(), trio.main.mark()]
    subscribe(trio.led, trio.afc, {"gcode_macro STATE": None})
    subscribe(trio.main, trio.afc, {"gcode_macro STATE": ["x"]})
    wait_shown(trio.led, "SHOW_A", marks[0], **news)
    wait_shown(trio.main, "SHOW_A", marks[1])
    before = (trio.afc.folder / "printer.cfg").read_text()
    trio.afc.write_config(before.replace("[gcode_macro STATE]", "[gcode_macro OTHER]"))
    marks = [trio.led.mark(), trio.main.mark()]
    try:
        trio.afc.restart()
        wait_shown(trio.led, "SHOW_A", marks[0], **state_params(x="", y="", text=""))
        wait_shown(trio.main, "SHOW_A", marks[1], **state_params(x=""))
        # And a later subscriber does not get the old values
        subscribe(trio.led, trio.afc, {"gcode_macro STATE": None, "webhooks": ["state"]}, "SHOW_B")
        wait_shown(trio.led, "SHOW_B", marks[0])
        assert shown(trio.led, "SHOW_B", marks[0]) == [{"WEBHOOKS_STATE": "ready"}]
    finally:
        trio.afc.write_config(before)
        trio.afc.restart()
        wait_known(trio.main, "afc")


def test_a_field_that_an_object_no_longer_has_is_sent_as_none(trio, target):
    set_fields(target, a=1, b=2)
    mark = trio.led.mark()
    subscribe(trio.led, target, {"lab_console": None})
    wait_shown(trio.led, "SHOW_A", mark, LAB_CONSOLE_A="1", LAB_CONSOLE_B="2")
    mark = trio.led.mark()
    set_fields(target, a=3)
    wait_shown(trio.led, "SHOW_A", mark, LAB_CONSOLE_A="3", LAB_CONSOLE_B="")
    set_fields(target, a=3, b=2)
    wait_shown(trio.led, "SHOW_A", mark, LAB_CONSOLE_B="2")
    assert len(shown(trio.led, "SHOW_A", mark)) == 2


def test_subscriptions_end_with_the_session_of_their_owner(trio):
    def count():
        return trio.main.query(["router"])["router"]["subscriptions"]

    before, mark = count(), trio.afc.mark()
    for target in (trio.led, trio.main):
        news = change(target)
        subscribe(trio.afc, target, {"gcode_macro STATE": ["x"]}, "SHOW_A")
        wait_shown(trio.afc, "SHOW_A", mark, **news)
    assert count() == before + 2
    trio.afc.begin_restart()
    mark = trio.afc.mark()
    trio.afc.wait_ready()
    wait_until(lambda: count() == before, 5.0, "they are forgotten", [trio.main])
    wait_known(trio.main, "afc")
    subscribe(trio.afc, trio.main, {"gcode_macro STATE": ["x"]}, "SHOW_B")
    news = change(trio.main)
    wait_shown(trio.afc, "SHOW_B", mark, **news)
    assert shown(trio.afc, "SHOW_A", mark) == []


def test_a_restarted_led_shows_the_right_state_without_a_workaround(trio):
    mark = trio.led.mark()
    trio.main.script("SDCARD_PRINT_FILE FILENAME=short.gcode")
    wait_shown(trio.led, "ON_STATUS_UPDATE", mark, PRINT_STATS_STATE="complete")
    mark = trio.led.mark()
    trio.led.restart()
    first = {"PRINT_STATS_STATE": "complete", "WEBHOOKS_STATE": "ready"}
    wait_shown(trio.led, "ON_STATUS_UPDATE", mark, **first)
    trio.main.script("SDCARD_RESET_FILE")
    wait_shown(trio.led, "ON_STATUS_UPDATE", mark, PRINT_STATS_STATE="standby")
    # One subscription, whatever happened
    assert shown(trio.led, "ON_STATUS_UPDATE", mark) == [first, {"PRINT_STATS_STATE": "standby"}]


def test_a_peer_that_is_shut_down_still_forwards_its_status(trio):
    mark = trio.led.mark()
    subscribe(trio.led, trio.afc, {"webhooks": ["state"], "gcode_macro STATE": ["x"]})
    wait_shown(trio.led, "SHOW_A", mark, WEBHOOKS_STATE="ready")
    try:
        trio.afc.script("M112")
        wait_shown(trio.led, "SHOW_A", mark, WEBHOOKS_STATE="shutdown")
        # A new subscription to it works as well
        subscribe(trio.led, trio.afc, {"webhooks": None}, "SHOW_B")
        told = wait_shown(trio.led, "SHOW_B", mark, WEBHOOKS_STATE="shutdown")
        assert "M112" in told["WEBHOOKS_STATE_MESSAGE"]
    finally:
        mark = trio.led.mark()
        trio.afc.restart()
        wait_known(trio.main, "afc")
    wait_shown(trio.led, "SHOW_A", mark, WEBHOOKS_STATE="ready")


def test_a_host_that_is_shut_down_still_forwards_its_status(trio):
    mark = trio.led.mark()
    subscribe(trio.led, trio.main, {"webhooks": ["state"]})
    wait_shown(trio.led, "SHOW_A", mark, WEBHOOKS_STATE="ready")
    try:
        trio.main.script("M112")
        wait_shown(trio.led, "SHOW_A", mark, WEBHOOKS_STATE="shutdown")
        wait_shown(trio.led, "ON_STATUS_UPDATE", mark, WEBHOOKS_STATE="shutdown")
        # A peer that connects now gets the status, too
        mark = trio.afc.mark()
        subscribe(trio.afc, trio.main, {"webhooks": ["state"]})
        wait_shown(trio.afc, "SHOW_A", mark, WEBHOOKS_STATE="shutdown")
    finally:
        mark = trio.led.mark()
        trio.main.restart()
        wait_known(trio.main, "led", "afc")
    # The host's own restart registered everything again
    wait_shown(trio.led, "ON_STATUS_UPDATE", mark, WEBHOOKS_STATE="ready")


def test_a_led_that_restarts_while_the_host_is_shut_down_shows_the_error(trio):
    try:
        trio.main.script("M112")
        trio.main.wait_state("shutdown")
        mark = trio.led.mark()
        trio.led.restart()
        wait_known(trio.main, "led")
        remote_call(
            trio.led,
            "router/objects/subscribe",
            target="main",
            objects={"webhooks": ["state"]},
            gcode_callback="SHOW",
        )
        wait_shown(trio.led, "SHOW", mark, WEBHOOKS_STATE="shutdown")
    finally:
        trio.main.restart()
        wait_known(trio.main, "led", "afc")
