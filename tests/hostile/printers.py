"""A host that prints, and four printers with all that the router offers; they are disturbed."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import random
from pathlib import Path
from typing import Any, Dict, Set

from tests.hostile.books import REPORT, prefixed
from tests.lab import config
from tests.lab.closing import Closing
from tests.lab.forwarder import Forwarder
from tests.lab.lab import Lab
from tests.lab.printer import LabPrinter
from tests.lab.waiting import wait_until
from tests.system.macros import wait_known

INCLUDE = f"[include {Path(__file__).parents[2]}/includes/router_api.cfg]\n"
LED, PLAIN, REMOTE, OTHER = "led", "plain", "remote", "other"
"""The printers that the host knows: with adopted devices; without router_api.cfg; behind a tunnel;
with a router of its own."""
NAMES = (LED, PLAIN, REMOTE, OTHER)
TIMEOUT = 1.0
REPLIED = 10
"""Each printer replies to the events whose number is a multiple of this."""

# Of all four, each with its name. N= is the number in the books
PEER = """
[gcode_macro ROUTER_ON_READY]
gcode:
    M118 lifecycle ready
    {action_call_remote_method("router/event/subscribe", event="tick", gcode="TICK")}
    {action_call_remote_method("router/objects/subscribe", target="main",
        objects={"gcode_macro TRUTH": ["value"], "toolhead": None}, gcode_callback="TOLD")}
