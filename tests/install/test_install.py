"""install.sh: installs, updates and uninstalls, or says why it does not."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import configparser
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Iterator, List

import pytest

from klippy_extras.router.version import VERSION

from .machine import (
    AS_ROOT,
    NOBODY,
    ROOT,
    Machine,
    fingerprint,
    git,
    make_tree,
    needs_root,
    sections,
)

DAEMON_UNIT = (
    "ExecStart=/home/pi/klippy-env/bin/python /home/pi/klipper-router/src/klipper_router.py -c x"
)
PATTERNS = "/klippy/extras/router\n/klippy/plugins/router\n"


def test_the_reference_documents_every_option(machine: Machine) -> None:
    text = (ROOT / "klippy_extras/README.md").read_text()
    options = re.findall(r"^  (-\S+)", machine.install("--help").out, re.MULTILINE)
    assert len(options) == 13
    # Klipper's own message; test_real_klippers.py gets it from real ones
    for needed in [*options, "Section 'router' is not a valid config section", "-dirty"]:
        assert needed in text, f"the reference does not have {needed}"


# Installing and uninstalling


def test_fresh_install(machine: Machine) -> None:
    machine.install().succeeded(
        f"link {machine.link} to {machine.source}", "restart Klipper's service"
    )
    assert machine.is_installed()
    assert machine.exclude.read_text().endswith(PATTERNS + "# end of Klipper Router\n")


def test_relative_paths(machine: Machine) -> None:
    # The target of the link must be absolute all the same
    done = subprocess.run(
        [*machine.shell.command, "install.sh", "-k", "../klipper"],
        cwd=machine.project,
        env={"PATH": f"{machine.bin}:{machine.shell.path}", "HOME": "/nonexistent"},
        stdout=subprocess.PIPE,
    )
    assert done.returncode == 0
    assert machine.is_installed()


def test_second_install_changes_nothing(machine: Machine) -> None:
    machine.install().succeeded()
    before = fingerprint(machine.folder)
    again = machine.install().succeeded("already installed")
    assert fingerprint(machine.folder) == before
    assert "Done:" not in again.out
    assert not (machine.source / "router").is_symlink(), "ln -s made the link inside the folder"


def test_second_install_repairs_what_is_missing(machine: Machine) -> None:
    machine.install().succeeded()
    git(machine.tree, "clean", "-fdx")  # as Moonraker's hard recovery does
    machine.exclude.unlink()
    machine.install().succeeded("link", "add the link to")
    assert machine.is_installed()


def test_an_update_that_adds_a_module_needs_no_second_install(machine: Machine) -> None:
    machine.install().succeeded()
    machine.push_update({"klippy_extras/router/brand_new.py": "VALUE = 42\n"})
    git(machine.project, "pull", "-q")
    assert (machine.link / "brand_new.py").read_text() == "VALUE = 42\n"
    assert machine.is_installed()


def test_uninstall_restores_every_byte(machine: Machine) -> None:
    before = fingerprint(machine.tree)
    machine.install().succeeded()
    machine.install("--uninstall").succeeded(f"remove {machine.link}")
    assert fingerprint(machine.tree) == before
    machine.install("--uninstall").succeeded("not installed")
    assert fingerprint(machine.tree) == before


@pytest.mark.parametrize(
    "content", ["", "*.orig\n", "*.orig", "*.orig\r\n", "\n\n", "*.orig\n\n", "caf\xe9", "a\\nb%s"]
)
def test_uninstall_restores_any_exclude_file(machine: Machine, content: str) -> None:
    machine.exclude.write_bytes(content.encode("latin-1"))
    machine.install().succeeded()
    assert machine.is_installed()
    machine.install("--uninstall").succeeded()
    assert machine.exclude.read_bytes() == content.encode("latin-1")


@pytest.mark.parametrize("missing", ["exclude", "folder"])
def test_uninstall_restores_a_missing_exclude_file(machine: Machine, missing: str) -> None:
    shutil.rmtree(machine.exclude.parent)
    if missing == "exclude":
        machine.exclude.parent.mkdir()
    before = fingerprint(machine.tree)
    machine.install().succeeded()
    assert machine.is_installed()
    machine.install("--uninstall").succeeded()
    assert fingerprint(machine.tree) == before


@pytest.mark.parametrize("content", [None, "*.orig\n", "*.orig"])
def test_uninstall_keeps_what_others_added_to_the_exclude_file(
    machine: Machine, content: str
) -> None:
    if content is None:
        machine.exclude.unlink()
    else:
        machine.exclude.write_text(content)
    machine.install().succeeded()
    with open(machine.exclude, "a") as exclude:
        exclude.write("theirs\n")
    machine.install("--uninstall").succeeded()
    lines = machine.exclude.read_text().splitlines()
    assert lines == [*(content or "").split(), "theirs"]


def test_uninstall_keeps_a_pattern_that_the_user_added(machine: Machine) -> None:
    machine.exclude.write_text("klippy/extras/router\n")
    machine.install().succeeded()
    assert machine.is_installed()
    machine.install("--uninstall").succeeded()
    assert machine.exclude.read_text() == "klippy/extras/router\n"


def test_uninstall_leaves_another_router_alone(machine: Machine) -> None:
    machine.link.mkdir()
    before = fingerprint(machine.tree)
    machine.install("--uninstall").succeeded("not installed")
    assert fingerprint(machine.tree) == before


def test_dry_run_changes_nothing(machine: Machine) -> None:
    data = machine.add_instance("printer_data")
    (data / "config/moonraker.conf").write_text("[server]\n")
    everything = ["--dry-run", "--update-manager", "--write-config", str(data / "config/r.cfg")]
    before = fingerprint(machine.folder)
    result = machine.install(*everything).succeeded(
        f"Would link {machine.link} to {machine.source}",
        "Would add [update_manager klipper-router] to",
        "Would write",
    )
    assert "Done:" not in result.out
    assert fingerprint(machine.folder) == before
    machine.install().succeeded()
    before = fingerprint(machine.folder)
    machine.install("--dry-run", "--uninstall").succeeded(f"Would remove {machine.link}")
    assert fingerprint(machine.folder) == before


def test_dry_run_fails_where_a_real_run_would(machine: Machine) -> None:
    machine.link.mkdir()
    machine.refuses("--dry-run", saying="not this Klipper Router")


def test_status(machine: Machine) -> None:
    machine.add_instance("printer_led_data", "[router main]\n")
    before = fingerprint(machine.folder)
    machine.install("--status").succeeded("Installed: no", f"{machine.tree} (Klipper")
    assert fingerprint(machine.folder) == before
    machine.install().succeeded()
    machine.install("--status").succeeded(
        f"Installed: {machine.link} -> {machine.source}, version {VERSION} (v0.1.0)",
        f"This copy: {machine.project}, version {VERSION} (v0.1.0)",
        f"Instance:  led (not running), {machine.home}/printer_led_data/comms/klippy.sock, ",
        f"{machine.home}/printer_led_data/config/printer.cfg:1:[router main]",
        str(machine.home / "klippy-env/bin/python"),
    )


def test_help_and_unknown_options(machine: Machine) -> None:
    machine.install("--help").succeeded("Usage: install.sh", "--update-manager [FILE]")
    for wrong in (["--instal"], ["klipper"], ["-k"], ["--write-config"], ["--host", ""]):
        machine.refuses(*wrong, saying="see --help")


# Klipper: which one, and whether it can be used


@pytest.mark.parametrize("named", ["-k", "KLIPPER_PATH"])
def test_wrong_path(machine: Machine, named: str) -> None:
    (machine.home / "not klipper/klippy").mkdir(parents=True)
    for path, saying in (("nowhere", "there is no"), ("not klipper", "is not a Klipper tree")):
        path = str(machine.home / path)
        if named == "-k":
            machine.refuses("-k", path, saying=saying)
        else:
            machine.refuses(saying=saying, env={"KLIPPER_PATH": path})


def test_no_klipper(machine: Machine) -> None:
    shutil.rmtree(machine.tree)
    machine.refuses(saying="found no Klipper")
    machine.refuses("--uninstall", saying="found no Klipper")
    machine.refuses("--status", saying="found no Klipper")


def test_an_incomplete_clone(machine: Machine) -> None:
    shutil.rmtree(machine.source)
    machine.refuses(saying="run install.sh in a complete clone")


def test_where_klipper_is_looked_for(machine: Machine) -> None:
    trees = {name: make_tree(machine.folder / name) for name in ("option", "variable", "runs")}
    runs = str(trees["runs"])
    machine.add_process(7, "/usr/bin/python3", f"{runs}/klippy/klippy.py", "printer.cfg")

    def tree_of(*arguments: str, **env: str) -> str:
        out = machine.install("--dry-run", *arguments, env=env).succeeded().out
        return out.split("/klippy/extras/router", 1)[0].replace("Would link ", "")

    variable = str(trees["variable"])
    assert tree_of("-k", str(trees["option"]), KLIPPER_PATH=variable) == str(trees["option"])
    assert tree_of(KLIPPER_PATH=variable) == variable
    assert tree_of() == str(machine.tree)
    machine.install("--dry-run").succeeded(
        f"is not the Klipper that is running; -k chooses: {runs}"
    )
    shutil.rmtree(machine.tree)
    assert tree_of() == runs


def test_a_running_klippy_is_found(machine: Machine) -> None:
    shutil.rmtree(machine.tree)
    tree = make_tree(machine.folder / "vendor's klipper")
    machine.add_process(1, "/sbin/init")
    machine.add_process(5, "/usr/bin/vim", f"{machine.folder}/other/klippy/klippy.py")
    machine.add_process(6)
    machine.add_process(8, "/usr/bin/python", "/usr/share/moonraker/moonraker.py", "/klippy_uds")
    machine.add_process(9, "python3", "klippy.py", "printer.cfg", cwd=tree / "klippy")
    machine.add_process(10, "/gone/python", "/gone/klippy/klippy.py")
    machine.install("--status").succeeded(f"Klipper:   {tree} (Klipper")
    second = make_tree(machine.folder / "second")
    machine.add_process(11, "python3", "-u", f"{second}/klippy/klippy.py", "-a", "/tmp/klippy_uds")
    machine.refuses(saying=f"several Klippers are running, choose one with -k: {second} {tree}")


def test_a_klippy_installed_as_a_package_is_found(machine: Machine) -> None:
    shutil.rmtree(machine.tree)
    tree = make_tree(machine.folder / "site-packages", kalico=True, checkout=False)
    (tree / "klippy/__init__.py").touch()
    machine.add_process(9, sys.executable, "-m", "klippy", "printer.cfg", cwd=tree)
    machine.install().succeeded("/site-packages/klippy/plugins/router")
    assert (tree / "klippy/plugins/router/__init__.py").is_file()


@pytest.mark.parametrize("what", ["router.py", "folder", "file", "link", "another copy"])
@pytest.mark.parametrize("tree", ["klipper", "kalico", "kalico extras"])
def test_the_name_router_is_taken(machine: Machine, what: str, tree: str) -> None:
    if tree != "klipper":
        machine.use_kalico()
    place = machine.tree / "klippy/extras/router" if tree == "kalico extras" else machine.link
    if what == "router.py":
        place = place.with_name("router.py")
        place.write_text("# another extra\n")
    elif what == "folder":
        place.mkdir()
    elif what == "file":
        place.touch()
    else:
        other = machine.home / ("old/klippy_extras/router" if what == "another copy" else "mine")
        other.mkdir(parents=True)
        place.symlink_to(other)
    saying = {"folder": ", a folder", "link": f", a link to {machine.home}/mine"}.get(what, "")
    machine.refuses(saying=f"found {place}{saying}, ")


def test_a_link_to_a_deleted_copy_is_replaced(machine: Machine) -> None:
    machine.link.symlink_to("/home/gone/klipper-router/klippy_extras/router")
    machine.install().succeeded()
    assert machine.is_installed()


def test_a_broken_link_to_something_else_is_kept(machine: Machine) -> None:
    machine.link.symlink_to("/home/gone/something/router")
    machine.refuses(saying="a link to /home/gone/something/router")


def test_a_link_made_by_hand_through_another_link_is_ours(machine: Machine) -> None:
    (machine.folder / "detour").symlink_to(machine.home)
    machine.link.symlink_to(machine.folder / "detour/klipper router/klippy_extras/router")
    machine.exclude.write_text("/klippy/extras/router\n")
    machine.install().succeeded("already installed")
    machine.install("--uninstall").succeeded("remove")
    assert not machine.link.is_symlink()


def test_kalico(machine: Machine) -> None:
    machine.use_kalico()
    before = fingerprint(machine.tree)
    machine.install().succeeded("klippy/plugins/router")
    assert machine.is_installed()
    assert not (machine.tree / "klippy/extras/router").is_symlink()
    machine.install().succeeded("already installed")
    machine.install("--uninstall").succeeded()
    assert fingerprint(machine.tree) == before


@pytest.mark.parametrize("has_run", [False, True])
def test_a_checkout_switched_to_kalico_and_back(machine: Machine, has_run: bool) -> None:
    machine.install().succeeded()
    extras, plugins = machine.tree / "klippy/extras", machine.tree / "klippy/plugins"
    git(machine.tree, "checkout", "-q", "-b", "kalico")
    plugins.mkdir()
    (plugins / "__init__.py").touch()
    git(machine.tree, "add", "-A")
    git(machine.tree, "commit", "-q", "-m", "Kalico")
    machine.install().succeeded(f"remove the link {extras}/router")
    assert (plugins / "router").is_symlink() and not (extras / "router").is_symlink()
    if has_run:
        (plugins / "__pycache__").mkdir()
    assert git(machine.tree, "status", "--porcelain") == ""
    git(machine.tree, "checkout", "-q", "-")
    machine.install().succeeded(f"remove the link {plugins}/router")
    assert machine.is_installed()
    assert plugins.exists() == has_run
    machine.install().succeeded("already installed")
    assert machine.exclude.read_text().count("/klippy/extras/router\n") == 1


def test_uninstall_from_kalico_removes_both_links(machine: Machine) -> None:
    machine.use_kalico()
    before = fingerprint(machine.tree)
    machine.link.symlink_to(machine.source)
    (machine.tree / "klippy/extras/router").symlink_to(machine.source)
    machine.install("--uninstall").succeeded()
    assert fingerprint(machine.tree) == before


@pytest.mark.parametrize("form", ["worktree", "submodule", "no git"])
def test_worktree_submodule_and_no_git(machine: Machine, form: str) -> None:
    if form == "worktree":
        machine.tree = machine.folder / "work-tree"
        git(machine.home / "klipper", "worktree", "add", "-q", str(machine.tree))
    elif form == "submodule":
        above = make_tree(machine.folder / "above")
        git(above, "submodule", "add", "-q", str(machine.tree), "klipper")
        git(above, "commit", "-q", "-m", "Klipper below")
        machine.tree = above / "klipper"
    else:
        (machine.bin / "git").unlink()
    machine.link = machine.tree / "klippy/extras/router"
    before = fingerprint(machine.folder)
    machine.install("-k", str(machine.tree)).succeeded()
    assert machine.is_installed()
    machine.install("-k", str(machine.tree), "--uninstall").succeeded()
    assert fingerprint(machine.folder) == before


def test_a_tree_without_git_inside_another_checkout(machine: Machine) -> None:
    # A package in a virtual environment inside a repository, whose exclude file is not Klipper's
    tree = make_tree(machine.tree / "env/site-packages", kalico=True, checkout=False)
    before = machine.exclude.read_bytes()
    machine.install("-k", str(tree)).succeeded()
    machine.install("-k", str(tree), "--status").succeeded("(Kalico, no git checkout, ")
    assert (tree / "klippy/plugins/router/__init__.py").is_file()
    assert machine.exclude.read_bytes() == before


@pytest.mark.parametrize("version", ["2.7", "3.5", "3.7"])
def test_python_is_too_old(machine: Machine, version: str) -> None:
    machine.set_python(version)
    machine.refuses(saying=f"is Python {version}, but Klipper Router needs 3.8 or later")


@pytest.mark.parametrize("version", ["3.8", "3.13", "4.0"])
def test_python_is_new_enough(machine: Machine, version: str) -> None:
    machine.set_python(version)
    machine.install().succeeded()


def test_python_does_not_run(machine: Machine) -> None:
    machine.write_program(machine.home / "klippy-env/bin/python", "exit 127\n")
    machine.refuses(saying="does not run")


def test_no_python_found(machine: Machine) -> None:
    shutil.rmtree(machine.home / "klippy-env")
    machine.install().succeeded("found no klippy-env")
    assert machine.is_installed()


def test_the_python_that_runs_klippy_comes_first(machine: Machine) -> None:
    machine.set_python("3.7")
    python = machine.write_program(machine.folder / "share/python3", "echo 3.9\n")
    machine.add_process(3, str(python), f"{machine.tree}/klippy/klippy.py", "printer.cfg")
    machine.install().succeeded()


# Users


@needs_root
def test_an_ordinary_user_installs_and_uninstalls(machine: Machine) -> None:
    machine.give_to(NOBODY)
    before = fingerprint(machine.tree)
    machine.install(user=NOBODY).succeeded()
    assert machine.is_installed()
    assert machine.link.lstat().st_uid == NOBODY
    machine.install("--uninstall", user=NOBODY).succeeded()
    assert fingerprint(machine.tree) == before


@needs_root
@pytest.mark.parametrize("read_only", ["extras", "exclude", "info"])
def test_a_read_only_tree(machine: Machine, read_only: str) -> None:
    machine.give_to(NOBODY)
    if read_only == "extras":
        path = machine.link.parent
    elif read_only == "exclude":
        path = machine.exclude
    else:
        machine.exclude.unlink()
        path = machine.exclude.parent
    path.chmod(0o555)
    machine.refuses(user=NOBODY, saying=f"{path} belongs to nobody and cannot be written by nobody")


@needs_root
def test_a_tree_of_another_user(machine: Machine) -> None:
    machine.give_to(NOBODY)
    machine.give_to(0, machine.tree)
    machine.refuses(user=NOBODY, saying="belongs to root and cannot be written by nobody")


@needs_root
def test_root_refuses_the_tree_of_an_ordinary_user(machine: Machine) -> None:
    machine.give_to(NOBODY)
    machine.refuses(saying="belongs to nobody: run install.sh as nobody, without sudo")
    before = fingerprint(machine.folder)
    machine.exclude.unlink()
    machine.install("--allow-root").succeeded()
    assert machine.is_installed()
    for path in machine.home.rglob("*"):
        assert path.lstat().st_uid == NOBODY, path
    machine.refuses("--uninstall", saying="without sudo")
    machine.install("--allow-root", "--uninstall").succeeded()
    after = fingerprint(machine.folder)
    assert {name for name in before if before[name] != after.get(name)} == {
        "my home/klipper/.git/info/exclude"
    }


@needs_root
@pytest.mark.parametrize("owner", [0, 54321])
def test_root_installs_where_there_is_only_root(machine: Machine, owner: int) -> None:
    machine.give_to(owner)
    machine.install().succeeded()
    assert machine.is_installed()
    assert machine.link.lstat().st_uid == owner


@needs_root
def test_root_refuses_the_config_of_an_ordinary_user(machine: Machine) -> None:
    data = machine.add_instance("printer_data")
    (data / "config/moonraker.conf").write_text("[server]\n")
    machine.give_to(NOBODY, data)
    machine.refuses("--write-config", str(data / "config/router.cfg"), saying="belongs to nobody")
    machine.refuses("--update-manager", saying="belongs to nobody")
    machine.install(
        "--allow-root", "--write-config", str(data / "config/router.cfg"), "--update-manager"
    ).succeeded()
    assert {path.stat().st_uid for path in data.rglob("*")} == {NOBODY}


# Moonraker


def update_manager(conf: Path) -> configparser.SectionProxy:
    """The section as Moonraker reads it."""
    return sections(conf.read_text())["update_manager klipper-router"]


@pytest.mark.parametrize("content", ["[server]\nport: 7125\n", "[server]\nport: 7125", ""])
def test_update_manager(machine: Machine, content: str) -> None:
    conf = machine.add_instance("printer_data") / "config/moonraker.conf"
    conf.write_text(content)
    conf.chmod(0o640)
    result = machine.install("--update-manager").succeeded("Restart Moonraker")
    assert machine.is_installed() and "service (RESTART" in result.out
    assert dict(update_manager(conf)) == {
        "type": "git_repo",
        "path": str(machine.project),
        "origin": git(machine.project, "remote", "get-url", "origin").strip(),
        "primary_branch": "main",
        "managed_services": "klipper",
    }
    assert conf.read_text().startswith(content)
    (copy,) = conf.parent.glob("moonraker.conf.*.bak")
    assert copy.read_text() == content
    assert copy.stat().st_mode == conf.stat().st_mode

    before = fingerprint(machine.folder)
    machine.install("--update-manager").succeeded("already installed", "already has Klipper Router")
    assert fingerprint(machine.folder) == before
    machine.install("--status").succeeded(f"Updates:   {conf}")
    (conf.parent / "moonraker.conf.bak").write_text("not a copy by install.sh")
    done = machine.install("--uninstall").succeeded("remove [update_manager klipper-router] from")
    assert conf.read_text() == content
    left = [line for line in done.out.splitlines() if line.startswith("Backup, delete it")]
    copies = sorted(conf.parent.glob("moonraker.conf.*.bak*"))
    assert [Path(line.split(": ")[1]) for line in left] == copies
    assert len(copies) == 2


def test_update_manager_in_a_given_file(machine: Machine) -> None:
    machine.add_instance("printer_data").joinpath("config/moonraker.conf").write_text("[server]\n")
    conf = machine.home / "my moonraker.conf"
    conf.write_text("[server]\n")
    machine.install("--update-manager", str(conf), "--dry-run").succeeded(f"to {conf}")
    machine.install("--update-manager", str(conf)).succeeded()
    assert update_manager(conf)["type"] == "git_repo"
    assert "update_manager" not in (machine.home / "printer_data/config/moonraker.conf").read_text()


def test_update_manager_in_the_hosts_file(machine: Machine) -> None:
    for data in ("printer_data", "printer_led_data"):
        machine.add_instance(data).joinpath("config/moonraker.conf").write_text("[server]\n")
    machine.install("--update-manager", "--host", "led").succeeded()
    assert update_manager(machine.home / "printer_led_data/config/moonraker.conf")


def test_update_manager_already_in_an_included_file(machine: Machine) -> None:
    config = machine.add_instance("printer_data") / "config"
    (config / "moonraker.conf").write_text("[include updates.conf]\n")
    (config / "updates.conf").write_text(
        f"[update_manager klipper-router]\npath: {machine.project}\n"
    )
    before = fingerprint(config)
    machine.install("--update-manager").succeeded("already has Klipper Router")
    machine.install("--uninstall").succeeded()
    assert fingerprint(config) == before


def test_update_manager_needs_a_file_and_an_origin(machine: Machine) -> None:
    data = machine.add_instance("printer_data")
    machine.refuses("--update-manager", saying=f"there is no {data}/config/moonraker.conf")
    (data / "config/moonraker.conf").write_text("[server]\n")
    git(machine.project, "remote", "remove", "origin")
    machine.refuses("--update-manager", saying="Moonraker cannot update it")


# Restarting


class ApiSocket:
    """A Klippy that answers objects/query with this state of print_stats."""

    def __init__(self, path: Path, state: str) -> None:
        answers = {
            "no print_stats": b'{"id": 1, "result": {"eventtime": 1.0, "status": {}}}\x03',
            "error": b'{"id": 1, "error": {"message": "not ready"}}\x03',
            "hangs up": b"",
            "garbage": b"what?\x03",
        }
        status = '{"id":1,"result":{"eventtime":1.0,"status":{"print_stats":{"state":"%s"}}}}\x03'
        self.answer = answers.get(state, (status % state).encode())
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(path))
        self.socket.listen(1)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            with connection:
                while b"\x03" not in connection.recv(4096):
                    pass
                connection.sendall(self.answer)


@pytest.fixture
def sockets() -> Iterator[List[ApiSocket]]:
    made: List[ApiSocket] = []
    yield made
    for each in made:
        each.socket.close()


def test_nothing_is_restarted_unless_asked(machine: Machine) -> None:
    log = machine.add_systemd("klipper.service")
    result = machine.install().succeeded("systemctl restart klipper.service\n")
    assert ("sudo " in result.out) == (not AS_ROOT)
    machine.install("--uninstall").succeeded()
    assert not log.exists()


@needs_root
def test_an_ordinary_user_is_shown_sudo(machine: Machine) -> None:
    machine.add_systemd("klipper.service")
    machine.give_to(NOBODY)
    machine.install(user=NOBODY).succeeded("\nsudo systemctl restart klipper.service\n")


def test_restart_with_systemd(machine: Machine) -> None:
    other = "ExecStart=/usr/bin/other --config klipper.cfg"
    units = {
        "klipper-mcu.service": "ExecStart=/usr/local/bin/klipper_mcu -r",
        "klipper-router.service": DAEMON_UNIT,
        "klipper_exporter.service": other,
        "klipper-estimator.service": other,
        "klipper-router-tunnel@x.service": "ExecStart=/usr/bin/ssh -L a.sock:b.sock printer",
    }
    log = machine.add_systemd("klipper.service", "klipper-led.service", *units, units=units)
    machine.write_program(machine.sysroot / "etc/init.d/klipper", "exit 1\n")
    machine.install("--dry-run", "--restart").succeeded(
        "Would run systemctl restart klipper.service"
    )
    assert not log.exists()
    result = machine.install("--restart").succeeded("Done: systemctl restart klipper-led.service")
    assert log.read_text() == "restart klipper.service\nrestart klipper-led.service\n"
    assert "RESTART does not" not in result.out
    machine.install("--restart").succeeded("already installed", "Done: systemctl restart")


def test_restart_without_systemd(machine: Machine) -> None:
    log = machine.folder / "log"
    others = ("S57klipper_mcu", "S99klipperScreen", "S10network", "S99klipper-router")
    off = ("K55klipper_service", "S55klipper_service.bak")
    for name in ("S55klipper_service", "S98klipper-router-instances", *others, *off):
        machine.write_program(
            machine.sysroot / "etc/init.d" / name, f'echo {name} "$@" >> "{log}"\n'
        )
    result = machine.install().succeeded(f"{machine.sysroot}/etc/init.d/S55klipper_service restart")
    assert "S99klipper-router restart" not in result.out
    assert not log.exists()
    machine.install("--restart").succeeded("Done:")
    assert log.read_text() == "S55klipper_service restart\nS98klipper-router-instances restart\n"


# The old router daemon: klipper-router.service, S99klipper-router, ~/klipper-router


def test_a_running_daemon_is_reported(machine: Machine) -> None:
    log = machine.add_systemd(
        "klipper.service", "klipper-router.service", units={"klipper-router.service": DAEMON_UNIT}
    )
    machine.add_process(7, "/usr/bin/vim", "/home/pi/klipper-router/src/klipper_router.py")
    assert "daemon" not in machine.install().succeeded().err
    machine.add_process(
        8, "/usr/bin/python3", "/home/pi/klipper-router/src/klipper_router.py", "-c", "x"
    )
    result = machine.install().succeeded("daemon is running (process 8)", "disable it: kill 8")
    assert "restart klipper-router" not in result.out + result.err
    machine.enable("klipper-router.service")
    sudo = "" if AS_ROOT else "sudo "
    stop = f"Stop and disable it: {sudo}systemctl disable --now klipper-router.service\n"
    machine.install().succeeded(stop)
    machine.install("--status").succeeded("Daemon:    the old router daemon is running (process 8)")
    machine.refuses("--restart", saying="the old router daemon is running")
    machine.install("--uninstall", "--restart").succeeded()
    assert log.read_text() == "restart klipper.service\n"


def test_a_daemon_with_an_init_script_is_reported(machine: Machine) -> None:
    script = machine.write_program(machine.sysroot / "etc/init.d/S99klipper-router", "exit 1\n")
    machine.write_program(machine.sysroot / "etc/init.d/S98klipper-router-instances", "klippy.py\n")
    sudo = "" if AS_ROOT else "sudo "
    way = f"{sudo}{script} stop; {sudo}chmod -x {script}"
    machine.install().succeeded(
        f"starts at boot, and then every call runs twice. Disable it: {way}\n"
    )
    machine.add_process(
        8, "/usr/bin/python3", "--", "/usr/local/sbin/klipper-routerd", "-c", "x.cfg"
    )
    machine.install().succeeded(
        f"is running (process 8), so every call runs twice. Stop and disable it: {way}\n"
    )
    script.chmod(0o644)
    machine.install().succeeded("Stop and disable it: kill 8\n")


def test_a_disabled_daemon_is_ignored(machine: Machine) -> None:
    machine.add_systemd("klipper-router.service", units={"klipper-router.service": DAEMON_UNIT})
    machine.write_program(machine.sysroot / "etc/init.d/K99klipper-router", "exit 1\n")
    assert "daemon" not in machine.install().succeeded().err


def test_a_real_process_of_the_daemon(machine: Machine) -> None:
    program = machine.folder / "src/klipper_router.py"
    program.parent.mkdir()
    program.write_text("import sys\nsys.stdin.read()\n")
    with subprocess.Popen([sys.executable, program, "-c", "x"], stdin=subprocess.PIPE) as daemon:
        machine.add_real_process(daemon.pid)
        machine.install().succeeded(f"kill {daemon.pid}\n")
        assert daemon.stdin
        daemon.stdin.close()
    assert "daemon" not in machine.install().succeeded().err


def test_a_clone_of_the_daemon(machine: Machine) -> None:
    clone = machine.home / "klipper-router"
    (clone / "src").mkdir(parents=True)
    (clone / "src/klipper_router.py").touch()
    machine.install().succeeded(
        f"{clone} is the clone of the old router daemon; this project is in"
    )
    # install.sh itself in the daemon's clone
    shutil.rmtree(machine.source)
    (machine.project / "src").mkdir()
    (machine.project / "src/klipper_router.py").touch()
    machine.refuses(saying="clone this project into another folder, such as ~/klipper-router-extra")


def test_update_manager_of_the_daemon(machine: Machine) -> None:
    conf = machine.add_instance("printer_data") / "config/moonraker.conf"
    conf.write_text(
        "[update_manager klipper-router]\npath: ~/klipper-router\n\n[server]\npath: x\n"
    )
    machine.install("--update-manager").succeeded(
        f"in {conf} is for {machine.home}/klipper-router, not for this copy: set its path to"
    )
    assert not list(conf.parent.glob("*.bak"))


def test_no_service_to_restart(machine: Machine) -> None:
    machine.refuses("--restart", saying="found no service of Klipper")
    machine.install().succeeded("restart Klipper's service")


def test_a_restart_that_fails(machine: Machine) -> None:
    machine.add_systemd("klipper.service", code=1)
    machine.install().succeeded()
    result = machine.install("--restart")
    assert result.code != 0
    assert "install.sh: 'systemctl restart klipper.service' failed" in result.err


@pytest.mark.parametrize(
    "state, refused",
    [
        ("printing", "has a print running or paused"),
        ("paused", "has a print running or paused"),
        ("hangs up", "does not say whether it is printing"),
        ("garbage", "does not say whether it is printing"),
        ("standby", ""),
        ("complete", ""),
        ("no print_stats", ""),
        ("error", ""),
    ],
)
def test_restart_never_during_a_print(
    machine: Machine, sockets: List[ApiSocket], state: str, refused: str
) -> None:
    log = machine.add_systemd("klipper.service")
    machine.add_instance("printer_data")
    path = machine.add_instance("printer_led_data") / "comms/klippy.sock"
    sockets.append(ApiSocket(path, state))
    if refused:
        machine.refuses("--restart", saying=refused)
        assert not log.exists()
    else:
        machine.install("--restart").succeeded()
        assert log.read_text() == "restart klipper.service\n"


def test_restart_asks_every_running_klippy(machine: Machine, sockets: List[ApiSocket]) -> None:
    log = machine.add_systemd("klipper.service")
    path = machine.folder / "klippy_uds"
    machine.add_process(9, "python3", f"{machine.tree}/klippy/klippy.py", "x.cfg", "-a", str(path))
    sockets.append(ApiSocket(path, "printing"))
    machine.install().succeeded()
    machine.refuses("--restart", saying=f"the printer at {path} has a print running")
    machine.refuses("--uninstall", "--restart", saying=f"the printer at {path} has a print running")
    assert not log.exists()


def test_restart_when_klippy_does_not_run(machine: Machine) -> None:
    log = machine.add_systemd("klipper.service")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(machine.add_instance("printer_data") / "comms/klippy.sock"))
    machine.install("--restart").succeeded()
    assert log.exists()


def test_restart_after_uninstall(machine: Machine) -> None:
    log = machine.add_systemd("klipper.service")
    config = machine.add_instance("printer_data") / "config/printer.cfg"
    machine.install().succeeded()
    config.write_text("[router]\n")
    machine.refuses("--uninstall", "--restart", saying=f"{config}:1:[router]")
    config.write_text("[printer]\n")
    machine.install("--uninstall", "--restart").succeeded()
    assert log.read_text() == "restart klipper.service\n"
    assert not machine.link.is_symlink()
