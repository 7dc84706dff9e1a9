"""Each receiver of a printer's status ends with the last values, and gets none of them twice."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.errors import NotReady, PeerError
from klippy_extras.router.klippy.timers import MAX_TIMERS_TIME, Timers
from klippy_extras.router.printers.receiver import Receiver
from klippy_extras.router.status.name_check import NameCheck
from klippy_extras.router.status.subscriptions import Subscriptions
from tests.unit.fake_printer import FakePrinter
from tests.unit.fake_reactor import FakeReactor


class Watcher(Receiver):
    """Keeps the values that it was given. title: set if it is to be notified of typos."""

    def __init__(self, name: str, title: str = "") -> None:
        self.name, self.title = name, title
        self.known: Dict[str, Dict[str, Any]] = {}
        self.updates: List[Dict[str, Any]] = []
        self.answers: List[Any] = []
        self.may_repeat = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Watcher) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def begin(self, eventtime, status):
        self.known = {name: dict(values) for name, values in status.items()}

    def update(self, eventtime, status):
        assert any(status.values())
        self.updates.append(status)
        for name, values in status.items():
            known = self.known.setdefault(name, {})
            for field, value in values.items():
                # (None may be sent again)
                is_new = value is None or known.get(field) != value
                assert is_new or self.may_repeat, f"{name}.{field} = {value} again"
            known.update(values)

    def answered(self, result, error):
        self.answers.append(error or result["status"])


class SlowWatcher(Watcher):
    """Takes long, and so is notified in a later turn of the reactor when it is not alone."""

    can_wait = True

    def __init__(self, name: str, reactor: FakeReactor) -> None:
        super().__init__(name)
        self._reactor = reactor

    def begin(self, eventtime, status):
        self._reactor.now += MAX_TIMERS_TIME
        super().begin(eventtime, status)

    def update(self, eventtime, status):
        self._reactor.now += MAX_TIMERS_TIME
        self.may_repeat = True
        super().update(eventtime, status)


class Watching:
    def __init__(self, is_local=False):
        self.warned, self.reported = [], []
        self.reactor = FakeReactor()
        names = NameCheck(lambda run: run(), lambda owner, text: self.warned.append(text))
        self.subscriptions = Subscriptions(self.report, names, Timers(self.reactor))
        self.main = FakePrinter("main", is_local=True).connects()
        self.led = FakePrinter("led", is_local=is_local).connects()
        for printer in (self.main, self.led):
            printer.listeners.append(self.subscriptions)

    def report(self, owner, target, error):
        self.reported.append((owner.name, target.name, str(error)))

    def subscribe(self, watcher, **objects):
        self.subscriptions.subscribe(self.main, self.led, objects, watcher, watcher.answered)

    def unsubscribe(self, watcher):
        return self.subscriptions.unsubscribe(self.led, lambda receiver: receiver == watcher)

    def follow(self, watcher, **objects):
        self.subscriptions.subscribe_always(self.main, self.led, objects, watcher)

    def set(self, **objects):
        for name, values in objects.items():
            self.led.objects[name] = values

    def lose(self):
        self.led.disconnects()


NAMES, FIELDS = ["fan", "bed"], "xyz"
wishes = st.dictionaries(
    st.sampled_from(NAMES),
    st.none() | st.lists(st.sampled_from(FIELDS), min_size=1, unique=True),
    min_size=1,
)
values = st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 2) | st.none())
steps = st.one_of(
    st.tuples(st.just("subscribe"), st.integers(0, 2), wishes),
    st.tuples(st.just("set"), st.sampled_from(NAMES), values),
    st.tuples(st.just("unsubscribe"), st.integers(0, 2), st.none()),
    st.tuples(st.just("tick"), st.none(), st.none()),
    st.tuples(st.just("reconnect"), st.none(), st.none()),
    st.tuples(st.just("turn"), st.none(), st.none()),
)


@pytest.mark.parametrize("is_slow", [False, True])
@pytest.mark.parametrize("is_local", [False, True])
@given(steps=st.lists(steps, max_size=25))
def test_any_sequence_of_operations(is_local, is_slow, steps):
    watching = Watching(is_local)
    wanted: Dict[Watcher, Any] = {}
    everybody = []
    for step, what, value in steps:
        if step == "subscribe":
            name = str(what)
            watcher = SlowWatcher(name, watching.reactor) if is_slow else Watcher(name)
            wanted.pop(watcher, None)
            wanted[watcher] = value
            everybody.append(watcher)
            watching.subscribe(watcher, **value)
        elif step == "unsubscribe":
            wanted.pop(Watcher(str(what)), None)
            watching.unsubscribe(Watcher(str(what)))
        elif step == "set":
            # An object has the same fields as long as its Klippy runs
            known = watching.led.objects.get(what, dict.fromkeys(FIELDS))
            watching.set(**{what: {**known, **value}})
        elif step == "tick":
            watching.led.tick()
            for watcher in wanted:
                watcher.may_repeat = False
        elif step == "turn":
            watching.reactor.run(turns=1)
        else:
            # Those that wait for their first snapshot get an error instead
            for watcher in [w for w in wanted if not w.answers]:
                del wanted[watcher]
            watching.lose()
            for watcher in wanted:
                watcher.may_repeat = True
            watching.led.connects()
            watching.led.subscribe_objects(watching.led.subscribed)
    watching.led.tick()
    watching.led.tick()
    watching.reactor.run(turns=200)
    for watcher, objects in wanted.items():
        for name, fields in objects.items():
            current = watching.led.objects.get(name, {})
            for field in fields or FIELDS:
                assert watcher.known[name].get(field) == current.get(field)
        assert watcher.known.keys() == objects.keys()
    # Each request has one answer, or none because an equal one has taken it over
    assert all(len(watcher.answers) <= 1 for watcher in everybody if watcher not in wanted)
    assert watching.subscriptions.count == len(wanted)


def test_those_that_can_wait_are_notified_in_turn_and_the_others_at_once():
    watching, at_once = Watching(), Watcher("at once")
    slow = [SlowWatcher(str(number), watching.reactor) for number in range(4)]
    watching.set(fan={"x": 0})
    for watcher in (*slow, at_once):
        watching.subscribe(watcher, fan=None)
    watching.led.tick()
    assert at_once.answers == [{"fan": {"x": 0}}]
    assert [len(watcher.answers) for watcher in slow] == [1, 0, 0, 0]
    watching.set(fan={"x": 1})
    watching.led.tick()
    assert at_once.updates == [{"fan": {"x": 1}}]
    watching.reactor.run()
    # Those that got their first snapshot late have got the newest values with it
    assert [w.answers for w in slow] == [[{"fan": {"x": 0}}]] + 3 * [[{"fan": {"x": 1}}]]
    assert [w.updates for w in slow] == [[{"fan": {"x": 1}}], [], [], []]


def test_values_that_were_not_delivered_yet_are_merged():
    watching = Watching()
    slow = [SlowWatcher(str(number), watching.reactor) for number in range(3)]
    watching.set(fan={"x": 0, "y": 0})
    for watcher in slow:
        watching.subscribe(watcher, fan=None)
    watching.led.tick()
    watching.reactor.run()
    for number in (1, 2):
        watching.set(fan={"x": number, "y": 1})
        watching.led.tick()
    assert [len(watcher.updates) for watcher in slow] == [1, 0, 0]
    watching.unsubscribe(slow[2])
    watching.reactor.run()
    assert slow[0].updates == [{"fan": {"x": 1, "y": 1}}, {"fan": {"x": 2}}]
    assert slow[1].updates == [{"fan": {"x": 2, "y": 1}}]
    assert not slow[2].updates


def test_one_union_is_requested_and_each_receiver_gets_only_its_part():
    watching, some, everything = Watching(), Watcher("some"), Watcher("everything")
    watching.set(fan={"x": 1, "y": 2}, bed={"x": 3})
    watching.subscribe(some, fan=["x"])
    assert watching.led.subscribed == {"fan": ["x"]}
    watching.led.tick()
    watching.subscribe(everything, fan=None, bed=["x"])
    assert watching.led.subscribed == {"fan": None, "bed": ["x"]}
    watching.led.tick()
    assert some.answers == [{"fan": {"x": 1}}]
    assert everything.answers == [{"fan": {"x": 1, "y": 2}, "bed": {"x": 3}}]
    watching.set(fan={"x": 1, "y": 5}, bed={"x": 4})
    watching.led.tick()
    assert some.updates == []
    assert everything.updates == [{"fan": {"y": 5}, "bed": {"x": 4}}]
    watching.unsubscribe(everything)
    assert watching.led.subscribed == {"fan": ["x"]}
    watching.unsubscribe(some)
    assert watching.led.subscribed == {}


def test_a_status_of_many_more_objects_than_are_subscribed_to():
    watching, watcher = Watching(), Watcher("a")
    watching.set(fan={"x": 1}, bed={"y": 1})
    watching.subscribe(watcher, fan=None, bed=None)
    watching.led.tick()
    others = {f"other {n}": {"x": n} for n in range(100)}
    status = {**others, "bed": {"y": 2}, "fan": {"x": 2}, **others}
    watching.subscriptions.status_changed(watching.led, 2.0, status, False)
    assert watcher.updates == [{"fan": {"x": 2}, "bed": {"y": 2}}]


def test_known_values_are_returned_at_once_without_a_request():
    watching, first, second = Watching(), Watcher("first"), Watcher("second")
    watching.set(fan={"x": 1, "y": 2})
    watching.subscribe(first, fan=None)
    watching.led.tick()
    watching.led.subscribed = {}
    watching.subscribe(second, fan=["y", "z"])
    assert second.answers == [{"fan": {"y": 2, "z": None}}]
    assert watching.led.subscribed == {}


def test_this_printers_own_values_are_read_again():
    watching, first, second = Watching(is_local=True), Watcher("first"), Watcher("second")
    watching.set(fan={"x": 1})
    watching.subscribe(first, fan=["x"])
    watching.led.tick()
    watching.set(fan={"x": 2})
    watching.subscribe(second, fan=["x"])
    assert second.answers == []
    watching.led.tick()
    assert second.answers == [{"fan": {"x": 2}}] and second.updates == []
    assert first.updates == [{"fan": {"x": 2}}]


def test_a_loss_fails_waiting_receivers_and_the_others_start_over():
    watching, old, new, follower = Watching(), Watcher("old"), Watcher("new"), Watcher("follower")
    watching.follow(follower, bed=["x"])
    watching.set(fan={"x": 1, "y": 2}, bed={"x": 3})
    watching.subscribe(old, fan=None)
    watching.led.tick()
    watching.subscribe(new, bed=["y"])
    watching.lose()
    assert isinstance(new.answers[0], NotReady) and str(new.answers[0]) == "led is not connected"
    with pytest.raises(NotReady):
        watching.subscribe(Watcher("third"), fan=None)
    watching.set(fan={"x": 1})
    watching.led.connects()
    watching.led.subscribe_objects(watching.led.subscribed)
    for watcher in (old, follower):
        watcher.may_repeat, watcher.updates = True, []
    watching.led.tick()
    # All values again, and None for those that no longer exist
    assert old.updates == [{"fan": {"x": 1, "y": None}}]
    assert follower.updates == [{"bed": {"x": 3}}]
    assert watching.subscriptions.count == 2


def test_no_value_is_lost_while_klippy_starts():
    watching, watcher = Watching(), Watcher("watcher")
    watching.set(fan={"x": 1}, bed={"x": 5})
    watching.subscribe(watcher, fan=["x"], bed=None)
    watching.led.tick()
    watching.lose()
    watching.led.is_in("startup")
    watching.set(fan={}, bed={})
    watching.led.subscribe_objects(watching.led.subscribed)
    watching.led.tick()
    assert watcher.updates == [] and watcher.known == {"fan": {"x": 1}, "bed": {"x": 5}}
    watching.led.connects()
    watching.set(fan={"x": 2}, bed={"y": 6})
    watching.led.subscribe_objects(watching.led.subscribed)
    watching.led.tick()
    assert watcher.updates == [{"fan": {"x": 2}, "bed": {"x": None, "y": 6}}]


def test_an_equal_receiver_replaces_the_first_and_takes_over_its_waiting_requests():
    watching, first, second = Watching(), Watcher("same"), Watcher("same")
    watching.set(fan={"x": 1}, bed={"x": 2})
    watching.subscribe(first, fan=None)
    watching.subscribe(second, bed=None)
    watching.led.tick()
    assert first.answers == second.answers == [{"bed": {"x": 2}}]
    assert watching.subscriptions.count == 1
    assert watching.led.subscribed == {"bed": None}


def test_unsubscribing_answers_waiting_requests():
    watching, watcher = Watching(), Watcher("watcher")
    watching.subscribe(watcher, fan=None)
    assert watching.unsubscribe(watcher) == 1
    assert watcher.answers == [{}]
    assert watching.unsubscribe(watcher) == 0


def test_closed_receivers_are_pruned():
    watching, watcher = Watching(), Watcher("watcher")
    watching.subscribe(watcher, fan=None)
    watching.subscriptions.prune()
    assert watching.subscriptions.count == 1
    type(watcher).closed, closed = True, type(watcher).closed
    try:
        watching.subscriptions.prune()
    finally:
        type(watcher).closed = closed
    assert watching.subscriptions.count == 0 and watching.led.subscribed == {}


# -- too long for one message (test_trial.py has the search itself)

TOO_LONG = PeerError("led: sent a message of more than 65536 bytes")


def test_a_receiver_that_requests_too_much_gets_an_error_and_the_others_their_values():
    watching, small, large = Watching(), Watcher("small"), Watcher("large")
    watching.set(fan={"x": 1}, bed={"x": 2})
    watching.subscribe(small, fan=None)
    watching.led.tick()
    watching.subscribe(large, bed=None)
    for _ in range(5):
        if "bed" in watching.led.subscribed:
            watching.subscriptions.too_long(watching.led, TOO_LONG)
        else:
            watching.led.tick()
    assert large.answers == [TOO_LONG]
    watching.set(fan={"x": 3})
    watching.led.tick()
    assert small.updates == [{"fan": {"x": 3}}]
    assert watching.subscriptions.count == 1


def test_a_receiver_whose_values_have_grown_too_large_has_none_until_the_next_connection():
    watching, watcher = Watching(), Watcher("watcher", "option 'mirror'")
    watching.set(bed={"x": 2, "y": None})
    watching.follow(watcher, bed=None)
    watching.led.tick()
    watching.led.subscribe_objects(watching.led.subscribed)
    for _ in range(5):
        watching.subscriptions.too_long(watching.led, TOO_LONG)
    assert watcher.updates == [{"bed": {"x": 2, "y": None}}, {"bed": {"x": None}}]
    assert watching.led.subscribed == {}
    assert watching.led.hinted == [f"Router: option 'mirror': {TOO_LONG}"]
    watching.lose()
    assert watching.led.subscribed == {"bed": None}
    watching.led.connects()
    watching.led.tick()
    assert watcher.updates[-1] == {"bed": {"x": 2}}
