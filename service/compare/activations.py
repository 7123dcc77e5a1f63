"""Which activation follows a layer: as its own setting, or as a layer after it; knows both frameworks' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.tree import Layer, Report

_SAME = {"swish": "silu", "hardsigmoid": "hard_sigmoid", "leakyrelu": "leaky_relu", "logsoftmax": "log_softmax",
         "hardswish": "hard_silu", "hard_swish": "hard_silu", "softmax2d": "softmax",
         "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu_fast": "gelu_tanh"}  # fmt: skip
_NONE = frozenset({"linear", "identity"})


class Activations:
    """The activations of one model, by the layer that they follow."""

    def __init__(self, report: Report) -> None:
        self._after = _following(report)

    def of(self, layer: Layer) -> str | None:
        """The name of the activation that follows, `linear` where the model says that none does, None if not told."""
        own = _own(layer)
        if own is not None and own not in _NONE:
            return own
        following = self._after.get(layer.path)
        if following is not None and following.kind in ("activation", "softmax"):
            return _own(following) or _exactly(following)
        return "linear" if own is not None and following is not None else None


def _own(layer: Layer) -> str | None:
    value: Any = layer.config.get("activation")
    if isinstance(value, dict):
        value = value.get("class_name") or value.get("config")
    return _word(value) if isinstance(value, str) and len(value) <= 100 else None


def _exactly(layer: Layer) -> str | None:
    """The class of an activation; GELU by the tanh formula is another function than the exact one."""
    approximate = layer.config.get("approximate")
    name = _word(layer.type)
    return "gelu_tanh" if name == "gelu" and (approximate is True or approximate == "tanh") else name


def _word(name: str | None) -> str | None:
    if name is None:
        return None
    plain = name.rsplit(".", 1)[-1].rsplit(">", 1)[-1].lower()
    return _SAME.get(plain, plain)


def _following(report: Report) -> Mapping[str, Layer]:
    """The one layer that follows each layer: by the graph, or the next member of a Sequential."""
    if any(layer.inputs for layer in report.layers):
        return _by_graph(report.layers)
    types = {layer.path: layer.type for layer in report.layers}
    found: dict[str, Layer] = {}
    last: dict[str | None, Layer] = {}
    for layer in report.layers:
        before = last.get(layer.parent)
        if before is not None and _is_sequence(layer, types) and before.name.isdigit() and layer.name.isdigit():
            found[before.path] = layer
        last[layer.parent] = layer
    return found


def _by_graph(layers: Sequence[Layer]) -> Mapping[str, Layer]:
    users: dict[str, list[Layer]] = {}
    for layer in layers:
        for path in layer.inputs or ():
            users.setdefault(path, []).append(layer)
    return {path: found[0] for path, found in users.items() if len(found) == 1}


def _is_sequence(layer: Layer, types: Mapping[str, str | None]) -> bool:
    """Whether the layer's parent runs its members in order: a Sequential, or the model itself."""
    return layer.parent is None or types.get(layer.parent) == "Sequential"
