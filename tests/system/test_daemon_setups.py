"""Complete setups as people made them for the external router daemon: an LED, a filament changer.

Their wrappers, bridges, subscriptions and events use the same features as real configs.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.macros import check_log, router_section, wait_known

pytestmark = pytest.mark.pairs

# On every printer: the user's own wrappers, which check their parameters and have defaults
WRAPPERS = """
[gcode_macro ROUTER_GCODE_SCRIPT]
gcode:
    {% if 'TARGET' not in params or 'SCRIPT' not in params %}
        {action_raise_error("ROUTER_GCODE_SCRIPT needs TARGET and SCRIPT")}
    {% endif %}
    {action_call_remote_method("router/gcode/script", target=params.TARGET, script=params.SCRIPT)}

[gcode_macro ROUTER_EVENT_SUBSCRIBE]
gcode:
    {action_call_remote_method("router/event/subscribe", event=params.EVENT, gcode=params.GCODE)}

[gcode_macro ROUTER_EVENT_TRIGGER]
gcode:
    {% set context = {} %}
    {% for item in (params.CONTEXT or '').split(',') if item.strip() %}
        {% set pair = item.split('=', 1) %}
        {% set _ = context.update({pair[0].strip(): pair[1].strip()}) %}
    {% endfor %}
    {action_call_remote_method("router/event/trigger", event=params.EVENT, context=context)}

[gcode_macro ROUTER_OBJECTS_SUBSCRIBE]
gcode:
    {% set objects = {} %}
    {% for name in params.OBJECTS.split(',') %}
        {% set _ = objects.update({name.strip(): None}) %}
    {% endfor %}
    {action_call_remote_method("router/objects/subscribe", target=params.TARGET, objects=objects,
        gcode_callback=params.CALLBACK|default("ROUTER_UPDATE"))}

[gcode_macro ROUTER_UPDATE]
gcode:
    M118 Update: {rawparams}
"""

COLORS = ("READY", "HEATING", "RUNNING", "COMPLETE", "PAUSED", "ERROR", "DARK")

# The host's macros are called as the LED's own; an LED that restarts is subscribed to again
HOST_OF_LED = "".join(
    f"""
[gcode_macro STATUS_{color}]
gcode:
    ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=STATUS_{color}

[gcode_macro ON_LED_{color}]
gcode:
    M118 LED is {color}
"""
    for color in COLORS
) + (
    """
[delayed_gcode startup_light]
initial_duration: 0.5
gcode:
    STATUS_DARK

[gcode_macro LED_RESTART]
gcode:
    ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=RESTART

[gcode_macro LED_FIRMWARE_RESTART]
gcode:
    ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=FIRMWARE_RESTART

[delayed_gcode listen_to_led]
gcode:
"""
    + "".join(
        f"    ROUTER_EVENT_SUBSCRIBE EVENT=led/{color.lower()} GCODE=ON_LED_{color}\n"
        for color in COLORS
    )
    + "    M118 Listening\n"
)

# The probe is an object that the host does not have
LED = """
[gcode_macro FOLLOW_MAIN]
gcode:
    {% set objects = {
        "webhooks": ["state"], "print_stats": ["state"], "pause_resume": ["is_paused"],
        "toolhead": ["homed_axes"], "probe": ["last_z_result"],
        "heater_generic chamber": ["temperature", "target"]
    } %}
    {action_call_remote_method("router/objects/subscribe", target="main", objects=objects,
        gcode_callback="ON_MAIN")}
    UPDATE_DELAYED_GCODE ID=look_once DURATION=0.2
    M118 Following

[delayed_gcode look_once]
gcode:
    {action_call_remote_method("router/objects/query", target="main",
        objects={"webhooks": ["state"], "print_stats": ["state"]}, gcode_callback="ON_MAIN")}

