#!/usr/bin/env python3
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
"""A minimal Klipper micro-controller emulator, for tests without hardware.

    fake_mcu.py [options] LINK      and in printer.cfg:  [mcu]  serial: LINK

It opens a pseudo-terminal, makes LINK a symlink to it and speaks Klipper's
micro-controller protocol there, on a clock that follows the real time. It
models only what Klippy waits for. The pins are gpio0..gpio63. An ADC pin reads
as a 100k thermistor (beta 3950) on the usual 4.7k pull-up, in printer.cfg
    [thermistor fake]  temperature1: 25  resistance1: 100000  beta: 3950

Lines on standard input control it, and closing a pipe there ends it:
    set PIN VALUE   temperature (Celsius) or endstop level (0 or 1) of a pin
    dump            print the state on standard output, as one line of JSON
    shutdown        go to the shutdown state, as after an error of its own
    reset           restart, as after a power failure
"""

import argparse
import collections
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
import zlib

CLOCK_FREQ = 50000000  # ticks per second; 32 bits of them last 86 seconds
STATS_TICKS = 5 * CLOCK_FREQ
BOOT_TICKS = CLOCK_FREQ // 10  # of silence after a reset
ADC_MAX, U32 = 4095, 0xFFFFFFFF

# Messages from the host. The first nine are obeyed during a shutdown as well.
# Those without a do_... method below are just remembered, for "dump".
COMMANDS = """
identify offset=%u count=%c; get_config; config_reset; reset; get_clock;
get_uptime; emergency_stop; clear_shutdown; debug_nop;
allocate_oids count=%c; finalize_config crc=%u;
config_digital_out oid=%c pin=%u value=%c default_value=%c max_duration=%u;
set_digital_out_pwm_cycle oid=%c cycle_ticks=%u;
queue_digital_out oid=%c clock=%u on_ticks=%u;
update_digital_out oid=%c value=%c; set_digital_out pin=%u value=%c;
config_pwm_out oid=%c pin=%u cycle_ticks=%u
    value=%hu default_value=%hu max_duration=%u;
queue_pwm_out oid=%c clock=%u value=%hu;
set_pwm_out pin=%u cycle_ticks=%u value=%hu;
config_analog_in oid=%c pin=%u;
query_analog_in oid=%c clock=%u sample_ticks=%u sample_count=%c rest_ticks=%u
    min_value=%hu max_value=%hu range_check_count=%c;
config_neopixel oid=%c pin=%u data_size=%hu
    bit_max_ticks=%u reset_min_ticks=%u;
neopixel_update oid=%c pos=%hu data=%*s; neopixel_send oid=%c;
config_buttons oid=%c button_count=%c;
buttons_add oid=%c pos=%c pin=%u pull_up=%c;
buttons_query oid=%c clock=%u rest_ticks=%u retransmit_count=%c invert=%c;
buttons_ack oid=%c count=%c;
config_stepper oid=%c step_pin=%c dir_pin=%c
    invert_step=%c step_pulse_ticks=%u;
queue_step oid=%c interval=%u count=%hu add=%hi;
set_next_step_dir oid=%c dir=%c; reset_step_clock oid=%c clock=%u;
stepper_get_position oid=%c; stepper_stop_on_trigger oid=%c trsync_oid=%c;
config_endstop oid=%c pin=%c pull_up=%c;
endstop_home oid=%c clock=%u sample_ticks=%u sample_count=%c rest_ticks=%u
    pin_value=%c trsync_oid=%c trigger_reason=%c;
endstop_query_state oid=%c; config_trsync oid=%c;
trsync_start oid=%c report_clock=%u report_ticks=%u expire_reason=%c;
trsync_set_timeout oid=%c clock=%u; trsync_trigger oid=%c reason=%c
"""
# Messages to the host
RESPONSES = """
identify_response offset=%u data=%.*s;
config is_config=%c crc=%u is_shutdown=%c move_count=%hu;
clock clock=%u; uptime high=%u clock=%u; stats count=%u sum=%u sumsq=%u;
starting; shutdown clock=%u static_string_id=%hu;
is_shutdown static_string_id=%hu;
analog_in_state oid=%c next_clock=%u value=%hu;
neopixel_result oid=%c success=%c; stepper_position oid=%c pos=%i;
buttons_state oid=%c ack_count=%c state=%*s;
endstop_state oid=%c homing=%c next_clock=%u pin_value=%c;
trsync_state oid=%c can_trigger=%c trigger_reason=%c clock=%u
"""
# Reasons for a shutdown; the host is told the place in this list
REASONS = [
    "",
    "Command request",
    "Timer too close",
    "ADC out of range",
    "Invalid command",
    "config_reset only available when shutdown",
]


