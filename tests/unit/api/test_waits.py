"""Macros that wait for scripts and events, and what ends their waits."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.api.wait_commands import DEFAULT_TIMEOUT
from klippy_extras.router.errors import LinkLost, RouterError
from tests.unit.fake_klippy import CommandError, FakeObject
from tests.unit.fake_router import Network

WAIT = "ROUTER_GCODE_SCRIPT TARGET={} SCRIPT=SHOW WAIT=1 "


@pytest.fixture
def network():
    network = Network()
    network.led.duration = network.afc.duration = None
    return network


def fails(network, script):
    """The error of a script that fails; it is the last error, too."""
    with pytest.raises(CommandError) as caught:
        network.run(script)
    return str(caught.value)


# -- for a script


def test_the_macro_goes_on_when_the_script_has_finished(network):
    begin = network.reactor.now
    network.reactor.at(7.0, network.led.finish)
    network.run(WAIT.format("led") + "\nSHOW_A")
    assert network.reactor.now == begin + 7.0
    assert network.take_ran()[1:] == ["SHOW_A"] and network.led.sent == ["SHOW"]


def test_what_the_script_prints_is_shown_here(network):
    def prints():
        network.led._running.follower.printed("loading lane 1\ndone")

    network.reactor.at(1.0, prints)
    network.reactor.at(2.0, network.led.finish)
    network.run(WAIT.format("led"))
    assert network.take_console() == ["// led: loading lane 1", "// led: done"]


def test_the_failure_of_the_script_ends_the_macro(network):
    network.reactor.at(1.0, lambda: network.led.finish(RouterError("led: no filament")))
    assert fails(network, WAIT.format("led") + "\nSHOW_A") == "led: no filament"
    assert network.last_error == "led: no filament"
    assert "SHOW_A" not in network.take_ran()


def test_a_wait_that_succeeds_clears_the_last_error(network):
    network.reactor.at(1.0, lambda: network.led.finish(RouterError("led: no filament")))
    fails(network, WAIT.format("led"))
    network.reactor.at(1.0, network.led.finish)
    network.run(WAIT.format("led"))
    assert network.last_error == ""


def test_a_timeout_while_the_script_is_queued(network):
    network.led.call_router("router/gcode/script", target="led", script="LONG")
    assert fails(network, WAIT.format("led") + "TIMEOUT=2.5") == (
        "led: the script has not begun after 2.5 seconds, and will not be sent"
    )
    assert network.led.take_sent() == ["LONG"]


def test_a_timeout_while_the_script_runs(network):
    begin = network.reactor.now
    assert fails(network, WAIT.format("led")) == (
        "led: the script has not finished after 60 seconds. It is still running there"
    )
    assert network.reactor.now == begin + DEFAULT_TIMEOUT


def test_a_timeout_before_the_peer_has_begun_the_script(network):
    def only_sent(job):
        job.follower.stage = job.follower.SENT

    network.led._begin = only_sent
    assert fails(network, WAIT.format("led") + "TIMEOUT=1").startswith(
        "led: the script has not begun after 1 second. It will still run there when its turn comes"
    )


def test_a_script_may_end_after_its_timeout(network):
    fails(network, WAIT.format("led") + "TIMEOUT=1")
    network.led.finish(RouterError("led: too late"))
    assert network.last_error.endswith("It is still running there")
    network.reactor.at(1.0, network.led.finish)
    network.run(WAIT.format("led"))


def test_several_scripts_are_waited_for_together(network):
    network.reactor.at(1.0, network.afc.finish)
    network.reactor.at(4.0, network.led.finish)
    begin = network.reactor.now
    network.run(WAIT.format("led,main,afc"))
    assert network.reactor.now == begin + 4.0
    assert network.take_ran()[1:] == ["SHOW"]


def test_every_failure_of_several_scripts_is_named(network):
    network.reactor.at(1.0, lambda: network.afc.finish(RouterError("afc: jam")))
    network.reactor.at(2.0, lambda: network.led.finish(RouterError("led: jam")))
    message = fails(network, WAIT.format("led,afc"))
    assert sorted(message.split("; ")) == ["afc: jam", "led: jam"]
    network.afc.disconnects()
    assert fails(network, WAIT.format("led,afc") + "TIMEOUT=1") == (
        "led: the script has not finished after 1 second. It is still running there;"
        " afc is not connected"
    )


def test_a_script_for_this_printer_runs_in_place(network):
    network.run(WAIT.format("main") + "\nSHOW_A")
    assert network.take_ran()[1:] == ["SHOW", "SHOW_A"]
    assert fails(network, "ROUTER_GCODE_SCRIPT TARGET=main SCRIPT=FAIL WAIT=1") == (
        "main: broken here"
    )
    network.command("SLOW", lambda gcmd: network.reactor.pause(network.reactor.now + 3.0))
    script = "ROUTER_GCODE_SCRIPT TARGET=main SCRIPT=SLOW WAIT=1 TIMEOUT=2"
    assert fails(network, script) == "main: the script took longer than 2 seconds"


# -- what a failure means


def test_warn_prints_the_failure_and_goes_on(network):
    network.led.disconnects()
    network.take_console()
    network.run(WAIT.format("led") + "ON_ERROR=warn\nSHOW_A")
    assert network.take_console() == ["// Router: led is not connected"]
    assert network.take_ran()[-1] == "SHOW_A"
    assert network.last_error == "led is not connected"


def test_warn_runs_the_error_macro_before_it_goes_on(network):
    network.command("ROUTER_ON_ERROR")
    network.printer.send_event("klippy:ready")
    network.led.disconnects()
    network.run(WAIT.format("led") + "ON_ERROR=warn\nSHOW_A")
    assert [line.split()[0] for line in network.take_ran()] == [
        "ROUTER_GCODE_SCRIPT",
        "ROUTER_ON_ERROR",
        "SHOW_A",
    ]


def test_the_last_error_is_that_of_the_wait_even_if_the_error_macro_waits(network):
    def waits(gcmd):
        network.gcode.run_script_from_command(WAIT.format("main"))

    network.command("ROUTER_ON_ERROR", waits)
    network.printer.send_event("klippy:ready")
    network.led.disconnects()
    network.run(WAIT.format("led") + "ON_ERROR=warn")
    assert "SHOW" in network.take_ran()
    assert network.last_error == "led is not connected"


@pytest.mark.parametrize("is_printing", [True, False])
def test_pause_pauses_a_print_and_is_an_error_outside_of_one(network, is_printing):
    network.command("PAUSE")
    network.printer.objects["print_stats"] = FakeObject(state="printing" if is_printing else "")
    network.led.disconnects()
    script = WAIT.format("led") + "ON_ERROR=pause\nSHOW_A"
    if is_printing:
        network.run(script)
        assert network.take_ran()[1:] == ["PAUSE", "SHOW_A"]
    else:
        assert fails(network, script) == "led is not connected"


def test_a_failed_pause_is_reported_too(network):
    network.command("PAUSE", network.fail)
    network.printer.objects["print_stats"] = FakeObject(state="printing")
    network.led.disconnects()
    assert fails(network, WAIT.format("led") + "ON_ERROR=pause") == (
        "led is not connected (broken here)"
    )


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (WAIT.format("no"), "Unknown printer 'no'"),
        (WAIT.format("no") + "ON_ERROR=warn", "Unknown printer 'no'"),
        (WAIT.format("led") + "ON_ERROR=ignore", "Invalid ON_ERROR 'ignore': write raise, pause"),
        (WAIT.format("led") + "SYNC=1", "SYNC=1 and WAIT=1 cannot be combined"),
        (WAIT.format("led") + "TIMEOUT=0", "TIMEOUT"),
        (WAIT.format("led") + "TIMEOUT=inf", "TIMEOUT must be a number of seconds"),
        (WAIT.format("led") + "WAIT_EVENT=", "Missing parameter EVENT"),
        (WAIT.format("led") + f"WAIT_EVENT={'x' * 101}", "EVENT is too long"),
        ("ROUTER_EVENT_WAIT EVENT=", "Missing parameter EVENT"),
        ("ROUTER_EVENT_WAIT", "missing EVENT"),
    ],
)
def test_an_impossible_wait_is_an_error_at_once(network, command, message):
    begin = network.reactor.now
    assert message in fails(network, command)
    assert network.led.sent == [] and network.reactor.now == begin


# -- for an event


def test_an_event_ends_the_wait(network):
    trigger = ("router/event/trigger", {"event": "fed", "context": {"lane": 3}})
    other = ("router/event/trigger", {"event": "feds"})
    for delay, (method, params) in ((1.0, other), (2.0, trigger)):
        network.reactor.at(
            delay, lambda m=method, p=params: network.led._on_call(network.led, m, p)
        )
    begin = network.reactor.now
    network.run("ROUTER_EVENT_WAIT EVENT=fed\nSHOW_A")
    assert network.reactor.now == begin + 2.0
    assert "handlers=0" in network.router.stats(0.0)[1]


def test_an_event_from_before_the_wait_does_not_count(network):
    network.call("router/event/trigger", event="fed", retain=True)
    assert fails(network, "ROUTER_EVENT_WAIT EVENT=fed TIMEOUT=3") == (
        "event 'fed' was not triggered within 3 seconds"
    )
    assert "handlers=0" in network.router.stats(0.0)[1]


def test_a_script_that_triggers_the_event_ends_the_wait_though_it_runs_on(network):
    def trigger():
        network.led._on_call(network.led, "router/event/trigger", {"event": "fed"})

    network.reactor.at(1.0, trigger)
    network.run("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=FEED WAIT_EVENT=fed TIMEOUT=5\nSHOW_A")
    assert network.led.is_busy and network.take_ran()[-1] == "SHOW_A"


def test_an_event_that_the_script_triggers_at_once_counts(network):
    network.run(
        "ROUTER_GCODE_SCRIPT TARGET=main SCRIPT='ROUTER_EVENT_TRIGGER EVENT=fed' WAIT_EVENT=fed"
    )


def test_the_end_of_the_script_is_not_the_event(network):
    network.reactor.at(1.0, network.led.finish)
    script = "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=FEED WAIT_EVENT=fed TIMEOUT=5"
    assert fails(network, script) == "event 'fed' was not triggered within 5 seconds"
    assert fails(network, script) == (
        "event 'fed' was not triggered within 5 seconds; led: the script has not finished after 5"
        " seconds. It is still running there"
    )


def test_a_script_that_fails_ends_the_wait_for_its_event(network):
    network.reactor.at(1.0, lambda: network.led.finish(RouterError("led: no filament")))
    script = "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=FEED WAIT_EVENT=fed"
    assert fails(network, script) == "led: no filament"


# -- what ends a wait early


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("disconnects", "led: connection lost, outcome unknown"),
        (
            "shuts_down",
            "led is not ready (shutdown: Lost communication with MCU 'mcu'), outcome unknown",
        ),
    ],
)
def test_a_printer_that_is_lost_after_its_script_has_finished(network, loss, message):
    network.reactor.at(1.0, network.led.finish)
    network.reactor.at(2.0, getattr(network.led, loss))
    script = "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=FEED WAIT_EVENT=fed"
    assert fails(network, script) == message


def test_the_loss_of_another_printer_does_not_matter(network):
    network.reactor.at(1.0, network.afc.disconnects)
    network.reactor.at(2.0, network.led.finish)
    network.run(WAIT.format("led"))


def test_a_connection_that_is_lost_while_it_runs(network):
    lost = LinkLost("led: connection lost, outcome unknown")
    network.reactor.at(1.0, lambda: network.led.finish(lost))
    assert fails(network, WAIT.format("led")) == str(lost)


@pytest.mark.parametrize(
    "wait", [WAIT.format("led"), "ROUTER_EVENT_WAIT EVENT=fed", WAIT.format("led") + "WAIT_EVENT=x"]
)
def test_a_shutdown_of_this_printer_ends_every_wait(network, wait):
    network.reactor.at(1.0, lambda: network.state("shutdown", "M112"))
    network.reactor.at(1.0, lambda: network.printer.send_event("klippy:shutdown"))
    begin = network.reactor.now
    assert fails(network, wait) == "main is not ready (shutdown: M112), outcome unknown"
    assert network.reactor.now == begin + 1.0
