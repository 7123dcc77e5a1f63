"""Who is let in with which key, what each role may, and that no request gets round it."""

from __future__ import annotations

import pytest

from service.access import keys
from service.web.app import create_app
from service.web.permissions import OPEN, TABLE
from tests.service.web.guard.asking import HERE, addresses, compared, raw


def test_nothing_is_told_without_a_key(client, parts):
    """401 with a challenge, for every route and method but the open ones; for what there is not, too."""
    asked = [(method, path) for method, path, endpoint in addresses(parts) if TABLE[endpoint] is not OPEN]
    assert len(asked) > 15
    for method, path in [*asked, ("GET", "/v1/nothing"), ("PUT", HERE), ("BREW", "/")]:
        response = client.open(path.replace("{id}", "01a1fe4e-0024-7aff-ab23-a6011f840764"), method=method)
        assert response.status_code == 401, (method, path)
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="weighbridge"'
        assert method == "HEAD" or response.get_json()["reason"] == "missing"


def test_what_is_open_tells_nothing_of_worth(client):
    """No version, no workers, no settings."""
    assert client.get("/healthz").get_json() == {"status": "ok"}
    assert client.get("/readyz").get_json() == {"status": "ready"}
    assert client.get("/openapi.json").status_code == client.get("/docs").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": ""},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"X-API-Key": "wb_\u00e4"},
        {"X-API-Key": "wb_" + "a" * 5000},
        {"X-API-Key": "wb_0123456789ab_" + "a" * 52},
        {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
    ],
)
def test_a_key_that_is_none_is_refused_and_told_so(client, headers):
    """401, with the reason for a program, a challenge that says the token is invalid, and nothing of what was sent."""
    response = client.get(HERE, headers=headers)
    assert (response.status_code, response.content_type) == (401, "application/problem+json")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert response.get_json()["reason"] in ("malformed", "unknown")
    assert not any(value in response.text for value in headers.values() if len(value) > 10)


def test_a_key_is_taken_from_either_field_and_never_from_the_address(client, key):
    """Nor from a form, a cookie or a user's name in the address."""
    text = key()["X-API-Key"]
    assert client.get(HERE, headers={"Authorization": f"Bearer {text}"}).status_code == 200
    assert client.get(HERE, headers={"X-API-Key": text}).status_code == 200
    for query in ("api_key", "key", "access_token", "X-API-Key", "token"):
        assert client.get(f"{HERE}?{query}={text}").status_code == 401
    client.set_cookie("X-API-Key", text)
    assert client.get(HERE).status_code == 401


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("reader", {"GET"}), ("submitter", {"GET", "POST", "DELETE"}), ("admin", {"GET", "POST", "DELETE", "METRICS"})],
)
def test_each_role_may_what_it_may(client, key, ann, role, allowed):
    """A reader reads, a submitter sends and deletes as well, an administrator sees the numbers, too."""
    headers = key("ann", role)
    made = raw(client, ann).get_json()["id"]
    assert client.get(f"{HERE}/{made}", headers=headers).status_code == 200
    seen = {
        "POST": [raw(client, headers).status_code, compared(client, headers, made, made).status_code],
        "METRICS": [client.get("/metrics", headers=headers).status_code],
        "DELETE": [client.delete(f"{HERE}/{made}", headers=headers).status_code],
    }
    for action, statuses in seen.items():
        assert all(status == 403 for status in statuses) is (action not in allowed), (action, statuses)


def test_a_refusal_by_role_says_which_is_needed(client, key):
    """403, whether there is such an analysis or not."""
    response = client.delete(f"{HERE}/01a1fe4e-0024-7aff-ab23-a6011f840764", headers=key("ann", "reader"))
    assert response.status_code == 403
    assert response.get_json()["detail"] == "This needs the role submitter; this key or token has reader."


def test_a_revoked_key_is_refused_from_the_next_request_on(client, parts, ann):
    """Without a pause."""
    assert client.get(HERE, headers=ann).status_code == 200
    keys.revoke(parts.database, ann["X-API-Key"].split("_")[1])
    response = client.get(HERE, headers=ann)
    assert (response.status_code, response.get_json()["reason"]) == (401, "revoked")


def test_only_administrators_see_how_the_service_fares(client, key, ann):
    """At /readyz, which is open but for that."""
    assert client.get("/readyz", headers=ann).get_json() == {"status": "ready"}
    told = client.get("/readyz", headers=key("root", "admin")).get_json()
    assert told["access"] == {"required": True, "tokens": None}
    assert told["workers"]["static"]["warm"]
    assert client.get("/readyz", headers={"X-API-Key": "wb_x"}).status_code == 401


def test_a_route_that_nobody_listed_is_refused_to_everybody(parts, key):
    """Also to administrators."""
    app = create_app(parts)
    app.add_url_rule("/new", "new", lambda: "open")
    response = app.test_client().get("/new", headers=key("root", "admin"))
    assert (response.status_code, response.get_json()["code"]) == (403, "forbidden")


def test_a_hidden_method_is_not_looked_at(client, ann):
    """A POST stays a POST, whatever a header, the query or a form calls it."""
    made = raw(client, ann).get_json()["id"]
    for headers in ({"X-HTTP-Method-Override": "DELETE"}, {"X-HTTP-Method": "DELETE"}, {"X-Method-Override": "DELETE"}):
        assert client.get(f"{HERE}/{made}", headers=ann | headers).status_code == 200
        assert client.post(f"{HERE}/{made}?_method=DELETE", headers=ann | headers).status_code == 405
    assert client.get(f"{HERE}/{made}", headers=ann).status_code == 200


def test_a_host_is_never_part_of_an_answer(client, ann):
    """Neither of a link nor of a redirection, of which there is none; where keys are needed any host will do."""
    for path, status in ((HERE, 200), (f"{HERE}/", 200), ("/v1//analyses", 404), ("/docs/", 200)):
        response = client.get(path, headers=ann | {"Host": "evil.example"})
        assert response.status_code == status
        assert "evil" not in response.text + str(response.headers)


def test_every_answer_forbids_what_is_not_needed(client, ann):
    """Errors and pages included: nothing guessed, framed, embedded or kept by a cache."""
    made = raw(client, ann).get_json()["id"]
    for path in (HERE, f"{HERE}/{made}/report", "/nothing", "/healthz", "/openapi.json", "/docs", f"{HERE}/{made}"):
        headers = client.get(path, headers=ann).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Resource-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cache-Control"] in ("no-store", "private, no-cache")
        assert "Strict-Transport-Security" not in headers
    secure = client.get("/healthz", base_url="https://models.example").headers
    assert secure["Strict-Transport-Security"].startswith("max-age=")
