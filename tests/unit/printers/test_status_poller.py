"""Reading this printer's own status: all values first, then changes, each once."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.klippy.timers import MAX_TIMERS_TIME
from klippy_extras.router.printers.status_poller import MIN_READ_INTERVAL, StatusPoller
from tests.unit.fake_klippy import FakeObject, Machine

INTERVAL = 0.25


class Watched(Machine):
    def __init__(self, **objects):
        super().__init__()
        self.updates = []
        self.printer.objects.update(objects)
        self.poller = StatusPoller(self.klippy, INTERVAL, lambda *told: self.updates.append(told))

    def take(self):
        """The updates since the last call, without their times."""
        updates, self.updates = self.updates, []
        return [(status, is_snapshot) for _eventtime, status, is_snapshot in updates]


names = st.sampled_from(["fan", "led", "nothing"])
wishes = st.dictionaries(
    names, st.none() | st.lists(st.sampled_from("xyz"), min_size=1, unique=True), max_size=3
)
states = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2), max_size=3)
steps = st.one_of(
    st.tuples(st.just("poll"), wishes),
    st.tuples(st.just("fan"), states),
    st.tuples(st.just("led"), states),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.1, 0.3])),
)


@given(st.lists(steps, max_size=20))
def test_a_follower_has_the_values_and_gets_none_of_them_twice(steps):
    watched = Watched(fan=FakeObject(), led=FakeObject())
    wish, known = {}, {}

    def told(eventtime, status, is_snapshot):
        if is_snapshot:
            assert status.keys() == wish.keys()
            known.clear()
        for name, values in status.items():
            for field, value in values.items():
                assert is_snapshot or known[name].get(field, "unknown") != value
            known.setdefault(name, {}).update(values)

    watched.poller = StatusPoller(watched.klippy, INTERVAL, told)
    for step, value in steps:
        if step == "poll":
            wish = value
            watched.poller.poll(value)
        elif step == "wait":
            watched.reactor.advance(value)
        else:
            watched.printer.objects[step].status = value
    watched.reactor.advance(2 * INTERVAL)
    for name, fields in wish.items():
        status = getattr(watched.printer.objects.get(name), "status", {})
        expected = status if fields is None else {field: status.get(field) for field in fields}
        # A field that no longer exists is None
        assert {f: v for f, v in known[name].items() if fields or v is not None} == expected


def test_the_first_read_has_all_values_and_later_ones_only_changes():
    watched = Watched(fan=FakeObject(speed=0.5, rpm=7), led=FakeObject(on=True))
    watched.poller.poll({"fan": None, "led": ["on", "hue"], "none": None})
    watched.reactor.advance(0.0)
    everything = {"fan": {"speed": 0.5, "rpm": 7}, "led": {"on": True, "hue": None}, "none": {}}
    assert watched.take() == [(everything, True)]
    watched.reactor.advance(10.0)
    assert watched.take() == []
    watched.printer.objects["fan"].status = {"speed": 0.6}
    watched.reactor.advance(1.0)
    assert watched.take() == [({"fan": {"speed": 0.6, "rpm": None}}, False)]


def test_it_reads_at_its_interval():
    watched = Watched(fan=FakeObject(n=0))
    reads = []

    class Counting:
        def get_status(self, eventtime):
            reads.append(eventtime)
            return {"n": len(reads)}

    watched.printer.objects["fan"] = Counting()
    begin = watched.reactor.now
    watched.poller.poll({"fan": None})
    watched.reactor.advance(1.01)
    assert reads == [pytest.approx(begin + i * INTERVAL) for i in range(5)]
    assert [eventtime for eventtime, _, _ in watched.updates] == reads


def test_many_changes_of_what_is_polled_do_not_make_it_read_more_often():
    watched = Watched(fan=FakeObject(n=0))
    for _ in range(20):
        watched.poller.poll({"fan": None})
        watched.reactor.advance(MIN_READ_INTERVAL / 10)
    assert 1 <= len(watched.take()) <= 3


def test_nothing_is_read_when_nothing_is_polled_any_more():
    watched = Watched(fan=FakeObject(n=0))
    watched.poller.poll({"fan": None})
    watched.poller.poll({})
    watched.reactor.advance(1.0)
    assert watched.take() == []


def test_an_object_that_cannot_be_read_has_no_values_and_is_logged_once(caplog):
    class Broken:
        def get_status(self, eventtime):
            raise ValueError("bad sensor")

    class Odd:
        def get_status(self, eventtime):
            return ["no", "dict"]

    watched = Watched(broken=Broken(), odd=Odd(), fan=FakeObject(n=1))
    watched.poller.poll({"broken": ["x"], "odd": None, "fan": None})
    watched.reactor.advance(2.0)
    assert watched.take() == [({"broken": {"x": None}, "odd": {}, "fan": {"n": 1}}, True)]
    assert caplog.text.count("reading the status of 'broken' failed") == 1


def test_an_exception_of_a_follower_does_not_end_the_polling(caplog):
    machine, told = Machine(), []
    machine.printer.objects["fan"] = fan = FakeObject(n=0)

    def update(eventtime, status, is_snapshot):
        told.append(status)
        raise KeyError("x")

    StatusPoller(machine.klippy, INTERVAL, update).poll({"fan": None})
    machine.reactor.advance(0.0)
    fan.status = {"n": 1}
    machine.reactor.advance(INTERVAL)
    assert told == [{"fan": {"n": 0}}, {"fan": {"n": 1}}]


def test_a_query_reads_at_once():
    watched = Watched(fan=FakeObject(speed=0.5, rpm=7))
    assert watched.poller.query({"fan": ["speed", "no"], "none": None}) == {
        "eventtime": watched.reactor.now,
        "status": {"fan": {"speed": 0.5, "no": None}, "none": {}},
    }


def test_objects_that_take_long_are_read_in_turns_and_reported_together():
    watched = Watched()

    class Slow(FakeObject):
        def get_status(self, eventtime):
            watched.reactor.now += MAX_TIMERS_TIME
            return super().get_status(eventtime)

    watched.printer.objects.update({name: Slow(n=0) for name in "abc"})
    watched.poller.poll({"a": None, "b": ["n"], "c": None})
    for _turn in range(3):
        watched.reactor.run(turns=1)
        assert watched.take() == []
    watched.reactor.run(turns=1)
    assert watched.take() == [({"a": {"n": 0}, "b": {"n": 0}, "c": {"n": 0}}, True)]
    # A subscription that changes meanwhile begins again, with all values
    watched.reactor.run(INTERVAL, turns=1)
    watched.poller.poll({"c": None})
    watched.reactor.advance(INTERVAL)
    assert watched.take() == [({"c": {"n": 0}}, True)]
