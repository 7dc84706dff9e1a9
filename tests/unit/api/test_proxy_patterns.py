"""Commands of peers whose names match a pattern, such as MMU_*."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.api.proxy_patterns import LOOKED_AT_ONCE, MAX_COMMANDS, PatternProxies
from tests.unit.fake_klippy import CommandError
from tests.unit.fake_router import Network

CONFIG = "[router]\n[router led]\nproxy_commands: MMU_*\n"
TWO_PEERS = CONFIG + "[router afc]\nproxy_commands: MMU_*\n"


def network_of(*commands, config=CONFIG):
    """A network whose peer led is ready and has these commands."""
    network = Network(config, is_ready=False)
    network.led.connects(*commands)
    network.reactor.run()
    return network


def helps(network):
    """The commands with a help text here whose names begin with MMU."""
    return {n: t for n, t in network.gcode.get_command_help().items() if n.startswith("MMU")}


def reconnect(network, peer, *commands):
    """The Klippy of this peer is a new one, with these commands."""
    peer.disconnects()
    peer.restarts()
    peer.connects(*commands)
    network.reactor.run()


def test_commands_that_match_are_registered():
    network = network_of("MMU_LOAD", "MMU_UNLOAD", "SET_LED", "_MMU_STEP", "MMU")
    network.run("MMU_LOAD GATE=1\nmmu_unload\nMMU\n_MMU_STEP")
    assert network.led.take_sent() == ["MMU_LOAD GATE=1", "MMU_UNLOAD"]
    assert network.take_console() == [
        '// Unknown command:"MMU"',
        '// Unknown command:"_MMU_STEP"',
    ]


def test_before_the_peer_was_ready_they_are_unknown():
    network = Network(CONFIG, is_ready=False)
    network.run("MMU_LOAD")
    assert network.take_console() == ['// Unknown command:"MMU_LOAD"']


def test_while_this_printer_is_not_ready_it_may_register_commands_of_its_own():
    network = Network(CONFIG, is_ready=False)
    network.state("startup", "Printer is not ready")
    network.router._handle_ready()
    network.led.connects("MMU_LOAD")
    network.reactor.run()
    assert helps(network) == {}
    network.state("ready")
    network.router._handle_ready()
    network.reactor.run()
    assert list(helps(network)) == ["MMU_LOAD"]


def test_they_have_the_help_text_of_the_peer():
    network = Network(CONFIG, is_ready=False)
    network.led.connects("MMU_A", "MMU_B", "MMU_C", "MMU_D", "MMU_E")
    network.led.commands.update(MMU_B="", MMU_C=None, MMU_D="x" * 500, MMU_E="two\nlines \ud800")
    network.reactor.run()
    shown = helps(network)
    assert len(shown.pop("MMU_D")) < 220
    assert shown == {
        "MMU_A": "A macro (on led)",
        "MMU_B": "Run MMU_B on led",
        "MMU_C": "Run MMU_C on led",
        "MMU_E": "two lines (on led)",
    }


def test_an_offline_peer_is_one_line_and_the_command_stays():
    network = network_of("MMU_LOAD")
    network.led.disconnects()
    network.take_console()
    network.run("MMU_LOAD\nSHOW")
    assert network.take_ran()[-1] == "SHOW"
    assert network.take_console() == ["// Router: led is not connected"]


def test_every_session_of_the_peer_may_add_commands():
    network = network_of("MMU_LOAD")
    reconnect(network, network.led, "MMU_LOAD", "MMU_CUT")
    assert list(helps(network)) == ["MMU_LOAD", "MMU_CUT"]
    reconnect(network, network.led)
    network.run("MMU_LOAD")
    assert network.led.take_sent() == ["MMU_LOAD"]


def test_a_command_of_this_printer_stays_which_is_said_once():
    network = Network(CONFIG, is_ready=False)
    for name in ("MMU_B", "MMU_A"):
        network.command(name)
    network.led.connects("MMU_A", "MMU_B", "MMU_C")
    assert network.take_console() == [
        "// Router: Option 'proxy_commands' in section 'router led' does not replace commands of"
        " this printer: MMU_A, MMU_B. To use those of led, rename the ones of this printer"
    ]
    network.run("MMU_A\nMMU_C")
    assert network.led.take_sent() == ["MMU_C"]
    network.command("MMU_D")
    reconnect(network, network.led, "MMU_A", "MMU_B", "MMU_C", "MMU_D")
    said = [line for line in network.take_console() if "proxy_commands" in line]
    assert len(said) == 1 and " this printer: MMU_D. " in said[0]


def test_a_long_list_of_them_is_cut():
    network = Network(CONFIG, is_ready=False)
    names = [f"MMU_{letter}" for letter in "ABCDEFGH"]
    for name in names:
        network.command(name)
    network.led.connects(*names)
    assert "this printer: MMU_A, MMU_B, MMU_C, MMU_D, MMU_E and 3 more. To" in str(
        network.take_console()
    )


def test_of_two_peers_the_first_one_keeps_it_which_is_said_once():
    network = network_of("MMU_LOAD", "MMU_CUT", config=TWO_PEERS)
    network.afc.connects("MMU_LOAD", "MMU_SPIN")
    network.reactor.run()
    network.run("MMU_LOAD\nMMU_SPIN")
    assert (network.led.take_sent(), network.afc.take_sent()) == (["MMU_LOAD"], ["MMU_SPIN"])
    assert network.take_console() == [
        "// Router: Option 'proxy_commands' in section 'router afc' does not replace commands of"
        " section 'router led': MMU_LOAD. To use those of afc, write their full names there"
    ]
    reconnect(network, network.afc, "MMU_LOAD")
    assert not any("proxy_commands" in line for line in network.take_console())


def test_two_peers_that_become_ready_together():
    network = Network(TWO_PEERS, is_ready=False)
    network.led.connects("MMU_LOAD")
    network.afc.connects("MMU_LOAD")
    said = network.take_console()
    assert len(said) == 1 and "'router afc' does not replace commands of section" in said[0]
    network.run("MMU_LOAD")
    assert (network.led.take_sent(), network.afc.take_sent()) == (["MMU_LOAD"], [])


def test_a_full_name_is_the_way_out():
    network = network_of(
        "MMU_LOAD", config=CONFIG + "[router afc]\nproxy_commands: MMU_LOAD, MMU_*\n"
    )
    network.afc.connects("MMU_LOAD")
    network.run("MMU_LOAD")
    assert (network.led.take_sent(), network.afc.take_sent()) == ([], ["MMU_LOAD"])
    assert network.take_console() == []


REFUSED = (
    "ROUTER_STATUS", "ROUTER_NEW", "ABORT", "TESTZ", "R1D", "Nlower", "T1_X", "A-B", "AÉ",
    "A" * 65,
)  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_are_never_taken(name):
    """Also those that Klipper would refuse."""
    network = network_of(name, config=f"[router]\n[router led]\nproxy_commands: {name[0]}*, Z*\n")
    before = network.gcode.get_command_help()
    assert name not in before or name == "ROUTER_STATUS"
    network.run(f"{name} A=1")
    assert network.led.take_sent() == []


def test_traditional_commands_match_too():
    network = network_of("T0", "T1", config="[router]\n[router led]\nproxy_commands: T*\n")
    network.run("T1")
    assert network.led.take_sent() == ["T1"]


def test_a_peer_cannot_register_any_number_of_commands():
    network = network_of(*(f"MMU_{i}" for i in range(MAX_COMMANDS + 50)))
    assert len(helps(network)) == MAX_COMMANDS
    assert network.take_console() == [
        "// Router: Option 'proxy_commands' in section 'router led' takes no more than 256"
        " commands: write narrower patterns"
    ]
    reconnect(network, network.led, *(f"MMU_OTHER_{i}" for i in range(50)))
    assert len(helps(network)) == MAX_COMMANDS


def test_many_commands_are_compared_in_steps(monkeypatch):
    network = Network(CONFIG, is_ready=False)
    compared = []
    can_be_added = PatternProxies._can_be_added

    def slow(self, name):
        compared.append(name)
        network.reactor.now += 0.001
        return can_be_added(self, name)

    monkeypatch.setattr(PatternProxies, "_can_be_added", slow)
    names = [*(f"MMU_{i}a" for i in range(3 * LOOKED_AT_ONCE)), "MMU_LOAD"]
    network.led.connects(*names)
    assert len(compared) == LOOKED_AT_ONCE
    network.reactor.run()
    assert compared == names and list(helps(network)) == ["MMU_LOAD"]


def test_a_peer_that_is_ready_again_while_they_are_compared():
    network = Network(CONFIG, is_ready=False)
    network.led.connects(*(f"MMU_{i}" for i in range(LOOKED_AT_ONCE + 1)))
    network.led.disconnects()
    network.led.connects("MMU_0", "MMU_LOAD")
    network.reactor.run(turns=200)
    assert len(helps(network)) == LOOKED_AT_ONCE + 2
    assert not [line for line in network.take_console() if "proxy_commands" in line]


def test_the_limit_of_a_script_holds():
    network = network_of("MMU_LOAD")
    with pytest.raises(CommandError, match="more than 16384"):
        network.run("MMU_LOAD N=" + "1" * 17000)


def test_without_patterns_nothing_listens():
    network = Network("[router]\n[router led]\nproxy_commands: MMU_LOAD\n")
    listeners = [*network.router._local.listeners, *network.led.listeners]
    assert not [one for one in listeners if type(one).__name__ == "PatternProxies"]
