"""install.sh --new-instance and --remove-instance on a simulated machine."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import pty
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

from .machine import NOBODY, Machine, Result, fingerprint, needs_root, sections
from .test_install import ApiSocket

HOME_NAME = "home"  # no space: a service could not have it
UNIT = """\
[Unit]
Description=Klipper 3D printer firmware
After=network-online.target
[Install]
Alias=klippy.service
WantedBy=multi-user.target
[Service]
User=pi
WorkingDirectory=@/klipper
ExecStartPre=/bin/rm -f @/printer_data/comms/klippy.sock
Nice=-5
"""
IN_ENV_FILE = "EnvironmentFile=@/printer_data/systemd/klipper.env\nExecStart=%s $KLIPPER_ARGS\n"
PYTHON = "@/klippy-env/bin/python"
ARGUMENTS = (
    "@/klipper/klippy/klippy.py @/%s/config/printer.cfg -I @/%s/comms/klippy.serial"
    " -l @/%s/logs/klippy.log -a @/%s/comms/klippy.sock"
)
OLD_ARGUMENTS = "@/klipper_config/printer.cfg -l @/klipper_logs/klippy.log -I /tmp/printer"


def of_machine(machine: Machine, text: str, data: str = "printer_data") -> str:
    """Fill in the home folder and a data folder."""
    return text.replace("%s", data).replace("@", str(machine.home))


def set_up_main(machine: Machine, unit: str, env: str = "") -> Path:
    """Make the main printer, and its unit; returns the log of systemctl."""
    folder = machine.add_instance("printer_data")
    if env:
        (folder / "systemd").mkdir()
        (folder / "systemd/klipper.env").write_text(of_machine(machine, env))
    log = machine.add_systemd("klipper.service")
    path = machine.sysroot / "etc/systemd/system/klipper.service"
    path.write_text(of_machine(machine, UNIT + unit))
    return log


@pytest.fixture
def log(machine: Machine) -> Path:
    """A machine with one printer, as KIAUH sets it up; the log of its systemctl."""
    unit = IN_ENV_FILE.replace("%s", PYTHON)
    return set_up_main(machine, unit, f'KLIPPER_ARGS="{ARGUMENTS}"\nLANG=C\n')


def led(machine: Machine, path: str = "") -> Path:
    """A path in the folder of the instance called led."""
    return machine.home / "printer_led_data" / path


def unit_of_led(machine: Machine) -> Path:
    return machine.sysroot / "etc/systemd/system/klipper-led.service"


def add_board(machine: Machine, name: str) -> Path:
    """Connect a board."""
    board = machine.sysroot / "dev/serial/by-id" / name
    board.parent.mkdir(parents=True, exist_ok=True)
    board.touch()
    return board


def serial_of_led(machine: Machine) -> str:
    return sections(led(machine, "config/printer.cfg").read_text())["mcu"]["serial"]


def refuses(machine: Machine, *arguments: str, saying: str) -> None:
    """Check that it fails with one sentence, and changes nothing anywhere."""
    before = fingerprint(machine.folder)
    machine.install(*arguments).failed(saying)
    assert fingerprint(machine.folder) == before


# Making one


def test_folder_unit_and_sections(machine: Machine, log: Path) -> None:
    board = add_board(machine, "usb-Klipper_rp2040_1234-if00")
    before = fingerprint(machine.home / "printer_data")
    result = machine.install("--new-instance", "led").succeeded()
    assert machine.is_installed()
    assert fingerprint(machine.home / "printer_data") == before
    assert sorted(fingerprint(led(machine))) == [
        "comms", "config", "config/printer.cfg", "gcodes", "logs", "systemd", "systemd/klipper.env",
    ]  # fmt: skip
    arguments = of_machine(machine, ARGUMENTS, "printer_led_data")
    env = led(machine, "systemd/klipper.env")
    assert env.read_text() == f'KLIPPER_ARGS="{arguments}"\nLANG=C\n'
    assert unit_of_led(machine).read_text().splitlines()[1:] == [
        "[Unit]",
        "Description=Klipper instance led",
        "After=network-online.target",
        "[Install]",
        "WantedBy=multi-user.target",
        "[Service]",
        "User=pi",
        f"WorkingDirectory={machine.tree}",
        "Nice=-5",
        f"EnvironmentFile={env}",
        f"ExecStart={machine.home}/klippy-env/bin/python $KLIPPER_ARGS",
    ]
    assert log.read_text() == "daemon-reload\nenable --now klipper-led.service\n"
    text = led(machine, "config/printer.cfg").read_text()
    assert f"\n[include {machine.project}/includes/router_api.cfg]\n" in text
    printer = sections(text)
    assert printer["mcu"]["serial"] == str(board)
    assert printer["printer"]["kinematics"] == "none"
    assert printer["virtual_sdcard"]["path"] == str(led(machine, "gcodes"))
    pasted = sections(result.main_sections())
    sock = {"sock": str(led(machine, "comms/klippy.sock"))}
    assert {name: dict(pasted[name]) for name in pasted.sections()} == {
        "router": {"name": "main"},
        "router led": sock,
    }
    assert "systemctl restart klipper.service\nROUTER_DIAGNOSE on" in result.out


def test_the_new_instance_is_found(machine: Machine, log: Path) -> None:
    main = machine.home / "printer_data/config/printer.cfg"
    result = machine.install("--new-instance", "led").succeeded()
    main.write_text(main.read_text() + result.main_sections())
    machine.install("--status").succeeded(
        f"Instance:  led (not running), {led(machine, 'comms/klippy.sock')},"
        f" {led(machine, 'config/printer.cfg')}\n",
        "[router led]",
        f"[include {machine.project}/includes/router_api.cfg]",
    )
    machine.install().succeeded("[router led]")
    doctor = machine.install("--doctor")
    assert f"led socket: there is no {led(machine, 'comms/klippy.sock')}" in doctor.out
    # The next one gets only its own section
    again = machine.install("--new-instance", "afc").succeeded()
    assert sections(again.main_sections()).sections() == ["router afc"]


def test_unit_without_environment_file(machine: Machine) -> None:
    command = f"ExecStart={PYTHON} \\\n  " + ARGUMENTS.replace(" -I", " \\\n  -I")
    set_up_main(machine, command + " -u lava\n")
    machine.install("--new-instance", "led").succeeded()
    arguments = of_machine(machine, ARGUMENTS, "printer_led_data")
    start = of_machine(machine, f"ExecStart={PYTHON} ")
    assert unit_of_led(machine).read_text().endswith(f"Nice=-5\n{start}{arguments}\n")
    assert not list(led(machine, "systemd").iterdir())
    assert "led (not running)" in machine.install("--status").out


@pytest.mark.parametrize("module", ["klippy", "klippy.klippy"])
def test_klippy_as_a_module(machine: Machine, module: str) -> None:
    arguments = ARGUMENTS.replace("@/klipper/klippy/klippy.py", f"-m {module}")
    set_up_main(machine, IN_ENV_FILE.replace("%s", PYTHON), f'KLIPPER_ARGS="{arguments}"\n')
    machine.install("--new-instance", "led").succeeded()
    expected = of_machine(machine, arguments, "printer_led_data")
    assert led(machine, "systemd/klipper.env").read_text() == f'KLIPPER_ARGS="{expected}"\n'


def test_printer_without_printer_data(machine: Machine) -> None:
    machine.add_systemd("klipper.service")
    unit = f"ExecStart={PYTHON} @/klipper/klippy/klippy.py {OLD_ARGUMENTS} -a /tmp/klippy_uds"
    path = machine.sysroot / "etc/systemd/system/klipper.service"
    path.write_text("[Service]\n" + of_machine(machine, unit) + "\n")
    (machine.home / "klipper_config").mkdir()
    (machine.home / "klipper_config/printer.cfg").touch()
    machine.install("--new-instance", "led").succeeded()
    arguments = of_machine(machine, ARGUMENTS, "printer_led_data")
    assert unit_of_led(machine).read_text().endswith(f"python {arguments}\n")


def test_dry_run_shows_everything(machine: Machine, log: Path) -> None:
    before = fingerprint(machine.folder)
    shown = machine.install("--new-instance", "led", "--dry-run").succeeded().out
    assert fingerprint(machine.folder) == before
    done = machine.install("--new-instance", "led").succeeded().out
    assert [line for line in shown.splitlines() if not line.startswith("    ")] == [
        line.replace("Done: ", "Would ") for line in done.splitlines()
    ]
    for file in ("config/printer.cfg", "systemd/klipper.env"):
        for line in led(machine, file).read_text().splitlines():
            assert f"\n    {line}\n" in shown


# Boards


def test_a_board_of_another_instance(machine: Machine, log: Path) -> None:
    board = add_board(machine, "usb-Klipper_stm32_1-if00")
    link = machine.sysroot / "dev/ttyACM0"
    link.symlink_to(board)
    config = machine.home / "printer_data/config/mcu.cfg"
    config.write_text(f"[mcu]\nserial : {link}  # the mainboard\n")
    refuses(
        machine, "--new-instance", "led", "--serial", str(board), saying=f"{board} is in {config}"
    )
    machine.install("--new-instance", "led").succeeded("Boards that are not in use: none")
    assert serial_of_led(machine) == "/dev/serial/by-id/NAME_OF_THE_BOARD"


def test_several_boards(machine: Machine, log: Path) -> None:
    boards = [str(add_board(machine, f"usb-Klipper_rp2040_{number}-if00")) for number in "12"]
    machine.install("--new-instance", "led").succeeded(f"not in use: {' '.join(boards)}")
    assert "NAME_OF_THE_BOARD" in serial_of_led(machine)
    machine.install("--new-instance", "afc", "--serial", boards[1]).succeeded()
    afc = machine.home / "printer_afc_data/config/printer.cfg"
    assert f"serial: {boards[1]}\n" in afc.read_text()


def test_a_screen_is_no_board(machine: Machine, log: Path) -> None:
    screen = add_board(machine, "usb-1a86_USB_Serial-if00-port0")
    machine.install("--new-instance", "led").succeeded(f"not in use: {screen}")
    assert "NAME_OF_THE_BOARD" in serial_of_led(machine)


def test_this_computer_as_board(machine: Machine, log: Path) -> None:
    process = machine.sysroot / "tmp/klipper_host_mcu"
    process.parent.mkdir()
    process.touch()
    machine.install("--new-instance", "led").succeeded()
    assert serial_of_led(machine) == str(process)


def test_no_such_board(machine: Machine, log: Path) -> None:
    refuses(machine, "--new-instance", "led", "--serial", "/dev/no", saying="there is no /dev/no:")


# What is refused


@pytest.mark.parametrize(
    "name, saying",
    [
        ("my led", "'my led' cannot be a name: use letters, digits, _ and -"),
        ("../led", "'../led' cannot be a name"),
        ("--serial", "'--serial' cannot be a name"),
        ("main", "there is an instance called main already"),
        ("my_led", "there is an instance called my_led already"),
        ("My-Led", "there is an instance called my_led, from which the router cannot tell My-Led"),
        ("mcu", "the service of an instance called mcu would be taken for another program's"),
        ("router", "the service of an instance called router would be taken"),
        ("router_x", "an instance called router_x would be found as x"),
        ("api", "an instance called api would be found as main"),
        ("x" * 99, "the name is too long"),
        ("old", "printer_old_data exists already: choose another name"),
        ("unit", "klipper-unit.service exists already: choose another name"),
    ],
)
def test_names(machine: Machine, log: Path, name: str, saying: str) -> None:
    machine.add_instance("printer_my_led_data")
    (machine.home / "printer_old_data").mkdir()
    unit_of_led(machine).with_name("klipper-unit.service").touch()
    refuses(machine, "--new-instance", name, saying=saying)


def test_a_second_time(machine: Machine, log: Path) -> None:
    machine.install("--new-instance", "led").succeeded()
    refuses(machine, "--new-instance", "led", saying="there is an instance called led already")


def test_no_main_printer(machine: Machine) -> None:
    refuses(machine, "--new-instance", "led", saying="found no printer (")


def test_no_service_of_the_main_printer(machine: Machine) -> None:
    machine.add_instance("printer_data")
    machine.add_systemd("klipper.service")
    refuses(machine, "--new-instance", "led", saying="found no service that starts Klipper with")


def test_a_home_that_a_service_cannot_have(machine: Machine, log: Path) -> None:
    new = machine.home.with_name("my,home")
    machine.home.rename(new)
    machine.home.symlink_to(new)
    home = {"HOME": str(new)}
    config = new / "printer_data/config/printer.cfg"
    unit = f"[Service]\nExecStart=/x/python {machine.tree}/klippy/klippy.py {config} -a /x\n"
    unit_of_led(machine).with_name("klipper.service").write_text(unit)
    machine.install("--new-instance", "led", env=home).failed("has a character that is special")


@pytest.mark.parametrize(
    "arguments, saying",
    [
        (["--serial", "/dev/x"], "--serial belongs to --new-instance"),
        (["--new-instance"], "--new-instance needs a value"),
        (["--remove-instance"], "--remove-instance needs a value"),
        (["--new-instance", "led", "--restart"], "go without --restart"),
        (["--remove-instance", "led", "--write-config", "x"], "go without --restart"),
    ],
)
def test_options(machine: Machine, log: Path, arguments: List[str], saying: str) -> None:
    refuses(machine, *arguments, saying=saying)


def test_a_failure_half_way_can_be_taken_back(machine: Machine, log: Path) -> None:
    machine.install().succeeded()
    before = fingerprint(machine.home)
    machine.write_program(machine.bin / "systemctl", "echo broken\nexit 1\n")
    result = machine.install("--new-instance", "led")
    assert result.code == 1 and "could not run systemctl daemon-reload: broken" in result.err
    machine.write_program(machine.bin / "systemctl", "")
    machine.install("--remove-instance", "led").succeeded()
    assert fingerprint(machine.home) == before


# Whose rights


@needs_root
def test_root_does_not_work_for_others(machine: Machine, log: Path) -> None:
    machine.give_to(1000)
    refuses(machine, "--new-instance", "led", saying="belongs to")
    machine.give_to(NOBODY)
    machine.install("--new-instance", "led", "--allow-root").succeeded()
    owners = {led(machine, path).stat().st_uid for path in fingerprint(led(machine))}
    assert owners == {NOBODY}


SUDO: Dict[str, str] = {
    "none": "",
    "refuses": "exit 1\n",
    "works": 'case $1 in -n) exit ;; esac\necho "$*" >> "$HOME/sudo.log"\nexec "$@"\n',
}


@needs_root
@pytest.mark.parametrize("sudo", SUDO)
def test_sudo(machine: Machine, log: Path, sudo: str) -> None:
    machine.give_to(NOBODY, machine.folder)
    if SUDO[sudo]:
        machine.write_program(machine.bin / "sudo", SUDO[sudo])
    path = {"PATH": str(machine.bin)}
    if machine.shell.name == "dash":
        # Without the sudo of this machine
        for name in os.listdir(machine.shell.path.split(":")[0]):
            if name != "sudo" and not (machine.bin / name).exists():
                (machine.bin / name).symlink_to(f"/usr/bin/{name}")
    else:
        path = {}

    def run(*arguments: str) -> Result:
        return machine.install(*arguments, user=NOBODY, env=path)

    if sudo != "works":
        said = "there is no sudo" if sudo == "none" else "sudo does not give them to"
        run("--new-instance", "led").failed("the service takes root's rights", said)
        return
    run("--new-instance", "led").succeeded()
    run("--remove-instance", "led").succeeded()
    assert (machine.home / "sudo.log").read_text().splitlines() == [
        f"tee {unit_of_led(machine)}",
        "systemctl daemon-reload",
        "systemctl enable --now klipper-led.service",
        "systemctl disable --now klipper-led.service",
        f"rm {unit_of_led(machine)}",
        "systemctl daemon-reload",
    ]


# Removing it


def test_remove_takes_back_what_was_made(machine: Machine, log: Path) -> None:
    machine.install().succeeded()
    before = fingerprint(machine.folder)
    machine.install("--new-instance", "led").succeeded()
    for name in ("comms/klippy.sock", "logs/klippy.log", "logs/klippy.log.2026-11-29"):
        led(machine, name).touch()
    made = fingerprint(machine.folder)
    shown = machine.install("--remove-instance", "led", "--dry-run").succeeded().out
    assert fingerprint(machine.folder) == made
    log.unlink()
    done = machine.install("--remove-instance", "led").succeeded().out
    assert shown == done.replace("Done: ", "Would ")
    assert log.read_text() == "disable --now klipper-led.service\ndaemon-reload\n"
    log.unlink()
    assert fingerprint(machine.folder) == before
    refuses(machine, "--remove-instance", "led", saying="has not made an instance called led")


def test_remove_names_the_section_that_remains(machine: Machine, log: Path) -> None:
    main = machine.home / "printer_data/config/printer.cfg"
    main.write_text("[router]\n[router led]\n")
    machine.install("--new-instance", "led").succeeded()
    machine.install("--remove-instance", "led").succeeded(f"{main}:2:[router led]")


@pytest.mark.parametrize("file", ["gcodes/lamp.gcode", "config/printer.cfg"])
def test_remove_asks_before_it_deletes_files(machine: Machine, log: Path, file: str) -> None:
    machine.install("--new-instance", "led").succeeded()
    with open(led(machine, file), "a") as changed:
        changed.write("[neopixel strip]\n")
    refuses(machine, "--remove-instance", "led", saying=f"where it asks: {led(machine, file)}")
    machine.install("--remove-instance", "led", "--dry-run").succeeded(
        f"Would ask whether to delete these files, too:\n{led(machine, file)}\n"
    )
    before = fingerprint(machine.folder)
    assert "nothing was changed" in answer(machine, "n")
    assert fingerprint(machine.folder) == before
    assert f"{led(machine, file)}\r\nDelete them, too? [y/N]" in answer(machine, "y")
    assert not led(machine).exists() and not unit_of_led(machine).exists()


def answer(machine: Machine, text: str) -> str:
    """Run --remove-instance in a terminal, and answer its question; returns the output."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [*machine.shell.command, str(machine.project / "install.sh"), "--remove-instance", "led"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={
            "PATH": f"{machine.bin}:{machine.shell.path}",
            "HOME": str(machine.home),
            "ROUTER_INSTALL_ROOT": str(machine.sysroot),
        },
    )
    os.close(terminal)
    os.write(master, f"{text}\n".encode())
    output = b""
    try:
        while True:
            output += os.read(master, 4096)
    except OSError:  # the terminal is closed
        process.wait(10)
        os.close(master)
    return output.decode()


