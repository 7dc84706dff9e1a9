"""The whole router on a fake Klippy, with fake peers: who is sent what, and who is notified."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, List, Optional
from unittest import mock

from klippy_extras.router import router
from klippy_extras.router.printers.printer import Job
from klippy_extras.router.settings import PeerSettings
from tests.unit.fake_klippy import FakeConfig, FakeObject, Machine
from tests.unit.fake_printer import FakePrinter

CONFIG = "[router]\n[router led]\n[router afc]\n"


class FakeHeaters:
    """The object heaters."""

    def __init__(self) -> None:
        self.available_sensors: List[str] = []
        self.available_heaters: List[str] = []
        self.heaters: Dict[str, Any] = {}

    def register_sensor(self, config: Any, sensor: Any) -> None:
        """Of temperature_sensor objects."""


class PlannedToolhead(FakeObject):
    """The object toolhead, and mcu: print time is reactor time. end: of the moves, all planned."""

    end = 0.0

    def check_busy(self, eventtime: float) -> Any:
        return self.end, eventtime, True

    def estimated_print_time(self, eventtime: float) -> float:
        return eventtime


class FakePeer(FakePrinter):
    """A peer of the router.

    duration: seconds that its scripts take; None: until the test ends them.
    """

    def __init__(
        self, network: "Network", settings: PeerSettings, methods: Any, on_call: Any
    ) -> None:
        super().__init__(settings.name, settings.disconnect_grace)
        self.software_version, self.latency = "", None
        self.reconnects = self.unanswered = self.calls = 0
        self.sock, self.allow = settings.sock, settings.allow
        self.methods = methods
        methods.found([])
        self.has_own_router = False
        self.klippy_process: Optional[int] = None
        self.duration: Optional[float] = 0.0
        self.last: List[str] = []  # what it was sent before the end
        self.is_stopped = self.is_started = False
        self.emergency_stops = 0
        self._network, self._on_call = network, on_call

    @property
    def has_router(self) -> bool:
        return self.has_own_router

    @property
    def klippy_pid(self) -> Optional[int]:
        return self.klippy_process

    def start(self) -> None:
        self.is_started = True

    def stop(self) -> None:
        self.is_stopped = True

    def emergency_stop(self) -> None:
        self.emergency_stops += 1

    def send_last(self, script: str) -> None:
        self.last.append(script)

    def call_router(self, method: str, **params: Any) -> None:
        """Call a method of the router, as a macro of this peer does."""
        self._on_call(self, method, params)
        self._network.reactor.run()

    def take_calls(self) -> List[Any]:
        """Its endpoints that were called since the last call, answered with {}."""
        called, self.called = self.called, []
        for call in called:
            call.done({}, None)
        return [(call.endpoint, call.params) for call in called]

    def _begin(self, job: Job) -> None:
        if self.duration is not None:
            self._network.reactor.at(self.duration, lambda: self._end_if_runs(job))

    def _end_if_runs(self, job: Job) -> None:
        if self._running is job:
            self.finish()


class ApiClient:
    """A connection to this printer's API socket."""

    def __init__(self, network: "Network") -> None:
        self._network = network
        self.received: List[Dict[str, Any]] = []
        self.is_open = True
        self.sock: Any = None  # a test that needs one sets it

    def is_closed(self) -> bool:
        return not self.is_open

    def send(self, message: Dict[str, Any]) -> None:
        self.received.append(message)

    def call(self, method: str, **params: Any) -> Any:
        return self._network.webhooks.call(method, params, self)

    def take(self) -> List[Dict[str, Any]]:
        """What it was sent since the last call."""
        self._network.reactor.run()
        received, self.received = self.received, []
        return received


class Network(Machine):
    """The router of main, with the peers of its config. It runs, and so do the peers."""

    def __init__(self, config: str = CONFIG, is_ready: bool = True, is_batch: bool = False) -> None:
        super().__init__()
        self.printer.start_args = {"debuginput": "a.gcode"} if is_batch else {}
        self.peers: Dict[str, FakePeer] = {}
        self.printer.objects.update(
            toolhead=PlannedToolhead(position=[0, 0, 0, 0]),
            mcu=PlannedToolhead(),
            print_stats=FakeObject(state="standby"),
            heaters=FakeHeaters(),
            configfile=FakeObject(settings={}, config={}),
        )
        self.command("FAIL", self.fail)
        for name in ("SHOW", "SHOW_A", "SHOW_B"):
            self.command(name)
        with mock.patch.object(router, "RemotePrinter", self._peer):
            self.router = router.Router(FakeConfig(self.printer, config).section("router"))
        self.printer.objects["router"] = self.router
        self.printer.send_event("klippy:connect")
        self.reactor.run()
        if is_ready:
            self.printer.send_event("klippy:ready")
            for peer in self.peers.values():
                peer.connects()

    def _peer(self, klippy: Any, settings: PeerSettings, methods: Any, on_call: Any) -> FakePeer:
        peer = self.peers[settings.name] = FakePeer(self, settings, methods, on_call)
        return peer

    @property
    def led(self) -> FakePeer:
        return self.peers["led"]

    @property
    def afc(self) -> FakePeer:
        return self.peers["afc"]

    def run(self, script: str) -> None:
        """Run G-code here, as a console does. Raises CommandError."""
        self.gcode.run_script(script)
        self.reactor.run()

    def client(self) -> ApiClient:
        return ApiClient(self)

    def call(self, method: str, **params: Any) -> Any:
        """Call a method as an API client. Raises CommandError."""
        return self.client().call(method, **params)

    def take_ran(self) -> List[str]:
        """The lines of G-code that have run here since the last call."""
        self.reactor.run()
        ran, self.gcode.ran = self.gcode.ran, []
        return ran

    def take_console(self) -> List[str]:
        """What the console has shown since the last call."""
        self.reactor.run()
        console, self.gcode.console = self.gcode.console, []
        return console

    def shuts_down(self, message: str = "M112") -> None:
        """This printer shuts down."""
        self.state("shutdown", message)
        self.printer.send_event("klippy:shutdown")
        self.reactor.run()

    @property
    def last_error(self) -> str:
        error: str = self.router.get_status(self.reactor.now)["last_error"]
        return error
