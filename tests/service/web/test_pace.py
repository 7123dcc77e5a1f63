"""A socket that holds its peer to a minimum speed. The windows are short; what is asserted is what happens."""

from __future__ import annotations

import math
import socket
import threading
import time

import pytest

from service.web.pace import PacedSocket, Stalled


@pytest.fixture
def pair():
    """(paced, peer): two ends of a connection."""
    ours, peer = socket.socketpair()
    paced = PacedSocket.adopt(ours)
    yield paced, peer
    paced.close()
    peer.close()


def drain(paced, size):
    """Read to the end."""
    while paced.recv(size):
        pass


def test_adopting_takes_the_connection_over(pair):
    """The bytes flow, and adopting again changes nothing."""
    paced, peer = pair
    peer.sendall(b"hello")
    assert paced.recv(10) == b"hello"
    paced.sendall(b"world")
    assert peer.recv(10) == b"world"
    assert PacedSocket.adopt(paced) is paced


def test_silence_is_a_stall(pair):
    """Nothing within the window."""
    paced, _ = pair
    paced.expect(1, 0.05)
    with pytest.raises(Stalled):
        paced.recv(10)


def test_a_server_that_begins_late_blames_nobody(pair):
    """The window is the peer's: it begins when the server first reads, however long the request has been waiting."""
    paced, peer = pair
    paced.expect(math.inf, 0.05)
    peer.sendall(b"GET / HTTP/1.1")
    time.sleep(0.1)
    assert paced.recv(100) == b"GET / HTTP/1.1"


def test_a_trickle_is_a_stall(pair):
    """One byte now and then keeps a plain timeout alive for ever; not this one."""
    paced, peer = pair
    paced.expect(1000, 0.2)
    stop = threading.Event()

    def trickle():
        while not stop.wait(0.01):
            try:
                peer.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=trickle)
    thread.start()
    with pytest.raises(Stalled):
        drain(paced, 10)
    stop.set()
    thread.join()


def test_who_sends_enough_may_pause(pair):
    """A new window begins when the last one had enough in it."""
    paced, peer = pair
    paced.expect(5, 0.1)
    peer.sendall(b"hello")
    assert paced.recv(10) == b"hello"
    timer = threading.Timer(0.15, peer.sendall, (b"world",))
    timer.start()
    assert paced.recv(10) == b"world"


def test_a_deadline_is_an_infinite_rate(pair):
    """However much comes, the window ends it: for request headers."""
    paced, peer = pair
    paced.expect(math.inf, 0.1)
    peer.sendall(b"x" * 1000)
    with pytest.raises(Stalled):
        drain(paced, 1)


def test_a_peer_that_does_not_read_is_a_stall(pair):
    """An answer must leave, too."""
    paced, _ = pair
    paced.expect(0, 0.1)
    with pytest.raises(Stalled):
        paced.sendall(b"x" * (32 << 20))


def test_a_shorter_timeout_of_the_server_stays_its_own(pair):
    """The server's bounded drain gets its TimeoutError."""
    paced, _ = pair
    paced.expect(1, 10.0)
    paced.settimeout(0.01)
    with pytest.raises(TimeoutError):
        paced.recv(1)
    assert paced.gettimeout() == pytest.approx(0.01)


def test_the_end_of_the_connection_is_no_stall(pair):
    """An orderly end reads as no bytes."""
    paced, peer = pair
    paced.expect(100, 10.0)
    peer.close()
    assert paced.recv(1) == b""


def test_a_peer_that_waits_to_be_asked_is_asked_when_somebody_reads(pair):
    """Once; and not at all where what is wanted has come already."""
    paced, peer = pair
    paced.invites = True
    paced.early += b"a"
    assert paced.recv(1) == b"a"
    peer.settimeout(0.05)
    with pytest.raises(TimeoutError):
        peer.recv(100)
    peer.sendall(b"bc")
    assert (paced.recv(1), paced.recv(1)) == (b"b", b"c")
    assert peer.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
