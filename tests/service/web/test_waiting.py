"""Connections that no thread serves."""

from __future__ import annotations

import selectors
import socket
from types import SimpleNamespace

import pytest

from service.web.pace import PacedSocket
from service.web.waiting import MOST_HEADER, Room, has_come, header_is_here


@pytest.fixture
def pair():
    """(ours, peer), ours not blocking."""
    plain, peer = socket.socketpair()
    ours = PacedSocket.adopt(plain)
    ours.setblocking(False)
    yield ours, peer
    ours.close()
    peer.close()


class Party:
    """A room with a real selector, that notes what it is told."""

    def __init__(self) -> None:
        self.poller = selectors.DefaultSelector()
        self.readable: list[object] = []
        self.expired: list[object] = []
        self.room = Room(self.poller, self.readable.append, self.expired.append)
        self.peers: list[socket.socket] = []

    def guest(self, until: float) -> SimpleNamespace:
        """A connection in the room."""
        plain, peer = socket.socketpair()
        self.peers.append(peer)
        conn = Guest(sock=PacedSocket.adopt(plain))
        self.room.enter(conn, until)
        return conn

    def look(self) -> None:
        """One round of the accepting thread."""
        for key, _ in self.poller.select(0):
            key.data(key.fileobj)


class Guest(SimpleNamespace):
    __hash__ = object.__hash__


@pytest.fixture
def party():
    made = Party()
    yield made
    made.poller.close()
    for peer in made.peers:
        peer.close()


def test_a_header_that_comes_in_pieces_is_waited_for(pair):
    """Wherever it is cut; what came stays to be read, and nothing is read twice."""
    ours, peer = pair
    for piece in (b"GET / HTTP/1.1\r\nA: b\r", b"\n", b"\r"):
        peer.sendall(piece)
        assert not header_is_here(ours)
    peer.sendall(b"\nrest")
    assert header_is_here(ours)
    assert ours.recv(10) == b"GET / HTTP"
    assert ours.recv(1000) == b"/1.1\r\nA: b\r\n\r\nrest"


def test_what_came_early_is_given_first_and_once(pair):
    """In order, then what comes later."""
    ours, peer = pair
    peer.sendall(b"early\r\n\r\n")
    assert header_is_here(ours)
    peer.sendall(b"late")
    assert ours.recv(5) + ours.recv(99) + ours.recv(99) == b"early\r\n\r\nlate"


def test_an_end_is_as_good_as_a_header(pair):
    """Nothing more can come: whoever parses it says what is wrong."""
    ours, peer = pair
    peer.sendall(b"GET")
    assert not header_is_here(ours)
    peer.close()
    assert header_is_here(ours)


def test_a_header_without_end_is_handed_over(pair):
    """It is the parser's to refuse; no more than that is held."""
    ours, peer = pair
    peer.setblocking(False)
    sent = 0
    while not header_is_here(ours):
        sent += peer.send(b"a" * 4096)
    assert MOST_HEADER < len(ours.early) <= sent
    assert len(ours.early) <= MOST_HEADER + (1 << 16)


def test_a_header_that_was_taken_early_needs_no_more_bytes(pair):
    """The next of two requests that came together."""
    ours, _ = pair
    ours.early += b"GET / HTTP/1.1\r\n\r\n"
    assert header_is_here(ours)


def test_guests_leave_when_their_time_is_up(party):
    """In the order of their times, and not before."""
    first, second = party.guest(1.0), party.guest(2.0)
    party.room.expire(0.5)
    assert party.expired == []
    party.room.expire(1.5)
    assert party.expired == [first]
    party.room.expire(9.0)
    assert party.expired == [first, second]
    assert len(party.room) == 0


def test_only_who_has_something_to_say_is_noticed(party):
    """And it stays until it is let out."""
    party.guest(1.0)
    second = party.guest(2.0)
    party.peers[1].sendall(b"x")
    party.look()
    assert party.readable == [second]
    party.room.leave(second)
    party.look()
    assert party.readable == [second]
    assert len(party.room) == 1


def test_who_has_been_here_longest_goes_first(party):
    """Until nobody is left."""
    first, second = party.guest(1.0), party.guest(2.0)
    assert party.room.turn_out_oldest()
    assert party.expired == [first]
    assert party.room.turn_out_oldest()
    assert not party.room.turn_out_oldest()
    assert party.expired == [first, second]


def test_a_stopping_worker_hurries_all(party):
    """Nobody is given more time by it."""
    first, second = party.guest(1.0), party.guest(9.0)
    party.room.hurry(3.0)
    party.room.expire(2.0)
    assert party.expired == [first]
    party.room.expire(3.5)
    assert party.expired == [first, second]


def test_who_was_turned_out_in_the_same_round_is_not_noticed(party):
    """Two become readable at once, and the first one's turn ends the other's stay."""
    first, second = party.guest(1.0), party.guest(2.0)
    for peer in party.peers:
        peer.sendall(b"x")
    keys = [key for key, _ in party.poller.select(0)]
    party.room.turn_out(first)
    party.room.turn_out(second)
    for key in keys:
        key.data(key.fileobj)
    assert party.readable == []


def test_what_has_come_stays_to_be_read(pair):
    """Nothing, something, and the client's going away."""
    ours, peer = pair
    assert not has_come(ours)
    peer.sendall(b"G")
    assert has_come(ours)
    assert ours.recv(2) == b"G"
    peer.close()
    assert not has_come(ours)
