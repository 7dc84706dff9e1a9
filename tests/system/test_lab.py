"""The test harness itself, which all other tests rely on."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.lab import config, processes
from tests.lab.api import ApiClosed, ApiError
from tests.lab.klippers import ROOT, available, klipper
from tests.lab.lab import Lab
from tests.lab.trace import Trace
from tests.lab.waiting import WaitFailed, wait_until

TWO_MCUS = """
[mcu second]
serial: @FOLDER@/second
[output_pin near]
pin: gpio40
[output_pin far]
pin: second:gpio40
"""

EARLY = """
[delayed_gcode early]
initial_duration: 0.01
gcode:
    M118 early
"""

INPUTS = """
[filament_switch_sensor runout]
switch_pin: gpio41
pause_on_runout: False
[filament_motion_sensor wheel]
switch_pin: gpio43
extruder: extruder
detection_length: 5
pause_on_runout: False
[gcode_button stop]
pin: ^!gpio42
press_gcode:
    M118 stop PRESSED
release_gcode:
    M118 stop RELEASED
"""


def print_state(printer):
    return printer.query({"print_stats": ["state"]})["print_stats"]["state"]


@pytest.fixture(params=["none", "fake"])
def mcu(request):
    return request.param


def test_ready_script_console_restart(lab, kind, mcu):
    printer = lab.printer(kind, "one", config.printing(EARLY, mcu), mcu=mcu).wait_ready()
    assert printer.state() == "ready"
    printer.wait_line("echo: early")
    printer.script("M118 first")
    printer.wait_line("echo: first")

    mark = printer.mark()
    printer.restart()
    printer.wait_line("echo: early", start=mark)
    printer.script("M118 second")
    printer.wait_line("echo: second", start=mark)
    assert "echo: first" in printer.console
    assert "Restarting printer" in printer.log_text()


def test_errors_of_scripts_reach_the_caller(lab, kind):
    printer = lab.printer(kind, "one", config.printing()).wait_ready()
    with pytest.raises(ApiError, match="open"):
        printer.script("SDCARD_PRINT_FILE FILENAME=no_such_file.gcode")
    assert printer.state() == "ready"


def test_a_config_error_is_reported_at_once(lab, kind):
    printer = lab.printer(kind, "one", config.minimal("[no_such_section]\n"))
    with pytest.raises(WaitFailed, match="no_such_section"):
        printer.wait_ready()


def test_firmware_restart_after_shutdown(lab, kind):
    printer = lab.printer(kind, "one", config.printing(mcu="fake"), mcu="fake").wait_ready()
    printer.script("M112")
    printer.wait_state("shutdown")
    printer.restart(firmware=True)
    assert printer.state() == "ready"


def test_killed_and_started_again(lab, kind, mcu):
    printer = lab.printer(kind, "one", config.printing(mcu=mcu), mcu=mcu).wait_ready()
    printer.script("M118 before")
    printer.wait_line("before")
    printer.kill()
    with pytest.raises(ApiClosed):
        printer.api()
    printer.start().wait_ready()
    printer.script("M118 after")
    printer.wait_line("after")
    assert [line for line in printer.console if "echo" in line] == ["echo: before", "echo: after"]


def test_frozen_and_thawed(lab, kind):
    printer = lab.printer(kind, "one", config.printing()).wait_ready()
    with printer.api() as api:
        printer.freeze()
        with pytest.raises(TimeoutError):
            api.call("info", timeout=0.3)
    printer.thaw()
    assert printer.state() == "ready"


def test_stop_leaves_nothing_behind(kind, mcu):
    with Lab() as lab:
        printer = lab.printer(kind, "one", config.printing(mcu=mcu), mcu=mcu).wait_ready()
        groups = [process.pid for process in (printer.process, printer.mcu) if process]
        assert len(groups) == (2 if mcu == "fake" else 1)
        assert all(map(processes.group_is_alive, groups))
    assert not any(map(processes.group_is_alive, groups))
    assert not lab.folder.exists()


def test_nothing_survives_a_killed_harness(kind):
    program = (
        "import sys, time\n"
        "from tests.lab import config\n"
        "from tests.lab.lab import Lab\n"
        "lab = Lab()\n"
        f"printer = lab.printer({kind!r}, 'one', config.printing(mcu='fake'), mcu='fake')\n"
        "printer.wait_ready()\n"
        "print(printer.process.pid, printer.mcu.pid, lab.folder, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    klippy, mcu, folder = process.stdout.readline().split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    wait_until(
        lambda: not any(map(processes.group_is_alive, (int(klippy), int(mcu)))),
        10.0,
        "the processes of a killed harness end",
    )
    subprocess.run(["rm", "-r", folder], check=True)


def test_a_print_takes_its_time(lab, kind):
    printer = lab.printer(kind, "one", config.whole(), mcu="fake", strict=True).wait_ready()
    (printer.gcodes / "part.gcode").write_text("G4 P1000\nM118 half\nG4 P1000\nM400\n")
    states = [print_state(printer)]
    printer.script("SDCARD_PRINT_FILE FILENAME=part.gcode")
    begin = time.monotonic()

    def done():
        state = print_state(printer)
        if state != states[-1]:
            states.append(state)
        return state == "complete"

    wait_until(done, 30.0, f"the print completes, seen {states}", [printer])
    # Not a test of speed: two seconds of G4 cannot end within one
    assert time.monotonic() - begin > 1.0
    assert states == ["standby", "printing", "complete"]
    printer.wait_line("half")
    assert printer.mcu_dump()["late_count"] == 0


def test_heating_homing_and_neopixels(lab, kind):
    printer = lab.printer(kind, "one", config.whole(), mcu="fake").wait_ready()
    printer.set_pin("gpio21", 50)
    printer.script("TEMPERATURE_WAIT SENSOR='heater_generic chamber' MINIMUM=49")
    printer.script("SET_LED LED=strip RED=1 INDEX=1")
    printer.script("G28")
    assert printer.query({"toolhead": ["homed_axes"]})["toolhead"]["homed_axes"] == "xyz"
    strips = [o for o in printer.mcu_dump()["objects"].values() if o["type"] == "neopixel"]
    assert strips[0]["shown"].startswith("00ff00")


def wait_status(printer, name, **expected):
    def reached():
        status = printer.query([name])[name]
        return expected.items() <= status.items()

    wait_until(reached, 10.0, f"{name} has {expected}", [printer])


def test_a_second_mcu_sets_its_pin_at_the_same_time(lab, kind):
    printer = lab.printer(
        kind, "one", config.printing(TWO_MCUS, "fake"), mcu="fake", trace=True, more_mcus=["second"]
    ).wait_ready()
    printer.script("SET_PIN PIN=near VALUE=1\nSET_PIN PIN=far VALUE=1\nM400")
    pins = Trace(printer), Trace(printer, "second")
    # Not closer: Klippy has only begun to follow the clocks
    near, far = wait_until(
        lambda: all(pin.changes(40) for pin in pins) and [pin.changes(40)[0] for pin in pins],
        10.0,
        "both pins are set",
        [printer],
    )
    assert (near.value, far.value) == (1, 1)
    assert abs(near.time - far.time) < 0.1
    groups = [mcu.pid for mcu in printer.mcus.values()]
    printer.stop()
    assert len(groups) == 2 and not any(map(processes.group_is_alive, groups))


def test_filament_sensors_and_buttons(lab, kind):
    printer = lab.printer(kind, "one", config.whole(INPUTS), mcu="fake").wait_ready()
    for filament, button in ((True, "PRESSED"), (False, "RELEASED")) * 2:
        mark = printer.mark()
        printer.set_pin("gpio41", int(filament))
        wait_status(printer, "filament_switch_sensor runout", filament_detected=filament)
        printer.set_pin("gpio42", int(button == "RELEASED"))
        wait_status(printer, "gcode_button stop", state=button)
        printer.wait_line(f"stop {button}", start=mark)

    # Filament moves as long as its wheel does
    printer.set_pin("gpio43", 1)
    wait_status(printer, "filament_motion_sensor wheel", filament_detected=True)
    printer.set_pin("gpio27", 200)
    printer.script("TEMPERATURE_WAIT SENSOR=extruder MINIMUM=199")
    printer.script("G92 E0\nG1 E20 F600\nM400")
    wait_status(printer, "filament_motion_sensor wheel", filament_detected=False)
    printer.set_pin("gpio43", 0)
    wait_status(printer, "filament_motion_sensor wheel", filament_detected=True)


def test_buttons_keep_their_state_over_a_restart(lab, kind):
    printer = lab.printer(kind, "one", config.whole(INPUTS), mcu="fake").wait_ready()
    wait_status(printer, "filament_switch_sensor runout", filament_detected=False)
    wait_status(printer, "gcode_button stop", state="RELEASED")
    printer.set_pin("gpio41", 1)
    printer.set_pin("gpio42", 0)
    for firmware in (False, True):
        printer.restart(firmware=firmware)
        wait_status(printer, "filament_switch_sensor runout", filament_detected=True)
        wait_status(printer, "gcode_button stop", state="PRESSED")


@pytest.mark.skipif(not available("klipper"), reason="KLIPPER_PATH is not set")
def test_the_checkout_is_not_touched(lab):
    checkout = os.environ["KLIPPER_PATH"]
    assert not os.path.lexists(os.path.join(checkout, "klippy/extras/lab_console.py"))
    assert not str(klipper("klipper").cwd).startswith(os.path.realpath(checkout))


@pytest.mark.skipif(not available("klipper"), reason="KLIPPER_PATH is not set")
def test_klipper_with_and_without_msgspec(lab):
    for kind, has_msgspec in (("klipper", True), ("klipper_json", False)):
        printer = lab.printer(kind, kind, config.printing()).wait_ready()
        maps = Path(f"/proc/{printer.process.pid}/maps").read_text()
        assert ("msgspec" in maps) is has_msgspec


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="klipper2023"):
        klipper("klipper1999")
