"""printer.router.activity: what the main printer does, in one word, as a peer sees it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import contextlib
import os

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.macros import (
    check_log,
    recorder,
    remote_call,
    router_section,
    shown,
    wait_known,
    wait_shown,
)

ENDSTOP = "endstop_pin: ^!gpio16\nposition_endstop: 0.5\n"
MACHINE = """
[probe]
pin: ^gpio17
z_offset: 1
speed: 5
lift_speed: 100
[bed_mesh]
mesh_min: 20, 20
mesh_max: 60, 60
probe_count: 3, 3
speed: 300
[printer]
max_z_velocity: 100
max_z_accel: 1000
[stepper_z]
homing_speed: 20
[manual_stepper gear]
step_pin: gpio35
dir_pin: gpio36
microsteps: 16
rotation_distance: 40
endstop_pin: ^gpio37
"""
HOT, NOZZLE = 80, "gpio27"
PRINT = f"M109 S{HOT}\nG28\nBED_MESH_CALIBRATE\nG4 P1500\nM118 half\nG4 P2000\nM400\nM104 S0\n"


@pytest.fixture(scope="module")
def duo(shared_lab):
    """main, a whole printer that homes Z with its probe, and led, which shows main's activity."""
    text = "[router]\nstatus_interval: 0.05\n" + router_section(shared_lab, "led") + MACHINE
    text = config.whole(text + recorder()).replace(
        ENDSTOP, "endstop_pin: probe:z_virtual_endstop\n"
    )
    main = shared_lab.main(text, mcu="fake")
    led = shared_lab.peer("led", config.printing(recorder()))
    shared_lab.wait_ready()
    wait_known(main, "led")
    follow(led)
    yield main, led
    check_log(main)


def follow(led):
    remote_call(
        led,
        "router/objects/subscribe",
        target="main",
        objects={"router": ["activity"]},
        gcode_callback="SHOW",
    )
    wait_shown(led)


@pytest.fixture
def main(duo):
    return duo[0]


@pytest.fixture
def led(duo):
    return duo[1]


@pytest.fixture(autouse=True)
def _idle(request):
    """Each test of the two begins with an idle printer, cold and with nothing loaded."""
    if "duo" in request.fixturenames:
        main, led = request.getfixturevalue("duo")
        main.set_pin(NOZZLE, 20)
        main.script("CLEAR_PAUSE\nTURN_OFF_HEATERS\nSDCARD_RESET_FILE")
        wait_word(led, "idle")


def words(led, mark=0):
    """What led was told of main, one word for each change."""
    return [params["ROUTER_ACTIVITY"] for params in shown(led, "SHOW", mark)]


def activity(main):
    """What main itself says."""
    return main.query({"router": ["activity"]})["router"]["activity"]


def wait_word(led, word, timeout=20.0):
    def arrived():
        return words(led)[-1] == word

    wait_until(arrived, timeout, f"led knows that main is {word}", [led])


def start(main, gcode):
    (main.gcodes / "part.gcode").write_text(gcode)
    main.script("SDCARD_PRINT_FILE FILENAME=part.gcode")


def test_a_whole_print(main, led):
    mark = led.mark()
    start(main, PRINT)
    wait_word(led, "heating")
    main.set_pin(NOZZLE, HOT)
    main.wait_line("half", timeout=120.0)
    main.script("PAUSE")
    wait_word(led, "paused")
    main.script("RESUME")
    wait_word(led, "complete", timeout=60.0)
    main.script("SDCARD_RESET_FILE")
    wait_word(led, "idle")
    seen = words(led, mark)
    assert [word for word in seen if word != "printing"] == [
        "heating", "homing", "probing", "paused", "complete", "idle",
    ]  # fmt: skip
    # Once before the first command, when the mesh is done, and after the pause
    assert seen.count("printing") <= 4
    assert seen[seen.index("probing") + 1] == "printing"
    assert seen[seen.index("paused") + 1] == "printing"


