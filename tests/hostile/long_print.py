"""A long print that waits for its peers in every round, while others do what must not affect it.

`python -m tests.hostile.long_print [MINUTES [HOST_KIND [PEER_KIND]]]`
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# led   has a value that changes by itself later, and a temperature; it follows cam
# afc   runs scripts that take their time; others run theirs there, ask much, print much
# cam   restarts again and again, with and without an object that led follows
#
# The macros themselves notice when a wait ended too early: then the print is in error.
import collections
import math
import sys
import threading
import time
from typing import Any, Callable, Dict, List

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.closing import Closing
from tests.lab.lab import Lab
from tests.lab.waiting import wait_until
from tests.system.macros import check_log, router_section, wait_known

MOVES = 60  # of each round: 6 seconds of 100 ms
ROUND_SECONDS = 8.5  # what a round takes at least, with its waits
JAM_EVERY = 4  # rounds between two that the print is paused in
SLOWER = 4.0  # times as long as that: then it hangs

HOST = """
[force_move]
enable_force_move: True
[router]
{peers}
[gcode_macro ROUND]
gcode:
    # A value that is 1 until a second after the script; the mirror follows it as well
    ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=JOB WAIT=1
    ROUTER_OBJECTS_WAIT TARGET=led OBJECT="gcode_macro JOB" FIELD=busy EQUALS=0
    ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=CHECK WAIT=1
    # A script beside those of others
    ROUTER_GCODE_SCRIPT TARGET=afc SCRIPT="FEED N={{params.N}}" WAIT=1
    M118 fed {{params.N}}
    # What is not known fulfils no condition
    ROUTER_OBJECTS_WAIT TARGET=afc OBJECT=toolhead FIELD=no NOT_EQUALS=1 TIMEOUT=0.5 ON_ERROR=warn
    EXPECT_ERROR
    TEMPERATURE_WAIT SENSOR="temperature_sensor chamber" MINIMUM=20
    M118 round {{params.N}}
[gcode_macro EXPECT_ERROR]
gcode:
    {{% if "not known" not in printer.router.last_error %}}
        {{action_raise_error("a wait for what is not known has succeeded")}}
    {{% endif %}}
[gcode_macro JAMMED]
gcode:
    ROUTER_GCODE_SCRIPT TARGET=afc SCRIPT=JAM WAIT=1 ON_ERROR=pause
"""
LED_OPTIONS = """\
mirror:
    gcode_macro JOB: busy
sensors:
    chamber: heater_generic chamber
"""
LED = """
[gcode_macro JOB]
variable_busy: 0
gcode:
    SET_GCODE_VARIABLE MACRO=JOB VARIABLE=busy VALUE=1
    UPDATE_DELAYED_GCODE ID=job_is_done DURATION=1
[delayed_gcode job_is_done]
gcode:
    SET_GCODE_VARIABLE MACRO=JOB VARIABLE=busy VALUE=0
[gcode_macro CHECK]
gcode:
    {% if printer["gcode_macro JOB"].busy %}
        {action_raise_error("the wait for the value has ended too early")}
    {% endif %}
[gcode_macro FOLLOW]
gcode:
    {action_call_remote_method("router/objects/subscribe", target="cam",
        objects={"gcode_macro EXTRA": None}, gcode_callback="SEEN")}
[gcode_macro SEEN]
variable_x: ""
gcode:
    {% if "GCODE_MACRO_EXTRA_X" in params %}
        SET_GCODE_VARIABLE MACRO=SEEN VARIABLE=x VALUE="'{params.GCODE_MACRO_EXTRA_X}'"
    {% endif %}
"""
AFC = """
[gcode_macro FEED]
gcode:
    G4 P1200
    M400
    M118 fed {params.N}
[gcode_macro JAM]
gcode:
    {action_raise_error("no filament")}
[gcode_macro LONG_LINE]
gcode:
    {action_respond_info("x" * 70000)}
