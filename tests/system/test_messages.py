"""The messages that the documents explain, compared with what is really printed."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# In a message '...' stands for anything, and a version for every version.
import os
import re

import pytest

from tests.documents import README, REFERENCE
from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.klippers import ROOT, klipper
from tests.lab.waiting import wait_until
from tests.system.macros import remote_call, start_trio, wait_known

CHAPTER = REFERENCE.chapter("## Messages")
INCLUDE = f"[include {ROOT}/includes/router_api.cfg]\n"
LARGE = "".join(  # more than max_message in the status of configfile
    f"[gcode_macro LARGE_{letter}]\ngcode:\n    M118 {letter * 4000}\n"
    for letter in "ABCDEFGHIJKLMNOPQRST"
)

# {message: the config that Klippy answers with it}
OF_A_CONFIG = {
    "Option '...' is not valid in section 'router led'": "[router]\n[router led]\nsocks: x\n",
    "Include file '.../includes/router_api.cfg' does not exist": (
        "[include /nowhere/includes/router_api.cfg]\n"
    ),
}
# {message: what prints it}
PRINTED = {
    'Unknown command:"ROUTER_STATUS"': "a peer",
    "Unknown printer 'ledd'. Known: main, led, afc": "the host",
    "Remote Call Error": "the log of a peer",
    "Remote method 'router/...' not registered": "the log of a peer",
    "led is busy: 256 scripts are waiting for it": "the host",
    "led: its status is longer than max_message (65536 bytes)": "the host",
    "led has no object 'print_stat': did you mean 'print_stats'?": "the host",
    "led: not ready (shutdown: ...)": "the host",
    "led: not connected, No such file or directory": "the host",
    "Router: led has router_api.cfg of version 0.1.0, the router is version 1.0.0": "the host",
}
# Messages of a broken installation: looked for in the source
OF_KLIPPY = {
    "Internal error during connect: No module named '...router...'",
    "Module 'router' found in both extras and plugins!",
    "Unable to load module 'router'",
}
OF_INSTALL_SH = {
    "found ..., which is not this Klipper Router",
    "the old router daemon is running",
}
OF_GIT = {"git clone", "destination path ... already exists"}


def messages():
    """What the bold beginnings of the chapter quote, except single words."""
    bold = re.findall(r"^\*\*(.*?)\*\*", CHAPTER, re.MULTILINE | re.DOTALL)
    return {text for part in bold for text in re.findall(r"`([^`]+)`", part) if " " in text}


def is_in(message, text):
    pattern = re.escape(message).replace(r"\.\.\.", ".*")
    return re.search(re.sub(r"\d+(\\\.\d+)+", r"\\d+(\\.\\d+)+", pattern), text) is not None


def test_every_message_is_covered_by_a_test():
    others = OF_KLIPPY | OF_INSTALL_SH | OF_GIT
    assert messages() == OF_A_CONFIG.keys() | PRINTED.keys() | others


def test_the_readme_explains_some_of_them():
    symptoms = re.findall(r"^\| (.*?) \| ", README.chapter("## Troubleshooting"), re.MULTILINE)
    quoted = {text for row in symptoms for text in re.findall(r"`([^`]+)`", row) if " " in text}
    assert quoted - {shown_section().splitlines()[0]} <= messages()


def shown_section():
    """What Klippy says of a section that no module takes, as the reference shows it."""
    return re.search(r"```\n(Section .*?)```", CHAPTER, re.DOTALL)[1]


@pytest.mark.parametrize("message", OF_A_CONFIG)
def test_what_klippy_says_of_a_config(lab, kind, message):
    printer = lab.printer(kind, "main", config.printing(OF_A_CONFIG[message]))
    printer.wait_state("error")
    assert is_in(message, printer.call("info")["state_message"])


def test_a_section_that_no_module_takes(lab, kind):
    printer = lab.printer(kind, "main", config.printing("[rooter]\n"))
    printer.wait_state("error")
    message = printer.call("info")["state_message"].replace("rooter", "router")
    assert message.startswith(shown_section())


@pytest.fixture(scope="module")
def said(shared_lab):
    """{who: its console and log}, when everything of PRINTED has happened to it."""
    old = INCLUDE + '[gcode_macro _ROUTER]\nvariable_version: "0.1.0"\n'
    trio = start_trio(shared_lab, led=old + LARGE)
    main, led, afc = trio.main, trio.led, trio.afc

    def wait_status(text):
        def is_shown():
            main.script("ROUTER_STATUS")
            return text in "\n".join(main.console)

        wait_until(is_shown, 20.0, text, [main])

    led.script("ROUTER_STATUS")
    with pytest.raises(ApiError):
        main.script("ROUTER_OBJECTS_LIST TARGET=ledd")
    remote_call(afc, "router/nothing")
    main.script("ROUTER_OBJECTS_SUBSCRIBE TARGET=led OBJECTS=configfile CALLBACK=SHOW")
    main.wait_line("longer than max_message")
    main.script("ROUTER_OBJECTS_SUBSCRIBE TARGET=led OBJECTS=print_stat:state CALLBACK=SHOW")
    main.wait_line("print_stat'")
    led.freeze()
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SHOW\n" * 300)
    led.thaw()
    wait_known(main, "led")
    led.script("M112")
    wait_status("led: not ready")
    led.kill()
    os.unlink(led.sock)
    wait_status("led: not connected, No such file")
    return {
        "the host": "\n".join(main.console),
        "a peer": "\n".join(led.console),
        "the log of a peer": afc.log_text(),
    }


@pytest.mark.parametrize("message", PRINTED)
def test_what_a_console_or_log_shows(said, message):
    assert is_in(message, said[PRINTED[message]]), said[PRINTED[message]]


@pytest.mark.parametrize(
    "reason", ["Connection refused", "Permission denied", "Resource temporarily unavailable"]
)
def test_the_other_reasons_are_messages_of_the_system(reason):
    assert f"`{reason}`" in CHAPTER
    assert reason in map(os.strerror, range(1, 150))


def source_of_klippy(kind):
    folder = klipper(kind).extras.parent
    return "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*.py"))


@pytest.mark.parametrize("message", sorted(OF_KLIPPY))
def test_what_klippy_says_of_a_broken_installation(message):
    sources = [source_of_klippy(kind) for kind in ("kalico", "klipper2023")]
    before, _quote, after = message.replace("No module named ", "").partition("'")
    after = after.partition("'")[2]
    assert any(before in source and after in source for source in sources)


def test_what_install_sh_says():
    script = (ROOT / "install.sh").read_text(encoding="utf-8")
    for message in OF_INSTALL_SH:
        assert is_in(message, script), message
