# This printer's Klippy: its state, G-code, console, endpoints and objects
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple

from ..errors import RouterError, UsageError
from ..sanitize import printable
from .closed_fds import accept_closed_fds
from .guard import guarded
from .protocols import KlippyPrinter, Reactor
from .requests import InProcessRequest, RemoteMethodReceiver
from .timers import Timers


class Klippy:
    """The Klippy process that the router runs in."""

    def __init__(self, printer: Any) -> None:
        self.printer: KlippyPrinter = printer
        self.reactor: Reactor = self.printer.get_reactor()
        accept_closed_fds(self.reactor)
        self.timers = Timers(self.reactor)
        self.command_error = self.printer.command_error
        self.config_error = self.printer.config_error
        self.gcode = self.printer.lookup_object("gcode")
        self.gcode_mutex = self.gcode.get_mutex()
        self.webhooks = self.printer.lookup_object("webhooks")
        # 2023-era Klipper cannot parse # * ; in a parameter. Its dispatcher has this attribute
        # (klippy/gcode.py before 2024-11-26).
        self.old_parser = hasattr(self.gcode, "extended_r")
        self._unlogged: Deque[Tuple[int, str]] = deque()  # lines for the log, and their levels
        # Receive the console output of running scripts; for nested ones, only the last does
        self._listening: List[Callable[[str], None]] = []
        self.gcode.register_output_handler(self._handle_output)

    @property
    def own_sock(self) -> Optional[str]:
        """The path of this Klippy's API socket. Kalico has another name for the argument."""
        args = self.printer.get_start_args()
        path = args.get("apiserver") or args.get("apiserver_file")
        return str(path) if path else None

    @property
    def is_batch(self) -> bool:
        """Whether Klippy only reads G-code from a file (-i): it must not affect other printers."""
        return self.printer.get_start_args().get("debuginput") is not None

    @property
    def end_reason(self) -> str:
        """Why this Klippy ends, at klippy:disconnect: restart or exit (klippy/klippy.py, run)."""
        result = getattr(self.printer, "run_result", None)
        return "restart" if result in ("restart", "firmware_restart") else "exit"

    def state(self) -> Tuple[str, str]:
        """This Klippy's state (startup, ready, error, shutdown) and message."""
        message, state = self.printer.get_state_message()
        return state, message

    def commands(self) -> Dict[str, Any]:
        """The G-code commands that have a help text, with it, as endpoint 'gcode/help'."""
        return self.gcode.get_command_help()  # type: ignore[no-any-return]

    @property
    def prints_file(self) -> bool:
        """Whether a print from virtual_sdcard is in progress and not paused."""
        status = self.object_status("virtual_sdcard", self.timers.now())
        return bool(status.get("is_active"))

    @property
    def is_printing_or_paused(self) -> bool:
        """Whether a print from virtual_sdcard has started and not ended."""
        status = self.object_status("print_stats", self.timers.now())
        return status.get("state") in ("printing", "paused")

    @property
    def is_printing(self) -> bool:
        """Whether a print may be in progress: printing or paused from virtual_sdcard, or over the
        serial port.

        Klippy does not know whether a host such as OctoPrint is printing: every line from the
        serial port counts as part of a print. Source: klippy/gcode.py, class GCodeIO.
        """
        return self.is_printing_or_paused or self.serial_port_is_busy

    @property
    def serial_port_is_busy(self) -> bool:
        """Whether a line from the serial port is being executed, or waits for other G-code."""
        gcode_io = self.printer.lookup_object("gcode_io", None)
        return bool(getattr(gcode_io, "is_processing_data", False))

    @property
    def can_pause(self) -> bool:
        """Whether PAUSE would pause a print.

        Outside a print it would leave pause_resume paused, and the next print could not be paused.
        """
        return "PAUSE" in self.commands() and self.is_printing

    def pause_print(self) -> None:
        """Run PAUSE for a caller that holds gcode_mutex.

        Raises RouterError, also if a print from virtual_sdcard continues: PAUSE does nothing while
        pause_resume is paused.
        """
        self.run_script_here("PAUSE")
        sdcard: Any = self.printer.lookup_object("virtual_sdcard", None)
        if sdcard is not None and sdcard.is_active() and not sdcard.must_pause_work:
            raise RouterError("PAUSE did not pause the print: run CLEAR_PAUSE before a print")

    def reset_idle_timeout(self) -> None:
        """Restart idle_timeout, as every command that sets a heater does; may pause.

        Source: klippy/extras/heaters.py, set_temperature().
        """
        toolhead: Any = self.printer.lookup_object("toolhead")
        toolhead.register_lookahead_callback(_ignore_time)

    def run_script_here(self, script: str, printed: Optional[Callable[[str], None]] = None) -> None:
        """Run G-code for a caller that holds gcode_mutex; may pause. Raises RouterError.

        printed: gets what it prints on the console. Does not use gcode.run_script, because Kalico's
        skips the mutex when the text contains INTERRUPT.
        """
        if printed is not None:
            self._listening.append(printed)
        try:
            self.gcode.run_script_from_command(script)
        except Exception as e:
            # If it is not a command error, Klippy has logged it and shut the printer down
            raise RouterError(printable(e)) from e
        finally:
            if printed is not None:
                self._listening.remove(printed)

    def _handle_output(self, text: str) -> None:
        if self._listening:
            guarded(self._listening[-1], text)

    def call_endpoint(self, endpoint: str, params: Dict[str, Any]) -> Any:
        """Call one of this Klippy's own endpoints; may pause. Raises RouterError."""
        request = InProcessRequest(self.command_error, endpoint, params)
        try:
            self.webhooks.get_callback(endpoint)(request)
        except self.command_error as e:
            raise RouterError(printable(e)) from e
        except Exception as e:
            # Klippy itself would shut down; here it is logged, and the caller gets the error
            logging.exception("router: endpoint '%s' failed", printable(endpoint))
            raise RouterError("endpoint '%s' failed: %s" % (endpoint, printable(e))) from e
        return request.result

    def call_remote_method(self, method: str, params: Dict[str, Any]) -> None:
        """Call a remote method that API clients, such as Moonraker, have registered here.

        As a macro of this printer does. params: encodable. Raises RouterError.
        """
        reserved = {"self", "method"} & params.keys()  # klippy/webhooks.py, call_remote_method()
        if reserved:
            raise UsageError(
                "Remote method '%s' cannot have a parameter '%s'" % (method, min(reserved))
            )
        try:
            self.webhooks.call_remote_method(method, **params)
        except self.command_error as e:
            raise RouterError(
                "%s: check that Moonraker, or the program that has this method, is connected and"
                " configured for it" % (printable(e),)
            ) from e

    def info(self) -> Dict[str, Any]:
        """The answer of this Klippy's endpoint 'info': app (Kalico only), software_version, ..."""
        info = self.call_endpoint("info", {})
        return info if isinstance(info, dict) else {}

    def other_clients(self, is_method: Callable[[str], bool]) -> List[Any]:
        """The sockets of API clients that registered such remote methods here.

        A remote method call goes to them, too. Source: klippy/webhooks.py, call_remote_method().
        """
        methods = getattr(self.webhooks, "_remote_methods", {})
        connections = {
            connection
            for name, registered in methods.items()
            if is_method(name)
            for connection in registered
            if not isinstance(connection, RemoteMethodReceiver) and not connection.is_closed()
        }
        return [connection.sock for connection in connections]

    def object_names(self) -> List[str]:
        """The objects that have a status (klippy/webhooks.py, objects/list)."""
        return [n for n, o in self.printer.lookup_objects() if hasattr(o, "get_status")]

    def object_status(self, name: str, eventtime: float) -> Dict[str, Any]:
        """The status of an object, {} if there is none (as in Klipper's objects/query)."""
        klippy_object = self.printer.lookup_object(name, None)
        if not hasattr(klippy_object, "get_status"):
            return {}
        return klippy_object.get_status(eventtime)  # type: ignore[no-any-return]

    def respond_info(self, text: str) -> None:
        """Show a message on this printer's console, and log it."""
        self.gcode.respond_info(text)

    def show(self, text: str) -> None:
        """Show one or more lines on this printer's console, without logging them."""
        self.gcode.respond_raw("// " + text.replace("\n", "\n// "))

    def report(self, text: str) -> None:
        """Show a line on this printer's console, and log it: something failed, but not a print.

        Without `!!`, on which some hosts such as OctoPrint stop a print.
        """
        self.log(logging.WARNING, text)
        self.gcode.respond_raw("// Router: %s" % (text.replace("\n", "\n// "),))

    def log(self, level: int, text: str) -> None:
        """Log a line at this level, in a callback of its own, because it takes 0.1 to 0.3 ms."""
        self._unlogged.append((level, text))
        self.timers.soon(self._log_next)

    def _log_next(self) -> None:
        level, text = self._unlogged.popleft()
        logging.log(level, "router: %s", text)

    def close(self) -> None:
        """Log what was not logged yet, and drop all timers."""
        self.timers.close()
        while self._unlogged:
            self._log_next()

    def register_remote_method(
        self, method: str, receive: Callable[[Dict[str, Any]], None]
    ) -> None:
        """Receive action_call_remote_method(method) from this printer's own macros."""
        request = InProcessRequest(
            self.command_error,
            "register_remote_method",
            {"remote_method": method, "response_template": {"method": method}},
            RemoteMethodReceiver(receive),
        )
        self.webhooks.get_callback("register_remote_method")(request)


def _ignore_time(_print_time: float) -> None:
    """A callback for when the toolhead gets here."""
