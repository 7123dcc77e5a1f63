"""What a request shows to be let in, from its two header fields: checked by shape, not yet for validity.

A field that is sent twice arrives as one text with a comma: no credential holds one, so it has no valid shape.
"""

from __future__ import annotations

import re

from service.basis import Frozen
from service.errors import Unauthenticated
from service.language import Message, msg

LONGEST = 4096
"""Characters of a token: the longest that issuers make are half of it."""
_BEARER = re.compile(r"(?i:bearer) +([A-Za-z0-9\-._~+/]+=*)")
_BARE = re.compile(r"[A-Za-z0-9\-._~]+")


class Credential(Frozen, frozen=True, kw_only=True):
    """One key or token, as it was sent."""

    text: str

    def __repr__(self) -> str:
        """Never the secret: an error or a log line may show this."""
        return "Credential()"


def read(authorization: str | None, api_key: str | None) -> Credential:
    """The one credential in the header fields `Authorization` and `X-API-Key`; None is a field that is not there.

    Raises:
        Unauthenticated: There is none, there are two, or it has no valid shape.
    """
    if authorization is None and api_key is None:
        raise refused("missing", msg("A key or token is needed here."))
    if authorization is not None and api_key is not None:
        raise refused("ambiguous", msg("Send either Authorization or X-API-Key, not both."))
    if api_key is not None:
        found = api_key if _BARE.fullmatch(api_key) else None
    else:
        bearer = _BEARER.fullmatch(authorization or "")
        found = bearer[1] if bearer else None
    if found is None or len(found) > LONGEST:
        raise refused("malformed", msg("The header field with the key or token is not of the form that is taken."))
    return Credential(text=found)


def refused(reason: str, detail: Message) -> Unauthenticated:
    """The error with the one word that a program can look at."""
    return Unauthenticated(detail, reason=reason)
