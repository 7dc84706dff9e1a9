"""A simulated machine for install.sh: its home folder, Klipper, processes and services."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import configparser
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
AS_ROOT = os.getuid() == 0
needs_root = pytest.mark.skipif(not AS_ROOT, reason="only root can become another user")


@dataclass(frozen=True)
class Shell:
    """A shell, and the PATH of a machine that has it."""

    name: str
    command: List[str]
    path: str


@dataclass(frozen=True)
class Result:
    """The exit code and output of one run of install.sh."""

    code: int
    out: str
    err: str

    def succeeded(self, *texts: str) -> "Result":
        """Check that it succeeded and printed these texts."""
        assert self.code == 0, self.err + self.out
        for text in texts:
            assert text in self.out + self.err, self.out + self.err
        return self

    def main_sections(self) -> str:
        """The sections for the main printer's config that it printed."""
        return re.split(r"^Add this .*:$|^When no print", self.out, flags=re.MULTILINE)[1]

    def failed(self, *texts: str) -> None:
        """Check that it failed with a single sentence that contains these texts."""
        assert self.code != 0, self.out
        assert self.out == ""
        assert self.err.startswith("install.sh: ") and self.err.count("\n") == 1, self.err
        for text in texts:
            assert text in self.err, self.err


class Machine:
    """A home folder with the project, Klipper and klippy-env, and a /proc, /etc and /run.

    HOME/klipper router is the clone of the project, HOME/klipper the Klipper tree.
    """

    def __init__(self, folder: Path, shell: Shell, template: Path, home: str) -> None:
        """template: a folder that holds `home` and `kalico`, see conftest.py."""
        self.folder = folder
        self.shell = shell
        self.template = template
        self.home = folder / home
        self.sysroot = folder / "root"
        self.bin = folder / "bin"
        for path in (self.sysroot / "proc", self.bin):
            path.mkdir(parents=True)
        copy_folder(template / "home", self.home)
        self.project = self.home / "klipper router"
        self.source = self.project / "klippy_extras/router"
        self.tree = self.home / "klipper"
        self.link = self.tree / "klippy/extras/router"
        self.exclude = self.tree / ".git/info/exclude"
        self.add_to_path("git")
        self.set_python("3.8")

    # Setting it up

    def add_to_path(self, name: str) -> None:
        """Offer a program of the real machine on its PATH."""
        program = shutil.which(name)
        assert program, f"{name} is not installed"
        (self.bin / name).symlink_to(program)

    def write_program(self, path: Path, text: str) -> Path:
        """Write an executable shell script."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return path

    def set_python(self, version: str) -> Path:
        """Make the Python of klippy-env report this version; everything else it runs as usual."""
        return self.write_program(
            self.home / "klippy-env/bin/python",
            f"case $2 in *version_info*) echo {version} ;;"
            f' *) exec "{sys.executable}" "$@" ;; esac\n',
        )

    def use_kalico(self) -> None:
        """Replace HOME/klipper with Kalico."""
        shutil.rmtree(self.tree)
        copy_folder(self.template / "kalico", self.tree)
        self.link = self.tree / "klippy/plugins/router"

    def add_instance(self, data: str, config: str = "[printer]\n") -> Path:
        """Make the data folder HOME/DATA of an instance; returns it."""
        folder = self.home / data
        (folder / "config").mkdir(parents=True)
        (folder / "comms").mkdir()
        (folder / "config/printer.cfg").write_text(config)
        return folder

    def add_process(self, pid: int, *arguments: str, cwd: Optional[Path] = None) -> None:
        """Simulate a process with these arguments."""
        folder = self.sysroot / "proc" / str(pid)
        folder.mkdir()
        (folder / "cmdline").write_bytes(b"".join(a.encode() + b"\0" for a in arguments))
        (folder / "cwd").symlink_to(cwd or "/")

    def add_real_process(self, pid: int) -> None:
        """Show a process of the real machine, too."""
        (self.sysroot / f"proc/{pid}").symlink_to(f"/proc/{pid}")

    def add_systemd(
        self, *services: str, code: int = 0, units: Optional[Dict[str, str]] = None
    ) -> Path:
        """Simulate systemd with these services; returns the log of its commands.

        code: the exit code of those commands. units: {service: the lines of its unit}; a service
        that is not in it runs Klippy.
        """
        (self.sysroot / "run/systemd/system").mkdir(parents=True)
        folder = self.sysroot / "etc/systemd/system"
        folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "systemctl.log"
        listed = "".join(f"echo '{name} loaded active running Klipper'\n" for name in services)
        for name in services:
            text = (units or {}).get(name, "ExecStart=/env/bin/python $KLIPPER_ARGS")
            (folder / name).write_text(f"[Service]\n{text}\n")
        self.write_program(
            self.bin / "systemctl",
            f'case $1 in\nlist-units)\n{listed};;\ncat) cat "{folder}/$2" ;;\n'
            f'*) echo "$*" >> "{log}"\nexit {code} ;;\nesac\n',
        )
        return log

    def enable(self, service: str) -> None:
        """Enable a service of add_systemd()."""
        wants = self.sysroot / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / service).symlink_to(f"../{service}")

    # Running install.sh

    def install(
        self,
        *arguments: str,
        user: Optional[int] = None,
        cwd: Optional[Path] = None,
        env: Optional[Dict[str, str]] = None,
    ) -> Result:
        """Run install.sh; user: the ID of another user, which only root can become."""
        variables = {
            "PATH": f"{self.bin}:{self.shell.path}",
            "HOME": str(self.home),
            "ROUTER_INSTALL_ROOT": str(self.sysroot),
            **(env or {}),
        }
        as_user: Dict[str, Any] = {}
        if user is not None:
            as_user = {"user": user, "group": user, "extra_groups": []}
        done = subprocess.run(
            [*self.shell.command, str(self.project / "install.sh"), *arguments],
            env=variables,
            cwd=cwd or self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            **as_user,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def refuses(
        self,
        *arguments: str,
        saying: str,
        user: Optional[int] = None,
        env: Optional[Dict[str, str]] = None,
    ) -> None:
        """Check that it fails with one sentence that contains `saying`, and changes nothing."""
        before = fingerprint(self.home)
        self.install(*arguments, user=user, env=env).failed(saying)
        assert fingerprint(self.home) == before

    def give_to(self, user: int, *paths: Path) -> None:
        """Make a user ID the owner of these paths and everything in them; without paths, HOME."""
        subprocess.run(["chown", "-hR", f"{user}:{user}", *(paths or (self.home,))], check=True)

    def push_update(self, files: Dict[str, str]) -> None:
        """Commit these files to the project's origin, for the clone to pull."""
        origin = self.folder / "origin"
        git(self.folder, "clone", "-q", str(self.project), str(origin))
        for name, text in files.items():
            (origin / name).write_text(text)
        git(origin, "add", "-A")
        git(origin, "commit", "-q", "-m", "Update")
        git(self.project, "remote", "set-url", "origin", str(origin))

    def is_installed(self, checkout: bool = True) -> bool:
        """Check that the link leads to our clone and, in a checkout, that git does not list it."""
        assert os.readlink(self.link) == str(self.source)
        assert (self.link / "__init__.py").is_file()
        if checkout:
            assert git(self.tree, "--no-optional-locks", "status", "--porcelain") == ""
        return True


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder with its modes and links; several times as fast as shutil.copytree."""
    subprocess.run(["cp", "-a", source, target], check=True)


def make_tree(path: Path, kalico: bool = False, checkout: bool = True) -> Path:
    """Make the few files by which install.sh recognises Klipper or Kalico."""
    (path / "klippy/extras").mkdir(parents=True)
    (path / "klippy/extras/__init__.py").touch()
    loader = path / "klippy/klippy.py"
    loader.write_text("from klippy.printer import main\n" if kalico else "'extras.'\n")
    if kalico:
        (path / "klippy/printer.py").write_text("'extras' 'plugins'\n")
        (path / "klippy/plugins").mkdir()
        (path / "klippy/plugins/__init__.py").touch()
    if checkout:
        make_repository(path)
    return path


def make_repository(path: Path) -> None:
    """Commit everything in a folder, in a repository of its own."""
    git(path, "init", "-q", "-b", "main", "--template=")
    (path / ".git/info").mkdir()
    (path / ".git/info/exclude").write_text("# Patterns of files that git ignores\n")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "Everything")


def git(folder: Path, *arguments: str) -> str:
    """Run git with a fixed identity and without the user's configuration; returns its output."""
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_AUTHOR_NAME": "Somebody",
            "GIT_AUTHOR_EMAIL": "somebody@example.com",
            "GIT_COMMITTER_NAME": "Somebody",
            "GIT_COMMITTER_EMAIL": "somebody@example.com",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sections(text: str) -> configparser.RawConfigParser:
    """Parse a config as Klipper does."""
    parser = configparser.RawConfigParser(strict=True)
    parser.read_string(text)
    return parser


def fingerprint(folder: Path) -> Dict[str, str]:
    """{path: mode, owner and content} of everything in a folder.

    Without git's index, which git rewrites when it reads the folder.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        status = path.lstat()
        what = f"{stat.filemode(status.st_mode)} {status.st_uid} "
        if path.is_symlink():
            what += os.readlink(path)
        elif path.is_file() and path.name != "index":
            what += sha256(path.read_bytes()).hexdigest()
        found[name] = what
    return found
