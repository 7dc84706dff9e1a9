"""One script for several printers: the names of a target, and the combined result."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.api.target_lists import MAX_TARGETS, Answers, is_list, names_of
from klippy_extras.router.errors import RouterError, UsageError

words = st.text(st.characters(codec="utf-8", exclude_characters=","), min_size=1).filter(
    lambda word: word == word.strip() != "" and word != "*"
)


@given(st.lists(words, min_size=2), st.booleans())
def test_names(names, spaced):
    found = list(dict.fromkeys(names))
    assert names_of(names) == names_of((" , " if spaced else ",").join(names) + ",") == found
    assert is_list(names) and is_list(",".join(names))


@given(words)
def test_a_single_name_is_not_a_list(name):
    assert names_of(name) == names_of(f" {name} ") == [name]
    assert not is_list(name) and is_list([name]) and is_list(name + ",") and is_list(" * ")


@pytest.mark.parametrize("target", [5, {"led": 1}, ["led", 5], [["led"]], True])
def test_malformed_targets(target):
    with pytest.raises(UsageError, match="^Malformed parameter TARGET: write a name, or a list"):
        names_of(target)


@pytest.mark.parametrize("many", [["led"] * (MAX_TARGETS + 1), "led," * (MAX_TARGETS + 1)])
def test_more_names_than_anybody_has_printers(many):
    with pytest.raises(UsageError, match="^TARGET is too long: 256 names at most"):
        names_of(many)


@pytest.mark.parametrize("target", ["", " ", ",", [], [""]])
def test_no_names(target):
    with pytest.raises(UsageError, match="^Missing parameter TARGET"):
        names_of(target)


class Named:
    def __init__(self, name):
        self.name = name


@given(st.permutations([Named(name) for name in "abcd"]), st.sets(st.sampled_from("abcd")))
def test_results_are_collected_in_the_order_of_the_printers(order, bad):
    ends = []
    printers = [Named(name) for name in "abcd"]
    answers = Answers(printers, lambda *end: ends.append(end))
    for printer in order:
        assert not ends
        error = RouterError("no " + printer.name) if printer.name in bad else None
        answers.done_for(printer, None)({}, error)
    result = {
        "results": {name: {} for name in "abcd" if name not in bad},
        "failed": {name: "no " + name for name in "abcd" if name in bad},
    }
    assert ends == [(result, None)]
    assert json.dumps(ends[0][0]) == json.dumps(result)


def test_a_list_without_printers_has_a_result_too():
    ends = []
    Answers([], lambda *end: ends.append(end))
    assert ends == [({"results": {}, "failed": {}}, None)]
