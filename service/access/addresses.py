"""Addresses: which only this machine can reach, where the monitoring port is, who is behind a proxy. Knows no HTTP."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from service.basis import Frozen

UNIX = "unix:"
"""What the address of a unix socket begins with."""


def listed(text: str) -> tuple[str, ...]:
    """The words of a setting that has commas between them."""
    return tuple(word for word in (piece.strip() for piece in text.split(",")) if word)


def described(local: Any) -> str:
    """The host of a socket's own address, as `socket.getsockname` gives it."""
    if isinstance(local, tuple):
        return str(local[0])
    return UNIX + (local.decode("utf-8", "replace") if isinstance(local, bytes) else str(local))


def is_local(host: str) -> bool:
    """Whether only this machine reaches it: a loopback address, its name, or a unix socket."""
    if host.startswith(UNIX) or host.lower() == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, ipaddress.IPv6Address) else found


class Bind(Frozen, frozen=True, kw_only=True):
    """One address to listen on."""

    host: str
    port: int

    def received(self, local: Any) -> bool:
        """Whether a connection whose own end is `local` (`socket.getsockname`) came in here."""
        if not isinstance(local, tuple) or local[1] != self.port:
            return False
        here, there = _address(self.host), _address(str(local[0]))
        return here is None or here.is_unspecified or here == there


def parse_bind(text: str) -> Bind:
    """`host:port`, `[::1]:port`. ValueError for anything else."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise ValueError(f"WEIGHBRIDGE_ADMIN_BIND={text!r} is not host:port, such as 127.0.0.1:9000.")
    return Bind(host=host, port=int(port))


def client(peer: str, forwarded_for: str, proxies: Iterable[str]) -> str:
    """The address of who asks: the peer, or what a proxy that is believed says was its own peer."""
    behind = forwarded_for.rpartition(",")[2].strip()
    if not behind or _address(behind) is None or not _believed(peer, tuple(proxies)):
        return peer
    return behind


def _believed(peer: str, proxies: tuple[str, ...]) -> bool:
    address = _address(peer)
    if "*" in proxies or address is None:  # a unix socket's peer has no address
        return "*" in proxies or not peer
    return any(address in network for network in map(_network, proxies) if network is not None)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None
