"""An issuer tells where its keys are, and nothing else."""

from __future__ import annotations

import http.server
import json

import pytest

from service.access.discovery import WELL_KNOWN, discovered
from service.access.fetching import Unfetched
from tests.service.access.conftest import serving

KEYS = b'{"keys":[]}'


class _Server(http.server.BaseHTTPRequestHandler):
    """Several issuers, each below its own path, and the keys."""

    def do_GET(self):
        here = f"http://127.0.0.1:{self.server.server_port}"
        issuer, _, _ = self.path.partition(WELL_KNOWN)
        told = {
            "/good": {"issuer": f"{here}/good", "jwks_uri": f"{here}/keys", "token_endpoint": "x"},
            "/slash": {"issuer": f"{here}/slash/", "jwks_uri": f"{here}/keys"},
            "/other": {"issuer": f"{here}/good", "jwks_uri": f"{here}/keys"},
            "/file": {"issuer": f"{here}/file", "jwks_uri": "/etc/hostname"},
            "/plain": {"issuer": f"{here}/plain", "jwks_uri": "http://issuer.example/keys"},
            "/less": {"issuer": f"{here}/less"},
        }.get(issuer)
        body = KEYS if self.path == "/keys" else json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture(scope="module")
def address():
    """A server on loopback."""
    with serving(_Server) as where:
        yield where


@pytest.mark.parametrize("path", ["/good", "/slash/"])
def test_the_keys_are_where_the_issuer_says(address, path):
    """Asked anew each time."""
    load = discovered(address + path)
    assert load() == load() == KEYS


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/other", "of another issuer"),
        ("/slash", "of another issuer"),
        ("/less", "is no OpenID provider"),
        ("/none", "is no OpenID provider"),
        ("/file", "tells no address"),
    ],
)
def test_what_is_no_answer_of_the_issuer_is_not_believed(address, path, said):
    """Nor is a file of this machine read because of it."""
    with pytest.raises(Unfetched, match=said):
        discovered(address + path)()


def test_keys_are_fetched_by_https_only(address):
    """What the issuer says is held to the same rule as a setting."""
    with pytest.raises(ValueError, match="only https"):
        discovered(f"{address}/plain")()


@pytest.mark.parametrize("issuer", ["accounts", "/var/keys", "http://issuer.example"])
def test_an_issuer_that_cannot_be_asked_is_refused(issuer):
    """At the start, with what to do."""
    with pytest.raises(ValueError, match="WEIGHBRIDGE_TOKEN_ISSUER"):
        discovered(issuer)
