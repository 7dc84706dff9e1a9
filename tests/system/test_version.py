"""Where the version of the router is shown, and what is reported when a peer has another."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re

import pytest

from klippy_extras.router.version import VERSION
from tests.lab import config
from tests.lab.klippers import ROOT
from tests.system.macros import router_section, wait_known

pytestmark = pytest.mark.pairs

INCLUDES = [ROOT / "includes" / name for name in ("router_api.cfg", "router_watchdog.cfg")]
MISMATCH = "led has router_api.cfg of version"


def include(number):
    return f"[include {INCLUDES[number]}]\n"


def old_include(version):
    return include(0) + f'[gcode_macro _ROUTER]\nvariable_version: "{version}"\n'


@pytest.fixture(scope="module")
def printers(shared_lab):
    """main; led, whose include file changes; afc, which has none."""
    text = "[router]\n" + router_section(shared_lab, "led") + router_section(shared_lab, "afc")
    main = shared_lab.main(config.printing(text))
    led = shared_lab.peer("led", config.printing(include(0)))
    shared_lab.peer("afc", config.printing())
    shared_lab.wait_ready()
    wait_known(main, "led", "afc")
    return main, led


def test_the_version_is_in_the_log_the_status_and_the_table(printers):
    main = printers[0]
    assert f"router: version {VERSION}, peers: led, afc\n" in main.log_text()
    assert main.query(["router"])["router"]["version"] == VERSION
    mark = main.mark()
    main.script("ROUTER_STATUS")
    first = main.wait_line("Router 'main'", start=mark)
    assert re.match(rf"// Router 'main', version {re.escape(VERSION)}: 2 peers, ", first)


def test_klippy_logs_it_as_the_version_of_its_client(printers):
    assert f"'version': '{VERSION}'" in printers[1].log_text()


def test_another_version_of_the_include_file_is_reported_once(printers):
    main, led = printers
    assert not [line for line in main.console if "of version" in line]
    mark = main.mark()
    for text in (old_include("0.1.7"), old_include("0.1.7"), old_include("0.1.8"), "", include(0)):
        led.write_config(config.printing(text))
        led.begin_restart()
        wait_known(main, "led", ready=False)
        led.wait_ready()
        wait_known(main, "led")
    main.script("ROUTER_STATUS")
    main.wait_line("Router 'main'", start=mark)
    said = [line for line in main.console[mark:] if MISMATCH in line]
    assert [line.split(MISMATCH)[1].split(",")[0].strip() for line in said] == ["0.1.7", "0.1.8"]
    assert all(f"the router is version {VERSION}" in line for line in said)
