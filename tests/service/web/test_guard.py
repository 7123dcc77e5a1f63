"""Who may do what, over Flask's test client: two accounts, each role, and nothing of the one for the other."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import update

from service.access import keys
from service.config import Access
from service.jobs.tables import uploads
from service.web.app import create_app
from service.web.permissions import OPEN, TABLE
from tests.fakes import wait_for
from tests.issuer import Issuer

HERE, COMPARISONS = "/v1/analyses", "/v1/comparisons"


@pytest.fixture
def access():
    """Of one test: override by parametrizing."""
    return {"auth": "required"}


@pytest.fixture
def settings(access, tmp_path):
    return {"access": Access(bound="127.0.0.1", **{"audit_log": str(tmp_path / "audit.log"), **access})}


@pytest.fixture(scope="module")
def issuer():
    """Who signs tokens."""
    return Issuer()


@pytest.fixture
def key(parts):
    """`key("ann", "reader")` is a header with a new key."""

    def make(account="ann", role="submitter", **more):
        return {"X-API-Key": keys.add(parts.database, account, role, **more)[1]}

    return make


@pytest.fixture
def ann(key):
    return key("ann")


@pytest.fixture
def bob(key):
    return key("bob")


@pytest.fixture
def audit(tmp_path):
    """`audit()` are the lines of the audit log."""
    return lambda: [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]


def raw(client, headers, content=b"model", path=f"{HERE}?wait=10"):
    return client.post(path, data=content, content_type="application/octet-stream", headers=headers)


def compared(client, headers, left, right):
    body = {"left": left, "right": right}
    return client.post(f"{COMPARISONS}?wait=10", json=body, headers=headers)


def addresses(parts):
    """Every route with its methods, ids filled in with `{id}`."""
    for rule in create_app(parts).url_map.iter_rules():
        address = rule.rule.replace("<id:identifier>", "{id}").replace("<anything:path>", "dense")
        for method in sorted(rule.methods - {"OPTIONS"}):
            yield method, address.replace("<name>", "batch_norm").split("<")[0], rule.endpoint


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


def test_another_s_analysis_is_not_there(client, parts, ann, bob):
    """404 on every route with an id, word for word as for one that never was; and it is as it was."""
    theirs = raw(client, ann).get_json()["id"]
    mine = raw(client, bob, b"model 2").get_json()["id"]
    comparison = compared(client, ann, theirs, theirs).get_json()["id"]
    none = "01a1fe4e-0024-7aff-ab23-a6011f840764"
    with_id = [(method, path) for method, path, _ in addresses(parts) if "{id}" in path]
    assert len(with_id) > 8
    for method, path in with_id:
        for query in ("", "?stats=true") if method == "GET" and "comparisons" not in path else ("",):
            other = theirs if HERE in path else comparison
            found, absent = (
                client.open(path.replace("{id}", which) + query, method=method, headers=bob) for which in (other, none)
            )
            assert found.status_code == absent.status_code == 404, (method, path)
            assert _without_ids(found, other) == _without_ids(absent, none)
    for left, right, side in ((theirs, mine, "left"), (mine, theirs, "right")):
        refused = compared(client, bob, left, right)
        assert (refused.status_code, refused.get_json()["pointer"]) == (404, side)
    assert client.get(f"{HERE}/{theirs}", headers=ann).get_json()["state"] == "succeeded"
    assert client.get(f"{COMPARISONS}/{comparison}", headers=ann).get_json()["state"] == "succeeded"


def _without_ids(response, identifier):
    told = json.loads(response.text or "{}")
    told.pop("request_id", None)
    return json.dumps(told).replace(identifier, "{id}")


@pytest.mark.parametrize("query", ["", "?name=same.pt", "?state=succeeded", "?format=fake", "?limit=200"])
def test_a_list_holds_nothing_of_another(client, ann, bob, query):
    """Whatever it is asked for."""
    for headers in (ann, ann, bob):
        raw(client, headers, path=f"{HERE}?wait=10&filename=same.pt")
    assert [len(client.get(HERE + query, headers=headers).get_json()["items"]) for headers in (ann, bob)] == [2, 1]


def test_a_list_by_hash_or_from_a_cursor_of_another_holds_nothing_of_them(client, ann, bob):
    """A hash is no way to ask whether somebody has sent a file."""
    theirs = raw(client, ann).get_json()
    raw(client, bob, b"model 2")
    assert client.get(f"{HERE}?sha256={theirs['sha256']}", headers=bob).get_json()["items"] == []
    assert client.get(f"{HERE}?cursor={theirs['id']}", headers=bob).get_json()["items"] == []


def test_the_same_file_from_two_accounts_is_read_twice(client, sandbox, ann, bob, key):
    """Neither `cached` nor speed tells one that another has sent it; two keys of one account share."""
    first, second = raw(client, ann).get_json(), raw(client, bob).get_json()
    assert [first["cached"], second["cached"]] == [False, False]
    assert len(sandbox.runs) == 2
    assert raw(client, key("ann")).get_json()["cached"]
    assert len(sandbox.runs) == 2


def test_a_file_that_two_accounts_sent_stays_while_one_needs_it(client, parts, ann, bob):
    """Deleting mine does not take theirs away."""
    mine, theirs = (raw(client, headers).get_json()["id"] for headers in (ann, bob))
    assert len(list(parts.blobs.stored())) == 1
    assert client.delete(f"{HERE}/{mine}", headers=ann).status_code == 204
    assert client.get(f"{HERE}/{theirs}?stats=true&wait=10", headers=bob).get_json()["report"]
    assert client.delete(f"{HERE}/{theirs}", headers=bob).status_code == 204


def test_a_file_that_another_keeps_is_gone_for_me_when_my_time_is_up(client, parts, ann, bob):
    """Else it would tell that somebody else has sent the same; for the other it is there."""
    mine, theirs = (raw(client, headers).get_json()["id"] for headers in (ann, bob))
    with parts.database.writing() as connection:
        old = update(uploads).where(uploads.c.account == "ann").values(used_at=uploads.c.used_at - 7200.0)
        connection.execute(old)
    parts.storage.sweep()
    assert len(list(parts.blobs.stored())) == 1
    gone = client.get(f"{HERE}/{mine}?stats=true&wait=10", headers=ann)
    assert (gone.status_code, gone.get_json()["code"]) == (409, "upload_gone")
    assert client.get(f"{HERE}/{theirs}?stats=true&wait=10", headers=bob).status_code == 200
    raw(client, ann)
    assert client.get(f"{HERE}/{mine}?stats=true&wait=10", headers=ann).status_code == 200


def test_a_file_that_nobody_keeps_any_longer_goes(client, parts, ann, bob):
    """Once the last account's time is up."""
    for headers in (ann, bob):
        raw(client, headers)
    with parts.database.writing() as connection:
        connection.execute(update(uploads).values(used_at=uploads.c.used_at - 7200.0))
    assert parts.storage.sweep().uploads == 1
    assert not list(parts.blobs.stored())


