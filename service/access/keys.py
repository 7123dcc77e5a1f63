"""API keys: made, kept as hashes, found again, revoked. Knows the table, not how a key is sent.

A key is `wb_<id>_<secret>`: a prefix that scanners for leaked secrets recognise, a public id, and 256 random bits. At
rest there is only the SHA-256 of the whole. Passwords are stretched (scrypt, Argon2) because people choose guessable
ones; nobody guesses 256 random bits, so a fast hash gives nothing away and does not let strangers burn our processor.

Each request asks the table: a key that was revoked is of no use from the next request on, in every process.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from typing import Any

import msgspec
from sqlalchemy import RowMapping, bindparam, func, insert, select, update

from service.access.callers import Caller, Quotas, Role
from service.access.credentials import refused
from service.basis import Frozen
from service.jobs.database import Database
from service.jobs.tables import api_keys
from service.language import msg

PREFIX = "wb_"
ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
"""Names of accounts; without a colon, which those of tokens have."""
_KEY = re.compile(r"wb_([0-9a-f]{12})_[a-z2-7]{52}")
_BY_ID = select(api_keys).where(api_keys.c.id == bindparam("id"))
_NOBODY = hashlib.sha256(b"").hexdigest()


class Key(Frozen, frozen=True, kw_only=True):
    """A key as it is kept. Times are Unix seconds."""

    id: str
    account: str
    role: Role
    quotas: dict[str, int]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None

    def state(self, now: float) -> str:
        """active, expired or revoked."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def add(
    database: Database, account: str, role: Role, *, seconds: float | None = None, quotas: dict[str, int] | None = None
) -> tuple[Key, str]:
    """A new key and its text, which is not kept; valid for `seconds`, None for ever.

    `quotas` are those that differ from the installation's; 0: no limit. ValueError for an account that is no name.
    """
    if not ACCOUNT.fullmatch(account):
        raise ValueError("An account is 1 to 100 letters, digits and . _ @ -, the first a letter or digit.")
    identifier = secrets.token_hex(6)
    secret = base64.b32encode(secrets.token_bytes(32)).decode().rstrip("=").lower()
    text = f"{PREFIX}{identifier}_{secret}"
    now = time.time()
    key = Key(
        id=identifier,
        account=account,
        role=role,
        quotas=quotas or {},
        created_at=now,
        expires_at=None if seconds is None else now + seconds,
    )
    row = msgspec.structs.asdict(key) | {"hash": _hash(text), "quotas": msgspec.json.encode(key.quotas).decode()}
    with database.writing() as connection:
        connection.execute(insert(api_keys).values(**row))
    return key, text


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def all_keys(database: Database) -> list[Key]:
    """Every key that was ever made, the oldest first."""
    with database.reading() as connection:
        found = connection.execute(select(api_keys).order_by(api_keys.c.created_at)).mappings()
        return [_key(row) for row in found]


def any_active(database: Database) -> bool:
    """Whether there is a key that is valid now."""
    now = time.time()
    return any(key.state(now) == "active" for key in all_keys(database))


def revoke(database: Database, identifier: str) -> bool:
    """Make a key invalid from now on; False if there is none with this id."""
    with database.writing() as connection:
        revoked_at = func.coalesce(api_keys.c.revoked_at, time.time())
        done = connection.execute(
            update(api_keys).where(api_keys.c.id == identifier).values(revoked_at=revoked_at).returning(api_keys.c.id)
        )
        return done.first() is not None


def _key(row: RowMapping) -> Key:
    facts: dict[str, Any] = {name: row[name] for name in Key.__struct_fields__ if name != "quotas"}
    return Key(quotas=msgspec.json.decode(row["quotas"], type=dict[str, int]), **facts)


def is_key(text: str) -> bool:
    """Whether it says of itself that it is a key."""
    return text.startswith(PREFIX)


def caller(database: Database, text: str, quotas: Quotas) -> Caller:
    """Who holds this key; `quotas` are the installation's.

    Raises:
        Unauthenticated: It is none, or valid no more. Only who holds the secret is told that it once was.
    """
    parts = _KEY.fullmatch(text)
    row = _row(database, parts[1]) if parts else None
    kept = _NOBODY if row is None else row["hash"]
    if not hmac.compare_digest(kept, _hash(text)) or row is None:
        raise refused("unknown", msg("There is no such key."))
    key = _key(row)
    state = key.state(time.time())
    if state == "revoked":
        raise refused(state, msg("This key was revoked. Ask the operator for another."))
    if state == "expired":
        raise refused(state, msg("This key has expired. Ask the operator for another."))
    return Caller(account=key.account, role=key.role, name=f"key:{key.id}", quotas=changed(quotas, key.quotas))


def _row(database: Database, identifier: str) -> RowMapping | None:
    with database.reading() as connection:
        return connection.execute(_BY_ID, {"id": identifier}).mappings().first()


def changed(quotas: Quotas, by: dict[str, int]) -> Quotas:
    """The quotas of a key: the installation's, but for those it has itself."""
    known = {name: value or None for name, value in by.items() if name in Quotas.__struct_fields__}
    return msgspec.structs.replace(quotas, **known)
