"""Which role each route needs, and what the audit log calls it: the one place that says so.

A route that is not in the table is refused to everybody. Knows the routes' names, not what they do.
"""

from __future__ import annotations

from typing import NamedTuple

from service.access.callers import Role


class Permission(NamedTuple):
    """What a route needs.

    Attributes:
        role: The least role; None: nobody is asked who they are.
        action: Its name in the audit log; None: only a refusal is written down.
        submits: Whether it counts as a submission.
    """

    role: Role | None
    action: str | None = None
    submits: bool = False


OPEN = Permission(role=None)

TABLE: dict[str, Permission] = {
    "analyses.create": Permission("submitter", "create_analysis", submits=True),
    "analyses.listing": Permission("reader", "list_analyses"),
    "analyses.show": Permission("reader", "show_analysis"),
    "analyses.delete": Permission("submitter", "delete_analysis"),
    "reports.report": Permission("reader", "read_report"),
    "layers.layer": Permission("reader", "read_layer"),
    "comparisons.create": Permission("submitter", "create_comparison", submits=True),
    "comparisons.show": Permission("reader", "show_comparison"),
    "comparisons.delete": Permission("submitter", "delete_comparison"),
    "kinds.listing": Permission("reader"),
    "kinds.show": Permission("reader"),
    "health.list_formats": Permission("reader"),
    "health.prometheus": Permission("admin"),
    "health.readyz": OPEN,  # what it tells depends on who asks
    "health.healthz": OPEN,
    "docs.openapi": OPEN,
    "docs.page": OPEN,
    "docs.start": OPEN,
    "docs.asset": OPEN,
}
"""By the endpoint's name."""

MONITORING = frozenset(("health.healthz", "health.readyz", "health.prometheus"))
"""What is served on the port for monitoring, where there is one."""
WITHHELD = MONITORING - {"health.healthz"}
"""What is then not served on the public one."""