def test_how_a_print_ended_lasts_until_the_file_is_reset(main, led):
    start(main, "G4 P500\nM400\n" * 100)
    wait_word(led, "printing")
    main.script("CANCEL_PRINT", timeout=60.0)
    wait_word(led, "cancelled")
    mark = led.mark()
    main.script("G28 X")
    wait_word(led, "cancelled")
    assert words(led, mark) == ["homing", "cancelled"]
    main.script(f"M104 S{HOT}\nG4 P500\nM400")
    assert words(led, mark) == ["homing", "cancelled"]
    main.script("SDCARD_RESET_FILE")
    wait_word(led, "heating")


def test_an_error_of_a_print_and_the_next_print(main, led):
    start(main, "G4 P1000\nM400\nG1 X999\n")
    wait_word(led, "error", timeout=60.0)
    start(main, "G4 P3000\nM400\n")
    wait_word(led, "printing")
    wait_word(led, "complete")


def test_heating_without_a_print(main, led):
    mark = led.mark()
    main.script(f"SET_HEATER_TEMPERATURE HEATER=chamber TARGET={HOT}")
    wait_word(led, "heating")
    main.set_pin("gpio21", HOT)
    wait_word(led, "idle")
    main.script("TURN_OFF_HEATERS")
    main.set_pin("gpio21", 20)
    assert words(led, mark) == ["heating", "idle"]


def test_homing_with_the_probe_is_homing_and_a_manual_probe_is_probing(main, led):
    main.script("G28 X Y", timeout=60.0)
    wait_word(led, "idle")
    mark = led.mark()
    main.script("G28 Z", timeout=60.0)
    wait_word(led, "idle")
    assert words(led, mark) == ["homing", "idle"]
    main.script("G1 Z50 F6000\nPROBE_ACCURACY SAMPLES=3", timeout=60.0)
    wait_word(led, "idle")
    main.script("MANUAL_PROBE")
    wait_word(led, "probing")
    main.script("ABORT")
    wait_word(led, "idle")
    assert words(led, mark) == ["homing", "idle", "probing", "idle", "probing", "idle"]


def test_a_stepper_of_a_filament_changer_does_not_count(main, led):
    mark = led.mark()
    main.script("MANUAL_STEPPER STEPPER=gear SPEED=5 MOVE=50 STOP_ON_ENDSTOP=1\nM400")
    assert activity(main) == "idle"
    assert words(led, mark) == []


def test_printing_over_the_serial_port(main, led):
    mark = led.mark()
    port = os.open(main.folder / "tty", os.O_RDWR | os.O_NOCTTY)
    try:
        for _ in range(4):
            os.write(port, b"G4 P500\nM400\n")
        wait_word(led, "printing")
        wait_word(led, "idle")
        os.write(port, b"PAUSE\n")
        wait_word(led, "paused")
    finally:
        os.close(port)
    assert words(led, mark) == ["printing", "idle", "paused"]


def test_a_shutdown_and_a_restart(main, led):
    with contextlib.suppress(ApiError):
        main.script("M112")
    wait_word(led, "shutdown")
    main.restart(firmware=True)
    wait_known(main, "led")
    follow(led)
    wait_word(led, "idle")


def test_homing_that_has_failed_ends(lab, kind):
    # The endstop of the emulated MCU triggers later than this move takes
    text = config.moving("[router]\n[stepper_x]\nposition_max: 5\n")
    main = lab.printer(kind, "main", text, mcu="fake").wait_ready()
    with pytest.raises(ApiError, match="No trigger on (stepper_)?x"):
        main.script("G28 X")
    assert activity(main) == "idle"
    check_log(main)


def test_a_printer_without_heaters_or_axes(lab, kind):
    text = config.minimal("[router]\n")
    main = lab.printer(kind, "main", text).wait_ready()
    assert activity(main) == "idle"
    check_log(main)
