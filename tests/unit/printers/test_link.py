"""The socket to a peer: connecting, back-off, limits, and no blocking (fake reactor)."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import socket
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Iterator, List, Optional

import pytest

from klippy_extras.router.klippy.timers import Timers
from klippy_extras.router.printers.link import MAX_SEND_BUFFER, READ_SIZE, Link, SocketFile
from tests.unit.fake_reactor import FakeReactor


class Owner:
    def __init__(self) -> None:
        self.opened: List[SocketFile] = []
        self.closed: List[str] = []
        self.data = b""
        self.fails_on: Optional[bytes] = None

    def link_opened(self, socket_file: SocketFile, eventtime: float) -> None:
        self.opened.append(socket_file)

    def data_received(self, data: bytes, eventtime: float) -> None:
        if data == self.fails_on:
            raise RuntimeError("as a bug would")
        self.data += data

    def link_lost(self, reason: str) -> None:
        self.closed.append(reason)


class Bench:
    """A link on a fake reactor, and the folder for its peer's socket."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "sock")
        self.reactor = FakeReactor()
        self.host = SimpleNamespace(reactor=self.reactor, timers=Timers(self.reactor))
        self.owner = Owner()
        self.link = Link(self.host, self.path, self.owner)
        self.server: Optional[socket.socket] = None

    def listen(self, backlog: int = 1) -> socket.socket:
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(backlog)
        return self.server

    def connect(self) -> socket.socket:
        """Start the link; the peer's end of its connection."""
        server = self.listen()
        self.link.start()
        self.reactor.run()
        return server.accept()[0]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="kr-") as folder:
        made = Bench(Path(folder))
        yield made
        made.link.stop()
        if made.server:
            made.server.close()


def test_the_first_attempt_is_immediate_and_the_others_follow_once_a_second(bench):
    tries = []
    connect = bench.link._connect
    bench.link._connect = lambda: (tries.append(bench.reactor.now), connect())
    bench.link.start()
    bench.reactor.run()
    assert len(tries) == 1
    for _ in range(40):
        bench.reactor.run(0.1)
    assert len(tries) == 5
    assert bench.link.last_failure == "No such file or directory"


def test_a_peer_that_starts_later_is_found_within_a_second(bench):
    bench.link.start()
    bench.reactor.run()
    bench.listen()
    bench.reactor.run(1.0)
    (socket_file,) = bench.owner.opened
    stat = os.stat(bench.path)
    assert socket_file == SocketFile(stat.st_dev, stat.st_ino, stat.st_ctime_ns, os.getpid())


def test_a_stopped_peer_with_a_full_backlog_does_not_block(bench):
    bench.listen(0)
    fillers = []
    while True:
        filler = socket.socket(socket.AF_UNIX)
        filler.setblocking(False)
        fillers.append(filler)
        try:
            filler.connect(bench.path)
        except BlockingIOError:
            break
    bench.link.start()
    bench.reactor.run()  # would hang here
    assert bench.owner.opened == []
    for filler in fillers:
        filler.close()
    while True:
        bench.server.setblocking(False)
        try:
            bench.server.accept()[0].close()
        except BlockingIOError:
            break
    bench.reactor.run(1.0)
    assert len(bench.owner.opened) == 1


def test_an_impossible_path_is_a_failure_like_any_other(bench):
    link = Link(bench.host, "/no\0where", bench.owner)
    link.start()
    bench.reactor.run()
    assert "null" in link.last_failure  # "byte" or "character", by Python
    link.stop()


def test_data_is_sent_in_both_directions(bench):
    peer = bench.connect()
    peer.sendall(b"hello")
    bench.reactor.run()
    assert bench.owner.data == b"hello"
    bench.link.send(b"answer")
    assert peer.recv(100) == b"answer"


def test_one_callback_reads_a_limited_amount(bench):
    peer = bench.connect()
    peer.sendall(b"x" * (3 * READ_SIZE))
    bench.reactor.run(turns=1)
    assert len(bench.owner.data) == READ_SIZE
    bench.reactor.run()
    assert len(bench.owner.data) == 3 * READ_SIZE


