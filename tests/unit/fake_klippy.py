"""What the router uses of a Klippy's objects: G-code, webhooks, events, state. No greenlets."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import configparser
import shlex
from typing import Any, Callable, Dict, List, Optional, Tuple

from klippy_extras.router.klippy.klippy import Klippy
from klippy_extras.router.klippy.requests import InProcessRequest
from tests.unit.fake_reactor import FakeReactor

_REQUIRED = object()


class CommandError(Exception):
    """printer.command_error."""


class ConfigError(Exception):
    """printer.config_error."""


class FakeCommand:
    """One line of G-code, as klippy/gcode.py, class GCodeCommand."""

    error = CommandError

    def __init__(self, gcode: "FakeGCode", line: str) -> None:
        self._gcode, self._line = gcode, line
        self._name, _space, self._raw = line.partition(" ")
        self._name = self._name.upper()
        self._params: Dict[str, str] = {}

    def parse(self) -> None:
        words = [word.partition("=") for word in shlex.split(self._raw)]
        self._params = {name.upper(): value for name, _equals, value in words}

    def get_command(self) -> str:
        return self._name

    def get_commandline(self) -> str:
        return self._line

    def get_command_parameters(self) -> Dict[str, str]:
        return self._params

    def get_raw_command_parameters(self) -> str:
        return self._raw

    def respond_info(self, text: str) -> None:
        self._gcode.respond_info(text)

    def get(self, name: str, default: Any = _REQUIRED) -> Any:
        if name in self._params:
            return self._params[name]
        if default is _REQUIRED:
            raise self.error(f"Error on '{self._line}': missing {name}")
        return default

    def get_int(self, name: str, default: Any = _REQUIRED, minval: Any = None, maxval: Any = None):
        return self._number(int, name, default, minval, maxval, None)

    def get_float(
        self,
        name: str,
        default: Any = _REQUIRED,
        minval: Any = None,
        maxval: Any = None,
        above: Any = None,
    ) -> Any:
        return self._number(float, name, default, minval, maxval, above)

    def _number(
        self, parse: Any, name: str, default: Any, minval: Any, maxval: Any, above: Any
    ) -> Any:
        text = self.get(name, default)
        if not isinstance(text, str):
            return text
        try:
            value = parse(text)
        except ValueError:
            raise self.error(f"Error on '{self._line}': unable to parse {text}") from None
        too_low = minval is not None and value < minval or above is not None and value <= above
        if too_low or maxval is not None and value > maxval:
            raise self.error(f"Error on '{self._line}': {name} must be within its bounds")
        return value


class FakeGCode:
    """The object gcode. ran: every line that was run. console: what was printed."""

    def __init__(self, reactor: FakeReactor) -> None:
        self.ran: List[str] = []
        self.console: List[str] = []
        self._mutex = reactor.mutex()
        self._commands: Dict[str, Callable[[Any], None]] = {}
        self._helps: Dict[str, str] = {}
        self._handlers: List[Callable[[str], None]] = []
        # command -> (the parameter that selects one, {its value: handler})
        self._mux: Dict[str, Tuple[str, Dict[str, Callable[[Any], None]]]] = {}

    def get_mutex(self) -> Any:
        return self._mutex

    def register_output_handler(self, handler: Callable[[str], None]) -> None:
        self._handlers.append(handler)

    def register_command(
        self, name: str, run: Any, when_not_ready: bool = False, desc: Optional[str] = None
    ) -> Any:
        if run is None:
            self._helps.pop(name, None)
            return self._commands.pop(name, None)
        if name in self._commands:
            raise ConfigError(f"gcode command {name} already registered")
        self._commands[name] = run
        if desc is not None:
            self._helps[name] = desc
        return None

    def register_mux_command(
        self, name: str, key: str, value: str, run: Any, desc: Optional[str] = None
    ) -> None:
        if name not in self._mux:
            self.register_command(name, lambda gcmd: self._run_mux(name, gcmd), desc=desc)
            self._mux[name] = (key, {})
        known_key, runs = self._mux[name]
        if known_key != key or value in runs:
            raise ConfigError(f"mux command {name} {key} {value} already registered")
        runs[value] = run

    def _run_mux(self, name: str, gcmd: Any) -> None:
        key, runs = self._mux[name]
        value = gcmd.get(key)
        if value not in runs:
            raise gcmd.error(f"The value '{value}' is not valid for {key}")
        runs[value](gcmd)

    def get_command_help(self) -> Dict[str, str]:
        return dict(self._helps)

    def run_script(self, script: str) -> None:
        with self._mutex:
            self.run_script_from_command(script)

    def run_script_from_command(self, script: str) -> None:
        assert self._mutex.test(), "G-code ran without the mutex"
        for line in filter(None, map(str.strip, script.split("\n"))):
            self.ran.append(line)
            gcmd = FakeCommand(self, line)
            run = self._commands.get(gcmd.get_command())
            if run is None:
                self.respond_info(f'Unknown command:"{gcmd.get_command()}"')
                continue
            gcmd.parse()
            run(gcmd)

    def respond_info(self, text: str, log: bool = True) -> None:
        lines = [line.strip() for line in text.strip().split("\n")]
        self.respond_raw("// " + "\n// ".join(lines))

    def respond_raw(self, text: str) -> None:
        self.console += text.split("\n")
        for handler in self._handlers:
            handler(text)


class FakeWebhooks:
    """The object webhooks."""

    def __init__(self) -> None:
        self.endpoints: Dict[str, Callable[[Any], None]] = {
            "register_remote_method": self._register_remote_method
        }
        self._remote_methods: Dict[str, Dict[Any, Any]] = {}

    def register_endpoint(self, name: str, run: Callable[[Any], None]) -> None:
        self.endpoints[name] = run

    def get_callback(self, name: str) -> Callable[[Any], None]:
        if name not in self.endpoints:
            raise CommandError(f"webhooks: No registered callback for path '{name}'")
        return self.endpoints[name]

    def call(self, name: str, params: Dict[str, Any], connection: Any = None) -> Any:
        """Call an endpoint as an API client does."""
        request = InProcessRequest(CommandError, name, params, connection)
        self.get_callback(name)(request)
        return request.result

    def call_remote_method(self, name: str, **params: Any) -> None:
        if name not in self._remote_methods:
            raise CommandError(f"Remote method '{name}' not registered")
        for connection, template in self._remote_methods[name].items():
            connection.send(dict(template, params=params))

    def _register_remote_method(self, request: Any) -> None:
        receivers = self._remote_methods.setdefault(request.get_str("remote_method"), {})
        receivers[request.get_client_connection()] = request.get_dict("response_template")


class FakeObject:
    """An object of a printer with a status."""

    def __init__(self, **status: Any) -> None:
        self.status = status

    def get_status(self, eventtime: float) -> Dict[str, Any]:
        return dict(self.status)


class FakeKlippyPrinter:
    """klippy/klippy.py, class Printer."""

    command_error, config_error = CommandError, ConfigError

    def __init__(self, reactor: FakeReactor) -> None:
        self.reactor = reactor
        self.gcode, self.webhooks = FakeGCode(reactor), FakeWebhooks()
        self.objects: Dict[str, Any] = {"gcode": self.gcode, "webhooks": self.webhooks}
        self.start_args: Dict[str, Any] = {}
        self.state, self.message = "ready", "Printer is ready"
        self._handlers: Dict[str, List[Callable[..., None]]] = {}

    def get_reactor(self) -> FakeReactor:
        return self.reactor

    def get_start_args(self) -> Dict[str, Any]:
        return self.start_args

    def get_state_message(self) -> Tuple[str, str]:
        return self.message, self.state

    def lookup_object(self, name: str, default: Any = _REQUIRED) -> Any:
        if name not in self.objects and default is _REQUIRED:
            raise ConfigError(f"Unknown config object '{name}'")
        return self.objects.get(name, default)

    def lookup_objects(self, module: Optional[str] = None) -> List[Tuple[str, Any]]:
        return list(self.objects.items())

    def load_object(self, config: Any, name: str) -> Any:
        return self.lookup_object(name)

    def add_object(self, name: str, klippy_object: Any) -> None:
        self.objects[name] = klippy_object

    def register_event_handler(self, event: str, callback: Callable[..., None]) -> None:
        self._handlers.setdefault(event, []).append(callback)

    def send_event(self, event: str, *args: Any) -> None:
        for callback in self._handlers.get(event, []):
            callback(*args)


class FakeConfig:
    """The config of a printer; section() gives what Klipper hands to load_config()."""

    def __init__(self, printer: FakeKlippyPrinter, text: str) -> None:
        self.printer = printer
        self.parser = configparser.RawConfigParser(strict=False)
        self.parser.read_string(text)

    def section(self, name: str) -> "FakeSection":
        return FakeSection(self, name)


class FakeSection:
    """klippy/configfile.py, class ConfigWrapper."""

    error = ConfigError

    def __init__(self, config: FakeConfig, name: str) -> None:
        self._config, self._parser, self._name = config, config.parser, name

    def get_printer(self) -> FakeKlippyPrinter:
        return self._config.printer

    def get_name(self) -> str:
        return self._name

    def has_section(self, name: str) -> bool:
        return self._parser.has_section(name)

    def get_prefix_sections(self, prefix: str) -> "List[FakeSection]":
        names = [name for name in self._parser.sections() if name.startswith(prefix)]
        return [FakeSection(self._config, name) for name in names]

    def get(self, option: str, default: Any = _REQUIRED, note_valid: bool = True) -> Any:
        if self._parser.has_option(self._name, option):
            return self._parser.get(self._name, option)
        if default is _REQUIRED:
            raise self.error(f"Option '{option}' in section '{self._name}' must be specified")
        return default

    def getfloat(
        self, option: str, default: Any = _REQUIRED, minval: Any = None, maxval: Any = None
    ) -> Any:
        return self._number(float, option, default, minval, maxval)

    def getint(
        self, option: str, default: Any = _REQUIRED, minval: Any = None, maxval: Any = None
    ) -> Any:
        return self._number(int, option, default, minval, maxval)

    def getboolean(self, option: str, default: Any = _REQUIRED) -> Any:
        value = self.get(option, default)
        return value if isinstance(value, bool) else value.lower() in ("true", "1", "yes", "on")

    def _number(self, parse: Any, option: str, default: Any, minval: Any, maxval: Any) -> Any:
        value = parse(self.get(option, default))
        if (minval is not None and value < minval) or (maxval is not None and value > maxval):
            raise self.error(
                f"Option '{option}' in section '{self._name}' must be within {minval} and {maxval}"
            )
        return value


class Machine:
    """A printer for a test: its clock, its console, and the router's Klippy on top of them."""

    def __init__(self) -> None:
        self.reactor = FakeReactor()
        self.printer = FakeKlippyPrinter(self.reactor)
        self.gcode, self.webhooks = self.printer.gcode, self.printer.webhooks
        self.klippy = Klippy(self.printer)

    @property
    def console(self) -> List[str]:
        """The lines that were printed."""
        return self.gcode.console

    def command(
        self, name: str, run: Callable[[Any], Any] = lambda gcmd: None, help_text: str = "A macro"
    ) -> None:
        """Make a command of this printer, as a macro is one."""
        self.gcode.register_command(name, run, desc=help_text)

    def fail(self, gcmd: Any) -> None:
        """A command that fails."""
        raise CommandError("broken here")

    def state(self, state: str, message: str = "") -> None:
        """Set the state that Klippy reports from now on."""
        self.printer.state, self.printer.message = state, message
