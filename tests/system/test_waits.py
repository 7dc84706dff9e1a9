"""Macros of the host that wait: for a script on a peer, an event, a value of its status."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re

import pytest

from tests.lab.api import ApiError
from tests.system.macros import (
    fresh,
    remote_call,
    router_section,
    set_state,
    shown,
    start_duo,
    wait_known,
    wait_shown,
)

pytestmark = pytest.mark.pairs

HOST = """
[gcode_macro TELL]
gcode:
    {% set fed = printer.router.events.fed %}
    {% if fed is defined %}
        SHOW LANE={fed.context.lane} SOURCE={fed.source}
    {% endif %}
[gcode_macro LAST_ERROR]
gcode:
    {action_respond_info("LAST_ERROR " ~ printer.router.last_error)}
[gcode_macro FEED]
gcode:
    ROUTER_EVENT_WAIT EVENT=fed
    TELL
"""

# G4 and M400 take their time on the emulated MCU only
PEER = """
[neopixel strip]
pin: gpio1
[gcode_macro SLOW]
gcode:
    M118 slow begin
    G4 P{params.MS|default(400)|int}
    M400
    M118 slow end
[gcode_macro MANY_LINES]
gcode:
    {action_respond_info(range(1000)|join("\\n"))}
[gcode_macro HANG]
gcode:
    M118 hanging
    G4 P30000
[gcode_macro JAM]
gcode:
    {action_raise_error("no filament")}
[gcode_macro MISTAKE]
gcode:
    NONSENSE
    M118 Klipper goes on
[gcode_macro FED]
gcode:
    {action_call_remote_method("router/event/trigger", event="fed", context=dict(lane=3))}
[gcode_macro CALL_BACK]
gcode:
    {action_call_remote_method("router/gcode/script", target="main", script="SHOW FROM=led",
                                gcode_callback="SHOW")}
