"""Whether keys are needed, and what the settings of access must not be. Knows settings, no caller."""

from __future__ import annotations

from service.access.addresses import is_local, listed, parse_bind
from service.access.callers import Quotas
from service.access.origins import parse_origins
from service.config import GIB, Access

DEFAULTS = Quotas(requests_per_minute=600, submissions_per_minute=120, bytes_per_hour=64 * GIB, bytes_per_day=256 * GIB)
"""What one key may use unless a setting says otherwise."""
SIGNATURES = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"))
"""What a public key verifies. HMAC never: its secret would be the public key; nor `none`."""


def needs_keys(access: Access) -> bool:
    """Whether a key or token is needed; where it is not known who can reach the service, it is."""
    if access.auth != "auto":
        return access.auth == "required"
    return not _is_private(access)


def _is_private(access: Access) -> bool:
    bound = listed(access.bound)
    return bool(bound) and all(map(is_local, bound))


def quotas(access: Access) -> Quotas:
    """What one key may use."""
    default = DEFAULTS if needs_keys(access) else Quotas()
    return Quotas(
        requests_per_minute=_limit(access.quota_requests_per_minute, default.requests_per_minute),
        submissions_per_minute=_limit(access.quota_submissions_per_minute, default.submissions_per_minute),
        bytes_per_hour=_limit(access.quota_bytes_per_hour, default.bytes_per_hour),
        bytes_per_day=_limit(access.quota_bytes_per_day, default.bytes_per_day),
    )


def _limit(wanted: int | None, default: int | None) -> int | None:
    if wanted is not None and wanted < 0:
        raise ValueError("WEIGHBRIDGE_QUOTA_...: a quota is a positive number, or 0 for no limit.")
    return default if wanted is None else wanted or None


def algorithms(access: Access) -> frozenset[str]:
    """The signatures that are taken. ValueError for one that needs a shared secret, or is none."""
    chosen = frozenset(listed(access.token_algorithms))
    if not chosen or not chosen <= SIGNATURES:
        raise ValueError(
            f"WEIGHBRIDGE_TOKEN_ALGORITHMS={access.token_algorithms!r}: choose from {', '.join(sorted(SIGNATURES))}. "
            "HS256 and none are not taken: anybody who knows the public key could sign."
        )
    return chosen


def check(access: Access) -> None:
    """ValueError with a sentence for the operator where the settings cannot be meant."""
    quotas(access)
    if access.admin_bind:
        parse_bind(access.admin_bind)
    if parse_origins(access.cors_origins).anybody and not needs_keys(access):
        raise ValueError(
            "WEIGHBRIDGE_CORS_ORIGINS=* would let every web page read all analyses, for no key is needed here: name "
            "the origins, or set WEIGHBRIDGE_AUTH=required."
        )
    _check_tokens(access)


def _check_tokens(access: Access) -> None:
    needed = {
        "WEIGHBRIDGE_TOKEN_ISSUER": access.token_issuer,
        "WEIGHBRIDGE_TOKEN_AUDIENCE": access.token_audience,
    }
    missing = [name for name, value in needed.items() if not value]
    if len(missing) == len(needed) and not access.token_jwks:
        return
    if missing:
        raise ValueError(f"Tokens need both {' and '.join(needed)}; not set: {', '.join(missing)}.")
    algorithms(access)


def warning(access: Access, *, has_keys: bool, command: str) -> str:
    """What the operator should read at the start; empty where nothing is wrong. `command` is how ours is called."""
    if access.auth == "off" and not _is_private(access):
        return (
            f"WARNING: WEIGHBRIDGE_AUTH=off, and the service listens on {access.bound or 'an unknown address'}: "
            "EVERYBODY who reaches it can send, read and delete everything. Set WEIGHBRIDGE_AUTH=required."
        )
    if needs_keys(access) and not has_keys and not access.token_issuer:
        return (
            f"A key is needed here, and there is none yet: make the first with `{command} keys add NAME --role admin`, "
            "as the user of the service, in its folder and with its WEIGHBRIDGE_DATA_DIR."
        )
    return ""
