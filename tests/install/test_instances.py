"""install.sh: which Klippys there are, and what their configs have of the router."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import configparser
import re
import shutil
import socket
from typing import List

import pytest

from .bench import Bench, sections


def test_one_printer(bench: Bench) -> None:
    bench.instance("printer_data")
    result = bench.install().succeeded(
        f"Put this into {bench.home}/printer_data/config/printer.cfg:\n\n[router]\nname: main\n"
    )
    assert "[router " not in result.out and "[include" not in result.out


def test_no_printer_found(bench: Bench) -> None:
    bench.install().succeeded("[router]\nname: main\n")


def test_several_instances(bench: Bench) -> None:
    for data in ("printer_data", "printer_led_data", "printer_2_data"):
        bench.instance(data)
    (bench.home / "printer_empty_data").mkdir()
    (bench.home / "printer_data_backup/config").mkdir(parents=True)
    result = bench.install().succeeded()
    text = result.out.split("printer.cfg:\n")
    assert len(text) == 4
    host = sections(text[1].split("Put this")[0])
    assert host.sections() == ["router", "router 2", "router led"]
    assert host["router"]["name"] == "main"
    assert host["router led"]["sock"] == f"{bench.home}/printer_led_data/comms/klippy.sock"
    include = f"[include {bench.project}/includes/router_api.cfg]"
    assert f"{bench.home}/printer_led_data/config/printer.cfg:\n\n{include}\n" in result.out
    assert f"{bench.home}/printer_2_data/config/printer.cfg:\n\n{include}\n" in result.out


def test_another_host(bench: Bench) -> None:
    for data in ("printer_data", "printer_led_data"):
        bench.instance(data)
    result = bench.install("--host", "led").succeeded(
        f"Put this into {bench.home}/printer_led_data/config/printer.cfg:",
        f"Put this line into {bench.home}/printer_data/config/printer.cfg:",
    )
    host = sections(result.out.split("printer.cfg:\n")[1].split("Put this")[0])
    assert host["router"]["name"] == "led"
    assert host["router main"]["sock"] == f"{bench.home}/printer_data/comms/klippy.sock"
    bench.fails("--host", "lamp", saying="there is no instance called lamp; found: main led")


def test_instances_without_printer_data(bench: Bench) -> None:
    for data in ("printer_1_data", "printer_2_data"):
        bench.instance(data)
    bench.install().succeeded("[router]\nname: 1\n", "[router 2]")


def test_instances_beside_a_firmwares_klipper(bench: Bench) -> None:
    bench.instance("printer_data")
    other = bench.folder / "root home"
    other.mkdir()
    bench.install("-k", str(bench.tree), env={"HOME": str(other)}).succeeded(
        f"Put this into {bench.home}/printer_data/config/printer.cfg"
    )


def host_sections(bench: Bench, *arguments: str) -> configparser.RawConfigParser:
    """The sections for the host that install.sh prints."""
    out = bench.install(*arguments).succeeded().out
    return sections(re.split(r"^Put this .*:$|^When no print", out, flags=re.MULTILINE)[1])


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
def test_a_peer_is_found_by_its_process(bench: Bench, sock: str, config: str, name: str) -> None:
    bench.instance("printer_data")
    sock, config = (text.replace("@", str(bench.home)) for text in (sock, config))
    klippy = f"{bench.tree}/klippy/klippy.py"
    log = ("-l", "/tmp/klippy.log", "-I", "/tmp/tty", "-u", "lava")
    bench.process(9, "/usr/bin/python3", "--", klippy, config, *log, "-a", sock)
    bench.process(10, "/usr/bin/python3", klippy, "x.cfg", "-i", "in.gcode", "-a", "/tmp/batch")
    bench.process(11, "/usr/bin/python3", klippy, f"{bench.home}/no-api/printer.cfg")
    host = host_sections(bench)
    assert {each: dict(host[each]) for each in host.sections()} == {
        "router": {"name": "main"},
        f"router {name}": {"sock": sock},
    }
    bench.install().succeeded(f"Put this line into {config}:\n")
    bench.install("--status").succeeded(f"Instance:  {name} (process 9), {sock}, {config}\n")


@pytest.mark.parametrize(
    "option",
    [
        ["--api-server", "klippy.sock"],
        ["--api-server=klippy.sock"],
        ["-aklippy.sock"],
        ["-v", "-a", "klippy.sock"],
    ],
)
def test_the_forms_of_the_option_of_klippy(bench: Bench, option: List[str]) -> None:
    bench.instance("printer_data")
    cwd = bench.home / "lamp"
    cwd.mkdir()
    klippy = ["/env/bin/python", str(bench.tree / "klippy/klippy.py")]
    bench.process(9, *klippy, "--api-server-user", "x", *option, "printer.cfg", cwd=cwd)
    assert host_sections(bench)["router lamp"]["sock"] == f"{cwd}/klippy.sock"


def test_a_kalico_that_was_installed_as_a_package(bench: Bench) -> None:
    bench.instance("printer_data")
    config = bench.instance("elsewhere") / "config/printer.cfg"
    python = str(bench.home / "klippy-env/bin/python")  # that cannot be asked where its klippy is
    sock = f"{bench.home}/kalico_led.sock"
    bench.process(9, python, "/klippy-env/bin/kalico", str(config), "-a", sock)
    bench.process(10, python, "-m", "klippy", "/in/a/container.cfg", "-a", "/tmp/container_uds")
    host = host_sections(bench)
    assert host.sections() == ["router", "router led"]
    assert host["router led"]["sock"] == sock


def test_names_are_unique(bench: Bench) -> None:
    bench.instance("printer_data")
    klippy = f"{bench.tree}/klippy/klippy.py"
    for number, name in enumerate(("my-led", "my_led", "my_led_2", "MY-LED")):
        folder = bench.home / f"at{number}" / name
        bench.process(
            number, "python3", klippy, f"{folder}/printer.cfg", "-a", f"{folder}/klippy.sock"
        )
    host = host_sections(bench)
    assert host.sections() == ["router"] + [
        f"router {n}" for n in ("MY-LED_3", "my-led", "my_led_2", "my_led_2_2")
    ]


def test_the_printer_itself_is_no_peer(bench: Bench) -> None:
    data = bench.instance("printer_data")
    sock = bench.folder / "klippy_uds"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(sock))
    (data / "comms/klippy.sock").symlink_to(sock)  # as vendors do, for Moonraker
    (bench.folder / "detour").symlink_to(bench.home)
    config = f"{bench.folder}/detour/printer_data/config/printer.cfg"
    klippy = f"{bench.tree}/klippy/klippy.py"
    bench.process(9, "python3", klippy, config, "-a", str(sock))
    bench.process(
        10, "python3", klippy, "x/printer.cfg", "-a", str(data / "comms/klippy-router-x.sock")
    )
    host = host_sections(bench)
    assert host.sections() == ["router", "router x"]
    assert host["router"]["name"] == "main"
    # A folder that its Klippy has left
    shutil.rmtree(bench.root / "proc/9")
    bench.process(
        9, "python3", klippy, f"{bench.home}/klipper_config/printer.cfg", "-a", "/tmp/k_uds"
    )
    assert bench.install().succeeded().out.startswith("Klipper Router is already installed")


def test_a_second_look_without_the_processes(bench: Bench) -> None:
    """Klippys that do not run now: from what starts them."""
    bench.instance("printer_data")
    root = bench.folder / "srv"
    made = {}
    for name in ("env", "unit", "init", "unset", "gone"):
        made[name] = root / name / "printer.cfg"
        made[name].parent.mkdir(parents=True)
        made[name].touch()
    made["gone"].unlink()
    klippy = f"{bench.tree}/klippy/klippy.py".replace(" ", "")
    env = bench.instance("printer_data_x").joinpath("klipper.env")
    env.write_text(f'KLIPPER_ARGS="{klippy} {made["env"]} -l /x.log -a {root}/env_uds"\n')
    start = f"ExecStart=/env/bin/python {klippy}"
    units = {
        "klipper-1.service": f"EnvironmentFile={env}\nExecStart=/env/bin/python $KLIPPER_ARGS",
        "klipper-2.service": f"{start} \\\n {made['unit']} -a {root}/u_uds",
        "klipper-3.service": f"{start} {made['gone']} -a {root}/gone_uds",
    }
    bench.systemd(*units, units=units)
    bench.program(
        bench.root / "etc/init.d/S55klipper_service",
        f"DIR={root}/init\nSCRIPT={klippy}\nexport CFG=${{DIR}}/printer.cfg\n"
        'start() {\n  start-stop-daemon -S -b -m -p $PID_FILE --exec $PROG -- "$SCRIPT" "$CFG" '
        f"-l $LOGS/klippy.log -a {root}/init_uds\n}}\n",
    )
    bench.program(
        bench.root / "etc/init.d/S98klipper-router-instances",
        f'for name in *; do\npython -- {klippy} "$CFGS/$name/printer.cfg" -a "/$name.sock"\ndone\n',
    )
    host = host_sections(bench)
    assert {each: host[each]["sock"] for each in host.sections() if each != "router"} == {
        "router env": f"{root}/env_uds",
        "router u": f"{root}/u_uds",
        "router init": f"{root}/init_uds",
    }


def test_a_socket_that_a_klippy_has_left(bench: Bench) -> None:
    path = bench.instance("printer_data") / "comms/klippy-router-led.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    assert host_sections(bench)["router led"]["sock"] == str(path)
    bench.install().succeeded("Put this line into the printer.cfg of led:\n")


def test_a_socket_that_is_a_guess_is_said_to_be(bench: Bench) -> None:
    bench.instance("printer_data")
    path = bench.instance("printer_led_data") / "comms/klippy.sock"
    bench.install().succeeded(f"Note: led does not run; if its Klippy has another -a than {path}")
    bench.process(
        9,
        "python3",
        f"{bench.tree}/klippy/klippy.py",
        f"{path.parents[1]}/config/printer.cfg",
        "-a",
        str(path),
    )
    assert "-a" not in bench.install().succeeded().err


@pytest.mark.parametrize("data, name", [("printer_data", "main"), ("printer_led_data", "led")])
def test_the_host_by_name_or_by_folder(bench: Bench, data: str, name: str) -> None:
    for folder in ("printer_data", "printer_led_data"):
        bench.instance(folder)
    for option in (name, data, f"{bench.home}/{data}", f"{bench.home}/{data}/"):
        bench.install("--host", option).succeeded(
            f"Put this into {bench.home}/{data}/config/printer.cfg:\n\n[router]\nname: {name}\n"
        )
    assert "printer_data (the default)" in bench.install("--help").out


def test_write_config(bench: Bench) -> None:
    config = bench.instance("printer_data") / "config"
    bench.instance("printer_led_data")
    bench.install("--write-config", "router.cfg", cwd=config).succeeded(
        f"[include {config}/router.cfg]", "/includes/router_api.cfg]"
    )
    assert sections((config / "router.cfg").read_text()).sections() == ["router", "router led"]
    assert bench.is_installed()


@pytest.mark.parametrize("what", ["file", "link", "folder", "no folder"])
def test_write_config_never_overwrites(bench: Bench, what: str) -> None:
    path = bench.home / "mine.cfg"
    if what == "file":
        path.write_text("[printer]\n")
    elif what == "link":
        path.symlink_to("nowhere")
    elif what == "folder":
        path.mkdir()
    else:
        path = bench.home / "none/mine.cfg"
    bench.fails(
        "--write-config", str(path), saying="no folder" if what == "no folder" else "exists already"
    )


# What the configs have of the router


def test_uninstall_warns_of_the_sections_that_are_left(bench: Bench) -> None:
    config = bench.instance("printer_data").joinpath("config")
    (config / "printer.cfg").write_text(
        "[printer]\n[router]  # this one\n[routers]\n#[router x]\n[include parts/*.cfg]\r\n"
        "#[include off.cfg]\n[include ../config/parts/../one more.cfg]  # comment\n"
    )
    (config / "parts").mkdir()
    (config / "parts/my peers.cfg").write_text("\n[router led]\nsock: x\n[include deeper.cfg]\n")
    (config / "parts/deeper.cfg").write_text("[router deep]\n[include ../printer.cfg]\n")
    (config / "one more.cfg").write_text(f"[router more]\n[include {bench.home}/abs.cfg]")
    (bench.home / "abs.cfg").write_text("[router absolute]")
    for name in ("off.cfg", "parts/not.conf", "printer-20260101_120000.cfg"):
        (config / name).write_text("[router]\n[router not]\n")
    bench.install().succeeded()
    result = bench.install("--uninstall").succeeded()
    assert not bench.link.is_symlink()
    warned = result.err.splitlines()
    assert warned[0] == "Note: Klipper will not start while these sections are in its config:"
    assert warned[1:] == [
        f"{config}/printer.cfg:2:[router]",
        f"{config}/parts/deeper.cfg:1:[router deep]",
        f"{config}/parts/my peers.cfg:2:[router led]",
        f"{config}/parts/../one more.cfg:1:[router more]".replace("parts/..", "../config/parts/.."),
        f"{bench.home}/abs.cfg:1:[router absolute]",
    ]


def test_includes_of_the_peers_are_named(bench: Bench) -> None:
    bench.instance("printer_data")
    here = f"{bench.project}/includes"
    text = f"[include {here}/router_api.cfg]\n[include {here}/router_watch*.cfg] # glob\n"
    led = bench.instance("printer_led_data", f"{text}[include mine/*.cfg]\n") / "config"
    copy = led / "mine/router_api.cfg"
    copy.parent.mkdir()
    copy.write_text("[include old.cfg]\n")
    missing = f"[include {bench.home}/gone/router_api.cfg]"
    (led / "mine/old.cfg").write_text(missing + "\n")
    named = [
        f"{led}/printer.cfg:1:[include {here}/router_api.cfg]",
        f"{led}/printer.cfg:2:[include {here}/router_watch*.cfg]",
        f"{led}/mine/old.cfg:1:{missing}",
    ]
    bench.install("--status").succeeded(*("Include:   " + line for line in named))
    result = bench.install("--uninstall").succeeded(f"before you delete {bench.project}")
    assert result.err.splitlines()[1:] == named
    (led / "printer.cfg").write_text("[include mine/router_api.cfg]\n")
    copy.write_text("")
    bench.install("--status").succeeded(f"Include:   {led}/printer.cfg:1:[include mine/router_api")
    assert bench.install("--uninstall").succeeded().err == ""  # a copy of their own
