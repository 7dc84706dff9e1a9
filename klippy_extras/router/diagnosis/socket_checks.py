# Checks of an API socket from outside: its file, its permissions, the process that listens on it
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import errno
import os
import socket
import stat
from typing import Optional, Tuple

from ..printers.link import peer_pid
from ..sanitize import printable
from .checks import FAIL, OK, Finding

# Bytes of a command line in /proc that are read
MAX_COMMAND_LINE = 1024
# Files in a socket's folder that are searched for a socket of another name
MAX_FILES = 100

_RUN = (
    "its Klipper is not running, or its option -a names another file. Start it, or correct 'sock'"
)


def check_file(path: str) -> Finding:
    """The file of a socket, its owner and permissions. Follows links; opens nothing."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return Finding(FAIL, "%s: no such file: %s%s" % (path, _RUN, _other_sockets(path)))
    except PermissionError:
        return Finding(
            FAIL,
            "%s: this user (uid %d) cannot open its folder: run both Klippers as the same user"
            % (path, os.geteuid()),
        )
    except (OSError, ValueError) as e:
        return Finding(FAIL, "%s: %s: correct 'sock'" % (printable(path), _reason(e)))
    if not stat.S_ISSOCK(found.st_mode):
        return Finding(
            FAIL,
            "%s: is a %s, not a socket: set 'sock' to the path in option -a of its Klipper"
            % (path, "folder" if stat.S_ISDIR(found.st_mode) else "file"),
        )
    text = "%s, owner %s, mode %s" % (path, _owner(found.st_uid), stat.filemode(found.st_mode))
    if not os.access(path, os.R_OK | os.W_OK):
        return Finding(
            FAIL,
            "%s: this user (uid %d) cannot open it: run both Klippers as the same user"
            % (text, os.geteuid()),
        )
    return Finding(OK, text)


def probe(path: str) -> Tuple[int, Optional[Finding]]:
    """Connect, and disconnect at once: (pid of the listening process, None) or (0, why not)."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            sock.connect(path)
            return peer_pid(sock), None
    except BlockingIOError:
        text = "its process does not accept connections: it hangs. Restart that Klipper's service"
    except ConnectionRefusedError:
        text = "nobody listens: its Klipper has ended. Start it, and see its klippy.log"
    except OSError as e:
        text = "%s: 'sock' must be the API socket of a Klipper" % (_reason(e),)
        if e.errno in (errno.ENOENT, errno.EACCES):
            text = "%s: %s" % (_reason(e), _RUN)
    return 0, Finding(FAIL, text)


def check_listener(pid: int, klippy_pid: Optional[int]) -> Finding:
    """The process that listens on a socket. klippy_pid: as Klippy itself reports it, if known."""
    if pid <= 0:
        return Finding(OK, "a process of another container")
    who = "pid %d, %s" % (pid, command_line(pid))
    if _is_stopped(pid):
        return Finding(FAIL, "%s: is stopped. Resume it: kill -CONT %d" % (who, pid))
    if klippy_pid is not None and klippy_pid != pid:
        who += ": not that Klipper itself, which is pid %s, but a tunnel" % (printable(klippy_pid),)
    return Finding(OK, who)


def command_line(pid: int) -> str:
    """The command line of this process, printable and cut to a short line."""
    try:
        with open("/proc/%d/cmdline" % (pid,), "rb") as file:
            words = file.read(MAX_COMMAND_LINE).rstrip(b"\0").split(b"\0")
    except OSError:
        return "an unknown process"
    return printable(b" ".join(words).decode("utf-8", "replace"))


def _is_stopped(pid: int) -> bool:
    try:
        with open("/proc/%d/stat" % (pid,), "rb") as file:
            # The name in parentheses may contain anything
            return file.read(MAX_COMMAND_LINE).rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False


def _owner(uid: int) -> str:
    return "%s (uid %d)" % ("this user" if uid == os.geteuid() else "another user", uid)


def _reason(error: Exception) -> str:
    return printable(getattr(error, "strerror", None) or error)


def _other_sockets(path: str) -> str:
    """Other sockets in the folder, in case the name is wrong."""
    folder = os.path.dirname(path) or "."
    names = []
    try:
        with os.scandir(folder) as entries:
            for _number, entry in zip(range(MAX_FILES), entries):
                # Klippy's have names like klippy.sock and klippy_led_uds
                if not ("sock" in entry.name or "uds" in entry.name):
                    continue
                if stat.S_ISSOCK(entry.stat(follow_symlinks=False).st_mode):
                    names.append(printable(entry.name))
    except OSError:
        return (
            ". Its folder cannot be read"
            if os.path.exists(folder)
            else ". Its folder does not exist either"
        )
    return ". Sockets there: %s" % (", ".join(sorted(names)[:5]),) if names else ""
