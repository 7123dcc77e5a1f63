"""Thousands of connections that want nothing, or want it slowly: the others are served as if they were not there."""

from __future__ import annotations

import contextlib
import resource
import socket

import pytest

from tests.http.conftest import answer, running

IDLE = 3000
SLOW_HEADERS = 1000
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module", autouse=True)
def descriptors():
    """Room for this process's own ends of the connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One that is patient, so that nobody is turned out for being slow while a test runs."""
    yield from running(tmp_path_factory.mktemp("crowd") / "data", WEIGHBRIDGE_STALL_SECONDS="120")


@contextlib.contextmanager
def crowd(service, size, *pieces):
    """`size` connections, each of which has sent the same."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(service.raw(*pieces)) for _ in range(size)]


def test_idle_connections_keep_nobody_out(service, model):
    """W5: Far more of them than threads; analyses are made as ever."""
    with crowd(service, IDLE):
        for _ in range(20):
            assert answer(service.raw(GET))[0] == 200
        made = service.ask("POST", "/v1/analyses?wait=30&filename=a.weights.h5", body=model(5))
        assert made.status == 201


def test_headers_that_come_slowly_keep_nobody_out(service):
    """Nor are the slow ones lost: once the header is whole it is answered."""
    with crowd(service, SLOW_HEADERS, GET[:-2]) as slow:
        for _ in range(20):
            assert answer(service.raw(GET))[0] == 200
        for connection in (slow[0], slow[-1]):
            connection.sendall(GET[-2:])
            assert answer(connection)[0] == 200


def test_bodies_that_never_come_keep_nobody_out(service):
    """Whether they are waited for, or were refused: nobody waits for the rest of those."""
    head = b"POST /v1/analyses HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"
    with crowd(service, 500, head + b"x" * 100):
        for _ in range(20):
            assert answer(service.raw(GET))[0] == 200


def test_next_requests_that_come_slowly_keep_nobody_out(service):
    """On kept connections, with the beginning of the next request behind the first."""
    with crowd(service, 300, GET.replace(b"close", b"keep-alive") + GET[:20]) as slow:
        assert answer(service.raw(GET))[0] == 200
        slow[7].sendall(GET[20:])
        found, _, body = answer(slow[7])
        assert found == 200
        assert body.count(b"HTTP/1.1 200") == 1


def test_clients_that_do_not_close_keep_nobody_out(service):
    """They have had their answer, and hold no thread."""
    with crowd(service, 500, GET) as open_still:
        assert all(connection.recv(12) == b"HTTP/1.1 200" for connection in open_still)
        assert answer(service.raw(GET))[0] == 200


def test_beyond_the_limit_who_waits_longest_goes(start):
    """Named by the setting; whoever comes last is served."""
    service = start(WEIGHBRIDGE_MAX_CONNECTIONS="200", WEB_CONCURRENCY="1", WEIGHBRIDGE_STALL_SECONDS="120")
    with crowd(service, 400) as idle:
        assert answer(service.raw(GET))[0] == 200
        idle[0].settimeout(30)
        assert idle[0].recv(1) == b""
        idle[-1].sendall(GET)
        assert answer(idle[-1])[0] == 200


def test_pipelined_requests_are_answered_in_order(service):
    """Two whole ones in one packet."""
    connection = service.raw(GET.replace(b"close", b"keep-alive") + GET)
    found, _, body = answer(connection)
    assert found == 200
    assert body.count(b"HTTP/1.1 200") == 1


def test_a_half_closed_connection_gets_its_answer(service):
    """The client says that it will send no more before it reads."""
    connection = service.raw(GET)
    connection.shutdown(socket.SHUT_WR)
    assert answer(connection)[0] == 200
