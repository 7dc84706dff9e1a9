"""The examples, run as a user runs them."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import pty
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.examples import LIMIT, RUN, Running, each_klipper, run_example


@each_klipper
def test_print_stats(arguments):
    lines = run_example("print_stats", *arguments)
    assert [line for line in lines if "LED:" in line] == [
        "led  | echo: LED: standby, dim white",
        "led  | echo: LED: printing, bright white",
        "led  | echo: LED: complete, green",
    ]
    assert "afc  | echo: Loading lane 2" in lines
    assert "main | echo: Lane 2 is loaded, 50 mm" in lines
    # The print is real: main has begun before the LEDs show it, and all is over at the end
    assert lines.index("main | File selected") < lines.index(
        "led  | echo: LED: printing, bright white"
    )


def test_keep_runs_typed_lines_until_ctrl_c():
    with Running("print_stats", "--keep", stdin=subprocess.PIPE) as running:
        running.wait_line('Type G-code for a printer as "led: M118 hi"')
        running.wait_line("led  | echo: LED: standby")
        running.process.stdin.write(b"led: M118 hi\n")
        running.wait_line("led  | echo: hi")
        running.process.stdin.write(b"nobody: M118 hi\n")
        running.wait_line("Type a printer's name first")
        running.wait_line("what this example expects")
        # It continues, even without more input
        running.process.stdin.write(
            b"main: ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 from main'\n"
        )
        running.process.stdin.close()
        running.wait_line("led  | echo: from main")
        assert running.processes()
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.end() == 0


@pytest.mark.parametrize("stage", ["setup.sh", "fake_mcu", "klippy.log", "ready"])
def test_ctrl_c_leaves_nothing_behind(stage):
    with Running("print_stats") as running:
        if stage == "ready":
            running.wait_line("Klipper state: Ready")
        else:
            wait_until(lambda: stage in str(running.processes()), LIMIT, stage, interval=0.001)
        os.killpg(running.process.pid, signal.SIGINT)
        assert running.end() == 130
        if stage != "setup.sh":
            assert running.lines[-1] == "run.sh: interrupted."


def test_an_unexpected_line_is_a_failure(tmp_path):
    # A copy of the example whose LEDs print something else
    example = tmp_path / "copy"
    shutil.copytree(ROOT / "examples/print_stats", example)
    config = example / "led.cfg"
    config.write_text(config.read_text().replace("LED: standby, dim white", "LED: on fire"))
    code = (
        "import pathlib, queue, sys; from tests.lab.example_run import Run;"
        f"example = pathlib.Path({str(example)!r});"
        "sys.exit(Run(example, 'kalico', False, False, queue.SimpleQueue()).run())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=LIMIT
    )
    assert ended.returncode == 1
    assert "led said ['LED: on fire'] where ['LED: standby" in ended.stdout.splitlines()[-1]


def test_without_arguments_it_lists_the_examples():
    with Running() as running:
        assert running.end() == 0
    assert any(line.startswith("print_stats  A print, LEDs") for line in running.lines)


def test_tmux_is_not_installed(tmp_path):
    for program in ("bash", "dirname", "env"):
        (tmp_path / program).symlink_to(shutil.which(program))
    ended = subprocess.run(
        [RUN, "print_stats", "--tmux"],
        env=dict(os.environ, PATH=str(tmp_path), PYTHON=sys.executable),
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "run.sh: --tmux needs tmux, which is not installed: install it (apt install tmux).\n"
    )


def test_a_folder_that_is_not_a_checkout():
    ended = subprocess.run(
        [RUN, "print_stats", "--klipper", "/nonexistent"], capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        "run.sh: --klipper /nonexistent: there is no klippy/klippy.py, name a checkout.\n"
    )


@pytest.mark.skipif(not shutil.which("tmux"), reason="no tmux here: install it")
def test_tmux_shows_the_consoles():
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(RUN, [RUN, "print_stats", "--tmux"])
    screen, typed = b"", False
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline:
        try:
            screen += os.read(terminal, 65536)
        except OSError:  # it has ended
            break
        if b"LED: standby" in screen and not typed:
            typed = True
            os.write(terminal, b"ROUTER_STATUS\r")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, screen
    for text in (b"--- main ---", b"--- led ---", b"LED: standby", b"LED: complete"):
        assert text in screen
    # What is typed goes to main: no other printer knows the command
    assert b"Router 'main'" in screen and b"Unknown command" not in screen
    # The verdict is what stays in the terminal when tmux has given it back
    _before, _given_back, after = screen.rpartition(b"\x1b[?1049l")
    assert b"what this example expects" in after
