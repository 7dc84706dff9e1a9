"""The router as a whole: its status, its Stats line, and what happens when this printer ends."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.router import load_config_prefix
from tests.unit.fake_klippy import FakeConfig
from tests.unit.fake_router import Network

CONFIG = "[router]\nname: big\n[router led]\nemergency_stop: True\n[router afc]\n"


def test_the_status_is_fresh_and_small():
    network = Network(CONFIG)
    network.afc.shuts_down()
    status = network.router.get_status(0.0)
    ready = {"connected": True, "ready": True, "state": "ready"}
    assert status["name"] == "big" and status["last_error"] == ""
    assert status["printers"] == {
        "big": ready,
        "led": ready,
        "afc": {"connected": True, "ready": False, "state": "shutdown"},
    }
    assert (status["events"], status["subscriptions"]) == ({}, 0)


def test_the_stats_line_counts():
    network = Network(CONFIG)
    network.led.duration = None
    for _ in range(3):
        network.led.call_router("router/gcode/script", target="led", script="SHOW")
    network.led.call_router("router/event/subscribe", event="e", gcode="ON_A")
    network.afc.disconnects()
    assert network.router.stats(0.0) == (
        False,
        "router: peers=2 ready=1 subscriptions=0 handlers=1 queued=2 calls=0",
    )


def test_the_command_router_status_names_every_printer():
    network = Network(CONFIG)
    network.afc.disconnects()
    network.take_console()
    network.run("ROUTER_STATUS")
    console = network.take_console()
    assert console[0].startswith("// Router 'big', version")
    assert console[0].endswith("2 peers, 0 subscriptions, 0 event handlers")
    assert console[1:] == ["// big: ready", "// led: ready", "// afc: not connected"]


def test_each_section_of_a_peer_has_its_status():
    network = Network(CONFIG)
    config = FakeConfig(network.printer, CONFIG).section("router led")
    status = load_config_prefix(config).get_status(0.0)
    assert status["connected"] is True and status["state_message"] == "Printer is ready"


def test_peers_are_connected_while_klippy_runs():
    network = Network(CONFIG, is_ready=False)
    assert network.led.is_started and not network.led.is_stopped
    network.printer.send_event("klippy:disconnect")
    assert network.led.is_stopped and network.afc.is_stopped


def test_a_shutdown_stops_peers_with_emergency_stop_and_notifies_the_others():
    network = Network(CONFIG)
    network.afc.commands.update(ROUTER_ON_SHUTDOWN="", ROUTER_ON_DISCONNECTED="")
    network.shuts_down("MCU 'mcu' shutdown\nmore")
    assert (network.led.emergency_stops, network.afc.emergency_stops) == (1, 0)
    assert [script.split()[0] for script in network.afc.take_sent()] == [
        "ROUTER_ON_SHUTDOWN",
        "ROUTER_ON_DISCONNECTED",
    ]


@pytest.mark.parametrize(("result", "reason"), [("restart", "restart"), ("exit", "exit")])
def test_the_final_notification_says_why_this_printer_exits(result, reason):
    network = Network(CONFIG)
    network.led.connects("ROUTER_ON_DISCONNECTED", "ROUTER_HEARTBEAT")
    network.afc.disconnects()
    network.led.disconnects()
    network.led.connects("ROUTER_ON_DISCONNECTED", "ROUTER_HEARTBEAT")
    network.printer.run_result = result
    network.printer.send_event("klippy:disconnect")
    (words,) = network.led.last
    heartbeat, farewell = words.split("\n")
    assert heartbeat.startswith("ROUTER_HEARTBEAT PRINTER='big'")
    assert farewell == f"ROUTER_ON_DISCONNECTED PRINTER='big' REASON='{reason}'"
    assert network.afc.last == []
    network.reactor.advance(60.0)
    assert network.led.is_stopped


def test_a_batch_run_connects_to_no_peer():
    network = Network(CONFIG, is_ready=False, is_batch=True)
    network.reactor.advance(60.0)
    assert not network.led.is_started
