"""Signatures and tags of a graph as a report's tags; knows messages already read, no file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.parsers.tensorflow_graph import Endpoint, MetaGraph, Signature
from service.plain import MAX_ITEMS, text

_INTERNAL = "__saved_model_init_op"


def tags_of(graphs: Iterable[MetaGraph]) -> dict[str, Any]:
    """Tags, signatures with inputs and outputs, and assets."""
    found: dict[str, Any] = {}
    for graph in graphs:
        if graph.tags:
            found.setdefault("tags", []).extend(text(tag, 200) for tag in graph.tags[:100])
        for signature in sorted(graph.signatures, key=lambda one: one.name)[:1000]:
            if signature.name != _INTERNAL:
                found.setdefault("signatures", {})[text(signature.name, 200)] = _signature(signature)
        if graph.assets:
            found.setdefault("assets", []).extend(text(name, 500) for name in graph.assets[:1000])
    return found


def _signature(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": {text(one.key, 200): _endpoint(one) for one in signature.inputs[:MAX_ITEMS]},
        "outputs": {text(one.key, 200): _endpoint(one) for one in signature.outputs[:MAX_ITEMS]},
    }


def _endpoint(one: Endpoint) -> dict[str, Any]:
    return {"dtype": one.dtype, "shape": None if one.shape is None else list(one.shape)}
