"""Requests beyond what a Klippy can handle are answered "busy", and no connection ends."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
import time
from typing import Iterator, List

import pytest

from klippy_extras.router.api.webhooks import MAX_WAITING
from klippy_extras.router.printers.printer import MAX_QUEUE
from klippy_extras.router.printers.remote_printer import MAX_REQUESTS
from tests.lab import config
from tests.lab.api import Api, ApiError
from tests.lab.lab import Lab
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until
from tests.system.macros import check_log

CALLERS = 300  # about 97 paused greenlets end a Kalico or a Klipper of 2023

# The config itself is a status larger than Klipper's parser can read in time
LONG = "".join(
    f"[gcode_macro LONG_{chr(65 + i)}]\ndescription: {'x' * 1000}\ngcode:\n" for i in range(20)
)
PEER = """
[gcode_macro SLOW]
gcode:
    G4 P2500
    M400
[gcode_macro COUNT]
variable_n: 0
gcode:
    SET_GCODE_VARIABLE MACRO=COUNT VARIABLE=n VALUE={n + 1}
"""


@pytest.fixture(scope="module")
def running(shared_lab: Lab) -> Lab:
    """A host, and a peer that can be busy, both of this kind."""
    lab = shared_lab
    text = f"[router]\n[router led]\nsock: {lab.sock('led')}\n"
    lab.main(config.printing(text + LONG))
    lab.peer("led", config.printing(PEER + LONG, mcu="fake"), mcu="fake")
    lab.wait_ready()
    until_led_ready(lab)
    return lab


def test_callers_beyond_the_limit_are_refused_at_once_and_the_others_are_served(running: Lab):
    host, led = running.printers["main"], running.printers["led"]
    params = {"target": "led", "script": "SLOW"}
    with host.api() as api:
        numbers = [api.request("router/gcode/script", params) for _ in range(CALLERS)]
        refused: List[str] = []
        for number in numbers[MAX_WAITING:]:
            with pytest.raises(ApiError) as error:
                api.answer(number, timeout=20.0)
            refused.append(str(error.value))
        assert all("busy" in text for text in refused)
        assert host.state() == led.state() == "ready"
        assert api.answer(numbers[0], timeout=20.0) == {}
    led.call("emergency_stop")  # no need to wait for the remaining scripts
    led.restart(firmware=True)


# What is known on this printer, whatever the state of the others
AT_ONCE = [
    ("router/printers/list", {}),
    ("router/event/subscribe", {"event": "e", "gcode": "SHOW"}),
    ("router/event/trigger", {"event": "nobody"}),
    ("router/event/unsubscribe", {"event": "e"}),
    ("router/objects/list", {"target": "main"}),
    ("router/objects/query", {"target": "main", "objects": {"toolhead": None}}),
    ("router/objects/unsubscribe", {"target": "led"}),
]


@pytest.fixture
def frozen(running: Lab) -> Iterator[LabPrinter]:
    """The peer, which answers nothing until the end of the test."""
    led = running.printers["led"]
    until_led_ready(running)
    led.freeze()
    yield led
    led.thaw()


def fill(api: Api) -> List[int]:
    """Send as many requests as may wait, and one that is refused; returns their numbers."""
    params = {"target": "led", "script": "M400"}
    numbers = [api.request("router/gcode/script", params) for _ in range(MAX_WAITING)]
    with pytest.raises(ApiError, match="API requests are waiting"):
        api.call("router/gcode/script", params)
    return numbers


def test_what_can_be_answered_at_once_is_never_refused(running: Lab, frozen: LabPrinter):
    host = running.printers["main"]
    with host.api() as waiting:
        numbers = fill(waiting)
        for method, params in AT_ONCE:
            host.call(method, params)
        frozen.thaw()
        for number in numbers:
            waiting.answer(number)


def test_disconnected_clients_do_not_count_towards_the_limit(running: Lab, frozen: LabPrinter):
    host = running.printers["main"]
    for _again in range(4):
        with host.api() as gone:
            fill(gone)
    with host.api() as api:
        script = {"target": "led", "script": "M400"}
        numbers = [api.request("router/gcode/script", script) for _ in range(MAX_WAITING)]
        assert api.call("router/printers/list")
        frozen.thaw()
        for number in numbers:
            assert api.answer(number) == {}
    assert host.state() == "ready"
    check_log(host)


def test_a_busy_peer_gets_every_script_that_was_accepted_and_no_other(running: Lab):
    host, led = running.printers["main"], running.printers["led"]
    until_led_ready(running)
    mark = host.mark()
    host.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SLOW")
    host.script("\n".join(["ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=COUNT"] * CALLERS))
    host.wait_line("led is busy", start=mark)

    def refused() -> bool:
        busy = [line for line in host.console[mark:] if "led is busy" in line]
        left_out = [re.search(r"\((\d+) more like this left out\)", line) for line in busy]
        count = sum(1 if found is None else int(found[1]) for found in left_out)
        return count == CALLERS - MAX_QUEUE

    wait_until(refused, 20.0, "the others are refused", [host])
    host.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=M400 WAIT=1 ON_ERROR=warn TIMEOUT=30")
    wait_until(lambda: counted(led) == MAX_QUEUE, 20.0, "all counted", [led])
    host.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=M400 WAIT=1 TIMEOUT=30")
    assert counted(led) == MAX_QUEUE
    assert host.state() == led.state() == "ready"


def counted(led: LabPrinter) -> int:
    return int(led.query(["gcode_macro COUNT"])["gcode_macro COUNT"]["n"])


def until_led_ready(lab: Lab) -> None:
    host = lab.printers["main"]
    wait_until(
        lambda: host.query(["router"])["router"]["printers"]["led"]["ready"],
        10.0,
        "led ready",
        [host],
    )


def test_requests_at_their_limit_do_not_delay_scripts(running: Lab):
    host = running.printers["main"]
    until_led_ready(running)
    query = "ROUTER_OBJECTS_QUERY TARGET=led OBJECTS=idle_timeout:state"
    script = "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=M400"
    mark = host.mark()
    host.script("\n".join([query] * (MAX_REQUESTS + 8) + [script]))
    host.wait_line("requests are not answered", start=mark)
    host.script(script + " WAIT=1 TIMEOUT=10")


def test_an_answer_too_long_for_a_callback_is_an_error_and_the_peer_stays_connected(running: Lab):
    host = running.printers["main"]
    until_led_ready(running)
    before = host.query(["router led"])["router led"]["reconnects"]
    for target in ("led", "main"):
        params = {
            "target": target,
            "objects": {"configfile": ["config"]},
            "gcode_callback": "SHOW_IT",
        }
        with pytest.raises(
            ApiError, match="^SHOW_IT was not run: the values are longer than 16384 characters, or"
        ):
            host.call("router/objects/query", params, timeout=10.0)
    after = host.query(["router led"])["router led"]
    assert (after["ready"], after["reconnects"]) == (True, before)


def test_a_subscription_that_is_replaced_before_its_first_snapshot_is_answered(running: Lab):
    host, led = running.printers["main"], running.printers["led"]
    until_led_ready(running)
    led.freeze()
    try:
        with host.api() as api:
            params = {
                "target": "led",
                "objects": {"toolhead": None},
                "response_template": {"method": "told"},
            }
            numbers = [api.request("router/objects/subscribe", params) for _ in range(5)]
            led.thaw()
            for number in numbers:
                assert "toolhead" in api.answer(number, timeout=10.0)["status"]
    finally:
        led.thaw()


def test_a_script_that_waited_for_this_printer_runs_as_soon_as_its_turn_comes(running: Lab):
    host = running.printers["main"]
    until_led_ready(running)
    mark = host.mark()
    wait = "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SLOW WAIT=1\nM118 holder"
    with host.api() as api:
        holder = api.request("gcode/script", {"script": wait})
        time.sleep(0.1)
        ours = api.request("router/gcode/script", {"target": "main", "script": "M118 ours"})
        time.sleep(0.1)
        other = api.request("gcode/script", {"script": "M118 other"})
        for number in (holder, ours, other):
            api.answer(number, timeout=10.0)
    for word in ("ours", "other"):  # the console is a separate connection
        host.wait_line(f"echo: {word}", start=mark)
    said = [line for line in host.console[mark:] if line.startswith("echo: ")]
    assert said == ["echo: holder", "echo: ours", "echo: other"]
