"""An sshd on loopback, and the tunnel of examples/remote_host/ through it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import pwd
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from . import processes
from .closing import Closing
from .klippers import CACHE, ROOT
from .printer import LabPrinter
from .waiting import wait_until

UNIT = ROOT / "examples/remote_host/klipper-router-tunnel@.service"
GET_SSHD = ("tests/lab/get_program.sh", "sshd")
OTHER_USER = "nobody"
# What the guide in examples/README.md has before the key in authorized_keys
RESTRICTIONS = 'restrict,port-forwarding,command="/bin/false"'
# Without PAM a locked account cannot log in; with it, it depends on the configuration of PAM
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM {pam}
"""


class NoSshd(LookupError):
    """There is no sshd that can be used here. str(): why, and what to do."""


class Sshd(Closing):
    """An sshd that lets one key in, with files in this folder. Raises NoSshd.

    user: who logs in, and is the "other machine": where this process is root, OTHER_USER, and else
    the user who runs it, because only root can become somebody else.
    """

    def __init__(self, folder: Path) -> None:
        self.user = OTHER_USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.folder = folder / "ssh"
        self.folder.mkdir()
        self.port = _free_port()
        self._program = find_sshd()
        self._process: Optional[subprocess.Popen[bytes]] = None
        for path in (folder, self.folder):
            path.chmod(0o711)  # the other user needs some files of it
        for name in ("host_key", "key"):
            self._make_key(name)
        public = (self.folder / "key.pub").read_text()
        (self.folder / "authorized_keys").write_text(f"{RESTRICTIONS} {public}")
        self._own(self.folder / "host_key")
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._process:
            processes.end(self._process)
            self._process = None

    def as_user(self) -> List[str]:
        """The beginning of a command that runs as the user. Raises NoSshd if that cannot be."""
        if os.geteuid() != 0:
            return []
        command = ["setpriv", "--reuid", self.user, "--regid", str(_group(self.user))]
        command += ["--clear-groups", "--"]
        program = [*command, sys.executable, "-c", f"open({__file__!r})"]
        if subprocess.run(program, stderr=subprocess.DEVNULL).returncode:
            raise NoSshd(
                f"user {self.user}, who stands for the other machine, cannot read {ROOT} or"
                f" {sys.base_prefix}: use folders that all users can read, or run this as another"
                " user than root"
            )
        return command

    def take(self, printer: LabPrinter) -> LabPrinter:
        """Let the user run this printer, which was not started yet."""
        printer.prefix += self.as_user()
        printer.folder.parent.chmod(0o711)
        for path in (printer.folder, printer.gcodes):
            self._own(path)
        return printer

    def options(self, port: Optional[int] = None) -> List[str]:
        """The options of a client that does not use the files of whoever runs it."""
        options = ["-F", "none", "-p", str(port or self.port), "-o", "StrictHostKeyChecking=no"]
        options += ["-o", f"UserKnownHostsFile={self.folder}/known_hosts"]
        return options

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run ssh with these arguments behind its destination."""
        command = ["ssh", *self.options(), "-o", "BatchMode=yes", "-i", str(self.folder / "key")]
        command += [f"{self.user}@127.0.0.1", *arguments]
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def tail(self) -> str:
        """The end of its log."""
        return (self.folder / "sshd.log").read_text(errors="replace")[-2000:]

    def _start(self) -> None:
        for pam in ("no", "yes"):
            config = CONFIG.format(port=self.port, folder=self.folder, pam=pam)
            (self.folder / "sshd_config").write_text(config)
            command = [*self.as_user(), self._program, "-D", "-e", "-f"]
            with open(self.folder / "sshd.log", "wb") as log:
                self._process = processes.spawn(
                    [*command, str(self.folder / "sshd_config")],
                    env=dict(os.environ, LD_LIBRARY_PATH=str(CACHE / "sshd")),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            wait_until(self._has_started, 10.0, "sshd listens", [self])
            if self.run("true").returncode != 255:  # the key is allowed to run nothing: 1
                return
            self.close()
        raise NoSshd(f"{self.user} cannot log in with {self._program}: {self.tail()}")

    def _has_started(self) -> bool:
        """Whether it listens, or has ended."""
        assert self._process
        return "Server listening" in self.tail() or self._process.poll() is not None

    def _make_key(self, name: str) -> None:
        path = self.folder / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)

    def _own(self, path: Path) -> None:
        if os.geteuid() == 0:
            shutil.chown(path, self.user)


class SshTunnel(Closing):
    """The ssh that klipper-router-tunnel@NAME starts, without systemd.

    sock: the socket that it makes, forwarded to the socket `target`. port: of a proxy to sshd.
    """

    def __init__(self, sshd: Sshd, name: str, target: str, port: Optional[int] = None) -> None:
        self.folder = sshd.folder / "run"
        self._options = sshd.options(port)
        self._environment = {
            "SSH_TO": f"{sshd.user}@127.0.0.1",
            "REMOTE_SOCK": target,
            "SSH_KEY": str(sshd.folder / "key"),
        }
        self._name, self._log = name, sshd.folder / f"{name}.log"
        runtime = self.folder / f"klipper-router-{name}"  # as RuntimeDirectory= of the unit
        runtime.mkdir(parents=True, exist_ok=True)
        self.sock = str(runtime / "klippy.sock")
        self.process: Optional[subprocess.Popen[bytes]] = None

    def start(self, *first_options: str) -> "SshTunnel":
        """Start ssh; of an option that is given twice, ssh takes the first."""
        environment = dict(self._environment, SSH_OPTIONS=shlex.join(self._options))
        command = exec_start(self._name, str(self.folder), environment)
        command[1:1] = first_options
        with open(self._log, "ab") as log:
            self.process = processes.spawn(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL: the connections end, and the socket's file stays."""
        if self.process:
            processes.end(self.process)

    def freeze(self) -> None:
        """SIGSTOP: no traffic, and nothing is closed."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT, after freeze(); harmless otherwise."""
        if self.process and self.is_running():
            os.killpg(self.process.pid, signal.SIGCONT)

    def close(self) -> None:
        self.kill()

    def tail(self) -> str:
        """What ssh has printed."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


def exec_start(name: str, runtime: str, environment: Dict[str, str]) -> List[str]:
    """The command of the unit as systemd starts it for an instance (systemd.service(5)).

    runtime: what %t is. ${X} is one word, $X any number of them.
    """
    text = UNIT.read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    line = line.replace("%t", runtime).replace("%i", name)
    command: List[str] = []
    for word in shlex.split(line):
        if re.fullmatch(r"\$\w+", word):
            command += shlex.split(environment[word[1:]])
        else:
            command.append(re.sub(r"\$\{(\w+)\}", lambda m: environment[m[1]], word))
    return command


def find_sshd(download: bool = False) -> str:
    """The path of an sshd. Raises NoSshd. download: whether to get one if none is installed."""
    if not shutil.which("ssh"):
        raise NoSshd("ssh is not installed: install openssh-client")
    if download:
        quiet = subprocess.DEVNULL
        subprocess.run(GET_SSHD, cwd=ROOT, stdout=quiet, stderr=quiet)
    places: Sequence[str] = (os.environ.get("PATH", ""), "/usr/sbin", str(CACHE / "sshd"))
    found = shutil.which("sshd", path=os.pathsep.join(places))
    if not found:
        raise NoSshd(f"no sshd: install openssh-server, or run {' '.join(GET_SSHD)}")
    return found


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
