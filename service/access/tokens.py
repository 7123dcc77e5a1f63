"""Bearer tokens (JWT, RFC 7519, as RFC 8725 wants them checked) of one issuer for one audience; knows claims, no HTTP.

The signature is of a kind on a list of those that a public key verifies, and of the kind its key is for: neither `none`
nor an HMAC with the public key as its secret gets as far as being tried.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jwt
from blake3 import blake3

from service.access import rules
from service.access.callers import ROLES, Caller, Quotas, Role
from service.access.credentials import refused
from service.access.discovery import discovered
from service.access.fetching import is_remote, loader
from service.access.keyset import KeySet
from service.config import Access
from service.errors import Unauthenticated
from service.language import Message, msg

ACCOUNT = "token:"
"""What accounts of tokens begin with; no account of a key does."""
MAX_SUBJECT = 255
"""OpenID Connect Core, section 2: the longest `sub`."""
FILE_SECONDS = 1.0
"""How often a file of keys is looked at."""
REFUSALS: tuple[tuple[type[Exception], str, Message], ...] = (
    (jwt.ExpiredSignatureError, "expired", msg("The token has expired.")),
    (jwt.ImmatureSignatureError, "not_yet_valid", msg("The token is not valid yet.")),
    (jwt.InvalidAudienceError, "wrong_audience", msg("The token is for another audience.")),
    (jwt.InvalidIssuerError, "wrong_issuer", msg("The token is of another issuer.")),
    (jwt.MissingRequiredClaimError, "missing_claim", msg("The token lacks a claim that is required.")),
    (jwt.InvalidSignatureError, "wrong_signature", msg("The token's signature is wrong.")),
)


class Tokens:
    """Checks the tokens of one issuer."""

    def __init__(self, access: Access, keys: KeySet) -> None:
        self._access = access
        self._keys = keys
        self._algorithms = rules.algorithms(access)

    @property
    def keys(self) -> KeySet:
        """The issuer's keys."""
        return self._keys

    def caller(self, token: str, quotas: Quotas) -> Caller:
        """Who holds this token.

        Raises:
            Unauthenticated: It is none, or not valid here and now.
            TokensUnavailable: The issuer's keys cannot be had.
        """
        claims = self._claims(token)
        account = f"{ACCOUNT}{self._access.token_issuer}:{self._subject(claims)}"
        role = role_of(claims, self._access.token_roles_claim, self._access.token_role_prefix)
        name = f"token:{blake3(account.encode()).hexdigest()[:16]}"
        return Caller(account=account, role=role, name=name, quotas=quotas)

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            kid, algorithm = header.get("kid"), header.get("alg")
            if not isinstance(kid, str) or algorithm not in self._algorithms or "crit" in header:
                raise refused("wrong_header", msg("The token's header names no key, or a signature that is not taken."))
            return jwt.decode(
                token,
                self._keys.find(kid, str(algorithm)),
                algorithms=[str(algorithm)],
                audience=self._access.token_audience,
                issuer=self._access.token_issuer,
                leeway=self._access.token_leeway_seconds,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise _refusal(error) from None

    def _subject(self, claims: Mapping[str, Any]) -> str:
        found = claims.get(self._access.token_account_claim)
        if not isinstance(found, str) or not 0 < len(found) <= MAX_SUBJECT or not found.isprintable():
            raise refused("missing_claim", msg("The token lacks a claim that is required."))
        return found


def _refusal(error: Exception) -> Unauthenticated:
    for kind, reason, detail in REFUSALS:
        if isinstance(error, kind):
            return refused(reason, detail)
    return refused("malformed", msg("This is no token that is valid here."))


def role_of(claims: Mapping[str, Any], name: str, prefix: str) -> Role | None:
    """The highest role that the claim `name` holds, each after `prefix`; None if it holds none."""
    found = claims.get(name)
    if found is None:
        found = _inside(claims, name.split("."))
    words = found.split() if isinstance(found, str) else found if isinstance(found, list) else ()
    held = {word.removeprefix(prefix) for word in words if isinstance(word, str) and word.startswith(prefix)}
    return next((role for role in reversed(ROLES) if role in held), None)


def _inside(claims: Any, steps: list[str]) -> Any:
    for step in steps:
        claims = claims.get(step) if isinstance(claims, Mapping) else None
    return claims


def tokens_of(access: Access) -> Tokens | None:
    """What checks tokens, None where none are taken. ValueError for settings that cannot be meant."""
    if not access.token_issuer:
        return None
    if not access.token_jwks:
        return Tokens(access, KeySet(discovered(access.token_issuer)))
    remote = is_remote(access.token_jwks)
    load = loader(access.token_jwks)
    return Tokens(access, KeySet(load) if remote else KeySet(load, fresh=FILE_SECONDS, again=FILE_SECONDS))
