"""Who may do what as it is set: tokens whose keys cannot be had, quotas, no keys at all, a port for monitoring."""

from __future__ import annotations

import pytest

from service.config import Access
from tests.issuer import Issuer
from tests.service.web.guard.asking import HERE, raw


@pytest.fixture(scope="module")
def issuer():
    """Who signs tokens."""
    return Issuer()


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
