"""OpenAPI links: which answer's values another operation takes. Knows operations by their names, no resource."""

from __future__ import annotations

from typing import Any

ID = "$response.body#/id"
FIRST = "$response.body#/items/0/id"

Links = dict[str, dict[str, Any]]


def _to(operation: str, says: str, **parameters: str) -> dict[str, Any]:
    return {"operationId": operation, "parameters": parameters, "description": says}


def _of_analysis(identifier: str) -> Links:
    return {
        "analysis": _to("showAnalysis", "The analysis, with its report once it has one.", id=identifier),
        "report": _to("showReport", "Its report, as data, text or picture.", id=identifier),
        "ownWeights": _to("showOwnWeights", "Weights outside the layers.", id=identifier),
        "comparison": {
            "operationId": "createComparison",
            "requestBody": {"left": identifier, "right": identifier},
            "description": "Held against itself; or against another analysis.",
        },
        "deletion": _to("deleteAnalysis", "Away with it.", id=identifier),
    }


_LAYER = {"layer": _to("showLayer", "Its first layer.", id=ID, path="$response.body#/report/layers/0/path")}
_COMPARED: Links = {
    "comparison": _to("showComparison", "The comparison.", id=ID),
    "deletion": _to("deleteComparison", "Away with it.", id=ID),
}

LINKS: dict[str, dict[str, Links]] = {
    "createAnalysis": {"201": _of_analysis(ID) | _LAYER, "202": _of_analysis(ID)},
    "showAnalysis": {"200": _of_analysis(ID) | _LAYER},
    "listAnalyses": {"200": _of_analysis(FIRST)},
    "createComparison": {"201": _COMPARED, "202": _COMPARED},
    "listKinds": {"200": {"kind": _to("showKind", "The first of them.", kind="$response.body#/items/0/kind")}},
}
"""By the operation's name and the status."""


def linked(operation: dict[str, Any]) -> dict[str, Any]:
    """The operation with what follows from its answers."""
    known = LINKS.get(operation["operationId"], {})
    responses = {
        status: response | ({"links": known[status]} if status in known else {})
        for status, response in operation["responses"].items()
    }
    return operation | {"responses": responses}
