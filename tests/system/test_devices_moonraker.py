"""Devices of a peer through the real Moonraker: what user interfaces read, and what they send."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# What they read and send: src/store/printer/getters.ts, src/components/inputs/ and
# src/mixins/miscellaneous.ts of Mainsail.
import pytest

from tests.lab import config
from tests.lab.moonraker import LabMoonraker
from tests.lab.waiting import wait_until
from tests.system.devices import RED, ROWS, SENSORS, led_config, made, router, wait_status
from tests.system.macros import check_log, says, wait_known

HEATER, SHOW = "heater_generic chamber", "gcode_macro SHOW"
HERE = [row.here for row in ROWS.values()] + [HEATER, SHOW, "temperature_sensor extruder"]
MORE = f"    {HEATER}\n    {SHOW}\n"
LARGE = {f"field_{number}": ["x" * 50] * 3 for number in range(40)}


@pytest.fixture(scope="module")
def main(shared_lab):
    """The host, on which Moonraker and a page were started before led was."""
    return shared_lab.main(config.printing(router(shared_lab, MORE))).wait_ready()


@pytest.fixture(scope="module")
def moonraker(main):
    with LabMoonraker(main) as moonraker:
        yield moonraker.start()


@pytest.fixture(scope="module")
def page(moonraker):
    """A page: subscribed to all fields of all objects, as Mainsail is, since before led came."""
    with moonraker.rpc() as rpc:
        objects = rpc.call("printer.objects.list")["objects"]
        first = rpc.call("printer.objects.subscribe", {"objects": dict.fromkeys(objects)})
        yield Page(rpc, first["status"])


class Page:
    """Keeps the status as a page does. first: what it got when it subscribed."""

    def __init__(self, rpc, first):
        self.rpc, self.first = rpc, first
        self.status = {name: dict(values) for name, values in first.items()}

    def wait(self, what, predicate, *printers):
        """Wait until this is true of the status; return the updates that have come."""
        updates = []

        def is_true():
            while self.rpc.receive(0.01):
                pass
            for message in self.rpc.notifications:
                if message["method"] == "notify_status_update":
                    updates.append(message["params"][0])
                    for name, values in message["params"][0].items():
                        self.status.setdefault(name, {}).update(values)
            self.rpc.notifications.clear()
            return predicate(self.status)

        wait_until(is_true, 15.0, what, printers)
        return updates

    def waits_for(self, name, *printers, **fields):
        """Wait until it shows these fields of an object."""
        shows = f"the page shows {fields} of {name}"
        return self.wait(shows, lambda s: fields.items() <= s.get(name, {}).items(), *printers)


@pytest.fixture(scope="module")
def led(page, main, shared_lab):
    sections = says("SHOW").replace("rawparams", 'params.A|default("1") ~ rawparams')
    text = led_config(shared_lab.peer_kind, sections).replace(
        '"slots": []', f'"slots": [], {FIELDS}'
    )
    led = shared_lab.peer("led", text, mcu="fake").wait_ready()
    wait_known(main, "led")
    return led


FIELDS = str(LARGE)[1:-1].replace("'", '"')


def send(moonraker, script):
    """What an interface sends."""
    return moonraker.post("/printer/gcode/script", {"script": script})


# -- before the peer has ever connected


def test_every_object_is_listed_and_has_its_fields_before_the_peer_has_connected(page, moonraker):
    assert set(HERE) <= set(moonraker.get("/printer/objects/list")["objects"])
    for row in ROWS.values():
        assert page.first[row.here] == row.at_rest, row.here
    assert page.first[HEATER] == {"temperature": None, "target": 0.0, "power": 0.0}
    heaters = page.first["heaters"]
    assert heaters["available_heaters"] == [HEATER]
    assert set(heaters["available_sensors"]) == SENSORS | {HEATER}


def test_every_setting_that_an_interface_reads_has_a_default(page):
    settings = page.first["configfile"]["settings"]
    for name in (HEATER, "temperature_fan cool"):
        assert settings[name]["max_temp"] == 300.0 and settings[name]["min_temp"] == 0.0
    for name in ("neopixel cabinet", "dotstar dots", "pca9533 four", "pca9632 more"):
        (order,) = settings[name]["color_order"]
        assert set("RGB") <= set(order)
    assert {"red_pin", "green_pin", "blue_pin"} == settings["led lamp"].keys()
    for name in ("output_pin relay", "pwm_tool laser", "pwm_cycle_time beeper"):
        assert settings[name]["pwm"] is (name != "output_pin relay")
        assert settings[name]["scale"] == 1.0
    assert settings["gcode_macro show"]["gcode"] == ""


def test_unknown_temperatures_are_recorded_as_such(moonraker, page):
    def recorded():
        return moonraker.get("/server/temperature_store")

    names = SENSORS | {HEATER}
    wait_until(lambda: names <= recorded().keys(), 10.0, "Moonraker records them", [moonraker])
    store = recorded()
    assert {value for name in names for value in store[name]["temperatures"]} == {None}


# -- the peer connects, and a page that was open shows it


def test_a_page_that_was_open_shows_every_device(page, main, led):
    def is_shown(status):
        measured = [status[name]["temperature"] for name in SENSORS | {HEATER}]
        return None not in measured and len(status["neopixel cabinet"]["color_data"]) == 20

    page.wait("the page shows the temperatures and the strip", is_shown, main, led)
    page.waits_for("gcode_macro LED_VARS", main, led, x=1)
    page.waits_for(
        "filament_switch_sensor runout", main, led, enabled=True, filament_detected=False
    )
    page.waits_for("gcode_button led_knob", main, led, state="RELEASED")
    page.waits_for("led_effect fire", main, led, enabled=True)
    page.waits_for("ace", main, led, **LARGE)


def test_and_the_peers_own_settings(page, main, led):
    def are_read(status):
        settings = status["configfile"]["settings"]
        return settings[HEATER]["max_temp"] == 120.0

    page.wait("the page has led's settings", are_read, main, led)
    settings = page.status["configfile"]["settings"]
    assert settings["temperature_fan cool"]["max_temp"] == 90.0
    assert settings["neopixel cabinet"]["color_order"] == ["GRB"]
    assert settings["neopixel cabinet"]["chain_count"] == 20
    pins = {name for name in settings["led lamp"] if name.endswith("_pin")}
    assert {"red_pin", "white_pin"} <= pins
    assert settings["output_pin dim"]["pwm"] is True
    assert settings["output_pin dim"]["scale"] == 255.0
    assert settings["output_pin relay"]["pwm"] is False
    assert settings["fan_generic exhaust"]["max_power"] == 0.8
    assert 'params.A|default("1")' in settings["gcode_macro show"]["gcode"]


def test_temperatures_are_recorded(moonraker, main, led):
    def recorded():
        store = moonraker.get("/server/temperature_store")
        return all(store[n]["temperatures"][-1] is not None for n in SENSORS | {HEATER})

    wait_until(recorded, 10.0, "Moonraker has recorded the temperatures", [main, moonraker])
    store = moonraker.get("/server/temperature_store")
    assert "targets" in store[HEATER] and "targets" in store["temperature_fan cool"]


def test_the_commands_are_in_the_console_help(moonraker, led):
    texts = moonraker.get("/printer/gcode/help")
    for name in ("SET_LED", "SET_PIN", "SET_FAN_SPEED", "SET_FILAMENT_SENSOR", "SHOW"):
        assert name in texts


SENT = [
    (f"SET_HEATER_TEMPERATURE HEATER={HEATER.split()[1]} TARGET=45", HEATER, {"target": 45.0}),
    ("TURN_OFF_HEATERS", HEATER, {"target": 0.0}),
    (
        "SET_TEMPERATURE_FAN_TARGET TEMPERATURE_FAN=cool TARGET=50",
        "temperature_fan cool",
        {"target": 50.0},
    ),
    ("SET_FAN_SPEED FAN=exhaust SPEED=0.5", "fan_generic exhaust", {}),
    ("SET_PIN PIN=relay VALUE=1.00", "output_pin relay", {"value": 1.0}),
    ("SET_PIN PIN=dim VALUE=127.50", "output_pin dim", {"value": 0.5}),
    (
        'SET_LED LED="cabinet" RED=1 GREEN=0 BLUE=0 SYNC=0 TRANSMIT=1',
        "neopixel cabinet",
        {"color_data": [RED] * 20},
    ),
    (
        'SET_LED LED="lamp" RED=0 GREEN=0 BLUE=0 WHITE=1 SYNC=0 TRANSMIT=1',
        "led lamp",
        {"color_data": [[0.0, 0.0, 0.0, 1.0]]},
    ),
    (
        "SET_FILAMENT_SENSOR SENSOR=runout ENABLE=0",
        "filament_switch_sensor runout",
        {"enabled": False},
    ),
    (
        "SET_FILAMENT_SENSOR SENSOR=wheel ENABLE=0",
        "filament_motion_sensor wheel",
        {"enabled": False},
    ),
]


@pytest.mark.parametrize(
    "script, name, fields", SENT, ids=[script.split()[0] for script, _, _ in SENT]
)
def test_what_an_interface_sends_works_and_the_page_shows_it(
    moonraker, page, main, led, script, name, fields
):
    before = dict(page.status[name])
    assert send(moonraker, script) == "ok"
    page.waits_for(name, main, led, **fields)
    page.wait(f"{name} has changed", lambda status: status[name] != before, main, led)


def test_an_effect_is_started_and_stopped(moonraker, main, led):
    send(moonraker, 'SET_LED_EFFECT EFFECT="fire"')
    ran = {"EFFECT": "fire"}
    wait_status(led, "led_effect fire", ran=ran)
    send(moonraker, 'SET_LED_EFFECT EFFECT="fire" STOP=1')
    wait_status(led, "led_effect fire", ran={**ran, "STOP": "1"})


def test_a_macro_is_a_button(moonraker, main, led):
    mark = led.mark()
    send(moonraker, "SHOW A=2")
    led.wait_line("SHOW 2A=2", start=mark)


def test_a_change_of_the_peer_is_shown(page, main, led):
    led.set_pin("gpio42", 37)
    led.set_pin("gpio38", 1)
    page.waits_for("filament_switch_sensor runout", main, led, filament_detected=True)

    def is_warm(status):
        return 36 < status["temperature_sensor Box-1"]["temperature"] < 38

    page.wait("the box has 37 degrees", is_warm, main, led)


def test_only_changed_fields_of_a_large_status_are_sent(page, main, led):
    made(led, "ace", field_7=["new"])
    updates = page.waits_for("ace", main, led, field_7=["new"])
    changes = [update["ace"] for update in updates if "ace" in update]
    assert changes == [{"field_7": ["new"]}]
    # And nothing of the settings, which are larger
    assert not [update for update in updates if "settings" in update.get("configfile", {})]


# -- the peer is lost, and comes back


def test_a_page_shows_that_the_peer_is_offline_and_is_right_again_after_it(
    moonraker, page, main, led
):
    led.kill()
    page.wait(
        "the temperatures are unknown",
        lambda s: {s[name]["temperature"] for name in SENSORS | {HEATER}} == {None},
        main,
    )
    for source, row in ROWS.items():
        for field, value in page.status[row.here].items():
            if field == "color_data":
                assert {tuple(color) for color in value} == {(0.0,) * 4}, source
            else:
                assert value == row.at_rest.get(field), (source, field)
    assert page.status[HEATER]["target"] == page.status[HEATER]["power"] == 0.0
    assert send(moonraker, "SET_PIN PIN=relay VALUE=1") == "ok"
    assert moonraker.get("/server/info")["klippy_state"] == "ready"
    led.start().wait_ready()
    page.waits_for("ace", main, led, field_7=LARGE["field_7"])
    page.wait("it is measured", lambda s: s[HEATER]["temperature"] is not None, main, led)
    page.waits_for("filament_switch_sensor runout", main, led, enabled=True)
    check_log(main)
    # A macro without variables has an empty status, and exists
    assert not [line for line in main.console if " has no " in line]
