"""A HOME of its own for install.sh: clone of the project, Klipper tree, instances, services."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import configparser
import os
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Dict, List, Optional

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
AS_ROOT = os.getuid() == 0


@dataclass(frozen=True)
class Shell:
    """A shell and the PATH of the machine it stands for."""

    name: str
    command: List[str]
    path: str


@dataclass(frozen=True)
class Result:
    """What a run of install.sh said and left."""

    code: int
    out: str
    err: str

    def succeeded(self, *texts: str) -> "Result":
        """It ended well and printed these texts."""
        assert self.code == 0, self.err + self.out
        for text in texts:
            assert text in self.out + self.err, self.out + self.err
        return self

    def failed(self, *texts: str) -> None:
        """It failed with one sentence, which has these texts."""
        assert self.code != 0, self.out
        assert self.out == ""
        assert self.err.startswith("install.sh: ") and self.err.count("\n") == 1, self.err
        for text in texts:
            assert text in self.err, self.err


class Bench:
    """HOME/klipper router is the clone, HOME/klipper the tree, HOME/klippy-env its Python.

    HOME has a space in it.
    """

    def __init__(self, folder: Path, shell: Shell, template: Path) -> None:
        self.folder = folder
        self.shell = shell
        self.home = folder / "my home"
        self.root = folder / "root"
        self.bin = folder / "bin"
        for path in (self.root / "proc", self.bin):
            path.mkdir(parents=True)
        shutil.copytree(template, self.home, symlinks=True)
        self.project = self.home / "klipper router"
        self.source = self.project / "klippy_extras/router"
        self.tree = self.home / "klipper"
        self.link = self.tree / "klippy/extras/router"
        self.exclude = self.tree / ".git/info/exclude"
        self.provide("git")
        self.set_python("3.8")

    # What there is on the machine

    def provide(self, name: str) -> None:
        """Put a program of this machine on the PATH of the bench."""
        program = shutil.which(name)
        assert program, f"{name} is not there"
        (self.bin / name).symlink_to(program)

    def program(self, path: Path, text: str) -> Path:
        """Write a program in sh."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return path

    def set_python(self, version: str) -> Path:
        """Make the Python of klippy-env say this version; any other program of it runs as is."""
        return self.program(
            self.home / "klippy-env/bin/python",
            f"case $2 in *version_info*) echo {version} ;;"
            f' *) exec "{sys.executable}" "$@" ;; esac\n',
        )

    def use_kalico(self) -> None:
        """Make HOME/klipper a Kalico."""
        shutil.rmtree(self.tree)
        make_tree(self.tree, kalico=True)
        self.link = self.tree / "klippy/plugins/router"

    def instance(self, data: str, config: str = "[printer]\n") -> Path:
        """Make HOME/DATA with a printer.cfg."""
        folder = self.home / data
        (folder / "config").mkdir(parents=True)
        (folder / "comms").mkdir()
        (folder / "config/printer.cfg").write_text(config)
        return folder

    def process(self, pid: int, *arguments: str, cwd: Optional[Path] = None) -> None:
        """A process as /proc shows it."""
        folder = self.root / "proc" / str(pid)
        folder.mkdir()
        (folder / "cmdline").write_bytes(b"".join(a.encode() + b"\0" for a in arguments))
        (folder / "cwd").symlink_to(cwd or "/")

    def systemd(
        self, *services: str, code: int = 0, units: Optional[Dict[str, str]] = None
    ) -> Path:
        """A systemd with these services; returns the log of what it was told.

        units: {service: the lines of its unit}; of the others, an ExecStart that its name suggests.
        """
        (self.root / "run/systemd/system").mkdir(parents=True)
        folder = self.root / "etc/systemd/system"
        folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / "systemctl.log"
        listed = "".join(f"echo '{name} loaded active running Klipper'\n" for name in services)
        for name in services:
            text = (units or {}).get(name, "ExecStart=/env/bin/python $KLIPPER_ARGS")
            (folder / name).write_text(f"[Service]\n{text}\n")
        self.program(
            self.bin / "systemctl",
            f'case $1 in\nlist-units)\n{listed};;\ncat) cat "{folder}/$2" ;;\n'
            f'*) echo "$*" >> "{log}"\nexit {code} ;;\nesac\n',
        )
        return log

    def wanted(self, service: str) -> None:
        """Enable a service of systemd()."""
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
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
        """Run install.sh, as another user if wanted (which takes root)."""
        variables = {
            "PATH": f"{self.bin}:{self.shell.path}",
            "HOME": str(self.home),
            "ROUTER_INSTALL_ROOT": str(self.root),
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

    def fails(
        self,
        *arguments: str,
        saying: str,
        user: Optional[int] = None,
        env: Optional[Dict[str, str]] = None,
    ) -> None:
        """It fails with one sentence that has `saying`, and changes nothing in HOME."""
        before = fingerprint(self.home)
        self.install(*arguments, user=user, env=env).failed(saying)
        assert fingerprint(self.home) == before

    def hand_to(self, user: int, *paths: Path) -> None:
        """Give these and all in them to a user; without paths, HOME."""
        subprocess.run(["chown", "-hR", f"{user}:{user}", *(paths or (self.home,))], check=True)

    def push(self, files: Dict[str, str]) -> None:
        """Give the project another commit, with these files, for the clone to pull."""
        origin = self.folder / "origin"
        git(self.folder, "clone", "-q", str(self.project), str(origin))
        for name, text in files.items():
            (origin / name).write_text(text)
        git(origin, "add", "-A")
        git(origin, "commit", "-q", "-m", "Update")
        git(self.project, "remote", "set-url", "origin", str(origin))

    def is_installed(self, checkout: bool = True) -> bool:
        """The link is there, leads to our clone, and git has nothing to say about it."""
        assert os.readlink(self.link) == str(self.source)
        assert (self.link / "__init__.py").is_file()
        if checkout:
            assert git(self.tree, "--no-optional-locks", "status", "--porcelain") == ""
        return True


def make_tree(path: Path, kalico: bool = False, checkout: bool = True) -> Path:
    """A stand-in for Klipper or Kalico, with what tells the one from the other."""
    (path / "klippy/extras").mkdir(parents=True)
    (path / "klippy/extras/__init__.py").touch()
    loader = path / "klippy/klippy.py"
    loader.write_text("from klippy.printer import main\n" if kalico else "'extras.'\n")
    if kalico:
        (path / "klippy/printer.py").write_text("'extras' 'plugins'\n")
        (path / "klippy/plugins").mkdir()
        (path / "klippy/plugins/__init__.py").touch()
    if checkout:
        git(path, "init", "-q")
        shutil.rmtree(path / ".git/hooks", ignore_errors=True)  # samples: many files to copy
        git(path, "add", "-A")
        git(path, "commit", "-q", "-m", "Klipper")
    return path


def git(folder: Path, *arguments: str) -> str:
    """Run git with a fixed identity and no configuration of the person's."""
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
    """What a Klipper would read."""
    parser = configparser.RawConfigParser(strict=True)
    parser.read_string(text)
    return parser


def fingerprint(folder: Path) -> Dict[str, str]:
    """Everything in a folder, byte for byte; not git's index, which reading renews."""
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
