"""What the OpenAPI description tells of keys and tokens, roles and quotas. Knows operations by name, no resource."""

from __future__ import annotations

from typing import Any

from service.web.permissions import OPEN, TABLE

OPERATIONS = {
    "createAnalysis": "analyses.create",
    "listAnalyses": "analyses.listing",
    "showAnalysis": "analyses.show",
    "deleteAnalysis": "analyses.delete",
    "showReport": "reports.report",
    "showLayer": "layers.layer",
    "showOwnWeights": "layers.layer",
    "createComparison": "comparisons.create",
    "showComparison": "comparisons.show",
    "deleteComparison": "comparisons.delete",
    "listKinds": "kinds.listing",
    "showKind": "kinds.show",
    "listFormats": "health.list_formats",
    "health": "health.healthz",
    "ready": "health.readyz",
    "metrics": "health.prometheus",
    "openapi": "docs.openapi",
    "docs": "docs.page",
}
"""By an operation's name: the route in the table of permissions."""
SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`wb_...`), or a token (JWT) of the issuer that the installation trusts.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key (`wb_...`)."},
}
EITHER: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
_TEXT = {"schema": {"type": "string"}}
REFUSALS: dict[str, tuple[str, dict[str, str]]] = {
    "401": ("No key or token, or one that is not valid.", {"WWW-Authenticate": "What is asked for."}),
    "403": ("The role does not allow it.", {}),
    "429": (
        "A quota is used up: requests, submissions or bytes; `limit` says which.",
        {
            "Retry-After": "Seconds until it is worth asking again.",
            "RateLimit-Limit": "The quota.",
            "RateLimit-Remaining": "What is left of it.",
            "RateLimit-Reset": "Seconds until there is more.",
        },
    ),
}


def secured(operation: dict[str, Any], problem: Any, *, required: bool) -> dict[str, Any]:
    """The operation with what lets one in, and what is answered to whom it does not; `problem` describes an answer."""
    permission = TABLE[OPERATIONS[operation["operationId"]]]
    if permission is OPEN:
        return operation | {"security": []}
    responses = dict(operation["responses"])
    for status, (description, headers) in REFUSALS.items():
        told = {name: _TEXT | {"description": text} for name, text in headers.items()}
        responses[status] = problem(description) | ({"headers": told} if told else {})
    role = f"Needs the role {permission.role}."
    return operation | {
        "security": EITHER if required else [{}, *EITHER],
        "description": role if required else f"{role} No key is needed at this installation.",
        "responses": dict(sorted(responses.items())),
    }
