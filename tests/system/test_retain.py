"""Events that are kept for later subscribers, and subscriptions that end in *."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import shlex
from types import SimpleNamespace

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.system.macros import (
    check_log,
    fresh,
    recorder,
    remote_call,
    router_section,
    shown,
    start_trio,
    wait_known,
    wait_shown,
)

WITH_STAR = """
[gcode_macro WITH_STAR]
variable_args: {}
gcode:
    {action_call_remote_method(params.METHOD, event=params.EVENT ~ "*", **args)}
"""
ONCE = """
[gcode_macro ONCE]
variable_event: ""
gcode:
    {action_call_remote_method("router/event/unsubscribe", event=event, gcode="ONCE")}
    SHOW_A N={params.N}
"""
ON_READY = """
[gcode_macro ROUTER_ON_READY]
gcode:
    {action_call_remote_method("router/event/subscribe", event="kept/restart", gcode="SHOW_A")}
"""


@pytest.fixture(scope="module")
def trio(shared_lab):
    return start_trio(
        shared_lab,
        main=WITH_STAR + ONCE,
        led=WITH_STAR + ONCE + ON_READY,
        afc=WITH_STAR,
    )


@pytest.fixture
def name():
    """The beginning of event names of this test's own."""
    return f"test{fresh()}"


@pytest.fixture(params=["led", "main"])
def owner(request, trio):
    """A peer, or the host."""
    return trio.lab.printers[request.param]


@pytest.fixture(params=["peer", "host macro", "command", "api"])
def retain(request, trio):
    """Triggers a retained event through one of the interfaces."""

    def trigger(event, **context):
        if request.param == "command":
            words = "".join(f" {key.upper()}='{value}'" for key, value in context.items())
            trio.main.script(f"ROUTER_EVENT_TRIGGER EVENT={event} RETAIN=1{words}")
            return
        params = {"event": event, "context": context, "retain": True}
        if request.param == "api":
            trio.main.call("router/event/trigger", params)
            return
        caller = trio.afc if request.param == "peer" else trio.main
        mark = caller.mark()
        remote_call(caller, "router/event/trigger", gcode_callback="SHOW", **params)
        wait_shown(caller, start=mark)

    return trigger


def trigger(trio, event, retain=False, **context):
    params = {"event": event, "context": context, "retain": retain}
    return trio.main.call("router/event/trigger", params)


def call(owner, method, event, **params):
    """Call from a macro; the * is in the macro, as a 2023 parser takes none in a parameter."""
    if not event.endswith("*"):
        remote_call(owner, method, event=event, **params)
        return
    args = shlex.quote(repr(params))
    owner.script(
        f"SET_GCODE_VARIABLE MACRO=WITH_STAR VARIABLE=args VALUE={args}\n"
        f"WITH_STAR METHOD={method} EVENT='{event[:-1]}'"
    )


def subscribe(owner, event, gcode="SHOW_A"):
    """Subscribe, and wait until the router confirms it."""
    mark = owner.mark()
    call(owner, "router/event/subscribe", event, gcode=gcode, gcode_callback="SHOW_B")
    wait_shown(owner, "SHOW_B", mark)


# -- retain


def test_a_later_subscriber_gets_it_once(trio, owner, name, retain):
    retain(name, lane=1, by="two words")
    mark = owner.mark()
    subscribe(owner, name)
    expected = {"LANE": "1", "BY": "two words"}
    assert wait_shown(owner, "SHOW_A", mark) == expected
    trigger(trio, name, lane="end")
    wait_shown(owner, "SHOW_A", mark, LANE="end")
    assert shown(owner, "SHOW_A", mark) == [expected, {"LANE": "end"}]


def test_every_later_subscriber_gets_it(trio, name):
    trigger(trio, name, retain=True, n=1)
    for owner in (trio.main, trio.led, trio.afc):
        mark = owner.mark()
        subscribe(owner, name)
        wait_shown(owner, "SHOW_A", mark, N="1")


def test_an_earlier_subscriber_gets_it_as_any_event(trio, owner, name):
    subscribe(owner, name)
    mark = owner.mark()
    assert trigger(trio, name, retain=True, n=1) == {"delivered": [owner.name], "failed": {}}
    wait_shown(owner, "SHOW_A", mark, N="1")


