"""Bodies and forms that no honest client sends: each is told in time what is wrong, and nothing of it stays."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest

from tests.fakes import wait_for
from tests.http.conftest import answer, problem, running

HEAD = b"POST /v1/analyses?wait=5&filename=a.weights.h5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
FORM = HEAD + b"Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n\r\n"
MOST = 8 << 20


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One that takes little, and is soon impatient."""
    yield from running(
        tmp_path_factory.mktemp("requests") / "data",
        WEB_CONCURRENCY="1", WEIGHBRIDGE_MAX_UPLOAD_BYTES=str(MOST), WEIGHBRIDGE_STALL_SECONDS="2",
        WEIGHBRIDGE_LOG_LEVEL="ERROR",
    )  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_stays(service):
    """No file that was begun is left, and the service answers."""
    yield
    wait_for(lambda: not service.left_behind())
    assert service.ask("GET", "/healthz").status == 200


def chunks(data: bytes, size: int = 1 << 16) -> bytes:
    """`data` in the chunked coding, without the end."""
    pieces = (data[start : start + size] for start in range(0, len(data), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def flood(connection: socket.socket, piece: bytes, most: int) -> int:
    """Send `piece` again and again, until the other end has had enough; bytes sent."""
    sent = 0
    with contextlib.suppress(OSError):
        while sent < most:
            connection.sendall(piece)
            sent += len(piece)
    return sent


def refused(connection: socket.socket, status: int, code: str) -> dict:
    found, headers, body = answer(connection)
    assert (found, problem(body)["code"]) == (status, code)
    assert headers["content-type"] == "application/problem+json"
    return problem(body)


def test_a_body_without_an_end_is_cut_at_the_limit(service):
    """413 at the first byte beyond it, whatever still comes."""
    connection = service.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    flood(connection, chunks(b"\x89HDF\r\n\x1a\n" + bytes((1 << 20) - 8)), MOST + (2 << 20))
    assert refused(connection, 413, "upload_too_large")["limit"] == "max_upload_bytes"


def test_chunks_of_one_byte_are_a_body_like_another(service, model):
    """Of it the same is made."""
    content = model(4)
    found = answer(service.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks(content, 1) + b"0\r\n\r\n"))
    assert found[0] == 201


@pytest.mark.parametrize("size", [b"ffffffffffffffff", b"-1", b"", b"1;" + b"x" * 100_000, b"0x10", b"zz"])
def test_a_size_of_a_chunk_that_is_none(service, size):
    """400, at once or when nothing more comes; never an allocation of that size."""
    connection = service.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    flood(connection, size + b"\r\nabc\r\n", 1)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
    assert answer(connection)[0] in (400, 0)


def test_a_form_of_a_hundred_thousand_parts(service):
    """413 after those that are taken, named by its limit."""
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%d"\r\n\r\n\r\n'
    connection = service.raw(FORM)
    flood(connection, chunks(b"".join(part % number for number in range(100_000))), 1)
    assert refused(connection, 413, "upload_too_large")["limit"] == "max_upload_parts"


@pytest.mark.parametrize(
    "header",
    [b"X: " + b"x" * 5_000_000, b"\r\n".join(b"X-%d: y" % number for number in range(200_000)), b"x" * 5_000_000],
    ids=["long", "many", "no header"],
)
def test_a_part_with_a_bomb_for_its_header(service, header):
    """Refused at the limit of a part's header."""
    connection = service.raw(FORM)
    flood(connection, chunks(b"--b\r\n" + header), 1)
    assert answer(connection)[0] in (400, 413)


@pytest.mark.parametrize("filling", [b"\r", b"\n", b"\r\n", b"\r\n--", b"-"], ids=repr)
def test_a_part_that_looks_like_its_end_all_along(service, filling):
    """Read in one go, as any other: in time that grows with its length, and no more."""
    content = filling * ((MOST - 1000) // len(filling))
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n' + content + b"\r\n--b--\r\n"
    before = cpu(service)
    assert answer(service.raw(FORM + chunks(body) + b"0\r\n\r\n"))[0] in (415, 422)
    assert cpu(service) - before < 3.0


def cpu(service) -> float:
    """Seconds of processor time that the web workers have used."""
    facts = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in service.workers()]
    return sum(int(user) + int(system) for user, system in (fact[11:13] for fact in facts)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_clients_that_leave_in_the_midst_leave_nothing(service, model, share):
    """However far they came; announced or in chunks."""
    content = model(300)
    part = content[: int(len(content) * share)]
    for number in range(20):
        framed = chunks(part) if number % 2 else part
        coding = b"Transfer-Encoding: chunked" if number % 2 else b"Content-Length: %d" % len(content)
        service.raw(HEAD + coding + b"\r\n\r\n" + framed).close()
    time.sleep(0.1)
    made = service.ask("POST", "/v1/analyses?wait=30&filename=a.weights.h5", body=content)
    assert made.status == 201


@pytest.mark.parametrize("announced", [1, 10_000_000])
def test_a_length_that_is_not_the_bodys(service, model, announced):
    """Less: what follows is no request. More: 400, or 413 where it is more than is taken."""
    content = model(5)
    connection = service.raw(HEAD + b"Content-Length: %d\r\n\r\n" % announced + content)
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
    assert answer(connection)[0] in (400, 413, 415, 422)
