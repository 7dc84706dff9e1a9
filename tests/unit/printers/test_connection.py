"""Bytes between a peer's socket and its session: pace, output, liveness (fake reactor)."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import os
import socket
import tempfile
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List

import pytest

from klippy_extras.router.klippy.timers import Timers
from klippy_extras.router.printers.connection import CATCH_UP_PAUSE, Connection, Loss
from klippy_extras.router.printers.framing import ETX
from klippy_extras.router.printers.peer_methods import PeerMethods
from klippy_extras.router.printers.piecewise import PIECE
from klippy_extras.router.printers.session import (
    LARGE_MESSAGE,
    OUTPUT_METHOD,
    UPDATE_METHOD,
    Session,
)
from klippy_extras.router.printers.session_events import Event, Identified, Output, Status
from tests.unit.fake_reactor import FakeReactor

TIMEOUT = 4.0
MAX_MESSAGE = 20000


class Owner:
    """Takes `cost` seconds for each line of the console; asks something about each in `asked`."""

    def __init__(self, reactor: FakeReactor) -> None:
        self._reactor = reactor
        self.cost = 0.0
        self.asked: List[str] = []
        self.events: List[Event] = []
        self.losses: List[Loss] = []

    @property
    def lines(self) -> List[str]:
        return [event.text for event in self.events if isinstance(event, Output)]

    def handle_event(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Output):
            self._reactor.now += self.cost
            if event.text in self.asked:
                self.connection.request("objects/list", {}, event.text)

    def connection_lost(self, loss: Loss) -> None:
        self.losses.append(loss)

    connection: Connection


class Peer:
    """A connection to a simulated Klippy, which answers nothing by itself."""

    def __init__(self, folder: str) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        path = os.path.join(folder, "sock")
        self._server.bind(path)
        self._server.listen(1)
        self.reactor = FakeReactor()
        self.owner = Owner(self.reactor)
        klippy: Any = SimpleNamespace(reactor=self.reactor, timers=Timers(self.reactor))
        session = Session(PeerMethods([], []), {}, TIMEOUT, MAX_MESSAGE)
        self.connection = self.owner.connection = Connection(klippy, path, session, self.owner)
        self.connection.start()
        self.reactor.run()
        self._sock = self._server.accept()[0]
        self._sock.setblocking(False)

    def say(self, *messages: Dict[str, Any]) -> None:
        """Send messages, and let the router read for one turn of its loop."""
        self._sock.sendall(b"".join(json.dumps(message).encode() + ETX for message in messages))
        self.reactor.run(turns=1)

    def print_lines(self, *lines: str) -> None:
        self.say(*({"method": OUTPUT_METHOD, "params": {"response": line}} for line in lines))

    def read(self) -> List[Dict[str, Any]]:
        """The requests that have arrived by now."""
        try:
            return [json.loads(frame) for frame in self._sock.recv(1000000).split(ETX)[:-1]]
        except BlockingIOError:
            return []

    def close(self) -> None:
        self.connection.stop()
        self._sock.close()
        self._server.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    with tempfile.TemporaryDirectory(prefix="kr-") as folder:
        connected = Peer(folder)
        yield connected
        connected.close()


def test_it_identifies_itself_and_knows_the_peers_process(peer):
    (info,) = peer.read()
    assert info["method"] == "info"
    assert peer.connection.socket_file.pid == os.getpid()
    peer.say({"id": info["id"], "result": {"state": "startup", "state_message": ""}})
    assert isinstance(peer.owner.events[0], Identified)
    peer.connection.stop()
    assert peer.connection.socket_file is None


def test_long_work_is_done_with_pauses_and_nothing_is_read_in_them(peer):
    peer.owner.cost = 0.1
    peer.print_lines("a", "b", "c")
    peer.print_lines("d")
    assert peer.owner.lines == ["a"]
    peer.reactor.run(0.1 * CATCH_UP_PAUSE - 0.01)
    assert peer.owner.lines == ["a"]
    peer.reactor.run(0.02)
    assert peer.owner.lines == ["a", "b"]
    peer.reactor.run(0.1 * CATCH_UP_PAUSE + 0.01)
    assert peer.owner.lines == ["a", "b", "c", "d"]  # with nothing left, it reads again at once


def test_one_message_needs_no_pause_however_long_it_took(peer):
    peer.owner.cost = 0.1
    peer.print_lines("a")
    peer.print_lines("b")
    assert peer.owner.lines == ["a", "b"]


def test_a_large_message_is_decoded_in_pieces_and_handled_in_a_later_callback(peer):
    decode = peer.connection._session.decode
    cost = 0.01

    def slow_decode() -> bool:
        peer.reactor.now += cost
        return bool(decode())

    peer.connection._session.decode = slow_decode
    fields = {f"field {i}": "x" * 100 for i in range(LARGE_MESSAGE // 100)}
    params = {"eventtime": 1.0, "status": {"toolhead": fields}}
    line = {"method": OUTPUT_METHOD, "params": {"response": "a"}}
    peer.say({"method": UPDATE_METHOD, "params": params}, line)
    peer.print_lines("b")  # is not read until then
    pauses = 0
    while not peer.owner.events:
        peer.reactor.run(cost * CATCH_UP_PAUSE - 0.001)
        assert not peer.owner.events
        peer.reactor.run(0.002)
        pauses += 1
    assert pauses > len(json.dumps(params)) / PIECE
    for _ in range(4):  # each of the others is decoded in a callback of its own, as slowly
        peer.reactor.run(cost * CATCH_UP_PAUSE + 0.001)
    assert [type(event) for event in peer.owner.events] == [Status, Output, Output]
    assert peer.owner.events[0].status == params["status"]
    assert peer.owner.lines == ["a", "b"]


def test_a_large_message_that_is_malformed_ends_the_connection(peer):
    peer.say({"method": "nobody/knows", "params": {"text": "x" * LARGE_MESSAGE}})
    peer.reactor.run()
    (loss,) = peer.owner.losses
    assert loss.reason == "called an unknown method"


def test_skipped_messages_are_read_with_pauses(peer):
    receive = peer.connection._session.receive

    def slow_receive(data: bytes, now: float) -> None:
        peer.reactor.now += 0.1
        receive(data, now)

    peer.connection._session.receive = slow_receive
    peer.print_lines("x" * 3 * MAX_MESSAGE)
    peer.reactor.run()
    began = peer.reactor.now
    while not peer.owner.events:
        peer.reactor.run(0.05)
    assert peer.reactor.now - began > 0.1 * CATCH_UP_PAUSE


def test_messages_sent_while_events_are_handled_are_written_together(peer, monkeypatch):
    sent = []
    send = peer.connection._link.send
    monkeypatch.setattr(peer.connection._link, "send", lambda data: (sent.append(data), send(data)))
    peer.owner.asked = ["a", "b"]
    peer.print_lines("a", "x", "b")
    assert len(sent) == 1
    assert [request["method"] for request in peer.read()[1:]] == ["objects/list"] * 2
    peer.connection.request("objects/list", {}, "c")
    assert len(sent) == 2


def test_a_silent_peer_times_out_and_its_requests_are_named(peer):
    peer.connection.request("objects/list", {}, "a")
    peer.connection.request("objects/list", {}, "b")
    peer.reactor.run(TIMEOUT - 0.01)
    assert peer.owner.losses == []
    peer.reactor.run(0.02)
    assert peer.owner.losses == [Loss("did not answer within 4 seconds", True, ["a", "b"])]


def test_data_that_arrived_while_this_process_was_stopped_counts(peer):
    peer._sock.sendall(json.dumps({"method": OUTPUT_METHOD, "params": {}}).encode() + ETX)
    handles = dict(peer.reactor.fds)
    peer.reactor.fds.clear()  # no poll, only timers
    peer.reactor.run(TIMEOUT)
    peer.reactor.fds.update(handles)
    assert peer.owner.losses == []
    assert peer.owner.lines == [""]


def test_a_bad_message_ends_the_connection_and_is_not_a_timeout(peer):
    peer.owner.cost = 0.1
    peer.say({"method": "router/unknown", "params": {}})
    peer.reactor.run()
    assert peer.owner.losses == [Loss("called an unknown method", False, [])]


def test_nothing_is_handled_after_the_connection_was_lost(peer):
    peer.owner.cost = 0.1
    peer.print_lines("a", "b")
    peer.connection._link.fail("as a test does")
    peer.reactor.run(10.0)
    assert peer.owner.lines == ["a"]
    assert [loss.reason for loss in peer.owner.losses[:1]] == ["as a test does"]
