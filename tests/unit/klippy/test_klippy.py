"""This printer's Klippy as the router uses it, on a fake one."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging

import pytest

from klippy_extras.router.errors import RouterError
from tests.unit.fake_klippy import FakeObject, Machine


@pytest.fixture
def main():
    return Machine()


def run_here(main, script, printed=None):
    with main.klippy.gcode_mutex:
        main.klippy.run_script_here(script, printed)


# -- running G-code


def test_the_runner_of_a_script_gets_its_output(main):
    main.command("SAY", lambda gcmd: gcmd.respond_info(gcmd.get("TEXT")))
    printed = []
    run_here(main, "SAY TEXT=one\nSAY TEXT=two", printed.append)
    run_here(main, "SAY TEXT=three")
    assert printed == ["// one", "// two"]
    assert main.console == ["// one", "// two", "// three"]


def test_output_of_nested_scripts_goes_to_the_innermost(main):
    main.command("SAY", lambda gcmd: gcmd.respond_info(gcmd.get("TEXT")))
    inner, outer = [], []
    main.command("NEST", lambda gcmd: main.klippy.run_script_here("SAY TEXT=in", inner.append))
    run_here(main, "SAY TEXT=before\nNEST\nSAY TEXT=after", outer.append)
    assert (inner, outer) == (["// in"], ["// before", "// after"])


def test_any_failure_of_a_script_is_a_router_error_and_ends_its_output(main):
    printed = []
    main.command("FAIL", main.fail)
    main.command("BREAK", lambda gcmd: {}["x"])
    main.command("SAY", lambda gcmd: gcmd.respond_info("text"))
    with pytest.raises(RouterError, match="^broken here$"):
        run_here(main, "FAIL", printed.append)
    with pytest.raises(RouterError, match="^'x'$"):
        run_here(main, "BREAK", printed.append)
    run_here(main, "SAY")
    assert printed == []


def test_a_listener_may_fail(main, caplog):
    main.command("SAY", lambda gcmd: gcmd.respond_info("text"))
    run_here(main, "SAY", lambda text: 1 / 0)
    assert "ZeroDivisionError" in caplog.text and main.gcode.ran == ["SAY"]


# -- prints


@pytest.mark.parametrize(
    ("state", "is_active", "serial_is_busy", "prints_file", "is_printing"),
    [
        ("standby", False, False, False, False),
        ("printing", True, False, True, True),
        ("paused", False, False, False, True),
        ("complete", False, False, False, False),
        ("standby", False, True, False, True),
    ],
)
def test_is_printing(main, state, is_active, serial_is_busy, prints_file, is_printing):
    serial = FakeObject()
    serial.is_processing_data = serial_is_busy
    main.printer.objects.update(
        print_stats=FakeObject(state=state),
        virtual_sdcard=FakeObject(is_active=is_active),
        gcode_io=serial,
    )
    assert main.klippy.prints_file is prints_file
    assert main.klippy.is_printing is is_printing
    assert not main.klippy.can_pause
    main.command("PAUSE")
    assert main.klippy.can_pause is is_printing


def test_without_print_objects_it_is_not_printing(main):
    main.command("PAUSE")
    assert not main.klippy.prints_file and not main.klippy.can_pause


def test_a_pause_without_virtual_sdcard_is_the_command(main):
    main.command("PAUSE")
    with main.klippy.gcode_mutex:
        main.klippy.pause_print()
    assert main.gcode.ran == ["PAUSE"]


# -- endpoints


def test_an_endpoint_gets_its_parameters_and_returns_its_result(main):
    main.webhooks.register_endpoint(
        "echo", lambda request: request.send({"n": request.get_int("n")})
    )
    assert main.klippy.call_endpoint("echo", {"n": 3}) == {"n": 3}
    main.webhooks.register_endpoint("silent", lambda request: None)
    assert main.klippy.call_endpoint("silent", {}) == {}


@pytest.mark.parametrize(
    ("params", "message"),
    [({}, r"Missing Argument \[n\]"), ({"n": "3"}, r"Invalid Argument Type \[n\]")],
)
def test_an_error_of_an_endpoint_is_a_router_error(main, params, message, caplog):
    main.webhooks.register_endpoint("echo", lambda request: request.get_int("n"))
    with pytest.raises(RouterError, match=message):
        main.klippy.call_endpoint("echo", params)
    assert caplog.text == ""


def test_an_unexpected_exception_of_an_endpoint_is_logged(main, caplog):
    main.webhooks.register_endpoint("broken", lambda request: {}["x"])
    with pytest.raises(RouterError, match="^endpoint 'broken' failed: 'x'$"):
        main.klippy.call_endpoint("broken", {})
    assert "KeyError" in caplog.text


def test_info_is_always_an_object(main):
    main.webhooks.register_endpoint("info", lambda request: request.send({"app": "Kalico"}))
    assert main.klippy.info() == {"app": "Kalico"}
    main.webhooks.register_endpoint("info", lambda request: request.send(["odd"]))
    assert main.klippy.info() == {}


def test_a_remote_method_of_its_own_macros_reaches_the_router(main, caplog):
    received = []
    main.klippy.register_remote_method("router/x", received.append)
    main.webhooks.call_remote_method("router/x", target="led")
    assert received == [{"method": "router/x", "params": {"target": "led"}}]
    main.klippy.register_remote_method("router/y", lambda message: 1 / 0)
    main.webhooks.call_remote_method("router/y")
    assert "ZeroDivisionError" in caplog.text


def test_other_clients_are_those_with_an_open_socket(main):
    class Connection:
        def __init__(self, sock, is_open):
            self.sock, self.is_open = sock, is_open

        def is_closed(self):
            return not self.is_open

        def send(self, message):
            pass

    main.klippy.register_remote_method("router/x", lambda message: None)
    for sock, is_open, method in (
        ("a", True, "router/x"),
        ("b", False, "router/x"),
        ("c", True, "z"),
    ):
        params = {"remote_method": method, "response_template": {}}
        main.webhooks.call("register_remote_method", params, Connection(sock, is_open))
    assert main.klippy.other_clients(lambda name: name.startswith("router/")) == ["a"]


# -- other


@pytest.mark.parametrize(
    ("args", "sock", "is_batch"),
    [
        ({}, None, False),
        ({"apiserver": "/tmp/klippy.sock"}, "/tmp/klippy.sock", False),
        ({"apiserver_file": "/tmp/kalico.sock"}, "/tmp/kalico.sock", False),
        ({"debuginput": "a.gcode"}, None, True),
    ],
)
def test_start_arguments(main, args, sock, is_batch):
    main.printer.start_args = args
    assert (main.klippy.own_sock, main.klippy.is_batch) == (sock, is_batch)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (None, "exit"),
        ("exit", "exit"),
        ("error_exit", "exit"),
        ("restart", "restart"),
        ("firmware_restart", "restart"),
    ],
)
def test_why_klippy_exits(main, result, reason):
    if result is not None:
        main.printer.run_result = result
    assert main.klippy.end_reason == reason


def test_a_report_does_not_stop_a_print(main, caplog):
    main.klippy.report("led is off")
    main.klippy.show("only shown")
    assert main.console == ["// Router: led is off", "// only shown"]
    assert caplog.text == ""
    main.reactor.run()
    assert "router: led is off" in caplog.text and "only shown" not in caplog.text


def test_every_line_of_a_report_is_marked(main):
    main.klippy.report("a\naction:cancel")
    assert main.console == ["// Router: a", "// action:cancel"]


def test_what_was_not_logged_yet_is_logged_at_the_end(main, caplog):
    main.klippy.log(logging.WARNING, "first")
    main.klippy.log(logging.WARNING, "last")
    main.klippy.close()
    main.reactor.run()
    assert [record.getMessage() for record in caplog.records] == ["router: first", "router: last"]


def test_only_objects_with_a_status_have_one(main):
    main.printer.objects.update(fan=FakeObject(speed=1.0), pins=object())
    assert main.klippy.object_names() == ["fan"]
    assert main.klippy.object_status("fan", 0.0) == {"speed": 1.0}
    assert main.klippy.object_status("pins", 0.0) == main.klippy.object_status("no", 0.0) == {}
