"""Where an issuer keeps its public keys, as the issuer itself tells (OpenID Connect Discovery 1.0, section 4).

Knows addresses and one document, no keys and no tokens.
"""

from __future__ import annotations

import msgspec

from service.access.fetching import Load, Unfetched, is_remote, loader
from service.basis import Frozen

WELL_KNOWN = "/.well-known/openid-configuration"


class _Provider(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What is looked at of the document."""

    issuer: str
    jwks_uri: str


def discovered(issuer: str) -> Load:
    """What asks `issuer` where its keys are, and fetches them from there, each time anew.

    ValueError for an issuer that is no https address.
    """
    if not is_remote(issuer):
        raise ValueError(
            f"WEIGHBRIDGE_TOKEN_ISSUER={issuer!r} is no address that could be asked for its keys: say where they "
            "are with WEIGHBRIDGE_TOKEN_JWKS."
        )
    ask = loader(issuer.rstrip("/") + WELL_KNOWN, "WEIGHBRIDGE_TOKEN_ISSUER")

    def load() -> bytes:
        return loader(_place(ask(), issuer), "jwks_uri")()

    return load


def _place(document: bytes, issuer: str) -> str:
    """The keys' address. Unfetched where the document is none, or another issuer's (section 4.3)."""
    try:
        found = msgspec.json.decode(document, type=_Provider)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Unfetched(f"{issuer}{WELL_KNOWN} is no OpenID provider's configuration: {error}") from None
    if found.issuer != issuer:
        raise Unfetched(f"{issuer}{WELL_KNOWN} is of another issuer: {found.issuer[:200]!r}.")
    if not is_remote(found.jwks_uri):
        raise Unfetched(f"{issuer}{WELL_KNOWN} tells no address of its keys: {found.jwks_uri[:200]!r}.")
    return found.jwks_uri
