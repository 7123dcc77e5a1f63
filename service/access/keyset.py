"""The issuer's public keys (JWKS, RFC 7517): loaded, kept for a while, loaded anew for a key id that is not known.

Knows keys, no tokens. Symmetric keys and private ones have no place in a public key set: they are left out.
"""

from __future__ import annotations

import threading
import time
from typing import Any, Literal

import jwt
import msgspec
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from service.access.credentials import refused
from service.access.fetching import Load, Unfetched
from service.basis import Frozen
from service.errors import TokensUnavailable
from service.language import msg

FRESH_SECONDS = 300.0
"""Age from which keys are loaded anew."""
AGAIN_SECONDS = 10.0
"""Least time between two loadings, whatever key ids strangers make up."""
LASTING_SECONDS = 3600.0
"""Age up to which keys are still used where they cannot be loaded anew."""
MAX_KEYS = 100
LEAST_RSA_BITS = 2048
FAMILIES: dict[str, tuple[str, tuple[str, ...]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", ())),
    "ES256": ("EC", ("P-256",)),
    "ES384": ("EC", ("P-384",)),
    "ES512": ("EC", ("P-521",)),
    "EdDSA": ("OKP", ("Ed25519", "Ed448")),
}
"""Which key a signature needs: `kty`, and `crv` where that matters."""

log = structlog.get_logger("weighbridge.access")


class _Public(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """What is looked at of one key."""

    kid: str
    kty: Literal["RSA", "EC", "OKP"]
    use: str = "sig"
    alg: str | None = None
    crv: str | None = None
    d: Any = None

    def fits(self, algorithm: str) -> bool:
        """Whether it is for a signature of this kind."""
        family, curves = FAMILIES[algorithm]
        return self.kty == family and (not curves or self.crv in curves) and self.alg in (None, algorithm)


class _Known(msgspec.Struct, frozen=True):
    """A usable key: what is looked at, all that it says, and its forms by signature, made when first needed."""

    public: _Public
    values: dict[str, Any]
    made: dict[str, jwt.PyJWK]


class _Set(Frozen, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The document: its keys as they are."""

    keys: list[msgspec.Raw]


class KeyState(Frozen, frozen=True, kw_only=True):
    """How the keys fare, for /readyz: how many can be used, and what is wrong."""

    keys: int
    problem: str | None


class KeySet:
    """The keys of one issuer, for one process. Safe to use from several threads."""

    def __init__(self, load: Load, *, fresh: float = FRESH_SECONDS, again: float = AGAIN_SECONDS) -> None:
        self._load, self._fresh, self._again = load, fresh, again
        self._lock = threading.Lock()
        self._data: bytes | None = None
        self._keys: dict[str, _Known] = {}
        self._loaded = self._tried = -float("inf")
        self._problem: str | None = "They have not been loaded yet."

    def find(self, kid: str, algorithm: str) -> jwt.PyJWK:
        """The key `kid` for a signature of this kind.

        Raises:
            Unauthenticated: There is none such.
            TokensUnavailable: No keys could be had.
        """
        if self._is_due(kid):
            self.refresh()
        if time.monotonic() - self._loaded > LASTING_SECONDS:
            raise TokensUnavailable(msg("Tokens cannot be checked now: the issuer's public keys cannot be had."))
        known = self._keys.get(kid)
        if known is None or not known.public.fits(algorithm):
            raise refused("unknown_key", msg("The token is signed with a key that the issuer does not have."))
        if algorithm not in known.made:
            known.made[algorithm] = jwt.PyJWK(known.values, algorithm)
        return known.made[algorithm]

    def _is_due(self, kid: str) -> bool:
        age = time.monotonic() - self._tried
        return age > self._fresh or (age > self._again and (kid not in self._keys or self._problem is not None))

    def refresh(self) -> None:
        """Load the keys anew; of several threads one does, those that have no keys yet wait for it."""
        if not self._lock.acquire(blocking=not self._keys):
            return
        try:
            if time.monotonic() - self._tried > min(self._again, self._fresh):
                self._reload()
        finally:
            self._lock.release()

    def _reload(self) -> None:
        self._problem = self._attempt()
        self._tried = time.monotonic()
        if self._problem is not None:
            log.error("token_keys_unavailable", problem=self._problem)

    def _attempt(self) -> str | None:
        """Load them; what was wrong, None if nothing."""
        try:
            data = self._load()
            if data != self._data:
                self._keys, self._data = _parsed(data), data
        except (Unfetched, ValueError) as error:
            return str(error)
        self._loaded = time.monotonic()
        return None

    def state(self) -> KeyState:
        """How they fare."""
        return KeyState(keys=len(self._keys), problem=self._problem)


def _parsed(data: bytes) -> dict[str, _Known]:
    """The usable keys by id. ValueError if there is none."""
    try:
        items = msgspec.json.decode(data, type=_Set).keys[:MAX_KEYS]
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValueError(f"It is no JSON Web Key Set: {error}") from None
    found: dict[str, _Known] = {}
    for item in items:
        try:
            public = msgspec.json.decode(item, type=_Public)
        except (msgspec.DecodeError, RecursionError):
            continue  # no id, or symmetric
        values = msgspec.json.decode(item)
        if public.kid and public.use == "sig" and public.d is None and _is_usable(public, values):
            found.setdefault(public.kid, _Known(public, values, {}))
    if not found:
        raise ValueError("It has no public key for signatures with a `kid` (RSA from 2048 bits, EC, Ed25519, Ed448).")
    return found


def _is_usable(public: _Public, values: dict[str, Any]) -> bool:
    algorithm = next((name for name in FAMILIES if public.fits(name)), None)
    if algorithm is None:
        return False
    try:
        key = jwt.PyJWK(values, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return False
    return not isinstance(key, RSAPublicKey) or key.key_size >= LEAST_RSA_BITS
