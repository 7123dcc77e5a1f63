"""Who asks, and what a role lets them do. Knows neither HTTP nor how a caller is recognised."""

from __future__ import annotations

from typing import Literal

from service.basis import Frozen

Role = Literal["reader", "submitter", "admin"]
ROLES: tuple[Role, ...] = ("reader", "submitter", "admin")
"""reader: sees what is its account's. submitter: also sends and deletes that. admin: sees and deletes everybody's, and
the numbers of the service. Each may do what those before it may."""


class Quotas(Frozen, frozen=True, kw_only=True):
    """How much one key may use. None: no limit."""

    requests_per_minute: int | None = None
    submissions_per_minute: int | None = None
    bytes_per_hour: int | None = None
    bytes_per_day: int | None = None


NO_QUOTAS = Quotas()


class Caller(Frozen, frozen=True, kw_only=True):
    """Who asks.

    Attributes:
        account: Whose analyses are theirs; empty for everybody where no key is needed.
        role: None for the holder of a token that names no role of ours.
        name: What quotas are counted by and the audit log says: `key:<id>`, `token:<hash>`, `address:<ip>`.
        quotas: How much they may use.
    """

    account: str
    role: Role | None
    name: str
    quotas: Quotas = NO_QUOTAS

    def may(self, needed: Role) -> bool:
        """Whether the role is `needed` or one above it."""
        return self.role is not None and ROLES.index(self.role) >= ROLES.index(needed)

    def sees(self, account: str) -> bool:
        """Whether what belongs to `account` exists for them."""
        return self.account == account or self.role == "admin"


def anyone(address: str, quotas: Quotas) -> Caller:
    """Everybody, where no key is needed; what they use is counted by their address."""
    return Caller(account="", role="admin", name=f"address:{address}", quotas=quotas)
