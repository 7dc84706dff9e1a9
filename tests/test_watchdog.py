"""includes/router_watchdog.cfg: a peer notices by itself that the host is gone."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.klippers import ROOT
from tests.lab.lab import Lab
from tests.lab.waiting import wait_until
from tests.macros import router_section, says, shown, wait_known, wait_shown

GONE = "ROUTER_ON_DISCONNECTED"
HEART = "gcode_macro ROUTER_HEARTBEAT"
API = f"[include {ROOT}/includes/router_api.cfg]\n"
WATCHDOG = f"[include {ROOT}/includes/router_watchdog.cfg]\n"
TIMEOUT = "[gcode_macro ROUTER_HEARTBEAT]\nvariable_timeout: 6\n"
PEERS = ("led", "afc", "quiet")


@pytest.fixture(scope="module")
def shared_lab(kind):
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def printers(shared_lab, kind):
    """main, led and afc with router_api.cfg, quiet with nothing but the watchdog."""
    lab = shared_lab
    main = "[router]\n" + "".join(router_section(lab, name) for name in PEERS)
    lab.printer(kind, "main", config.printing(main))
    for name in PEERS:
        text = WATCHDOG + TIMEOUT
        if name != "quiet":
            text = API + text + says(GONE, "ROUTER_ON_CONNECTED")
        lab.printer(kind, name, config.printing(text, "fake"), mcu="fake")
    lab.wait_ready()
    wait_known(lab.printers["main"], *PEERS)
    return [lab.printers[name] for name in ("main", *PEERS)]


def heart(printer):
    return printer.query([HEART])[HEART]


def wait_heartbeats(*printers):
    """Wait until each has had a heartbeat that began after now; their variables then."""
    before = [heart(printer)["due"] for printer in printers]

    def come():
        now = [heart(printer) for printer in printers]
        fresh = [one["due"] != due and not one["found_nothing"] for one, due in zip(now, before)]
        return all(fresh) and now

    return wait_until(come, 30.0, "a heartbeat", printers)


def wait_verdict(printer):
    """Wait until the printer has looked, for the second and last time, and found no heartbeat."""

    def over():
        now = heart(printer)
        clock = printer.query({"toolhead": ["estimated_print_time"]})["toolhead"]
        return now["found_nothing"] and clock["estimated_print_time"] > now["due"] + 0.5

    wait_until(over, 20.0, f"{printer.name}: the heartbeat has stopped", [printer])


def test_a_peer_is_neither_disturbed_nor_alarmed_while_the_host_is_there(printers):
    main, led, afc, quiet = printers
    for told in wait_heartbeats(led, afc, quiet):
        assert (told["host"], told["host_ready"]) == ("main", 1)
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


def test_a_host_that_is_killed_is_told_once_and_watched_again_when_it_is_back(printers):
    main, led, afc, quiet = printers
    mark, other = led.mark(), quiet.mark()
    main.kill()
    wait_shown(led, GONE, mark, timeout=15.0, PRINTER="main", REASON="timeout")
    wait_verdict(quiet)
    main.start()
    for printer in (led, afc):
        wait_shown(printer, "ROUTER_ON_CONNECTED", mark, timeout=30.0, PRINTER="main")
    wait_heartbeats(led, quiet)
    assert shown(led, GONE, mark) == [{"PRINTER": "main", "REASON": "timeout"}]
    # This one has no such macro
    assert quiet.console[other:] == []


def test_a_host_that_shuts_down_has_said_so_already(printers):
    main, led = printers[:2]
    mark = led.mark()
    main.script("M112")
    wait_shown(led, GONE, mark, PRINTER="main", REASON="shutdown")
    # Its router lives, and then no more
    assert wait_heartbeats(led)[0]["host_ready"] == 0
    main.kill()
    wait_verdict(led)
    assert shown(led, GONE, mark) == [{"PRINTER": "main", "REASON": "shutdown"}]
