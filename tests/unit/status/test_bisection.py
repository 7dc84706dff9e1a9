"""Which subscription makes a snapshot too long: all others are served, after few tries."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Dict, List, Tuple
from unittest.mock import MagicMock

from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.errors import RouterError, TooLong
from klippy_extras.router.klippy.call_queue import CallQueue
from klippy_extras.router.klippy.timers import Timers
from klippy_extras.router.printers.printer import Objects, Status
from klippy_extras.router.printers.receiver import Receiver
from klippy_extras.router.status.feed import Feed
from klippy_extras.router.status.subscription import Subscription
from tests.unit.fake_reactor import FakeReactor

LIMIT = 100


class Target:
    """A printer whose snapshots have a size; an object `n` of size s is called n and s long."""

    name, state, is_local = "led", "ready", False

    def __init__(self) -> None:
        self.sizes: Dict[str, int] = {}
        self.wanted: Objects = {}
        self.asked = 0
        self.missing: List[str] = []

    def subscribe_objects(self, objects: Objects) -> None:
        self.wanted = objects
        self.asked += 1

    def not_ready(self) -> RouterError:
        return RouterError("gone")


class Values(Receiver):
    """Keeps the values of its updates."""

    def __init__(self) -> None:
        self.values: Status = {}

    def update(self, eventtime: float, status: Status) -> None:
        for name, values in status.items():
            self.values.setdefault(name, {}).update(values)


class World:
    """A feed, its target, and the subscriptions that were refused or too large."""

    def __init__(self) -> None:
        self.target = Target()
        self.too_large: List[Subscription] = []
        self.refused: List[str] = []
        self.begun: List[str] = []
        target, deliveries = self.target, CallQueue(Timers(FakeReactor()))
        self.feed = Feed(target, lambda s, _e: self.too_large.append(s), deliveries)  # type: ignore[arg-type]

    def subscribe(self, name: str, size: int, waits: bool) -> Values:
        """Add a subscription to this one object."""
        self.target.sizes[name] = size
        receiver = Values()
        subscription = Subscription(MagicMock(), self.target, {name: None}, receiver)  # type: ignore[arg-type]
        if waits:
            subscription.waiting.append(
                lambda _result, error: (self.refused if error else self.begun).append(name)
            )
        self.feed.add(subscription)
        return receiver

    def settle(self) -> int:
        """The target answers until there are no more requests; returns how many there were."""
        tries = 0
        while self.target.asked:
            self.target.asked, tries = 0, tries + 1
            sizes = {name: self.target.sizes[name] for name in self.target.wanted}
            if sum(sizes.values()) > LIMIT:
                self.feed.too_long(TooLong("too long"))
            else:
                status = {name: {"size": size} for name, size in sizes.items()}
                self.feed.update(1.0, status, is_snapshot=True)
        return tries


many = st.lists(st.tuples(st.sampled_from([1, 2, LIMIT + 1]), st.booleans()), max_size=20)


@given(many, many)
def test_a_subscription_that_is_too_large_gets_nothing_and_all_others_everything(
    first: List[Tuple[int, bool]], later: List[Tuple[int, bool]]
) -> None:
    world = World()
    receivers: Dict[str, Tuple[int, bool, Values]] = {}
    for round_of in (first, later):
        for size, waits in round_of:
            name = "n%d" % (len(receivers),)
            receivers[name] = (size, waits, world.subscribe(name, size, waits))
        large = sum(size > LIMIT for size, _waits in round_of)
        # Each is found by halves
        assert world.settle() <= 3 + large * 12
    for name, (size, waits, receiver) in receivers.items():
        assert (name in world.begun) == (waits and size <= LIMIT)
        assert (name in world.refused) == (waits and size > LIMIT)
        if not waits:
            assert receiver.values == ({name: {"size": size}} if size <= LIMIT else {})
    assert len(world.too_large) == sum(s > LIMIT and not w for s, w, _c in receivers.values())


def test_a_grown_subscription_is_found_even_where_another_is_new() -> None:
    world = World()
    grown = world.subscribe("grown", 10, waits=False)
    other = world.subscribe("other", 10, waits=False)
    world.settle()
    world.target.sizes["grown"] = LIMIT + 1
    world.subscribe("new", 10, waits=True)
    world.settle()
    assert world.begun == ["new"] and world.refused == []
    assert [s.receiver for s in world.too_large] == [grown]
    # Its known values are no longer valid
    assert grown.values == {"grown": {"size": None}}
    assert other.values == {"other": {"size": 10}}


def test_after_a_reconnection_every_subscription_is_tried_again() -> None:
    world = World()
    receiver = world.subscribe("large", LIMIT + 1, waits=False)
    world.settle()
    assert receiver.values == {} and len(world.too_large) == 1
    world.target.sizes["large"] = 10
    world.feed.lose()
    world.settle()
    assert receiver.values == {"large": {"size": 10}}
