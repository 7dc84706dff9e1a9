"""Times from one printer to another: through the router, the daemon and Moonraker."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Three independent sets of printers: main, led and afc with the router;
# d_main and d_led with the daemon (both would register the same remote methods); w_main and w_led
# each with a Moonraker, whose own status subscriptions would disturb the others.
import json
import random
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Collection, Dict, List, NamedTuple

from tests.lab import config, processes
from tests.lab.closing import Closing
from tests.lab.klippers import ROOT
from tests.lab.lab import Lab
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until
from tests.system.macros import router_section, wait_known

from . import moonraker, rows
from .clients import ClientJob, Ends, MacroJob, RoundTrips, Row, Waited
from .figures import Figures, of_samples
from .goals import STATUS_INTERVAL

HERE = Path(__file__).parent
DAEMON_API = ROOT / "tests/data/daemon_api.cfg"
DAEMON_ROWS = ("daemon_host_to_peer", "daemon_peer_to_host")
MQTT_ROWS = ("mqtt_client", "mqtt")
MOONRAKER_ROWS = ("http", "curl", *MQTT_ROWS)

# GO is what a user writes: one macro here that runs one there
MACROS = """
[lab_stamp]
[gcode_macro NOTHING]
gcode:
[gcode_macro ARRIVE]
gcode:
    LAB_END ID={{params.ID}}
[gcode_macro GO]
gcode:
    LAB_START ID={{params.ID}}
    ROUTER_GCODE_SCRIPT TARGET={target} SCRIPT="ARRIVE ID={{params.ID}}"
[gcode_macro GO_EVENT]
gcode:
    LAB_START ID={{params.ID}}
    ROUTER_EVENT_TRIGGER EVENT=bench CONTEXT="id={{params.ID}}"
[gcode_macro ON_VALUE]
gcode:
    LAB_END ID={{params.LAB_STAMP_VALUE}}
"""
# A macro cannot send HTTP, but Moonraker publishes MQTT for it
MQTT_MACROS = """
[gcode_macro SEND_MQTT]
gcode:
    {action_call_remote_method("publish_mqtt_topic", topic="%s", payload={"jsonrpc": "2.0",
        "method": "printer.gcode.script", "params": {"script": "ARRIVE ID=" ~ params.ID}, "id": 1})}
[gcode_macro GO_MQTT]
gcode:
    LAB_START ID={params.ID}
    SEND_MQTT ID={params.ID}
