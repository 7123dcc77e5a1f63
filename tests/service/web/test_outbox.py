"""Answers that the accepting thread sends on."""

from __future__ import annotations

import selectors
import socket
import time

import pytest

from service.web import outbox
from service.web.outbox import Outbox
from service.web.pace import PacedSocket

LONG = b"x" * (8 << 20)


class Conn:
    """A connection as gunicorn has it."""

    def __init__(self, sock) -> None:
        self.sock = sock


class Party:
    """An outbox with a real selector, that notes who is done with and who was dropped."""

    def __init__(self, least=1000.0, window=30.0) -> None:
        self.poller = selectors.DefaultSelector()
        self.done: list[object] = []
        self.dropped: list[object] = []
        self.box = Outbox(self.poller, least, window, self.drop)
        self.open: list[socket.socket] = []

    def drop(self, conn):
        self.dropped.append(conn)
        conn.sock.close()

    def guest(self, data, source=None):
        """(connection that has `data` to send, peer), entered."""
        plain, peer = socket.socketpair()
        sock = PacedSocket.adopt(plain)
        sock.keeps = True
        sock.sendall(data)
        sock.source = source
        conn = Conn(sock)
        self.open += [sock, peer]
        self.box.enter(conn, lambda: self.done.append(conn))
        return conn, peer

    def round(self):
        """What gunicorn's loop does."""
        for key, _ in self.poller.select(0):
            key.data(key.fileobj)


@pytest.fixture
def party():
    made = Party()
    yield made
    for each in made.open:
        each.close()


def test_all_is_sent_and_then_the_connection_goes_on(party):
    """As the peer takes it."""
    conn, peer = party.guest(LONG)
    received = 0
    while received < len(LONG):
        party.round()
        received += len(peer.recv(1 << 20))
    party.round()
    assert party.done == [conn]
    assert not len(party.box)
    assert not party.poller.get_map()


def test_who_takes_nothing_is_dropped(party):
    """When the window ends, not before."""
    conn, _ = party.guest(LONG)
    party.round()
    party.box.expire(time.monotonic())
    assert not party.dropped
    party.box.expire(time.monotonic() + 31)
    assert party.dropped == [conn]


def test_who_keeps_the_pace_stays(party):
    """What has arrived at the peer counts, not what lies in the kernel's buffer."""
    conn, peer = party.guest(LONG)
    peer.recv(100_000)
    party.round()
    party.box.expire(time.monotonic() + 31)
    assert not party.dropped
    party.box.expire(time.monotonic() + 62)
    assert party.dropped == [conn]


def test_a_connection_that_breaks_is_dropped(party):
    """And forgotten."""
    conn, peer = party.guest(LONG)
    peer.close()
    party.round()
    assert party.dropped == [conn]
    assert not len(party.box)


def test_an_answer_that_cannot_be_made_is_dropped(party):
    """A damaged body ends its own connection and no other."""

    class Damaged:
        def more(self):
            raise RuntimeError

        def end(self):
            return

    conn, _ = party.guest(b"", Damaged())
    party.round()
    assert party.dropped == [conn]


def test_beyond_the_memory_for_it_who_reads_longest_goes(party, monkeypatch):
    """The newest always stays."""
    monkeypatch.setattr(outbox, "MOST_HELD", 20 << 20)
    guests = [party.guest(LONG)[0] for _ in range(5)]
    assert party.dropped == guests[:3]
    assert party.box.turn_out_oldest()
    assert party.dropped == guests[:4]
