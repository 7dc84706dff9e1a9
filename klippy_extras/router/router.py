# The composition root: builds the parts of the router and connects them to Klippy
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from typing import Any, Dict, List, Tuple

from .api.command_calls import CommandCalls
from .api.commands import Commands
from .api.device_commands import DeviceCommands
from .api.methods import Methods
from .api.proxies import Proxies
from .api.proxy_patterns import PatternProxies
from .api.registration import register_commands
from .api.remote_methods import RemoteMethods
from .api.sync import SyncQueue
from .api.wait_commands import WaitCommands
from .api.waits import Waits
from .api.webhooks import Endpoints
from .devices.devices import Devices
from .devices.sensors import RemoteSensor
from .diagnosis.diagnosis import Diagnosis
from .diagnosis.echo import Echoes
from .diagnosis.host_checks import HostChecks
from .diagnosis.other_routers import OtherRouters
from .diagnosis.peer_checks import PeerChecks
from .diagnosis.printer_checks import Registrations
from .errors import RouterError
from .events.disconnect_grace import DisconnectGrace
from .events.events import Events
from .events.exchange import Exchange
from .events.heartbeat import Heartbeat
from .events.lifecycle import Lifecycle
from .events.notices import Notices
from .events.print_guard import PrintGuard
from .events.reports import Reports
from .klippy.activity import Activity
from .klippy.guard import guarded
from .klippy.klippy import Klippy
from .printers.local_printer import LocalPrinter
from .printers.printer import Objects, Printer
from .printers.remote_printer import RemotePrinter
from .sanitize import counted
from .settings import PeerSettings, RouterSettings, read_settings
from .status.mirror import Mirror, StatusWithMirror
from .status.name_check import NameCheck
from .status.subscriptions import Subscriptions
from .version import VERSION


class PeerStatus:
    """The object printer["router NAME"]."""

    def __init__(self, peer: RemotePrinter, mirror: Mirror) -> None:
        self._peer, self._mirror = peer, mirror

    def get_status(self, eventtime: float) -> Dict[str, Any]:
        peer = self._peer
        fields = {
            "connected": peer.connected,
            "ready": peer.ready,
            "state": peer.state,
            "state_message": peer.state_message,
            "software_version": peer.software_version,
            "latency": peer.latency,
            "reconnects": peer.reconnects,
            "last_error": peer.last_error,
        }
        return StatusWithMirror(fields, self._mirror)