"""
WARM_UP = 5  # rounds
WAIT = "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=NOTHING WAIT=1"


class Effort(NamedTuple):
    rounds: int
    changes: int  # of a status
    rest: float  # seconds before each sample of a row of LATENCY


class Printers(Closing):
    """The printers of one kind that the requested rows need."""

    def __init__(self, kind: str, wanted: Collection[str]) -> None:
        self._kind = kind
        self._wanted = set(wanted)
        self._stack = ExitStack()
        self.rows: Dict[str, Row] = {}
        self.missing: Dict[str, str] = {}
        """Row -> why it is not available."""
        try:
            self._lab = self._stack.enter_context(Lab())
            self._start()
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        self._stack.close()

    def _start(self) -> None:
        with_daemon = bool(self._wanted & {*DAEMON_ROWS})
        with_moonraker = bool(self._wanted & {*MOONRAKER_ROWS})
        api = f"[include {ROOT / 'includes/router_api.cfg'}]\n"
        daemon_api = f"[include {DAEMON_API}]\n"
        main = f"[router]\n{router_section(self._lab, 'led', 'mirror: lab_stamp: value')}"
        main += router_section(self._lab, "afc")
        self._main = self._printer("main", "led", main)
        self._led = self._printer("led", "main", api)
        self._afc = self._printer("afc", "main", api)
        if with_daemon:
            self._d_main = self._printer("d_main", "d_led", daemon_api)
            self._d_led = self._printer("d_led", "d_main", daemon_api)
        if with_moonraker:
            self._w_main = self._printer("w_main", "", MQTT_MACROS % moonraker.REQUESTS)
            self._w_led = self._printer("w_led", "", "")
        self._lab.wait_ready()
        wait_known(self._main, "led", "afc")
        self._main_ends, self._led_ends = Ends(self._main), Ends(self._led)
        self._add_router()
        if with_daemon:
            self._add_daemon()
        if with_moonraker:
            self._add_moonraker()

    def _printer(self, name: str, target: str, sections: str) -> LabPrinter:
        # The included macros first: of two with one name Klipper takes the later
        text = config.minimal(sections + MACROS.format(target=target), "fake")
        return self._lab.printer(self._kind, name, text, mcu="fake")

    # The rows

    def _add_router(self) -> None:
        self._afc.script("ROUTER_EVENT_SUBSCRIBE EVENT=bench GCODE='ARRIVE ID={id}'")
        self.rows[rows.FLOOR] = RoundTrips(self._led, "NOTHING")
        self.rows["wait"] = Waited(self._main, WAIT)
        self.rows["host_to_peer"] = MacroJob(self._main, "GO", self._led_ends)
        self.rows["peer_to_host"] = MacroJob(self._led, "GO", self._main_ends)
        self.rows["event"] = MacroJob(self._led, "GO_EVENT", Ends(self._afc))

    def _add_daemon(self) -> None:
        settings = self._lab.folder / "daemon.cfg"
        sections = {"d_main": self._d_main, "d_led": self._d_led}
        settings.write_text(
            "".join(f"[klippy {name}]\nsock: {p.sock}\n" for name, p in sections.items())
        )
        daemon = processes.spawn(
            [sys.executable, str(HERE / "reference_daemon.py"), "-c", str(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._stack.callback(processes.end, daemon)
        state = settings.with_suffix(".state")

        def ready() -> bool:
            return state.exists() and all(
                printer["ready"] for printer in json.loads(state.read_text()).values()
            )

        wait_until(ready, 20.0, "the daemon has its printers")
        time.sleep(0.5)  # its remote methods are registered
        self.rows["daemon_host_to_peer"] = MacroJob(self._d_main, "GO", Ends(self._d_led))
        self.rows["daemon_peer_to_host"] = MacroJob(self._d_led, "GO", Ends(self._d_main))

    def _add_moonraker(self) -> None:
        mqtt = None
        if self._wanted & {*MQTT_ROWS}:
            if moonraker.mosquitto() is None:
                self.missing.update(dict.fromkeys(MQTT_ROWS, "mosquitto is not installed"))
            else:
                mqtt = self._stack.enter_context(moonraker.Mqtt(self._lab.folder))
        server = moonraker.start(self._w_led, mqtt.settings() if mqtt else "")
        self._stack.callback(server.stop)
        ends = Ends(self._w_led)
        self.rows["http"] = ClientJob(moonraker.Http(server.port).begin, ends)
        if shutil.which("curl") is None:
            self.missing["curl"] = "curl is not installed"
        else:
            self.rows["curl"] = ClientJob(moonraker.Curl(server.port).begin, ends)
        if mqtt:
            mqtt.connect()
            self.rows["mqtt_client"] = ClientJob(mqtt.begin, ends)
            publisher = moonraker.start(self._w_main, mqtt.settings("bench_main"))
            self._stack.callback(publisher.stop)
            self.rows["mqtt"] = MacroJob(self._w_main, "GO_MQTT", ends)
            time.sleep(1.0)

    # Measuring

    def times(self, effort: Effort) -> Figures:
        """The rows of LATENCY, one sample of each in turn.

        In a new order each time and after a rest, as a printer's macros call: a row may not gain
        from what another one has just run in the same printers.
        """
        wanted = [name for name in rows.LATENCY if name in self._wanted and name in self.rows]
        samples: Dict[str, List[float]] = {name: [] for name in wanted}
        for number in range(effort.rounds + WARM_UP):
            random.shuffle(wanted)
            for name in wanted:
                time.sleep(effort.rest)
                sample = self.rows[name].take()
                if number >= WARM_UP:
                    samples[name].append(sample)
        return {name: of_samples(values) for name, values in samples.items()}

    def status(self, effort: Effort) -> Figures:
        """The rows of STATUS: changes at all times within the interval, in both directions."""
        changes: Dict[str, Row] = {}
        if "status_to_callback" in self._wanted:
            self._led.script(
                "ROUTER_OBJECTS_SUBSCRIBE TARGET=main OBJECTS=lab_stamp:value CALLBACK=ON_VALUE"
            )
            changes["status_to_callback"] = MacroJob(self._main, "LAB_VALUE", self._led_ends)
        if "status_to_mirror" in self._wanted:
            self._main.call("lab/watch", {"path": ["router led", "lab_stamp", "value"]})
            changes["status_to_mirror"] = MacroJob(self._led, "LAB_VALUE", self._main_ends)
        # Evenly over the interval: with few samples chance alone would move the median
        delays = [STATUS_INTERVAL * (i + 0.5) / effort.changes for i in range(effort.changes)]
        random.shuffle(delays)
        samples: Dict[str, List[float]] = {name: [] for name in changes}
        for name, change in changes.items():
            change.take()  # it arrives with a tick of the status; the delays count from there
            for delay in delays:
                time.sleep(delay)
                samples[name].append(change.take())
        self._main.call("lab/watch", {})
        return {name: of_samples(values) for name, values in samples.items()}


def measure(kind: str, wanted: Collection[str], effort: Effort, missing: Dict[str, str]) -> Figures:
    """The requested rows of LATENCY and STATUS on this kind; `missing` gets the others."""
    with Printers(kind, wanted) as printers:
        missing.update(printers.missing)
        return {**printers.times(effort), **printers.status(effort)}
