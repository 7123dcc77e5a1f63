"""Where the service listens, by its open sockets."""

from __future__ import annotations

import os
import socket

import pytest

from service.access import keys
from service.config import Access, Settings, load
from service.jobs.blobs import Blobs
from service.jobs.database import open_database
from service.web import listening


class Listener:
    """As gunicorn's, as far as it is looked at."""

    def __init__(self, *local):
        self._local = local

    def getsockname(self):
        return self._local


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", "127.0.0.1:80"), ("::1", "[::1]:80"), ("[::1]", "[::1]:80"), ("unix:/run/w", "unix:/run/w")],
)
def test_an_address_is_written_as_gunicorn_takes_it(host, expected):
    """IPv6 in brackets, a unix socket without a port."""
    assert listening.address(host, "80") == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "abc"), ("PORT", "-1"), ("PORT", "65536"), ("PORT", ""), ("WEB_CONCURRENCY", "0"),
     ("WEB_CONCURRENCY", "-1"), ("WEB_CONCURRENCY", "two"), ("WEB_CONCURRENCY", "9" * 20)],
)  # fmt: skip
def test_what_gunicorn_reads_itself_is_looked_at_before(name, value):
    """It would end in a traceback, or serve nobody."""
    listening.check_environment({"PORT": "1", "WEB_CONCURRENCY": "4"})
    with pytest.raises(ValueError, match=f"{name}='{value}': it must be a whole number from"):
        listening.check_environment({name: value})


def test_what_is_open_counts_but_for_the_port_for_monitoring():
    """That of others, whatever is set."""
    settings = Settings(access=Access(admin_bind="10.0.0.1:90", bound="elsewhere"))
    listeners = [Listener("127.0.0.1", 80), Listener("10.0.0.1", 90), Listener("::", 80, 0, 0)]
    assert listening.bound(settings, listeners) == "127.0.0.1,::"


def test_a_real_socket_is_told_by_its_address(tmp_path):
    """As the system says."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        assert listening.bound(Settings(), [made]) == f"unix:{tmp_path / 's'}"


def test_the_application_reads_it_from_its_environment(monkeypatch):
    """What was set by hand is written over."""
    for name in ("WEIGHBRIDGE_BOUND", "WEIGHBRIDGE_PROXIES"):
        monkeypatch.setenv(name, "by hand")
    listening.tell(Settings(), [Listener("10.0.0.1", 80)], "*")
    access = load(os.environ).access
    assert (access.bound, access.proxies) == ("10.0.0.1", "*")


def test_the_operator_is_told_once_what_is_wrong(tmp_path, capsys):
    """Open to everybody; closed to everybody; nothing once there is a key."""
    Blobs(tmp_path).prepare()
    public = [Listener("10.0.0.1", 80)]
    listening.warn(Settings(data_dir=tmp_path, access=Access(auth="off")), public)
    assert "WARNING" in capsys.readouterr().err
    closed = Settings(data_dir=tmp_path)
    listening.warn(closed, public)
    assert "weighbridge keys add" in capsys.readouterr().err
    database = open_database(closed)
    keys.add(database, "ann", "admin")
    database.close()
    listening.warn(closed, public)
    assert capsys.readouterr().err == ""
