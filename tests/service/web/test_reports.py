"""The report in its representations, chosen by Accept or by name, in a language, for a batch, with some rules."""

from __future__ import annotations

import gzip

import pytest

JSON, TEXT, CSV, MARKDOWN, HTML = "application/json", "text/plain", "text/csv", "text/markdown", "text/html"
SVG, DOT, MERMAID = "image/svg+xml", "text/vnd.graphviz", "text/vnd.mermaid"
ALL = [JSON, TEXT, CSV, MARKDOWN, HTML, SVG, DOT, MERMAID]


@pytest.fixture
def here(send):
    return send(b"model").headers["Location"] + "/report"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON), ("*/*", JSON), ("application/*", JSON), (TEXT, TEXT), (CSV, CSV), (MARKDOWN, MARKDOWN),
        ("text/csv;q=0.5, text/plain;q=0.9", TEXT), ("application/json;q=0.1, text/markdown", MARKDOWN),
        ("text/html, */*;q=0.1", HTML), ("image/png, */*;q=0.1", JSON), ("", JSON), (SVG, SVG), (MERMAID, MERMAID),
    ],
)  # fmt: skip
def test_accept_chooses_with_its_weights(client, here, accept, chosen):
    """JSON unless something else is preferred; the answer varies by Accept."""
    response = client.get(here, headers={} if accept is None else {"Accept": accept})
    assert (response.status_code, response.mimetype) == (200, chosen)
    assert "Accept" in response.headers["Vary"]


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("json", JSON), ("text", TEXT), ("csv", CSV), ("markdown", MARKDOWN), ("html", HTML), ("svg", SVG),
        ("dot", DOT), ("mermaid", MERMAID),
    ],
)  # fmt: skip
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
    assert response.get_json()["available"] == ALL


def test_a_report_is_compressed_only_for_who_takes_it(client, here):
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


def test_a_report_that_is_not_the_one_expected_is_refused(client, here):
    """412 as a problem, and nothing of the report; the one that it is, is given."""
    refused = client.get(here, headers={"If-Match": '"other"'})
    assert (refused.status_code, refused.content_type) == (412, "application/problem+json")
    assert refused.get_json()["code"] == "precondition_failed"
    tag = client.get(here).headers["ETag"]
    assert [client.get(here, headers={"If-Match": named}).status_code for named in (tag, "*")] == [200, 200]


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


def test_what_a_browser_shows_may_run_nothing(client, here):
    """A strict policy on pages and pictures, and no guessing of types."""
    for name in ("html", "svg"):
        headers = client.get(f"{here}?format={name}").headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
        assert "script-src" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_costs_rules_and_levels_are_part_of_the_tag(client, here):
    """Each way of asking is another answer."""
    queries = ["", "?batch=2", "?batch=2&input_shape=3", "?rules=none", "?format=svg", "?format=svg&level=layer"]
    tags = {client.get(here + query).headers["ETag"] for query in queries}
    assert len(tags) == len(queries)
    assert client.get(f"{here}?batch=2&input_shape=3").get_json()["cost"]["batch"] == 2


def test_a_level_that_there_is_not_is_refused(client, here):
    """400."""
    response = client.get(f"{here}?format=svg&level=node")
    assert (response.status_code, response.get_json()["pointer"]) == (400, "level")


def test_the_analysis_shows_its_report_as_it_is_asked_for(client, send):
    """When it is sent, and later."""
    created = send(b"model", path="/v1/analyses?wait=10&batch=3&rules=none")
    shown = client.get(f"{created.headers['Location']}?batch=3&rules=none")
    assert created.get_json()["report"]["cost"]["batch"] == 3
    assert shown.get_json()["report"] == created.get_json()["report"]


def test_a_large_analysis_is_compressed_for_who_takes_it(client, here, send):
    """As the report is."""
    response = client.get(here.removesuffix("/report"), headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.data).startswith(b'{"id":')
    assert "Content-Encoding" not in client.get("/v1/kinds/nothing", headers={"Accept-Encoding": "gzip"}).headers
