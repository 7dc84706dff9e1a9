"""ON_ERROR of a wait that fails in the middle of a real print from virtual_sdcard."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.

import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.macros import router_section, start_duo

HOST = """
[virtual_sdcard]
on_error_gcode: M118 on_error_gcode
[gcode_macro CHANGE]
gcode:
    ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=JAM WAIT=1 ON_ERROR={params.ON_ERROR}
[gcode_macro PAUSE]
rename_existing: BASE_PAUSE
gcode:
    BASE_PAUSE
    ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=PARK WAIT=1 ON_ERROR=warn
[gcode_macro STEPS]
gcode:
    CHANGE ON_ERROR=pause
    SECOND_STEP
[gcode_macro SECOND_STEP]
gcode:
    {% if not printer.router.last_error %}
        M118 second step
    {% endif %}
"""
PEER = """
[gcode_macro JAM]
gcode:
    {action_raise_error("no filament")}
[gcode_macro PARK]
gcode:
    M118 parked
"""


@pytest.fixture(scope="module")
def duo(shared_lab):
    return start_duo(shared_lab, HOST, PEER, mcu="fake")


class Print:
    """A print whose second line waits for a script that fails, directly or in a macro."""

    def __init__(self, main, line):
        self.main, self.start = main, main.mark()
        text = f"M118 first\n{line}\nM118 second\nG4 P100\nM118 third\nM400\n"
        (main.gcodes / "part.gcode").write_text(text)
        main.script("SDCARD_PRINT_FILE FILENAME=part.gcode")

    def wait_state(self, state):
        """Wait until print_stats has this state."""
        told = {"print_stats": ["state"]}
        wait_until(
            lambda: self.main.query(told)["print_stats"]["state"] == state,
            15.0,
            f"the print is {state}",
            [self.main],
        )

    @property
    def said(self):
        """What M118 and errors printed since the print began; complete up to a marker."""
        self.main.script("M118 marker")
        self.main.wait_line("marker", start=self.start)
        said = [line.replace("echo: ", "") for line in self.main.console[self.start :]]
        said = [line.replace("// Router: led: ", "warned: ") for line in said]
        wanted = ("first", "second", "third", "on_error_gcode", "!! led: ", "warned: ")
        said = [line[:8] for line in said if line.startswith(wanted)]
        # Klipper itself prints the error of a macro's command twice
        return [a for a, b in zip(said, [*said[1:], ""]) if (a, b) != ("!! led: ", "!! led: ")]


@pytest.fixture(params=["line", "macro"])
def line(request):
    """The line of the file that fails, but for ON_ERROR's value."""
    direct = "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=JAM WAIT=1 ON_ERROR="
    return direct if request.param == "line" else "CHANGE ON_ERROR="


def test_pause_pauses_and_resume_continues_with_the_next_line(duo, line):
    job = Print(duo.main, line + "pause")
    job.wait_state("paused")
    paused = duo.main.query(["pause_resume", "virtual_sdcard"])
    assert paused["pause_resume"]["is_paused"] is True
    assert paused["virtual_sdcard"]["is_active"] is False
    assert job.said == ["first", "warned: "]
    duo.main.script("RESUME")
    job.wait_state("complete")
    assert job.said == ["first", "warned: ", "second", "third"]


def paused(main):
    """Whether pause_resume is paused."""
    return main.query({"pause_resume": ["is_paused"]})["pause_resume"]["is_paused"]


def test_pause_raises_when_nothing_is_printing(duo, line):
    """The PAUSE would last, and the next print could not be paused."""
    duo.main.script("SDCARD_RESET_FILE")
    with pytest.raises(ApiError, match="led: .*no filament"):
        duo.main.script(f"{line}pause\nM118 goes on")
    assert paused(duo.main) is False


def test_pause_pauses_for_a_line_of_the_serial_port(duo, line):
    """It may belong to a print that Klippy knows nothing of."""
    duo.main.script("SDCARD_RESET_FILE")
    with open(duo.main.folder / "tty", "w", encoding="utf-8") as port:
        port.write(f"{line}pause\n")
    try:
        wait_until(lambda: paused(duo.main), 10.0, "main is paused", [duo.main])
    finally:
        duo.main.script("CLEAR_PAUSE")


def test_a_print_that_cannot_be_paused_ends(duo, line):
    """PAUSE does nothing where a pause from before the print was left behind."""
    duo.main.script("SDCARD_RESET_FILE\nPAUSE")
    try:
        job = Print(duo.main, line + "pause")
        job.wait_state("error")
        assert "second" not in job.said
        message = duo.main.query({"print_stats": ["message"]})["print_stats"]["message"]
        assert message.startswith("led: ") and "PAUSE did not pause the print" in message
    finally:
        duo.main.script("CLEAR_PAUSE")


def test_a_wait_inside_pause_does_not_hide_the_failure(duo):
    """A macro that asks printer.router.last_error before its next step."""
    job = Print(duo.main, "STEPS")
    job.wait_state("paused")
    assert job.said == ["first", "warned: "]
    assert not [line for line in duo.main.console[job.start :] if "second step" in line]
    duo.main.script("RESUME")
    job.wait_state("complete")


def test_raise_ends_the_print_as_klipper_does(duo, line):
    job = Print(duo.main, line + "raise")
    job.wait_state("error")
    assert job.said == ["first", "!! led: ", "on_error"]
    message = duo.main.query({"print_stats": ["message"]})["print_stats"]["message"]
    assert message.startswith("led: ") and "no filament" in message


def test_warn_goes_on(duo, line):
    job = Print(duo.main, line + "warn")
    job.wait_state("complete")
    assert job.said == ["first", "warned: ", "second", "third"]


def test_pause_without_pause_resume_is_an_error(lab, kind):
    """Without [pause_resume], PAUSE is an unknown command, and the print would go on."""
    sections = f"[router]\n{router_section(lab, 'led')}"
    main = lab.printer(kind, "main", config.minimal(sections)).wait_ready()
    wait = "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=FEED WAIT=1 ON_ERROR=pause"
    with pytest.raises(ApiError, match="led is not connected"):
        main.script(wait)