""" + "".join(  # more than max_message in its configfile
    f"[gcode_macro LONG_{letter}]\ngcode:\n    M118 {letter * 4000}\n"
    for letter in "ABCDEFGHIJKLMNOPQRST"
)
# With it, or without
EXTRA = "[gcode_macro EXTRA]\nvariable_x: 7\ngcode:\n"


class Beside(threading.Thread):
    """Does these things in turn until it is stopped; done: how often, error: why it ended."""

    def __init__(self, *things: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.things = things
        self.stopping = threading.Event()
        self.done: Dict[str, int] = collections.Counter()
        self.error: List[BaseException] = []

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                for thing in self.things:
                    thing()
                    self.done[thing.__name__] += 1
                    self.stopping.wait(0.2)
        except Exception as e:
            self.error.append(e)

    def end(self) -> None:
        """Stop it; raises what went wrong."""
        self.stopping.set()
        self.join()
        if self.error:
            raise self.error[0]


class LongPrint(Closing):
    """The host and its peers; a context manager."""

    def __init__(self, kind: str, peer_kind: str) -> None:
        self.lab = lab = Lab(kind, peer_kind)
        peers = router_section(lab, "led", LED_OPTIONS)
        peers += router_section(lab, "afc") + router_section(lab, "cam")
        text = config.moving(HOST.format(peers=peers))
        self.host = lab.main(text, mcu="fake", strict=True)
        self.led = lab.peer("led", config.heating(LED), mcu="fake")
        self.afc = lab.peer("afc", config.printing(AFC, "fake"), mcu="fake")
        self.cam = lab.peer("cam", config.printing(EXTRA, "fake"), mcu="fake")
        self._cam_has_extra = True

    def __enter__(self) -> "LongPrint":
        self.lab.wait_ready()
        wait_known(self.host, "led", "afc", "cam")
        self.led.set_pin("gpio21", 45.0)
        self.led.script("FOLLOW")
        self.wait_seen("7")
        return self

    def close(self) -> None:
        self.lab.close()

    # -- what others do meanwhile

    def unknown_commands(self) -> None:
        """Scripts of another client on the peers, ending with unknown commands."""
        for peer in (self.led, self.afc):
            peer.script("G4 P400\nM400\nNONSENSE")

    def large_line(self) -> None:
        self.afc.script("LONG_LINE")

    def large_answer(self) -> None:
        """An answer that is longer than the host takes: an error of who asked for it."""
        params = {"target": "afc", "objects": {"configfile": None}}
        try:
            self.host.call("router/objects/query", params)
        except ApiError as e:
            assert "long" in str(e), e
        else:
            raise AssertionError("an answer beyond max_message was taken")

    def vanishing_object(self) -> None:
        """A restart after which the peer no longer has an object, or has it again."""
        self._cam_has_extra = not self._cam_has_extra
        self.cam.write_config(config.printing(EXTRA * self._cam_has_extra, "fake"))
        self.cam.restart()
        wait_known(self.host, "cam")
        self.wait_seen("7" if self._cam_has_extra else "")

    def wait_seen(self, value: str) -> None:
        """Wait until the router has notified led of this value of the object; "": no value."""
        seen = "gcode_macro SEEN"
        wait_until(
            lambda: self.led.query([seen])[seen]["x"] == value,
            20.0,
            f"led has seen {value!r}",
            [self.host, self.led, self.cam],
        )

    # -- prints

    def status(self) -> Dict[str, Any]:
        """{state, message} of the host's print."""
        return self.host.query({"print_stats": ["state", "message"]})["print_stats"]

    def start(self, lines: List[str]) -> None:
        """Begin to print a file of these lines."""
        (self.host.gcodes / "print.gcode").write_text("\n".join([*lines, "M400"]) + "\n")
        self.host.script("SDCARD_PRINT_FILE FILENAME=print.gcode")

    def rounds(self, count: int) -> List[str]:
        """The lines of a print of so many rounds."""
        lines = ["SET_KINEMATIC_POSITION X=10 Y=10 Z=10"]
        for number in range(1, count + 1):
            for move in range(MOVES):
                x, y = ((10, 10), (20, 10), (20, 20), (10, 20))[move % 4]  # 10 mm, at 100 mm/s
                lines.append(f"G1 X{x} Y{y} F6000")
            lines.append(f"ROUND N={number}")
            if number % JAM_EVERY == 0:
                lines.append("JAMMED")
        return lines

    def follow(self, count: int, besides: List[Beside]) -> int:
        """Resume the print whenever it pauses, until it is over; how often it was paused."""
        paused = 0
        deadline = time.monotonic() + SLOWER * count * ROUND_SECONDS
        while True:
            state = self.status()["state"]
            if state == "paused":
                paused += 1
                self.host.script("RESUME")
            elif state != "printing":
                return paused
            for beside in besides:
                if beside.error:
                    beside.end()
            assert time.monotonic() < deadline, f"the print hangs\n{self.lab.tail()}"
            time.sleep(0.1)

    def jam_without_a_print(self) -> None:
        """ON_ERROR=pause is an error where nothing prints, and pauses nothing."""
        try:
            self.host.script("JAMMED")
        except ApiError as e:
            assert "no filament" in str(e), e
        else:
            raise AssertionError("ON_ERROR=pause is no error outside of a print")
        paused = self.host.query({"pause_resume": ["is_paused"]})["pause_resume"]["is_paused"]
        assert not paused, self.host.tail()

    def wait_for_the_dead(self, condition: str) -> None:
        """A print that waits for a temperature of a peer that dies then ends with an error."""
        sensor = "temperature_sensor chamber"
        # Klipper's own sensors read 0.0 before they have measured
        wait_until(
            lambda: self.host.query([sensor])[sensor]["temperature"], 20.0, sensor, [self.host]
        )
        mark = self.host.mark()
        self.start(["M118 now", f'TEMPERATURE_WAIT SENSOR="{sensor}" {condition}'])
        self.host.wait_line("echo: now", start=mark)
        self.led.kill()
        wait_until(lambda: self.status()["state"] != "printing", 30.0, "its end", [self.host])
        status = self.status()
        assert status["state"] == "error", (condition, status)
        assert "led is not connected" in status["message"], (condition, status)
        self.led.start().wait_ready()
        wait_known(self.host, "led")

    def lost_links(self) -> int:
        """How often the host has lost one of the two peers that never restart."""
        status = self.host.query(["router led", "router afc"])
        return sum(int(peer["reconnects"]) for peer in status.values())


