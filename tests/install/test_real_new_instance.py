"""install.sh --new-instance on copies of real Klippers: a clone, a command and a paste."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Dict

import pytest

from tests.lab import config, processes
from tests.lab.emulated_mcu import EmulatedMcu
from tests.lab.klippers import Klipper
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until
from tests.system.findings import console_after

from .machine import Machine
from .test_real_klippers import copy_of

HOME_NAME = "home"  # no space: a service could not have it


def add_service(machine: Machine, main: LabPrinter) -> Path:
    """Make the unit of a printer, as KIAUH does; returns the log of systemctl."""
    log = machine.add_systemd("klipper.service")
    python, *klippy = main.klipper.start
    arguments = f"{main.folder}/printer.cfg -I {main.folder}/tty -l {main.folder}/klippy.log"
    env_file = main.folder / "klipper.env"
    env_file.write_text(f'KLIPPER_ARGS="{" ".join(klippy)} {arguments} -a {main.sock}"\n')
    (machine.sysroot / "etc/systemd/system/klipper.service").write_text(
        f"[Service]\nWorkingDirectory={main.klipper.cwd}\nEnvironmentFile={env_file}\n"
        f"ExecStart={python} $KLIPPER_ARGS\n"
    )
    return log


def start_unit(unit: Path, klipper: Klipper) -> "subprocess.Popen[bytes]":
    """Start what a unit says, as systemd does."""
    lines: Dict[str, str] = dict(re.findall(r"^(\w+)=(.*)", unit.read_text(), re.MULTILINE))
    name, value = Path(lines["EnvironmentFile"]).read_text().strip().split("=", 1)
    command = lines["ExecStart"].replace(f"${name}", shlex.split(value)[0])
    return processes.spawn(shlex.split(command), cwd=lines["WorkingDirectory"], env=klipper.env())


@pytest.mark.parametrize("shell", ["dash"], indirect=True)
def test_a_command_and_a_paste_lead_to_a_peer(machine: Machine, kind: str) -> None:
    shutil.rmtree(machine.tree)
    copied = copy_of("klipper checkout" if kind == "klipper" else kind, machine.tree)
    text = config.printing(mcu="fake")
    board = machine.sysroot / "dev/serial/by-id/usb-Klipper_rp2040_1234-if00"
    board.parent.mkdir(parents=True)
    mcu = EmulatedMcu(machine.sysroot / "dev/ttyACM0", [])
    board.symlink_to(machine.sysroot / "dev/ttyACM0")
    led = None
    try:
        with LabPrinter(kind, "printer", machine.home, text, mcu="fake") as main:
            main.klipper = copied
            main.start().wait_ready()
            assert main.process
            machine.add_real_process(main.process.pid)
            log = add_service(machine, main)

            result = machine.install("--new-instance", "led").succeeded()
            assert log.read_text() == "daemon-reload\nenable --now klipper-led.service\n"
            unit = machine.sysroot / "etc/systemd/system/klipper-led.service"
            led = start_unit(unit, copied)
            machine.add_real_process(led.pid)

            main.write_config(text + result.main_sections())
            main.stop()
            main.start().wait_ready()
            wait_until(
                lambda: bool(main.query(["router led"])["router led"]["ready"]), 30, "led", [main]
            )
            *lines, last = console_after(main)
            assert last.endswith(" ok, 0 WARN, 0 FAIL") and len(lines) > 15
            assert [line for line in lines if "// ok " not in line] == []
            machine.add_real_process(main.process.pid)
            machine.install("--doctor").succeeded(" ok, 0 WARN, 0 FAIL")

            processes.end(led, grace=3.0)
            machine.install("--remove-instance", "led").succeeded("remove this section, too")
            assert not (machine.home / "printer_led_data").exists() and not unit.exists()
    finally:
        mcu.stop()
        if led:
            processes.end(led)
