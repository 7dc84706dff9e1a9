"""The documents on real printers: status fields, and every sample of config or console."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone

import pytest

from tests.documents import ALL, README, REFERENCE, TESTS, blocks_of
from tests.lab import config
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.macros import wait_known

INCLUDE = "[include /home/pi/klipper-router/includes/router_api.cfg]\n"
LINES = re.MULTILINE

# -- status objects


def fields_in_reference(heading):
    return re.findall(r"^- `([\w.\[\]\"<>]+)`: ", REFERENCE.chapter(heading), LINES)


def fields_of(status, by_name=()):
    """The fields as the reference writes them; by_name: {field: its index} whose keys are names."""
    for field, value in status.items():
        if field in by_name:
            inner = next(iter(value.values()))
            yield from (f'{field}["<{by_name[field]}>"].{name}' for name in inner)
        elif field == "mirror":
            yield 'mirror["<object>"].<field>'
        elif field == "print_stats":  # which is mirrored
            yield "<object>"
        else:
            yield field


def test_every_status_field_is_in_the_reference(lab):
    text = "[router]\n[router led]\nmirror: print_stats: state\n"
    text += "sensors:\n    chamber: heater_generic chamber\n"
    main = lab.printer("kalico", "main", config.printing(text)).wait_ready()
    main.script("ROUTER_EVENT_TRIGGER EVENT=e")
    status = main.query(["router", "router led", "temperature_sensor chamber"])
    by_name_only = ["mirror_time", "mirror"]
    status["router led"].update(main.query({"router led": by_name_only})["router led"])
    by_name = {"printers": "printer", "events": "event"}
    assert fields_in_reference("### The router object") == list(
        fields_of(status["router"], by_name)
    )
    assert fields_in_reference("### router NAME objects") == list(fields_of(status["router led"]))
    for field in status["temperature_sensor chamber"]:
        assert f"`{field}`" in REFERENCE.chapter("### router NAME objects")


# -- on real printers

PRINTERS = ("main", "led")
# What the samples of a section print on a printer; the others only must not fail
SAYS = {
    (README, "## Install"): {"main": "led: ready"},
    (README, "## First macro"): {"led": "The printer is standby"},
    (README, "## Run G-code on another printer"): {"main": "Hello from led"},
    (README, "## Wait for another printer"): {"led": "Lane 2 loaded"},
    (README, "## Events"): {"led": "Lane 2, 50 mm"},
    (README, "## Follow the status of another printer"): {"led": "standby"},
    (README, "## Your peer's devices in Mainsail"): {"main": "led: Fan on for 3 minutes"},
    (README, "## Troubleshooting"): {"main": "led echo: there and back"},
    (REFERENCE, "## Waiting"): {"main": "Button 2"},
    (REFERENCE, "## Events"): {"main": "Lane 2 is loaded", "led": "Called"},
    (REFERENCE, "### Retained events and `*`"): {"main": "led/color is now red"},
    (REFERENCE, "## Status subscriptions"): {"led": "main is standby"},
    (REFERENCE, "## Mirror and sensors"): {"main": "led is ready, its print standby"},
    (REFERENCE, "## Proxy commands"): {"led": "Disco 2"},
    (REFERENCE, "## The checks of ROUTER_DIAGNOSE"): {"main": "led echo: there and back"},
    (REFERENCE, "## Methods"): {"main": "Hello from led"},
    (REFERENCE, "### router/call"): {"main": "state ready"},
}


def samples():
    """{(document, heading): [block, ...]} of the sections with a printer's config or console."""
    found = {}
    for document in ALL:
        for heading in document.headings:
            blocks = [block for block in blocks_of(document.section(heading)) if block.printer]
            if blocks:
                found[document, heading] = blocks
    return found


def samples_of_consoles():
    """(document, heading, number of its blocks up to the sample) of each console that is shown."""
    for (document, heading), blocks in samples().items():
        for number, block in enumerate(blocks, 1):
            if block.language == "console":
                yield document, heading, number


def test_every_marked_block_has_a_known_kind():
    blocks = [block for of_section in samples().values() for block in of_section]
    assert {(block.language, block.printer) for block in blocks} <= {
        (language, printer) for language in ("ini", "gcode", "console") for printer in PRINTERS
    }


def config_of(printer, blocks):
    texts = [text for language, of, text in blocks if (language, of) == ("ini", printer)]
    text = "\n".join(texts)
    if printer == "led" and INCLUDE not in text:
        text = INCLUDE + text
    return text.replace("/home/pi/klipper-router", str(ROOT))


def test_the_expected_lines_belong_to_sections_that_exist():
    assert set(SAYS) <= set(samples())


def run_samples(lab, blocks):
    """Start main and led with the config of these blocks, and run their G-code."""
    main_config = config_of("main", blocks) + f"\n[router]\n[router led]\nsock: {lab.sock('led')}\n"
    main = lab.printer("kalico", "main", config.printing(main_config, "fake"), mcu="fake")
    lab.printer("kalico", "led", config.heating(config_of("led", blocks)), mcu="fake")
    lab.wait_ready()
    wait_known(main, "led")
    for name in ("main", "led"):  # behind its ROUTER_ON_READY
        main.call("router/gcode/script", {"target": name, "script": "G4 P1"})
    with ThreadPoolExecutor() as pool:
        # A block may wait for something that a later one does
        running = []
        for language, printer, text in blocks:
            if language == "gcode":
                running.append(pool.submit(lab.printers[printer].script, text))
                try:
                    running[-1].result(1.0)
                except NotDone:
                    pass
        for script in running:
            script.result(30.0)


@pytest.mark.parametrize(("document", "heading"), samples(), ids=str)
def test_samples_work(lab, document, heading):
    run_samples(lab, samples()[document, heading])
    for printer, text in SAYS.get((document, heading), {}).items():
        lab.printers[printer].wait_line(text)
    wrong = [
        line
        for printer in lab.printers.values()
        for line in printer.console
        if line.startswith("!!") or "Unknown command" in line or "Router:" in line
    ]
    assert not wrong


@pytest.mark.parametrize(("document", "heading", "number"), samples_of_consoles(), ids=str)
def test_a_console_shows_what_the_sample_shows(lab, document, heading, number):
    blocks = samples()[document, heading][:number]
    run_samples(lab, blocks)
    _language, printer, text = blocks[-1]
    # Times and versions differ
    sample = re.sub(r"\d+(\\\.\d+)+", r"\\d+(\\.\\d+)+", re.escape(text))
    # So do paths, processes and users; ... stands for anything
    sample = re.sub(r"/home/pi/[^\s,]+", r"/[^\\s,]+", sample)
    sample = re.sub(r"([pu]id)\\ \d+", r"\1 \\d+", sample).replace(r"\.\.\.", ".*")

    def console():
        return "\n".join(lab.printers[printer].console) + "\n"

    wait_until(
        lambda: re.search("^" + sample, console(), LINES),
        10.0,
        "the sample",
        [lab.printers[printer]],
    )


def test_the_sample_test_in_the_document_passes(lab, pair):
    (sample,) = [block.text for block in blocks_of(TESTS.text) if block.language == "python"]
    names = {}
    exec(compile(sample, TESTS.name, "exec"), names)
    (test,) = [value for name, value in names.items() if name.startswith("test_")]
    test(lab, pair)