def vlq_encode(value):
    """Base-128 digits, highest first; the first one stands for -32..95."""
    shift = 0
    while not -32 << shift <= value < 96 << shift:
        shift += 7
    return bytes(value >> s & 0x7F | (0x80 if s else 0) for s in range(shift, -1, -7))


def vlq_decode(data, pos):
    value = (data[pos] & 0x7F) - (0x80 if data[pos] & 0x60 == 0x60 else 0)
    while data[pos] & 0x80:
        pos += 1
        value = value << 7 | data[pos] & 0x7F
    return value, pos + 1


CRC_TABLE = list(range(256))
for _ in range(8):
    CRC_TABLE = [n >> 1 ^ (0x8408 if n & 1 else 0) for n in CRC_TABLE]


def crc16(data):
    """The CRC-16 with polynomial 0x1021 reflected, starting at 0xffff."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "big")


class Message:
    """A message format: its number, name and [name, type] parameters."""

    def __init__(self, number, text):
        self.number, self.format = number, " ".join(text.split())
        self.name, *params = text.split()
        self.params = [param.split("=") for param in params]

    def encode(self, args):
        content = vlq_encode(self.number)
        for name, kind in self.params:
            value = args[name]
            content += vlq_encode(len(value)) + value if kind.endswith("s") else vlq_encode(value)
        return content

    def decode(self, data, pos):
        args = {}
        for name, kind in self.params:
            value, pos = vlq_decode(data, pos)
            if kind.endswith("s"):
                value, pos = data[pos : pos + value], pos + value
            elif not kind.endswith("i"):
                value &= U32
            args[name] = value
        return args, pos


# The numbers of "identify_response" and "identify" are fixed: 0 and 1
COMMANDS = {n: Message(n, text) for n, text in enumerate(COMMANDS.split(";"), 1)}
RESPONSES = [Message(n and n + len(COMMANDS), text) for n, text in enumerate(RESPONSES.split(";"))]
RESPONSES = {m.name: m for m in RESPONSES}
DICTIONARY = zlib.compress(
    json.dumps(
        {
            "app": "FakeMCU",
            "version": "fake_mcu",
            "build_versions": "hand-written",
            "commands": {m.format: m.number for m in COMMANDS.values()},
            "responses": {m.format: m.number for m in RESPONSES.values()},
            "enumerations": {
                "pin": {"gpio0": [0, 64]},
                "static_string_id": {text: n for n, text in enumerate(REASONS) if n},
            },
            "config": {
                "MCU": "fake",
                "CLOCK_FREQ": CLOCK_FREQ,
                "ADC_MAX": ADC_MAX,
                "PWM_MAX": 255,
                "STATS_SUMSQ_BASE": 256,
            },
        }
    ).encode()
)


class Stepper:
    """The moves queued for a motor; its position is worked out on demand."""

    def __init__(self):
        self.moves, self.position = collections.deque(), 0
        self.stop(0)

    def stop(self, clock):
        self.position = self.position_at(clock)
        self.moves.clear()
        self.direction, self.end = -1, None  # end: clock of the last step

    def queue_step(self, interval, count, add, now):
        while self.moves and self.moves[0][1] <= now:  # forget what is over
            *_, done, direction = self.moves.popleft()
            self.position += done * direction
        start = self.end
        self.end += count * interval + add * count * (count - 1) // 2
        self.moves.append((start, self.end, interval, add, count, self.direction))

    def position_at(self, clock):
        position = self.position
        for start, end, interval, add, count, direction in self.moves:
            if end > clock:  # only some of its steps
                count = sum(
                    start + n * interval + add * n * (n - 1) // 2 <= clock
                    for n in range(1, count + 1)
                )
            position += count * direction
        return position


class FakeMCU:
    def __init__(self, options):
        self.options = options
        self.levels = {}  # input pin -> what "set" gave it
        self.late_count, self.late_max = 0, 0.0
        # Holding the far end open too avoids hang-ups between two Klippys
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        os.set_blocking(self.master, False)
        if os.path.islink(options.link):
            os.unlink(options.link)
        os.symlink(os.ttyname(self.slave), options.link)
        self.start()

    def start(self):
        self.epoch, self.booting = time.monotonic(), True
        self.input, self.output, self.sequence = bytearray(), bytearray(), 0
        self.clear_config()
        self.set_timer("boot", BOOT_TICKS, self.booted)

    def booted(self, clock):
        self.booting = False
        self.send("starting")

    def clear_config(self):
        self.crc, self.reason = None, None  # of the configuration, a shutdown
        self.objects, self.steppers = {}, {}  # oid -> arguments, Stepper
        self.timers = {}  # key -> (clock, callback)
        self.set_timer("stats", self.now() + STATS_TICKS, self.send_stats)

    # Clock and timers

    def now(self):
        return int((time.monotonic() - self.epoch) * CLOCK_FREQ)

    def full_clock(self, clock):
        """The clock value nearest to now that ends in these 32 bits."""
        now = self.now()
        return now + (clock - now + (1 << 31) & U32) - (1 << 31)

    def set_timer(self, key, clock, callback, *args):
        self.timers[key] = clock, functools.partial(callback, clock, *args)

    def run_timers(self):
        """Run what is due and return the seconds until the next timer."""
        while True:
            key = min(self.timers, key=lambda k: self.timers[k][0])
            clock, callback = self.timers[key]
            if clock > self.now():
                return (clock - self.now()) / CLOCK_FREQ
            del self.timers[key]
            callback()

    def check_late(self, clock, what):
        """Note a time that is over already; a firmware would shut down."""
        late = (self.now() - clock) / CLOCK_FREQ
        if late > 0:
            self.late_count += 1
            self.late_max = max(self.late_max, late)
            log("%s is late by %.6f s" % (what, late))
            if self.options.strict:
                self.shutdown("Timer too close")

    # Transmission

    def send_block(self, content):
        """Send a message block; an empty one is an ack (or a nak)."""
        block = bytes([len(content) + 5, 0x10 | self.sequence]) + content
        self.output += block + crc16(block) + b"\x7e"

    def send(self, name, **args):
        self.send_block(RESPONSES[name].encode(args))

    def receive(self, data):
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

    def dispatch(self, content):
        pos = 0
        while pos < len(content) and not self.booting:
            number, pos = vlq_decode(content, pos)
            if number not in COMMANDS:
                return self.shutdown("Invalid command")
            message = COMMANDS[number]
            args, pos = message.decode(content, pos)
            if self.options.trace:
                print(
                    "%.6f" % time.monotonic(),
                    message.name,
                    as_json(args),
                    file=self.options.trace,
                    flush=True,
                )
            if self.reason and number > 9:
                self.send("is_shutdown", static_string_id=REASONS.index(self.reason))
                continue
            # Each object remembers the latest arguments it was given
            if message.name.startswith("config_") and "oid" in args:
                self.objects[args["oid"]] = {"type": message.name[7:]}
            self.objects.get(args.get("oid"), {}).update(args)
            if message.name in ("queue_digital_out", "queue_pwm_out"):
                self.check_late(self.full_clock(args["clock"]), message.name)
            handler = getattr(self, "do_" + message.name, None)
            if handler:
                handler(**args)

    def run(self):
        files = [self.master, 0]  # 0: the standard input
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
            if 0 in readable:
                lines = os.read(0, 4096).decode().splitlines()
                if not lines:
                    if stat.S_ISFIFO(os.fstat(0).st_mode):
                        return
                    files.remove(0)
                for line in lines:
                    self.control(*line.split())

    def control(self, command=None, pin=None, value=None):
        if command == "set":
            self.levels[int(pin.replace("gpio", ""))] = float(value)
        elif command == "shutdown":
            self.shutdown("Command request")
        elif command == "reset":
            self.do_reset()
        elif command == "dump":
            print(
                as_json(
                    {
                        "uptime": time.monotonic() - self.epoch,
                        "shutdown": self.reason,
                        "objects": self.objects,
                        "positions": {
                            oid: stepper.position_at(self.now())
                            for oid, stepper in self.steppers.items()
                        },
                        "late_count": self.late_count,
                        "late_max": self.late_max,
                    }
                ),
                flush=True,
            )

    # Basic commands

    def do_identify(self, offset, count):
        self.send("identify_response", offset=offset, data=DICTIONARY[offset : offset + count])

    def do_get_config(self):
        self.send(
            "config",
            is_config=self.crc is not None,
            crc=self.crc or 0,
            is_shutdown=bool(self.reason),
            move_count=1024,
        )

    def do_finalize_config(self, crc):
        self.crc = crc

    def do_get_clock(self):
        self.send("clock", clock=self.now() & U32)

    def do_get_uptime(self):
        now = self.now()
        self.send("uptime", high=now >> 32, clock=now & U32)

    def send_stats(self, clock):
        self.send("stats", count=1000, sum=100000, sumsq=100000)
        self.set_timer("stats", clock + STATS_TICKS, self.send_stats)

    def shutdown(self, reason):
        if not self.reason:
            log("shutdown: " + reason)
            self.reason = reason
            for stepper in self.steppers.values():
                stepper.stop(self.now())
            self.send("shutdown", clock=self.now() & U32, static_string_id=REASONS.index(reason))

    def do_emergency_stop(self):
        self.shutdown("Command request")

    def do_clear_shutdown(self):
        self.reason = None

    def do_config_reset(self):
        if self.reason:
            self.clear_config()
        else:
            self.shutdown("config_reset only available when shutdown")

    def do_reset(self):
        log("reset")
        self.start()

    # Thermistors and neopixels

    def do_query_analog_in(self, oid, clock, sample_count, **args):
        self.timers.pop(("adc", oid), None)
        if sample_count:
            self.set_timer(("adc", oid), self.full_clock(clock), self.sample_adc, self.objects[oid])

    def sample_adc(self, clock, adc):
        kelvin = self.levels.get(adc["pin"], 25) + 273.15
        ohms = 1e5 * math.exp(3950 / kelvin - 3950 / 298.15)
        value = round(ohms / (ohms + 4700) * ADC_MAX * adc["sample_count"])
        in_range = adc["min_value"] <= value <= adc["max_value"]
        adc["faults"] = 0 if in_range else adc.get("faults", 0) + 1
        if adc["faults"] and adc["faults"] == adc["range_check_count"]:
            return self.shutdown("ADC out of range")
        next_clock = max(clock, self.now() - adc["rest_ticks"])
        next_clock += adc["rest_ticks"]
        self.send("analog_in_state", oid=adc["oid"], value=value, next_clock=next_clock & U32)
        self.set_timer(("adc", adc["oid"]), next_clock, self.sample_adc, adc)

    def do_config_neopixel(self, oid, data_size, **args):
        self.objects[oid].update(buffer=bytearray(data_size), sent=0)

    def do_neopixel_update(self, oid, pos, data):
        self.objects[oid]["buffer"][pos : pos + len(data)] = data

    def do_neopixel_send(self, oid):
        leds = self.objects[oid]
        leds["shown"], leds["sent"] = bytes(leds["buffer"]), leds["sent"] + 1
        self.send("neopixel_result", oid=oid, success=1)

    # Steppers, and endstops that stop them by way of a "trsync" object

    def do_config_stepper(self, oid, **args):
        self.steppers[oid] = Stepper()

    def do_queue_step(self, oid, interval, count, add):
        stepper, now = self.steppers[oid], self.now()
        if stepper.end is not None:  # else stopped: waits for a new clock
            if not stepper.moves or stepper.end < now:
                self.check_late(stepper.end + interval, "queue_step")
            stepper.queue_step(interval, count, add, now)

    def do_set_next_step_dir(self, oid, dir):
        self.steppers[oid].direction = 1 if dir else -1

    def do_reset_step_clock(self, oid, clock):
        self.steppers[oid].end = self.full_clock(clock)

    def do_stepper_get_position(self, oid):
        self.send("stepper_position", oid=oid, pos=self.steppers[oid].position_at(self.now()))

    def do_stepper_stop_on_trigger(self, oid, trsync_oid):
        self.objects[trsync_oid]["stops"].append(oid)

    def do_endstop_home(self, oid, clock, sample_count, **args):
        self.timers.pop(("endstop", oid), None)
        if sample_count:
            delay = int(self.options.homing_time * CLOCK_FREQ)
            self.set_timer(
                ("endstop", oid),
                self.full_clock(clock) + delay,
                self.endstop_hit,
                self.objects[oid],
            )

    def endstop_hit(self, clock, endstop):
        endstop["next_clock"] = clock + endstop["rest_ticks"] & U32
        self.trigger(clock, endstop["trsync_oid"], endstop["trigger_reason"])

    def do_endstop_query_state(self, oid):
        endstop = self.objects[oid]
        self.send(
            "endstop_state",
            oid=oid,
            homing=0,
            next_clock=endstop.get("next_clock", 0),
            pin_value=int(self.levels.get(endstop["pin"], 0)),
        )

    def do_trsync_start(self, oid, report_clock, report_ticks, **args):
        self.objects[oid].update(can_trigger=1, trigger_reason=0, stops=[])
        self.timers.pop(("report", oid), None)
        if report_ticks:
            self.set_timer(
                ("report", oid),
                self.full_clock(report_clock),
                self.report_trsync,
                self.objects[oid],
            )

    def report_trsync(self, clock, trsync):
        self.send_trsync_state(trsync, self.now())
        self.set_timer(
            ("report", trsync["oid"]), clock + trsync["report_ticks"], self.report_trsync, trsync
        )

    def trigger(self, clock, oid, reason):
        trsync = self.objects[oid]
        if trsync.get("can_trigger"):
            trsync.update(can_trigger=0, trigger_reason=reason)
            for stepper_oid in trsync["stops"]:
                self.steppers[stepper_oid].stop(clock)
            self.send_trsync_state(trsync, self.now())

    def do_trsync_trigger(self, oid, reason):
        self.trigger(self.now(), oid, reason)
        self.timers.pop(("report", oid), None)
        self.send_trsync_state(self.objects[oid], 0)

    def send_trsync_state(self, trsync, clock):
        self.send(
            "trsync_state",
            oid=trsync["oid"],
            clock=clock & U32,
            can_trigger=trsync.get("can_trigger", 0),
            trigger_reason=trsync.get("trigger_reason", 0),
        )


def as_json(value):
    return json.dumps(value, default=lambda data: data.hex())


def log(text):
    print("fake_mcu:", text, file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
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
    mcu = FakeMCU(parser.parse_args())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        mcu.run()
    except KeyboardInterrupt:
        pass
    finally:
        os.unlink(mcu.options.link)


if __name__ == "__main__":
    main()
