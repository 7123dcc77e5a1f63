"""Web pages: which may read answers, and under which name the service may be asked. Knows no Flask.

A page of any site can make its reader's browser send requests to a service on the same machine. Where keys are needed
that is harmless: a page has no key. Where none is needed, two things are looked at. The origin that a browser names
with a request that changes something must be our own or an allowed one. And the host must be an address, a plain name
or a known one: a page that has its own name resolve to 127.0.0.1 ("DNS rebinding") would otherwise read everything, as
would everybody if the open service stood behind a proxy with a public name.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from service.access.addresses import listed
from service.basis import Frozen

ANY = "*"
_ORIGIN = re.compile(r"https?://[^/?#@\s,]+")
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]*)(:[0-9]{1,5})?")
_PLAIN = re.compile(r"\[[0-9a-f:.]+\]|[0-9]{1,3}(\.[0-9]{1,3}){3}|[a-z0-9_-]*|([a-z0-9_-]+\.)*localhost\.?")
"""Hosts that nobody else's name server answers for: addresses, names without a dot, and below localhost."""


class Origins(Frozen, frozen=True, kw_only=True):
    """Origins whose pages may read answers, lower case; `anybody` stands for `*`."""

    allowed: frozenset[str] = frozenset()
    anybody: bool = False

    @property
    def any(self) -> bool:
        """Whether there is one at all."""
        return self.anybody or bool(self.allowed)

    def permit(self, origin: str) -> bool:
        """Whether pages of `origin` may read answers. `null`, which any page can be, never may."""
        return (self.anybody and origin.lower() != "null") or origin.lower() in self.allowed


def parse_origins(text: str) -> Origins:
    """Of the setting. ValueError names what is no origin."""
    names = listed(text.lower())
    for name in names:
        if name != ANY and not _ORIGIN.fullmatch(name):
            raise ValueError(
                f"WEIGHBRIDGE_CORS_ORIGINS: {name!r} is not an origin, such as https://app.example "
                "(scheme and host, no path), nor *."
            )
    return Origins(allowed=frozenset(names) - {ANY}, anybody=ANY in names)


def is_own(origin: str, host: str) -> bool:
    """Whether a page of `origin` came from the host that is asked."""
    return urlsplit(origin.lower()).netloc == host.lower() != ""


def is_known(host: str, known: tuple[str, ...]) -> bool:
    """Whether the service may be asked as `host`, with or without a port: an address, a plain name, or a known one."""
    parts = _HOST.fullmatch(host.lower())
    return parts is not None and (_PLAIN.fullmatch(parts[1]) is not None or parts[1] in known)
