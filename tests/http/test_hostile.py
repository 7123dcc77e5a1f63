"""Clients that lie, stall, break off or speak nonsense: each gets a problem, leaves nothing, and harms nobody."""

from __future__ import annotations

import json
import socket

import pytest

from tests.fakes import wait_for
from tests.http.conftest import answer, running

POST = b"POST /v1/analyses?wait=5 HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One of their own: here clients may stall for a second only, which a busy machine's honest client may as well."""
    yield from running(tmp_path_factory.mktemp("hurried") / "data", WEIGHBRIDGE_STALL_SECONDS="1")


@pytest.fixture(autouse=True)
def unharmed(service):
    """After each of them nothing is left on disk, no analysis was added, and the service answers."""
    before = service.ask("GET", "/v1/analyses").json()["items"]
    yield
    wait_for(lambda: not service.left_behind())
    assert service.ask("GET", "/v1/analyses").json()["items"] == before
    assert service.ask("GET", "/healthz").status == 200


def is_problem(received, status, code):
    """Whether it is this problem."""
    found, headers, body = received
    assert (found, headers.get("content-type")) == (status, "application/problem+json"), received
    document = json.loads(body)
    assert (document["code"], document["status"]) == (code, status)
    assert document["request_id"] == headers["x-request-id"]
    return document


def cut(connection):
    """Say that nothing more will come, then read the answer."""
    connection.shutdown(socket.SHUT_WR)
    return answer(connection)


def test_an_upload_shorter_than_announced_is_refused(service):
    """To the server that is no error: the body just ends."""
    document = is_problem(cut(service.raw(POST + b"Content-Length: 5000\r\n\r\n", b"x" * 100)), 400, "upload_cut")
    assert (document["received"], document["announced"]) == (100, 5000)


def test_a_chunked_upload_that_breaks_off_is_refused(service):
    """Within a chunk, and before the last one."""
    is_problem(cut(service.raw(CHUNKED, b"400\r\nxxx")), 400, "upload_cut")
    is_problem(cut(service.raw(CHUNKED, b"3\r\nxxx\r\n")), 400, "upload_cut")


@pytest.mark.parametrize("body", [b"zz\r\nxxx\r\n", b"3\r\nxxxxx\r\n0\r\n\r\n", b"-3\r\nxxx\r\n", b"3;\x00\r\nxxx\r\n"])
def test_chunks_that_are_none_are_refused(service, body):
    """400, whatever the server's parser calls it."""
    is_problem(cut(service.raw(CHUNKED, body)), 400, "bad_request")


def test_an_upload_that_is_reset_leaves_nothing(service):
    """The client goes away without a word."""
    connection = service.raw(POST + b"Content-Length: 5000000\r\n\r\n", b"x" * 2_000_000)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def test_a_form_that_breaks_off_is_refused(service):
    """In the middle of a file."""
    head = b"POST /v1/analyses HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    head += b"Content-Length: 9999\r\n\r\n"
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nabc'
    is_problem(cut(service.raw(head, part)), 400, "upload_cut")


def test_a_client_that_stops_sending_is_let_go(service):
    """After the stall time, with a problem that it may still read."""
    is_problem(answer(service.raw(POST + b"Content-Length: 5000\r\n\r\n", b"x")), 408, "upload_stalled")


def test_a_header_that_never_ends_is_let_go(service):
    """Without an answer: there is no request."""
    assert answer(service.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ")) == (0, {}, b"")


def test_stalled_clients_do_not_keep_others_out(service):
    """While as many uploads stall as there are slots, health and the listing answer."""
    stalled = [service.raw(POST + b"Content-Length: 5000\r\n\r\n", b"x") for _ in range(48)]
    for path in ("/healthz", "/readyz", "/v1/analyses"):
        assert service.ask("GET", path).status == 200
    for connection in stalled:
        assert answer(connection)[0] in (408, 503)


def test_too_much_is_refused_by_its_header(service):
    """Before a byte of it is read, and with an answer that arrives."""
    received = answer(
        service.raw(POST + b"Connection: close\r\nContent-Length: 99999999999999\r\n\r\n", b"x" * 100_000)
    )
    is_problem(received, 413, "upload_too_large")


@pytest.mark.parametrize(("length", "closed"), [(99999999999999, True), (2, False)])
def test_a_refusal_says_whether_another_request_may_follow(service, length, closed):
    """None may while some of the body is on its way: a client that sent it on a kept connection would lose the next."""
    head = POST.replace(b"wait=5", b"wait=5" if closed else b"wait=99")
    with service.raw(head + b"Content-Length: %d\r\n\r\n{}" % length).makefile("rb") as answered:
        header = [line.lower() for line in iter(answered.readline, b"\r\n")]
    assert (b"connection: close\r\n" in header, header[0].split()[1]) == (closed, b"413" if closed else b"400")


EXPECTING = b"Host: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Type: application/octet-stream\r\n"


@pytest.mark.parametrize(
    ("path", "length", "status"),
    [(b"/v1/analyses?wait=99", 5, 400), (b"/v1/analyses", 99999999999999, 413), (b"/v1/none", 5, 404)],
)
def test_a_client_that_waits_to_be_asked_is_refused_before_it_sends(service, path, length, status):
    """Expect: 100-continue. It is not told to go on with what nobody wants."""
    connection = service.raw(b"POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (path, EXPECTING, length))
    assert answer(connection)[0] == status


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA\x00: b\r\n\r\n", 400),
        (b"POST /v1/analyses HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/analyses HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /v1/analyses HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /v1/analyses HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nA: " + b"a" * 10_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_what_is_no_request_gets_a_problem_too(service, request_head, status):
    """Though it never reaches the application."""
    found, headers, body = answer(service.raw(request_head))
    assert (found, headers["content-type"]) == (status, "application/problem+json")
    assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    "path",
    [
        b"/v1/analyses/../../etc/passwd",
        b"/v1/analyses/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        b"//v1//analyses",
        b"/%00",
        b"/%ff%fe",
        b"/docs/assets/../../x",
    ],
)
def test_paths_lead_nowhere_else(service, path):
    """404, or the canonical path."""
    found, _, body = answer(service.raw(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
    assert found in (308, 404)
    assert b"root:" not in body


def test_pipelined_requests_after_a_refused_upload_are_not_taken_from_its_body(service):
    """What stands in the body is never a request."""
    inner = b"DELETE /v1/analyses HTTP/1.1\r\nHost: x\r\n\r\n"
    head = POST.replace(b"wait=5", b"wait=99") + b"Content-Length: %d\r\n\r\n" % len(inner)
    connection = service.raw(head, inner, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    found, _, body = answer(connection)
    assert found == 400
    assert body.count(b"HTTP/1.1 ") == 1
    assert b"HTTP/1.1 200" in body
