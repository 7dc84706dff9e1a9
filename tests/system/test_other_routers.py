"""Another router, or the old daemon, on a peer: found by itself, and said once on the console."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import time

from klippy_extras.router.diagnosis.echo_test import LISTEN
from klippy_extras.router.diagnosis.other_routers import MAX_DELAY
from tests.lab import config
from tests.lab.waiting import wait_until
from tests.system.findings import INCLUDES, not_ok
from tests.system.macros import check_log, router_section, wait_known
from tests.system.old_daemon import old_daemon
from tests.system.two_routers import start_routers

FOUND = "// Router: led: another router, or the old daemon, answers its calls as well"
ECHO = "gcode_macro _ROUTER_ECHO"


def start_shared(lab, pair, options=""):
    """Start main and voron, which have the same peer led; options: of voron's section."""
    text = "[router]\n" + router_section(lab, "led")
    main = lab.printer(pair[0], "main", config.printing(text))
    led = lab.printer(pair[1], "led", config.printing(INCLUDES))
    text = "[router]\nname: voron\n" + router_section(lab, "led", options)
    voron = lab.printer(pair[0], "voron", config.printing(text))
    lab.wait_ready()
    for host in (main, voron):
        wait_known(host, "led")
    return main, voron, led


def said(host):
    return [line for line in host.console if line.startswith(FOUND)]


def wait_tested(led):
    """Wait until a router has run the echo test there since led became ready."""
    wait_until(lambda: led.query([ECHO])[ECHO]["token"], MAX_DELAY + 10.0, "the test", [led])
    time.sleep(LISTEN + 0.5)


def wait_if_tested():
    """Wait until a test would have ended."""
    time.sleep(MAX_DELAY + LISTEN + 0.5)


def test_two_routers_on_one_peer(lab, pair):
    main, voron, led = start_shared(lab, pair)
    main.wait_line(FOUND, 25.0)
    voron.wait_line(FOUND, 25.0)
    assert "It knows the printers voron,led. Stop" in said(main)[0]
    assert "It knows the printers main,led. Stop" in said(voron)[0]
    led.restart()
    for host in (main, voron):
        wait_known(host, "led")
    wait_if_tested()
    assert [len(said(host)) for host in (main, voron)] == [1, 1]
    assert main.query(["router"])["router"]["last_error"] == ""
    for printer in (main, voron, led):
        check_log(printer)


def test_a_peer_that_is_shared_as_it_should_be(lab, pair):
    main, voron, led = start_shared(lab, pair, "accept_calls: False")
    wait_tested(led)
    assert said(main) == said(voron) == []
    for printer in (main, voron, led):
        check_log(printer)


def test_routers_that_know_each_other(lab, pair):
    two = start_routers(lab, pair, more=INCLUDES)
    wait_if_tested()
    for printer in two:
        assert not any("another router" in line for line in printer.console)
        assert printer.query([ECHO])[ECHO]["token"] == ""
        check_log(printer)


def test_a_diagnosis_at_the_same_time(lab, pair):
    text = "[router]\n" + router_section(lab, "led")
    main = lab.printer(pair[0], "main", config.printing(text))
    lab.printer(pair[1], "led", config.printing(INCLUDES))
    lab.wait_ready()
    wait_known(main, "led")
    end = time.monotonic() + MAX_DELAY + 1.0
    while time.monotonic() < end:
        assert not_ok(main, "led") == {}
    assert said(main) == []
    check_log(main)


def test_a_daemon_that_still_runs(lab, pair):
    text = "[router]\n" + router_section(lab, "led")
    main = lab.printer(pair[0], "main", config.printing(text))
    led = lab.printer(pair[1], "led", config.printing(INCLUDES))
    with old_daemon(lab):
        lab.wait_ready()
        main.wait_line(FOUND, 25.0)
        assert "It knows the printers main,led. Stop and disable" in said(main)[0]
        led.restart()
        wait_known(main, "led")
        wait_if_tested()
    assert len(said(main)) == 1
    check_log(main)