"""


@pytest.fixture(scope="module")
def duo(shared_lab):
    return start_duo(
        shared_lab,
        router_section(shared_lab, "absent") + HOST,
        PEER,
        led_mcu="fake",
        options="status_interval: 0.05\n",
        led_options="timeout: 3",
    )


@pytest.fixture
def main(duo):
    return duo.main


@pytest.fixture
def led(duo):
    """The peer, as it was before whatever a test does to it."""
    yield duo.led
    if duo.led.process.poll() is not None or duo.led.state() != "ready":
        duo.led.stop()
        duo.led.start().wait_ready()
        wait_known(duo.main, "led")


def last_error(main):
    """printer.router.last_error, read by a macro: a query of status takes up to 250 ms."""
    mark = main.mark()
    main.script("LAST_ERROR")
    return main.wait_line("LAST_ERROR ", start=mark)[len("// LAST_ERROR ") :]


def echoes(printer, start):
    """What M118 and the router printed since then."""
    lines = (line.replace("// ", "echo: ", 1) for line in printer.console[start:])
    return [line[len("echo: ") :] for line in lines if line.startswith("echo: ")]


class Waiting:
    """A script that waits, sent to a printer; prints "over" when it continues."""

    def __init__(self, printer, script):
        self.start = printer.mark()
        self.api = printer.api()
        self._number = self.api.request(
            "gcode/script", {"script": f"M118 waiting\n{script} TIMEOUT=20\nM118 over"}
        )
        printer.wait_line("waiting", start=self.start)
        # Klippy answers no sooner than the script pauses
        self.api.call("info")

    def end(self):
        """Wait for its end; ApiError is its failure."""
        with self.api:
            self.api.answer(self._number, timeout=10.0)


# WAIT=1


def test_returns_when_the_script_has_finished_and_shows_its_console(main, led):
    mark = main.mark()
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SLOW WAIT=1\nM118 after")
    main.wait_line("after", start=mark)
    assert echoes(main, mark) == ["led: slow begin", "led: slow end", "after"]

    # What other clients make it print later is not shown, nor is any line shown twice
    led.script("M118 between")
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 again' WAIT=1")
    main.wait_line("led: again", start=mark)
    assert echoes(main, mark)[3:] == ["led: again"]


def test_all_lines_of_a_long_message_are_shown_in_their_order(main):
    mark = main.mark()
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=MANY_LINES WAIT=1\nM118 after")
    main.wait_line("after", start=mark)
    assert echoes(main, mark) == [*(f"led: {number}" for number in range(1000)), "after"]


def test_without_wait_it_returns_at_once_and_shows_nothing(main, led):
    # The reader of led's console may lag behind
    begin = str(fresh())
    led.script(f"M118 {begin}")
    led.wait_line(begin)
    mark, sent = main.mark(), led.mark()
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SLOW\nM118 after")
    main.wait_line("after", start=mark)
    assert "echo: slow end" not in led.console[sent:]
    led.wait_line("slow end", start=sent)
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 next' WAIT=1")
    main.wait_line("led: next", start=mark)
    assert echoes(main, mark) == ["after", "led: next"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("SET_LED LED=foo", r"led: The value 'foo' is not valid for LED.*"),
        ("JAM", r"led: Error evaluating 'gcode_macro JAM:gcode': .*no filament\s*"),
        ("NONSENSE A=1", r'led: Unknown command:"NONSENSE"'),
        ("MISTAKE", r'led: Unknown command:"NONSENSE"'),
    ],
)
def test_a_failure_is_an_error_with_the_peers_own_message(main, led, script, message):
    mark = main.mark()
    with pytest.raises(ApiError) as raised:
        main.script(f"ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='{script}' WAIT=1\nM118 after")
    assert re.fullmatch(message, str(raised.value))
    assert last_error(main) == str(raised.value).strip()
    # The next one does not fail because of it
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 fine' WAIT=1")
    main.wait_line("led: fine", start=mark)
    assert "after" not in echoes(main, mark)


def test_warn_prints_the_failure_and_goes_on(main, led):
    mark = main.mark()
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=JAM WAIT=1 ON_ERROR=warn\nM118 after")
    main.wait_line("after", start=mark)
    assert "no filament" in last_error(main)
    assert "// Router: " + last_error(main) in [line.strip() for line in main.console[mark:]]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("TARGET=lde SCRIPT=X WAIT=1", "Unknown printer 'lde'. Known: main, led, absent"),
        ("TARGET=lde SCRIPT=X WAIT=1 ON_ERROR=warn", "Unknown printer 'lde'"),
        ("TARGET=absent SCRIPT=X WAIT=1", "absent is not connected"),
        ("TARGET=absent SCRIPT=X WAIT_EVENT=fed", "absent is not connected"),
        ("TARGET=led SCRIPT=X WAIT=1 ON_ERROR=ignore", "write raise, pause or warn"),
        ("TARGET=led SCRIPT=X WAIT=1 SYNC=1", "SYNC=1"),
        ("TARGET=led SCRIPT=X WAIT=1 TIMEOUT=0", "TIMEOUT"),
        ("TARGET=led SCRIPT=X WAIT=1 TIMEOUT=nan", "Error on 'ROUTER_GCODE_SCRIPT"),
        ("TARGET=led SCRIPT=X WAIT_EVENT=fed TIMEOUT=inf", "Error on 'ROUTER_GCODE_SCRIPT"),
        ("TARGET=led SCRIPT=X WAIT_EVENT=''", "Missing parameter EVENT"),
        (f"TARGET=led SCRIPT=X WAIT_EVENT={'x' * 101}", "EVENT is too long: 100 characters"),
        (f"TARGET=led SCRIPT={'X' * 17000} WAIT=1", "more than 16384"),
        (f"TARGET=led SCRIPT={'X' * 17000}", "more than 16384"),
    ],
)
def test_an_impossible_wait_is_an_error_at_once(main, command, message):
    with pytest.raises(ApiError) as raised:
        main.script(f"ROUTER_GCODE_SCRIPT {command}", timeout=10.0)
    assert message in str(raised.value)


def test_a_script_that_timed_out_in_the_queue_is_not_sent_later(main, led):
    mark = led.mark()
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='SLOW MS=1500'")
    with pytest.raises(ApiError) as raised:
        main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 too late' WAIT=1 TIMEOUT=0.2")
    assert str(raised.value) == (
        "led: the script has not begun after 0.2 seconds, and will not be sent"
    )
    assert last_error(main) == str(raised.value).strip()
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 marker' WAIT=1")
    led.wait_line("marker", start=mark)
    assert echoes(led, mark) == ["slow begin", "slow end", "marker"]


def test_a_script_that_timed_out_behind_others_on_the_peer_runs_later_and_the_error_says_so(
    main, led
):
    mark = led.mark()
    with led.api() as others:
        number = others.request("gcode/script", {"script": "SLOW MS=1500"})
        led.wait_line("slow begin", start=mark)
        with pytest.raises(ApiError) as raised:
            main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 late' WAIT=1 TIMEOUT=0.2")
        assert str(raised.value) == (
            "led: the script has not begun after 0.2 seconds. It will still run there when its turn"
            " comes: Klipper cannot cancel it"
        )
        others.answer(number, timeout=10.0)
    led.wait_line("late", start=mark)


def test_a_script_that_timed_out_on_the_peer_keeps_running_there(main, led):
    mark, told = led.mark(), main.mark()
    with pytest.raises(ApiError, match="not finished after 0.2 seconds. It is still running there"):
        main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='SLOW MS=800' WAIT=1 TIMEOUT=0.2")
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 marker' WAIT=1")
    led.wait_line("marker", start=mark)
    assert echoes(led, mark) == ["slow begin", "slow end", "marker"]
    main.wait_line("led: marker", start=told)


def test_a_script_for_the_host_itself_runs_in_place(main):
    mark = main.mark()
    main.script("ROUTER_GCODE_SCRIPT TARGET=main SCRIPT='M118 inside' WAIT=1\nM118 after")
    main.wait_line("after", start=mark)
    assert echoes(main, mark) == ["inside", "after"]
    for script, message in (
        ("SDCARD_PRINT_FILE FILENAME=none", "main: Unable to open file"),
        ("NONSENSE", 'main: Unknown command:"NONSENSE"'),
        ("ROUTER_EVENT_WAIT EVENT=never TIMEOUT=0.3 ON_ERROR=warn", "main: the script took longer"),
    ):
        with pytest.raises(ApiError) as raised:
            main.script(f"ROUTER_GCODE_SCRIPT TARGET=main SCRIPT='{script}' WAIT=1 TIMEOUT=0.2")
        assert str(raised.value).startswith(message)


def test_a_peer_that_calls_back_into_the_waiting_host_does_not_deadlock(main, led):
    main.script("ROUTER_EVENT_SUBSCRIBE EVENT=fed GCODE=SHOW_A")
    mark, called = main.mark(), led.mark()
    main.script(
        "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=CALL_BACK WAIT=1\n"
        "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=FED WAIT=1\n"
        "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SLOW WAIT=1\n"
        "M118 after",
        timeout=15.0,
    )
    # Its turn comes when the script that waited has ended
    wait_shown(main, "SHOW", mark, FROM="led")
    wait_shown(main, "SHOW_A", mark, LANE="3")
    wait_shown(led, "SHOW", called)
    said = [line.split()[0] for line in echoes(main, mark)]
    assert [word for word in said if word != "led:"] == ["after", "SHOW", "SHOW_A"]
    main.script("ROUTER_EVENT_UNSUBSCRIBE EVENT=fed")


# WAIT_EVENT and ROUTER_EVENT_WAIT


def test_wait_event_listens_before_the_script_is_sent(main, led):
    mark = main.mark()
    # The event is triggered while the script runs: on the host in place, on led at its first line
    main.script(
        "ROUTER_GCODE_SCRIPT TARGET=main SCRIPT='ROUTER_EVENT_TRIGGER EVENT=fed LANE=1'"
        " WAIT_EVENT=fed TIMEOUT=5\nTELL\n"
        "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=FED WAIT_EVENT=fed TIMEOUT=5\nTELL"
    )
    wait_shown(main, "SHOW", mark, LANE="3")
    assert [(call["LANE"], call["SOURCE"]) for call in shown(main, "SHOW", mark)] == [
        ("1", "main"),
        ("3", "led"),
    ]


def test_wait_event_waits_for_the_event_and_not_for_the_script(main, led):
    waiting = Waiting(main, "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 sent' WAIT_EVENT=fed")
    # Led's next script begins when the answer of the first one was handled
    main.call("router/gcode/script", {"target": "led", "script": "M118 next"})
    main.call("router/event/trigger", {"event": "another"})
    assert echoes(main, waiting.start) == ["waiting", "led: sent"]
    remote_call(led, "router/event/trigger", event="fed")
    waiting.end()
    main.wait_line("over", start=waiting.start)


@pytest.mark.parametrize(
    ("script", "message"),
    [("JAM", "no filament"), ("NONSENSE", 'led: Unknown command:"NONSENSE"')],
)
def test_wait_event_ends_when_the_script_fails(main, led, script, message):
    with pytest.raises(ApiError, match=message):
        main.script(f"ROUTER_GCODE_SCRIPT TARGET=led SCRIPT={script} WAIT_EVENT=fed", timeout=10.0)


def test_event_wait_passes_the_context_to_the_next_macro(main, led):
    waiting = Waiting(main, "FEED")
    main.call("router/event/trigger", {"event": "feds", "context": {"lane": 1}})
    remote_call(led, "router/event/trigger", event="fed", context={"lane": 4})
    waiting.end()
    wait_shown(main, "SHOW", waiting.start)
    assert shown(main, "SHOW", waiting.start) == [{"LANE": "4", "SOURCE": "led"}]


def test_event_wait_sees_events_from_its_start_only(main):
    main.script("ROUTER_EVENT_TRIGGER EVENT=early RETAIN=1 LANE=1")
    with pytest.raises(ApiError) as raised:
        main.script("ROUTER_EVENT_WAIT EVENT=early TIMEOUT=0.3")
    assert str(raised.value) == "event 'early' was not triggered within 0.3 seconds"
    assert last_error(main) == str(raised.value).strip()
    mark = main.mark()
    main.script("ROUTER_EVENT_WAIT EVENT=early TIMEOUT=0.1 ON_ERROR=warn\nM118 after")
    main.wait_line("after", start=mark)


# ROUTER_OBJECTS_WAIT


def test_objects_wait_waits_until_the_condition_is_true(main, led):
    set_state(led, x=1, text="cold")
    conditions = ("x MAXIMUM=1", "x NOT_EQUALS=1", "x EQUALS=3", "x MINIMUM=10 MAXIMUM=20")
    wait = "ROUTER_OBJECTS_WAIT TARGET=led OBJECT='gcode_macro STATE' FIELD="
    script = "".join(f"{wait}{condition}\nM118 {condition}\n" for condition in conditions)
    waiting = Waiting(main, f"{script}{wait}text EQUALS=warm")
    with main.api() as watcher:
        watcher.call(
            "router/objects/subscribe",
            {"target": "led", "objects": {"gcode_macro STATE": None}, "response_template": {}},
        )
        fulfilled = 1
        for values, steps in (
            ({"x": 2}, 1),
            ({"x": 4}, 0),
            ({"x": 3}, 1),
            ({"x": 30}, 0),
            ({"x": 15}, 1),
            ({"text": "hot"}, 0),
        ):
            set_state(led, **values)
            # The host has seen it, and what does not fulfil the condition does not end the wait
            watcher.wait_for(lambda m, v=values: v == m["params"]["status"]["gcode_macro STATE"])
            fulfilled += steps
            main.wait_line(conditions[fulfilled - 1], start=waiting.start)
            assert echoes(main, waiting.start) == ["waiting", *conditions[:fulfilled]]
    set_state(led, text="warm")
    waiting.end()
    main.wait_line("over", start=waiting.start)
    assert main.query({"router": ["subscriptions"]})["router"]["subscriptions"] == 0


@pytest.mark.parametrize("event", ["''", "x" * 101])
def test_event_wait_refuses_names_that_cannot_be_triggered(main, event):
    with pytest.raises(ApiError, match="EVENT"):
        main.script(f"ROUTER_EVENT_WAIT EVENT={event}", timeout=10.0)


def test_objects_wait_names_the_value_it_has_when_it_times_out(main, led):
    set_state(led, x=7)
    wait = "ROUTER_OBJECTS_WAIT TARGET=led OBJECT='gcode_macro STATE' FIELD=x"
    with pytest.raises(ApiError) as raised:
        main.script(f"{wait} EQUALS=8 TIMEOUT=1")
    assert str(raised.value) == "led: gcode_macro STATE.x is still '7' after 1 second"
    assert last_error(main) == str(raised.value).strip()
    for condition in ("", "MINIMUM=warm", "MAXIMUM=nan"):
        with pytest.raises(ApiError, match="write EQUALS= or NOT_EQUALS="):
            main.script(f"{wait} {condition}")
    for target in ("main", "led"):
        with pytest.raises(ApiError, match="Cannot subscribe: .* name of more than 100 characters"):
            main.script(f"ROUTER_OBJECTS_WAIT TARGET={target} OBJECT={'x' * 101} FIELD=x EQUALS=1")
    with pytest.raises(ApiError, match="absent is not connected"):
        main.script("ROUTER_OBJECTS_WAIT TARGET=absent OBJECT=toolhead FIELD=x EQUALS=1")


# What ends a wait early. Last, because printers are shut down and killed here


def test_a_peer_that_shuts_down_ends_the_wait(main, led):
    mark = led.mark()
    waiting = Waiting(main, "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=HANG WAIT=1")
    led.wait_line("hanging", start=mark)
    led.call("emergency_stop")
    with pytest.raises(
        ApiError, match="^led.*Shutdown due to webhooks request.*unknown$"
    ) as raised:
        waiting.end()
    assert last_error(main) == str(raised.value).strip()


def test_a_script_that_shuts_the_peer_down_has_failed(main, led):
    """Klippy answers with success, and reports the shutdown a quarter of a second later."""
    with pytest.raises(ApiError, match="^led.*Shutdown due to M112.*, outcome unknown$"):
        main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=M112 WAIT=1")


def test_a_peer_that_is_killed_leaves_the_outcome_unknown(main, led):
    mark = led.mark()
    waiting = Waiting(main, "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=HANG WAIT=1")
    led.wait_line("hanging", start=mark)
    led.kill()
    with pytest.raises(ApiError) as raised:
        waiting.end()
    assert str(raised.value) == "led: connection lost, outcome unknown"
    assert last_error(main) == str(raised.value).strip()


@pytest.mark.parametrize(
    "wait",
    [
        "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='SLOW MS=1500' WAIT=1",
        "ROUTER_EVENT_WAIT EVENT=fed",
        "ROUTER_OBJECTS_WAIT TARGET=led OBJECT='gcode_macro STATE' FIELD=x EQUALS=99",
    ],
    ids=["script", "event", "objects"],
)
def test_a_shutdown_of_the_host_ends_every_wait(main, led, wait):
    waiting = Waiting(main, wait)
    with main.api() as queued:
        number = queued.request("gcode/script", {"script": "SHOW QUEUED=1"})
        queued.call("info")
        main.call("emergency_stop")
        with pytest.raises(ApiError) as raised:
            waiting.end()
        assert str(raised.value).startswith("main is not ready (shutdown: Shutdown due to webh")
        last = main.query({"router": ["last_error"]})["router"]["last_error"]
        assert last == str(raised.value)
        with pytest.raises(ApiError, match="Shutdown due to webhooks request"):
            queued.answer(number, timeout=5.0)
    main.restart(firmware=True)
    main.script("M118 marker")
    main.wait_line("marker", start=waiting.start)
    assert echoes(main, waiting.start)[-1] == "marker"
    assert not {"over", "SHOW"} & {line.split()[0] for line in echoes(main, waiting.start)}
