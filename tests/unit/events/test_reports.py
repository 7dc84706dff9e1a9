"""Errors are reported to the printer that caused them, at a limited rate, and cause no others."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.errors import RouterError
from klippy_extras.router.events.reports import ERROR_MACRO, SUMMARY_DELAY, Reports
from klippy_extras.router.printers.local_printer import LocalPrinter
from klippy_extras.router.rates import ALIKE_BURST, ALL_BURST
from tests.unit.fake_klippy import Machine
from tests.unit.fake_printer import FakePrinter


class Reported(Machine):
    def __init__(self):
        super().__init__()
        self.reports = Reports(self.klippy)
        self.led = FakePrinter("led").connects()
        self.local = LocalPrinter(self.klippy, "main", 0.25)
        self.local.start()

    def fail(self, caller, message="no filament", method="router/x"):
        self.reports.begin(caller, method).failed("afc", RouterError(message))


def macro(message="no filament"):
    return f"{ERROR_MACRO} METHOD='router/x' TARGET='afc' MESSAGE='{message}'"


def test_a_printer_with_the_macro_runs_it():
    main = Reported()
    main.led.connects(ERROR_MACRO, "RESPOND")
    main.fail(main.led)
    assert main.led.take_sent() == [macro()]
    assert main.reports.last_error == "no filament"


@pytest.mark.parametrize(
    ("commands", "script"),
    [
        (["RESPOND"], "RESPOND TYPE='command' MSG='Router: no filament'"),
        ([], "ECHO ROUTER_ERROR='no filament'"),
    ],
)
def test_a_printer_without_the_macro_prints_the_error(commands, script):
    main = Reported()
    main.led.commands = dict.fromkeys(commands)
    main.fail(main.led)
    assert main.led.take_sent() == [script]


def test_this_printer_prints_its_own_errors():
    main = Reported()
    main.fail(main.local)
    main.reports.warn(main.local, "a hint")
    assert main.console == ["// Router: no filament", "// Router: a hint"]


def test_an_error_inside_the_macro_is_printed_and_does_not_run_it_again():
    main = Reported()
    main.led.connects(ERROR_MACRO)
    before = main.reports.begin(main.led, "router/x")
    main.fail(main.led)
    within = main.reports.begin(main.led, "router/x")
    within.failed("afc", RouterError("again"))
    assert main.led.take_sent() == [macro(), "ECHO ROUTER_ERROR='again'"]
    # Not so for what began before it or begins after it
    before.failed("afc", RouterError("old"))
    assert main.led.take_sent() == [macro("old")]
    main.fail(main.led, "new")
    assert main.led.take_sent() == [macro("new")]


def test_a_macro_that_fails_is_only_logged():
    main = Reported()
    main.led.connects(ERROR_MACRO)
    main.fail(main.led)
    main.led.finish(RouterError("led: broken macro"))
    assert main.led.take_sent() == [macro()]
    assert main.led.logged == [f"was not notified: {macro()} (led: broken macro)"]
    main.fail(main.led, "new")
    assert main.led.take_sent() == [macro("new")]


def test_an_error_for_an_offline_printer_is_only_logged():
    main = Reported()
    main.led.disconnects()
    main.fail(main.led)
    assert main.led.sent == [] and "was not notified" in main.led.logged[0]
    assert main.reports.last_error == "no filament"


def test_each_failure_of_several_is_one_report():
    main = Reported()
    main.led.connects(ERROR_MACRO)
    main.reports.begin(main.led, "router/x").undelivered({"afc": "one", "main": "two"})
    assert [s.split("TARGET=")[1] for s in main.led.take_sent()] == [
        "'afc' MESSAGE='one'",
        "'main' MESSAGE='two'",
    ]


def test_many_errors_of_one_kind_are_a_few_lines_and_a_count():
    main = Reported()
    for _ in range(100):
        main.fail(main.local)
    lines = main.console[:]
    assert lines == ["// Router: no filament"] * ALIKE_BURST
    main.reactor.advance(SUMMARY_DELAY + 0.1)
    left_out = 100 - ALIKE_BURST
    assert main.console[ALIKE_BURST:] == [
        f"// Router: no filament ({left_out} more like this left out)"
    ]
    main.reactor.advance(100 * SUMMARY_DELAY)
    assert len(main.console) == ALIKE_BURST + 1


def test_errors_of_different_kinds_are_limited_too_per_printer():
    main = Reported()
    for number in range(1000):
        main.fail(main.local, f"error {number}")
        main.fail(main.led, f"error {number}")
    assert len(main.console) == ALL_BURST
    main.reactor.advance(SUMMARY_DELAY + 0.1)
    assert 0 < len(main.console) - ALL_BURST < 20
    assert "more error" in main.console[-1] and "left out" in main.console[-1]
    assert ALL_BURST <= len(main.led.take_sent()) < ALL_BURST + 20


# -- within this printer's own G-code


def in_place(main):
    with main.klippy.gcode_mutex:
        main.reports.in_place(main.local, "ROUTER_EVENT_WAIT", "", "not triggered")


def test_an_error_of_a_command_runs_the_macro_before_the_next_command():
    main = Reported()
    main.command(ERROR_MACRO)
    main.local.update_state()
    in_place(main)
    assert main.gcode.ran == [
        f"{ERROR_MACRO} METHOD='ROUTER_EVENT_WAIT' TARGET='' MESSAGE='not triggered'"
    ]


def test_without_the_macro_or_within_it_the_error_is_printed():
    main = Reported()
    in_place(main)
    assert main.console == ["// Router: not triggered"]
    main.command(ERROR_MACRO, lambda gcmd: main.reports.in_place(main.local, "X", "", "within"))
    main.local.update_state()
    in_place(main)
    in_place(main)
    assert main.console[1:] == ["// Router: within"] * 2
    assert len(main.gcode.ran) == 2


def test_a_macro_that_fails_in_place_does_not_end_the_gcode():
    main = Reported()
    main.command(ERROR_MACRO, Machine.fail.__get__(main))
    main.local.update_state()
    in_place(main)
    assert main.console == []
    in_place(main)
    assert len(main.gcode.ran) == 2
