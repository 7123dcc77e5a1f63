"""Which addresses only this machine reaches, and who is behind a proxy."""

from __future__ import annotations

import pytest

from service.access.addresses import client, described, is_local, listed, parse_bind

ANYWHERE = "0.0.0.0"  # noqa: S104 - an address to be judged


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "LOCALHOST", "unix:/run/w.sock", "::ffff:127.0.0.1"]
)
def test_local_addresses(host):
    """Loopback of both families, its name, and a unix socket."""
    assert is_local(host)


@pytest.mark.parametrize(
    "host",
    [ANYWHERE, "::", "192.168.1.5", "10.0.0.1", "example.com", "localhost.example", "", "*", "128.0.0.1",
     "::ffff:10.0.0.1", "127.0.0.1.example.com", "fe80::1%eth0", "127.1"],
)  # fmt: skip
def test_all_others_are_not(host):
    """What is not known to be loopback is not: also names, whatever they resolve to here."""
    assert not is_local(host)


def test_a_socket_s_own_address_is_described_by_its_host():
    """IPv4, IPv6, unix sockets with a path and without."""
    assert described(("10.0.0.1", 80)) == "10.0.0.1"
    assert described(("::1", 80, 0, 0)) == "::1"
    assert described("/run/w.sock") == "unix:/run/w.sock"
    assert described(b"\0name").startswith("unix:")


@pytest.mark.parametrize(("text", "host", "port"), [("127.0.0.1:90", "127.0.0.1", 90), ("[::1]:90", "::1", 90)])
def test_a_bind_is_host_and_port(text, host, port):
    """IPv6 in brackets."""
    bind = parse_bind(text)
    assert (bind.host, bind.port) == (host, port)


@pytest.mark.parametrize("text", ["", "90", ":90", "h:", "h:0", "h:65536", "h:x", "h:-1", "h:\u0663"])
def test_anything_else_is_no_bind(text):
    """And is named."""
    with pytest.raises(ValueError, match="WEIGHBRIDGE_ADMIN_BIND"):
        parse_bind(text)


@pytest.mark.parametrize(
    ("bind", "local", "expected"),
    [
        ("127.0.0.1:90", ("127.0.0.1", 90), True),
        ("127.0.0.1:90", ("127.0.0.1", 80), False),
        ("127.0.0.1:90", ("10.0.0.1", 90), False),
        (f"{ANYWHERE}:90", ("10.0.0.1", 90), True),
        ("[::]:90", ("::1", 90, 0, 0), True),
        ("[::1]:90", ("::1", 90, 0, 0), True),
        ("localhost:90", ("127.0.0.1", 90), True),
        ("127.0.0.1:90", "/run/w.sock", False),
    ],
)
def test_a_connection_is_known_by_its_own_end(bind, local, expected):
    """The address that the client reached, which no header can change."""
    assert parse_bind(bind).received(local) is expected


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "expected"),
    [
        ("10.0.0.9", "1.2.3.4", "10.0.0.9", "1.2.3.4"),
        ("10.0.0.9", "1.2.3.4", "10.0.0.0/8", "1.2.3.4"),
        ("10.0.0.9", "9.9.9.9, 1.2.3.4", "10.0.0.9", "1.2.3.4"),
        ("10.0.0.9", "1.2.3.4", "*", "1.2.3.4"),
        ("10.0.0.9", "1.2.3.4", "127.0.0.1,::1", "10.0.0.9"),
        ("10.0.0.9", "", "*", "10.0.0.9"),
        ("10.0.0.9", "x\r\n{}", "*", "10.0.0.9"),
        ("10.0.0.9", "1.2.3.4", "nonsense", "10.0.0.9"),
        ("", "1.2.3.4", "", "1.2.3.4"),
    ],
)
def test_a_proxy_is_believed_if_it_is_one(peer, forwarded, proxies, expected):
    """Then what it says last, if that is an address; a unix socket's peer is this machine."""
    assert client(peer, forwarded, listed(proxies)) == expected