def test_remove_refuses_what_others_made(machine: Machine, log: Path) -> None:
    machine.add_instance("printer_led_data")
    unit_of_led(machine).write_text("[Service]\n")
    refuses(machine, "--remove-instance", "led", saying="has not made an instance called led")
    refuses(machine, "--remove-instance", "../x", saying="cannot be a name")


def test_remove_while_it_prints(machine: Machine, log: Path) -> None:
    machine.install("--new-instance", "led").succeeded()
    klippy = ApiSocket(led(machine, "comms/klippy.sock"), "printing")
    try:
        machine.install("--remove-instance", "led").failed("has a print running or paused")
    finally:
        klippy.socket.close()


# Firmwares without systemd

K1 = """\
USER_DATA=@
PROG=@/klippy-env/bin/python
PY_SCRIPT=@/klipper/klippy/klippy.py
CONFIG_DIR=$USER_DATA/printer_data/config
PID_FILE=/var/run/klippy.pid
start() {
    HOME=/root start-stop-daemon -S -q -b -m -p $PID_FILE \\
        --exec $PROG -- $PY_SCRIPT $CONFIG_DIR/printer.cfg -l $USER_DATA/klippy.log -a /tmp/uds
}
"""
SONIC_PAD = """\
START=55
USE_PROCD=1
PROG=@/klipper/klippy/klippy.py
start_service() {
    procd_open_instance
    procd_set_param command @/klippy-env/bin/python $PROG @/printer_data/config/printer.cfg -a /uds
    procd_close_instance
}
"""


