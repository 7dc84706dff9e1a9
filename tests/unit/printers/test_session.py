"""The protocol with one peer: a Session and a simulated Klippy, connected by hand.

Bytes and time go in, events and bytes come out: no socket, no reactor, and the clock is set by
hand.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
from typing import Any, Dict, List

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from klippy_extras.router.errors import BadMessage, TimedOut, TooLong
from klippy_extras.router.printers.framing import ETX
from klippy_extras.router.printers.peer_methods import EXCHANGE_METHOD, PeerMethods
from klippy_extras.router.printers.phases import Phase
from klippy_extras.router.printers.session import LARGE_MESSAGE, Session
from klippy_extras.router.printers.session_events import (
    Answer,
    Called,
    Event,
    Identified,
    Output,
    Ready,
    Skipped,
    SkippedKind,
    StateReported,
    Status,
)

METHODS = ["router/gcode/script", "router/event/trigger"]
TIMEOUT = 4.0


class Pair:
    """A session, with what its peer has received and sends."""

    def __init__(self, state: str = "ready") -> None:
        self.session = Session(
            PeerMethods(METHODS, []), {"idle_timeout": ["idle_timeout"]}, TIMEOUT, 10000
        )
        self.now = 100.0
        self.state, self.endpoints = state, ["info"]
        self.session.opened(self.now)

    def requests(self) -> List[Dict[str, Any]]:
        """What the session has sent since the last time."""
        frames = self.session.take_output().split(ETX)
        assert frames.pop() == b""
        return [json.loads(frame) for frame in frames]

    def say(self, *messages: Any) -> List[Event]:
        """The peer sends these messages."""
        data = b"".join(json.dumps(message).encode() + ETX for message in messages)
        self.session.receive(data, self.now)
        events = []
        while self.session.has_more:
            if not self.session.has_decoded:
                self.session.decode()
                continue
            event = self.session.next_event()
            events += [] if event is None else [event]
        return events

    def answer(self, request: Dict[str, Any]) -> List[Event]:
        """The peer answers one request as Klippy does."""
        results = {
            "info": {"state": self.state, "state_message": "is " + self.state, "process_id": 7},
            "list_endpoints": {"endpoints": self.endpoints},
            "gcode/help": {"M117": "Show", "ROUTER_ON_READY": "G-Code macro"},
            "objects/subscribe": {
                "eventtime": 1.5,
                "status": {
                    **{name: {} for name in request["params"].get("objects", {})},
                    "webhooks": {"state": self.state, "state_message": "is " + self.state},
                },
            },
        }
        return self.say({"id": request["id"], "result": results.get(request["method"], {})})

    def settle(self) -> List[Event]:
        """The peer answers everything, and the requests that follow."""
        events: List[Event] = []
        while True:
            requests = self.requests()
            if not requests:
                return events
            for request in requests:
                if "id" in request:
                    events += self.answer(request)


def update(**status: Any) -> Dict[str, Any]:
    return {"method": "router/objects/update", "params": {"eventtime": 2.0, "status": status}}


def test_a_ready_peer_is_identified_prepared_and_ready():
    pair = Pair()
    assert pair.session.phase is Phase.IDENTIFYING
    (info,) = pair.requests()
    assert info["method"] == "info"
    assert info["params"]["client_info"]["program"] == "Klipper Router"
    events = pair.answer(info)
    assert [type(e) for e in events] == [Identified, StateReported]
    assert pair.session.phase is Phase.PREPARING
    output, *requests = pair.requests()
    assert output["method"] == "gcode/subscribe_output"
    assert [r["method"] for r in requests] == ["list_endpoints", "objects/subscribe"]
    assert pair.answer(requests[0]) == []
    *methods, commands = pair.requests()
    assert [r["params"]["remote_method"] for r in methods] == sorted(METHODS)
    assert {r["method"] for r in methods} == {"register_remote_method"}
    assert not any("id" in r for r in methods)
    assert commands["method"] == "gcode/help"
    assert pair.answer(commands) == []
    events = pair.answer(requests[1])
    assert [type(e) for e in events] == [StateReported, Status, Ready]
    assert "ROUTER_ON_READY" in events[2].commands
    assert pair.session.phase is Phase.READY


@pytest.mark.parametrize("state", ["startup", "error", "shutdown"])
def test_a_peer_that_is_not_ready_is_only_connected_and_sends_its_status(state):
    pair = Pair(state)
    pair.session.subscribe({"print_stats": ["state"]})
    events = pair.settle()
    assert pair.session.phase is Phase.CONNECTED
    assert [type(e) for e in events] == [Identified, StateReported, StateReported, Status]
    assert events[1] == StateReported(state, "is " + state)


def test_a_peer_that_becomes_ready_is_subscribed_again_before_it_counts_as_ready():
    pair = Pair("startup")
    pair.session.subscribe({"print_stats": ["state"]})
    pair.settle()
    pair.state = "ready"
    events = pair.say(update(webhooks={"state": "ready", "state_message": "is ready"}))
    assert [type(e) for e in events] == [StateReported, Status]
    requests = pair.requests()
    subscribe = requests.pop()
    pair.answer(requests.pop())
    requests += pair.requests()
    assert subscribe["params"]["objects"] == {
        "print_stats": ["state"],
        "idle_timeout": ["idle_timeout"],
        "webhooks": ["state", "state_message"],
    }
    for request in requests:
        if "id" in request:
            assert pair.answer(request) == []
    assert [type(e) for e in pair.answer(subscribe)] == [StateReported, Status, Ready]


def test_a_subscription_in_flight_when_the_peer_becomes_ready_does_not_count():
    pair = Pair("startup")
    early = [pair.answer(r) and r for r in pair.requests()] and pair.requests()
    assert [r["method"] for r in early] == ["gcode/subscribe_output", "objects/subscribe"]
    pair.state = "ready"
    pair.say(update(webhooks={"state": "ready", "state_message": ""}))
    pair.requests()
    events = pair.answer(early[1])
    assert Ready not in [type(e) for e in events]
    (again,) = pair.requests()
    assert again["method"] == "objects/subscribe"


def test_shutdown_and_restart_leave_ready():
    pair = Pair()
    pair.settle()
    events = pair.say(update(webhooks={"state": "shutdown", "state_message": "Lost\nmore"}))
    assert events[0] == StateReported("shutdown", "Lost\nmore")
    assert pair.session.phase is Phase.CONNECTED
    assert pair.session.closed() == []
    assert pair.session.phase is Phase.CLOSED


def test_an_unchanged_state_or_message_is_kept():
    pair = Pair()
    pair.settle()
    assert pair.say(update(webhooks={"state": "shutdown"}))[0] == StateReported("shutdown", None)
    assert pair.say(update(webhooks={"state_message": "why"}))[0] == StateReported(None, "why")
    assert pair.session.phase is Phase.CONNECTED


def test_ten_changes_in_a_row_make_two_subscriptions_and_one_snapshot():
    pair = Pair()
    pair.settle()
    for i in range(10):
        pair.session.subscribe({f"object_{n}": None for n in range(i + 1)})
    (first,) = pair.requests()
    assert [type(e) for e in pair.answer(first)] == [StateReported]
    (second,) = pair.requests()
    assert len(second["params"]["objects"]) == 12
    events = pair.answer(second)
    assert [type(e) for e in events] == [StateReported, Status]
    assert events[1].snapshot


def test_answers_find_their_request_and_others_are_ignored():
    pair = Pair()
    pair.settle()
    pair.session.request("gcode/script", {"script": "A"}, "first")
    pair.session.request("gcode/script", {"script": "B"}, "second")
    first, second = (r["id"] for r in pair.requests())
    error = {"error": "WebRequestError", "message": "no such thing"}
    (answer,) = pair.say({"id": second, "error": error})
    assert (answer.token, answer.result, str(answer.error)) == ("second", None, "no such thing")
    assert pair.say({"id": second, "result": {}}, {"id": 4711, "result": {}}) == []
    assert pair.say({"id": first, "result": {"x": 1}}) == [Answer("first", {"x": 1}, None)]
    assert pair.session.pending == 0


# Longer than what Pair takes
LONG = "x" * 11000


def test_an_answer_that_is_too_long_fails_the_request_that_asked_for_it_only():
    pair = Pair()
    pair.settle()
    pair.session.request("objects/query", {}, "large")
    pair.session.run_script("G28", "script", "begun")
    large, begun, script = (r["id"] for r in pair.requests())
    (answer,) = pair.say({"id": large, "result": {"text": LONG}})
    assert (answer.token, answer.result) == ("large", None)
    assert isinstance(answer.error, TooLong)
    assert pair.say({"id": begun, "result": {}}) == [Answer("begun", {}, None)]
    (answer,) = pair.say({"id": script, "error": {"message": LONG}})
    assert answer.token == "script" and isinstance(answer.error, TooLong)
    assert pair.say({"id": large, "result": {"text": LONG}}) == []


@pytest.mark.parametrize(
    ("message", "skipped"),
    [
        (update(toolhead={"x": LONG}), Skipped(SkippedKind.UPDATE)),
        (
            {"method": "router/gcode/output", "params": {"response": LONG}},
            Skipped(SkippedKind.OUTPUT),
        ),
        ({"params": {"script": LONG}, "method": METHODS[0]}, Skipped(SkippedKind.CALL, METHODS[0])),
    ],
)
def test_what_is_too_long_is_skipped_and_what_follows_is_read(message, skipped):
    pair = Pair()
    pair.settle()
    call = {"method": METHODS[0], "params": {"target": "led"}}
    assert pair.say(message, call) == [skipped, Called(METHODS[0], {"target": "led"})]


def test_a_snapshot_that_is_too_long_is_asked_for_again_with_less():
    pair = Pair("startup")
    pair.session.subscribe({"configfile": None, "print_stats": None})
    pair.settle()
    pair.state = "ready"
    pair.say(update(webhooks={"state": "ready", "state_message": "is ready"}))
    *_, endpoints, subscribe = pair.requests()
    pair.answer(endpoints)
    pair.answer(pair.requests()[-1])
    events = pair.say({"id": subscribe["id"], "result": {"text": LONG}})
    assert events == [Skipped(SkippedKind.SNAPSHOT)]
    assert pair.session.phase is Phase.PREPARING
    pair.session.subscribe({"print_stats": None})
    (subscribe,) = pair.requests()
    assert "configfile" not in subscribe["params"]["objects"]
    assert Ready in [type(e) for e in pair.answer(subscribe)]
    pair.session.subscribe_again()
    assert pair.requests()[-1]["method"] == "objects/subscribe"


def test_a_list_of_commands_that_is_too_long_leaves_the_peer_ready_without_them():
    pair = Pair()
    pair.answer(pair.requests()[0])
    *_, endpoints, subscribe = pair.requests()
    pair.answer(subscribe)
    pair.answer(endpoints)
    help_request = pair.requests()[-1]
    events = pair.say({"id": help_request["id"], "result": {"M117": LONG}})
    assert [type(e) for e in events] == [Skipped, Ready]
    assert events[1].commands == {}


def test_a_peer_with_a_router_gets_no_methods_and_only_sends_its_events():
    pair = Pair()
    pair.endpoints = ["info", "router/event/subscribe"]
    pair.answer(pair.requests()[0])
    *_, endpoints, _subscribe = pair.requests()
    pair.answer(endpoints)
    assert [request["method"] for request in pair.requests()] == ["gcode/help"]
    call = {"method": EXCHANGE_METHOD, "params": {"event": "e"}}
    assert pair.say(call) == [Called(EXCHANGE_METHOD, {"event": "e"})]
    with pytest.raises(BadMessage):
        pair.say({"method": METHODS[0], "params": {}})


def test_a_list_of_endpoints_that_is_too_long_is_not_that_of_a_router():
    pair = Pair()
    pair.answer(pair.requests()[0])
    *_, endpoints, _subscribe = pair.requests()
    assert pair.say({"id": endpoints["id"], "result": {"endpoints": [LONG]}}) == []
    assert len(pair.requests()) == len(METHODS) + 1


def test_a_ping_whose_answer_is_too_long_was_answered():
    pair = Pair()
    pair.settle()
    pair.session.tick(pair.now + TIMEOUT / 2)
    (ping,) = pair.requests()
    pair.now += TIMEOUT / 2
    assert pair.say({"id": ping["id"], "result": {"state": LONG}}) == []
    assert pair.session.tick(pair.now) == pair.now + TIMEOUT / 2


def test_what_is_too_long_and_neither_an_answer_nor_a_call_is_a_bad_message():
    pair = Pair()
    with pytest.raises(BadMessage):
        pair.say({"text": LONG})
    info = Pair()
    (request,) = info.requests()
    with pytest.raises(BadMessage):
        info.say({"id": request["id"], "result": {"state": LONG}})


def test_a_lost_connection_names_what_was_not_answered_in_order():
    pair = Pair()
    pair.settle()
    for token in "abc":
        pair.session.request("gcode/script", {"script": token}, token)
    assert pair.session.closed() == ["a", "b", "c"]


def test_calls_and_console_lines_are_events():
    pair = Pair()
    pair.settle()
    call = {"method": METHODS[0], "params": {"target": "led"}}
    line = {"method": "router/gcode/output", "params": {"response": "// hello"}}
    assert pair.say(call, line) == [Called(METHODS[0], {"target": "led"}), Output("// hello")]


def test_a_script_is_answered_twice_when_it_begins_and_when_it_has_finished():
    pair = Pair()
    pair.settle()
    pair.session.run_script("M117 hello", "finished", "begun")
    opening, script = pair.requests()
    assert opening["params"]["script"] == ""
    assert script["params"]["script"] == "M117 hello"
    line = {"method": "router/gcode/output", "params": {"response": "// hello"}}
    answers = [{"id": request["id"], "result": {}} for request in (opening, script)]
    events = pair.say(line, answers[0], line, answers[1], *answers)
    output = Output("// hello")
    assert events == [output, Answer("begun", {}, None), output, Answer("finished", {}, None)]


def test_scripts_are_unanswered_when_the_connection_ends_but_are_not_counted_as_requests():
    pair = Pair()
    pair.settle()
    pair.session.run_script("M117", "finished", "begun")
    assert pair.session.pending == 0
    assert pair.session.closed() == ["begun", "finished"]


def test_events_stay_in_the_session_until_they_are_asked_for():
    pair = Pair()
    pair.settle()
    line = {"method": "router/gcode/output", "params": {"response": "// hello"}}
    data = b"".join(json.dumps(m).encode() + ETX for m in (line, update(webhooks={}), line))
    pair.session.receive(data[:-10], pair.now)
    pair.session.receive(data[-10:], pair.now)
    for expected in (Output("// hello"), Status(2.0, {"webhooks": {}}, False)):
        assert pair.session.has_more and not pair.session.has_decoded
        assert not pair.session.decode() and pair.session.has_decoded
        assert pair.session.next_event() == expected
    assert pair.session.has_more
    assert pair.session.closed() == []
    assert not pair.session.has_more and not pair.session.has_decoded


def test_a_large_message_is_decoded_in_pieces():
    pair = Pair()
    pair.settle()
    large_values = {f"field {i}": "y" * 100 for i in range(LARGE_MESSAGE // 50)}
    small, large = update(mcu={}), update(mcu=large_values)
    # The first one is an answer that nobody asked for, and so no event
    messages = ({"id": 10**6, "result": {}}, small, large, small)
    pair.session.receive(b"".join(json.dumps(m).encode() + ETX for m in messages), pair.now)
    assert not pair.session.decode() and pair.session.next_event() is None
    assert not pair.session.decode()
    assert pair.session.next_event() == Status(2.0, {"mcu": {}}, False)
    pieces = 0
    while not pair.session.has_decoded:
        assert pair.session.has_more and pair.session.decode()
        pieces += 1
    assert pieces > 2
    assert pair.session.next_event() is None and pair.session.has_decoded
    assert pair.session.next_event() == Status(2.0, {"mcu": large_values}, False)
    assert not pair.session.has_decoded and not pair.session.decode()
    assert pair.session.next_event() == Status(2.0, {"mcu": {}}, False)
    assert not pair.session.has_more


def with_decoded_answer(size: int) -> Pair:
    """A session that has decoded the answer to a request, and not passed it on."""
    pair = Pair()
    pair.settle()
    pair.session.request("info", {}, "token")
    (request,) = pair.requests()
    answer = {"id": request["id"], "result": {"text": "x" * size}}
    pair.session.receive(json.dumps(answer).encode() + ETX, pair.now)
    while not pair.session.has_decoded:
        pair.session.decode()
    return pair


@pytest.mark.parametrize("size", [1, LARGE_MESSAGE])
def test_an_answer_does_not_wait(size):
    pair = with_decoded_answer(size)
    assert pair.session.next_event() == Answer("token", {"text": "x" * size}, None)


def test_a_snapshot_that_was_not_taken_is_dropped_when_other_objects_are_subscribed_to():
    pair = Pair()
    pair.settle()
    pair.session.subscribe({"fan": None})
    (first,) = pair.requests()
    snapshot = {"eventtime": 2.0, "status": {"fan": {"speed": 1.0}, "webhooks": {"state": "ready"}}}
    pair.session.receive(json.dumps({"id": first["id"], "result": snapshot}).encode() + ETX, 1.0)
    pair.session.decode()
    assert pair.session.next_event() == StateReported("ready", None)
    pair.session.subscribe({"fan": None, "bed": None})
    (second,) = pair.requests()
    assert not pair.session.has_more
    events = pair.say({"id": second["id"], "result": snapshot})
    assert [type(event) for event in events] == [StateReported, Status]


@pytest.mark.parametrize("size", [1, LARGE_MESSAGE])
def test_an_answer_that_is_decoded_and_not_passed_on_leaves_its_request_unanswered(size):
    pair = with_decoded_answer(size)
    assert pair.session.closed() == ["token"]
    assert not pair.session.has_more


def test_a_large_message_that_is_decoded_in_part_ends_with_its_connection():
    pair = Pair()
    pair.settle()
    large = update(mcu={f"field {i}": i for i in range(LARGE_MESSAGE // 10)})
    pair.session.receive(json.dumps(large).encode() + ETX, pair.now)
    assert pair.session.decode() and not pair.session.has_decoded
    pair.session.closed()
    assert not pair.session.has_more


def test_a_state_before_the_peer_was_identified_is_a_bad_message():
    for state in ("ready", "startup"):
        with pytest.raises(BadMessage, match="while identifying"):
            Pair().say(update(webhooks={"state": state, "state_message": ""}))


def test_a_new_connection_starts_from_the_beginning():
    pair = Pair()
    pair.settle()
    pair.session.subscribe({"print_stats": None})
    pair.session.receive(b'{"id":', pair.now)
    pair.session.closed()
    pair.session.request("info", {}, "never sent")
    pair.session.opened(pair.now)
    assert pair.session.pending == 0
    assert pair.session.phase is Phase.IDENTIFYING
    (info,) = pair.requests()
    pair.answer(info)
    (subscribe,) = (r for r in pair.requests() if r["method"] == "objects/subscribe")
    assert "print_stats" in subscribe["params"]["objects"]


def test_a_silent_peer_is_pinged_at_half_the_timeout_and_lost_at_the_timeout():
    pair = Pair()
    pair.settle()
    assert pair.session.tick(pair.now) == pair.now + TIMEOUT / 2
    assert pair.requests() == []
    assert pair.session.tick(pair.now + TIMEOUT / 2) == pair.now + TIMEOUT
    assert [r["method"] for r in pair.requests()] == ["info"]
    with pytest.raises(TimedOut, match="within 4 seconds"):
        pair.session.tick(pair.now + TIMEOUT)


@pytest.mark.parametrize("was_asked", [False, True])
def test_a_peer_has_time_to_answer_after_this_process_was_stopped(was_asked):
    pair = Pair()
    pair.settle()
    if was_asked:
        pair.session.tick(pair.now + TIMEOUT / 2)
        pair.requests()
    late = pair.now + TIMEOUT * 3
    assert pair.session.tick(late) == late + TIMEOUT / 2
    assert [r["method"] for r in pair.requests()] == ["info"]
    with pytest.raises(TimedOut):
        pair.session.tick(late + TIMEOUT / 2)


def test_a_peer_that_answers_stays_connected_and_its_round_trip_is_known():
    pair = Pair()
    pair.settle()
    pair.now += TIMEOUT / 2
    pair.session.tick(pair.now)
    (ping,) = pair.requests()
    pair.now += 0.25
    pair.answer(ping)
    assert pair.session.latency == 0.25
    assert pair.session.tick(pair.now) > pair.now


def test_a_peer_that_never_identifies_itself_is_lost_after_the_timeout():
    pair = Pair()
    with pytest.raises(TimedOut):
        pair.session.tick(pair.now + TIMEOUT)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"id": "text", "result": {}},
        {"id": True, "result": {}},
        {"method": "router/unknown", "params": {}},
        {"method": METHODS[0]},
        {"method": METHODS[0], "params": []},
        {"method": 3, "params": {}},
        {"method": ["router/objects/update"], "params": {}},
        update(webhooks={"state": 3}),
        update(webhooks=[]),
        update(webhooks={"state": "ready", "state_message": ["text"]}),
        {"method": "router/objects/update", "params": {"eventtime": 1, "status": []}},
        {"method": "router/objects/update", "params": {"status": {}}},
    ],
)
def test_what_breaks_the_protocol_is_a_bad_message(message):
    pair = Pair()
    pair.settle()
    with pytest.raises(BadMessage):
        pair.say(message)


@pytest.mark.parametrize("result", [None, [], 3, {"state": 1}, {"state": "ready"}, {}])
def test_an_info_without_a_state_is_a_bad_message(result):
    pair = Pair()
    (info,) = pair.requests()
    with pytest.raises(BadMessage):
        pair.say({"id": info["id"], "result": result})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
messages = st.fixed_dictionaries(
    {},
    optional={
        "id": json_values | st.integers(1, 8),
        "method": json_values | st.sampled_from([*METHODS, "router/objects/update"]),
        "params": json_values
        | st.fixed_dictionaries({"eventtime": json_values, "status": json_values})
        | st.fixed_dictionaries({"eventtime": st.just(1.0), "status": st.just({"webhooks": {}})}),
        "result": json_values,
        "error": json_values,
    },
)


@settings(max_examples=60)
@given(st.lists(messages, max_size=5), st.booleans())
def test_anything_a_peer_sends_is_an_event_or_a_bad_message(said, settled):
    pair = Pair()
    if settled:
        pair.settle()
    try:
        for event in pair.say(*said):
            assert isinstance(event, tuple)
    except BadMessage:
        pass