[gcode_macro ON_MAIN]
variable_shown: "nothing"
variable_webhooks: "ready"
variable_print: "standby"
variable_paused: "false"
variable_homed: "none"
variable_temperature: 0.0
variable_target: 0.0
gcode:
    {% set last = printer["gcode_macro ON_MAIN"] %}
    {% set webhooks = params.WEBHOOKS_STATE|default(last.webhooks)|lower %}
    {% set print = params.PRINT_STATS_STATE|default(last.print)|lower %}
    {% set paused = params.PAUSE_RESUME_IS_PAUSED|default(last.paused)|string|lower %}
    {% set homed = params.TOOLHEAD_HOMED_AXES|default(last.homed)|string|lower %}
    {% set is = params.HEATER_GENERIC_CHAMBER_TEMPERATURE|default(last.temperature)|float %}
    {% set target = params.HEATER_GENERIC_CHAMBER_TARGET|default(last.target)|float %}
    {% set probed = params.PROBE_LAST_Z_RESULT is defined %}
    SET_GCODE_VARIABLE MACRO=ON_MAIN VARIABLE=webhooks VALUE="'{webhooks}'"
    SET_GCODE_VARIABLE MACRO=ON_MAIN VARIABLE=print VALUE="'{print}'"
    SET_GCODE_VARIABLE MACRO=ON_MAIN VARIABLE=paused VALUE="'{paused}'"
    SET_GCODE_VARIABLE MACRO=ON_MAIN VARIABLE=homed VALUE="'{homed}'"
    SET_GCODE_VARIABLE MACRO=ON_MAIN VARIABLE=temperature VALUE={is}
    SET_GCODE_VARIABLE MACRO=ON_MAIN VARIABLE=target VALUE={target}
    {% set color = "error" if webhooks == "shutdown" or print == "error" or probed
        else "paused" if paused in ("true", "1")
        else "heating" if target - is > 2.0
        else "running" if print == "printing"
        else "complete" if print == "complete"
        else "ready" %}
    {% if color != last.shown %}
        SET_GCODE_VARIABLE MACRO=ON_MAIN VARIABLE=shown VALUE="'{color}'"
        STATUS_{color|upper}
    {% endif %}

[gcode_macro ROUTER_ON_READY]
gcode:
    M118 LED controller ready
    UPDATE_DELAYED_GCODE ID=follow DURATION=1.0