def test_statistics_and_comparisons_belong_to_who_has_the_analysis(client, ann, bob):
    """Also those made later, and whose answer is stored already."""
    ids = [raw(client, headers).get_json()["id"] for headers in (ann, bob)]
    made = [compared(client, headers, mine, mine).get_json() for headers, mine in zip((ann, bob), ids, strict=True)]
    assert [each["cached"] for each in made] == [False, False]
    assert [each["account"] for each in made] == ["ann", "bob"]
    for headers, mine in zip((ann, bob), ids, strict=True):
        found = client.get(f"{HERE}/{mine}?stats=true&wait=10", headers=headers).get_json()
        assert (found["account"], found["state"], found["cached"]) == (
            client.get(f"{HERE}/{mine}", headers=headers).get_json()["account"], "succeeded", False,
        )  # fmt: skip


def test_an_administrator_sees_and_deletes_everybody_s(client, key, ann, bob):
    """With whose it is; and may compare across."""
    first, second = raw(client, ann).get_json()["id"], raw(client, bob, b"model 2").get_json()["id"]
    admin = key("root", "admin")
    assert [item["account"] for item in client.get(HERE, headers=admin).get_json()["items"]] == ["bob", "ann"]
    assert compared(client, admin, first, second).status_code == 201
    assert client.delete(f"{HERE}/{first}", headers=admin).status_code == 204
    assert client.get(f"{HERE}/{first}", headers=ann).status_code == 404


