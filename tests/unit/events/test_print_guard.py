"""What the loss of a peer means for a print: it is paused, or not started at all."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.events.disconnect_grace import DisconnectGrace
from klippy_extras.router.events.print_guard import PrintGuard
from klippy_extras.router.printers.local_printer import LocalPrinter
from tests.unit.fake_klippy import CommandError, FakeObject, Machine
from tests.unit.fake_printer import FakePrinter


class Sdcard(FakeObject):
    """virtual_sdcard with a print."""

    def __init__(self):
        super().__init__(is_active=True)
        self.must_pause_work = False

    def is_active(self):
        return self.status["is_active"]


class Printing(Machine):
    """A machine that prints; led is required, afc pauses the print."""

    def __init__(self, grace=0.0):
        super().__init__()
        self.sdcard = Sdcard()
        self.printer.objects.update(
            virtual_sdcard=self.sdcard, print_stats=FakeObject(state="printing")
        )
        self.started = []
        for name in ("SDCARD_PRINT_FILE", "M24"):
            self.command(name, lambda gcmd: self.started.append(gcmd.get_commandline()))
        self.command("PAUSE", self.pause)
        self.local = LocalPrinter(self.klippy, "main", 0.25)
        self.local.start()
        self.led, self.afc = FakePrinter("led", grace), FakePrinter("afc")
        grace = DisconnectGrace(self.klippy.timers)
        self.guard = PrintGuard(self.klippy, self.local, grace, [self.afc], [self.led])
        self.guard.guard_starts()
        for peer in (self.led, self.afc):
            peer.listeners += [grace, self.guard]
            peer.connects()

    def pause(self, gcmd):
        self.sdcard.must_pause_work = True

    def is_idle(self, state="standby"):
        self.printer.objects["print_stats"].status["state"] = state
        self.sdcard.status["is_active"] = False


# -- on_disconnect: pause


def test_a_loss_pauses_the_print_and_prints_why():
    main = Printing()
    main.afc.disconnects()
    assert main.gcode.ran == []
    main.reactor.run()
    assert main.gcode.ran == ["PAUSE"]
    assert main.console == ["// Router: pausing the print: afc is not connected"]


def test_the_loss_of_another_peer_does_not():
    main = Printing()
    main.led.disconnects()
    main.reactor.run()
    assert main.gcode.ran == [] and main.console == []


def test_without_a_print_there_is_nothing_to_pause():
    main = Printing()
    main.is_idle()
    main.afc.disconnects()
    main.reactor.run()
    assert main.gcode.ran == [] and main.console == []


def test_a_print_that_ends_before_its_turn_is_not_paused():
    main = Printing()
    main.afc.disconnects()
    main.is_idle("complete")
    main.reactor.run()
    assert main.gcode.ran == [] and main.console == []


@pytest.mark.parametrize("does_nothing", [True, False])
def test_a_print_that_cannot_be_paused_is_reported(does_nothing):
    main = Printing()
    main.gcode.register_command("PAUSE", None)
    main.command("PAUSE", (lambda gcmd: None) if does_nothing else main.fail)
    main.afc.disconnects()
    main.reactor.run()
    why = "PAUSE did not pause the print" if does_nothing else "broken here"
    assert main.console[1].startswith("// Router: the print was not paused: main: " + why)


def test_a_printer_that_is_shut_down_says_that_it_does_not_pause():
    main = Printing()
    main.state("shutdown", "M112")
    main.local.update_state()
    main.afc.disconnects()
    assert main.console == [
        "// Router: the print was not paused: main is not ready (shutdown: M112)"
    ]


# -- required: True

REFUSED = "The print was not started: led is not connected, and option 'required'"


def test_a_print_starts_with_all_that_is_required():
    main = Printing()
    main.afc.disconnects()
    main.gcode.run_script("SDCARD_PRINT_FILE FILENAME=a.gcode\nM24")
    assert main.started == ["SDCARD_PRINT_FILE FILENAME=a.gcode", "M24"]


@pytest.mark.parametrize("command", ["SDCARD_PRINT_FILE FILENAME=a.gcode", "M24"])
def test_a_print_does_not_start_without_what_is_required(command):
    main = Printing()
    main.is_idle()
    main.led.disconnects()
    with pytest.raises(CommandError, match=REFUSED):
        main.gcode.run_script(command)
    assert main.started == []
    main.led.connects()
    main.gcode.run_script(command)
    assert main.started == [command]


@pytest.mark.parametrize("state", ["printing", "paused"])
def test_m24_resumes_a_print_but_another_print_is_a_start(state):
    main = Printing()
    main.is_idle(state)
    main.led.disconnects()
    main.gcode.run_script("M24")
    with pytest.raises(CommandError, match=REFUSED):
        main.gcode.run_script("SDCARD_PRINT_FILE FILENAME=a.gcode")
    assert main.started == ["M24"]


def test_within_its_disconnect_grace_it_counts_as_ready():
    main = Printing(grace=10.0)
    main.is_idle()
    main.led.disconnects()
    main.gcode.run_script("M24")
    main.reactor.advance(10.1)
    with pytest.raises(CommandError, match=REFUSED):
        main.gcode.run_script("M24")
    assert main.started == ["M24"]


def test_commands_that_do_not_exist_are_not_guarded():
    machine = Machine()
    local = LocalPrinter(machine.klippy, "main", 0.25)
    led = FakePrinter("led")
    guard = PrintGuard(machine.klippy, local, DisconnectGrace(machine.klippy.timers), [], [led])
    guard.guard_starts()
    machine.gcode.run_script("M24")
    assert machine.console == ['// Unknown command:"M24"']
