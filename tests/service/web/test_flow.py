"""A large body that passes from the thread of its request to whoever has the socket."""

from __future__ import annotations

import gc
import socket

import pytest

from service.web.flow import Flow
from service.web.pace import PacedSocket

PIECE = b"x" * 65536
MANY = 200


@pytest.fixture
def pair():
    """(ours, peer) as a request's thread has it: blocking, and told to keep what the peer does not take."""
    plain, peer = socket.socketpair()
    ours = PacedSocket.adopt(plain)
    ours.keeps = True
    yield ours, peer
    ours.close()
    peer.close()


def send(flow, sock):
    """As the server does."""
    for piece in flow:
        sock.sendall(piece)
    flow.close()


def test_a_peer_that_reads_nothing_holds_no_thread(pair):
    """The flow ends at the first piece that stays behind; the rest is still to come from it, in order."""
    ours, peer = pair
    done: list[int] = []
    made = iter(b"%07d" % number * 8192 for number in range(MANY))
    send(Flow(made, lambda: done.append(1), ours), ours)
    assert ours.unsent
    assert ours.source is not None
    assert not done
    ours.setblocking(False)
    received = bytearray()
    while not done:
        ours.send_more(4)
        received += peer.recv(1 << 20)
    peer.setblocking(False)
    while len(received) < MANY * 7 * 8192:
        received += peer.recv(1 << 20)
    assert received == b"".join(b"%07d" % number * 8192 for number in range(MANY))
    assert done == [1]
    assert ours.taken() == len(received)


def test_a_small_flow_ends_in_its_thread(pair):
    """Nothing stays behind, and the place is given back at once."""
    ours, peer = pair
    done: list[int] = []
    send(Flow(iter([b"ab", b"cd"]), lambda: done.append(1), ours), ours)
    assert peer.recv(10) == b"abcd"
    assert done == [1]
    assert ours.source is None


def test_a_closed_connection_gives_the_place_back(pair):
    """Once, whoever else closes it."""
    ours, _ = pair
    done: list[int] = []
    flow = Flow(iter([PIECE] * MANY), lambda: done.append(1), ours)
    send(flow, ours)
    ours.close()
    ours.close()
    flow.end()
    assert done == [1]


def test_a_forgotten_answer_gives_the_place_back():
    """One that was never sent: what came after it failed."""
    done: list[int] = []
    flow = Flow(iter([PIECE]), lambda: done.append(1), None)
    assert not done
    del flow
    gc.collect()
    assert done == [1]


def test_without_such_a_socket_it_is_a_plain_body():
    """Under any other server."""
    done: list[int] = []
    flow = Flow(iter([b"a", b"b"]), lambda: done.append(1), None)
    assert list(flow) == [b"a", b"b"]
    flow.close()
    assert done == [1]
