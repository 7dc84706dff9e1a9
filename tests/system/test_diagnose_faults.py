"""ROUTER_DIAGNOSE on printers that do not work: every fault is named, with its remedy."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import socket
from pathlib import Path

import pytest

from klippy_extras.router.diagnosis.host_checks import check_code
from tests.lab import config
from tests.lab.forwarder import Forwarder
from tests.lab.lab import Lab
from tests.lab.waiting import wait_until
from tests.system.findings import INCLUDES, console_after, findings, not_ok, rows
from tests.system.macros import check_log, recorder, router_section, wait_known

BUSY = """
[gcode_macro BUSY]
gcode:
    G4 P8000
    M400
"""


@pytest.fixture
def main(lab, kind):
    """A host with the peer led, which has not been started yet."""
    text = "[router]\n" + router_section(lab, "led", "timeout: 1")
    main = lab.printer(kind, "main", config.printing(text + recorder()))
    main.wait_ready()
    yield main
    check_log(main)


def start_led(lab: Lab, kind: str, text: str = INCLUDES, mcu: str = "none"):
    """A peer that can be used."""
    led = lab.printer(kind, "led", config.printing(recorder() + text, mcu), mcu=mcu)
    led.wait_ready()
    wait_known(lab.printers["main"].wait_ready(), "led")
    return led


# The socket


@pytest.fixture(scope="module")
def host(shared_lab):
    """A host with peers that are not Klippys."""
    lab = shared_lab
    names = ("absent", "left", "file", "folder", "silent", "dgram")
    text = "[router]\n" + "".join(f"[router {name}]\nsock: {lab.folder / name}\n" for name in names)
    (lab.folder / "file").write_text("x")
    (lab.folder / "folder").mkdir()
    kinds = {"left": "STREAM", "silent": "STREAM", "dgram": "DGRAM"}
    sockets = {}
    for name, of in kinds.items():
        sockets[name] = socket.socket(socket.AF_UNIX, getattr(socket, "SOCK_" + of))
        sockets[name].bind(str(lab.folder / name))
    sockets.pop("left").close()
    sockets["silent"].listen(1)
    yield lab.main(config.printing(text)).wait_ready()
    for sock in sockets.values():
        sock.close()


@pytest.mark.parametrize(
    ("name", "check", "text"),
    [
        ("absent", "socket", "no such file: its Klipper is not running, or its option -a names"),
        ("left", "listener", "nobody listens: its Klipper has ended. Start it"),
        ("file", "socket", "is a file, not a socket: set 'sock' to the path in option -a"),
        ("folder", "socket", "is a folder, not a socket: set 'sock' to the path in option -a"),
        ("dgram", "listener", "'sock' must be the API socket of a Klipper"),
    ],
)
def test_a_file_that_is_not_a_socket(host, name, check, text):
    found = findings(host, name)
    assert list(found)[-1] == check
    assert found[check].startswith("fail: ")
    assert text in found[check]
    check_log(host)


def test_a_program_that_does_not_answer(host):
    main = host
    found = findings(main, "silent")
    assert f"pid {os.getpid()}, " in found["listener"] or "does not accept" in found["listener"]
    assert any(text.startswith("fail: ") for text in found.values())


def test_the_console_shows_all_findings(host):
    lines = console_after(host)
    assert sum(line.startswith("// FAIL ") for line in lines) >= 6


# Klippy


def test_a_peer_that_is_shut_down(lab, kind, main):
    led = start_led(lab, kind)
    led.script("M112")
    wait_known(main, "led", ready=False)
    found = findings(main, "led")
    assert found["klippy"].startswith("fail: shutdown: ")
    assert found["klippy"].endswith("Fix the cause, then ROUTER_RESTART TARGET=led FIRMWARE=1")
    assert found["round trip"].startswith("ok: ")
    assert "echo" not in found


def test_a_peer_with_a_config_error(lab, kind, main):
    led = lab.printer(kind, "led", config.printing("[nonsense]\n"))
    led.wait_state("error")
    wait_until(
        lambda: main.query(["router led"])["router led"]["state"] == "error", 10.0, "error", [main]
    )
    found = findings(main, "led")["klippy"]
    assert found.startswith("fail: error: ")
    assert "nonsense" in found
    assert found.endswith("Fix its config, then ROUTER_RESTART TARGET=led")


def test_a_peer_that_is_stopped(lab, kind, main):
    led = start_led(lab, kind)
    assert led.process
    led.freeze()
    stat = Path(f"/proc/{led.process.pid}/stat")
    wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", 10.0, "it stands")
    found = findings(main, "led")
    assert f"is stopped. Resume it: kill -CONT {led.process.pid}" in found["listener"]
    # Until the router notices, it counts as connected
    assert [c for c in ("klippy", "round trip") if found.get(c, "").startswith("fail: ")]
    wait_known(main, "led", ready=False)
    later = findings(main, "led")
    assert later["listener"].startswith("fail: ")
    led.thaw()
    wait_known(main, "led")
    assert not_ok(main, "led") == {}


def test_a_peer_whose_gcode_is_busy(lab, kind, main):
    led = start_led(lab, kind, INCLUDES + BUSY, "fake")
    with led.api() as api:
        api.request("gcode/script", {"script": "BUSY"})
        wait_until(lambda: "warn: not tested" in findings(main, "led")["echo"], 30.0, "busy")
        found = not_ok(main, "led")
        assert found["other routers"] == found["echo"]
        assert found["echo"].startswith("warn: not tested: its G-code is busy")
        assert list(found) == ["echo", "other routers"]
    wait_until(lambda: not_ok(main, "led") == {}, 30.0, "it is free again", [main])


def test_a_peer_whose_queue_is_full(lab, kind, main):
    led = start_led(lab, kind, INCLUDES + BUSY, "fake")
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=BUSY\n" * 200)
    found = findings(main, "led")["queue"]
    assert found.startswith("warn: 199 of 256 places taken")
    main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=BUSY\n" * 100)
    assert findings(main, "led")["queue"].startswith("fail: 256 of 256 places taken")
    led.kill()


def test_a_peer_whose_socket_file_is_deleted(lab, kind, main):
    led = start_led(lab, kind)
    os.unlink(led.sock)
    found = not_ok(main, "led")
    assert list(found) == ["socket"]
    assert found["socket"].startswith("warn: still connected, but not a second time")


def test_objects_that_a_peer_does_not_have(lab, kind):
    options = "mirror:\n    print_stat: state\n    toolhead: positin\n"
    text = "[router]\n" + router_section(lab, "led", options)
    main = lab.printer(kind, "main", config.printing(text + recorder()))
    start_led(lab, kind)

    def found():
        return not_ok(main, "led").get("objects", "")

    wait_until(lambda: "print_stats" in found(), 10.0, "the typo is found", [main])
    assert list(not_ok(main, "led")) == ["objects"]
    assert found().startswith("warn: option 'mirror' in section 'router led': led has no ")
    main.script("ROUTER_OBJECTS_SUBSCRIBE TARGET=main OBJECTS=print_stat CALLBACK=SHOW")
    wait_until(lambda: "print_stats" in str(not_ok(main, "main")), 10.0, "its own, too", [main])


def test_a_peer_behind_a_tunnel(lab, kind):
    sock = str(lab.folder / "tunnel")
    text = f"[router]\n[router led]\nsock: {sock}\n"
    main = lab.printer(kind, "main", config.printing(text))
    led = lab.printer(kind, "led", config.printing(INCLUDES))
    lab.wait_ready()
    tunnel = Forwarder(sock, led.sock)
    try:
        wait_known(main, "led")
        found = findings(main, "led")["listener"]
        assert found.startswith(f"ok: pid {os.getpid()}, ")
        assert led.process
        assert found.endswith(f"which is pid {led.process.pid}, but a tunnel")
        assert not_ok(main, "led") == {}
    finally:
        tunnel.close()


# The host


def test_a_host_that_is_shut_down(lab, kind, main):
    start_led(lab, kind)
    main.script("M112")
    main.wait_state("shutdown")
    found = not_ok(main, "main")
    assert list(found) == ["klippy"]
    assert found["klippy"].startswith("fail: shutdown, ")
    assert found["klippy"].endswith("Fix the cause, then FIRMWARE_RESTART")
    lines = console_after(main)
    assert [line[3:] for line in lines if not line.startswith("// ok ")] == [
        f"FAIL main klippy: {found['klippy'][6:]}",
        lines[-1][3:],
    ]


def test_a_host_with_a_config_error(lab, kind):
    led = lab.printer(kind, "led", config.printing(INCLUDES))
    text = "[router]\n" + router_section(lab, "led") + "[nonsense]\n"
    main = lab.printer(kind, "main", config.printing(text))
    main.wait_state("error")
    led.wait_ready()
    wait_known(main, "led")
    found = not_ok(main, "main")
    assert list(found) == ["klippy"]
    assert found["klippy"].startswith("fail: error, ")
    assert found["klippy"].endswith("Fix the cause, then RESTART")
    assert not_ok(main, "led") == {}
    console_after(main)


def test_loaded_code_that_differs_from_the_installed_code():
    assert check_code((3, 10), (3, 10)).result == "ok"
    for on_disk in ((3, 11), (4, 10)):
        found = check_code((3, 10), on_disk)
        assert found.result == "warn"
        assert "restart Klipper's service" in found.text
    assert check_code((3, 10), (0, 0)).result == "fail"


def test_hundreds_of_diagnoses_leave_nothing_behind(lab, kind, main):
    led = start_led(lab, kind)
    for _ in range(3):
        with main.api() as api:
            for _ in range(50):
                api.request("router/diagnose")
    with led.api() as api:
        for _ in range(50):
            api.request("gcode/script", {"script": "_ROUTER_ECHO TOKEN=x"})
        api.call("info")
    wait_until(lambda: "are running" not in str(try_rows(main)), 20.0, "its turn", [main])
    wait_until(lambda: not_ok(main, "led") == {}, 20.0, "as before", [main])
    assert main.state() == led.state() == "ready"


def try_rows(main):
    try:
        return rows(main)
    except Exception as e:
        return str(e)