[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    {% if params.PRINTER|lower == "main" %}
        UPDATE_DELAYED_GCODE ID=fallback DURATION=0
        SET_GCODE_VARIABLE MACRO=ON_MAIN VARIABLE=webhooks VALUE="'ready'"
        SET_GCODE_VARIABLE MACRO=ON_MAIN VARIABLE=shown VALUE="'nothing'"
        UPDATE_DELAYED_GCODE ID=follow DURATION=0.2
    {% endif %}

[gcode_macro ROUTER_ON_DISCONNECTED]
gcode:
    {% if params.PRINTER|lower == "main" %}
        UPDATE_DELAYED_GCODE ID=fallback DURATION=3
    {% endif %}

[delayed_gcode follow]
gcode:
    FOLLOW_MAIN

[delayed_gcode fallback]
gcode:
    STATUS_DARK
""" + "".join(
    f"""
[gcode_macro STATUS_{color}]
gcode:
    M118 Shows {color}
    {{action_call_remote_method("router/event/trigger", event="led/{color.lower()}")}}
"""
    for color in COLORS
)

# The host registers in its on_connect, too; a handler names its parameters
HOST_OF_ACE = """
[gcode_macro ROUTER_ON_READY]
gcode:
    M118 Registering
    {action_call_remote_method("router/event/subscribe", event="ace_fed",
        gcode="ON_ACE_FED LANE={lane} EXTRUDER={extruder}")}
    {action_call_remote_method("router/event/subscribe", event="ace_runout",
        gcode="ON_ACE_RUNOUT LANE={lane}")}

[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    {% set name = params.PRINTER|default('') %}
    {% if name|lower == 'ace' %}
        SET_GCODE_VARIABLE MACRO=_BRIDGE VARIABLE=ace_ready VALUE=True
    {% elif name|lower == 'led' %}
        UPDATE_DELAYED_GCODE ID=listen_to_led DURATION=0.1
    {% endif %}

[gcode_macro ROUTER_ON_DISCONNECTED]
gcode:
    {% if params.PRINTER == 'ace' %}
        SET_GCODE_VARIABLE MACRO=_BRIDGE VARIABLE=ace_ready VALUE=False
        M118 No changer
    {% endif %}

[gcode_macro _BRIDGE]
variable_ace_ready: False
gcode:

[gcode_macro BRIDGE_FEED]
gcode:
    {% set lane = params.LANE|default(0)|int %}
    {% if printer["gcode_macro _BRIDGE"].ace_ready %}
        ROUTER_EVENT_TRIGGER EVENT=ace_feed CONTEXT="lane={lane},length=60,extruder={lane + 1},"
    {% else %}
        LOAD_EXTRUDER EXTRUDER={lane + 1}
    {% endif %}

[gcode_macro BRIDGE_ASSIST]
gcode:
    {% set lane = params.LANE|default(0)|int %}
    {action_call_remote_method("router/gcode/script", target="ace",
        script="ACE_ASSIST INSTANCE=0 INDEX=%d" % (lane))}
    UPDATE_DELAYED_GCODE ID=release DURATION=0.3

[delayed_gcode release]
gcode:
    {action_call_remote_method("router/gcode/script", target="ace", script="ACE_RELEASE INDEX=0")}

[gcode_macro BRIDGE_DRY_STOP]
gcode:
    ROUTER_EVENT_TRIGGER EVENT=ace_dry_stop

[gcode_macro ON_ACE_FED]
gcode:
    {% set extruder = params.EXTRUDER|default('-1')|int %}
    {% if extruder >= 0 %}
        LOAD_EXTRUDER EXTRUDER={extruder}
    {% endif %}

[gcode_macro LOAD_EXTRUDER]
gcode:
    M118 Loading {params.EXTRUDER}

[gcode_macro ON_ACE_RUNOUT]
gcode:
    M118 Runout on {params.LANE}
    PAUSE
"""

ACE = """
[gcode_macro ROUTER_ON_READY]
gcode:
    {action_call_remote_method("router/event/subscribe", event="ace_feed",
        gcode="ON_FEED LANE={lane} LENGTH={length} EXTRUDER={extruder}")}
    {action_call_remote_method("router/event/subscribe", event="ace_dry_stop", gcode="ON_DRY_STOP")}

[gcode_macro ON_FEED]
variable_lane: -1
variable_extruder: -1
gcode:
    SET_GCODE_VARIABLE MACRO=ON_FEED VARIABLE=lane VALUE={params.LANE|default(0)|int}
    SET_GCODE_VARIABLE MACRO=ON_FEED VARIABLE=extruder VALUE={params.EXTRUDER|default(0)|int}
    M118 Feeding {params.LANE} by {params.LENGTH}
    UPDATE_DELAYED_GCODE ID=fed DURATION=0.3

[delayed_gcode fed]
gcode:
    {% set pending = printer["gcode_macro ON_FEED"] %}
    ROUTER_EVENT_TRIGGER EVENT=ace_fed CONTEXT="lane={pending.lane},extruder={pending.extruder}"

[gcode_macro ON_DRY_STOP]
gcode:
    M118 Drying stopped{rawparams}

[gcode_macro ACE_ASSIST]
gcode:
    M118 Assist {params.INSTANCE} {params.INDEX}

[gcode_macro ACE_RELEASE]
gcode:
    M118 Release {params.INDEX}

[gcode_macro RUNOUT]
gcode:
    ROUTER_EVENT_TRIGGER EVENT=ace_runout CONTEXT="lane={params.LANE}"
"""


@pytest.fixture(scope="module")
def printers(shared_lab):
    lab = shared_lab
    sections = "[router]\non_connect:\n    ROUTER_ON_READY\n    M118 Connected to main\n"
    for name in ("led", "ace"):
        sections += router_section(lab, name, f"on_connect: M118 Connected to {name}")
    host = config.heating(sections + WRAPPERS + HOST_OF_LED + HOST_OF_ACE)
    lab.main(host, mcu="fake").set_pin("gpio21", 25)
    for name, text in (("led", LED), ("ace", ACE)):
        lab.peer(name, config.printing(WRAPPERS + text, "fake"), mcu="fake")
    lab.wait_ready()
    wait_known(lab.printers["main"], "led", "ace")
    lab.printers["main"].wait_line("echo: Listening")
    lab.printers["led"].wait_line("echo: Following")
    return lab.printers


@pytest.fixture
def main(printers):
    yield printers["main"]
    check_log(printers["main"])


@pytest.fixture
def led(printers):
    return printers["led"]


@pytest.fixture
def ace(printers):
    return printers["ace"]


def shown(led):
    """What the LED's own macros print about the host."""
    return led.query(["gcode_macro ON_MAIN"])["gcode_macro ON_MAIN"]["shown"]


def wait_shown(led, *colors):
    wait_until(lambda: shown(led) in colors, 20.0, f"the LED shows {colors}", [led])


def print_file(main, gcode):
    folder = main.folder / "gcodes"
    folder.mkdir(exist_ok=True)
    (folder / "test.gcode").write_text(gcode)
    main.script("SDCARD_PRINT_FILE FILENAME=test.gcode")


def test_on_connect_runs_everywhere(main, led, ace):
    for printer in main, led, ace:
        printer.wait_line(f"echo: Connected to {printer.name}")


def test_the_led_follows_the_host(main, led):
    wait_shown(led, "ready")
    mark = led.mark(), main.mark()
    main.script("SET_HEATER_TEMPERATURE HEATER=chamber TARGET=80")
    wait_shown(led, "heating")
    main.set_pin("gpio21", 80)
    wait_shown(led, "ready")
    print_file(main, "G4 P2000\n")
    wait_shown(led, "complete")
    # The host's startup_light may run in between
    seen = [x for x in led.console[mark[0] :] if "Shows" in x and "DARK" not in x]
    assert seen == [f"echo: Shows {c}" for c in ("HEATING", "READY", "RUNNING", "COMPLETE")]
    # Each as an event without a context, to a handler that is one bare name
    for color in ("HEATING", "RUNNING", "COMPLETE"):
        main.wait_line(f"echo: LED is {color}", start=mark[1])
    told = [x for x in main.console[mark[1] :] if "LED is" in x and "DARK" not in x]
    assert len(told) == len(seen)


def test_macros_of_the_same_name_on_both_printers(main, led):
    mark = led.mark()
    main.script("STATUS_PAUSED\nSTATUS_ERROR")
    led.wait_line("echo: Shows ERROR", start=mark)
    assert "echo: Shows PAUSED" in led.console[mark:]


def test_a_wrapper_may_raise_its_own_error(main):
    with pytest.raises(ApiError, match="ROUTER_GCODE_SCRIPT needs TARGET and SCRIPT"):
        main.script("ROUTER_GCODE_SCRIPT TARGET=led")


def test_a_wrapper_may_have_a_default_callback(main):
    mark = main.mark()
    main.script("ROUTER_OBJECTS_SUBSCRIBE TARGET=ace OBJECTS=pause_resume")
    main.wait_line("echo: Update: PAUSE_RESUME_IS_PAUSED='False'", start=mark)


def test_events_in_both_directions(main, ace):
    marks = main.mark(), ace.mark()
    main.script("BRIDGE_FEED LANE=2")
    ace.wait_line("echo: Feeding 2 by 60", start=marks[1])
    main.wait_line("echo: Loading 3", start=marks[0])
    main.script("BRIDGE_DRY_STOP")
    ace.wait_line("echo: Drying stopped", start=marks[1])
    # Subscribed twice, by on_connect and by ROUTER_ON_READY itself: run once
    assert len([line for line in main.console if "Registering" in line]) == 2
    assert len([line for line in main.console[marks[0] :] if "Loading" in line]) == 1


def test_scripts_of_a_delayed_gcode(main, ace):
    mark = ace.mark()
    main.script("BRIDGE_ASSIST LANE=1")
    ace.wait_line("echo: Assist 0 1", start=mark)
    ace.wait_line("echo: Release 0", start=mark)


def test_an_event_pauses_a_print(main, ace):
    print_file(main, "G4 P500\n" * 200)
    mark = main.mark()
    ace.script("RUNOUT LANE=3")
    main.wait_line("echo: Runout on 3", start=mark)
    wait_until(
        lambda: main.query(["pause_resume"])["pause_resume"]["is_paused"], 20.0, "a pause", [main]
    )
    main.script("CANCEL_PRINT\nSDCARD_RESET_FILE")


def test_a_changer_that_restarts(main, ace):
    mark = main.mark()
    ace.restart()
    main.wait_line("echo: No changer", start=mark)
    wait_known(main, "ace")
    test_events_in_both_directions(main, ace)


@pytest.mark.parametrize("macro", ["LED_RESTART", "LED_FIRMWARE_RESTART"])
def test_restarting_the_led(main, led, macro):
    marks = main.mark(), led.mark()
    main.script(macro)
    led.wait_line("echo: LED controller ready", start=marks[1], timeout=30.0)
    led.wait_line("echo: Following", start=marks[1])
    main.wait_line("echo: Listening", start=marks[0])
    led.wait_line("echo: Shows READY", start=marks[1])


def test_restarting_an_led_that_is_shut_down(main, led):
    led.call("emergency_stop")
    wait_known(main, "led", ready=False)
    test_restarting_the_led(main, led, "LED_FIRMWARE_RESTART")


def test_an_led_shows_the_shutdown_of_the_host(main, led):
    mark = led.mark()
    wait_shown(led, "ready")
    main.call("emergency_stop")
    wait_shown(led, "error")
    # A shutdown is a disconnect, too (REASON=shutdown): the LED's fallback runs after it
    led.wait_line("echo: Shows DARK", start=mark)
    after = led.mark()
    main.restart(firmware=True)
    wait_known(main, "led", "ace")
    led.wait_line("echo: Following", start=after)
    wait_shown(led, "ready")
    mark = main.mark()
    main.script("BRIDGE_FEED LANE=1")
    main.wait_line("echo: Loading 2", start=mark)
