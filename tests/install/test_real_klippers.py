"""install.sh on copies of real Klippers, which then start with [router]."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, List

import pytest

from tests.lab import config
from tests.lab.klippers import Klipper, available, klipper
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until

from .machine import Machine, fingerprint, git

# The link to the router, which install.sh is to make
NOT_COPIED = shutil.ignore_patterns("router")
TREES = ["kalico", "kalico checkout", "klipper2023", "klipper2023 checkout", "klipper checkout"]
NOT_INSTALLED = """\
{option}

Once the underlying issue is corrected, use the "RESTART"
command to reload the config and restart the host software.
Printer is halted
"""


def copy_of(tree: str, folder: Path) -> Klipper:
    """Copy one of TREES to a folder; returns the copy, which knows how it is started."""
    kind = tree.split()[0]
    lab = klipper(kind)
    if kind == "klipper":
        checkout = Path(os.environ["KLIPPER_PATH"]).resolve()
        few = ("--depth", "1", "--sparse")  # of lib/ and src/, 1,600 files
        git(folder.parent, "clone", "-q", *few, checkout.as_uri(), folder.name)
        git(folder, "sparse-checkout", "set", "klippy")
        for name in ("klippy/chelper/c_helper.so", "klippy/extras/lab_console.py"):
            shutil.copy(lab.cwd / name, folder / name, follow_symlinks=False)
        with open(folder / ".git/info/exclude", "a") as exclude:
            exclude.write("lab_console.py")  # no line break after it
        return replace(lab, start=[lab.start[0], f"{folder}/klippy/klippy.py"], cwd=folder)
    source = lab.extras.parent
    shutil.copytree(source, folder / "klippy", symlinks=True, ignore=NOT_COPIED)
    if "checkout" in tree:
        (folder / ".gitignore").write_text("*.so\n__pycache__/\n")
        git(folder, "init", "-q")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", kind)
    return replace(lab, cwd=folder)


def cases() -> List[Any]:
    """Each tree with one of the shells in turn, which makes no difference to Klippy."""
    found = []
    for number, tree in enumerate(TREES):
        shell = ("dash", "busybox")[number % 2]
        missing = pytest.mark.skipif(
            not available(tree.split()[0]), reason="KLIPPER_PATH names no checkout of Klipper"
        )
        found.append(pytest.param(shell, tree, marks=missing, id=tree))
    return found


@pytest.mark.parametrize("shell, tree", cases(), indirect=["shell"])
def test_install_update_and_uninstall(
    machine: Machine, tree: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    shutil.rmtree(machine.tree)
    copied = copy_of(tree, machine.tree)
    place = "plugins" if "kalico" in tree else "extras"
    machine.link = machine.tree / "klippy" / place / "router"
    before = fingerprint(machine.tree)
    machine.install().succeeded(f"link {machine.link} to {machine.source}")
    assert machine.is_installed("checkout" in tree)
    machine.install().succeeded("already installed")

    with LabPrinter(copied.kind, "p", machine.folder, config.printing("[router]\n")) as printer:
        printer.klipper = copied
        printer.start().wait_ready()
        assert printer.query(["router"])["router"]["name"] == "main"
        if tree == "klipper checkout":
            # Current Klipper counts ignored files, too
            untracked = re.findall("^Untracked files: (.*)", printer.log_text(), re.MULTILINE)
            assert "klippy/extras/router" in untracked[0].split(", ")
            assert printer.call("info")["software_version"].endswith("-dirty")

        # An update: RESTART does not reload code, but a restart of the service does
        init = (machine.source / "__init__.py").read_text()
        machine.push_update(
            {
                "klippy_extras/router/brand_new.py": 'import logging\nlogging.info("Brand new")\n',
                "klippy_extras/router/__init__.py": init + "from . import brand_new\n",
            }
        )
        git(machine.project, "pull", "-q")
        printer.restart()
        assert "Brand new" not in printer.log_text()
        printer.stop()
        printer.start().wait_ready()
        assert "Brand new" in printer.log_text()
        assert machine.is_installed("checkout" in tree)
        printer.stop()

        # Uninstalled, but still in the config
        machine.install("--uninstall").succeeded()
        assert fingerprint(machine.tree) == before
        printer.start().wait_state("error")
        assert printer.call("info")["state_message"] == NOT_INSTALLED.format(
            option="Section 'router' is not a valid config section"
        )
        printer.write_config(config.printing())
        printer.stop()
        printer.start().wait_ready()


@pytest.mark.parametrize("shell", ["dash"], indirect=True)
def test_restart_asks_a_real_printer(machine: Machine, kind: str) -> None:
    log = machine.add_systemd("klipper.service")
    machine.install().succeeded()
    text = config.printing(mcu="fake")
    with LabPrinter(kind, "p", machine.folder, text, mcu="fake") as printer:
        printer.start().wait_ready()
        assert printer.process
        machine.add_real_process(printer.process.pid)
        (printer.gcodes / "long.gcode").write_text("G4 P500\n" * 600)

        def is_in(state: str) -> bool:
            return str(printer.query(["print_stats"])["print_stats"]["state"]) == state

        printer.script("SDCARD_PRINT_FILE FILENAME=long.gcode")
        wait_until(lambda: is_in("printing"), 10, "printing", [printer])
        machine.refuses("--restart", saying="has a print running or paused")
        printer.script("PAUSE")
        wait_until(lambda: is_in("paused"), 10, "paused", [printer])
        machine.refuses("--restart", saying="has a print running or paused")
        assert not log.exists()
        printer.script("CANCEL_PRINT")
        wait_until(lambda: is_in("cancelled"), 10, "cancelled", [printer])
        machine.install("--restart").succeeded()
        assert log.exists()

        # It does not answer while it is frozen
        printer.freeze()
        machine.install("--restart").failed("does not say whether it is printing")
        printer.thaw()

        # Without ~/klipper, the process shows where Klipper is
        shutil.rmtree(machine.tree)
        tree = printer.klipper.extras.parents[1]
        machine.install("--status").succeeded(f"Klipper:   {tree} (")


@pytest.mark.parametrize("shell", ["busybox"], indirect=True)
def test_the_printed_sections_connect_two_printers(machine: Machine, pair: Any) -> None:
    main_kind, led_kind = pair
    include = f"[include {machine.project}/includes/router_api.cfg]\n"
    led_config = config.printing(include)
    with LabPrinter(led_kind, "led", machine.folder, led_config) as led, LabPrinter(
        main_kind, "main", machine.folder, config.printing()
    ) as main:
        led.sock = str(machine.folder / "klippy_led_uds")  # not the default for this name
        for printer in (led, main):
            printer.start().wait_ready()
            assert printer.process
            machine.add_real_process(printer.process.pid)
        result = machine.install().succeeded(f"Add this line to {led.folder}/printer.cfg:\n")
        assert include in result.out
        printed = result.main_sections()
        assert f"sock: {led.sock}\n" in printed
        main.write_config(config.printing(printed))
        main.restart()
        main.wait_ready()
        wait_until(
            lambda: bool(main.query(["router led"])["router led"]["ready"]), 10, "led", [main, led]
        )


@pytest.mark.parametrize("shell", ["dash"], indirect=True)
def test_includes_are_read_as_klipper_reads_them(machine: Machine, kind: str) -> None:
    text = (
        "[include parts/*.cfg]\n[include parts/../one[12].cfg]  # [router x]\n[include off*.cfg]\n"
    )
    with LabPrinter(kind, "p", machine.folder, config.printing(text + "[router]\n")) as printer:
        (printer.folder / "parts").mkdir()
        for name, part in {
            "parts/b.cfg": "[router b]\n[include deep/c.cfg]\r\n[router d]\nsock: 1\n",
            "parts/a.cfg": f"#[router no]\n[router a]\n[include {printer.folder}/deep.cfg]",
            "parts/a.conf": "[router no]\n",
            "deep.cfg": "[router deep]  # it is",
            "one1.cfg": "[router one]\nsock:\n [router no]\n",
            "one3.cfg": "[router no]\n",
        }.items():
            (printer.folder / name).write_text(part)
        (printer.folder / "parts/deep").mkdir()
        (printer.folder / "parts/deep/c.cfg").write_text("[router c]\nsock: 2")
        printer.start().wait_ready()
        assert printer.process
        machine.add_real_process(printer.process.pid)
        read = printer.query(["configfile"])["configfile"]["config"]
        expected = sorted(name for name in read if name.split()[0] == "router")
        assert len(expected) == 7
        lines = machine.install("--status").succeeded().out.splitlines()
        found = [line for line in lines if line.startswith("Section:")]
        assert sorted(re.findall(r"\[(.*?)\]", line)[0] for line in found) == expected
