"""includes/router_watchdog.cfg: a peer notices by itself that the host is offline."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import contextlib

import pytest

from tests.lab import config
from tests.lab.api import ApiClosed
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.macros import router_section, says, shown, wait_known, wait_shown

GONE = "ROUTER_ON_DISCONNECTED"
HEART = "gcode_macro ROUTER_HEARTBEAT"
API = f"[include {ROOT}/includes/router_api.cfg]\n"
WATCHDOG = f"[include {ROOT}/includes/router_watchdog.cfg]\n"
TIMEOUT = "[gcode_macro ROUTER_HEARTBEAT]\nvariable_timeout: 6\n"
PEERS = ("led", "afc", "quiet")


@pytest.fixture(scope="module")
def printers(shared_lab):
    """main; led includes both files, afc router_api.cfg, quiet nothing but the watchdog."""
    lab = shared_lab
    main = "[router]\n" + "".join(router_section(lab, name) for name in PEERS)
    lab.main(config.printing(main))
    macros = TIMEOUT + says(GONE, "ROUTER_ON_CONNECTED")
    texts = {"led": API + WATCHDOG + macros, "afc": API + macros, "quiet": WATCHDOG + TIMEOUT}
    for name, text in texts.items():
        lab.peer(name, config.printing(text, "fake"), mcu="fake")
    lab.wait_ready()
    wait_known(lab.printers["main"], *PEERS)
    return [lab.printers[name] for name in ("main", *PEERS)]


@pytest.fixture
def broken(printers):
    """Give main a printer.cfg that Klipper does not accept, and restore it after the test."""
    main = printers[0]
    # A Klippy that prints while main restarts fails to write to the closed connection, and drops
    # what it has not read of it (klippy/webhooks.py, _do_send): here all that was printed
    main.script('ROUTER_GCODE_SCRIPT TARGET=led,afc,quiet SCRIPT="M400" WAIT=1')
    path = main.folder / "printer.cfg"
    before = path.read_text(encoding="utf-8")

    def broken(text):
        path.write_text(text.replace("@BEFORE@", before), encoding="utf-8")

    yield broken
    path.write_text(before, encoding="utf-8")
    if main.process.poll() is None:
        main.restart()
    else:
        main.start()
    main.wait_ready()
    wait_known(main, *PEERS)


def heart(printer):
    """What it knows of main."""
    return printer.query([HEART])[HEART]["hosts"].get(
        "main", {"due": 0.0, "found_nothing": 0, "notified": 0}
    )


def wait_heartbeats(*printers):
    """Wait until each has had a heartbeat that began after now; their variables then."""
    before = [heart(printer)["due"] for printer in printers]

    def come():
        now = [heart(printer) for printer in printers]
        fresh = [one["due"] != due and not one["found_nothing"] for one, due in zip(now, before)]
        return all(fresh) and now

    return wait_until(come, 30.0, "a heartbeat", printers)


def wait_notified(*printers):
    """Wait until each was notified that the host cannot be used."""
    wait_until(
        lambda: all(heart(printer)["notified"] for printer in printers),
        20.0,
        "they know that main cannot be used",
        printers,
    )


def assert_quiet(*printers):
    """Nothing more is reported, long after the next two checks of each were due."""

    def over(printer):
        clock = printer.query({"toolhead": ["estimated_print_time"]})["toolhead"]
        return clock["estimated_print_time"] > heart(printer)["due"] + 3.0

    wait_until(lambda: all(map(over, printers)), 30.0, "the looks are over", printers)
    assert all(heart(printer)["notified"] for printer in printers)


def test_a_peer_is_not_notified_while_the_host_is_available(printers):
    main, led, afc, quiet = printers
    for told in wait_heartbeats(led, afc, quiet):
        assert (told["notified"], told["quiet"]) == (0, 0)
    marks = {printer: printer.mark() for printer in printers}
    script = "router/gcode/script"
    many = {"target": "afc", "script": "G4 P600\nM400"}
    with led.api() as own, main.api() as router:
        # Longer than the timeout: a script of its own, with one more that waits already when it
        # ends, and many scripts of the router
        own_scripts = [
            own.request("gcode/script", {"script": f"G4 P{p}\nM400"}) for p in (7000, 900)
        ]
        numbers = [router.request(script, many) for _ in range(9)]
        for number in own_scripts:
            own.answer(number, 30.0)
        for number in numbers:
            router.answer(number, 30.0)
    wait_heartbeats(led, afc, quiet)
    for printer in (led, afc, quiet):
        assert printer.console[marks[printer] :] == []
    assert quiet.query({"idle_timeout": ["state"]})["idle_timeout"]["state"] == "Idle"


def test_a_killed_host_is_reported_once_and_monitored_again_after_it_reconnects(printers):
    main, led, afc, quiet = printers
    mark, other = led.mark(), quiet.mark()
    main.kill()
    wait_shown(led, GONE, mark, timeout=15.0, PRINTER="main", REASON="timeout")
    wait_notified(quiet)
    main.start()
    for printer in (led, afc):
        wait_shown(printer, "ROUTER_ON_CONNECTED", mark, timeout=30.0, PRINTER="main")
    wait_heartbeats(led, quiet)
    assert shown(led, GONE, mark) == [{"PRINTER": "main", "REASON": "timeout"}]
    # This one has no such macro
    assert quiet.console[other:] == []


def test_a_host_that_shuts_down_is_not_reported_again(printers):
    main, led = printers[:2]
    mark = led.mark()
    main.script("M112")
    wait_shown(led, GONE, mark, PRINTER="main", REASON="shutdown")
    wait_notified(led)
    # Its router runs at first, and then no more
    main.kill()
    assert_quiet(led)
    assert shown(led, GONE, mark) == [{"PRINTER": "main", "REASON": "shutdown"}]
    main.start().wait_ready()
    wait_known(main, *PEERS)


def test_the_button_of_the_heartbeat_only_shows_the_state(printers):
    quiet = printers[3]
    wait_heartbeats(quiet)
    mark = quiet.mark()
    before = heart(quiet)
    quiet.script("ROUTER_HEARTBEAT")
    quiet.wait_line("// main is watched", start=mark)
    assert heart(quiet)["notified"] == before["notified"]


# -- the final notification


@pytest.mark.parametrize("firmware", [False, True], ids=["RESTART", "FIRMWARE_RESTART"])
def test_a_host_that_restarts_notifies_its_peers_once(printers, firmware):
    main, led, afc = printers[:3]
    marks = {printer: printer.mark() for printer in (led, afc)}
    main.restart(firmware)
    wait_known(main, *PEERS)
    for printer, mark in marks.items():
        wait_shown(printer, "ROUTER_ON_CONNECTED", mark, PRINTER="main")
        assert shown(printer, GONE, mark) == [{"PRINTER": "main", "REASON": "restart"}]
        names = [line.split()[1] for line in printer.console[mark:] if "PRINTER='main'" in line]
        assert names == [GONE, "ROUTER_ON_CONNECTED"]
    for told in wait_heartbeats(led, afc):
        assert told["notified"] == 0


def test_a_host_that_exits_notifies_its_peers_and_the_watchdog_is_silent(printers):
    main, led, _afc, quiet = printers
    mark = led.mark()
    with contextlib.suppress(ApiClosed):
        main.script("LAB_EXIT")
    wait_shown(led, GONE, mark, PRINTER="main", REASON="exit")
    assert_quiet(led, quiet)
    assert shown(led, GONE, mark) == [{"PRINTER": "main", "REASON": "exit"}]
    main.start().wait_ready()
    wait_known(main, *PEERS)


def test_a_host_that_shuts_down_and_restarts_is_reported_once(printers):
    main, led = printers[:2]
    mark = led.mark()
    main.script("M112")
    wait_shown(led, GONE, mark, PRINTER="main", REASON="shutdown")
    main.restart()
    wait_known(main, *PEERS)
    wait_shown(led, "ROUTER_ON_CONNECTED", mark, PRINTER="main")
    assert shown(led, GONE, mark) == [{"PRINTER": "main", "REASON": "shutdown"}]


def test_the_notification_of_a_restart_reaches_a_busy_peer(printers):
    main, led = printers[:2]
    mark = led.mark()
    with main.api() as api:
        api.request("router/gcode/script", {"target": "led", "script": "G4 P2000\nM400"})
        main.restart()
    wait_known(main, "led")
    wait_shown(led, GONE, mark, PRINTER="main", REASON="restart")


# -- a config error of the host

# With [router], its router runs and reports that main is not ready. Without it, nothing does.
BROKEN = {"with a router": "@BEFORE@\n[no_such_section]\n", "without a router": "[mcu\n"}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_host_that_restarts_into_a_config_error_notifies_its_peers(printers, broken, text):
    main, led, afc, _quiet = printers
    marks = {printer: printer.mark() for printer in (led, afc)}
    broken(text)
    main.begin_restart()
    main.wait_state("error")
    for printer, mark in marks.items():
        wait_shown(printer, GONE, mark, PRINTER="main", REASON="restart")
    assert_quiet(led, afc)
    for printer, mark in marks.items():
        assert shown(printer, GONE, mark) == [{"PRINTER": "main", "REASON": "restart"}]


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_host_that_is_killed_and_starts_with_a_config_error_is_reported_as_lost(
    printers, broken, text
):
    main, led, _afc, quiet = printers
    mark, other = led.mark(), quiet.mark()
    broken(text)
    main.kill()
    main.start()
    main.wait_state("error")
    wait_shown(led, GONE, mark, timeout=20.0, PRINTER="main", REASON="timeout")
    wait_notified(quiet)
    assert_quiet(led)
    assert shown(led, GONE, mark) == [{"PRINTER": "main", "REASON": "timeout"}]
    assert quiet.console[other:] == []


def test_a_peer_that_starts_while_the_host_is_not_ready_is_notified(printers, broken):
    main, led = printers[:2]
    broken(BROKEN["with a router"])
    main.begin_restart()
    main.wait_state("error")
    mark = led.mark()
    led.restart()
    wait_shown(led, GONE, mark, timeout=20.0, PRINTER="main", REASON="timeout")
    wait_notified(led)
    assert shown(led, GONE, mark) == [{"PRINTER": "main", "REASON": "timeout"}]
