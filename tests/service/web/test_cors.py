"""Pages of other sites read what they are allowed to, and nothing else (the Fetch standard's CORS protocol)."""

from __future__ import annotations

import pytest

from service.access import keys
from service.config import Access

HERE = "/v1/analyses"
PAGE = {"Origin": "https://app.example"}
ASKING = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization, content-type"}


@pytest.fixture
def allowed():
    """The setting of one test."""
    return "https://app.example,http://localhost:3000"


@pytest.fixture
def settings(allowed):
    return {"access": Access(auth="required", cors_origins=allowed)}


@pytest.fixture
def key(parts):
    return {"Authorization": f"Bearer {keys.add(parts.database, 'ann', 'submitter')[1]}"}


def cors(response):
    """The names of the protocol's fields in an answer."""
    return {name for name, _ in response.headers if name.startswith("Access-Control")}


def test_a_preflight_is_answered_before_anybody_is_asked_who_they_are(client):
    """A browser sends it without a key: what may be sent, for how long that holds, and to whom."""
    response = client.options(HERE, headers=PAGE | ASKING)
    assert response.status_code == 204
    assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert set(response.headers["Access-Control-Allow-Methods"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "x-api-key", "content-type", "idempotency-key"} <= set(allowed)
    assert response.headers["Access-Control-Max-Age"] == "600"
    assert "Origin" in response.headers["Vary"]


def test_an_answer_says_that_the_page_may_read_it(client, key):
    """With the fields that it needs; a refusal too, or the page could not tell what is wrong."""
    for headers, status in ((key, 200), ({}, 401)):
        response = client.get(HERE, headers=PAGE | headers)
        assert response.status_code == status
        assert response.headers["Access-Control-Allow-Origin"] == "https://app.example"
        exposed = response.headers["Access-Control-Expose-Headers"]
        assert all(name in exposed for name in ("Location", "Retry-After", "ETag", "WWW-Authenticate"))
        assert "Origin" in response.headers["Vary"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.evil.example", ""])
def test_no_other_page_may(client, key, origin):
    """Neither the answer nor a preflight says so; the answer itself is the same for all."""
    assert not cors(client.get(HERE, headers=key | {"Origin": origin}))
    response = client.options(HERE, headers=ASKING | {"Origin": origin})
    assert not cors(response)
    assert response.status_code == 200
    assert "Origin" in response.headers["Vary"]


def test_no_answer_ever_allows_credentials(client, key):
    """Keys are not sent by themselves, so nothing needs to be allowed."""
    for response in (client.get(HERE, headers=PAGE | key), client.options(HERE, headers=PAGE | ASKING)):
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_preflight_for_what_there_is_not_is_a_404(client):
    """As any other request for it; with a field that lets the page see that."""
    response = client.options("/v1/nothing", headers=PAGE | ASKING)
    assert response.status_code == 404


class TestEverybody:
    """`*`, where keys are needed."""

    @pytest.fixture
    def allowed(self):
        return "*"

    def test_any_page_may_read_with_a_key(self, client, key):
        """The field says so to all, never with credentials."""
        response = client.get(HERE, headers=key | {"Origin": "https://any.example"})
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in response.headers


class TestNobody:
    """By default."""

    @pytest.fixture
    def allowed(self):
        return ""

    def test_nothing_is_said(self, client, key):
        """Nor that answers differ by origin: they do not."""
        response = client.get(HERE, headers=key | PAGE)
        assert not cors(response)
        assert "Origin" not in response.headers["Vary"]
