"""install.sh: installing, updating, removing, and every way it must refuse."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import configparser
import os
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

from .bench import AS_ROOT, NOBODY, ROOT, Bench, fingerprint, git, make_tree, sections

needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")
DAEMON_UNIT = (
    "ExecStart=/home/pi/klippy-env/bin/python /home/pi/klipper-router/src/klipper_router.py -c x"
)
PATTERNS = "/klippy/extras/router\n/klippy/plugins/router\n"


def test_shellcheck_has_nothing_to_say() -> None:
    shellcheck = shutil.which("shellcheck") or shutil.which(
        "shellcheck", path=os.path.dirname(sys.executable)
    )
    assert shellcheck, "shellcheck is not there: run tests/setup.sh dev"
    scripts = [ROOT / "install.sh", ROOT / "tests/install/get_busybox.sh"]
    done = subprocess.run([shellcheck, *scripts], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout


def test_readme_says_it_all(bench: Bench) -> None:
    text = (ROOT / "README.md").read_text()
    options = re.findall(r"^  (-\S+)", bench.install("--help").out, re.MULTILINE)
    assert len(options) == 10
    # Klipper's own words: test_real_klippers has them from the real ones
    for needed in [*options, "Section 'router' is not a valid config section", "-dirty"]:
        assert needed in text, f"README.md does not have {needed}"


# Installing and removing


def test_fresh_install(bench: Bench) -> None:
    bench.install().succeeded(f"link {bench.link} to {bench.source}", "restart Klipper's service")
    assert bench.is_installed()
    assert bench.exclude.read_text().endswith(PATTERNS + "# end of Klipper Router\n")


def test_install_is_run_from_anywhere_and_by_a_relative_path(bench: Bench) -> None:
    # also: ln -s must get an absolute target
    done = subprocess.run(
        [*bench.shell.command, "install.sh", "-k", "../klipper"],
        cwd=bench.project,
        env={"PATH": f"{bench.bin}:{bench.shell.path}", "HOME": "/nonexistent"},
        stdout=subprocess.PIPE,
    )
    assert done.returncode == 0
    assert bench.is_installed()


def test_second_install_changes_nothing(bench: Bench) -> None:
    bench.install().succeeded()
    before = fingerprint(bench.folder)
    again = bench.install().succeeded("already installed")
    assert fingerprint(bench.folder) == before
    assert "Done:" not in again.out
    assert not (bench.source / "router").is_symlink(), "ln -s put a link into the folder"


def test_second_install_repairs_what_is_missing(bench: Bench) -> None:
    bench.install().succeeded()
    git(bench.tree, "clean", "-fdx")  # Moonraker's hard recovery, as far as the link goes
    bench.exclude.unlink()
    bench.install().succeeded("link", "add the link to")
    assert bench.is_installed()


def test_update_that_adds_a_module_needs_no_second_install(bench: Bench) -> None:
    bench.install().succeeded()
    bench.push({"klippy_extras/router/brand_new.py": "VALUE = 42\n"})
    git(bench.project, "pull", "-q")
    assert (bench.link / "brand_new.py").read_text() == "VALUE = 42\n"
    assert bench.is_installed()


def test_uninstall_restores_every_byte(bench: Bench) -> None:
    before = fingerprint(bench.tree)
    bench.install().succeeded()
    bench.install("--uninstall").succeeded(f"remove {bench.link}")
    assert fingerprint(bench.tree) == before
    bench.install("--uninstall").succeeded("not installed")
    assert fingerprint(bench.tree) == before


@pytest.mark.parametrize(
    "content", ["", "*.orig\n", "*.orig", "*.orig\r\n", "\n\n", "*.orig\n\n", "caf\xe9", "a\\nb%s"]
)
def test_uninstall_restores_any_exclude_file(bench: Bench, content: str) -> None:
    bench.exclude.write_bytes(content.encode("latin-1"))
    bench.install().succeeded()
    assert bench.is_installed()
    bench.install("--uninstall").succeeded()
    assert bench.exclude.read_bytes() == content.encode("latin-1")


@pytest.mark.parametrize("missing", ["exclude", "folder"])
def test_uninstall_restores_a_missing_exclude_file(bench: Bench, missing: str) -> None:
    shutil.rmtree(bench.exclude.parent)
    if missing == "exclude":
        bench.exclude.parent.mkdir()
    before = fingerprint(bench.tree)
    bench.install().succeeded()
    assert bench.is_installed()
    bench.install("--uninstall").succeeded()
    assert fingerprint(bench.tree) == before


@pytest.mark.parametrize("content", [None, "*.orig\n", "*.orig"])
def test_uninstall_keeps_what_others_added_to_the_exclude_file(bench: Bench, content: str) -> None:
    if content is None:
        bench.exclude.unlink()
    else:
        bench.exclude.write_text(content)
    bench.install().succeeded()
    with open(bench.exclude, "a") as exclude:
        exclude.write("theirs\n")
    bench.install("--uninstall").succeeded()
    lines = bench.exclude.read_text().splitlines()
    assert lines == [*(content or "").split(), "theirs"]


def test_a_pattern_that_the_user_wrote_is_left_alone(bench: Bench) -> None:
    bench.exclude.write_text("klippy/extras/router\n")
    bench.install().succeeded()
    assert bench.is_installed()
    bench.install("--uninstall").succeeded()
    assert bench.exclude.read_text() == "klippy/extras/router\n"


def test_uninstall_leaves_what_is_not_ours(bench: Bench) -> None:
    bench.link.mkdir()
    before = fingerprint(bench.tree)
    bench.install("--uninstall").succeeded("not installed")
    assert fingerprint(bench.tree) == before


def test_dry_run_changes_nothing(bench: Bench) -> None:
    data = bench.instance("printer_data")
    (data / "config/moonraker.conf").write_text("[server]\n")
    everything = ["--dry-run", "--update-manager", "--write-config", str(data / "config/r.cfg")]
    before = fingerprint(bench.folder)
    result = bench.install(*everything).succeeded(
        f"Would link {bench.link} to {bench.source}",
        "Would add [update_manager klipper-router] to",
        "Would write",
    )
    assert "Done:" not in result.out
    assert fingerprint(bench.folder) == before
    bench.install().succeeded()
    before = fingerprint(bench.folder)
    bench.install("--dry-run", "--uninstall").succeeded(f"Would remove {bench.link}")
    assert fingerprint(bench.folder) == before


def test_dry_run_fails_where_the_real_one_would(bench: Bench) -> None:
    bench.link.mkdir()
    bench.fails("--dry-run", saying="not this Klipper Router")


def test_status(bench: Bench) -> None:
    bench.instance("printer_led_data", "[router main]\n")
    before = fingerprint(bench.folder)
    bench.install("--status").succeeded("Installed: no", f"{bench.tree} (Klipper")
    assert fingerprint(bench.folder) == before
    bench.install().succeeded()
    bench.install("--status").succeeded(
        f"Installed: {bench.link} -> {bench.source}, version {VERSION} (v0.1.0)",
        f"This copy: {bench.project}, version {VERSION} (v0.1.0)",
        f"Instance:  led (not running), {bench.home}/printer_led_data/comms/klippy.sock, ",
        f"{bench.home}/printer_led_data/config/printer.cfg:1:[router main]",
        str(bench.home / "klippy-env/bin/python"),
    )


def test_help_and_wrong_options(bench: Bench) -> None:
    bench.install("--help").succeeded("Usage: install.sh", "--update-manager [FILE]")
    for wrong in (["--instal"], ["klipper"], ["-k"], ["--write-config"], ["--host", ""]):
        bench.fails(*wrong, saying="see --help")


# The tree: which one, and whether it may be used


@pytest.mark.parametrize("named", ["-k", "KLIPPER_PATH"])
def test_wrong_path(bench: Bench, named: str) -> None:
    (bench.home / "not klipper/klippy").mkdir(parents=True)
    for path, saying in (("nowhere", "there is no"), ("not klipper", "is not a Klipper tree")):
        path = str(bench.home / path)
        if named == "-k":
            bench.fails("-k", path, saying=saying)
        else:
            bench.fails(saying=saying, env={"KLIPPER_PATH": path})


def test_no_klipper_at_all(bench: Bench) -> None:
    shutil.rmtree(bench.tree)
    bench.fails(saying="found no Klipper")
    bench.fails("--uninstall", saying="found no Klipper")
    bench.fails("--status", saying="found no Klipper")


def test_an_incomplete_clone(bench: Bench) -> None:
    shutil.rmtree(bench.source)
    bench.fails(saying="run install.sh in a whole clone")


def test_the_order_in_which_klipper_is_looked_for(bench: Bench) -> None:
    trees = {name: make_tree(bench.folder / name) for name in ("option", "variable", "runs")}
    runs = str(trees["runs"])
    bench.process(7, "/usr/bin/python3", f"{runs}/klippy/klippy.py", "printer.cfg")

    def tree_of(*arguments: str, **env: str) -> str:
        out = bench.install("--dry-run", *arguments, env=env).succeeded().out
        return out.split("/klippy/extras/router", 1)[0].replace("Would link ", "")

    variable = str(trees["variable"])
    assert tree_of("-k", str(trees["option"]), KLIPPER_PATH=variable) == str(trees["option"])
    assert tree_of(KLIPPER_PATH=variable) == variable
    assert tree_of() == str(bench.tree)
    bench.install("--dry-run").succeeded(f"is not the Klipper that runs now, see -k: {runs}")
    shutil.rmtree(bench.tree)
    assert tree_of() == runs


def test_running_klippys_are_recognised(bench: Bench) -> None:
    shutil.rmtree(bench.tree)
    tree = make_tree(bench.folder / "vendor's klipper")
    bench.process(1, "/sbin/init")
    bench.process(5, "/usr/bin/vim", f"{bench.folder}/other/klippy/klippy.py")
    bench.process(6)
    bench.process(8, "/usr/bin/python", "/usr/share/moonraker/moonraker.py", "/klippy_uds")
    bench.process(9, "python3", "klippy.py", "printer.cfg", cwd=tree / "klippy")
    bench.process(10, "/gone/python", "/gone/klippy/klippy.py")
    bench.install("--status").succeeded(f"Klipper:   {tree} (Klipper")
    second = make_tree(bench.folder / "second")
    bench.process(11, "python3", "-u", f"{second}/klippy/klippy.py", "-a", "/tmp/klippy_uds")
    bench.fails(saying=f"several Klippers run here, choose one: -k {second} {tree}")


def test_a_klippy_that_runs_as_a_package_is_found(bench: Bench) -> None:
    shutil.rmtree(bench.tree)
    tree = make_tree(bench.folder / "site-packages", kalico=True, checkout=False)
    (tree / "klippy/__init__.py").touch()
    bench.process(9, sys.executable, "-m", "klippy", "printer.cfg", cwd=tree)
    bench.install().succeeded("/site-packages/klippy/plugins/router")
    assert (tree / "klippy/plugins/router/__init__.py").is_file()


@pytest.mark.parametrize("what", ["router.py", "folder", "file", "link", "another copy"])
@pytest.mark.parametrize("tree", ["klipper", "kalico", "kalico extras"])
def test_an_unrelated_router_in_the_way(bench: Bench, what: str, tree: str) -> None:
    if tree != "klipper":
        bench.use_kalico()
    place = bench.tree / "klippy/extras/router" if tree == "kalico extras" else bench.link
    if what == "router.py":
        place = place.with_name("router.py")
        place.write_text("# somebody's\n")
    elif what == "folder":
        place.mkdir()
    elif what == "file":
        place.touch()
    else:
        other = bench.home / ("old/klippy_extras/router" if what == "another copy" else "mine")
        other.mkdir(parents=True)
        place.symlink_to(other)
    saying = {"folder": ", a folder", "link": f", a link to {bench.home}/mine"}.get(what, "")
    bench.fails(saying=f"found {place}{saying}, ")


def test_a_link_to_a_copy_that_is_gone_is_replaced(bench: Bench) -> None:
    bench.link.symlink_to("/home/gone/klipper-router/klippy_extras/router")
    bench.install().succeeded()
    assert bench.is_installed()


def test_another_dangling_link_is_not_ours(bench: Bench) -> None:
    bench.link.symlink_to("/home/gone/something/router")
    bench.fails(saying="a link to /home/gone/something/router")


def test_a_link_made_by_hand_over_a_detour_is_ours(bench: Bench) -> None:
    (bench.folder / "detour").symlink_to(bench.home)
    bench.link.symlink_to(bench.folder / "detour/klipper router/klippy_extras/router")
    bench.exclude.write_text("/klippy/extras/router\n")
    bench.install().succeeded("already installed")
    bench.install("--uninstall").succeeded("remove")
    assert not bench.link.is_symlink()


def test_kalico_gets_a_plugin(bench: Bench) -> None:
    bench.use_kalico()
    before = fingerprint(bench.tree)
    bench.install().succeeded("klippy/plugins/router")
    assert bench.is_installed()
    assert not (bench.tree / "klippy/extras/router").is_symlink()
    bench.install().succeeded("already installed")
    bench.install("--uninstall").succeeded()
    assert fingerprint(bench.tree) == before


@pytest.mark.parametrize("has_run", [False, True])
def test_a_checkout_that_becomes_kalico_and_klipper_again(bench: Bench, has_run: bool) -> None:
    bench.install().succeeded()
    extras, plugins = bench.tree / "klippy/extras", bench.tree / "klippy/plugins"
    git(bench.tree, "checkout", "-q", "-b", "kalico")
    plugins.mkdir()
    (plugins / "__init__.py").touch()
    git(bench.tree, "add", "-A")
    git(bench.tree, "commit", "-q", "-m", "Kalico")
    bench.install().succeeded(f"remove the link {extras}/router")
    assert (plugins / "router").is_symlink() and not (extras / "router").is_symlink()
    if has_run:
        (plugins / "__pycache__").mkdir()
    assert git(bench.tree, "status", "--porcelain") == ""
    git(bench.tree, "checkout", "-q", "-")
    bench.install().succeeded(f"remove the link {plugins}/router")
    assert bench.is_installed()
    assert plugins.exists() == has_run
    bench.install().succeeded("already installed")
    assert bench.exclude.read_text().count("/klippy/extras/router\n") == 1


def test_kalico_uninstall_clears_both_places(bench: Bench) -> None:
    bench.use_kalico()
    before = fingerprint(bench.tree)
    bench.link.symlink_to(bench.source)
    (bench.tree / "klippy/extras/router").symlink_to(bench.source)
    bench.install("--uninstall").succeeded()
    assert fingerprint(bench.tree) == before


@pytest.mark.parametrize("form", ["worktree", "submodule", "no git"])
def test_other_forms_of_a_checkout(bench: Bench, form: str) -> None:
    if form == "worktree":
        bench.tree = bench.folder / "work-tree"
        git(bench.home / "klipper", "worktree", "add", "-q", str(bench.tree))
    elif form == "submodule":
        above = make_tree(bench.folder / "above")
        git(above, "submodule", "add", "-q", str(bench.tree), "klipper")
        git(above, "commit", "-q", "-m", "Klipper below")
        bench.tree = above / "klipper"
    else:
        (bench.bin / "git").unlink()
    bench.link = bench.tree / "klippy/extras/router"
    before = fingerprint(bench.folder)
    bench.install("-k", str(bench.tree)).succeeded()
    assert bench.is_installed()
    bench.install("-k", str(bench.tree), "--uninstall").succeeded()
    assert fingerprint(bench.folder) == before


def test_a_tree_without_git_inside_another_checkout(bench: Bench) -> None:
    # A package in a virtual environment inside some repository: that one's exclude is not ours
    tree = make_tree(bench.tree / "env/site-packages", kalico=True, checkout=False)
    before = bench.exclude.read_bytes()
    bench.install("-k", str(tree)).succeeded()
    bench.install("-k", str(tree), "--status").succeeded("(Kalico, no git checkout, ")
    assert (tree / "klippy/plugins/router/__init__.py").is_file()
    assert bench.exclude.read_bytes() == before


@pytest.mark.parametrize("version", ["2.7", "3.5", "3.7"])
def test_an_old_python(bench: Bench, version: str) -> None:
    bench.set_python(version)
    bench.fails(saying=f"is Python {version} and Klipper Router needs 3.8 or later")


@pytest.mark.parametrize("version", ["3.8", "3.13", "4.0"])
def test_a_python_new_enough(bench: Bench, version: str) -> None:
    bench.set_python(version)
    bench.install().succeeded()


def test_a_broken_python(bench: Bench) -> None:
    bench.program(bench.home / "klippy-env/bin/python", "exit 127\n")
    bench.fails(saying="does not run")


def test_no_python_to_ask(bench: Bench) -> None:
    shutil.rmtree(bench.home / "klippy-env")
    bench.install().succeeded("found no klippy-env")
    assert bench.is_installed()


def test_the_running_python_counts_before_any_other(bench: Bench) -> None:
    bench.set_python("3.7")
    python = bench.program(bench.folder / "share/python3", "echo 3.9\n")
    bench.process(3, str(python), f"{bench.tree}/klippy/klippy.py", "printer.cfg")
    bench.install().succeeded()


# Users


@needs_root
def test_the_ordinary_user_installs_and_removes(bench: Bench) -> None:
    bench.hand_to(NOBODY)
    before = fingerprint(bench.tree)
    bench.install(user=NOBODY).succeeded()
    assert bench.is_installed()
    assert bench.link.lstat().st_uid == NOBODY
    bench.install("--uninstall", user=NOBODY).succeeded()
    assert fingerprint(bench.tree) == before


@needs_root
@pytest.mark.parametrize("read_only", ["extras", "exclude", "info"])
def test_a_read_only_tree(bench: Bench, read_only: str) -> None:
    bench.hand_to(NOBODY)
    if read_only == "extras":
        path = bench.link.parent
    elif read_only == "exclude":
        path = bench.exclude
    else:
        bench.exclude.unlink()
        path = bench.exclude.parent
    path.chmod(0o555)
    bench.fails(user=NOBODY, saying=f"{path} belongs to nobody and cannot be written by nobody")


@needs_root
def test_a_tree_of_another_user(bench: Bench) -> None:
    bench.hand_to(NOBODY)
    bench.hand_to(0, bench.tree)
    bench.fails(user=NOBODY, saying="belongs to root and cannot be written by nobody")


@needs_root
def test_root_does_not_work_in_the_tree_of_a_user(bench: Bench) -> None:
    bench.hand_to(NOBODY)
    bench.fails(saying="belongs to nobody: run install.sh as nobody, without sudo")
    before = fingerprint(bench.folder)
    bench.exclude.unlink()
    bench.install("--allow-root").succeeded()
    assert bench.is_installed()
    for path in bench.home.rglob("*"):
        assert path.lstat().st_uid == NOBODY, path
    bench.fails("--uninstall", saying="without sudo")
    bench.install("--allow-root", "--uninstall").succeeded()
    after = fingerprint(bench.folder)
    assert {name for name in before if before[name] != after.get(name)} == {
        "my home/klipper/.git/info/exclude"
    }


@needs_root
@pytest.mark.parametrize("owner", [0, 54321])
def test_root_works_on_a_firmware_that_has_only_root(bench: Bench, owner: int) -> None:
    bench.hand_to(owner)
    bench.install().succeeded()
    assert bench.is_installed()
    assert bench.link.lstat().st_uid == owner


@needs_root
def test_root_does_not_write_into_the_config_of_a_user(bench: Bench) -> None:
    data = bench.instance("printer_data")
    (data / "config/moonraker.conf").write_text("[server]\n")
    bench.hand_to(NOBODY, data)
    bench.fails("--write-config", str(data / "config/router.cfg"), saying="belongs to nobody")
    bench.fails("--update-manager", saying="belongs to nobody")
    bench.install(
        "--allow-root", "--write-config", str(data / "config/router.cfg"), "--update-manager"
    ).succeeded()
    assert {path.stat().st_uid for path in data.rglob("*")} == {NOBODY}


# Moonraker


def update_manager(conf: Path) -> configparser.SectionProxy:
    """The section that Moonraker would read."""
    return sections(conf.read_text())["update_manager klipper-router"]


@pytest.mark.parametrize("content", ["[server]\nport: 7125\n", "[server]\nport: 7125", ""])
def test_update_manager(bench: Bench, content: str) -> None:
    conf = bench.instance("printer_data") / "config/moonraker.conf"
    conf.write_text(content)
    conf.chmod(0o640)
    result = bench.install("--update-manager").succeeded("Restart Moonraker")
    assert bench.is_installed() and "service (RESTART" in result.out
    assert dict(update_manager(conf)) == {
        "type": "git_repo",
        "path": str(bench.project),
        "origin": git(bench.project, "remote", "get-url", "origin").strip(),
        "primary_branch": "main",
        "managed_services": "klipper",
    }
    assert conf.read_text().startswith(content)
    (copy,) = conf.parent.glob("moonraker.conf.*.bak")
    assert copy.read_text() == content
    assert copy.stat().st_mode == conf.stat().st_mode

    before = fingerprint(bench.folder)
    bench.install("--update-manager").succeeded("already installed", "already has Klipper Router")
    assert fingerprint(bench.folder) == before
    bench.install("--status").succeeded(f"Updates:   {conf}")
    (conf.parent / "moonraker.conf.bak").write_text("somebody's")
    done = bench.install("--uninstall").succeeded("[update_manager klipper-router] out of")
    assert conf.read_text() == content
    left = [line for line in done.out.splitlines() if line.startswith("Left here, delete it")]
    copies = sorted(conf.parent.glob("moonraker.conf.*.bak*"))
    assert [Path(line.split(": ")[1]) for line in left] == copies
    assert len(copies) == 2


def test_update_manager_in_a_file_given(bench: Bench) -> None:
    bench.instance("printer_data").joinpath("config/moonraker.conf").write_text("[server]\n")
    conf = bench.home / "my moonraker.conf"
    conf.write_text("[server]\n")
    bench.install("--update-manager", str(conf), "--dry-run").succeeded(f"to {conf}")
    bench.install("--update-manager", str(conf)).succeeded()
    assert update_manager(conf)["type"] == "git_repo"
    assert "update_manager" not in (bench.home / "printer_data/config/moonraker.conf").read_text()


def test_update_manager_in_the_hosts_file(bench: Bench) -> None:
    for data in ("printer_data", "printer_led_data"):
        bench.instance(data).joinpath("config/moonraker.conf").write_text("[server]\n")
    bench.install("--update-manager", "--host", "led").succeeded()
    assert update_manager(bench.home / "printer_led_data/config/moonraker.conf")


def test_update_manager_that_another_file_has_already(bench: Bench) -> None:
    config = bench.instance("printer_data") / "config"
    (config / "moonraker.conf").write_text("[include updates.conf]\n")
    (config / "updates.conf").write_text(
        f"[update_manager klipper-router]\npath: {bench.project}\n"
    )
    before = fingerprint(config)
    bench.install("--update-manager").succeeded("already has Klipper Router")
    bench.install("--uninstall").succeeded()
    assert fingerprint(config) == before


def test_update_manager_needs_a_file_and_an_origin(bench: Bench) -> None:
    data = bench.instance("printer_data")
    bench.fails("--update-manager", saying=f"there is no {data}/config/moonraker.conf")
    (data / "config/moonraker.conf").write_text("[server]\n")
    git(bench.project, "remote", "remove", "origin")
    bench.fails("--update-manager", saying="Moonraker cannot update it")


# Restarting


class ApiSocket:
    """Answers objects/query on a socket as Klippy does, with this state of print_stats."""

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


def test_nothing_restarts_without_being_asked(bench: Bench) -> None:
    log = bench.systemd("klipper.service")
    result = bench.install().succeeded("systemctl restart klipper.service\n")
    assert ("sudo " in result.out) == (not AS_ROOT)
    bench.install("--uninstall").succeeded()
    assert not log.exists()


@needs_root
def test_the_ordinary_user_is_told_of_sudo(bench: Bench) -> None:
    bench.systemd("klipper.service")
    bench.hand_to(NOBODY)
    bench.install(user=NOBODY).succeeded("\nsudo systemctl restart klipper.service\n")


def test_restart_with_systemd(bench: Bench) -> None:
    other = "ExecStart=/usr/bin/other --config klipper.cfg"
    units = {
        "klipper-mcu.service": "ExecStart=/usr/local/bin/klipper_mcu -r",
        "klipper-router.service": DAEMON_UNIT,
        "klipper_exporter.service": other,
        "klipper-estimator.service": other,
        "klipper-router-tunnel@x.service": "ExecStart=/usr/bin/ssh -L a.sock:b.sock printer",
    }
    log = bench.systemd("klipper.service", "klipper-led.service", *units, units=units)
    bench.program(bench.root / "etc/init.d/klipper", "exit 1\n")
    bench.install("--dry-run", "--restart").succeeded("Would run systemctl restart klipper.service")
    assert not log.exists()
    result = bench.install("--restart").succeeded("Done: systemctl restart klipper-led.service")
    assert log.read_text() == "restart klipper.service\nrestart klipper-led.service\n"
    assert "RESTART does not" not in result.out
    bench.install("--restart").succeeded("already installed", "Done: systemctl restart")


def test_restart_without_systemd(bench: Bench) -> None:
    log = bench.folder / "log"
    others = ("S57klipper_mcu", "S99klipperScreen", "S10network", "S99klipper-router")
    off = ("K55klipper_service", "S55klipper_service.bak")
    for name in ("S55klipper_service", "S98klipper-router-instances", *others, *off):
        bench.program(bench.root / "etc/init.d" / name, f'echo {name} "$@" >> "{log}"\n')
    result = bench.install().succeeded(f"{bench.root}/etc/init.d/S55klipper_service restart")
    assert "S99klipper-router restart" not in result.out
    assert not log.exists()
    bench.install("--restart").succeeded("Done:")
    assert log.read_text() == "S55klipper_service restart\nS98klipper-router-instances restart\n"


# The old daemon: klipper-router.service, S99klipper-router, ~/klipper-router


def test_the_running_daemon_is_noticed(bench: Bench) -> None:
    log = bench.systemd(
        "klipper.service", "klipper-router.service", units={"klipper-router.service": DAEMON_UNIT}
    )
    bench.process(7, "/usr/bin/vim", "/home/pi/klipper-router/src/klipper_router.py")
    assert "daemon" not in bench.install().succeeded().err
    bench.process(8, "/usr/bin/python3", "/home/pi/klipper-router/src/klipper_router.py", "-c", "x")
    result = bench.install().succeeded("daemon is running (process 8)", "disable it: kill 8")
    assert "restart klipper-router" not in result.out + result.err
    bench.wanted("klipper-router.service")
    sudo = "" if AS_ROOT else "sudo "
    stop = f"Stop and disable it: {sudo}systemctl disable --now klipper-router.service\n"
    bench.install().succeeded(stop)
    bench.install("--status").succeeded("Daemon:    the old router daemon is running (process 8)")
    bench.fails("--restart", saying="the old router daemon is running")
    bench.install("--uninstall", "--restart").succeeded()
    assert log.read_text() == "restart klipper.service\n"


def test_the_daemon_of_a_firmware_is_noticed(bench: Bench) -> None:
    script = bench.program(bench.root / "etc/init.d/S99klipper-router", "exit 1\n")
    bench.program(bench.root / "etc/init.d/S98klipper-router-instances", "klippy.py\n")
    sudo = "" if AS_ROOT else "sudo "
    way = f"{sudo}{script} stop; {sudo}chmod -x {script}"
    bench.install().succeeded(
        f"starts with the machine, and with both every call runs twice. Disable it: {way}\n"
    )
    bench.process(8, "/usr/bin/python3", "--", "/usr/local/sbin/klipper-routerd", "-c", "x.cfg")
    bench.install().succeeded(
        f"is running (process 8), and with both every call runs twice. Stop and disable it: {way}\n"
    )
    script.chmod(0o644)
    bench.install().succeeded("Stop and disable it: kill 8\n")


def test_a_daemon_that_is_disabled_is_no_matter(bench: Bench) -> None:
    bench.systemd("klipper-router.service", units={"klipper-router.service": DAEMON_UNIT})
    bench.program(bench.root / "etc/init.d/K99klipper-router", "exit 1\n")
    assert "daemon" not in bench.install().succeeded().err


def test_a_real_process_of_the_daemon(bench: Bench) -> None:
    program = bench.folder / "src/klipper_router.py"
    program.parent.mkdir()
    program.write_text("import sys\nsys.stdin.read()\n")
    with subprocess.Popen([sys.executable, program, "-c", "x"], stdin=subprocess.PIPE) as daemon:
        (bench.root / f"proc/{daemon.pid}").symlink_to(f"/proc/{daemon.pid}")
        bench.install().succeeded(f"kill {daemon.pid}\n")
        assert daemon.stdin
        daemon.stdin.close()
    assert "daemon" not in bench.install().succeeded().err


def test_a_clone_of_the_daemon(bench: Bench) -> None:
    clone = bench.home / "klipper-router"
    (clone / "src").mkdir(parents=True)
    (clone / "src/klipper_router.py").touch()
    bench.install().succeeded(f"{clone} is the old router daemon's, not this project, which is in")
    # Cloned over it, or only install.sh copied there
    shutil.rmtree(bench.source)
    (bench.project / "src").mkdir()
    (bench.project / "src/klipper_router.py").touch()
    bench.fails(saying="clone this project into another folder, ~/klipper-router-extra")


def test_update_manager_of_the_daemon(bench: Bench) -> None:
    conf = bench.instance("printer_data") / "config/moonraker.conf"
    conf.write_text(
        "[update_manager klipper-router]\npath: ~/klipper-router\n\n[server]\npath: x\n"
    )
    bench.install("--update-manager").succeeded(
        f"in {conf} is for {bench.home}/klipper-router, not for this copy: set its path to"
    )
    assert not list(conf.parent.glob("*.bak"))


def test_no_service_to_restart(bench: Bench) -> None:
    bench.fails("--restart", saying="found no service of Klipper")
    bench.install().succeeded("restart Klipper's service")


def test_a_restart_that_fails(bench: Bench) -> None:
    bench.systemd("klipper.service", code=1)
    bench.install().succeeded()
    result = bench.install("--restart")
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
    bench: Bench, sockets: List[ApiSocket], state: str, refused: str
) -> None:
    log = bench.systemd("klipper.service")
    bench.instance("printer_data")
    path = bench.instance("printer_led_data") / "comms/klippy.sock"
    sockets.append(ApiSocket(path, state))
    if refused:
        bench.fails("--restart", saying=refused)
        assert not log.exists()
    else:
        bench.install("--restart").succeeded()
        assert log.read_text() == "restart klipper.service\n"


def test_restart_asks_every_klippy_that_runs(bench: Bench, sockets: List[ApiSocket]) -> None:
    log = bench.systemd("klipper.service")
    path = bench.folder / "klippy_uds"
    bench.process(9, "python3", f"{bench.tree}/klippy/klippy.py", "x.cfg", "-a", str(path))
    sockets.append(ApiSocket(path, "printing"))
    bench.install().succeeded()
    bench.fails("--restart", saying=f"the printer at {path} has a print running")
    bench.fails("--uninstall", "--restart", saying=f"the printer at {path} has a print running")
    assert not log.exists()


def test_restart_when_klippy_is_off(bench: Bench) -> None:
    log = bench.systemd("klipper.service")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(bench.instance("printer_data") / "comms/klippy.sock"))
    bench.install("--restart").succeeded()
    assert log.exists()


def test_restart_after_uninstall(bench: Bench) -> None:
    log = bench.systemd("klipper.service")
    config = bench.instance("printer_data") / "config/printer.cfg"
    bench.install().succeeded()
    config.write_text("[router]\n")
    bench.fails("--uninstall", "--restart", saying=f"{config}:1:[router]")
    config.write_text("[printer]\n")
    bench.install("--uninstall", "--restart").succeeded()
    assert log.read_text() == "restart klipper.service\n"
    assert not bench.link.is_symlink()