class Router:
    """The object printer.router."""

    def __init__(self, config: Any) -> None:
        printer = config.get_printer()
        self._klippy = klippy = Klippy(printer)
        settings = read_settings(config, klippy.own_sock)
        peers = ", ".join(peer.name for peer in settings.peers)
        logging.info("router: version %s, peers: %s", VERSION, peers or "none")
        self._local = LocalPrinter(klippy, settings.name, settings.status_interval)
        self._activity = Activity(klippy, config.has_section)
        self._reports = Reports(klippy)
        names = NameCheck(klippy.timers.soon, self._reports.warn)
        self._subscriptions = Subscriptions(self._callback_failed, names, klippy.timers)
        self._events = Events(self._reports, klippy.timers.now)
        self._exchange = Exchange(self._events)
        self._waits = Waits(klippy, self._subscriptions, self._events)
        self._sync_queue = SyncQueue(klippy)
        self._printers: Dict[str, Printer] = {settings.name: self._local}
        self._peers: Dict[str, RemotePrinter] = {}
        self._status: Dict[str, PeerStatus] = {}
        self._mirrors: Dict[RemotePrinter, Mirror] = {}
        self._stopped_with_us: List[RemotePrinter] = []
        echoes = Echoes(self._printers)
        diagnosis = self._make_diagnosis(echoes)
        methods = Methods(self._printers, self._subscriptions, self._events, diagnosis.start)
        remote_methods = RemoteMethods(
            klippy, self._local, methods, self._reports, echoes, self._exchange
        )
        for peer in settings.peers:
            self._add_peer(peer, remote_methods)
        self._devices = Devices(self._peers, settings.peers)
        self._add_listeners(settings, remote_methods)
        remote_methods.register_here()
        self._register_interfaces(config, settings, methods)
        self._add_objects(config, settings, methods)
        printer.register_event_handler("klippy:ready", self._handle_ready)
        printer.register_event_handler("klippy:shutdown", self._handle_shutdown)
        printer.register_event_handler("klippy:disconnect", self._handle_disconnect)
        if not klippy.is_batch:
            # Once the reactor runs, even if this printer never becomes ready
            klippy.timers.soon(self._start)

    def _make_diagnosis(self, echoes: Echoes) -> Diagnosis:
        klippy = self._klippy
        registrations = Registrations(self._subscriptions, self._events)
        self._host_checks = HostChecks(klippy, self._local, registrations, self._reports)
        peer_checks = PeerChecks(klippy.timers, registrations, echoes)
        self._other_routers = OtherRouters(klippy.timers, echoes, klippy.report)
        return Diagnosis(klippy.timers, self._peers, self._host_checks, peer_checks)

    def _add_peer(self, peer: PeerSettings, remote_methods: RemoteMethods) -> None:
        methods = remote_methods.for_peer(peer)
        printer = RemotePrinter(self._klippy, peer, methods, remote_methods.called)
        mirror = Mirror(peer.mirror, self._klippy.timers.now)
        self._peers[peer.name] = self._printers[peer.name] = printer
        self._status[peer.name] = PeerStatus(printer, mirror)
        self._mirrors[printer] = mirror
        if peer.emergency_stop:
            self._stopped_with_us.append(printer)

    def _add_objects(self, config: Any, settings: RouterSettings, methods: Methods) -> None:
        for peer in settings.peers:
            self._add_sensors(config, peer)
        if self._devices.all:
            self._add_devices(config, methods)

    def _add_sensors(self, config: Any, peer: PeerSettings) -> None:
        printer = self._peers[peer.name]
        for setting in peer.sensors:
            sensor = RemoteSensor(
                setting.name,
                printer,
                setting.source_object,
                setting.source_field,
                setting.option,
            )
            sensor.register(config)
            printer.listeners.append(sensor)
            objects: Objects = {setting.source_object: [setting.source_field]}
            self._subscriptions.subscribe_always(self._local, printer, objects, sensor)

    def _add_devices(self, config: Any, methods: Methods) -> None:
        klippy, devices = self._klippy, self._devices
        devices.register(config)
        commands = DeviceCommands(
            methods, self._reports, self._sync_queue, self._local, klippy.show
        )
        commands.register(config, klippy.gcode, devices.all)
        devices.heaters.start(klippy, self._heartbeat.heartbeat)
        for device in devices.all:
            device.peer.listeners.append(device)
            objects: Objects = {device.settings.source: None}
            self._subscriptions.subscribe_always(self._local, device.peer, objects, device)
        for peer in {device.peer for device in devices.all}:
            peer.listeners.append(devices.sections)

    def _register_interfaces(self, config: Any, settings: RouterSettings, methods: Methods) -> None:
        Endpoints(self._klippy, methods, self._local).register()
        gcode = self._klippy.gcode
        waiting = WaitCommands(self._klippy, methods, self._reports, self._waits, self._local)
        calls = CommandCalls(methods, self._reports, self._sync_queue, self._local)
        commands = Commands(calls, waiting, self._status_lines)
        proxies = Proxies(config, gcode, calls, self._klippy.show)
        self._host_checks.shadowed = register_commands(gcode, (commands, waiting), proxies.macros)
        proxies.register(settings.peers)
        patterns: Dict[Printer, Tuple[str, ...]] = {
            self._peers[p.name]: p.proxy_patterns for p in settings.peers if p.proxy_patterns
        }
        if patterns:
            listener = PatternProxies(self._klippy, proxies, self._local, patterns)
            for printer in (self._local, *patterns):
                printer.listeners.append(listener)

    def _add_listeners(self, settings: RouterSettings, remote_methods: RemoteMethods) -> None:
        """Add the listeners of all printers, in the order in which they are notified."""
        klippy = self._klippy
        on_connect = {self._printers[peer.name]: peer.on_connect for peer in settings.peers}
        on_connect[self._local] = settings.on_connect
        self._lifecycle = Lifecycle(self._printers.values(), on_connect, klippy.timers)
        self._heartbeat = Heartbeat(
            klippy.timers,
            self._local,
            self._peers.values(),
            self._lifecycle,
            self._devices.heaters.set_on,
        )
        grace = DisconnectGrace(klippy.timers)
        quiet, pausing = (
            [self._peers[p.name] for p in settings.peers if p.on_disconnect == word]
            for word in ("ignore", "pause")
        )
        required = [self._peers[peer.name] for peer in settings.peers if peer.required]
        guard = PrintGuard(klippy, self._local, grace, pausing, required)
        klippy.printer.register_event_handler("klippy:connect", guard.guard_starts)
        notices = Notices(klippy, quiet)
        # A lifecycle macro runs before what subscriptions and events run on the same printer, and
        # a loss is shown on the console before a print is paused for it
        everyone = [self._lifecycle, grace, self._subscriptions, self._events, self._waits]
        self._local.listeners += [*everyone, self._heartbeat]
        for peer in self._peers.values():
            mirror = self._mirrors[peer]
            peer.listeners += [self._exchange, remote_methods, mirror, *everyone]
            peer.listeners += [notices, guard, self._heartbeat, self._other_routers]
            mirror.start(self._local, peer, self._subscriptions)

    def peer_status(self, name: str) -> PeerStatus:
        """The status object of the section [router NAME]."""
        return self._status[name]

    def get_status(self, eventtime: float) -> Dict[str, Any]:
        return {
            "name": self._local.name,
            "version": VERSION,
            "activity": self._activity.read(eventtime),
            "printers": {
                printer.name: {
                    "connected": printer.connected,
                    "ready": printer.ready,
                    "state": printer.state,
                }
                for printer in self._printers.values()
            },
            "events": self._events.recent,
            "subscriptions": self._subscriptions.count,
            "last_error": self._reports.last_error,
        }

    def stats(self, eventtime: float) -> Tuple[bool, str]:
        """Called by Klippy once a second, for the Stats line in its log."""
        guarded(self._subscriptions.prune)
        guarded(self._events.prune)
        peers = self._peers.values()
        return (
            False,
            "router: peers=%d ready=%d subscriptions=%d handlers=%d queued=%d calls=%d"
            % (
                len(self._peers),
                sum(peer.ready for peer in peers),
                self._subscriptions.count,
                self._events.count,
                sum(printer.queue_length for printer in self._printers.values()),
                sum(peer.calls for peer in peers),
            ),
        )

    # -- Klippy's events

    def _start(self) -> None:
        self._local.start()
        for peer in self._peers.values():
            peer.start()
        self._heartbeat.start()

    # These must not pause: they only send and queue

    def _handle_ready(self) -> None:
        guarded(self._local.update_state)
        guarded(self._devices.heaters.list_all)

    def _handle_shutdown(self) -> None:
        guarded(self._devices.heaters.turn_off_all)
        for peer in self._stopped_with_us:
            guarded(peer.emergency_stop)
        guarded(self._sync_queue.drop_all)
        for peer in self._peers.values():
            guarded(peer.drop_timed_jobs, self._klippy.timers.now())
        # Current Klipper completes the message only after these handlers (extras/error_mcu.py)
        self._klippy.timers.soon(self._local.update_state)

    def _handle_disconnect(self) -> None:
        for peer in self._peers.values():
            guarded(self._notify_of_end, peer)
            peer.stop()
        self._local.stop()
        self._klippy.close()

    # -- inside

    def _notify_of_end(self, peer: RemotePrinter) -> None:
        if peer.ready:
            loss = self._lifecycle.loss_script(peer, self._local, self._klippy.end_reason)
            # The last heartbeat says that the peer was notified, so that its watchdog does nothing
            heartbeat = self._heartbeat.heartbeat(peer)
            off = self._devices.heaters.off_script(peer)
            peer.send_last("\n".join(filter(None, [off, heartbeat, loss])))

    def _callback_failed(self, owner: Printer, target: Printer, error: RouterError) -> None:
        self._reports.begin(owner, "router/objects/subscribe").failed(target.name, error)

    def _status_lines(self) -> List[str]:
        lines = [
            "Router '%s', version %s: %s, %s, %s"
            % (
                self._local.name,
                VERSION,
                counted(len(self._peers), "peer"),
                counted(self._subscriptions.count, "subscription"),
                counted(self._events.count, "event handler"),
            )
        ]
        for printer in self._printers.values():
            lines.append("%s: %s" % (printer.name, ", ".join(printer.describe())))
        return lines


def load_config(config: Any) -> Router:
    return Router(config)


def load_config_prefix(config: Any) -> PeerStatus:
    router = config.get_printer().load_object(config, "router")
    status: PeerStatus = router.peer_status(config.get_name().split(None, 1)[1].strip())
    return status