def test_what_was_made_without_keys_is_for_administrators_only(client, parts, key, ann):
    """Where keys are asked for later on."""
    parts.gate.required = False
    old = raw(client, {}).get_json()
    assert old["account"] is None
    parts.gate.required = True
    assert client.get(f"{HERE}/{old['id']}", headers=ann).status_code == 404
    assert client.get(f"{HERE}/{old['id']}", headers=key("root", "admin")).status_code == 200


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


class TestTokensWithoutTheirKeys:
    """The issuer's public keys cannot be had."""

    @pytest.fixture
    def access(self):
        tokens = {"issuer": "https://issuer.example/", "audience": "weighbridge", "jwks": "/nowhere/jwks.json"}
        return {"auth": "required", **{f"token_{name}": value for name, value in tokens.items()}}

    def test_readiness_says_what_is_wrong(self, client, key):
        """To an administrator, whose key still works."""
        told = client.get("/readyz", headers=key("root", "admin")).get_json()["access"]["tokens"]
        assert told == {"keys": 0, "problem": "/nowhere/jwks.json cannot be read: No such file or directory."}

    def test_a_token_is_neither_valid_nor_invalid(self, client, issuer):
        """503: it is no fault of its holder."""
        response = client.get(HERE, headers={"Authorization": f"Bearer {issuer.token()}"})
        assert (response.status_code, response.get_json()["code"]) == (503, "tokens_unavailable")
        assert response.headers["Retry-After"]


class TestQuotas:
    """Of one key."""

    @pytest.fixture
    def access(self):
        return {"auth": "required", "quota_requests_per_minute": 4, "quota_submissions_per_minute": 2,
                "quota_bytes_per_hour": 100}  # fmt: skip

    def test_requests_are_counted_and_told(self, client, ann, bob):
        """In each answer; then 429 with when to come again. Another key has its own."""
        told = [client.get(HERE, headers=ann).headers for _ in range(4)]
        assert [headers["RateLimit-Remaining"] for headers in told] == ["3", "2", "1", "0"]
        assert told[0]["RateLimit-Policy"] == "4;w=60"
        refused = client.get(HERE, headers=ann)
        problem = refused.get_json()
        assert (refused.status_code, problem["code"], problem["limit"]) == (
            429, "quota_exceeded", "quota_requests_per_minute",
        )  # fmt: skip
        assert 0 < int(refused.headers["Retry-After"]) <= 61
        assert refused.headers["RateLimit-Remaining"] == "0"
        assert client.get(HERE, headers=bob).status_code == 200

    def test_who_is_not_let_in_uses_up_nothing(self, client, ann):
        """A stranger cannot spend another's quota."""
        for _ in range(6):
            client.get(HERE, headers={"X-API-Key": ann["X-API-Key"][:-1] + "0"})
        assert client.get(HERE, headers=ann).headers["RateLimit-Remaining"] == "3"

    def test_submissions_are_counted_beside_requests(self, client, ann):
        """Uploads and comparisons; reading goes on."""
        made = [raw(client, ann).status_code for _ in range(3)]
        assert made == [201, 201, 429]
        assert client.get(HERE, headers=ann).status_code == 200

    def test_bytes_are_refused_before_they_are_sent(self, client, ann, nothing_left):
        """By what is announced; and nothing is kept."""
        response = raw(client, ann, b"model " + b"x" * 95)
        assert (response.status_code, response.get_json()["limit"]) == (429, "quota_bytes_per_hour")
        nothing_left()
        assert raw(client, ann, b"model " + b"x" * 94).status_code == 201

    def test_bytes_of_unannounced_length_are_refused_at_the_end(self, client, ann, nothing_left):
        """They are counted as they come."""
        response = client.post(
            f"{HERE}?wait=10", data=b"model " + b"x" * 200, headers=ann | {"Transfer-Encoding": "chunked"},
            content_type="application/octet-stream",
            environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
        )  # fmt: skip
        assert (response.status_code, response.get_json()["code"]) == (429, "quota_exceeded")
        nothing_left()

    def test_a_key_may_have_quotas_of_its_own(self, client, key):
        """Larger or none."""
        ann = key(quotas={"requests_per_minute": 0})
        assert {client.get(HERE, headers=ann).status_code for _ in range(6)} == {200}


