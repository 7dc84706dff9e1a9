"""Klipper's micro-controller protocol, as far as Klippy speaks it with the emulated MCU."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import zlib
from typing import Any, Dict, List, Tuple

CLOCK_FREQ = 50000000  # ticks per second; 32 bits of them last 86 seconds
ADC_MAX, U32 = 4095, 0xFFFFFFFF

Args = Dict[str, Any]

# Messages from the host. The first nine are obeyed during a shutdown as well.
_COMMANDS = """
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
_RESPONSES = """
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
# Reasons for a shutdown; the host is sent the index in this list
REASONS = [
    "",
    "Command request",
    "Timer too close",
    "ADC out of range",
    "Invalid command",
    "config_reset only available when shutdown",
]


def vlq_encode(value: int) -> bytes:
    """Base-128 digits, highest first; the first one stands for -32..95."""
    shift = 0
    while not -32 << shift <= value < 96 << shift:
        shift += 7
    return bytes(value >> s & 0x7F | (0x80 if s else 0) for s in range(shift, -1, -7))


def vlq_decode(data: bytes, pos: int) -> Tuple[int, int]:
    """(the value that begins at `pos`, the place behind it)."""
    value = (data[pos] & 0x7F) - (0x80 if data[pos] & 0x60 == 0x60 else 0)
    while data[pos] & 0x80:
        pos += 1
        value = value << 7 | data[pos] & 0x7F
    return value, pos + 1


def _crc_table() -> List[int]:
    table = list(range(256))
    for _ in range(8):
        table = [n >> 1 ^ (0x8408 if n & 1 else 0) for n in table]
    return table


_CRC_TABLE = _crc_table()


def crc16(data: bytes) -> bytes:
    """The CRC-16 with polynomial 0x1021 reflected, starting at 0xffff."""
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc.to_bytes(2, "big")


class Message:
    """A message format: its number, name and parameters, as (name, type)."""

    def __init__(self, number: int, text: str) -> None:
        self.number, self.format = number, " ".join(text.split())
        self.name, *params = text.split()
        self.params = [(name, kind) for name, kind in (param.split("=") for param in params)]

    def encode(self, args: Args) -> bytes:
        content = vlq_encode(self.number)
        for name, kind in self.params:
            value = args[name]
            if kind.endswith("s"):
                content += vlq_encode(len(value)) + value
            else:
                content += vlq_encode(value)
        return content

    def decode(self, data: bytes, pos: int) -> Tuple[Args, int]:
        """(the parameters that begin at `pos`, the place behind them)."""
        args: Args = {}
        for name, kind in self.params:
            value, pos = vlq_decode(data, pos)
            if kind.endswith("s"):
                args[name], pos = data[pos : pos + value], pos + value
            else:
                args[name] = value if kind.endswith("i") else value & U32
        return args, pos


# The numbers of "identify_response" and "identify" are fixed: 0 and 1
COMMANDS = {n: Message(n, text) for n, text in enumerate(_COMMANDS.split(";"), 1)}
RESPONSES = {
    message.name: message
    for message in (
        Message(n and n + len(COMMANDS), text) for n, text in enumerate(_RESPONSES.split(";"))
    )
}
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
