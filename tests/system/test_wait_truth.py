"""A wait ends only for what it waits for: a value read after it began, and its own script."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.macros import fresh, router_section, set_state, start_duo, wait_shown

pytestmark = pytest.mark.pairs

HOST = """
[gcode_macro SHOW_MIRROR]
gcode:
    SHOW X={printer["router led"].mirror["gcode_macro STATE"].x}
[gcode_macro LAST_ERROR]
gcode:
    {action_respond_info("LAST_ERROR " ~ printer.router.last_error)}
"""

OPTIONS = """
mirror:
    gcode_macro JOB: busy
    gcode_macro STATE: x
proxy_commands: TYPO
"""

# JOB begins something that takes a while, like a changer that reports its state in an object
PEER = """
[gcode_macro JOB]
variable_busy: 0
gcode:
    SET_GCODE_VARIABLE MACRO=JOB VARIABLE=busy VALUE=1
    UPDATE_DELAYED_GCODE ID=job_over DURATION=1
[delayed_gcode job_over]
gcode:
    SET_GCODE_VARIABLE MACRO=JOB VARIABLE=busy VALUE=0
[gcode_macro TELL_JOB]
gcode:
    M118 busy {printer["gcode_macro JOB"].busy}
[gcode_macro OTHERS]
gcode:
    M118 others begin
    G4 P{params.MS}
    M400
    NONSENSE_OF_OTHERS
    M118 others end
[gcode_macro TYPO]
gcode:
    NONSENSE
    M118 Klipper goes on
[gcode_macro JAM]
gcode:
    {action_raise_error("no filament")}