def set_up_init(machine: Machine, name: str, text: str) -> Path:
    """Make the main printer, and its init script; returns the folder of those scripts."""
    machine.add_instance("printer_data")
    return machine.write_program(
        machine.sysroot / "etc/init.d" / name, of_machine(machine, text)
    ).parent


def test_init_script(machine: Machine) -> None:
    folder = set_up_init(machine, "S55klipper_service", K1)
    called = machine.folder / "start-stop-daemon.log"
    machine.write_program(machine.bin / "start-stop-daemon", f'echo "$HOME: $*" >> "{called}"\n')
    machine.install("--new-instance", "led").succeeded(
        f"Done: run {folder}/S56klipper_led start", f"{folder}/S55klipper_service restart\n"
    )
    python = of_machine(machine, PYTHON)
    arguments = of_machine(machine, ARGUMENTS, "printer_led_data")
    pid_file = "-p /var/run/klippy_led.pid"
    command = f"-S -q -b -m {pid_file} -x {python} -- {arguments}"
    assert called.read_text() == f"{machine.home}: {command}\n"
    assert "led (not running)" in machine.install("--status").out
    called.unlink()
    subprocess.run([folder / "S56klipper_led", "restart"], env={"PATH": str(machine.bin) + ":/bin"})
    lines = called.read_text().splitlines()
    assert f"-K -q {pid_file}" in lines[0] and lines[1].endswith(arguments)
    assert subprocess.run([folder / "S56klipper_led"], stdout=subprocess.DEVNULL).returncode == 1
    machine.install("--remove-instance", "led").succeeded(f"run {folder}/S56klipper_led stop")
    assert [path.name for path in folder.iterdir()] == ["S55klipper_service"]
    assert not led(machine).exists()


