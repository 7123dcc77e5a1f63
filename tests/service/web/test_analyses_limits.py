"""Limits of /v1/analyses: sizes, room on the disk, and places to upload, to wait and to answer."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from service.errors import Overloaded
from tests.fakes import wait_for


class TestLimits:
    """Small limits, met exactly and by one."""

    @pytest.fixture
    def settings(self):
        return {"max_upload_bytes": 1000, "max_upload_parts": 2, "max_queued_jobs": 1, "job_threads": 1}

    def test_the_size_is_taken_at_the_limit_and_refused_one_above(self, send, nothing_left):
        """By the announced length."""
        assert send(b"model " + b"x" * 994).status_code == 201
        response = send(b"model " + b"x" * 995)
        assert response.status_code == 413
        problem = response.get_json()
        assert (problem["code"], problem["maximum"], problem["value"]) == ("upload_too_large", 1000, 1001)

    def test_too_many_files_are_refused(self, client, nothing_left):
        """One more than the limit."""
        files = [(io.BytesIO(b"model"), str(number)) for number in range(3)]
        response = client.post("/v1/analyses", data={"file": files})
        assert (response.status_code, response.get_json()["limit"]) == (413, "max_upload_parts")
        nothing_left()

    def test_a_full_queue_says_when_to_come_back(self, send, sandbox):
        """One runs, one waits, the third is told at once."""
        send(b"hang 1", path="/v1/analyses?wait=0")
        wait_for(lambda: sandbox.runs)
        assert send(b"hang 2", path="/v1/analyses?wait=0").status_code == 202
        response = send(b"hang 3", path="/v1/analyses?wait=0")
        assert (response.status_code, response.get_json()["code"]) == (503, "overloaded")
        assert int(response.headers["Retry-After"]) > 0


class TestNoRoom:
    """A disk that is nearly full, and slots that are all taken."""

    @pytest.fixture
    def settings(self):
        return {"max_concurrent_uploads": 1, "max_waiting": 1}

    def test_a_nearly_full_disk_refuses_before_reading(self, send, parts, monkeypatch, nothing_left):
        """507, and nothing is left."""
        monkeypatch.setattr(type(parts.blobs), "free_bytes", lambda _: 3)
        response = send(b"model")
        assert (response.status_code, response.get_json()["code"]) == (507, "storage_full")
        nothing_left()

    def test_too_many_uploads_at_once_are_told_to_come_back(self, send, parts, nothing_left):
        """503 and Retry-After where nobody more may wait for a slot; the slot is free again afterwards."""
        with parts.slots.uploading("a"), parts.slots.waiting("a"):
            response = send(b"model")
        assert (response.status_code, response.get_json()["code"]) == (503, "overloaded")
        nothing_left()
        assert send(b"model").status_code == 201

    def test_an_upload_gets_the_slot_that_becomes_free(self, send, parts):
        """A burst is no reason to refuse."""

        def nobody_waits():
            with parts.slots.waiting("a") as granted:
                return granted

        with ThreadPoolExecutor(1) as pool:
            with parts.slots.uploading("a"):
                sent = pool.submit(send, b"model")
                wait_for(lambda: not nobody_waits())
            assert sent.result().status_code == 201

    def test_a_refused_upload_frees_its_slot(self, send):
        """Many failures one after another never use the slots up."""
        for _ in range(5):
            assert send(b"").status_code == 400
        assert send(b"model").status_code == 201


class TestLargeAnswers:
    """Of a report that counts as large, where there is one place and nobody may wait for it."""

    @pytest.fixture
    def settings(self):
        return {"max_concurrent_answers": 1, "max_waiting": 1}

    @pytest.fixture(autouse=True)
    def all_is_large(self, monkeypatch):
        monkeypatch.setattr("service.web.answers.LARGE", 0)

    @pytest.mark.parametrize("path", ["", "/report", "/report?format=text", "/layers/dense"])
    def test_beyond_the_places_it_is_refused(self, send, client, parts, path):
        """503, the limit's name and Retry-After; a new analysis is accepted all the same; then the place is free."""
        made = send(b"model").get_json()
        assert made["report"] is not None
        with parts.slots.waiting("a"):
            done = parts.slots.answering("a")
            refused = client.get(f"/v1/analyses/{made['id']}{path}")
            assert (refused.status_code, refused.get_json()["limit"]) == (503, "max_concurrent_answers")
            assert int(refused.headers["Retry-After"]) > 0
            again = send(b"model")
            assert (again.status_code, again.get_json()["state"]) == (202, "succeeded")
            assert again.get_json()["report"] is None
            done()
        for _ in range(3):
            assert client.get(f"/v1/analyses/{made['id']}{path}").status_code == 200
            assert client.head(f"/v1/analyses/{made['id']}{path}").status_code == 200
            assert client.get(f"/v1/analyses/{made['id']}/layers/none").status_code == 404


class TestShares:
    """One caller cannot hold all places."""

    @pytest.fixture
    def settings(self):
        places = {"max_concurrent_uploads": 4, "max_waiting": 4, "max_concurrent_answers": 4}
        return {**places, "share_per_caller": 0.5}

    def test_the_rest_of_each_is_left_to_the_others(self, parts):
        """Uploads, waits and large answers."""
        with ExitStack() as stack:
            waits = [stack.enter_context(parts.slots.waiting("a")) for _ in range(3)]
            assert waits == [True, True, False]
            for _ in range(2):
                stack.enter_context(parts.slots.uploading("a"))
                parts.slots.answering("a")
            with pytest.raises(Overloaded):
                stack.enter_context(parts.slots.uploading("a"))
            with pytest.raises(Overloaded):
                parts.slots.answering("a")
            assert stack.enter_context(parts.slots.waiting("b"))
            stack.enter_context(parts.slots.uploading("b"))
            parts.slots.answering("b")


class TestNobodyMayWait:
    """When all waiting places are taken nobody is kept, and nobody is refused."""

    @pytest.fixture
    def settings(self):
        return {"max_waiting": 1}

    def test_it_is_accepted_without_waiting(self, send, parts):
        """202 instead of a thread held."""
        with parts.slots.waiting("a") as granted:
            assert granted
            assert send(b"hang").status_code == 202


def test_a_spec_body_has_its_own_limit(client, parts, nothing_left):
    """A JSON body beyond the limit of specs is refused by its announced length."""
    body = b" " * (parts.settings.limits.spec_bytes + 1)
    assert client.post("/v1/analyses", data=body, content_type="application/json").status_code == 413
    nothing_left()
