"""The example of a print that waits for a filament changer, run as a user runs it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.examples import each_klipper, run_example
from tests.system.macros import router_section, wait_known

MAIN_CFG = ROOT / "examples" / "changer" / "main.cfg"
# A changer with no filament in lane 2
CHANGER = """
[gcode_macro FEED]
gcode:
    {% if params.LANE == "2" %}
        {action_raise_error("no filament")}
    {% endif %}
[gcode_macro LOAD]
gcode:
[gcode_macro PURGE]
gcode:
"""


@each_klipper
def test_the_print_waits_three_times(arguments):
    lines = run_example("changer", *arguments)
    # Each step begins when the one before it is over, and the print goes on after the last
    said = [line.split("| ", 1)[1] for line in lines if line.startswith("main ")]
    marks = ("echo: Change", "// changer:", "echo: Print")
    assert [line for line in said if line.startswith(marks)] == [
        "echo: Change to lane 1",
        "echo: Change: FEED LANE=1",
        "// changer: Feeding lane 1",
        "// changer: Fed lane 1",
        "echo: Change: LOAD LENGTH=50",
        "// changer: Loading 50 mm",
        "// changer: Loaded",
        "echo: Change: PURGE",
        "// changer: Purging",
        "// changer: Purged",
        "echo: Print is over",
    ]


@pytest.fixture
def main(lab, kind):
    """The main printer of the example, with another changer."""
    text = MAIN_CFG.read_text().replace("[router changer]\n", router_section(lab, "changer"))
    text += "[gcode_macro T2]\ngcode:\n    CHANGE_FILAMENT LANE=2\n"
    main = lab.printer(kind, "main", config.printing(text, "fake"), mcu="fake")
    lab.printer(kind, "changer", config.printing(CHANGER))
    lab.wait_ready()
    wait_known(main, "changer")
    return main


def printed(main, *lines):
    """Print a file of these lines; returns the steps that it reached."""
    mark = main.mark()
    (main.gcodes / "part.gcode").write_text("\n".join([*lines, "M118 end of file", "M400", ""]))
    main.script("SDCARD_PRINT_FILE FILENAME=part.gcode")

    def is_over():
        status = main.query({"print_stats": ["state"]})["print_stats"]
        return status["state"] in ("paused", "complete", "error")

    wait_until(is_over, 20.0, "the print is over, or paused", [main])
    said = [line.replace("echo: ", "") for line in main.console[mark:]]
    return [line for line in said if line.startswith(("Change:", "end"))]


STEPS = ["Change: FEED LANE=1", "Change: LOAD LENGTH=50", "Change: PURGE"]


def test_a_failed_change_pauses_only_a_print(main):
    with pytest.raises(ApiError, match="no filament"):
        main.script("T2")
    assert main.query(["pause_resume"])["pause_resume"]["is_paused"] is False
    assert printed(main, "T2") == ["Change: FEED LANE=2"]
    assert main.query(["pause_resume"])["pause_resume"]["is_paused"] is True


def test_a_leftover_pause_skips_no_step(main):
    main.script("PAUSE")
    assert printed(main, "T1") == [*STEPS, "end of file"]
