"""A whole printer of the test harness: its Klippy, its emulated MCU, its console."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Union

from . import processes
from .api import Api, ApiClosed
from .closing import Closing
from .console import Console
from .emulated_mcu import EmulatedMcu
from .klippers import klipper
from .waiting import WaitFailed, pauses, wait_until

HERE = Path(__file__).parent
READY_TIMEOUT = 30.0
Objects = Union[Dict[str, Optional[List[str]]], Iterable[str]]


class LabPrinter(Closing):
    """One printer in a folder of its own, FOLDER/NAME; also a context manager that stops it.

    kind: one of klippers.ALL_KINDS.
    config_text: printer.cfg, where @MCU@ is the serial port and @FOLDER@ the printer's folder
        (@FOLDER@/gcodes exists).
    mcu: "none": file-output mode, cheap, but no time passes in it and the Stats timer does not
        run; "fake": the emulated MCU, on which everything takes its time.
    strict: the emulated MCU shuts down when a command comes late.
    trace: it logs every command to FOLDER/NAME/mcu.trace.
    more_mcus: names of further emulated MCUs; the serial port of NAME is @FOLDER@/NAME, its trace
        @FOLDER@/NAME.trace.
    on_line: called with every console line, on another thread.
    prefix: the beginning of the commands of Klippy and its MCUs, such as to be another user.
    """

    def __init__(
        self,
        kind: str,
        name: str,
        folder: Union[str, Path],
        config_text: str,
        mcu: str = "none",
        strict: bool = False,
        trace: bool = False,
        more_mcus: Iterable[str] = (),
        on_line: Optional[Callable[[str], None]] = None,
        prefix: Iterable[str] = (),
    ) -> None:
        if mcu not in ("none", "fake"):
            raise ValueError(f"mcu is 'none' or 'fake', not {mcu!r}")
        self.klipper = klipper(kind)
        self.kind = kind
        self.name = name
        self.folder = Path(folder) / name
        self.sock = str(self.folder / "klippy.sock")
        if len(self.sock) > 100:
            raise ValueError(f"too long for a Unix socket: {self.sock}")
        self.gcodes = self.folder / "gcodes"
        self.gcodes.mkdir(parents=True, exist_ok=True)
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.mcus: Dict[str, EmulatedMcu] = {}
        self._has_mcu = mcu == "fake"
        self._mcu_options: Dict[str, List[str]] = {}
        for mcu_name in ("mcu", *more_mcus) if self._has_mcu else ():
            self._mcu_options[mcu_name] = ["--strict"] * strict
            if trace:
                self._mcu_options[mcu_name] += ["--trace", str(self.folder / f"{mcu_name}.trace")]
        self._on_line = on_line
        self.prefix = list(prefix)
        self._console: Optional[Console] = None
        self._old_lines: List[str] = []
        self._old_sessions = 0  # of the console, when the last one was ended
        self.write_config(config_text)

    # Starting and ending

    def write_config(self, text: str) -> None:
        """Replace printer.cfg; it takes effect at the next start or restart."""
        text = text.replace("@MCU@", str(self.folder / "mcu"))
        text = text.replace("@FOLDER@", str(self.folder))
        if not self._has_mcu:
            text += "\n[lab_console]\n"
        if self.kind == "kalico" and "[telemetry]" not in text:
            text += "\n[telemetry]\nenabled: False\n"  # else it asks on the console
        (self.folder / "printer.cfg").write_text(text, encoding="utf-8")

    def start(self) -> "LabPrinter":
        """Start Klippy (and its MCUs unless they run); returns at once, see wait_ready()."""
        if self.process and self.process.poll() is None:
            raise RuntimeError(f"{self.name} runs already")
        arguments = [str(self.folder / "printer.cfg")]
        arguments += ["-I", str(self.folder / "tty"), "-a", self.sock]
        arguments += ["-l", str(self.folder / "klippy.log")]
        for name, options in self._mcu_options.items():
            if not (name in self.mcus and self.mcus[name].is_running()):
                self.mcus[name] = EmulatedMcu(self.folder / name, options, self.prefix)
        if not self._has_mcu:
            arguments += ["-o", os.devnull, "-d", str(HERE / "mcu.dict")]
        # What Klippy prints before it has a log, or as it crashes
        with open(self.folder / "klippy.err", "ab") as errors:
            self.process = processes.spawn(
                [*self.prefix, *self.klipper.command(*arguments)],
                cwd=self.klipper.cwd,
                env=self.klipper.env(),
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
            )
        if self._console is None:
            self._console = Console(self.sock, self._on_line)
        return self

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> "LabPrinter":
        """Wait until Klippy is ready and its console is read.

        Raises WaitFailed with the log's tail after `timeout` seconds, and at once where Klippy
        ends or reports an error.
        """
        self.wait_state("ready", timeout)
        wait_until(self._console_is_read, timeout, f"{self.name}: console", [self])
        return self

    def _console_is_read(self) -> bool:
        return bool(self._console and self._console.is_attached(self._old_sessions))

    def _end_session(self) -> None:
        """What the console is subscribed to until now counts no more."""
        self._old_sessions = self._console.sessions if self._console else 0

    def wait_state(self, state: str, timeout: float = READY_TIMEOUT) -> None:
        """Wait for a state of the API's `info`: startup, ready, shutdown or error."""
        deadline = time.monotonic() + timeout
        last: Dict[str, Any] = {}
        pause = pauses()
        while time.monotonic() < deadline:
            if self.process is None or self.process.poll() is not None:
                raise WaitFailed(f"{self.name}: Klippy is not running\n{self.tail()}")
            try:
                with self.api(timeout=1.0) as api:
                    while time.monotonic() < deadline:
                        last = api.call("info", timeout=1.0)
                        if last["state"] == state:
                            return
                        if last["state"] == "error" != state:
                            raise WaitFailed(f"{self.name}: {last['state_message']}\n{self.tail()}")
                        time.sleep(next(pause))
            except (ApiClosed, TimeoutError):
                time.sleep(next(pause))
        raise WaitFailed(
            f"{self.name}: not {state} within {timeout:g} s but {last.get('state')}:"
            f" {last.get('state_message')}\n{self.tail()}"
        )

    def restart(self, firmware: bool = False, timeout: float = READY_TIMEOUT) -> None:
        """RESTART or FIRMWARE_RESTART through the API, and wait until ready again."""
        self.begin_restart(firmware, timeout)
        self.wait_ready(timeout)

    def begin_restart(self, firmware: bool = False, timeout: float = READY_TIMEOUT) -> None:
        """Like restart(), but return as soon as the old session of Klippy has ended."""
        with self.api() as api:
            # Before it ends: the console may be subscribed to the next one before we notice
            self._end_session()
            api.request("gcode/firmware_restart" if firmware else "gcode/restart")
            deadline = time.monotonic() + timeout
            try:
                while time.monotonic() < deadline:
                    api.receive(deadline - time.monotonic())
            except ApiClosed:
                return
        raise WaitFailed(f"{self.name}: no restart within {timeout:g} s\n{self.tail()}")

    def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        """End Klippy as systemd would, then its MCUs and the console; harmless when stopped."""
        if self.process:
            self.thaw()
            processes.end(self.process, grace=3.0)
            self.process = None
        for mcu in self.mcus.values():
            mcu.stop()
        self.mcus.clear()
        if self._console:
            self._console.stop()
            self._old_lines += self._console.lines
            self._console = None
            self._old_sessions = 0

    def kill(self) -> None:
        """SIGKILL to Klippy. Its MCU keeps running, like a real one; start() restarts Klippy."""
        if self.process:
            processes.end(self.process)
            self._end_session()

    def freeze(self) -> None:
        """SIGSTOP to Klippy: the process exists, but answers nothing."""
        assert self.process
        os.killpg(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT, after freeze(); harmless otherwise."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGCONT)

    # Talking to it

    def api(self, timeout: float = 5.0) -> Api:
        """A new connection to the API socket; ApiClosed if that is not possible."""
        return Api(self.sock, timeout)

    def call(
        self, method: str, params: Optional[Dict[str, Any]] = None, timeout: float = 30.0
    ) -> Any:
        """One call on a connection of its own; errors as Api.call()."""
        with self.api() as api:
            return api.call(method, params, timeout)

    def script(self, text: str, timeout: float = 30.0) -> None:
        """Run G-code and wait for its end; ApiError is the printer's own error."""
        self.call("gcode/script", {"script": text}, timeout)

    def query(self, objects: Objects, timeout: float = 10.0) -> Dict[str, Dict[str, Any]]:
        """Status of objects, given by names or as {name: fields or None}."""
        if not isinstance(objects, dict):
            objects = dict.fromkeys(objects)
        status = self.call("objects/query", {"objects": objects}, timeout)["status"]
        assert isinstance(status, dict)
        return status

    def state(self) -> str:
        """The state that the API's `info` returns."""
        return str(self.call("info", timeout=5.0)["state"])

    # Its output

    @property
    def console(self) -> List[str]:
        """Every console line since the first start."""
        if not self._console:
            return list(self._old_lines)
        self._console.catch_up()
        return self._old_lines + self._console.lines

    def mark(self) -> int:
        """A place in the console: the lines from now on are console[mark:]."""
        return len(self.console)

    def wait_line(self, text: str, timeout: float = 10.0, start: int = 0) -> str:
        """Wait for a console line that contains `text`, from line `start` on; return the line."""

        def found() -> Optional[List[str]]:
            return [line for line in self.console[start:] if text in line]

        lines = wait_until(found, timeout, f"{self.name}: a line with {text!r}", [self])
        return str(lines[0])

    def log_text(self) -> str:
        """All of klippy.log so far."""
        try:
            return (self.folder / "klippy.log").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self, lines: int = 30) -> str:
        """The ends of console and log, for people."""
        log = self.log_text().splitlines()[-lines:]
        errors = self.folder / "klippy.err"
        if errors.exists():
            log += errors.read_text(errors="replace").splitlines()[-lines:]
        return "\n".join(
            [f"--- {self.name} ({self.kind}): console", *self.console[-lines:]]
            + [f"--- {self.name} ({self.kind}): klippy.log", *log]
        )

    # The emulated MCU

    @property
    def mcu(self) -> Optional[EmulatedMcu]:
        """The emulated MCU of section [mcu], while it runs."""
        return self.mcus.get("mcu")

    def set_pin(self, pin: str, value: float) -> None:
        """Set the temperature (Celsius) or level (0 or 1) that an input pin reads.

        A level is that of the pin itself: a config with `!` sees the opposite.
        """
        self.mcu_command(f"set {pin} {value}")

    def mcu_command(self, line: str) -> None:
        """Any line for the emulated MCU, such as `shutdown` or `reset`."""
        self._running_mcu().command(line)

    def mcu_dump(self) -> Dict[str, Any]:
        """The state of the emulated MCU: see its `dump`."""
        return self._running_mcu().dump()

    def _running_mcu(self) -> EmulatedMcu:
        if not self.mcu:
            raise RuntimeError(f"{self.name} has no emulated MCU running")
        return self.mcu
