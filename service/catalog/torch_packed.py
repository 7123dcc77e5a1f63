"""Tensors inside opaque objects: packed parameters of quantised layers, prepacked operator contexts; knows no layer."""

from __future__ import annotations

from typing import Any

from service.catalog.torch_tensors import Tensor, is_tensor, tensor_of
from service.catalog.torch_values import mapping_of, sequence_of
from service.parsers.pickle_types import Instance

_MAX_NODES = 500
_MAX_TENSORS = 64


def is_opaque(value: Any) -> bool:
    """Whether a value is an object of a compiled class, which keeps its tensors in a state of its own."""
    return isinstance(value, Instance) and (
        value.path == "torch.ScriptObject" or value.path.startswith("__torch__.torch.classes.")
    )


def tensors_in(name: str, value: Any) -> list[tuple[str, Tensor]]:
    """Every tensor inside, once, as `name[0]`, `name[1]` ... in the order they are stored."""
    found: dict[Any, Tensor] = {}
    pending, seen = [value], 0
    while pending and seen < _MAX_NODES and len(found) < _MAX_TENSORS:
        item = pending.pop()
        seen += 1
        tensor = tensor_of(item) if is_tensor(item) else None
        if tensor is not None:
            found.setdefault(tensor.identity, tensor)
            continue
        pending.extend(list(_inside(item))[:_MAX_NODES][::-1])
    return [(f"{name}[{index}]", tensor) for index, tensor in enumerate(found.values())]


def _inside(value: Any) -> list[Any] | tuple[Any, ...]:
    items = sequence_of(value)
    if items is not None:
        return items
    if is_opaque(value):
        return (value.state,)
    return list((mapping_of(value) or {}).values())


def packed_role(tensor: Tensor) -> str:
    """What a tensor of a packed object is: the quantised kernel, or the bias beside it."""
    if tensor.form == "quantized":
        return "packed_kernel"
    return "bias" if tensor.shape is not None and len(tensor.shape) == 1 else "constant"
