"""Names that end in '*' in the option 'proxy_commands': commands that come with the peer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.waiting import wait_until
from tests.system.macros import (
    check_log,
    router_section,
    says,
    shown,
    wait_known,
    wait_shown,
)

PROXIES = "proxy_commands: MMU_*"
MAIN = says("MMU_HOME") + "[gcode_macro TWICE]\ngcode:\n    MMU_LOAD N=1\n    MMU_LOAD N=2\n"
LOAD = """
[gcode_macro MMU_LOAD]
description: Load a filament
gcode:
    {action_respond_info("MMU_LOAD " ~ rawparams)}
"""
LED = (
    LOAD
    + says("MMU_UNLOAD", "MMU_HOME", "OTHER")
    + """
[gcode_macro MMU_FAIL]
gcode:
    {action_raise_error('the gate is empty')}
[gcode_macro MMU_SLOW]
gcode:
    M118 begins
    G4 P1000
    M400
    M118 ends
"""
)
AFC = says("MMU_LOAD", "MMU_SPIN")


@pytest.fixture(scope="module")
def printers(shared_lab):
    """main, and led, which is ready first; afc has one command of the same name."""
    lab = shared_lab
    text = "[router]\n" + router_section(lab, "led", PROXIES) + router_section(lab, "afc", PROXIES)
    main = lab.main(config.printing(text + MAIN, "fake"), mcu="fake").wait_ready()
    main.unknown_at_first = answer(main, "MMU_LOAD")
    led = lab.peer("led", config.printing(LED, "fake"), mcu="fake")
    wait_known(main, "led")
    wait_command(main, "MMU_LOAD")
    afc = lab.peer("afc", config.printing(AFC))
    wait_known(main, "afc")
    wait_command(main, "MMU_SPIN")
    yield main, led, afc
    check_log(main)


def answer(printer, line):
    """What the console shows while it runs, and right after it."""
    mark = printer.mark()
    printer.script(line)
    printer.script("M118 marker")
    printer.wait_line("marker", start=mark)
    return [said for said in printer.console[mark:] if "marker" not in said]


def commands(printer):
    """Its commands with their help texts."""
    return printer.call("gcode/help")


def wait_command(printer, name):
    wait_until(lambda: name in commands(printer), 10.0, f"{name} is known", [printer])


def about_names(printer):
    """The lines on the console about commands that are not replaced."""
    return [line for line in printer.console if "does not replace" in line]


def restart(main, peer, text):
    """Restart the peer with other sections; main notices it."""
    peer.write_config(config.printing(text, "fake" if peer.mcu else "none"))
    lost = main.mark()
    peer.restart()
    main.wait_line(f"{peer.name} is ready again", start=lost)


def test_they_are_unknown_before_the_peer_was_ready(printers):
    main = printers[0]
    assert main.unknown_at_first == ['// Unknown command:"MMU_LOAD"']


@pytest.mark.parametrize("line", ["MMU_LOAD GATE=1", """mmu_load GATE=1 TEXT='two "words"'"""])
def test_the_same_line_runs_on_the_peer(printers, line):
    main, led, afc = printers
    mark, afc_mark = led.mark(), afc.mark()
    main.script(line)
    assert wait_shown(led, "MMU_LOAD", mark, GATE="1")
    assert f"// MMU_LOAD {line.split(None, 1)[1]}" in led.console[mark:]
    assert shown(afc, "MMU_LOAD", afc_mark) == []


def test_they_work_in_macros_and_in_order(printers):
    main, led, _afc = printers
    mark = led.mark()
    main.script("TWICE")
    wait_shown(led, "MMU_LOAD", mark, N="2")
    assert shown(led, "MMU_LOAD", mark) == [{"N": "1"}, {"N": "2"}]


def test_only_what_matches_is_registered(printers):
    assert {"MMU_LOAD", "MMU_UNLOAD", "MMU_SPIN"} <= set(commands(printers[0]))
    assert "OTHER" not in commands(printers[0])


def test_they_have_the_help_texts_of_the_peer(printers, pair):
    main = printers[0]
    assert commands(main)["MMU_LOAD"] == "Load a filament (on led)"
    if pair[0] != "klipper2023":  # its object gcode has no status
        listed = main.query(["gcode"])["gcode"]["commands"]
        assert listed["MMU_LOAD"] == {"help": "Load a filament (on led)"}


def test_the_main_printer_shows_what_they_print_and_does_not_wait(printers):
    main, _led, _afc = printers
    mark = main.mark()
    main.script("MMU_SLOW")
    assert not any("ends" in line for line in main.console[mark:])
    main.wait_line("led: ends", start=mark)
    assert [line for line in main.console[mark:] if "led: " in line] == [
        "// led: begins",
        "// led: ends",
    ]


def test_an_error_on_the_peer_is_shown_once(printers):
    main, _led, _afc = printers
    mark = main.mark()
    main.script("MMU_FAIL\nMMU_LOAD END=1")
    main.wait_line("END=1", start=mark)
    failed = [line for line in main.console[mark:] if "the gate is empty" in line]
    assert len(failed) == 1 and failed[0].startswith("// Router: led: ")


def test_a_command_of_the_main_printer_stays(printers):
    main, led, _afc = printers
    mark, led_mark = main.mark(), led.mark()
    main.script("MMU_HOME A=1\nMMU_LOAD END=2")
    wait_shown(led, "MMU_LOAD", led_mark, END="2")
    assert shown(main, "MMU_HOME", mark) == [{"A": "1"}]
    assert shown(led, "MMU_HOME", led_mark) == []
    said = [line for line in about_names(main) if "MMU_HOME" in line]
    assert said == [
        "// Router: Option 'proxy_commands' in section 'router led' does not replace commands of"
        " this printer: MMU_HOME. To use those of led, rename the ones of this printer"
    ]


def test_of_two_peers_the_first_one_keeps_it(printers):
    main, _led, afc = printers
    mark = afc.mark()
    main.script("MMU_SPIN A=1")
    wait_shown(afc, "MMU_SPIN", mark, A="1")
    said = [line for line in about_names(main) if "MMU_LOAD" in line]
    assert len(said) == 1 and "in section 'router afc' does not replace" in said[0]
    assert "of section 'router led': MMU_LOAD. To use those of afc, write" in said[0]


def test_a_peer_with_another_config(printers):
    main, led, afc = printers
    said = about_names(main)
    restart(main, led, LED.replace("MMU_UNLOAD", "MMU_CUT"))
    wait_command(main, "MMU_CUT")
    mark = main.mark()
    main.script("MMU_UNLOAD\nMMU_CUT\nMMU_LOAD END=3")
    main.wait_line("END=3", start=mark)
    assert [line for line in main.console[mark:] if "UNLOAD" in line] == [
        '// Router: led: Unknown command:"MMU_UNLOAD"'
    ]
    assert len(shown(led, "MMU_CUT")) == 1
    restart(main, led, LED)
    mark = led.mark()
    main.script("MMU_UNLOAD A=4")
    wait_shown(led, "MMU_UNLOAD", mark, A="4")
    restart(main, afc, AFC)
    assert about_names(main) == said


def test_an_offline_peer_is_one_line_and_no_error(printers):
    main, led, _afc = printers
    led.stop()
    wait_known(main, "led", ready=False)
    assert answer(main, "MMU_LOAD") == ["// Router: led is not connected"]
    assert commands(main)["MMU_LOAD"] == "Load a filament (on led)"
    led.start()
    wait_known(main, "led")
    mark = led.mark()
    main.script("MMU_LOAD A=5")
    wait_shown(led, "MMU_LOAD", mark, A="5")
    main.restart()
    wait_command(main, "MMU_LOAD")


@pytest.mark.parametrize("word", ["*", "MMU_*_X", "ROUTER_*", "ABORT"])
def test_what_is_a_config_error(lab, kind, word):
    text = "[router]\n" + router_section(lab, "led", f"proxy_commands: MMU_*, {word}")
    printer = lab.printer(kind, "main", config.minimal(text))
    printer.wait_state("error", 10.0)
    message = printer.call("info")["state_message"]
    for part in (f"'{word}'", "proxy_commands", "router led"):
        assert part in message
