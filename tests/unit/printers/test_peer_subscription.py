"""The one subscription of a connection: one request at a time, and the latest objects count."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from klippy_extras.router.printers.peer_subscription import PeerSubscription


def test_permanent_objects_are_merged_into_the_current_ones():
    subscription = PeerSubscription({"webhooks": ["state"], "idle_timeout": ["state"], "x": None})
    subscription.replace({"webhooks": ["state_message"], "idle_timeout": None, "toolhead": None})
    assert subscription.take_request() == {
        "webhooks": ["state", "state_message"],
        "idle_timeout": None,
        "toolhead": None,
        "x": None,
    }


def test_nothing_is_requested_until_objects_are_set():
    subscription = PeerSubscription({"webhooks": ["state"]})
    assert subscription.take_request() is None
    assert not subscription.has_objects
    subscription.renew()
    assert subscription.take_request() == {"webhooks": ["state"]}
    assert subscription.answered()
    assert subscription.take_request() is None


def test_one_request_is_in_flight_and_an_answer_to_an_older_one_is_not_current():
    subscription = PeerSubscription({})
    subscription.replace({"a": None})
    assert subscription.take_request() == {"a": None}
    subscription.replace({"b": None})
    assert subscription.take_request() is None
    assert not subscription.answered()
    assert subscription.take_request() == {"b": None}
    assert subscription.answered()


def test_a_lost_connection_drops_the_request_and_keeps_the_objects():
    subscription = PeerSubscription({})
    subscription.replace({"a": None})
    subscription.take_request()
    subscription.closed()
    assert subscription.take_request() is None
    subscription.renew()
    assert subscription.take_request() == {"a": None}