def test_nothing_is_read_while_reading_is_paused(bench):
    peer = bench.connect()
    bench.link.set_reading(False)
    peer.sendall(b"later")
    bench.reactor.run()
    assert bench.owner.data == b""
    bench.link.set_reading(True)
    bench.reactor.run()
    assert bench.owner.data == b"later"


def test_data_that_the_socket_does_not_accept_is_sent_later_in_order(bench):
    peer = bench.connect()
    sent = b"".join(bytes([i % 256]) * 1000 for i in range(900))
    for i in range(0, len(sent), 1000):
        bench.link.send(sent[i : i + 1000])
    got = b""
    peer.setblocking(False)
    while len(got) < len(sent):
        try:
            got += peer.recv(100000)
        except BlockingIOError:
            bench.reactor.run(turns=1)
    assert got == sent
    assert bench.owner.closed == []


def test_a_peer_that_does_not_read_is_disconnected_at_the_limit(bench):
    peer = bench.connect()
    for _ in range(2 * MAX_SEND_BUFFER // 10000):
        bench.link.send(b"x" * 10000)
    bench.reactor.run()
    assert bench.owner.closed == ["is not reading; send buffer full"]
    assert peer.recv(10) != b""


def test_a_closed_connection_is_reported_once_and_tried_again(bench):
    peer = bench.connect()
    peer.close()
    bench.reactor.run(5.0)
    assert bench.owner.closed == ["closed the connection"]
    assert len(bench.owner.opened) == 2


def test_a_peer_that_closes_at_once_is_tried_once_a_second(bench):
    bench.listen()
    bench.link.start()
    for _ in range(50):
        bench.reactor.run(0.1)
        bench.server.setblocking(False)
        try:
            bench.server.accept()[0].close()
        except BlockingIOError:
            continue
    assert 4 <= len(bench.owner.opened) <= 6


def test_failing_within_a_callback_never_unregisters_an_fd_of_the_same_poll(bench):
    """Klipper of 2023 would end with a KeyError: the fake reactor raises it too."""
    peer = bench.connect()
    other = Bench(Path(bench.path).parent / "other")
    os.mkdir(Path(other.path).parent)
    other.host, other.reactor = bench.host, bench.reactor
    other.link = Link(bench.host, other.path, other.owner)
    other_peer = other.connect()
    bench.owner.data_received = lambda data, eventtime: other.link.fail("told to")
    other.owner.data_received = lambda data, eventtime: bench.link.fail("told to")
    peer.sendall(b"a")
    other_peer.sendall(b"b")
    bench.reactor.run()
    assert "told to" in bench.owner.closed + other.owner.closed
    other.link.stop()
    other.server.close()


def test_what_arrives_may_unregister_an_fd_of_the_same_poll(bench):
    """As Klippy does when it sends to an API client that has just disconnected."""
    peer = bench.connect()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        client = bench.reactor.register_fd(ours.fileno(), lambda eventtime: ours.recv(1))
        bench.owner.data_received = lambda data, now: bench.reactor.unregister_fd(client)
        peer.send(b"hello")
        theirs.send(b"x")
        bench.reactor.run()
        assert ours.fileno() not in bench.reactor.fds
    assert bench.owner.closed == []


def test_an_error_of_the_owner_ends_the_connection_and_nothing_else(bench, caplog):
    peer = bench.connect()
    bench.owner.fails_on = b"boom"
    peer.sendall(b"boom")
    bench.reactor.run()
    assert bench.owner.closed == ["internal error of the router, see the log"]
    assert "as a bug would" in caplog.text


def test_after_stop_nothing_happens(bench):
    peer = bench.connect()
    bench.link.stop()
    assert peer.recv(10) == b""
    bench.reactor.run(10.0)
    assert len(bench.owner.opened) == 1
    assert bench.reactor.fds == {}
