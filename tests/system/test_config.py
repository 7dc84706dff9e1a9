"""The configuration: what is refused, with which message, and what works with few options."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.lab import config
from tests.lab.klippers import klipper
from tests.system.macros import recorder, remote_call, says, wait_known, wait_shown

READER = Path(__file__).parent / "config_reader.py"
OWN_SOCK = "/tmp/own/klippy.sock"
LED, AFC = "[router led]\nsock: /tmp/led.sock\n", "[router afc]\nsock: /tmp/afc.sock\n"

# Errors: (configuration, what the message must contain: section, option, what to write)
WRONG = {
    "no name of this printer": ("[router]\nname:\n", ["'name'", "'router'", "letters"]),
    "a name with a space": ("[router]\nname: my printer\n", ["my printer", "'name'", "letters"]),
    "a name with a quote": ("[router]\nname: it's\n", ["it's", "'name'", "letters"]),
    "no name of a peer": ("[router]\n[router ]\n", ["[router ]", "letters"]),
    "a peer's name with a dot": ("[router]\n[router my.led]\n", ["[router my.led]", "letters"]),
    "a peer's name with a space": ("[router]\n[router a b]\n", ["[router a b]", "letters"]),
    "a peer called as the host": ("[router]\n[router main]\n", ["'router main'", "'name'"]),
    "a peer called as the host that has another name": (
        "[router]\nname: led\n" + LED,
        ["'router led'", "'name'"],
    ),
    "two peers with one G-code prefix": (
        "[router]\n[router my-led]\n[router my_led]\n",
        ["'router my_led'", "'my-led'", "MY_LED", "rename"],
    ),
    "two peers that differ in case only": (
        "[router]\n[router led]\n[router LED]\n",
        ["'router LED'", "'led'", "rename"],
    ),
    "a peer with the host's G-code prefix": (
        "[router]\nname: my-led\n[router my_led]\n",
        ["'router my_led'", "'my-led'", "rename"],
    ),
    "two peers on one socket": (
        "[router]\n" + LED + "[router afc]\nsock: /tmp/led.sock\n",
        ["'sock'", "'router afc'", "'router led'"],
    ),
    "two peers on one socket, written in two ways": (
        "[router]\n" + LED + "[router afc]\nsock: /tmp/x/../led.sock\n",
        ["'sock'", "'router afc'", "'router led'"],
    ),
    "a peer on the host's own socket": (
        f"[router]\n[router led]\nsock: {OWN_SOCK}\n",
        ["'sock'", "'router led'", "own"],
    ),
    "an empty socket": ("[router]\n[router led]\nsock:\n", ["'sock'", "'router led'", "path"]),
    "an unknown word in allow": (
        "[router]\n" + LED + "allow: gcode, evnt\n",
        ["'evnt'", "'allow'", "'router led'", "gcode, event, status, call"],
    ),
    **{
        f"{option} of {value}": (f"[router]\n{section}{option}: {value}\n", [f"'{option}'", name])
        for section, name, option, values in (
            ("", "'router'", "status_interval", ("0.04", "10.1", "often", "nan")),
            (LED, "'router led'", "timeout", ("0.9", "61", "long", "nan")),
            (LED, "'router led'", "disconnect_grace", ("-1", "long", "nan")),
            (LED, "'router led'", "max_message", ("100", "big")),
        )
        for value in values
    },
}
RIGHT = {
    "nothing": "[router]\n",
    "two peers": "[router]\n" + LED + AFC,
    "peers first": LED + AFC + "[router]\n",
    "defaults": "[router]\n[router my-led_2]\n",
    "all options": (
        "[router]\nname: Big-One\nstatus_interval: 1.5\n[router led]\nsock: ~/led.sock\n"
        "on_connect: M118 one\n  M118 two\ntimeout: 60\ndisconnect_grace: 2.5\n"
        "max_message: 1048576\nallow: status, event\n"
    ),
    "the bounds": "[router]\nstatus_interval: 0.05\n" + LED + "timeout: 1\n",
    "the host's name in a longer one": "[router]\n[router main2]\n[router mai]\n",
}


@pytest.fixture(scope="module")
def read(shared_lab, kind):
    """How this Klipper reads all the configurations: name -> result."""
    installed = klipper(kind)
    texts = {**{name: text for name, (text, _words) in WRONG.items()}, **RIGHT}
    klippy = installed.extras.parent
    process = subprocess.run(
        [installed.start[0], str(READER), str(klippy)],
        input=json.dumps([(text, OWN_SOCK) for text in texts.values()]),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env=installed.env(),
    )
    return dict(zip(texts, json.loads(process.stdout)))


# -- read by the real config parser of each Klipper


@pytest.mark.parametrize("name", list(WRONG))
def test_refused(read, name):
    message = read[name]["error"]
    for words in WRONG[name][1]:
        assert words in message


@pytest.mark.parametrize("name", list(RIGHT))
def test_accepted(read, name):
    assert "settings" in read[name]


def test_defaults(read):
    settings = read["defaults"]["settings"]
    assert (settings["name"], settings["status_interval"]) == ("main", 0.25)
    peer = settings["peers"][0]
    home = os.path.expanduser("~")
    assert peer["sock"] == f"{home}/printer_my-led_2_data/comms/klippy.sock"
    assert (peer["timeout"], peer["disconnect_grace"], peer["on_connect"]) == (5.0, 0.0, "")
    assert peer["max_message"] >= 65536
    assert sorted(peer["allow"]) == ["call", "event", "gcode", "status"]


def test_options(read):
    settings = read["all options"]["settings"]
    assert (settings["name"], settings["status_interval"]) == ("Big-One", 1.5)
    peer = settings["peers"][0]
    assert peer["sock"] == os.path.expanduser("~/led.sock")
    assert peer["on_connect"] == "M118 one\nM118 two"
    assert (peer["timeout"], peer["disconnect_grace"]) == (60.0, 2.5)
    assert peer["max_message"] == 1048576
    assert sorted(peer["allow"]) == ["event", "status"]


def test_peers_are_in_the_order_of_the_config(read):
    for name in ("two peers", "peers first"):
        assert [peer["name"] for peer in read[name]["settings"]["peers"]] == ["led", "afc"]


# -- real starts


@pytest.fixture(scope="module")
def printer(shared_lab):
    """A printer whose configuration the tests replace."""
    yield shared_lab.main(config.printing("[router]\n")).wait_ready()


def start_with(printer, text):
    printer.write_config(config.printing(text))
    printer.restart()


def test_the_router_alone_needs_no_peer(printer):
    start_with(printer, "[router]\n")
    expected = {"name": "main", "connected": True, "ready": True, "state": "ready", "local": True}
    assert printer.call("router/printers/list") == {"printers": [expected]}
    status = printer.query(["router"])["router"]
    assert (status["name"], list(status["printers"])) == ("main", ["main"])


def test_peer_sections_stand_before_or_after_the_main_one(printer):
    for text in (LED + "[router]\n" + AFC, "[router]\n" + LED + AFC, LED + AFC + "[router]\n"):
        start_with(printer, text)
        names = [p["name"] for p in printer.call("router/printers/list")["printers"]]
        assert names == ["main", "led", "afc"]
        status = printer.query(["router led", "router afc"])
        assert [status[f"router {name}"]["ready"] for name in ("led", "afc")] == [False, False]


def test_a_peer_section_without_a_main_section_is_enough(printer):
    start_with(printer, LED)
    names = [p["name"] for p in printer.call("router/printers/list")["printers"]]
    assert names == ["main", "led"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (LED + "timeout: 0.5\n[router]\n", ["'timeout'", "'router led'", "minimum of 1"]),
        ("[router]\n" + LED + "tiemout: 5\n", ["'tiemout'", "'router led'"]),
        ("[router]\n[router ]\n", ["[router ]"]),
    ],
    ids=["out of range", "unknown option", "peer without a name"],
)
def test_a_wrong_config_is_klippys_state_message_and_fixed_by_a_restart(printer, text, words):
    printer.write_config(config.printing(text))
    printer.begin_restart()
    try:
        printer.wait_state("error")
        message = printer.call("info")["state_message"]
        for word in words:
            assert word in message
        assert "Internal error" not in message
    finally:
        start_with(printer, "[router]\n")


def test_a_macro_with_the_name_of_a_native_command_stays(printer):
    before, after = "ROUTER_GCODE_SCRIPT", "ROUTER_EVENT_TRIGGER"
    macros = says("router_objects_list"), says(before), says(after)
    start_with(printer, macros[0] + macros[1] + "[router]\n" + macros[2] + recorder())
    mark = printer.mark()
    printer.script(f"{before} TARGET=main SCRIPT=SHOW\n{after} EVENT=e\nROUTER_OBJECTS_LIST X=1")
    assert wait_shown(printer, before, mark) == {"TARGET": "main", "SCRIPT": "SHOW"}
    assert wait_shown(printer, after, mark) == {"EVENT": "e"}
    assert wait_shown(printer, "router_objects_list", mark) == {"X": "1"}
    # The methods behind them, and the other commands, are as they were
    remote_call(printer, "router/gcode/script", target="main", script="SHOW FROM=method")
    wait_shown(printer, start=mark, FROM="method")
    printer.script("ROUTER_EVENT_SUBSCRIBE EVENT=e GCODE=SHOW_A")
    printer.call("router/event/trigger", {"event": "e"})
    wait_shown(printer, "SHOW_A", mark)


def test_a_native_command_can_be_renamed(printer):
    renaming = """
