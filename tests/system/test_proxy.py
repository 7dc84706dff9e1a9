"""The option 'proxy_commands': commands of a peer as commands of the host."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.lab import Lab
from tests.system.macros import (
    check_log,
    router_section,
    says,
    shown,
    start_duo,
    wait_known,
    wait_shown,
)

SLOW = """
[gcode_macro DISCO_SLOW]
gcode:
    G4 P1000
    M400
    M118 slow end
"""


@pytest.fixture(scope="module")
def duo(shared_lab):
    """main and led, and a section of a printer that never connects."""
    proxies = "proxy_commands: DISCO_PARTY, disco_stop,\n    DISCO_SLOW, DISCO_FAIL"
    main = router_section(shared_lab, "off", "proxy_commands: OFF_PARTY")
    main += "[gcode_macro TWICE]\ngcode:\n    DISCO_PARTY N=1\n    DISCO_PARTY N=2\n"
    led = says("DISCO_PARTY", "DISCO_STOP") + SLOW
    led += "[gcode_macro DISCO_FAIL]\ngcode:\n    {action_raise_error('no music')}\n"
    return start_duo(shared_lab, main, led, led_mcu="fake", led_options=proxies)


@pytest.mark.parametrize(
    "line, told",
    [
        ("DISCO_PARTY SPEED=1", {"SPEED": "1"}),
        ("DISCO_PARTY SPEED=2 TEXT='two words'", {"SPEED": "2", "TEXT": "two words"}),
        ("disco_party SPEED=3", {"SPEED": "3"}),
    ],
)
def test_the_same_line_runs_on_the_peer(duo, line, told):
    main, led = duo
    mark = led.mark()
    main.script(line)
    assert wait_shown(led, "DISCO_PARTY", mark, SPEED=told["SPEED"]) == told
    assert len(shown(led, "DISCO_PARTY", mark)) == 1


def test_names_may_be_written_in_lower_case(duo):
    main, led = duo
    mark = led.mark()
    main.script("DISCO_STOP")
    wait_shown(led, "DISCO_STOP", mark)


def test_proxy_commands_work_in_macros_and_in_order(duo):
    main, led = duo
    mark = led.mark()
    main.script("TWICE")
    wait_shown(led, "DISCO_PARTY", mark, N="2")
    assert shown(led, "DISCO_PARTY", mark) == [{"N": "1"}, {"N": "2"}]


def test_the_host_does_not_wait_for_the_peer(duo):
    main, led = duo
    mark = led.mark()
    main.script("DISCO_SLOW")
    assert not any("slow end" in line for line in led.console[mark:])
    led.wait_line("slow end", start=mark)


def test_an_error_on_the_peer_is_reported_on_the_host(duo):
    main, led = duo
    mark = main.mark()
    main.script("DISCO_FAIL")
    assert "led: " in main.wait_line("no music", start=mark)


def test_proxy_commands_are_in_the_help(duo):
    texts = duo[0].call("gcode/help")
    assert "led" in texts["DISCO_PARTY"] and "off" in texts["OFF_PARTY"]


def test_an_offline_peer_is_one_line_and_no_error(duo):
    main, led = duo
    mark, led_mark = main.mark(), led.mark()
    main.script("OFF_PARTY\nDISCO_PARTY AFTER=1")
    main.wait_line("off is not connected", start=mark)
    wait_shown(led, "DISCO_PARTY", led_mark, AFTER="1")
    assert len([line for line in main.console[mark:] if "off" in line]) == 1
    check_log(main)


def with_macro(name):
    return f"[gcode_macro {name}]\ngcode:\n"


@pytest.mark.parametrize("name", ["PAUSE", "M112", "ROUTER_STATUS", "MY_MACRO", "NOT A NAME"])
def test_a_command_that_cannot_be_registered_is_a_config_error(lab, kind, name):
    router = router_section(lab, "led", f"proxy_commands: DISCO_PARTY, {name}")
    others = "[respond]\n[virtual_sdcard]\npath: @FOLDER@/gcodes\n[pause_resume]\n"
    others += with_macro("MY_MACRO")
    printer = lab.add(kind, "main", "")
    orders = (router + others, others + router)
    for text in orders if name in ("PAUSE", "MY_MACRO") else orders[1:]:
        printer.write_config(config.minimal(text))
        if printer.process is None:
            printer.start()
        else:
            printer.begin_restart()
        printer.wait_state("error", 10.0)
        message = printer.call("info")["state_message"]
        for word in (name, "proxy_commands", "router led"):
            assert word in message


WRAPPERS = """
[gcode_macro DISCO_PARTY]
rename_existing: _DISCO_PARTY
gcode:
    M118 mine
    _DISCO_PARTY {rawparams}
[gcode_macro T7]
rename_existing: T97
gcode:
    T97 {rawparams}
[gcode_macro disco_stop]
rename_existing: PEER_STOP
gcode:
    PEER_STOP
"""
QUOTED = """TEXT='two  words' B="it's = so" """.strip()
# The rest of its line is text, not parameters
PEER_TEXT = """
[gcode_macro M117]
gcode:
    {action_respond_info("M117 " ~ rawparams)}
"""


@pytest.fixture(scope="module")
def wrapped(kind):
    """main wraps proxied commands in macros of the same name, as any other command."""
    with Lab() as lab:
        proxies = "proxy_commands: DISCO_PARTY, DISCO_STOP, T7, M117"
        router = "[router]\n" + router_section(lab, "led", proxies)
        main = lab.printer(kind, "main", config.minimal("[respond]\n" + router + WRAPPERS))
        peer = says("DISCO_PARTY", "DISCO_STOP", "T7") + PEER_TEXT
        led = lab.printer(kind, "led", config.minimal(peer))
        lab.wait_ready()
        wait_known(main, "led")
        yield main, led


@pytest.mark.parametrize(
    "line, told",
    [
        ("DISCO_PARTY SPEED=1", "DISCO_PARTY SPEED=1"),
        ("disco_party speed=2", "DISCO_PARTY speed=2"),
        (f"DISCO_PARTY {QUOTED}", f"DISCO_PARTY {QUOTED}"),
        ("DISCO_PARTY", "DISCO_PARTY "),
        ("DISCO_STOP", "DISCO_STOP "),
        ("PEER_STOP A=1", "DISCO_STOP A=1"),
        ("T7", "T7 "),
        ("T7 P1 S2", "T7 P1 S2"),
        ("T97 P1", "T7 P1"),
        ("M117 It's 20 % = done", "M117 It's 20 % = done"),
    ],
)  # fmt: skip
def test_a_wrapped_command_is_sent_under_its_own_name(wrapped, line, told):
    main, led = wrapped
    mark, led_mark = main.mark(), led.mark()
    main.script(line)
    main.call("router/gcode/script", {"target": "led", "script": "DISCO_STOP END=1"})
    led.wait_line("END=1", start=led_mark)
    assert [said.strip() for said in led.console[led_mark:][:-1]] == [f"// {told}".strip()]
    if line.upper().startswith("DISCO_PARTY"):
        main.wait_line("echo: mine", start=mark)