def test_the_latest_one_is_kept(trio, owner, name):
    for n in (1, 2):
        trigger(trio, name, retain=True, n=n)
    mark = owner.mark()
    subscribe(owner, name)
    wait_shown(owner, "SHOW_A", mark, N="2")
    assert shown(owner, "SHOW_A", mark) == [{"N": "2"}]


def test_without_retain_nothing_is_kept(trio, owner, name):
    trigger(trio, name, n=1)
    mark = owner.mark()
    subscribe(owner, name)
    trigger(trio, name, n=2)
    wait_shown(owner, "SHOW_A", mark, N="2")
    assert shown(owner, "SHOW_A", mark) == [{"N": "2"}]


def test_an_owner_that_restarted_gets_it_again(trio):
    mark = trio.led.mark()
    trigger(trio, "kept/restart", retain=True, n=1)
    wait_shown(trio.led, "SHOW_A", mark, N="1")
    mark = trio.led.mark()
    trio.led.restart()
    wait_known(trio.main, "led")
    wait_shown(trio.led, "SHOW_A", mark, N="1")
    trigger(trio, "kept/restart", n=2)
    wait_shown(trio.led, "SHOW_A", mark, N="2")
    assert shown(trio.led, "SHOW_A", mark) == [{"N": "1"}, {"N": "2"}]


def test_an_owner_that_reconnects_gets_what_it_has_missed(lab, kind):
    """Its handlers are kept, and its ROUTER_ON_READY subscribes once more."""
    sections = "[router]\n" + router_section(lab, "led", "timeout: 1")
    main = lab.printer(kind, "main", config.printing(sections + recorder()))
    led = lab.printer(kind, "led", config.printing(recorder() + ON_READY))
    lab.wait_ready()
    wait_known(main, "led")
    duo = SimpleNamespace(main=main, led=led)
    settle(duo)
    mark = led.mark()
    trigger(duo, "kept/restart", retain=True, n=1)
    settle(duo)
    for missed in (None, 2):
        led.freeze()
        wait_known(main, "led", ready=False)
        if missed:
            assert "led" in trigger(duo, "kept/restart", retain=True, n=missed)["failed"]
        led.thaw()
        wait_known(main, "led")
        settle(duo)
    assert shown(led, "SHOW_A", mark) == [{"N": "1"}, {"N": "2"}]


def settle(trio):
    """Wait until led has handled everything in flight, and whatever that causes."""
    for i in range(3):
        mark = trio.led.mark()
        script = {"target": "led", "script": f"SHOW END={i}"}
        trio.main.call("router/gcode/script", script)
        wait_shown(trio.led, start=mark, END=str(i))


def test_a_target_that_restarted_gets_it_again_when_the_owner_subscribes(trio, name):
    trigger(trio, name, retain=True, n=1)
    command = f"ROUTER_EVENT_SUBSCRIBE EVENT={name} GCODE=SHOW_A CALLBACK_TARGET=led"
    mark = trio.led.mark()
    for _again in range(2):
        trio.main.script(command)
    settle(trio)
    assert shown(trio.led, "SHOW_A", mark) == [{"N": "1"}]
    trio.led.restart()
    wait_known(trio.main, "led")
    mark = trio.led.mark()
    trio.main.script(command)
    wait_shown(trio.led, "SHOW_A", mark, N="1")


def test_a_removed_handler_does_not_run_for_queued_events(trio, owner, name):
    """It unsubscribes itself at its first event, when others are queued already."""
    value = shlex.quote(repr(name))
    owner.script(f"SET_GCODE_VARIABLE MACRO=ONCE VARIABLE=event VALUE={value}")
    subscribe(owner, name, "ONCE")
    mark = owner.mark()
    trio.main.script("".join(f"ROUTER_EVENT_TRIGGER EVENT={name} N={n}\n" for n in range(5)))
    for i in range(2):
        trio.main.call("router/gcode/script", {"target": owner.name, "script": f"SHOW END={i}"})
        wait_shown(owner, start=mark, END=str(i))
    assert shown(owner, "SHOW_A", mark) == [{"N": "0"}]
    # As a new handler it runs again
    subscribe(owner, name, "ONCE")
    trigger(trio, name, n=9)
    wait_shown(owner, "SHOW_A", mark, N="9")


