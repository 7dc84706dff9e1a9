"""A minimal Klipper micro-controller emulator, for tests without hardware.

`python -m tests.lab.fake_mcu [options] LINK`, and in printer.cfg [mcu] with serial: LINK.

It opens a pseudo-terminal, makes LINK a symlink to it and speaks Klipper's micro-controller
protocol there, on a clock that follows the real time. It models only what Klippy waits for. The
pins are gpio0..gpio63. An ADC pin reads as a 100k thermistor (beta 3950) on the usual 4.7k pull-up:
in printer.cfg [thermistor fake] with temperature1: 25, resistance1: 100000, beta: 3950.

Lines on standard input control it, and closing a pipe there ends it:
    set PIN VALUE   temperature (Celsius) of a pin, or level (0 or 1) of an endstop, a button or a
                    filament sensor; before, these read as not pressed
    dump            print the state on standard output, as one line of JSON
    shutdown        go to the shutdown state, as after an error of its own
    reset           restart, as after a power failure
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import argparse
import functools
import json
import math
import os
import pty
import select
import signal
import stat
import sys
import time
import tty
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from .buttons import Buttons
from .mcu_protocol import (
    ADC_MAX,
    CLOCK_FREQ,
    COMMANDS,
    DICTIONARY,
    REASONS,
    RESPONSES,
    U32,
    Args,
    crc16,
    vlq_decode,
)
from .stepper import Stepper

STATS_TICKS = 5 * CLOCK_FREQ
BOOT_TICKS = CLOCK_FREQ // 10  # of silence after a reset
STDIN = 0

TimerKey = Union[str, Tuple[str, int]]
# What a timer calls, with the clock that it was set to
TimerCallback = Callable[..., None]


class FakeMcu:
    """The emulator; run() serves it until its standard input is closed.

    A message of the host is obeyed by the method do_NAME, with its parameters. One without such a
    method is just remembered, for "dump".
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.levels: Dict[int, float] = {}  # input pin -> what "set" gave it
        self.late_count, self.late_max = 0, 0.0
        # Holding the far end open too avoids hang-ups between two Klippys
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        if os.path.islink(options.link):
            os.unlink(options.link)
        os.symlink(os.ttyname(self.slave), options.link)
        self.start()

    def start(self) -> None:
        self.epoch, self.booting = time.monotonic(), True
        self.input, self.output, self.sequence = bytearray(), bytearray(), 0
        self.clear_config()
        self.set_timer("boot", BOOT_TICKS, self.booted)

    def booted(self, clock: int) -> None:
        self.booting = False
        self.send("starting")

    def clear_config(self) -> None:
        self.crc: Optional[int] = None  # of the configuration
        self.reason: Optional[str] = None  # of a shutdown
        self.objects: Dict[int, Args] = {}  # oid -> the latest arguments it was given
        self.steppers: Dict[int, Stepper] = {}
        self.buttons: Dict[int, Buttons] = {}
        self.timers: Dict[TimerKey, Tuple[int, Callable[[], None]]] = {}  # -> (clock, callback)
        self.set_timer("stats", self.now() + STATS_TICKS, self.send_stats)

    # Clock and timers

    def now(self) -> int:
        return int((time.monotonic() - self.epoch) * CLOCK_FREQ)

    def full_clock(self, clock: int) -> int:
        """The clock value nearest to now that ends in these 32 bits."""
        now = self.now()
        return now + (clock - now + (1 << 31) & U32) - (1 << 31)

    def set_timer(self, key: TimerKey, clock: int, callback: TimerCallback, *args: Any) -> None:
        self.timers[key] = clock, functools.partial(callback, clock, *args)

    def run_timers(self) -> float:
        """Run what is due and return the seconds until the next timer."""
        while True:
            key = min(self.timers, key=lambda k: self.timers[k][0])
            clock, callback = self.timers[key]
            if clock > self.now():
                return (clock - self.now()) / CLOCK_FREQ
            del self.timers[key]
            callback()

    def check_late(self, clock: int, what: str) -> None:
        """Note a time that is over already; a firmware would shut down."""
        late = (self.now() - clock) / CLOCK_FREQ
        if late > 0:
            self.late_count += 1
            self.late_max = max(self.late_max, late)
            log(f"{what} is late by {late:.6f} s")
            if self.options.strict:
                self.shutdown("Timer too close")

    # Transmission

    def send_block(self, content: bytes) -> None:
        """Send a message block; an empty one is an ack (or a nak)."""
        block = bytes([len(content) + 5, 0x10 | self.sequence]) + content
        self.output += block + crc16(block) + b"\x7e"

    def send(self, name: str, **args: Any) -> None:
        self.send_block(RESPONSES[name].encode(args))

    def receive(self, data: bytes) -> None:
        self.input += data
        while len(self.input) >= 5 and not self.booting:
            size, sequence = self.input[:2]
            valid = 5 <= size <= 64 and sequence & 0xF0 == 0x10
            if valid and len(self.input) < size:
                return
            block = bytes(self.input[:size])
            if not valid or block[-3:] != crc16(block[:-3]) + b"\x7e":
                del self.input[0]  # look for a block after this byte
                continue
            del self.input[:size]
            if sequence & 0x0F == self.sequence:
                self.sequence = self.sequence + 1 & 0x0F
                self.dispatch(block[2:-3])
            if not self.booting:
                self.send_block(b"")

    def dispatch(self, content: bytes) -> None:
        """Obey the messages of a block."""
        pos = 0
        while pos < len(content) and not self.booting:
            number, pos = vlq_decode(content, pos)
            if number not in COMMANDS:
                return self.shutdown("Invalid command")
            message = COMMANDS[number]
            args, pos = message.decode(content, pos)
            if self.options.trace:
                line = f"{time.monotonic():.6f} {message.name} {as_json(args)}"
                print(line, file=self.options.trace, flush=True)
            if self.reason and number > 9:
                self.send("is_shutdown", static_string_id=REASONS.index(self.reason))
            else:
                self.obey(message.name, args)

    def obey(self, name: str, args: Args) -> None:
        # Each object remembers the latest arguments it was given
        if name.startswith("config_") and "oid" in args:
            self.objects[args["oid"]] = {"type": name[len("config_") :]}
        if args.get("oid") in self.objects:
            self.objects[args["oid"]].update(args)
        if name in ("queue_digital_out", "queue_pwm_out"):
            self.check_late(self.full_clock(args["clock"]), name)
        handler = getattr(self, "do_" + name, None)
        if handler:
            handler(**args)

    def run(self) -> None:
        files = [self.master, STDIN]
        while True:
            wait = self.run_timers()
            if self.output:
                try:
                    os.write(self.master, self.output)
                except BlockingIOError:
                    pass  # nobody reads: lost, as on a wire
                self.output.clear()
            readable = select.select(files, [], [], wait)[0]
            if self.master in readable:
                data = os.read(self.master, 4096)
                if not self.booting:
                    self.receive(data)
            if STDIN in readable:
                lines = os.read(STDIN, 4096).decode().splitlines()
                if not lines:
                    if stat.S_ISFIFO(os.fstat(STDIN).st_mode):
                        return
                    files.remove(STDIN)
                for line in lines:
                    self.control(line.split())

    def control(self, words: List[str]) -> None:
        """A line of standard input."""
        command = words[0] if words else ""
        if command == "set":
            self.levels[int(words[1].replace("gpio", ""))] = float(words[2])
            self.read_buttons()
        elif command == "shutdown":
            self.shutdown("Command request")
        elif command == "reset":
            self.do_reset()
        elif command == "dump":
            print(as_json(self.state()), flush=True)

    def state(self) -> Dict[str, Any]:
        """What "dump" prints."""
        now = self.now()
        return {
            "epoch": self.epoch,  # time.monotonic() at clock 0
            "uptime": time.monotonic() - self.epoch,
            "shutdown": self.reason,
            "objects": self.objects,
            "positions": {oid: motor.position_at(now) for oid, motor in self.steppers.items()},
            "late_count": self.late_count,
            "late_max": self.late_max,
        }

    # Basic commands

    def do_identify(self, offset: int, count: int) -> None:
        self.send("identify_response", offset=offset, data=DICTIONARY[offset : offset + count])

    def do_get_config(self) -> None:
        self.send(
            "config",
            is_config=self.crc is not None,
            crc=self.crc or 0,
            is_shutdown=bool(self.reason),
            move_count=1024,
        )

    def do_finalize_config(self, crc: int) -> None:
        self.crc = crc

    def do_get_clock(self) -> None:
        self.send("clock", clock=self.now() & U32)

    def do_get_uptime(self) -> None:
        now = self.now()
        self.send("uptime", high=now >> 32, clock=now & U32)

    def send_stats(self, clock: int) -> None:
        self.send("stats", count=1000, sum=100000, sumsq=100000)
        self.set_timer("stats", clock + STATS_TICKS, self.send_stats)

    def shutdown(self, reason: str) -> None:
        if not self.reason:
            log("shutdown: " + reason)
            self.reason = reason
            for stepper in self.steppers.values():
                stepper.stop(self.now())
            clock = self.now() & U32
            self.send("shutdown", clock=clock, static_string_id=REASONS.index(reason))

    def do_emergency_stop(self) -> None:
        self.shutdown("Command request")

    def do_clear_shutdown(self) -> None:
        self.reason = None

    def do_config_reset(self) -> None:
        if self.reason:
            self.clear_config()
        else:
            self.shutdown("config_reset only available when shutdown")

    def do_reset(self) -> None:
        log("reset")
        self.start()

    # Thermistors and neopixels

    def do_query_analog_in(self, oid: int, clock: int, sample_count: int, **args: int) -> None:
        self.timers.pop(("adc", oid), None)
        if sample_count:
            adc = self.objects[oid]
            self.set_timer(("adc", oid), self.full_clock(clock), self.sample_adc, adc)

    def sample_adc(self, clock: int, adc: Args) -> None:
        kelvin = self.levels.get(adc["pin"], 25) + 273.15
        ohms = 1e5 * math.exp(3950 / kelvin - 3950 / 298.15)
        value = round(ohms / (ohms + 4700) * ADC_MAX * adc["sample_count"])
        in_range = adc["min_value"] <= value <= adc["max_value"]
        adc["faults"] = 0 if in_range else adc.get("faults", 0) + 1
        if adc["faults"] and adc["faults"] == adc["range_check_count"]:
            return self.shutdown("ADC out of range")
        next_clock = max(clock, self.now() - adc["rest_ticks"])
        next_clock += adc["rest_ticks"]
        oid = adc["oid"]
        self.send("analog_in_state", oid=oid, value=value, next_clock=next_clock & U32)
        self.set_timer(("adc", oid), next_clock, self.sample_adc, adc)

    def do_config_neopixel(self, oid: int, data_size: int, **args: int) -> None:
        self.objects[oid].update(buffer=bytearray(data_size), sent=0)

    def do_neopixel_update(self, oid: int, pos: int, data: bytes) -> None:
        self.objects[oid]["buffer"][pos : pos + len(data)] = data

    def do_neopixel_send(self, oid: int) -> None:
        leds = self.objects[oid]
        leds["shown"], leds["sent"] = bytes(leds["buffer"]), leds["sent"] + 1
        self.send("neopixel_result", oid=oid, success=1)

    # Buttons, and what else is a button for Klipper, such as filament sensors

    def do_config_buttons(self, oid: int, **args: int) -> None:
        self.buttons[oid] = Buttons()

    def do_buttons_add(self, oid: int, pos: int, pin: int, **args: int) -> None:
        self.buttons[oid].add(pos, pin)

    def do_buttons_query(self, oid: int, clock: int, invert: int, **args: int) -> None:
        self.buttons[oid].start(invert)
        self.timers.pop(("buttons", oid), None)
        self.set_timer(("first look", oid), self.full_clock(clock), self.first_look, oid)

    def first_look(self, clock: int, oid: int) -> None:
        if self.buttons[oid].read(self.levels):
            self.send_buttons(clock, oid)

    def read_buttons(self) -> None:
        for oid, buttons in self.buttons.items():
            # A firmware samples all the time; here a pin changes only on command
            if ("first look", oid) not in self.timers and buttons.read(self.levels):
                self.send_buttons(self.now(), oid)

    def send_buttons(self, clock: int, oid: int) -> None:
        """Send the reports, and again until the host acknowledges them."""
        buttons, query = self.buttons[oid], self.objects[oid]
        if self.reason or not buttons.reports:
            return
        self.send("buttons_state", oid=oid, ack_count=buttons.ack_count, state=buttons.reports)
        again = self.now() + query["rest_ticks"] * query["retransmit_count"]
        self.set_timer(("buttons", oid), again, self.send_buttons, oid)

    def do_buttons_ack(self, oid: int, count: int) -> None:
        self.buttons[oid].acknowledge(count)

    # Steppers, and endstops that stop them by way of a "trsync" object

    def do_config_stepper(self, oid: int, **args: int) -> None:
        self.steppers[oid] = Stepper()

    def do_queue_step(self, oid: int, interval: int, count: int, add: int) -> None:
        stepper, now = self.steppers[oid], self.now()
        if stepper.end is not None:  # else stopped: waits for a new clock
            if stepper.is_idle(now):
                self.check_late(stepper.end + interval, "queue_step")
            stepper.queue_step(interval, count, add, now)

    def do_set_next_step_dir(self, oid: int, dir: int) -> None:
        self.steppers[oid].direction = 1 if dir else -1

    def do_reset_step_clock(self, oid: int, clock: int) -> None:
        self.steppers[oid].end = self.full_clock(clock)

    def do_stepper_get_position(self, oid: int) -> None:
        self.send("stepper_position", oid=oid, pos=self.steppers[oid].position_at(self.now()))

    def do_stepper_stop_on_trigger(self, oid: int, trsync_oid: int) -> None:
        self.objects[trsync_oid]["stops"].append(oid)

    def do_endstop_home(self, oid: int, clock: int, sample_count: int, **args: int) -> None:
        self.timers.pop(("endstop", oid), None)
        if sample_count:
            when = self.full_clock(clock) + int(self.options.homing_time * CLOCK_FREQ)
            self.set_timer(("endstop", oid), when, self.endstop_hit, self.objects[oid])

    def endstop_hit(self, clock: int, endstop: Args) -> None:
        endstop["next_clock"] = clock + endstop["rest_ticks"] & U32
        self.trigger(clock, endstop["trsync_oid"], endstop["trigger_reason"])

    def do_endstop_query_state(self, oid: int) -> None:
        endstop = self.objects[oid]
        self.send(
            "endstop_state",
            oid=oid,
            homing=0,
            next_clock=endstop.get("next_clock", 0),
            pin_value=int(self.levels.get(endstop["pin"], 0)),
        )

    def do_trsync_start(self, oid: int, report_clock: int, report_ticks: int, **args: int) -> None:
        trsync = self.objects[oid]
        trsync.update(can_trigger=1, trigger_reason=0, stops=[])
        self.timers.pop(("report", oid), None)
        if report_ticks:
            clock = self.full_clock(report_clock)
            self.set_timer(("report", oid), clock, self.report_trsync, trsync)

    def report_trsync(self, clock: int, trsync: Args) -> None:
        self.send_trsync_state(trsync, self.now())
        key, next_clock = ("report", trsync["oid"]), clock + trsync["report_ticks"]
        self.set_timer(key, next_clock, self.report_trsync, trsync)

    def trigger(self, clock: int, oid: int, reason: int) -> None:
        trsync = self.objects[oid]
        if trsync.get("can_trigger"):
            trsync.update(can_trigger=0, trigger_reason=reason)
            for stepper_oid in trsync["stops"]:
                self.steppers[stepper_oid].stop(clock)
            self.send_trsync_state(trsync, self.now())

    def do_trsync_trigger(self, oid: int, reason: int) -> None:
        self.trigger(self.now(), oid, reason)
        self.timers.pop(("report", oid), None)
        self.send_trsync_state(self.objects[oid], 0)

    def send_trsync_state(self, trsync: Args, clock: int) -> None:
        self.send(
            "trsync_state",
            oid=trsync["oid"],
            clock=clock & U32,
            can_trigger=trsync.get("can_trigger", 0),
            trigger_reason=trsync.get("trigger_reason", 0),
        )


def as_json(value: Any) -> str:
    return json.dumps(value, default=lambda data: data.hex())


def log(text: str) -> None:
    print("fake_mcu:", text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="fake_mcu", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("link", help="symlink to make to the serial port")
    parser.add_argument(
        "--homing-time",
        type=float,
        default=0.5,
        help="seconds from the start of homing to its endstop",
    )
    parser.add_argument(
        "--strict", action="store_true", help="shut down ('Timer too close') on late commands"
    )
    parser.add_argument(
        "--trace",
        type=argparse.FileType("w"),
        metavar="FILE",
        help="log the commands, with time.monotonic()",
    )
    mcu = FakeMcu(parser.parse_args())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        mcu.run()
    except KeyboardInterrupt:
        pass
    finally:
        os.unlink(mcu.options.link)


if __name__ == "__main__":
    main()
