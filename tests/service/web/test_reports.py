"""The report in four representations, chosen by Accept or by name."""

from __future__ import annotations

import gzip

import pytest

JSON, TEXT, CSV, MARKDOWN = "application/json", "text/plain", "text/csv", "text/markdown"


@pytest.fixture
def here(send):
    return send(b"model").headers["Location"] + "/report"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON), ("*/*", JSON), ("application/*", JSON), (TEXT, TEXT), (CSV, CSV), (MARKDOWN, MARKDOWN),
        ("text/csv;q=0.5, text/plain;q=0.9", TEXT), ("application/json;q=0.1, text/markdown", MARKDOWN),
        ("text/html, */*;q=0.1", JSON), ("", JSON),
    ],
)  # fmt: skip
def test_accept_chooses_with_its_weights(client, here, accept, chosen):
    """JSON unless something else is preferred; the answer varies by Accept."""
    response = client.get(here, headers={} if accept is None else {"Accept": accept})
    assert (response.status_code, response.mimetype) == (200, chosen)
    assert "Accept" in response.headers["Vary"]


@pytest.mark.parametrize(("name", "chosen"), [("json", JSON), ("text", TEXT), ("csv", CSV), ("markdown", MARKDOWN)])
def test_a_named_format_wins_over_accept(client, here, name, chosen):
    """As a link in a browser needs it."""
    assert client.get(f"{here}?format={name}", headers={"Accept": "image/png"}).mimetype == chosen


@pytest.mark.parametrize(
    ("query", "accept"), [("?format=pdf", "*/*"), ("", "image/png"), ("", "application/json;q=0"), ("?format=", "*/*")]
)
def test_what_cannot_be_made_is_not_acceptable(client, here, query, accept):
    """406, with what there is."""
    response = client.get(here + query, headers={"Accept": accept})
    assert (response.status_code, response.content_type) == (406, "application/problem+json")
    assert response.get_json()["available"] == [JSON, TEXT, CSV, MARKDOWN]


def test_the_stored_bytes_are_handed_out_compressed_only_to_who_takes_it(client, here):
    """The same content either way; different entity tags."""
    plain = client.get(here)
    packed = client.get(here, headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"]


@pytest.mark.parametrize("query", ["", "?format=text", "?format=csv"])
def test_a_report_that_the_client_has_is_not_sent_again(client, here, query):
    """304 without a body for the same tag, 200 for another."""
    tag = client.get(here + query).headers["ETag"]
    again = client.get(here + query, headers={"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    assert client.get(here + query, headers={"If-None-Match": '"other"'}).status_code == 200


def test_there_is_no_report_before_the_end_or_after_a_failure(client, send):
    """409, with the state or the reason."""
    running = client.get(send(b"hang", path="/v1/analyses?wait=0").headers["Location"] + "/report")
    failed = client.get(send(b"bad").headers["Location"] + "/report")
    for response in (running, failed):
        assert (response.status_code, response.get_json()["code"]) == (409, "not_finished")
    assert failed.get_json()["reason"] == "malformed_file"


def test_head_has_the_length_and_no_body(client, here):
    """As for GET."""
    response = client.head(here)
    assert (response.status_code, response.data) == (200, b"")
    assert int(response.headers["Content-Length"]) == len(client.get(here).data)
