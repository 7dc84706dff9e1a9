"""Commands of peers as commands of this printer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.unit.fake_klippy import CommandError, ConfigError
from tests.unit.fake_router import Network

CONFIG = "[router]\n[router led]\nproxy_commands: SET_LANE, M150\n"


def test_the_line_runs_on_the_peer_without_waiting():
    network = Network(CONFIG)
    network.led.duration = None
    begin = network.reactor.now
    network.run('SET_LANE N=1 NAME="two words"\nset_lane\nM150 R255')
    assert network.reactor.now == begin
    assert network.led.take_sent() == ['SET_LANE N=1 NAME="two words"', "SET_LANE", "M150 R255"]


def test_an_offline_peer_does_not_end_the_gcode():
    network = Network(CONFIG)
    network.led.disconnects()
    network.take_console()
    network.run("SET_LANE N=1\nSHOW")
    assert network.take_ran()[-1] == "SHOW"
    assert network.take_console() == ["// Router: led is not connected"]


class Prints:
    """A peer whose scripts print, as Follower.printed() gets it, when they begin."""

    def __init__(self, network, *lines):
        self._begin, self._lines = network.led._begin, lines
        network.led._begin = self.begin

    def begin(self, job):
        for line in self._lines:
            job.follower.printed(line)
        self._begin(job)


def test_what_it_prints_there_is_shown():
    network = Network(CONFIG)
    Prints(network, "gate 1", "loaded")
    network.run("SET_LANE N=1")
    assert network.take_console() == ["// led: gate 1", "// led: loaded"]


def test_it_has_a_help_text():
    assert Network(CONFIG).gcode.get_command_help()["SET_LANE"] == "Run SET_LANE on led"


def test_a_command_that_exists_is_a_config_error():
    with pytest.raises(
        ConfigError,
        match="Command 'SHOW' in option 'proxy_commands' of section 'router led' cannot",
    ):
        Network("[router]\n[router led]\nproxy_commands: SHOW\n")


def test_a_macro_of_this_printer_is_a_config_error():
    with pytest.raises(ConfigError, match="it is a macro of this printer"):
        Network(CONFIG + "[gcode_macro set_lane]\ngcode: M118\n")


def test_a_macro_that_wraps_the_command_finds_it_at_once():
    """Klipper renames the command while it loads the macro, and the proxy keeps its name there."""
    network = Network(CONFIG + "[gcode_macro SET_LANE]\nrename_existing: LANE_BASE\n", False)
    run = network.gcode.register_command("SET_LANE", None)
    network.gcode.register_command("LANE_BASE", run)
    network.led.connects()
    network.run("LANE_BASE N=3")
    assert network.led.sent == ["SET_LANE N=3"]


def test_a_command_is_refused_where_it_cannot_run():
    network = Network(CONFIG)
    with pytest.raises(CommandError, match="more than 16384"):
        network.run("SET_LANE N=" + "1" * 17000)
