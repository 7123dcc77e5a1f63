"""What a live module is in our words: PyTorch's own classes by name, others by the class of PyTorch they are made from.

Knows classes and the names that model libraries give theirs; must not know weights or files.
"""

from __future__ import annotations

import re

from torch import nn

from service.catalog.torch_layers import kind_of, layout_of

_BY_NAME = (
    (re.compile(r"RMSNorm|T5LayerNorm$"), "rms_norm"),
    (re.compile(r"LayerNorm"), "layer_norm"),
    (re.compile(r"Rotary"), "operation"),
    (re.compile(r"Embedding$|Embeddings$"), "embedding"),
    (re.compile(r"^Conv1D$"), "linear"),
    (re.compile(r"(?:Activation|GELU|SiLU|ReLU|Mish)$"), "activation"),
    (re.compile(r"DropPath|StochasticDepth|Dropout"), "dropout"),
)
"""Names of classes that model libraries write themselves, for modules without layers inside."""


def layout_of_module(module: nn.Module, kind: str, role: str, rank: int) -> str | None:
    """Axis order of a weight; transformers' Conv1D, a linear layer, keeps its kernel with the inputs first."""
    found = layout_of(kind, role, rank)
    return "in-out" if found == "out-in" and type(module).__name__ == "Conv1D" else found


def kind_of_module(module: nn.Module) -> str:
    """Our word for it; `container` for a class of its own that holds layers, `custom` for any other."""
    for kind in type(module).__mro__:
        found = kind_of(kind.__module__, kind.__name__)
        if found is not None and kind is not nn.Module:
            return found
    if next(module.children(), None) is not None:
        return "container"
    by_name = next((kind for pattern, kind in _BY_NAME if pattern.search(type(module).__name__)), "custom")
    return by_name if by_name != "embedding" or hasattr(module, "weight") else "custom"
