"""Large reports asked for by clients that do not read them: the others are served as if they were not there."""

from __future__ import annotations

import contextlib
import json
import struct
from pathlib import Path

import pytest

from tests.fakes import wait_for
from tests.http.conftest import answer, running

WEIGHTS = 20_000
READERS = 100


def wide(weights: int) -> bytes:
    """A safetensors file with a layer for each of so many weights."""
    header = {
        f"encoder.block_{number}.projection.weight": {"dtype": "U8", "shape": [2, 2], "data_offsets": [at, at + 4]}
        for number, at in ((number, 4 * number) for number in range(weights))
    }
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4 * weights)


def memory(service) -> int:
    """Bytes in memory of all web workers."""
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 for pid in service.workers())


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """One web worker, so that all is asked of the same."""
    yield from running(tmp_path_factory.mktemp("answers") / "data", WEB_CONCURRENCY="1")


@pytest.fixture(scope="module")
def large(service):
    """The address of a report of many megabytes."""
    made = service.ask("POST", "/v1/analyses?wait=60&filename=a.safetensors", body=wide(WEIGHTS))
    assert made.status == 201
    return made.json()["links"]["report"]


def get(path: str, *more: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *more, "", "")).encode()


def test_a_large_report_is_the_same_in_pieces(service, large):
    """With its length, pressed or not, within the analysis or alone."""
    plain = service.ask("GET", large)
    assert int(plain.headers["Content-Length"]) == len(plain.data) > 10 << 20
    pressed = service.ask("GET", large, headers={"Accept-Encoding": "gzip"}, decode_content=True)
    assert pressed.headers["Content-Encoding"] == "gzip"
    assert pressed.data == plain.data
    whole = service.ask("GET", large.removesuffix("/report"))
    assert whole.json()["report"] == plain.json()
    assert int(whole.headers["Content-Length"]) == len(whole.data)
    head = answer(service.raw(get(large, "Connection: close").replace(b"GET", b"HEAD", 1)))
    assert (head[0], int(head[1]["content-length"]), head[2]) == (200, len(plain.data), b"")


def test_clients_that_never_read_hold_nothing(service, large, model):
    """Health, small reports and new analyses answer; memory does not grow with the clients; then all is as before."""
    small = service.ask("POST", "/v1/analyses?wait=30&filename=a.weights.h5", body=model(6)).json()["links"]["report"]
    service.ask("GET", large)
    before = memory(service)
    with contextlib.ExitStack() as stack:
        readers = [stack.enter_context(service.raw(get(large))) for _ in range(READERS)]
        for number in range(10):
            assert service.ask("GET", "/healthz").status == 200
            assert service.ask("GET", small).status == 200
            made = service.ask("POST", "/v1/analyses?wait=30&filename=a.weights.h5", body=model(10 + number))
            assert made.status in (201, 202)  # the others of this address may use its places to wait
        firsts = [reader.recv(12) for reader in readers]
        assert memory(service) - before < 100 << 20
        assert firsts.count(b"HTTP/1.1 503") >= READERS - 8
        assert firsts.count(b"HTTP/1.1 200") >= 1
    wait_for(lambda: service.ask("GET", large).status == 200)


def test_who_does_not_read_is_told_off_and_cut_off(start):
    """Of two places one caller has one: the next answer is refused by the limit's name; then the first breaks off."""
    places = {"WEIGHBRIDGE_MAX_CONCURRENT_ANSWERS": "2", "WEIGHBRIDGE_SHARE_PER_CALLER": "0.5"}
    service = start(WEB_CONCURRENCY="1", WEIGHBRIDGE_STALL_SECONDS="6", **places)
    made = service.ask("POST", "/v1/analyses?wait=60&filename=a.safetensors", body=wide(WEIGHTS))
    report = made.json()["links"]["report"]
    with service.raw(get(report)) as reader:
        assert reader.recv(12) == b"HTTP/1.1 200"
        refused = service.ask("GET", report)
        assert (refused.status, refused.json()["limit"]) == (503, "max_concurrent_answers")
        assert int(refused.headers["Retry-After"]) > 0
        wait_for(lambda: service.ask("GET", report).status == 200, 20)
        assert rest_of(reader) < len(made.data)


def rest_of(connection) -> int:
    """How many bytes still come."""
    received = 0
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 20):
            received += len(piece)
    return received
