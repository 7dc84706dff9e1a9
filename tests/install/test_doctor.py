"""install.sh --doctor: what it finds, and that it changes nothing."""

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

from .bench import AS_ROOT, NOBODY, Bench, Result, fingerprint

needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")


def doctor(bench: Bench, *lines: str, **options: Any) -> Result:
    """Its result, which has lines that begin like these; FAIL and code agree, nothing changes."""
    before = fingerprint(bench.folder)
    result = bench.install("--doctor", **options)
    assert fingerprint(bench.folder) == before
    assert result.err == ""
    found = result.out.splitlines()
    for line in lines:
        assert any(each.startswith(line) for each in found), f"no {line}\n{result.out}"
    counts = [sum(each.startswith(word) for each in found) for word in ("ok ", "WARN ", "FAIL ")]
    assert found[-1] == "Checks: {} ok, {} WARN, {} FAIL".format(*counts)
    assert sum(counts) == len(found) - 1
    assert result.code == (1 if counts[2] else 0)
    return result


def host(bench: Bench, text: str = "") -> Path:
    """An installation with a host that does not run; returns its config."""
    bench.install().succeeded()
    return bench.instance("printer_data", f"[router]\n{text}") / "config/printer.cfg"


def test_all_is_well(bench: Bench) -> None:
    path = host(bench)
    result = doctor(
        bench,
        f"ok   install copy: {bench.project}, version {VERSION} (v0.1.0)",
        f"ok   install klipper: {bench.tree} (Klipper, ",
        f"ok   install python: {bench.home}/klippy-env/bin/python, 3.",
        f"ok   install import: {bench.source} can be imported",
        f"ok   install link: {bench.link}",
        "ok   install daemon: ",
        f"ok   main config: {path} has [router]",
        "ok   main user: ",
        "WARN main klippy: does not run: start its service",
    )
    assert result.out.endswith("Checks: 8 ok, 1 WARN, 0 FAIL\n")


def test_nothing_is_there(bench: Bench) -> None:
    shutil.rmtree(bench.tree)
    doctor(
        bench,
        "FAIL install klipper: found no Klipper in ~/klipper and none running",
        "ok   install copy",
        f"FAIL main config: no [router] in {bench.home}/printer_data/config/printer.cfg",
    )


def test_not_installed_yet(bench: Bench) -> None:
    bench.instance("printer_data")
    doctor(
        bench,
        f"FAIL install link: there is no {bench.link}: run",
        "FAIL main config: no [router] in",
    )


@pytest.mark.parametrize("what", ["gone", "another", "folder"])
def test_a_link_that_is_not_ours(bench: Bench, what: str) -> None:
    host(bench)
    bench.link.unlink()
    if what == "folder":
        bench.link.mkdir()
        doctor(bench, f"FAIL install link: {bench.link} is not a link to this copy")
        return
    target = bench.folder / "other/klippy_extras/router"
    bench.link.symlink_to(target)
    if what == "another":
        target.mkdir(parents=True)
    does = "not to this copy: use" if what == "another" else "which does not exist"
    doctor(bench, f"FAIL install link: {bench.link} leads to {target}, {does}")


def test_kalico_refuses_a_leftover_in_extras(bench: Bench) -> None:
    bench.use_kalico()
    host(bench)
    leftover = bench.tree / "klippy/extras/router"
    leftover.symlink_to(bench.source)
    doctor(
        bench, f"ok   install link: {bench.link}", f"FAIL install link: {leftover} is there, too"
    )
    leftover.unlink()
    leftover.with_name("router.py").touch()
    doctor(bench, f"FAIL install link: {leftover}.py is there, too")


def test_a_link_that_git_sees(bench: Bench) -> None:
    host(bench)
    bench.exclude.write_text("")
    doctor(bench, f"WARN install git: {bench.exclude} does not have the link")


def test_python(bench: Bench) -> None:
    host(bench)
    bench.set_python("3.7")
    doctor(bench, "FAIL install python: ")
    bench.program(bench.home / "klippy-env/bin/python", "exit 127\n")
    doctor(bench, "FAIL install python: ")
    shutil.rmtree(bench.home / "klippy-env")
    doctor(bench, "WARN install python: found no klippy-env")


def test_a_module_that_cannot_be_imported(bench: Bench) -> None:
    host(bench)
    (bench.source / "router.py").write_text("<<<<<<< HEAD\n")
    doctor(bench, "FAIL install import: SyntaxError: ")
    (bench.source / "__init__.py").unlink()
    doctor(bench, "FAIL install copy: there is no ", "FAIL install import: ")


def test_the_old_daemon(bench: Bench) -> None:
    host(bench)
    script = bench.program(bench.root / "etc/init.d/S99klipper-router", "exit 1\n")
    doctor(bench, "WARN install daemon: the old router daemon is not running, but starts with")
    bench.process(8, "python3", "/usr/local/sbin/klipper-routerd", "-c", "x.cfg")
    doctor(bench, "FAIL install daemon: the old router daemon is running (process 8)")
    script.unlink()
    clone = bench.home / "klipper-router/src"
    clone.mkdir(parents=True)
    (clone / "klipper_router.py").touch()
    doctor(bench, f"WARN install daemon: {clone.parent} is the old", "FAIL install daemon: ")