class TestWithoutKeys:
    """As it is on loopback by default."""

    @pytest.fixture
    def access(self):
        return {"auth": "auto", "cors_origins": "https://app.example", "hosts": "models.example"}

    def test_everybody_may_everything(self, client):
        """Whatever they send to be let in."""
        made = raw(client, {"Authorization": "Bearer nonsense"}).get_json()
        assert made["account"] is None
        assert client.get("/metrics").status_code == 200
        assert client.get("/readyz").get_json()["access"] == {"required": False, "tokens": None}
        assert "RateLimit-Limit" not in client.get(HERE).headers
        assert client.delete(f"{HERE}/{made['id']}").status_code == 204

    @pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "[::1]:8000", "models.example", "box"])
    def test_it_may_be_asked_under_its_own_names(self, client, host):
        """Addresses, plain names, those that are set."""
        assert client.get(HERE, headers={"Host": host}).status_code == 200

    def test_a_page_whose_name_leads_here_reads_nothing(self, client):
        """DNS rebinding; health is open to all."""
        response = client.get(HERE, headers={"Host": "evil.example"})
        assert (response.status_code, response.get_json()["code"]) == (421, "misdirected_request")
        assert "evil" not in response.text
        assert client.get("/healthz", headers={"Host": "evil.example"}).status_code == 200

    @pytest.mark.parametrize(
        ("origin", "status"),
        [("https://evil.example", 403), ("null", 403), ("https://app.example", 201), ("http://localhost", 201)],
    )
    def test_a_page_of_another_site_changes_nothing(self, client, origin, status):
        """A browser sends a form anywhere; it says where from."""
        headers = {"Origin": origin, "Host": "localhost"}
        response = client.post(
            f"{HERE}?wait=10", data=b"model", content_type="text/plain", headers=headers
        )  # fmt: skip
        assert response.status_code == status
        assert client.get(HERE, headers=headers).status_code == 200


class TestOpenOnPurpose:
    """WEIGHBRIDGE_AUTH=off: the operator has said that others may ask."""

    @pytest.fixture
    def access(self):
        return {"auth": "off", "bound": "10.0.0.1"}

    @pytest.fixture
    def settings(self, access):
        return {"access": Access(**access)}

    def test_any_host_will_do(self, client):
        """A name that a proxy in front has."""
        assert client.get(HERE, headers={"Host": "models.example"}).status_code == 200


class TestAPortForMonitoring:
    """WEIGHBRIDGE_ADMIN_BIND."""

    @pytest.fixture
    def access(self):
        return {"auth": "required", "admin_bind": "127.0.0.1:1"}

    class Connection:
        """What gunicorn hands over, as far as it is looked at."""

        def __init__(self, port):
            self._port = port

        def getsockname(self):
            return ("127.0.0.1", self._port)

        def settimeout(self, _):
            """Nothing."""

    def ask(self, client, port, path, **more):
        return client.get(path, environ_overrides={"gunicorn.socket": self.Connection(port)}, **more)

    def test_it_serves_monitoring_without_a_key_and_nothing_else(self, client):
        """With all that is known."""
        assert self.ask(client, 1, "/metrics").status_code == 200
        assert self.ask(client, 1, "/readyz").get_json()["workers"]
        assert self.ask(client, 1, "/healthz").status_code == 200
        for path in (HERE, "/v1/formats", "/docs", "/openapi.json", "/nothing"):
            assert self.ask(client, 1, path).status_code == 404

    def test_the_public_port_serves_it_no_more(self, client, key):
        """To nobody; but says that it lives."""
        for headers in ({}, key("root", "admin")):
            for path in ("/metrics", "/readyz"):
                assert self.ask(client, 2, path, headers=headers).status_code == 404
            assert self.ask(client, 2, "/healthz").status_code == 200

    def test_no_header_makes_one_port_the_other(self, client):
        """The connection's own end counts."""
        for headers in ({"Host": "127.0.0.1:1"}, {"X-Forwarded-Port": "1"}, {"X-Forwarded-Host": "127.0.0.1:1"}):
            assert self.ask(client, 2, "/metrics", headers=headers).status_code == 404