[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    M118 lifecycle connected {params.PRINTER}
[gcode_macro ROUTER_ON_DISCONNECTED]
gcode:
    M118 lifecycle disconnected {params.PRINTER}
[gcode_macro TICK]
gcode:
    M118 did tick {params.N}
    {% if params.N|int % @REPLIED@ == 0 %}
    {action_call_remote_method("router/event/trigger", event="reply",
        context={"from": "@NAME@", "n": params.N})}
    {% endif %}
[gcode_macro TOLD]
gcode:
    {% if "GCODE_MACRO_TRUTH_VALUE" in params %}
    M118 told {params.GCODE_MACRO_TRUTH_VALUE}
    {% endif %}
"""
DEVICES = """
[output_pin relay]
pin: gpio35
[gcode_macro MARK]
gcode:
    M118 did mark {params.N}
[gcode_macro SET_PIN]
rename_existing: _SET_PIN
gcode:
    M118 did pin {params.N}
    _SET_PIN {rawparams}
[gcode_macro SET_LED]
rename_existing: _SET_LED
gcode:
    M118 did strip {params.N}
    _SET_LED {rawparams}
[gcode_macro SET_HEATER_TEMPERATURE]
rename_existing: _SET_HEATER_TEMPERATURE
gcode:
    M118 did heater {params.N}
    _SET_HEATER_TEMPERATURE {rawparams}
"""
ADOPTED = """objects:
    neopixel strip as cabinet
    output_pin relay
    heater_generic chamber
    gcode_macro MARK
"""
# Each adopted device: its name there, and its fields while its peer is not connected
SOURCES = {
    "neopixel cabinet": "neopixel strip",
    "output_pin relay": "output_pin relay",
    "heater_generic chamber": "heater_generic chamber",
}
AT_REST: Dict[str, Any] = {
    "neopixel cabinet": {"color_data": [[0.0] * 4] * 20},
    "output_pin relay": {"value": 0.0},
    "heater_generic chamber": {"target": 0.0},
}
# ACT is in the printed file
HOST = f"""
[force_move]
enable_force_move: True
[sdcard_loop]
[gcode_macro TRUTH]
variable_value: 0
gcode:
[gcode_macro ROUTER_ON_ERROR]
gcode:
    M118 {REPORT}
[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    M118 lifecycle connected {{params.PRINTER}}
[gcode_macro ROUTER_ON_DISCONNECTED]
gcode:
    M118 lifecycle disconnected {{params.PRINTER}}
[gcode_macro ACT]
variable_n: 0
gcode:
    {{% set n = n + 1 %}}
    SET_GCODE_VARIABLE MACRO=ACT VARIABLE=n VALUE={{n}}
    M118 sent {{params.TARGET}} {{params.KIND}} {{n}}
    {{% if params.KIND == "sync" %}}
    ROUTER_GCODE_SCRIPT TARGET={{params.TARGET}} SCRIPT="M118 did sync {{n}}" SYNC=1
    {{% elif params.KIND == "corner" %}}
    ROUTER_EVENT_TRIGGER EVENT=corner N={{n}} SYNC=1
    {{% elif params.KIND == "strip" %}}
    SET_LED LED="cabinet" RED={{n % 100 / 100}} N={{n}}
    {{% elif params.KIND == "pin" %}}
    SET_PIN PIN=relay VALUE={{n % 2}} N={{n}}
    {{% else %}}
    MARK N={{n}}
    {{% endif %}}
[router]
"""
ALL = "all"
ACTS = [("corner", ALL), ("strip", LED), ("pin", LED), ("mark", LED)]
ACTS += [("sync", name) for name in NAMES] * 2


def printed_file(seed: int) -> str:
    """A loop of moves, with something for another printer after each third; it ends on request."""
    choice = random.Random(seed)
    lines = ["SET_KINEMATIC_POSITION X=10 Y=10 Z=10", "SDCARD_LOOP_BEGIN COUNT=0"]
    for i in range(60):
        x, y = ((10, 10), (30, 10), (30, 30), (10, 30))[i % 4]
        lines.append(f"G1 X{x + i % 7} Y{y} F6000")
        if i % 3 == 0:
            kind, target = choice.choice(ACTS)
            lines.append(f"ACT KIND={kind} TARGET={target}")
    return "\n".join([*lines, "SDCARD_LOOP_END", "M400"]) + "\n"


def _filled(text: str, name: str) -> str:
    return text.replace("@NAME@", name).replace("@REPLIED@", str(REPLIED))


class Printers(Closing):
    """All five, and the tunnel to one of them.

    peers: by name, without the host; other: the one of these that has a router of its own.
    """

    def __init__(self, kind: str, peer_kind: str, seed: int) -> None:
        """seed: of the printed file."""
        self.lab = Lab(kind, peer_kind)
        socks = {name: self.lab.sock(name) for name in NAMES}
        self.tunnel = Forwarder(str(self.lab.folder / "tunnel.sock"), socks[REMOTE])
        socks[REMOTE] = str(self.lab.folder / "tunnel.sock")
        sections = "".join(
            f"[router {name}]\nsock: {socks[name]}\ntimeout: {TIMEOUT}\n" for name in NAMES
        )
        sections = sections.replace(f"[router {LED}]\n", f"[router {LED}]\n{ADOPTED}")
        text = config.moving(HOST + sections)
        self.host = self.lab.add(kind, "main", text, mcu="fake", strict=True)
        (self.host.gcodes / "loop.gcode").write_text(printed_file(seed))
        # Its own name: in what it reports to the host, TARGET is that one
        router = f"[router]\nname: {OTHER}_self\n[router main]\nsock: {self.host.sock}\n"
        router += f"timeout: {TIMEOUT}\n"
        texts = {
            LED: config.heating(INCLUDE + PEER + DEVICES),
            PLAIN: config.printing(PEER, "fake"),
            REMOTE: config.printing(INCLUDE + PEER, "fake"),
            OTHER: config.printing(router + PEER.replace("did tick", "crossed tick"), "fake"),
        }
        self.peers: Dict[str, LabPrinter] = {
            name: self.lab.add(peer_kind, name, _filled(text, name), mcu="fake")
            for name, text in texts.items()
        }
        self.other = self.peers[OTHER]

    def close(self) -> None:
        self.lab.close()
        self.tunnel.close()

    def start(self) -> None:
        """Start them, and the print."""
        for printer in (self.host, *self.peers.values()):
            printer.start()
        self.lab.wait_ready()
        self.wait_known()
        # Handlers of the host stay, whatever happens to the other printers
        handlers = [("corner", "M118 did corner {n}", name) for name in NAMES]
        handlers.append(("tock", "M118 crossed tock {n}", "main"))
        handlers.append(("reply", "M118 reply {from} {n}", "main"))
        for event, gcode, target in handlers:
            params = {"event": event, "gcode": gcode, "callback_target": target}
            self.host.call("router/event/subscribe", params)
        self.host.script("SDCARD_PRINT_FILE FILENAME=loop.gcode")

    def wait_known(self) -> None:
        """Wait until they are ready for each other."""
        wait_known(self.host, *NAMES)
        wait_known(self.other, "main")

    def wait_adopted(self) -> None:
        """Wait until the adopted devices are as there; the print changes them all the time."""
        led = self.peers[LED]
        here = {name: list(fields) for name, fields in AT_REST.items()}
        there = {SOURCES[name]: fields for name, fields in here.items()}

        def same() -> bool:
            now, original = self.host.query(here), led.query(there)
            return all(now[name] == original[SOURCES[name]] for name in here)

        wait_until(same, 20.0, "adopted devices as on their peer", [self.host, led])

    def end_print(self) -> None:
        """Let the print end, as any other."""
        self.host.script("SDCARD_LOOP_DESIST")
        state: Dict[str, Any] = {}

        def ended() -> bool:
            state.update(self.host.query({"print_stats": ["state", "message"]})["print_stats"])
            return bool(state["state"] != "printing")

        wait_until(ended, 60.0, "the print ends", [self.host])
        assert state["state"] == "complete", state

    def printed(self) -> Dict[str, Set[str]]:
        """What the print has sent to each printer, as the books name it."""
        sent: Dict[str, Set[str]] = {name: set() for name in NAMES}
        for act in prefixed(self.host, "sent "):
            target, item = act.split(" ", 1)
            for name in NAMES if target == ALL else (target,):
                sent[name].add(item)
        return sent