[gcode_macro ROUTER_EVENT_TRIGGER]
rename_existing: TRIGGER_BASE
gcode:
    {action_respond_info("RENAMED " ~ rawparams)}
    TRIGGER_BASE {rawparams}
"""
    for text in (renaming + "[router]\n", "[router]\n" + renaming):
        start_with(printer, text + recorder())
        mark = printer.mark()
        printer.script("ROUTER_EVENT_SUBSCRIBE EVENT=e GCODE=SHOW_A")
        printer.script("ROUTER_EVENT_TRIGGER EVENT=e K=1")
        wait_shown(printer, "RENAMED", mark, K="1")
        assert wait_shown(printer, "SHOW_A", mark) == {"K": "1"}


def test_the_default_socket_is_found_in_the_home_folder(lab, kind, monkeypatch):
    monkeypatch.setenv("HOME", str(lab.folder))
    led = lab.printer(kind, "led", config.printing(recorder()))
    comms = lab.folder / "printer_led_data" / "comms"
    comms.mkdir(parents=True)
    (comms / "klippy.sock").symlink_to(led.sock)
    main = lab.printer(kind, "main", config.printing("[router]\n[router led]\n"))
    main.wait_ready()
    led.wait_ready()
    wait_known(main, "led")
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SHOW")
    wait_shown(led)
