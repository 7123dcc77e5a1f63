"""Keys are fetched from where the operator says, within bounds."""

from __future__ import annotations

import http.server
import time

import pytest

from service.access import fetching
from service.access.fetching import Unfetched, is_remote, loader
from tests.service.access.conftest import serving


class _Server(http.server.BaseHTTPRequestHandler):
    """Answers by the path that is asked for."""

    def do_GET(self):
        if self.path == "/large":
            self._say(200, b"x" * (fetching.MAX_BYTES + 1))
        elif self.path == "/moved":
            self._say(302, b"", Location="/keys")
        elif self.path == "/slow":
            self._say(200, b"", drip=True)
        elif self.path == "/nonsense":
            self.wfile.write(b"what?\r\n\r\n")
        else:
            self._say(200, f"{self.path} {self.headers.get('Authorization')}".encode())

    def _say(self, status, body, drip=False, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "1000" if drip else str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        for _ in range(20 if drip else 0):
            self.wfile.write(b".")
            time.sleep(0.02)

    def log_message(self, *_):
        """Nothing."""


@pytest.fixture(scope="module")
def address():
    """A server on loopback."""
    with serving(_Server) as where:
        yield where


def problem(where):
    """What is said of what cannot be had."""
    with pytest.raises(Unfetched) as caught:
        loader(where)()
    return str(caught.value)


def test_what_is_asked_for_is_what_is_set(address):
    """With its query, and without any credential."""
    assert loader(f"{address}/keys?tenant=1")() == b"/keys?tenant=1 None"


def test_a_file_is_read_anew_each_time(tmp_path):
    """It may be replaced."""
    path = tmp_path / "keys"
    load = loader(str(path))
    assert "cannot be read: No such file" in problem(str(path))
    for content in (b"1", b"2"):
        path.write_bytes(content)
        assert load() == content
    assert not is_remote(str(path))


def test_size_is_bounded(address, tmp_path):
    """Of a file and of an answer."""
    (tmp_path / "large").write_bytes(b"x" * (fetching.MAX_BYTES + 1))
    assert "larger than" in problem(str(tmp_path / "large"))
    assert "larger than" in problem(f"{address}/large")


def test_time_is_bounded(address, monkeypatch):
    """Also for an answer that never pauses for long, and for one that never comes."""
    monkeypatch.setattr(fetching, "SECONDS", 0.1)
    assert "took longer" in problem(f"{address}/slow")


def test_nothing_is_followed(address):
    """A redirection could lead anywhere."""
    assert "answered 302" in problem(f"{address}/moved")


def test_what_cannot_be_had_is_said(address):
    """No connection, and no HTTP."""
    assert "cannot be had" in problem("http://127.0.0.1:1/keys")
    assert "cannot be had" in problem(f"{address}/nonsense")


@pytest.mark.parametrize("where", ["http://issuer.example/keys", "https://", "http://"])
def test_only_https_is_taken_from_elsewhere(where):
    """Whoever can change an answer on its way could add a key of their own."""
    with pytest.raises(ValueError, match="only https, or a file"):
        loader(where)
    assert is_remote("https://issuer.example/keys")
    loader("https://issuer.example/keys")
