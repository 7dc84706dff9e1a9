"""ROUTER_ON_ERROR of this printer runs for a failed wait after which the macro continues."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab.api import ApiError
from tests.system.macros import shown, start_duo

pytestmark = pytest.mark.pairs

HOST = """
[gcode_macro ROUTER_ON_ERROR]
gcode:
    SHOW METHOD={params.METHOD} TARGET='{params.TARGET}' MESSAGE="{params.MESSAGE}"
    ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=JAM WAIT=1 ON_ERROR=warn
    {% if params.METHOD == "ROUTER_EVENT_WAIT" %}
        SDCARD_PRINT_FILE FILENAME=none
    {% endif %}
[gcode_macro LAST_ERROR]
gcode:
    {action_respond_info("LAST_ERROR " ~ printer.router.last_error)}
"""
PEER = """
[gcode_macro JAM]
gcode:
    {action_raise_error("jammed")}
"""


@pytest.fixture(scope="module")
def main(shared_lab):
    return start_duo(shared_lab, HOST, PEER).main


def test_it_runs_before_the_next_command_and_its_errors_are_printed(main):
    mark = main.mark()
    main.script(
        "ROUTER_OBJECTS_WAIT TARGET=led OBJECT=webhooks FIELD=state EQUALS=x TIMEOUT=0.6"
        " ON_ERROR=warn\n"
        "LAST_ERROR\nM118 finished"
    )
    main.wait_line("echo: finished", start=mark)
    message = "led: webhooks.state is still 'ready' after 0.6 seconds"
    expected = {"METHOD": "ROUTER_OBJECTS_WAIT", "TARGET": "led", "MESSAGE": message}
    assert shown(main, "SHOW", mark) == [expected]
    said = [line for line in main.console[mark:] if "warning" not in line]
    jammed = [line for line in said if "jammed" in line]
    assert len(jammed) == 1 and jammed[0].startswith("// Router: led: ")
    last_error = main.wait_line("LAST_ERROR", start=mark)
    assert last_error == f"// LAST_ERROR {message}"
    assert said.index(jammed[0]) < said.index(last_error) < said.index("echo: finished")


def test_the_macro_goes_on_even_where_the_error_macro_fails(main):
    mark = main.mark()
    main.script("ROUTER_EVENT_WAIT EVENT=never TIMEOUT=0.2 ON_ERROR=warn\nM118 finished")
    main.wait_line("echo: finished", start=mark)
    assert [call["METHOD"] for call in shown(main, "SHOW", mark)] == ["ROUTER_EVENT_WAIT"]


def test_a_wait_that_raises_its_error_does_not_run_it(main):
    mark = main.mark()
    with pytest.raises(ApiError, match="was not triggered"):
        main.script("ROUTER_EVENT_WAIT EVENT=never TIMEOUT=0.2")
    main.script("M118 marker")
    main.wait_line("marker", start=mark)
    assert shown(main, "SHOW", mark) == []
