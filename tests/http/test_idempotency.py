"""Idempotency-Key as many clients at once use it, and those whose connection ended."""

from __future__ import annotations

import os
import signal
import threading
import time

from tests.fakes import wait_for
from tests.http.conftest import answer
from tests.torture.storm import model

RAW = {"Content-Type": "application/octet-stream"}


def parallel(number, action):
    """What `action(0)` to `action(number - 1)` give, each in a thread of its own."""
    got = {}
    threads = [
        threading.Thread(target=lambda index=index: got.update({index: action(index)})) for index in range(number)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [got[index] for index in range(number)]


def accepted(service, content, headers):
    """The analysis that an upload is answered with, sent again while the service takes no more at once."""
    while (found := service.ask("POST", "/v1/analyses?wait=30", body=content, headers=headers)).status == 503:
        assert "Retry-After" in found.headers
        time.sleep(0.1)
    assert found.status in (201, 202)
    return found.json()


def test_fifty_at_once_with_one_key_make_one_job(service):
    """All get it, whichever process took them, and with its report."""
    headers = {**RAW, "Idempotency-Key": '"fifty"'}
    answers = parallel(50, lambda _: accepted(service, model(51), headers))
    assert len({answer["id"] for answer in answers}) == 1
    finished = [answer for answer in answers if answer["state"] == "succeeded"]
    assert {answer["report"]["totals"]["parameters"] for answer in finished} == {51}
    other = service.ask("POST", "/v1/analyses", body=model(52), headers=headers)
    assert (other.status, other.json()["code"]) == (422, "idempotency_key_reused")


def test_eight_whose_workers_are_killed_succeed_when_they_send_again(start):
    """Uploads that hang in the middle lose their connections, and the same keys bring them to their end, once each."""
    service = start()
    uploads = [_begin(service, number) for number in range(8)]
    for pid in service.workers():
        os.kill(pid, signal.SIGKILL)
    for connection in uploads:
        assert answer(connection)[0] == 0
    wait_for(lambda: len(service.workers()) == 2)
    again = [
        service.ask("POST", "/v1/analyses?wait=30", body=model(61 + number), headers=_headers(number))
        for number in range(8)
    ]
    assert [answer.json()["report"]["totals"]["parameters"] for answer in again] == [*range(61, 69)]
    assert len(service.ask("GET", "/v1/analyses").json()["items"]) == 8
    wait_for(lambda: not service.left_behind(), 40.0)


def _headers(number):
    return {**RAW, "Idempotency-Key": f'"eight-{number}"'}


def _begin(service, number):
    """A connection on which half of an upload was sent."""
    content = model(61 + number)
    head = "".join(f"{name}: {value}\r\n" for name, value in _headers(number).items())
    head = f"POST /v1/analyses HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}Content-Length: {len(content)}\r\n\r\n"
    connection = service.raw(head.encode(), content[: len(content) // 2])
    wait_for(lambda: len(service.left_behind()) > number)
    return connection
