"""The few tensor functions that a layer list for PyTorch needs beside modules: merges, one step of a sequence, shapes.

PyTorch writes these as code in `forward`, so it has no modules for them. Names are Keras' where Keras has the layer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import msgspec
import torch

Tensors = list[torch.Tensor]


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """One function: what it does to the tensors, its arguments with their defaults (`...` for required), its kind."""

    call: Callable[..., torch.Tensor]
    arguments: dict[str, Any]
    kind: str
    least: int = 1


def _add(tensors: Tensors) -> torch.Tensor:
    return reduce(torch.add, tensors)


def _subtract(tensors: Tensors) -> torch.Tensor:
    return reduce(torch.sub, tensors)


def _multiply(tensors: Tensors) -> torch.Tensor:
    return reduce(torch.mul, tensors)


def _maximum(tensors: Tensors) -> torch.Tensor:
    return reduce(torch.maximum, tensors)


def _matmul(tensors: Tensors) -> torch.Tensor:
    return reduce(torch.matmul, tensors)


def _concatenate(tensors: Tensors, dim: int) -> torch.Tensor:
    return torch.cat(tensors, dim)


def _select(tensors: Tensors, dim: int, index: int) -> torch.Tensor:
    return tensors[0].select(dim, index)


def _mean(tensors: Tensors, dim: Any, keepdim: bool) -> torch.Tensor:
    return tensors[0].mean(dim, keepdim)


def _permute(tensors: Tensors, dims: list[int]) -> torch.Tensor:
    return tensors[0].permute(dims)


def _reshape(tensors: Tensors, shape: list[int]) -> torch.Tensor:
    return tensors[0].reshape(tensors[0].shape[0], *shape)


FUNCTIONS: dict[str, Function] = {
    "Add": Function(call=_add, arguments={}, kind="merge", least=2),
    "Subtract": Function(call=_subtract, arguments={}, kind="merge", least=2),
    "Multiply": Function(call=_multiply, arguments={}, kind="merge", least=2),
    "Maximum": Function(call=_maximum, arguments={}, kind="merge", least=2),
    "MatMul": Function(call=_matmul, arguments={}, kind="merge", least=2),
    "Concatenate": Function(call=_concatenate, arguments={"dim": 1}, kind="merge", least=2),
    "Select": Function(call=_select, arguments={"dim": 1, "index": -1}, kind="operation"),
    "Mean": Function(call=_mean, arguments={"dim": ..., "keepdim": False}, kind="operation"),
    "Permute": Function(call=_permute, arguments={"dims": ...}, kind="reshape"),
    "Reshape": Function(call=_reshape, arguments={"shape": ...}, kind="reshape"),
}
"""`Reshape` takes a shape without the batch axis; axes of all others count the batch axis as 0."""
