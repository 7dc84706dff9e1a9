"""One host that prints, three healthy peers, and one that misbehaves in every way in turn."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterable, NamedTuple, Optional

from tests.bench.device_objects import OBJECTS
from tests.lab import config, processes
from tests.lab.closing import Closing
from tests.lab.lab import Lab
from tests.lab.waiting import wait_until

from .ways import WAYS

ROOT = Path(__file__).resolve().parents[2]

HOST = """
[force_move]
enable_force_move: True
[lab_lateness]
[router]
[router good]
sock: {good}
[router ok1]
sock: {ok1}
[router ok2]
sock: {ok2}
[gcode_macro SHOW]
gcode:
[gcode_macro NOTHING]
gcode:
"""
HOSTILE = """
[router {name}]
sock: {sock}
timeout: 1.0
"""
OPTIONS = {
    "devices": "objects:\n" + "".join(f"    {name}\n" for name in OBJECTS),
    "lists": "proxy_commands: NAME*\n",
}
GOOD = """
[gcode_macro NOTHING]
gcode:
[gcode_macro SLOW]
gcode:
    G4 P50
    M400
"""
OK = """
[gcode_macro SEEN]
variable_count: 0
gcode:
    SET_GCODE_VARIABLE MACRO=SEEN VARIABLE=count VALUE={count + 1}
[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    {% if params.PRINTER == "main" %}
    {action_call_remote_method("router/objects/subscribe", target="main",
        objects={"virtual_sdcard": ["file_position"], "system_stats": ["cputime"]},
        gcode_callback="SEEN")}
    {% endif %}
"""


MOVE_TIME = 0.05  # seconds for 2 mm, about


class Figures(NamedTuple):
    """The results of one trial. Times in seconds."""

    way: str
    ticks: int
    p999: float
    own_p999: float  # of the lateness, what the host itself was busy for (CPU time)
    own_max: float
    before_worst: str
    longest: float
    longest_name: str
    longest_wall: float  # callback of the router, by the clock
    klippy: float  # of one callback of the router, Klippy's own encoding and sending (CPU time)
    gc: float  # the longest garbage collection of Python, which is no callback's
    share: float  # of one core, spent in the router's callbacks
    log_lines: int  # of the host's log that name the peer


class Trial(Closing):
    """A context manager; way() may be called again and again."""

    def __init__(self, kind: str, peer_kind: str) -> None:
        self.lab = Lab(kind, peer_kind)
        text = HOST.format(**{name: self.lab.sock(name) for name in ("good", "ok1", "ok2")})
        for name in sorted({name for way in WAYS.values() for name in way.peers}):
            sock = self.lab.sock(name)
            Path(sock).parent.mkdir()
            text += HOSTILE.format(name=name, sock=sock) + OPTIONS.get(name, "")
        text = config.moving(text)
        self.host = self.lab.add(kind, "main", text, mcu="fake", strict=True)
        self.host.gcodes.mkdir(parents=True, exist_ok=True)
        self.host.start()
        self.good = self.lab.peer("good", config.printing(GOOD, "fake"), mcu="fake")
        self.ok = self.lab.peer("ok1", config.printing(OK))
        self.lab.peer("ok2", config.printing(OK))

    def __enter__(self) -> "Trial":
        self.lab.wait_ready()
        self.until_ready("good", "ok1", "ok2")
        return self

    def close(self) -> None:
        self.lab.close()

    @property
    def host_pid(self) -> int:
        """The process of the host's Klippy."""
        assert self.host.process
        return self.host.process.pid

    def until_ready(self, *names: str) -> None:
        """Wait until these peers are ready for the host."""

        def ready() -> bool:
            printers = self.host.query(["router"])["router"]["printers"]
            return all(printers[name]["ready"] for name in names)

        wait_until(ready, 20.0, f"{names} ready", self.lab.printers.values())

    def print_state(self) -> str:
        return str(self.host.query({"print_stats": ["state"]})["print_stats"]["state"])

    def way(self, way: Optional[str], seconds: float) -> Figures:
        """Let the peer misbehave (None: no such peer) while the host prints a file of so many
        seconds from its beginning to its end, and measure the host.
        """
        self._write_print(seconds)
        log_start = len(self.host.log_text())
        subscriptions = self._subscriptions()
        evil = self._start(way, WAYS[way].peers) if way else None
        try:
            self.host.script("SDCARD_PRINT_FILE FILENAME=print.gcode")
            wait_until(lambda: self.print_state() == "printing", 20.0, "no print", [self.host])
            self.host.call("lab/lateness/reset")
            begin = time.monotonic()
            while self.print_state() == "printing":
                assert time.monotonic() < begin + 5.0 * seconds + 20.0, self.host.tail()
                self.check_service()
                time.sleep(0.05)
            lateness: Dict[str, Any] = self.host.call("lab/lateness", timeout=10.0)
            elapsed = time.monotonic() - begin
        finally:
            if evil:
                processes.end(evil)
        if way and self._subscriptions() != subscriptions:
            self._forget(WAYS[way].peers)
        assert self.print_state() == "complete", self.host.tail()
        assert self.good.state() == "ready", self.good.tail()
        longest = lateness["longest"] or {"": 0.0}
        name = max(longest, key=lambda n: longest[n])
        log = self.host.log_text()[log_start:].splitlines()
        return Figures(
            way or "nobody",
            lateness["ticks"],
            lateness["p999"],
            lateness["own_p999"],
            lateness["own_max"],
            lateness["before_worst"],
            longest[name],
            name,
            lateness["wall"],
            lateness["klippy"],
            lateness["gc"],
            lateness["total"] / elapsed,
            sum("router: evil" in line for line in log),
        )

    def check_service(self) -> None:
        """The host is ready, and a healthy peer gets its script and its status."""
        before = self._seen()
        self.host.script("ROUTER_GCODE_SCRIPT TARGET=ok1 SCRIPT=NOTHING_TO_DO WAIT=1 ON_ERROR=warn")
        assert self.host.state() == "ready", self.host.tail()
        wait_until(lambda: self._seen() > before, 10.0, "status", [self.host, self.ok])

    def _seen(self) -> int:
        return int(self.ok.query(["gcode_macro SEEN"])["gcode_macro SEEN"]["count"])

    def _subscriptions(self) -> int:
        return int(self.host.query(["router"])["router"]["subscriptions"])

    def _forget(self, peers: Iterable[str]) -> None:
        """What these peers subscribed to lasts until their Klippy restarts, as a healthy one."""
        healthy = self._start("Healthy", peers)
        try:
            self.until_ready(*peers)
        finally:
            processes.end(healthy)

    def _start(self, way: str, peers: Iterable[str]) -> Any:
        module = [sys.executable, "-m", "tests.hostile.ways", way, self.host.sock]
        module += [self.lab.sock(name) for name in peers]
        return processes.spawn(module, cwd=str(ROOT))

    def _write_print(self, seconds: float) -> None:
        lines = ["SET_KINEMATIC_POSITION X=10 Y=10 Z=10"]
        corners = ((10, 10), (12, 10), (12, 12), (10, 12))  # 2 mm apart, at 50 mm/s at most
        for i in range(round(seconds / MOVE_TIME)):
            lines.append("G1 X%d Y%d F3000" % corners[i % 4])
        lines.append("M400")  # to the last step: Klipper reads two seconds ahead
        (self.host.gcodes / "print.gcode").write_text("\n".join(lines) + "\n")
