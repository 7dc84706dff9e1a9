"""The example of an LED controller that shows what the main printer does."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import ast
import contextlib
import re

from klippy_extras.router.klippy.activity_rules import ENDED
from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.examples import each_klipper, run_example
from tests.system.macros import router_section

LED_CFG = (ROOT / "examples/led_status/led.cfg").read_text(encoding="utf-8")


@each_klipper
def test_the_light_shows_each_step_of_a_print(arguments):
    run_example("led_status", *arguments)


def colors():
    """The colors of the example by word."""
    (text,) = re.findall(r"variable_colors: (\{.*?\})", LED_CFG, re.DOTALL)
    found = ast.literal_eval(text)
    assert isinstance(found, dict)
    return found


def test_every_word_has_a_color():
    others = {"startup", "shutdown", "homing", "probing", "paused", "heating", "printing", "idle"}
    assert colors().keys() == {*ENDED, *others}


def test_the_light_has_the_color_of_the_word(lab, kind):
    include = f"[include {ROOT}/includes/router_api.cfg]"
    text = LED_CFG.replace("[include router_api.cfg]", include)
    main = lab.printer(kind, "main", config.printing("[router]\n" + router_section(lab, "led")))
    led = lab.printer(kind, "led", config.heating(text), mcu="fake")
    lab.wait_ready()

    def wait_color(word):
        wanted = [*colors()[word], 0]

        def shown():
            return led.query({"neopixel strip": None})["neopixel strip"]["color_data"][0] == wanted

        wait_until(shown, 20.0, f"the light has the color of {word}", [led, main])

    wait_color("idle")
    with contextlib.suppress(ApiError):
        main.script("M112")
    wait_color("shutdown")
    main.restart(firmware=True)
    wait_color("idle")
