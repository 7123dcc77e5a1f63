"""What one process decides with who may do what, put together once. Knows the parts, neither Flask nor a route."""

from __future__ import annotations

import threading

from service.access import audit, keys, rules
from service.access.addresses import Bind, listed, parse_bind
from service.access.audit import Audit
from service.access.callers import Caller, Quotas, anyone
from service.access.counters import SharedCounts
from service.access.credentials import read, refused
from service.access.keyset import KeyState
from service.access.origins import Origins, parse_origins
from service.access.quotas import Meter
from service.access.tokens import Tokens, tokens_of
from service.basis import Frozen
from service.config import Settings
from service.jobs.database import Database
from service.language import msg

COUNTS = "quotas.db"
"""The file of counts, in the data folder."""


class AccessState(Frozen, frozen=True, kw_only=True):
    """How access is set, for /readyz: `tokens` None where none are taken."""

    required: bool
    tokens: KeyState | None


class Gate:
    """Lets in or not."""

    def __init__(self, settings: Settings, database: Database) -> None:
        access = settings.access
        self._database = database
        self._quotas: Quotas = rules.quotas(access)
        self._tokens: Tokens | None = tokens_of(access)
        self.required: bool = rules.needs_keys(access)
        self.open_by_default: bool = access.auth == "auto" and not self.required
        self.origins: Origins = parse_origins(access.cors_origins)
        self.hosts: tuple[str, ...] = listed(access.hosts.lower())
        self.proxies: tuple[str, ...] = listed(access.proxies)
        self.admin: Bind | None = parse_bind(access.admin_bind) if access.admin_bind else None
        self.audit = Audit(access.audit_log, always=self.required)
        self.meter = Meter(SharedCounts(settings.data_dir.absolute() / COUNTS))
        if self._tokens is not None:
            threading.Thread(target=self._tokens.keys.refresh, name="token-keys", daemon=True).start()

    def caller(self, authorization: str | None, api_key: str | None, address: str) -> Caller:
        """Who sends these header fields from this address.

        Raises:
            Unauthenticated: A key or token is needed, and this is none.
            TokensUnavailable: It is a token, and the issuer's keys cannot be had.
        """
        if not self.required:
            return anyone(address, self._quotas)
        credential = read(authorization, api_key)
        if keys.is_key(credential.text):
            return keys.caller(self._database, credential.text, self._quotas)
        if self._tokens is None or api_key is not None:
            raise refused("unknown", msg("There is no such key."))
        return self._tokens.caller(credential.text, self._quotas)

    def state(self) -> AccessState:
        """How it is set."""
        return AccessState(required=self.required, tokens=None if self._tokens is None else self._tokens.keys.state())

    def close(self) -> None:
        """Close what is open."""
        self.meter.close()


def check(settings: Settings) -> None:
    """Before anything is served: ValueError, with a sentence for the operator, for settings that cannot be meant."""
    rules.check(settings.access)
    tokens_of(settings.access)
    audit.check(settings.access.audit_log)
