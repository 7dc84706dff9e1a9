"""A hint about a printer is shown once per session of its Klippy, and the number is limited."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from klippy_extras.router.printers.hints import MAX_HINTS, Hints


def test_a_sentence_is_shown_once_per_session():
    shown = []
    hints = Hints(shown.append)
    for sentence in ("one", "two", "one"):
        hints.say(sentence)
    assert shown == ["Router: one", "Router: two"]
    hints.klippy_restarted()
    hints.say("one")
    assert shown == ["Router: one", "Router: two", "Router: one"]


def test_is_new_is_true_once_and_shows_nothing():
    shown = []
    hints = Hints(shown.append)
    assert hints.is_new("one") and not hints.is_new("one")
    hints.say("one")
    assert shown == []


def test_the_number_of_hints_is_limited():
    shown = []
    hints = Hints(shown.append)
    for number in range(3 * MAX_HINTS):
        hints.say(str(number))
    assert shown == [f"Router: {number}" for number in range(MAX_HINTS)]


def test_what_a_printer_says_stays_on_one_line():
    shown = []
    Hints(shown.append).say("bad\nM112 \x1b name")
    assert shown == ["Router: bad M112   name"]
