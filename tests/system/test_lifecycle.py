"""The lifecycle macros: which run on whom, and in which order."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
import time

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.lab import Lab
from tests.lab.waiting import wait_until
from tests.system.macros import (
    LIFECYCLE,
    Trio,
    check_log,
    recorder,
    remote_call,
    router_section,
    says,
    wait_known,
    wait_shown,
)

ON_CONNECT = """\
timeout: 1
on_connect:
    M118 Router connected to LED
    SHOW FROM=on_connect
"""
LED_GREETING = ["echo: Router connected to LED", "// SHOW FROM=on_connect"]


@pytest.fixture(scope="module")
def trio(shared_lab):
    """main, led, and afc with a grace of a minute; late is not started, plain has no macros."""
    lab = shared_lab
    main = "[router]\n" + router_section(lab, "led", ON_CONNECT)
    main += router_section(lab, "afc", "disconnect_grace: 60")
    main += router_section(lab, "late", "disconnect_grace: 0.7") + router_section(lab, "plain")
    macros = recorder(*LIFECYCLE)
    lab.add(lab.peer_kind, "late", config.printing(macros))
    lab.peer("plain", config.printing())
    trio = Trio(
        lab,
        lab.main(config.printing(main + macros)),
        lab.peer("led", config.printing(macros)),
        lab.peer("afc", config.printing(macros)),
    )
    lab.wait_ready()
    wait_known(trio.main, "led", "afc", "plain")
    for printer in (trio.main, trio.led, trio.afc):
        settle(trio, printer)
    yield trio
    check_log(trio.main)


def settle(trio, printer):
    """Wait until a printer has run everything that is in flight; returns a mark after it."""
    mark = printer.mark()
    trio.main.call("router/gcode/script", {"target": printer.name, "script": "SHOW SETTLED=1"})
    wait_shown(printer, start=mark, SETTLED="1")
    return printer.mark()


def notifications(printer, start=0):
    """What the lifecycle macros and on_connect printed, without quotes."""
    lines = [line.replace("'", "").strip() for line in printer.console[start:]]
    return [
        re.sub(r"^// ROUTER_ON_", "", line)
        for line in lines
        if line.startswith("// ROUTER_ON_") or line in LED_GREETING
    ]


def wait_notified(printer, start, text):
    wait_until(
        lambda: any(line.startswith(text) for line in notifications(printer, start)),
        15.0,
        f"{printer.name} is notified {text}, but {notifications(printer, start)}",
        [printer],
    )


def restart(trio, printer):
    """Restart a peer and wait until it is ready for the host again."""
    printer.begin_restart()
    wait_known(trio.main, printer.name, ready=False)
    printer.wait_ready()
    wait_known(trio.main, printer.name)


# -- first, what every printer was sent at the start


def test_at_the_start_each_printer_is_ready_first_and_then_connects_to_each_other_once(trio):
    start = trio.led.console.index(LED_GREETING[0])
    assert notifications(trio.led)[: len(LED_GREETING) + 1] == [*LED_GREETING, "READY"]
    assert start < trio.led.console.index(LED_GREETING[1])
    for printer in (trio.main, trio.led, trio.afc):
        others = {"main", "led", "afc", "plain"} - {printer.name}
        lines = [line for line in notifications(printer) if line not in LED_GREETING]
        first_meeting = lines[: len(others) + 1]
        assert first_meeting[0] == "READY"
        assert sorted(first_meeting[1:]) == sorted(f"CONNECTED PRINTER={name}" for name in others)


def test_a_printer_without_the_macros_is_sent_nothing(trio):
    mark = trio.lab.printers["plain"].mark()
    restart(trio, trio.led)
    # Its queue is in order: this runs after anything that was sent when led reconnected
    plain = trio.lab.printers["plain"]
    trio.main.call("router/gcode/script", {"target": "plain", "script": "M118 end"})
    plain.wait_line("echo: end", start=mark)
    assert plain.console[mark:] == ["echo: end"]


def test_a_restarted_printer_disconnects_and_connects_for_the_others(trio):
    marks = {printer: settle(trio, printer) for printer in (trio.main, trio.led)}
    restart(trio, trio.led)
    settle(trio, trio.led)
    settle(trio, trio.main)
    lines = notifications(trio.led, marks[trio.led])
    assert lines[:3] == [*LED_GREETING, "READY"]
    assert sorted(lines[3:]) == [f"CONNECTED PRINTER={name}" for name in ("afc", "main", "plain")]
    assert notifications(trio.main, marks[trio.main]) == [
        "DISCONNECTED PRINTER=led REASON=disconnected",
        "CONNECTED PRINTER=led",
    ]


def test_a_killed_printer_is_disconnected_until_it_is_started_again(trio):
    mark = settle(trio, trio.main)
    trio.led.kill()
    wait_notified(trio.main, mark, "DISCONNECTED PRINTER=led REASON=disconnected")
    trio.led.start().wait_ready()
    wait_notified(trio.main, mark, "CONNECTED PRINTER=led")
    settle(trio, trio.main)
    assert len(notifications(trio.main, mark)) == 2


def test_a_printer_that_does_not_answer_is_disconnected_by_timeout(trio):
    mark, own = settle(trio, trio.main), settle(trio, trio.led)
    trio.led.freeze()
    try:
        wait_notified(trio.main, mark, "DISCONNECTED PRINTER=led REASON=timeout")
    finally:
        trio.led.thaw()
    wait_notified(trio.main, mark, "CONNECTED PRINTER=led")
    wait_known(trio.main, "led")
    settle(trio, trio.main)
    settle(trio, trio.led)
    assert len(notifications(trio.main, mark)) == 2
    # It becomes ready for the host again, although it was running all the time
    assert notifications(trio.led, own)[:3] == [*LED_GREETING, "READY"]


def test_a_shutdown_is_reported_with_its_message_and_the_printer_cannot_be_used(trio):
    marks = {printer: settle(trio, printer) for printer in (trio.main, trio.afc)}
    trio.led.script("M112")
    try:
        expected = [
            "SHUTDOWN PRINTER=led MESSAGE=Shutdown due to M112 command",
            "DISCONNECTED PRINTER=led REASON=shutdown",
        ]
        for printer, mark in marks.items():
            wait_notified(printer, mark, "DISCONNECTED")
            settle(trio, printer)
            assert notifications(printer, mark) == expected
        assert trio.main.query(["router led"])["router led"]["connected"] is True
    finally:
        trio.led.restart()
        wait_known(trio.main, "led")
    for printer, mark in marks.items():
        settle(trio, printer)
        # Not disconnected a second time by the restart
        assert notifications(printer, mark) == [*expected, "CONNECTED PRINTER=led"]


def test_every_peer_is_notified_of_a_shutdown_of_the_host(trio):
    marks = {printer: settle(trio, printer) for printer in (trio.led, trio.afc)}
    trio.main.script("M112")
    try:
        for printer, mark in marks.items():
            wait_notified(printer, mark, "DISCONNECTED")
            settle(trio, printer)
            assert notifications(printer, mark) == [
                "SHUTDOWN PRINTER=main MESSAGE=Shutdown due to M112 command",
                "DISCONNECTED PRINTER=main REASON=shutdown",
            ]
        marks = {printer: printer.mark() for printer in (trio.main, trio.led, trio.afc)}
    finally:
        trio.main.restart()
        wait_known(trio.main, "led", "afc", "plain")
    # With a new session of the host all printers connect again
    for printer, mark in marks.items():
        settle(trio, printer)
        lines = [line for line in notifications(printer, mark) if line not in LED_GREETING]
        others = {"main", "led", "afc", "plain"} - {printer.name}
        assert lines[0] == "READY"
        assert sorted(lines[1:]) == sorted(f"CONNECTED PRINTER={name}" for name in others)


def test_a_peer_with_a_config_error_is_connected_but_not_ready(trio):
    before = (trio.led.folder / "printer.cfg").read_text()
    mark = settle(trio, trio.main)
    trio.led.write_config(config.printing("[no_such_section]\n"))
    trio.led.begin_restart()
    try:
        trio.led.wait_state("error")

        def status():
            return trio.main.query(["router led"])["router led"]

        wait_until(lambda: status()["state"] == "error", 5.0, "the host sees it", [trio.main])
        assert (status()["connected"], status()["ready"]) == (True, False)
        assert "no_such_section" in status()["state_message"]
        assert trio.main.state() == "ready"
        expected = ["DISCONNECTED PRINTER=led REASON=disconnected"]
        settle(trio, trio.main)
        assert notifications(trio.main, mark) == expected
    finally:
        (trio.led.folder / "printer.cfg").write_text(before)
        trio.led.restart()
        wait_known(trio.main, "led")
    settle(trio, trio.main)
    assert notifications(trio.main, mark) == [*expected, "CONNECTED PRINTER=led"]


# -- what a shutdown says


@pytest.mark.parametrize("name", ["main", "led"])
def test_the_message_of_a_shutdown_is_the_one_that_its_own_user_sees(kind, name):
    with Lab() as lab:
        sections = "[router]\n" + router_section(lab, "led") + recorder(*LIFECYCLE)
        main = lab.printer(kind, "main", config.printing(sections, "fake"), mcu="fake")
        led = lab.printer(kind, "led", config.printing(recorder(*LIFECYCLE), "fake"), mcu="fake")
        lab.wait_ready()
        wait_known(main, "led")
        failing, other = (main, led) if name == "main" else (led, main)
        failing.mcu_command("shutdown")
        told = wait_shown(other, "ROUTER_ON_SHUTDOWN", PRINTER=name)["MESSAGE"]
        assert "MCU 'mcu' shutdown: " in told
        message = failing.call("info")["state_message"]
        assert told == message.split("\n")[0]
        # Every later request to main, or led, is answered with the reason
        if failing is led:
            with pytest.raises(ApiError, match="MCU 'mcu' shutdown: "):
                main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=M117 WAIT=1")
        check_log(main)


# -- disconnect_grace


def test_a_loss_within_disconnect_grace_is_not_reported(trio):
    marks = {printer: settle(trio, printer) for printer in (trio.main, trio.led, trio.afc)}
    restart(trio, trio.afc)
    for printer in marks:
        settle(trio, printer)
    assert notifications(trio.main, marks[trio.main]) == []
    assert notifications(trio.led, marks[trio.led]) == []
    # afc itself has been notified of no printer yet
    lines = notifications(trio.afc, marks[trio.afc])
    assert lines[0] == "READY"
    assert sorted(lines[1:]) == [f"CONNECTED PRINTER={name}" for name in ("led", "main", "plain")]


def test_a_shutdown_is_reported_at_once_even_with_disconnect_grace(trio):
    mark = settle(trio, trio.main)
    trio.afc.script("M112")
    try:
        wait_notified(trio.main, mark, "SHUTDOWN PRINTER=afc")
    finally:
        trio.afc.restart()
        wait_known(trio.main, "afc")
    settle(trio, trio.main)
    # Back within its grace: it was never lost
    assert notifications(trio.main, mark) == [
        "SHUTDOWN PRINTER=afc MESSAGE=Shutdown due to M112 command"
    ]


def test_a_loss_longer_than_disconnect_grace_is_reported_after_it(trio):
    marks = {printer: settle(trio, printer) for printer in (trio.main, trio.led)}
    late = trio.lab.printers["late"]
    late.start().wait_ready()
    for printer, mark in marks.items():
        wait_notified(printer, mark, "CONNECTED PRINTER=late")
    begin = time.monotonic()
    late.kill()
    for printer, mark in marks.items():
        wait_notified(printer, mark, "DISCONNECTED PRINTER=late REASON=disconnected")
    assert time.monotonic() - begin >= 0.7
    for printer, mark in marks.items():
        settle(trio, printer)
        assert len(notifications(printer, mark)) == 2


# -- a user's macros


def test_a_failing_lifecycle_macro_affects_no_other_printer(trio):
    before = (trio.led.folder / "printer.cfg").read_text()
    failing = "[gcode_macro ROUTER_ON_READY]\ngcode:\n    SDCARD_PRINT_FILE FILENAME=none\n"
    trio.led.write_config(config.printing(recorder() + failing + says("ROUTER_ON_CONNECTED")))
    try:
        mark = trio.led.mark()
        restart(trio, trio.led)
        wait_notified(trio.led, mark, "CONNECTED PRINTER=main")
        remote_call(trio.led, "router/gcode/script", target="main", script="SHOW FROM=led")
        wait_shown(trio.main, FROM="led")
    finally:
        (trio.led.folder / "printer.cfg").write_text(before)
        restart(trio, trio.led)