def check(trial: LongPrint, count: int, start: int) -> None:
    """Every round ended once, in order, and none before what it waited for."""
    assert trial.status()["state"] == "complete", f"{trial.status()}\n{trial.lab.tail()}"
    said = [line for line in trial.host.console[start:] if "fed " in line or "round " in line]
    expected = []
    for number in range(1, count + 1):
        expected += [f"// afc: fed {number}", f"echo: fed {number}", f"echo: round {number}"]
    assert said == expected, [pair for pair in zip(said, expected) if pair[0] != pair[1]][:3]
    fed = [line for line in trial.afc.console if line.startswith("echo: fed ")]
    assert fed == [f"echo: fed {number}" for number in range(1, count + 1)]
    assert trial.lost_links() == 0, trial.host.tail()
    assert trial.host.mcu_dump()["late_count"] == 0
    check_log(trial.host)


def long_print(
    minutes: float, kind: str, peer_kind: str, say: Callable[[str], None] = print
) -> None:
    """Raises AssertionError when a print hangs or does not end as its macros intend."""
    count = math.ceil(minutes * 60.0 / ROUND_SECONDS)
    with LongPrint(kind, peer_kind) as trial:
        trial.jam_without_a_print()
        begin, start = time.monotonic(), trial.host.mark()
        say(f"print: {count} rounds, host {kind}, peers {peer_kind}")
        trial.start(trial.rounds(count))
        besides = [
            Beside(trial.unknown_commands),
            Beside(trial.large_line, trial.large_answer),
            Beside(trial.vanishing_object),
        ]
        for beside in besides:
            beside.start()
        paused = trial.follow(count, besides)
        took = (time.monotonic() - begin) / 60.0
        for beside in besides:
            beside.end()
            say(f"print: beside it {dict(beside.done)}")
        check(trial, count, start)
        assert paused == count // JAM_EVERY
        say(f"print: complete after {took:.1f} minutes, paused {paused} times")
        trial.jam_without_a_print()
        for condition in ("MINIMUM=50", "MAXIMUM=40"):
            trial.wait_for_the_dead(condition)
        say("print: those that wait for the temperature of a dead peer have ended, with its name")


def main(minutes: str = "10", kind: str = "kalico", peer_kind: str = "") -> None:
    long_print(float(minutes), kind, peer_kind or kind, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
