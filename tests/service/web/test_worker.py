"""gunicorn's worker with its gaps closed: what it does with kept connections when their time is up."""

from __future__ import annotations

import math
import socket
import time
from collections import deque
from types import SimpleNamespace

import pytest

from service.web.worker import Worker


class Kept(SimpleNamespace):
    """A kept connection whose time ended a moment ago, or never does."""

    def close(self) -> None:
        self.sock.close()


@pytest.fixture
def worker():
    """One that is not running; it notes the connections that it goes on to serve."""
    made = Worker.__new__(Worker)
    made.keepalived_conns, made.nr_conns, made.served = deque(), 0, []
    made.poller = SimpleNamespace(unregister=lambda _: None)
    made._expect = made.served.append
    return made


def kept(worker, until: float) -> tuple[Kept, socket.socket]:
    """A connection that waits for its next request, and its client."""
    ours, client = socket.socketpair()
    conn = Kept(sock=ours, timeout=until)
    worker.keepalived_conns.append(conn)
    worker.nr_conns += 1
    return conn, client


def test_a_request_that_comes_as_its_connection_ends_is_served(worker) -> None:
    """Others whose time is up are closed; those that still have time are let be."""
    now = time.monotonic()
    (silent, first), (busy, second), (young, third) = (kept(worker, until) for until in (now - 1, now - 1, math.inf))
    second.sendall(b"GET / HTTP/1.1\r\n")
    worker.murder_keepalived()
    assert worker.served == [busy]
    assert (silent.sock.fileno(), busy.sock.fileno() >= 0, list(worker.keepalived_conns)) == (-1, True, [young])
    assert worker.nr_conns == 2
    assert first.recv(1) == b""
    third.close()


def test_a_client_that_went_away_is_no_request(worker) -> None:
    """Its end of the connection can be read, and holds nothing."""
    _, client = kept(worker, time.monotonic() - 1)
    client.close()
    worker.murder_keepalived()
    assert (worker.served, worker.nr_conns) == ([], 0)


def test_at_the_very_end_all_are_closed(worker) -> None:
    """Nobody is left to serve another request."""
    _, client = kept(worker, math.inf)
    client.sendall(b"GET / HTTP/1.1\r\n")
    worker.murder_keepalived(force=True)
    assert (worker.served, worker.nr_conns) == ([], 0)
