"""install.sh: the instances it finds, and the sections and includes in their configs."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import configparser
import shutil
import socket
from typing import List

import pytest

from .machine import Machine, sections


def test_one_printer(machine: Machine) -> None:
    machine.add_instance("printer_data")
    result = machine.install().succeeded(
        f"Add this to {machine.home}/printer_data/config/printer.cfg:\n\n[router]\nname: main\n"
    )
    assert "[router " not in result.out and "[include" not in result.out


def test_no_printer_found(machine: Machine) -> None:
    machine.install().succeeded("[router]\nname: main\n")


def test_several_instances(machine: Machine) -> None:
    for data in ("printer_data", "printer_led_data", "printer_2_data"):
        machine.add_instance(data)
    (machine.home / "printer_empty_data").mkdir()
    (machine.home / "printer_data_backup/config").mkdir(parents=True)
    result = machine.install().succeeded()
    assert result.out.count("printer.cfg:\n") == 3
    main = sections(result.main_sections())
    assert main.sections() == ["router", "router 2", "router led"]
    assert main["router"]["name"] == "main"
    assert main["router led"]["sock"] == f"{machine.home}/printer_led_data/comms/klippy.sock"
    include = f"[include {machine.project}/includes/router_api.cfg]"
    assert f"{machine.home}/printer_led_data/config/printer.cfg:\n\n{include}\n" in result.out
    assert f"{machine.home}/printer_2_data/config/printer.cfg:\n\n{include}\n" in result.out


def test_another_host(machine: Machine) -> None:
    for data in ("printer_data", "printer_led_data"):
        machine.add_instance(data)
    result = machine.install("--host", "led").succeeded(
        f"Add this to {machine.home}/printer_led_data/config/printer.cfg:",
        f"Add this line to {machine.home}/printer_data/config/printer.cfg:",
    )
    main = sections(result.main_sections())
    assert main["router"]["name"] == "led"
    assert main["router main"]["sock"] == f"{machine.home}/printer_data/comms/klippy.sock"
    machine.refuses("--host", "lamp", saying="there is no instance called lamp; found: main led")


def test_instances_without_printer_data(machine: Machine) -> None:
    for data in ("printer_1_data", "printer_2_data"):
        machine.add_instance(data)
    machine.install().succeeded("[router]\nname: 1\n", "[router 2]")


def test_instances_next_to_klipper_outside_of_home(machine: Machine) -> None:
    machine.add_instance("printer_data")
    other = machine.folder / "root home"
    other.mkdir()
    machine.install("-k", str(machine.tree), env={"HOME": str(other)}).succeeded(
        f"Add this to {machine.home}/printer_data/config/printer.cfg"
    )


def main_sections(machine: Machine, *arguments: str) -> configparser.RawConfigParser:
    """The sections for the main printer that install.sh prints."""
    return sections(machine.install(*arguments).succeeded().main_sections())


@pytest.mark.parametrize(
    "sock, config, name",
    [
        ("@/klippy_led_uds", "@/printer_data/config/router/instances/led/printer.cfg", "led"),
        ("@/klippy_uds_2", "@/printer_data/config/router/instances/led/printer.cfg", "2"),
        ("@/printer_data/comms/klippy-router-ace.sock", "@/instances/ace/printer.cfg", "ace"),
        ("@/elsewhere/klippy.sock", "@/printer_led_data/config/printer.cfg", "led"),
        ("@/printer_led_data/comms/klippy.sock", "@/printer_data/config/strip.cfg", "led"),
        ("@/klippy_uds", "@/klipper_config/printer_1/printer.cfg", "1"),
        ("@/klippy.sock", "@/klipper_config/printer-lamp.cfg", "lamp"),
        ("@/my ace.sock", "@/x/printer.cfg", "my_ace"),
        ("@/run/klipper-led/apisock", "@/strips/printer.cfg", "strips"),
    ],
)
def test_a_running_peer_is_found_and_named(
    machine: Machine, sock: str, config: str, name: str
) -> None:
    machine.add_instance("printer_data")
    sock, config = (text.replace("@", str(machine.home)) for text in (sock, config))
    klippy = f"{machine.tree}/klippy/klippy.py"
    log = ("-l", "/tmp/klippy.log", "-I", "/tmp/tty", "-u", "lava")
    machine.add_process(9, "/usr/bin/python3", "--", klippy, config, *log, "-a", sock)
    machine.add_process(
        10, "/usr/bin/python3", klippy, "x.cfg", "-i", "in.gcode", "-a", "/tmp/batch"
    )
    machine.add_process(11, "/usr/bin/python3", klippy, f"{machine.home}/no-api/printer.cfg")
    main = main_sections(machine)
    assert {each: dict(main[each]) for each in main.sections()} == {
        "router": {"name": "main"},
        f"router {name}": {"sock": sock},
    }
    machine.install().succeeded(f"Add this line to {config}:\n")
    machine.install("--status").succeeded(f"Instance:  {name} (process 9), {sock}, {config}\n")


@pytest.mark.parametrize(
    "option",
    [
        ["--api-server", "klippy.sock"],
        ["--api-server=klippy.sock"],
        ["-aklippy.sock"],
        ["-v", "-a", "klippy.sock"],
    ],
)
def test_every_form_of_the_socket_option(machine: Machine, option: List[str]) -> None:
    machine.add_instance("printer_data")
    cwd = machine.home / "lamp"
    cwd.mkdir()
    klippy = ["/env/bin/python", str(machine.tree / "klippy/klippy.py")]
    machine.add_process(9, *klippy, "--api-server-user", "x", *option, "printer.cfg", cwd=cwd)
    assert main_sections(machine)["router lamp"]["sock"] == f"{cwd}/klippy.sock"


def test_a_peer_that_is_a_kalico_installed_as_a_package(machine: Machine) -> None:
    machine.add_instance("printer_data")
    config = machine.add_instance("elsewhere") / "config/printer.cfg"
    python = str(machine.home / "klippy-env/bin/python")  # does not know where its klippy is
    sock = f"{machine.home}/kalico_led.sock"
    machine.add_process(9, python, "/klippy-env/bin/kalico", str(config), "-a", sock)
    machine.add_process(
        10, python, "-m", "klippy", "/in/a/container.cfg", "-a", "/tmp/container_uds"
    )
    main = main_sections(machine)
    assert main.sections() == ["router", "router led"]
    assert main["router led"]["sock"] == sock


def test_names_are_unique(machine: Machine) -> None:
    machine.add_instance("printer_data")
    klippy = f"{machine.tree}/klippy/klippy.py"
    for number, name in enumerate(("my-led", "my_led", "my_led_2", "MY-LED")):
        folder = machine.home / f"at{number}" / name
        machine.add_process(
            number, "python3", klippy, f"{folder}/printer.cfg", "-a", f"{folder}/klippy.sock"
        )
    main = main_sections(machine)
    assert main.sections() == ["router"] + [
        f"router {n}" for n in ("MY-LED_3", "my-led", "my_led_2", "my_led_2_2")
    ]


def test_the_main_printer_is_not_its_own_peer(machine: Machine) -> None:
    data = machine.add_instance("printer_data")
    sock = machine.folder / "klippy_uds"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(sock))
    (data / "comms/klippy.sock").symlink_to(sock)  # as some vendors do for Moonraker
    (machine.folder / "detour").symlink_to(machine.home)
    config = f"{machine.folder}/detour/printer_data/config/printer.cfg"
    klippy = f"{machine.tree}/klippy/klippy.py"
    machine.add_process(9, "python3", klippy, config, "-a", str(sock))
    machine.add_process(
        10, "python3", klippy, "x/printer.cfg", "-a", str(data / "comms/klippy-router-x.sock")
    )
    main = main_sections(machine)
    assert main.sections() == ["router", "router x"]
    assert main["router"]["name"] == "main"
    # The data folder of a Klippy whose config is elsewhere now
    shutil.rmtree(machine.sysroot / "proc/9")
    machine.add_process(
        9, "python3", klippy, f"{machine.home}/klipper_config/printer.cfg", "-a", "/tmp/k_uds"
    )
    assert machine.install().succeeded().out.startswith("Klipper Router is already installed")


def test_klippys_that_do_not_run_are_found_by_their_services(machine: Machine) -> None:
    machine.add_instance("printer_data")
    root = machine.folder / "srv"
    made = {}
    for name in ("env", "unit", "init", "unset", "gone"):
        made[name] = root / name / "printer.cfg"
        made[name].parent.mkdir(parents=True)
        made[name].touch()
    made["gone"].unlink()
    klippy = f"{machine.tree}/klippy/klippy.py".replace(" ", "")
    env = machine.add_instance("printer_data_x").joinpath("klipper.env")
    env.write_text(f'KLIPPER_ARGS="{klippy} {made["env"]} -l /x.log -a {root}/env_uds"\n')
    start = f"ExecStart=/env/bin/python {klippy}"
    units = {
        "klipper-1.service": f"EnvironmentFile={env}\nExecStart=/env/bin/python $KLIPPER_ARGS",
        "klipper-2.service": f"{start} \\\n {made['unit']} -a {root}/u_uds",
        "klipper-3.service": f"{start} {made['gone']} -a {root}/gone_uds",
    }
    machine.add_systemd(*units, units=units)
    machine.write_program(
        machine.sysroot / "etc/init.d/S55klipper_service",
        f"DIR={root}/init\nSCRIPT={klippy}\nexport CFG=${{DIR}}/printer.cfg\n"
        'start() {\n  start-stop-daemon -S -b -m -p $PID_FILE --exec $PROG -- "$SCRIPT" "$CFG" '
        f"-l $LOGS/klippy.log -a {root}/init_uds\n}}\n",
    )
    machine.write_program(
        machine.sysroot / "etc/init.d/S98klipper-router-instances",
        f'for name in *; do\npython -- {klippy} "$CFGS/$name/printer.cfg" -a "/$name.sock"\ndone\n',
    )
    main = main_sections(machine)
    assert {each: main[each]["sock"] for each in main.sections() if each != "router"} == {
        "router env": f"{root}/env_uds",
        "router u": f"{root}/u_uds",
        "router init": f"{root}/init_uds",
    }


def test_a_klippy_that_does_not_run_is_found_by_its_socket(machine: Machine) -> None:
    path = machine.add_instance("printer_data") / "comms/klippy-router-led.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    assert main_sections(machine)["router led"]["sock"] == str(path)
    machine.install().succeeded("Add this line to the printer.cfg of led:\n")


def test_a_guessed_socket_gets_a_note(machine: Machine) -> None:
    machine.add_instance("printer_data")
    path = machine.add_instance("printer_led_data") / "comms/klippy.sock"
    machine.install().succeeded(
        f"Note: led is not running; if option -a of its Klippy is not {path}, correct sock"
    )
    machine.add_process(
        9,
        "python3",
        f"{machine.tree}/klippy/klippy.py",
        f"{path.parents[1]}/config/printer.cfg",
        "-a",
        str(path),
    )
    assert "-a" not in machine.install().succeeded().err


@pytest.mark.parametrize("data, name", [("printer_data", "main"), ("printer_led_data", "led")])
def test_the_host_by_name_or_by_folder(machine: Machine, data: str, name: str) -> None:
    for folder in ("printer_data", "printer_led_data"):
        machine.add_instance(folder)
    for option in (name, data, f"{machine.home}/{data}", f"{machine.home}/{data}/"):
        machine.install("--host", option).succeeded(
            f"Add this to {machine.home}/{data}/config/printer.cfg:\n\n[router]\nname: {name}\n"
        )
    assert "printer_data (the default)" in machine.install("--help").out


def test_write_config(machine: Machine) -> None:
    config = machine.add_instance("printer_data") / "config"
    machine.add_instance("printer_led_data")
    machine.install("--write-config", "router.cfg", cwd=config).succeeded(
        f"[include {config}/router.cfg]", "/includes/router_api.cfg]"
    )
    assert sections((config / "router.cfg").read_text()).sections() == ["router", "router led"]
    assert machine.is_installed()


@pytest.mark.parametrize("what", ["file", "link", "folder", "no folder"])
def test_write_config_never_overwrites(machine: Machine, what: str) -> None:
    path = machine.home / "mine.cfg"
    if what == "file":
        path.write_text("[printer]\n")
    elif what == "link":
        path.symlink_to("nowhere")
    elif what == "folder":
        path.mkdir()
    else:
        path = machine.home / "none/mine.cfg"
    machine.refuses(
        "--write-config", str(path), saying="no folder" if what == "no folder" else "exists already"
    )


# Sections and includes in the configs


def test_uninstall_lists_the_sections_that_remain(machine: Machine) -> None:
    config = machine.add_instance("printer_data").joinpath("config")
    (config / "printer.cfg").write_text(
        "[printer]\n[router]  # this one\n[routers]\n#[router x]\n[include parts/*.cfg]\r\n"
        "#[include off.cfg]\n[include ../config/parts/../one more.cfg]  # comment\n"
    )
    (config / "parts").mkdir()
    (config / "parts/my peers.cfg").write_text("\n[router led]\nsock: x\n[include deeper.cfg]\n")
    (config / "parts/deeper.cfg").write_text("[router deep]\n[include ../printer.cfg]\n")
    (config / "one more.cfg").write_text(f"[router more]\n[include {machine.home}/abs.cfg]")
    (machine.home / "abs.cfg").write_text("[router absolute]")
    for name in ("off.cfg", "parts/not.conf", "printer-20260101_120000.cfg"):
        (config / name).write_text("[router]\n[router not]\n")
    machine.install().succeeded()
    result = machine.install("--uninstall").succeeded()
    assert not machine.link.is_symlink()
    warned = result.err.splitlines()
    assert warned[0] == "Note: Klipper will not start while these sections are in its config:"
    assert warned[1:] == [
        f"{config}/printer.cfg:2:[router]",
        f"{config}/parts/deeper.cfg:1:[router deep]",
        f"{config}/parts/my peers.cfg:2:[router led]",
        f"{config}/parts/../one more.cfg:1:[router more]".replace("parts/..", "../config/parts/.."),
        f"{machine.home}/abs.cfg:1:[router absolute]",
    ]


def test_includes_of_the_peers_are_listed(machine: Machine) -> None:
    machine.add_instance("printer_data")
    here = f"{machine.project}/includes"
    text = f"[include {here}/router_api.cfg]\n[include {here}/router_watch*.cfg] # glob\n"
    led = machine.add_instance("printer_led_data", f"{text}[include mine/*.cfg]\n") / "config"
    copy = led / "mine/router_api.cfg"
    copy.parent.mkdir()
    copy.write_text("[include old.cfg]\n")
    missing = f"[include {machine.home}/gone/router_api.cfg]"
    (led / "mine/old.cfg").write_text(missing + "\n")
    named = [
        f"{led}/printer.cfg:1:[include {here}/router_api.cfg]",
        f"{led}/printer.cfg:2:[include {here}/router_watch*.cfg]",
        f"{led}/mine/old.cfg:1:{missing}",
    ]
    machine.install("--status").succeeded(*("Include:   " + line for line in named))
    result = machine.install("--uninstall").succeeded(f"before you delete {machine.project}")
    assert result.err.splitlines()[1:] == named
    (led / "printer.cfg").write_text("[include mine/router_api.cfg]\n")
    copy.write_text("")
    machine.install("--status").succeeded(
        f"Include:   {led}/printer.cfg:1:[include mine/router_api"
    )
    assert (
        machine.install("--uninstall").succeeded().err == ""
    )  # a copy of the include files, elsewhere