"""


@pytest.fixture(scope="module")
def duo(shared_lab):
    duo = start_duo(
        shared_lab,
        router_section(shared_lab, "broken") + HOST,
        PEER,
        led_mcu="fake",
        # So rarely that the known values of this printer are old
        options="status_interval: 5\n",
        led_options=OPTIONS,
    )
    shared_lab.peer("broken", config.minimal("[nonsense]\n")).wait_state("error")
    return duo


@pytest.fixture
def main(duo):
    return duo.main


@pytest.fixture
def led(duo):
    return duo.led


def mirrored(main, name):
    return main.query({"router led": ["mirror"]})["router led"]["mirror"][name]


def wait_of(target, condition):
    return f"ROUTER_OBJECTS_WAIT TARGET={target} OBJECT='gcode_macro {condition}"


# Values


def test_a_mirrored_value_from_before_the_wait_does_not_end_it(main, led):
    wait_until(lambda: mirrored(main, "gcode_macro JOB")["busy"] == 0, 10.0, "mirror", [main])
    mark = main.mark()
    main.script(
        "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=JOB WAIT=1\n"
        + wait_of("led", "JOB' FIELD=busy EQUALS=0 TIMEOUT=20\n")
        + "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=TELL_JOB WAIT=1",
        timeout=30.0,
    )
    assert main.wait_line("led: busy", start=mark) == "// led: busy 0"


def test_a_value_of_this_printer_from_before_the_wait_does_not_end_it(main):
    old, new = fresh(), fresh()
    set_state(main, x=old)
    with main.api() as watcher:
        params = {"target": "main", "objects": {"gcode_macro STATE": ["x"]}}
        first = watcher.call("router/objects/subscribe", {**params, "response_template": {}})
        assert first["status"]["gcode_macro STATE"]["x"] == old
        main.script(
            f"SET_GCODE_VARIABLE MACRO=STATE VARIABLE=x VALUE={new}\n"
            + wait_of("main", f"STATE' FIELD=x EQUALS={new} TIMEOUT=2")
        )
        with pytest.raises(ApiError, match=f"STATE.x is still '{new}' after 0.3 seconds"):
            main.script(wait_of("main", f"STATE' FIELD=x EQUALS={old} TIMEOUT=0.3"))


@pytest.mark.parametrize("target", ["main", "led"])
@pytest.mark.parametrize("condition", ["NOT_EQUALS=1", "EQUALS=''", "EQUALS=1", "MAXIMUM=1"])
@pytest.mark.parametrize("field", ["STATE' FIELD=z", "STAET' FIELD=x", "STATE' FIELD=text"])
def test_an_unknown_value_satisfies_no_condition(main, led, target, condition, field):
    with pytest.raises(ApiError, match=r"gcode_macro STA.* is not known after 0\.6 seconds"):
        main.script(wait_of(target, f"{field} {condition} TIMEOUT=0.6"))


@pytest.mark.parametrize("condition", ["NOT_EQUALS=1", "EQUALS=''"])
def test_nothing_is_known_of_a_printer_in_error(main, condition):
    def is_connected():
        return main.query({"router broken": ["state"]})["router broken"]["state"] == "error"

    wait_until(is_connected, 10.0, "broken is in error", [main])
    with pytest.raises(ApiError, match=r"broken: gcode_macro STATE.x is not known after"):
        main.script(wait_of("broken", f"STATE' FIELD=x {condition} TIMEOUT=0.6"))


def test_the_mirror_is_fresh_after_a_wait_without_an_object(main, led):
    for _ in range(3):
        x, mark = fresh(), main.mark()
        main.script(
            f"ROUTER_GCODE_SCRIPT TARGET=led WAIT=1"
            f" SCRIPT='SET_GCODE_VARIABLE MACRO=STATE VARIABLE=x VALUE={x}'\n"
            "ROUTER_OBJECTS_WAIT TARGET=led\nSHOW_MIRROR"
        )
        assert wait_shown(main, "SHOW", mark) == {"X": str(x)}


# Scripts


class Others:
    """A script of another client on the peer, which begins before ours and ends with an error."""

    def __init__(self, led, milliseconds):
        self.led, self.start, self.milliseconds = led, led.mark(), milliseconds

    def __enter__(self):
        self.api = self.led.api()
        self.number = self.api.request("gcode/script", {"script": f"OTHERS MS={self.milliseconds}"})
        self.led.wait_line("others begin", start=self.start)

    def __exit__(self, *exception):
        with self.api:
            self.api.answer(self.number, timeout=20.0)


def test_an_error_of_another_script_on_the_peer_is_not_our_failure(main, led):
    mark = main.mark()
    with Others(led, 600):
        main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 mine' WAIT=1", timeout=20.0)
    main.wait_line("led: mine", start=mark)
    assert [line for line in main.console[mark:] if "led:" in line] == ["// led: mine"]


def test_a_long_script_behind_others_is_recognised_as_ours(main, led):
    """Longer than what Klippy reads at once."""
    mark = main.mark()
    with Others(led, 600):
        script = "\n".join(f"M118 mine {n}" for n in range(800))
        main.call("router/gcode/script", {"target": "led", "script": script}, timeout=30.0)
    assert [line for line in main.console[mark:] if "NONSENSE" in line] == []


def test_an_error_of_our_own_script_behind_others_is_our_failure(main, led):
    with Others(led, 600), pytest.raises(ApiError) as raised:
        main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=TYPO WAIT=1", timeout=20.0)
    assert str(raised.value) == 'led: Unknown command:"NONSENSE"'


@pytest.mark.parametrize("script", ["TYPO", "JAM"])
def test_the_reason_of_a_failed_wait_is_on_the_console_once(main, led, script):
    message = {"TYPO": "NONSENSE", "JAM": "no filament"}[script]
    before = f"before {fresh()}"
    main.script(f"M118 {before}")
    main.wait_line(before)
    mark = main.mark()
    with pytest.raises(ApiError, match=message):
        main.script(f"ROUTER_GCODE_SCRIPT TARGET=led SCRIPT={script} WAIT=1\nM118 after")
    main.script("M118 marker")
    main.wait_line("marker", start=mark)
    said = [line for line in main.console[mark:] if message in line]
    assert len(said) == 1 and said[0].startswith("!! led: ")


# An unknown command without waiting


@pytest.mark.parametrize("command", ["ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=TYPO", "TYPO"])
def test_an_unknown_command_is_reported_without_waiting(main, led, command):
    mark = main.mark()
    main.script(command)
    assert 'led: Unknown command:"NONSENSE"' in main.wait_line("Unknown", start=mark)


def test_an_unknown_command_is_an_error_over_the_api(main, led):
    with pytest.raises(ApiError, match='led: Unknown command:"NONSENSE"'):
        main.call("router/gcode/script", {"target": "led", "script": "TYPO"})
    with pytest.raises(ApiError, match='main: Unknown command:"NONSENSE"'):
        main.call("router/gcode/script", {"target": "main", "script": "NONSENSE"})
    with Others(led, 600):
        main.call("router/gcode/script", {"target": "led", "script": "M118 mine"}, timeout=20.0)
