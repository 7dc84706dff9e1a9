"""Peers that connect late, restart, crash or hang: the host stays ready, and all works again."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
import time

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.forwarder import Forwarder
from tests.lab.waiting import wait_until
from tests.system.macros import (
    Trio,
    check_log,
    fresh,
    recorder,
    remote_call,
    remote_result,
    router_section,
    set_state,
    shown,
    wait_known,
    wait_shown,
)

RESTARTS = 20
# Everything works again this long after the peer itself is ready (seconds)
AGAIN = 2.0

# What people write: a printer that connects again registers again
PEER = """
[gcode_macro ROUTER_ON_READY]
gcode:
    {action_call_remote_method("router/event/subscribe", event="fed", gcode="SHOW_A")}
    {action_respond_info("ROUTER_ON_READY")}
[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    {action_call_remote_method("router/objects/subscribe", target=params.PRINTER,
        objects={"gcode_macro STATE": ["x"]}, gcode_callback="SHOW_B")}
"""
MAIN = """
[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    ROUTER_OBJECTS_SUBSCRIBE TARGET={params.PRINTER} OBJECTS="gcode_macro STATE:x" CALLBACK=SHOW_B
"""


@pytest.fixture(scope="module")
def running(shared_lab):
    """main and led; afc, behind a tunnel, has no macros of the lifecycle but ROUTER_ON_READY."""
    lab = shared_lab
    near = str(lab.folder / "tunnel.sock")
    tunnel = Forwarder(near, lab.sock("afc"))
    sections = "[router]\nstatus_interval: 0.05\n" + router_section(lab, "led", "timeout: 1")
    sections += f"[router afc]\nsock: {near}\n" + recorder() + MAIN
    trio = Trio(
        lab,
        lab.main(config.printing(sections)),
        lab.peer("led", config.printing(recorder() + PEER)),
        lab.peer("afc", config.printing(recorder("ROUTER_ON_READY"))),
    )
    trio.main.wait_ready()
    trio.led.wait_ready()
    trio.afc.wait_ready()
    wait_known(trio.main, "led", "afc")
    with tunnel:
        yield trio, tunnel
    check_log(trio.main)


@pytest.fixture
def trio(running):
    yield running[0]
    assert running[0].main.state() == "ready"


@pytest.fixture
def tunnel(running):
    return running[1]


def log_lines(printer, name):
    """What klippy.log says of a peer's state, so far."""
    # "is not connected" is the error of scripts sent meanwhile
    start = re.compile(f"router: {name} (?=connected|disconnected|is (?!not connected))")
    lines = printer.log_text().splitlines()
    return [start.sub("", line, count=1) for line in lines if start.match(line)]


def reconnects(printer, name):
    return printer.query([f"router {name}"])[f"router {name}"]["reconnects"]


def count_subscriptions(printer):
    return printer.query(["router"])["router"]["subscriptions"]


def wait_reconnected(main, name, count):
    """Wait until the host has a peer ready on a later connection than the first `count` of them."""
    wait_until(
        lambda: reconnects(main, name) > count, 10.0, f"main connects to {name} again", [main]
    )
    wait_known(main, name)


def wait_works(trio, printer, mark, timeout=10.0):
    """Wait until everything works with a peer that has PEER's macros; returns the seconds."""
    begin = time.monotonic()
    wait_known(trio.main, printer.name, timeout=timeout)
    # It gets what it subscribed to: an event and the status of the host
    wait_shown(printer, "SHOW_B", mark, timeout=timeout)
    n, x = fresh(), fresh()
    trio.main.script(f"ROUTER_EVENT_TRIGGER EVENT=fed N={n}")
    set_state(trio.main, x=x)
    # It can be sent scripts, queried, and subscribed to
    trio.main.script(f"ROUTER_GCODE_SCRIPT TARGET={printer.name} SCRIPT='SHOW N={n}'")
    wait_shown(printer, "SHOW_A", mark, timeout, N=str(n))
    wait_shown(printer, "SHOW", mark, timeout, N=str(n))
    wait_shown(printer, "SHOW_B", mark, timeout, GCODE_MACRO_STATE_X=str(x))
    own = trio.main.mark()
    x = fresh()
    set_state(printer, x=x)
    wait_shown(trio.main, "SHOW_B", own, timeout, GCODE_MACRO_STATE_X=str(x))
    assert trio.main.state() == "ready"
    return time.monotonic() - begin


def assert_changes(lines, *expected):
    """One line for every change of state, each matching one of the patterns, in their order."""
    assert len(lines) == len(expected), lines
    for line, pattern in zip(lines, expected):
        assert re.match(pattern, line), lines


def without_startup(lines):
    """Whether the host finds a peer in startup or ready is chance: both as "connected: ready"."""
    text = "\n".join(lines)
    return re.sub(r"connected: startup, (.*)\nis ready", r"connected: ready, \1", text).split("\n")


def test_a_peer_that_is_offline_at_the_start_can_connect_later(lab, kind):
    sections = "[router]\n" + router_section(lab, "led") + router_section(lab, "never")
    main = lab.printer(kind, "main", config.printing(sections + recorder() + MAIN))
    led = lab.add(kind, "led", config.printing(recorder() + PEER))
    main.wait_ready()
    assert main.call("router/printers/list")["printers"][1] == {
        "name": "led",
        "connected": False,
        "ready": False,
        "state": "disconnected",
        "local": False,
    }
    with pytest.raises(ApiError, match="^led is not connected$"):
        main.call("router/gcode/script", {"target": "led", "script": "SHOW"})
    assert log_lines(main, "led") == []
    led.start().wait_ready()
    assert wait_works(Trio(lab, main, led, led), led, 0) < AGAIN
    assert_changes(without_startup(log_lines(main, "led")), "connected: ready")
    assert log_lines(main, "never") == []
    assert shown(led, "SHOW") != [] and shown(led, "SHOW")[0].keys() == {"N"}


def test_a_peer_restarts_and_each_time_it_works_again(trio):
    before = len(log_lines(trio.main, "led"))
    for _restart in range(3):
        count, mark = reconnects(trio.main, "led"), trio.led.mark()
        trio.led.begin_restart()
        trio.led.wait_ready()
        begin = time.monotonic()
        wait_reconnected(trio.main, "led", count)
        wait_works(trio, trio.led, mark)
        assert time.monotonic() - begin < AGAIN
    lines = without_startup(log_lines(trio.main, "led")[before:])
    assert_changes(lines, *["disconnected: ", "connected: ready"] * 3)


def test_a_peer_restarts_20_times_in_a_row(trio):
    before, subscriptions = len(log_lines(trio.main, "led")), count_subscriptions(trio.main)
    for _restart in range(RESTARTS):
        # Without waiting for the host, which may connect to it in any state
        count = reconnects(trio.main, "led")
        trio.led.begin_restart()
        trio.led.wait_ready()
    begin = time.monotonic()
    wait_reconnected(trio.main, "led", count)
    mark = trio.led.mark()
    n = fresh()
    trio.main.script(f"ROUTER_EVENT_TRIGGER EVENT=fed N={n}")
    wait_shown(trio.led, "SHOW_A", mark, N=str(n))
    assert time.monotonic() - begin < AGAIN
    # A second handler would have run before this
    trio.main.call("router/gcode/script", {"target": "led", "script": "SHOW END=1"})
    wait_shown(trio.led, "SHOW", mark, END="1")
    assert shown(trio.led, "SHOW_A", mark) == [{"N": str(n)}]
    assert count_subscriptions(trio.main) == subscriptions
    lines = without_startup(log_lines(trio.main, "led")[before:])
    assert len(lines) >= 2
    assert len(lines) <= 2 * RESTARTS
    assert_changes(lines, *["disconnected: ", "connected: "] * (len(lines) // 2))


def test_a_killed_peer_works_again_after_it_reconnects(trio):
    before, mark = len(log_lines(trio.main, "led")), trio.led.mark()
    trio.led.kill()
    wait_known(trio.main, "led", ready=False)
    trio.led.start().wait_ready()
    assert wait_works(trio, trio.led, mark) < AGAIN
    lines = without_startup(log_lines(trio.main, "led")[before:])
    assert_changes(lines, "disconnected: ", "connected: ready")


def test_a_peer_stopped_for_longer_than_timeout_reconnects_and_keeps_its_registrations(trio):
    handler = {"event": "kept", "gcode": "SHOW_A"}
    assert remote_result(trio.led, "router/event/subscribe", **handler) == {}
    subscription = {"target": "afc", "objects": {"gcode_macro STATE": ["y"]}}
    remote_call(trio.led, "router/objects/subscribe", gcode_callback="SHOW", **subscription)
    y, mark = fresh(), trio.led.mark()
    set_state(trio.afc, y=y)
    wait_shown(trio.led, start=mark, GCODE_MACRO_STATE_Y=str(y))

    before = len(log_lines(trio.main, "led"))
    trio.led.freeze()
    try:
        with pytest.raises(ApiError, match="^led: connection lost, outcome unknown$"):
            trio.main.call("router/gcode/script", {"target": "led", "script": "M118 perhaps"})
        with pytest.raises(ApiError, match="^led is not connected$"):
            trio.main.call("router/gcode/script", {"target": "led", "script": "SHOW LATE=1"})
        y, x, mark = fresh(), fresh(), trio.led.mark()
        set_state(trio.afc, y=y)
        assert trio.main.state() == "ready"
    finally:
        trio.led.thaw()
    assert wait_works(trio, trio.led, mark) < AGAIN
    # What changed meanwhile, and the handler registered before
    wait_shown(trio.led, start=mark, GCODE_MACRO_STATE_Y=str(y))
    trio.main.script(f"ROUTER_EVENT_TRIGGER EVENT=kept N={x}")
    wait_shown(trio.led, "SHOW_A", mark, N=str(x))
    assert {"LATE": "1"} not in shown(trio.led, start=mark)
    lines = log_lines(trio.main, "led")[before:]
    assert_changes(lines, "disconnected: .*did not answer", "connected: ready")
    assert remote_result(trio.led, "router/event/unsubscribe", **handler) == {"REMOVED": "1"}
    remote_call(trio.led, "router/objects/unsubscribe", target="afc", gcode_callback="SHOW")


def test_a_peer_stopped_for_less_than_timeout_stays_connected(trio):
    before, mark = len(log_lines(trio.main, "led")), trio.led.mark()
    with trio.main.api() as api:
        trio.led.freeze()
        try:
            number = api.request(
                "router/gcode/script", {"target": "led", "script": "SHOW PATIENT=1"}
            )
            api.call("router/printers/list")
        finally:
            trio.led.thaw()
        assert api.answer(number) == {}
    wait_shown(trio.led, start=mark, PATIENT="1")
    assert log_lines(trio.main, "led")[before:] == []


def test_a_broken_connection_through_a_tunnel_is_a_new_session(trio, tunnel):
    """There is no way to know whether the same Klippy is behind it."""
    handler = {"event": "far", "gcode": "SHOW_A"}
    assert remote_result(trio.afc, "router/event/subscribe", **handler) == {}
    remote_call(
        trio.afc,
        "router/objects/subscribe",
        target="main",
        objects={"gcode_macro STATE": ["y"]},
        gcode_callback="SHOW",
    )
    remote_result(trio.afc, "router/printers/list")
    assert trio.main.call("router/event/trigger", {"event": "far"})["delivered"] == ["afc"]
    subscriptions = count_subscriptions(trio.main)
    before, count = len(log_lines(trio.main, "afc")), reconnects(trio.main, "afc")
    mark = trio.afc.mark()
    tunnel.cut()
    wait_reconnected(trio.main, "afc", count)
    trio.afc.wait_line("ROUTER_ON_READY", start=mark)
    assert_changes(log_lines(trio.main, "afc")[before:], "disconnected: ", "connected: ready")
    assert trio.main.call("router/event/trigger", {"event": "far"})["delivered"] == []
    assert count_subscriptions(trio.main) == subscriptions - 1
    # The subscriptions of others go on
    mark, x = trio.main.mark(), fresh()
    set_state(trio.afc, x=x)
    wait_shown(trio.main, "SHOW_B", mark, GCODE_MACRO_STATE_X=str(x))


def test_a_peer_behind_a_tunnel_restarts(trio):
    before, count = len(log_lines(trio.main, "afc")), reconnects(trio.main, "afc")
    trio.afc.begin_restart()
    trio.afc.wait_ready()
    wait_reconnected(trio.main, "afc", count)
    mark = trio.afc.mark()
    trio.main.script("ROUTER_GCODE_SCRIPT TARGET=afc SCRIPT=SHOW")
    wait_shown(trio.afc, start=mark)
    # A tunnel with nothing behind it is not a connection, and is not logged
    lines = without_startup(log_lines(trio.main, "afc")[before:])
    assert_changes(lines, "disconnected: ", "connected: ready")
