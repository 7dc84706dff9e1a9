# The commands of peers' devices as commands of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
from typing import Any, Dict, List, Mapping, Optional

from ..devices.device import Device
from ..devices.devices import taken
from ..devices.heaters import SET_TEMPERATURE, Heater
from ..devices.kinds import DeviceCommand
from ..errors import RouterError, UsageError
from ..events.reports import Report, Reports
from ..gcode.parameters import command
from ..printers.printer import Failure, Printer
from .methods import Methods, Request
from .proxies import PeerOutput, ShowLines
from .registration import Command
from .sync import Action, SyncQueue

_PARAMETER_RULE = re.compile(r"[A-Z0-9_]+")


class DeviceCommands:
    """Registers the commands of devices, and runs them on the printers that have the devices.

    printer: this one; show: shows a line on its console.
    """

    def __init__(
        self,
        methods: Methods,
        reports: Reports,
        sync_queue: SyncQueue,
        printer: Printer,
        show: ShowLines,
    ) -> None:
        self._methods, self._reports, self._sync_queue = methods, reports, sync_queue
        self._printer, self._show = printer, show

    def register(self, config: Any, gcode: Any, devices: List[Device]) -> None:
        """Register them beside those of this printer's own devices.

        Raises the config error for a name that one of those has.
        """
        for device in devices:
            for row in device.kind.commands:
                self._register(config, gcode, device, row, _Forwarded(self, device, row).run)
        refused = [(d, row) for d in devices for row in d.kind.refused]
        config.get_printer().register_event_handler(
            "klippy:connect", lambda: self._register_refused(config, gcode, refused)
        )

    def begin(self, device: Device, params: Mapping[str, str]) -> "_Call":
        """Something that a command of this printer begins for a device."""
        report = self._reports.begin(self._printer, "router/gcode/script")
        return _Call(report, device, params)

    def send(self, call: "_Call", script: str, act_at: Optional[float] = None) -> None:
        """Run G-code on the device's printer. If it is offline, that is only reported.

        act_at: as in Job.
        """
        params = {"target": call.device.peer.name, "script": script}
        request = Request(self._printer, params, call.done, follow=self._follow, act_at=act_at)
        try:
            self._methods.call("router/gcode/script", request)
        except RouterError as e:
            call.done(None, e)

    def send_in_step(self, call: "_Call", script: str, commandline: str) -> None:
        """Run G-code there when the toolhead has made the moves before this command."""
        run = _InStep(self, call, script).run
        self._sync_queue.add(Action(run, lambda: [call.device.peer], commandline, False))

    def _follow(self, printer: Printer) -> PeerOutput:
        return PeerOutput(printer, self._show)

    def _register(
        self, config: Any, gcode: Any, device: Device, row: DeviceCommand, run: Any
    ) -> None:
        name = device.settings.name
        try:
            gcode.register_mux_command(row.name, row.key, name, Command(run).run, desc=row.help)
        except config.error as e:
            raise taken(config, device, str(e)) from None

    def _register_refused(self, config: Any, gcode: Any, refused: Any) -> None:
        for device, row in refused:
            try:
                self._register(config, gcode, device, row, _Refused(device, row).run)
            except config.error:
                # 2023-era Klipper's SET_LED_TEMPLATE is no mux command, and says "Unknown LED"
                return


class _Call:
    """One command for a device. A failure is reported when it comes."""

    def __init__(self, report: Report, device: Device, params: Mapping[str, str]) -> None:
        self._report, self.device, self._params = report, device, params

    def done(self, result: Any, error: Failure) -> None:
        if error is not None:
            self._report.failed(self.device.peer.name, error)
        else:
            self.device.ran(self._params)


class _InStep:
    """G-code for a device's printer, sent when its time is known."""

    def __init__(self, commands: DeviceCommands, call: _Call, script: str) -> None:
        self._commands, self._call, self._script = commands, call, script

    def run(self, act_at: Optional[float]) -> None:
        self._commands.send(self._call, self._script, act_at)


class _Forwarded:
    """A command that runs on the device's printer, with the device's name there."""

    def __init__(self, commands: DeviceCommands, device: Device, row: DeviceCommand) -> None:
        self._commands, self._device, self._row = commands, device, row

    def run(self, gcmd: Any) -> None:
        device, row = self._device, self._row
        params: Dict[str, str] = dict(gcmd.get_command_parameters())
        for name in params:
            if not _PARAMETER_RULE.fullmatch(name):
                raise UsageError("Invalid parameter '%s' of %s" % (name, row.name))
        params[row.key] = device.settings.source_name
        call = self._commands.begin(device, params)
        script = command(row.name, params, device.peer.old_parser)
        if row.is_in_step and params.get("SYNC") != "0":
            self._commands.send_in_step(call, script, gcmd.get_commandline())
        elif not isinstance(device, Heater) or row.name != SET_TEMPERATURE:
            self._commands.send(call, script)
        elif gcmd.get_float("TARGET", 0.0):
            device.set_target(params, call.done)
        else:
            device.turn_off()
            if not device.peer.ready:
                call.done(None, device.peer.not_ready())


class _Refused:
    """A command that works only in the printer that has the device."""

    def __init__(self, device: Device, row: DeviceCommand) -> None:
        self._device, self._row = device, row

    def run(self, gcmd: Any) -> None:
        raise UsageError(
            "%s: '%s' is a device of %s, which renders its own templates: run this command there"
            % (self._row.name, self._device.settings.name, self._device.peer.name)
        )