def test_an_api_client_gets_it_pushed(trio, name):
    trigger(trio, name, retain=True, n=1)
    with trio.main.api() as api:
        template = {"method": "pushed"}
        api.call("router/event/subscribe", {"event": name, "response_template": template})
        told = api.wait_for(lambda message: message["method"] == "pushed")["params"]
        assert told.pop("age") >= 0.0
        assert told == {"event": name, "context": {"n": 1}, "source": "main", "retain": True}
        trigger(trio, name, n=2)
        assert api.wait_for(lambda message: True)["params"]["context"] == {"n": 2}


def test_a_context_that_does_not_fit_is_reported_to_the_subscriber(trio, owner, name):
    trigger(trio, name, retain=True, n=1)
    mark = owner.mark()
    subscribe(owner, name, "SHOW_A LANE={lane}")
    assert "{lane}" in owner.wait_line("Router: ", start=mark)
    trigger(trio, name, lane=1)
    assert wait_shown(owner, "SHOW_A", mark) == {"LANE": "1"}


# -- events by their beginning


def test_a_star_matches_every_event_with_that_prefix(trio, owner, name):
    subscribe(owner, f"{name}/*")
    mark = owner.mark()
    for event in (f"{name}/a", f"{name}b", f"{name}/b/c", f"{name}/"):
        trigger(trio, event, k=event)
    wait_shown(owner, "SHOW_A", mark, EVENT=f"{name}/")
    assert shown(owner, "SHOW_A", mark) == [
        {"K": event, "EVENT": event} for event in (f"{name}/a", f"{name}/b/c", f"{name}/")
    ]


def test_its_template_can_use_the_name(trio, owner, name):
    subscribe(owner, f"{name}*", "SHOW_A WHAT='{event}' N={n}")
    mark = owner.mark()
    trigger(trio, f"{name}.x", n=1)
    assert wait_shown(owner, "SHOW_A", mark) == {"WHAT": f"{name}.x", "N": "1"}


def test_one_event_reaches_each_of_its_handlers(trio, name):
    marks = {printer: printer.mark() for printer in (trio.led, trio.afc)}
    subscribe(trio.led, f"{name}/*")
    subscribe(trio.led, f"{name}/a", "SHOW_A EXACT=1")
    subscribe(trio.afc, "*")
    assert trigger(trio, f"{name}/a")["delivered"] == ["led", "afc"]
    trigger(trio, f"{name}/end")
    event, end = {"EVENT": f"{name}/a"}, {"EVENT": f"{name}/end"}
    for printer in (trio.led, trio.afc):
        wait_shown(printer, "SHOW_A", marks[printer], **end)
    assert shown(trio.led, "SHOW_A", marks[trio.led]) == [event, {"EXACT": "1"}, end]
    assert shown(trio.afc, "SHOW_A", marks[trio.afc])[-2:] == [event, end]
    call(trio.afc, "router/event/unsubscribe", "*")


def test_unsubscribing_needs_the_name_as_subscribed(trio, owner, name):
    subscribe(owner, f"{name}/*")
    for event, removed in ((f"{name}/a", "0"), (f"{name}/*", "1")):
        mark = owner.mark()
        call(owner, "router/event/unsubscribe", event, gcode_callback="SHOW")
        assert wait_shown(owner, start=mark) == {"REMOVED": removed}
    assert trigger(trio, f"{name}/a") == {"delivered": [], "failed": {}}


def test_every_retained_event_with_that_prefix_is_delivered(trio, owner, name):
    for event in ("a", "b", "c"):
        trigger(trio, f"{name}/{event}", retain=event != "b", k=event)
    mark = owner.mark()
    subscribe(owner, f"{name}/*")
    wait_shown(owner, "SHOW_A", mark, K="c")
    assert shown(owner, "SHOW_A", mark) == [
        {"K": event, "EVENT": f"{name}/{event}"} for event in ("a", "c")
    ]


def test_an_api_client_can_subscribe_to_a_prefix(trio, name):
    with trio.main.api() as api:
        template = {"method": "pushed"}
        api.call("router/event/subscribe", {"event": f"{name}/*", "response_template": template})
        for event in (f"{name}/a", name, f"{name}/b"):
            trigger(trio, event)
        told = [api.wait_for(lambda message: True)["params"]["event"] for _ in range(2)]
        assert told == [f"{name}/a", f"{name}/b"]


def test_a_star_cannot_be_triggered(trio, name):
    with pytest.raises(ApiError, match=r"\* is only for subscriptions"):
        trigger(trio, f"{name}/*")
    check_log(trio.main)