def test_init_script_of_openwrt(machine: Machine) -> None:
    folder = set_up_init(machine, "klipper", SONIC_PAD)
    common = machine.sysroot / "etc/rc.common"
    called = machine.folder / "procd.log"
    machine.write_program(
        common,
        "script=$1\nprocd_open_instance() { :; }\nprocd_close_instance() { :; }\n"
        f'procd_set_param() {{ echo "$*" >> "{called}"; }}\n. "$script"\n'
        f'echo "$2" >> "{called}"\n[ "$2" != start ] || start_service\n',
    )
    machine.install("--new-instance", "led").succeeded(f"run {folder}/klipper_led enable")
    python = of_machine(machine, PYTHON)
    arguments = of_machine(machine, ARGUMENTS, "printer_led_data")
    assert called.read_text().splitlines() == [
        "enable",
        "start",
        f"env HOME={machine.home}",
        f"command {python} {arguments}",
        "respawn",
    ]
    assert "led (not running)" in machine.install("--status").out
    called.unlink()
    machine.install("--remove-instance", "led").succeeded()
    assert called.read_text() == "stop\ndisable\n"
    assert [path.name for path in folder.iterdir()] == ["klipper"]


def test_init_script_of_another_kind(machine: Machine) -> None:
    set_up_init(machine, "klipper", K1)
    refuses(machine, "--new-instance", "led", saying="is an init script of a kind that install.sh")


def test_init_script_without_python(machine: Machine) -> None:
    set_up_init(machine, "S55klipper_service", K1)
    (machine.home / "klippy-env/bin/python").unlink()
    refuses(machine, "--new-instance", "led", saying="found no Python of this Klipper: start")
