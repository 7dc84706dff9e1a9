"""The filament changer of examples/mmu in Mainsail: its panel shows and operates it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest
from playwright.sync_api import expect

from tests.lab import config
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.macros import check_log, router_section, wait_known

EXAMPLE = ROOT / "examples" / "mmu"
STEPPER = """
[manual_stepper gear]
step_pin: gpio2
dir_pin: gpio3
enable_pin: !gpio4
microsteps: 16
rotation_distance: 22
velocity: 200
accel: 20000
"""


@pytest.fixture(scope="module")
def main(shared_lab):
    text = (EXAMPLE / "main.cfg").read_text().replace("[respond]", "").replace("[pause_resume]", "")
    text = text.replace("[router mmu]\n", router_section(shared_lab, "mmu"))
    return shared_lab.main(config.ordinary(text), mcu="fake").wait_ready()


@pytest.fixture(scope="module")
def mmu(main, shared_lab):
    text = (EXAMPLE / "mmu.cfg").read_text() + STEPPER
    mmu = shared_lab.peer("mmu", config.minimal(text, "fake"), mcu="fake").wait_ready()
    wait_known(main, "mmu")
    wait_until(lambda: "MMU_LOAD" in main.call("gcode/help"), 10.0, "commands are known", [main])
    return mmu


def wait_status(mmu, **expected):
    def is_so():
        return expected.items() <= mmu.query(["mmu"])["mmu"].items()

    wait_until(is_so, 15.0, f"the changer has {expected}", [mmu])


@pytest.fixture
def panel(dashboard):
    """The changer's panel, wide enough for the texts of its buttons."""
    dashboard.page.set_viewport_size({"width": 1900, "height": 1000})
    return dashboard.panel("mmu")


def select(dashboard, gate):
    """In the menu of a gate."""
    dashboard.panel("mmu").locator(".gate-number", has_text=str(gate)).click()
    dashboard.menu().get_by_text("Select", exact=True).click()


def test_its_panel(main, mmu, dashboard, panel, pictures):
    expect(panel.locator(".gate-number")).to_have_text(["0", "1", "2", "3", "Bypass"])
    select(dashboard, 2)
    wait_status(mmu, gate=2)
    expect(panel.locator(".gate-number.active")).to_have_text("2")
    expect(panel).to_contain_text("Lemon")

    panel.get_by_role("button", name="Load", exact=True).click()
    wait_status(mmu, filament="Loaded")
    unload = panel.get_by_role("button", name="Unload", exact=True)
    expect(unload).to_be_enabled()
    dashboard.page.wait_for_timeout(1500)  # until the filament is drawn where it is
    panel.screenshot(path=pictures / "mainsail_mmu.png")
    unload.click()
    wait_status(mmu, filament="Unloaded")
    expect(unload).to_be_disabled()
    check_log(main)


def test_its_panel_while_it_is_offline(main, mmu, dashboard, panel):
    title = panel.locator(".v-toolbar__title")
    mmu.script("MMU_SELECT GATE=1")
    expect(panel.locator(".gate-number.active")).to_have_text("1")
    mmu.kill()
    expect(title).to_contain_text("disabled")
    expect(panel).not_to_contain_text("Sky blue")
    dashboard.reload()
    expect(title).to_contain_text("disabled")
    mmu.start()
    expect(title).not_to_contain_text("disabled")
    expect(panel.locator(".gate-number")).to_have_text(["0", "1", "2", "3", "Bypass"])
    select(dashboard, 1)
    wait_status(mmu, gate=1)
    expect(panel).to_contain_text("Sky blue")
    check_log(main)