def test_a_config_with_an_include_that_is_missing(bench: Bench) -> None:
    path = host(bench, "[include parts/*.cfg]\n[include gone.cfg]\n")
    text = f"FAIL main config: these files do not exist, correct or remove the [include]: {path}:3:"
    doctor(bench, f"{text} {path.parent}/gone.cfg")


def test_the_socket_of_a_peer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    path = host(bench, "[router led]\nsock: /nowhere\nsock = ~/led.sock  # the last one counts\n")
    path.write_text(path.read_text() + "[include more.cfg]\n[router afc]\n")
    own = path.parents[1] / "comms/klippy.sock"
    (path.parent / "more.cfg").write_text(f"[router own]\nsock: {own}\n")
    led = bench.home / "led.sock"
    own_home = {"env": {"HOME": str(bench.home)}} if not AS_ROOT else {}
    if AS_ROOT:
        # The host does not run, so ~ is the home of who owns its config: root, and not HOME
        path.write_text(path.read_text().replace("~", str(bench.home)))
    doctor(
        bench, f"FAIL led socket: there is no {led}: ", "FAIL afc socket: there is no ", **own_home
    )
    led.touch()
    doctor(bench, f"FAIL led socket: {led} is not a socket", **own_home)
    led.unlink()
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as mine:
        monkeypatch.chdir(bench.home)  # such a path may be too long
        listener.bind("led.sock")
        mine.bind(str(own))
        doctor(
            bench,
            f"ok   led socket: {led}, owner ",
            f"FAIL led klippy: nobody listens at {led}: start its service",
            f"FAIL own socket: {own} is that of main itself",
            **own_home,
        )
        # It listens, but does not answer: without a Python to ask, /proc/net/unix says so
        (bench.root / "proc/net").mkdir(exist_ok=True)
        (bench.root / "proc/net/unix").write_text(
            "Num       RefCount Protocol Flags    Type St Inode Path\n"
            f"0000000000000000: 00000002 00000000 00010000 0001 01 15207 {led}\n"
        )
        shutil.rmtree(bench.home / "klippy-env")
        bench.program(bench.bin / "python3", "exit 127\n")
        doctor(bench, f"WARN led klippy: listens at {led}, but ", **own_home)
        (bench.root / "proc/net/unix").write_text("")
        doctor(bench, f"FAIL led klippy: nobody listens at {led}", **own_home)


@needs_root
def test_users(bench: Bench) -> None:
    bench.home.chmod(0o755)
    path = host(bench, f"[router led]\nsock: {bench.folder}/closed/led.sock\n")
    (bench.folder / "closed").mkdir(mode=0o700)
    sock = bench.folder / "closed/led.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(sock))
        bench.hand_to(NOBODY, path)
        text = "FAIL led socket: nobody, who runs main, cannot use"
        doctor(bench, f"{text} {sock.parent}, which belongs to root: run both Klippers as one user")
        doctor(bench, f"WARN led socket: nobody cannot look into {sock.parent}", user=NOBODY)
        sock.parent.chmod(0o755)
        sock.chmod(0o755)
        doctor(bench, f"{text} {sock}, which belongs to root")
        bench.source.chmod(0o700)
        doctor(bench, f"FAIL main user: nobody, who runs this Klipper, cannot read {bench.source}")
        path.chmod(0o600)
        bench.hand_to(0, path)
        doctor(bench, f"WARN main config: nobody cannot read {path}", user=NOBODY)


def real_process(bench: Bench, printer: LabPrinter) -> None:
    """Show this process to install.sh."""
    assert printer.process
    pid = printer.process.pid
    (bench.root / f"proc/{pid}").symlink_to(f"/proc/{pid}")


@pytest.mark.parametrize("shell", ["busybox"], indirect=True)
def test_on_real_printers(bench: Bench, pair: Any) -> None:
    main_kind, led_kind = pair
    bench.install().succeeded()
    include = f"[include {bench.project}/includes/router_api.cfg]\n"
    sections = f"[router]\n[router led]\nsock: {bench.folder}/led/klippy.sock\n"
    with LabPrinter(led_kind, "led", bench.folder, config.printing()) as led, LabPrinter(
        main_kind, "main", bench.folder, config.printing()
    ) as main:
        led.start().wait_ready()
        main.start().wait_ready()
        for printer in (led, main):
            real_process(bench, printer)

        def check(*lines: str) -> Result:
            # The tree in HOME is not theirs, and their folders change by themselves
            result = bench.install("--doctor", "-k", str(bench.tree))
            for line in lines:
                assert f"\n{line}" in result.out, result.out
            assert result.code == (1 if "\nFAIL" in result.out else 0)
            return result

        check("FAIL main config: no [router]")
        main.write_config(config.printing(sections))
        check(
            "FAIL main router: is in the config, but not loaded",
            "WARN led include: its macros cannot use the router: put [include",
        )
        led.write_config(config.printing(include))
        check(
            "WARN led include: " + include[9:-2] + " is not loaded in this version: RESTART on led"
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
        # Another version of this copy: the code that is loaded is older
        version = bench.source / "version.py"
        version.write_text(version.read_text().replace(VERSION, "9.9.9"))
        check(
            f"WARN main router: version {VERSION} is loaded, this copy is 9.9.9: restart",
            f"WARN led include: {include[9:-2]} is of version {VERSION}, this copy of 9.9.9",
        )
        led.stop()
        check(f"FAIL led klippy: nobody listens at {led.sock}")
