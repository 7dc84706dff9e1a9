# The composition root: builds the parts of the router and connects them to Klippy
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, List, Tuple

from .commands import Commands
from .endpoints import Endpoints
from .errors import RouterError
from .events import Events
from .host import Host
from .lifecycle import Lifecycle
from .local_printer import LocalPrinter
from .methods import Methods
from .printer import Printer
from .remote_methods import RemoteMethods
from .remote_printer import RemotePrinter
from .reports import Reports
from .settings import PeerSettings, RouterSettings, read_settings
from .subscriptions import Subscriptions


class PeerStatus:
    """The object printer["router NAME"]."""

    def __init__(self, peer: RemotePrinter) -> None:
        self._peer = peer

    def get_status(self, eventtime: float) -> Dict[str, Any]:
        peer = self._peer
        return {
            "connected": peer.connected,
            "ready": peer.ready,
            "state": peer.state,
            "state_message": peer.state_message,
            "software_version": peer.software_version,
            "latency": peer.latency,
            "reconnects": peer.reconnects,
            "last_error": peer.last_error,
        }


class Router:
    """The object printer.router."""

    def __init__(self, config: Any) -> None:
        printer = config.get_printer()
        self._host = host = Host(printer)
        self._settings = settings = read_settings(config, host.own_sock)
        self._local = LocalPrinter(host, settings.name, settings.status_interval)
        self._reports = Reports(host.respond_error)
        self._subscriptions = Subscriptions()
        self._events = Events(self._handler_failed, host.reactor.monotonic)
        self._printers: Dict[str, Printer] = {settings.name: self._local}
        methods = Methods(self._printers, self._subscriptions, self._events)
        remote_methods = RemoteMethods(methods, self._reports)
        self._peers: Dict[str, RemotePrinter] = {}
        for peer in settings.peers:
            self._peers[peer.name] = self._printers[peer.name] = _build_peer(
                host, peer, methods, remote_methods
            )
        self._listen(settings)
        remote_methods.register_on(host, self._local)
        Endpoints(host, methods, self._local).register()
        Commands(host, methods, self._reports, self._local, self._status_lines).register(
            _macro_names(config)
        )
        printer.register_event_handler("klippy:ready", self._handle_state)
        printer.register_event_handler("klippy:shutdown", self._handle_state)
        printer.register_event_handler("klippy:disconnect", self._handle_disconnect)
        if not host.is_batch:
            # Not before Klippy runs; but also where this printer never becomes ready
            host.timers.soon(self._start)

    def _listen(self, settings: RouterSettings) -> None:
        host = self._host
        on_connect = {self._printers[peer.name]: peer.on_connect for peer in settings.peers}
        lifecycle = Lifecycle(
            on_connect,
            lambda delay, callback: host.timers.at(
                host.reactor.monotonic() + delay, lambda eventtime: callback()
            ),
            host.timers.cancel,
        )
        for printer in self._printers.values():
            lifecycle.add(printer)
            printer.listeners += [self._subscriptions, self._events]

    def peer_status(self, name: str) -> PeerStatus:
        """The status object of the section [router NAME]."""
        return PeerStatus(self._peers[name])

    def get_status(self, eventtime: float) -> Dict[str, Any]:
        return {
            "name": self._local.name,
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
        """Klippy calls it once a second for its Stats line in the log."""
        self._subscriptions.prune()
        self._events.prune()
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

    def _start(self, eventtime: float) -> None:
        self._local.update_state()
        for peer in self._peers.values():
            peer.start()

    def _handle_state(self) -> None:
        # Nothing may pause here: sends and queues only
        self._local.update_state()

    def _handle_disconnect(self) -> None:
        for peer in self._peers.values():
            peer.stop()
        self._local.stop()
        self._host.timers.close()

    # -- inside

    def _handler_failed(self, caller: Printer, target: Printer, error: RouterError) -> None:
        self._reports.failed(caller, "router/event/trigger", target.name, error)

    def _status_lines(self) -> List[str]:
        lines = [
            "Router '%s': %d peers, %d subscriptions, %d event handlers"
            % (
                self._local.name,
                len(self._peers),
                self._subscriptions.count,
                self._events.count,
            )
        ]
        for printer in self._printers.values():
            lines.append("%s: %s" % (printer.name, ", ".join(printer.describe())))
        return lines


def _build_peer(
    host: Host, peer: PeerSettings, methods: Methods, remote_methods: RemoteMethods
) -> RemotePrinter:
    return RemotePrinter(
        host,
        name=peer.name,
        sock=peer.sock,
        timeout=peer.timeout,
        max_message=peer.max_message,
        disconnect_grace=peer.disconnect_grace,
        methods=methods.names,
        on_call=remote_methods.called,
    )


def _macro_names(config: Any) -> List[str]:
    """The commands that macros of the user define by themselves."""
    return [
        section.get_name().split()[-1].upper()
        for section in config.get_prefix_sections("gcode_macro ")
        # With rename_existing a macro is made around a command that must exist
        if section.get("rename_existing", None, note_valid=False) is None
    ]


def load_config(config: Any) -> Router:
    return Router(config)


def load_config_prefix(config: Any) -> PeerStatus:
    router = config.get_printer().load_object(config, "router")
    status: PeerStatus = router.peer_status(config.get_name().split(None, 1)[1].strip())
    return status
