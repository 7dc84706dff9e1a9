"""install.sh --doctor: what it reports, and that it changes nothing."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from klippy_extras.router.version import VERSION
from tests.lab import config
from tests.lab.printer import LabPrinter

from .machine import AS_ROOT, NOBODY, Machine, Result, fingerprint, needs_root


def doctor(machine: Machine, *lines: str, **options: Any) -> Result:
    """Run it: its report has lines that begin like these, and it changes nothing."""
    before = fingerprint(machine.folder)
    result = machine.install("--doctor", **options)
    assert fingerprint(machine.folder) == before
    assert result.err == ""
    found = result.out.splitlines()
    for line in lines:
        assert any(each.startswith(line) for each in found), f"no {line}\n{result.out}"
    counts = [sum(each.startswith(word) for each in found) for word in ("ok ", "WARN ", "FAIL ")]
    assert found[-1] == "Checks: {} ok, {} WARN, {} FAIL".format(*counts)
    assert sum(counts) == len(found) - 1
    assert result.code == (1 if counts[2] else 0)
    return result


def host(machine: Machine, text: str = "") -> Path:
    """Install for a main printer that does not run; returns its config."""
    machine.install().succeeded()
    return machine.add_instance("printer_data", f"[router]\n{text}") / "config/printer.cfg"


def test_all_is_well(machine: Machine) -> None:
    path = host(machine)
    result = doctor(
        machine,
        f"ok   install copy: {machine.project}, version {VERSION} (v0.1.0)",
        f"ok   install klipper: {machine.tree} (Klipper, ",
        f"ok   install python: {machine.home}/klippy-env/bin/python, 3.",
        f"ok   install import: {machine.source} can be imported",
        f"ok   install link: {machine.link}",
        "ok   install daemon: ",
        f"ok   main config: {path} has [router]",
        "ok   main user: ",
        "WARN main klippy: not running: start its service",
    )
    assert result.out.endswith("Checks: 8 ok, 1 WARN, 0 FAIL\n")


def test_no_klipper(machine: Machine) -> None:
    shutil.rmtree(machine.tree)
    doctor(
        machine,
        "FAIL install klipper: found no Klipper in ~/klipper and none running",
        "ok   install copy",
        f"FAIL main config: no [router] in {machine.home}/printer_data/config/printer.cfg",
    )


def test_not_installed_yet(machine: Machine) -> None:
    machine.add_instance("printer_data")
    doctor(
        machine,
        f"FAIL install link: there is no {machine.link}: run",
        "FAIL main config: no [router] in",
    )


@pytest.mark.parametrize("what", ["deleted", "another", "folder"])
def test_a_wrong_link(machine: Machine, what: str) -> None:
    host(machine)
    machine.link.unlink()
    if what == "folder":
        machine.link.mkdir()
        doctor(machine, f"FAIL install link: {machine.link} is not a link to this copy")
        return
    target = machine.folder / "other/klippy_extras/router"
    machine.link.symlink_to(target)
    if what == "another":
        target.mkdir(parents=True)
    does = "not to this copy: use" if what == "another" else "which does not exist"
    doctor(machine, f"FAIL install link: {machine.link} leads to {target}, {does}")


def test_a_leftover_in_the_extras_of_kalico(machine: Machine) -> None:
    machine.use_kalico()
    host(machine)
    leftover = machine.tree / "klippy/extras/router"
    leftover.symlink_to(machine.source)
    doctor(
        machine,
        f"ok   install link: {machine.link}",
        f"FAIL install link: {leftover} exists, too",
    )
    leftover.unlink()
    leftover.with_name("router.py").touch()
    doctor(machine, f"FAIL install link: {leftover}.py exists, too")


def test_a_link_that_git_lists(machine: Machine) -> None:
    host(machine)
    machine.exclude.write_text("")
    doctor(machine, f"WARN install git: {machine.exclude} does not have the link")


def test_python(machine: Machine) -> None:
    host(machine)
    machine.set_python("3.7")
    doctor(machine, "FAIL install python: ")
    machine.write_program(machine.home / "klippy-env/bin/python", "exit 127\n")
    doctor(machine, "FAIL install python: ")
    shutil.rmtree(machine.home / "klippy-env")
    doctor(machine, "WARN install python: found no klippy-env")


def test_a_module_that_cannot_be_imported(machine: Machine) -> None:
    host(machine)
    (machine.source / "router.py").write_text("<<<<<<< HEAD\n")
    doctor(machine, "FAIL install import: SyntaxError: ")
    (machine.source / "__init__.py").unlink()
    doctor(machine, "FAIL install copy: there is no ", "FAIL install import: ")


def test_old_daemon(machine: Machine) -> None:
    host(machine)
    script = machine.write_program(machine.sysroot / "etc/init.d/S99klipper-router", "exit 1\n")
    doctor(machine, "WARN install daemon: the old router daemon is not running, but starts at boot")
    machine.add_process(8, "python3", "/usr/local/sbin/klipper-routerd", "-c", "x.cfg")
    doctor(machine, "FAIL install daemon: the old router daemon is running (process 8)")
    script.unlink()
    clone = machine.home / "klipper-router/src"
    clone.mkdir(parents=True)
    (clone / "klipper_router.py").touch()
    doctor(
        machine,
        f"WARN install daemon: {clone.parent} is the clone of the old",
        "FAIL install daemon: ",
    )


def test_an_included_file_that_does_not_exist(machine: Machine) -> None:
    path = host(machine, "[include parts/*.cfg]\n[include gone.cfg]\n")
    text = f"FAIL main config: these files do not exist, correct or remove the [include]: {path}:3:"
    doctor(machine, f"{text} {path.parent}/gone.cfg")


def test_the_socket_of_a_peer(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    path = host(machine, "[router led]\nsock: /nowhere\nsock = ~/led.sock  # the last one counts\n")
    path.write_text(path.read_text() + "[include more.cfg]\n[router afc]\n")
    own = path.parents[1] / "comms/klippy.sock"
    (path.parent / "more.cfg").write_text(f"[router own]\nsock: {own}\n")
    led = machine.home / "led.sock"
    own_home = {"env": {"HOME": str(machine.home)}} if not AS_ROOT else {}
    if AS_ROOT:
        # The main printer does not run, so ~ is the home of the owner of its config: root's
        path.write_text(path.read_text().replace("~", str(machine.home)))
    doctor(
        machine,
        f"FAIL led socket: there is no {led}: ",
        "FAIL afc socket: there is no ",
        **own_home,
    )
    led.touch()
    doctor(machine, f"FAIL led socket: {led} is not a socket", **own_home)
    led.unlink()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as mine:
        monkeypatch.chdir(machine.home)  # the whole path may be too long for a socket
        listener.bind("led.sock")
        mine.bind(str(own))
        doctor(
            machine,
            f"ok   led socket: {led}, owner ",
            f"FAIL led klippy: nothing listens at {led}: start its service",
            f"FAIL own socket: {own} is the socket of main itself",
            **own_home,
        )
        # Without a Python to ask it, /proc/net/unix shows that it listens
        (machine.sysroot / "proc/net").mkdir(exist_ok=True)
        (machine.sysroot / "proc/net/unix").write_text(
            "Num       RefCount Protocol Flags    Type St Inode Path\n"
            f"0000000000000000: 00000002 00000000 00010000 0001 01 15207 {led}\n"
        )
        shutil.rmtree(machine.home / "klippy-env")
        machine.write_program(machine.bin / "python3", "exit 127\n")
        doctor(machine, f"WARN led klippy: listens at {led}, but ", **own_home)
        (machine.sysroot / "proc/net/unix").write_text("")
        doctor(machine, f"FAIL led klippy: nothing listens at {led}", **own_home)


@needs_root
def test_users(machine: Machine) -> None:
    machine.home.chmod(0o755)
    path = host(machine, f"[router led]\nsock: {machine.folder}/closed/led.sock\n")
    (machine.folder / "closed").mkdir(mode=0o700)
    sock = machine.folder / "closed/led.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(sock))
        machine.give_to(NOBODY, path)
        text = "FAIL led socket: nobody, who runs main, cannot use"
        doctor(
            machine, f"{text} {sock.parent}, which belongs to root: run both Klippers as one user"
        )
        doctor(machine, f"WARN led socket: nobody cannot access {sock.parent}", user=NOBODY)
        sock.parent.chmod(0o755)
        sock.chmod(0o755)
        doctor(machine, f"{text} {sock}, which belongs to root")
        machine.source.chmod(0o700)
        doctor(
            machine, f"FAIL main user: nobody, who runs this Klipper, cannot read {machine.source}"
        )
        path.chmod(0o600)
        machine.give_to(0, path)
        doctor(machine, f"WARN main config: nobody cannot read {path}", user=NOBODY)


@pytest.mark.parametrize("shell", ["busybox"], indirect=True)
def test_on_real_printers(machine: Machine, pair: Any) -> None:
    main_kind, led_kind = pair
    machine.install().succeeded()
    include = f"[include {machine.project}/includes/router_api.cfg]\n"
    sections = f"[router]\n[router led]\nsock: {machine.folder}/led/klippy.sock\n"
    with LabPrinter(led_kind, "led", machine.folder, config.printing()) as led, LabPrinter(
        main_kind, "main", machine.folder, config.printing()
    ) as main:
        led.start().wait_ready()
        main.start().wait_ready()
        for printer in (led, main):
            assert printer.process
            machine.add_real_process(printer.process.pid)

        def check(*lines: str) -> Result:
            # Not doctor(): the folders of running printers change all the time
            result = machine.install("--doctor", "-k", str(machine.tree))
            for line in lines:
                assert f"\n{line}" in result.out, result.out
            assert result.code == (1 if "\nFAIL" in result.out else 0)
            return result

        check("FAIL main config: no [router]")
        main.write_config(config.printing(sections))
        check(
            "FAIL main router: is in the config, but not loaded",
            "WARN led include: its macros cannot use the router: add [include",
        )
        led.write_config(config.printing(include))
        check(
            "WARN led include: "
            + include[9:-2]
            + " is not loaded in this version: run RESTART on led"
        )
        for printer in (led, main):
            printer.restart()
            printer.wait_ready()
        result = check(
            f"ok   main config: {main.folder}/printer.cfg has [router]",
            "ok   main klippy: ready",
            f"ok   main router: version {VERSION} is loaded",
            f"ok   led socket: {led.sock}, owner ",
            "ok   led klippy: ready",
            f"ok   led include: {include[9:-2]}, version {VERSION}",
        )
        assert "WARN" not in result.out.replace(" 0 WARN", "") and result.code == 0, result.out

        led.script("M112")
        led.wait_state("shutdown")
        check("WARN led klippy: shutdown: ")
        # This copy was updated, but not the code that is loaded
        version = machine.source / "version.py"
        version.write_text(version.read_text().replace(VERSION, "9.9.9"))
        check(
            f"WARN main router: version {VERSION} is loaded, this copy is 9.9.9: restart",
            f"WARN led include: {include[9:-2]} is version {VERSION}, this copy is 9.9.9",
        )
        led.stop()
        check(f"FAIL led klippy: nothing listens at {led.sock}")
