"""Requests by number, until they are answered."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from klippy_extras.router.printers.unanswered import OwnRequest, Unanswered


def test_a_number_is_used_once_and_its_request_is_taken_once():
    unanswered = Unanswered()
    ping = unanswered.add_own(OwnRequest.PING)
    request, script = unanswered.add_request("request"), unanswered.add_script("script")
    assert len({ping, request, script}) == 3
    assert unanswered.requests == 1
    assert unanswered.take(ping) is OwnRequest.PING
    assert unanswered.requests == 1
    assert unanswered.take(request) == "request"
    assert unanswered.requests == 0
    assert unanswered.take(script) == "script"
    assert [unanswered.take(number) for number in (ping, request, script)] == [None, None, None]


def test_remaining_requests_are_in_the_order_added_without_our_own():
    unanswered = Unanswered()
    unanswered.add_request("a")
    unanswered.add_script("b")
    unanswered.add_own(OwnRequest.INFO)
    unanswered.add_request("c")
    assert unanswered.clear() == ["a", "b", "c"]
    assert unanswered.clear() == []