def test_every_use_is_in_the_audit_log(client, audit, ann, bob):
    """Who did what to which analysis with which outcome, and under which request."""
    made = raw(client, ann | {"X-Request-Id": "my-id"}).get_json()["id"]
    client.get(f"{HERE}/{made}/report", headers=bob)
    comparison = compared(client, ann, made, made).get_json()["id"]
    client.delete(f"{HERE}/{made}", headers=ann)
    client.get("/v1/formats")
    lines = audit()
    assert [(line["action"], line.get("account"), line["status"], line.get("code")) for line in lines] == [
        ("create_analysis", "ann", 201, None),
        ("read_report", "bob", 404, "not_found"),
        ("create_comparison", "ann", 201, None),
        ("delete_analysis", "ann", 204, None),
        ("health.list_formats", None, 401, "unauthenticated"),
    ]
    assert (lines[0]["analysis"], lines[0]["request_id"], lines[0]["client"]) == (made, "my-id", "127.0.0.1")
    assert lines[0]["caller"] == f"key:{ann['X-API-Key'].split('_')[1]}"
    assert (lines[2]["comparison"], lines[2]["left"], lines[2]["right"]) == (comparison, made, made)


def test_the_audit_log_holds_neither_keys_nor_names_of_files(client, tmp_path, ann):
    """Nor what else a client can put into a request."""
    raw(client, ann, path=f"{HERE}?wait=10&filename=secret-name")
    client.get("/v1/secret-path", headers={"X-API-Key": ann["X-API-Key"] + "x", "User-Agent": "secret-agent"})
    text = (tmp_path / "audit.log").read_text()
    assert text.count("\n") == 2
    assert "secret" not in text
    assert ann["X-API-Key"].rpartition("_")[2] not in text


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


def test_an_entity_tag_does_not_open_what_is_not_mine(client, ann, bob):
    """If-None-Match is looked at after who asks."""
    made = raw(client, ann).get_json()["id"]
    tag = client.get(f"{HERE}/{made}/report", headers=ann).headers["ETag"]
    assert client.get(f"{HERE}/{made}/report", headers=ann | {"If-None-Match": tag}).status_code == 304
    for sent in (tag, "*"):
        assert client.get(f"{HERE}/{made}/report", headers=bob | {"If-None-Match": sent}).status_code == 404
        assert client.get(f"{HERE}/{made}/report", headers={"If-None-Match": sent}).status_code == 401


def test_an_idempotency_key_is_that_of_its_account(client, ann, bob):
    """The same key of another is another."""
    once = {"Idempotency-Key": '"1"'}
    first, second = (raw(client, headers | once).get_json() for headers in (ann, bob))
    assert first["id"] != second["id"]
    assert raw(client, ann | once).get_json()["id"] == first["id"]


def test_another_s_running_job_can_be_neither_seen_nor_stopped(client, sandbox, ann, bob):
    """By its id."""
    running = raw(client, ann, b"hang", path=f"{HERE}?wait=0").get_json()["id"]
    wait_for(lambda: sandbox.runs)
    assert client.delete(f"{HERE}/{running}", headers=bob).status_code == 404
    assert sandbox.cancelled == 0
    sandbox.release.set()
    assert client.get(f"{HERE}/{running}?wait=10", headers=ann).get_json()["state"] == "succeeded"
