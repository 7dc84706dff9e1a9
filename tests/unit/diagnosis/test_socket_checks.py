"""Checking a socket from outside: what the path is, who may open it, who listens."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from klippy_extras.router.diagnosis.socket_checks import (
    check_file,
    check_listener,
    command_line,
    probe,
)
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short one: a Unix socket's path must stay under 108 characters."""
    with tempfile.TemporaryDirectory(prefix="kr-") as name:
        yield Path(name)


@pytest.fixture
def listener(folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(str(folder / "klippy.sock"))
        sock.listen(1)
        yield sock


def test_a_socket_with_a_listener(folder, listener):
    path = str(folder / "klippy.sock")
    os.chmod(path, 0o750)
    found = check_file(path)
    assert found == ("ok", f"{path}, owner this user (uid {os.geteuid()}), mode srwxr-x---")
    assert probe(path) == (os.getpid(), None)
    assert check_listener(os.getpid(), os.getpid()).result == "ok"


def test_no_file(folder, listener):
    found = check_file(str(folder / "klipper.sock"))
    assert found.result == "fail"
    assert "no such file" in found.text
    assert found.text.endswith("Sockets there: klippy.sock")
    assert check_file(str(folder / "x" / "klippy.sock")).text.endswith(
        "Its folder does not exist either"
    )
    assert probe(str(folder / "klipper.sock"))[1].result == "fail"


def test_a_symlink_is_followed(folder, listener):
    (folder / "link").symlink_to(folder / "klippy.sock")
    assert check_file(str(folder / "link")).result == "ok"
    (folder / "broken").symlink_to(folder / "nothing")
    assert "no such file" in check_file(str(folder / "broken")).text


def test_a_file_that_is_not_a_socket(folder):
    (folder / "file").write_text("x")
    assert "is a file, not a socket" in check_file(str(folder / "file")).text
    assert "is a folder, not a socket" in check_file(str(folder)).text
    assert check_file(str(folder / "file" / "x")).result == "fail"


def test_an_impossible_path():
    for path in ("a\0b", "x" * 5000, "/" + "y" * 300):
        assert check_file(path).result == "fail"
        assert len(check_file(path).text) < 1000


def test_a_socket_without_a_listener(folder, listener):
    listener.close()
    path = str(folder / "klippy.sock")
    assert check_file(path).result == "ok"
    pid, found = probe(path)
    assert pid == 0
    assert found and found.result == "fail" and "nobody listens" in found.text


def test_a_socket_of_another_kind(folder):
    path = str(folder / "dgram")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        found = probe(path)[1]
    assert found and "must be the API socket of a Klipper" in found.text


def test_a_full_backlog(folder, listener):
    path = str(folder / "klippy.sock")
    waiting = []
    try:
        for _ in range(10):
            waiting.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            waiting[-1].setblocking(False)
            try:
                waiting[-1].connect(path)
            except BlockingIOError:
                break
        found = probe(path)[1]
    finally:
        for sock in waiting:
            sock.close()
    assert found and "does not accept connections" in found.text


# Root may open everything, so another user checks
LOOK = """
import os, sys
sys.path.insert(0, {root!r})
from klippy_extras.router.diagnosis.socket_checks import check_file, probe
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
print("\\n".join([check_file({path!r}).text, probe({path!r})[1].text]))
"""


@pytest.mark.parametrize("closed", ["socket", "folder"])
def test_permission_denied(folder, listener, closed):
    path = folder / "klippy.sock"
    os.chmod(folder, 0o000 if closed == "folder" else 0o755)
    if closed == "socket":
        os.chmod(path, 0o000)
    try:
        text = LOOK.format(root=str(ROOT), path=str(path))
        run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    finally:
        os.chmod(folder, 0o700)
    file, connecting = run.stdout.splitlines()
    assert "run both Klippers as the same user" in file
    assert ("cannot open it" if closed == "socket" else "cannot open its folder") in file
    assert "Permission denied" in connecting


def test_listeners():
    pid = os.getpid()
    assert check_listener(0, 5).result == "ok"
    tunnel = check_listener(pid, pid + 1)
    assert tunnel.result == "ok"
    assert f"not that Klipper itself, which is pid {pid + 1}, but a tunnel" in tunnel.text
    ended = subprocess.Popen(["true"])
    ended.wait()
    assert command_line(ended.pid) == "an unknown process"
    words = [sys.executable, "-c", "import time; time.sleep(60)", "x" * 5000, "\x1b[31m\n"]
    with subprocess.Popen(words) as process:
        try:
            begin = words[0] + " -c import time;"
            wait_until(lambda: command_line(process.pid).startswith(begin), 10.0, "it runs")
            assert len(command_line(process.pid)) == 200
        finally:
            process.kill()


def test_a_stopped_process():
    with subprocess.Popen([sys.executable, "-c", "import os; os.kill(os.getpid(), 19)"]) as process:
        try:
            os.waitpid(process.pid, os.WUNTRACED)
            found = check_listener(process.pid, process.pid)
            assert found.result == "fail"
            assert f"kill -CONT {process.pid}" in found.text
        finally:
            process.kill()
