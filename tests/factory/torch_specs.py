"""Layer lists for PyTorch with PyTorch's own account of each; runs under the PyTorch interpreter.

Leaves `specs.jsonl` and `expected.json`: per list, in the same order, the layers (`path`, `type`, `output`, `weights`
as [name, shape, dtype, kind, learns]), or null where PyTorch refuses. Every module is made with all its sizes written
out and is run on real tensors, so that what is inferred on the other side is checked against the real thing.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

SIZES = {
    "Conv": ("in_channels", 1), "ConvTranspose": ("in_channels", 1), "BatchNorm": ("num_features", 1),
    "InstanceNorm": ("num_features", 1), "GroupNorm": ("num_channels", 1), "Linear": ("in_features", -1),
    "LayerNorm": ("normalized_shape", -1), "RMSNorm": ("normalized_shape", -1), "LSTM": ("input_size", -1),
    "GRU": ("input_size", -1), "RNN": ("input_size", -1), "MultiheadAttention": ("embed_dim", -1),
    "TransformerEncoderLayer": ("d_model", -1),
}  # fmt: skip
"""The size that a specification may leave out, and the axis of the input that it is."""

FIXED: list[dict[str, Any]] = [
    {"framework": "torch", "name": "small_cnn", "input_shape": [1, 64, 64], "layers": [
        {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": "same"}, {"type": "ReLU"},
        {"type": "BatchNorm2d", "momentum": 0.85}, {"type": "Flatten"}, {"type": "Linear", "out_features": 100},
        {"type": "ReLU"}, {"type": "Linear", "out_features": 10}, {"type": "Softmax", "dim": 1}]},
    {"framework": "torch", "input_shape": [9, 16], "layers": [
        {"type": "TransformerEncoderLayer", "nhead": 4, "batch_first": True, "dim_feedforward": 8},
        {"type": "LSTM", "hidden_size": 6, "num_layers": 2, "bidirectional": True, "batch_first": True},
        {"type": "GRU", "hidden_size": 5, "batch_first": True, "bias": False}, {"type": "RMSNorm"}]},
    {"framework": "torch", "input_shape": [9, 16], "layers": [
        {"type": "LSTM", "hidden_size": 6, "proj_size": 3, "batch_first": True}, {"type": "Flatten"},
        {"type": "PReLU", "num_parameters": 27}, {"type": "Unflatten", "dim": 1, "unflattened_size": [3, 9]}]},
]  # fmt: skip

_RANDOM: dict[int, list[dict[str, Any]]] = {
    2: [{"type": "Linear", "out_features": 6}, {"type": "BatchNorm1d", "affine": False}, {"type": "LayerNorm"},
        {"type": "Dropout", "p": 0.3}, {"type": "GELU"}, {"type": "Linear", "out_features": 8, "bias": False},
        {"type": "Unflatten", "dim": 1, "unflattened_size": [2, -1]}, {"type": "Softmax", "dim": 1},
        {"type": "GLU"}],
    3: [{"type": "Conv1d", "out_channels": 4, "kernel_size": 3}, {"type": "MaxPool1d", "kernel_size": 2},
        {"type": "LSTM", "hidden_size": 3, "batch_first": True}, {"type": "GRU", "hidden_size": 4, "num_layers": 2,
         "batch_first": True}, {"type": "Flatten"}, {"type": "InstanceNorm1d", "affine": True},
        {"type": "MultiheadAttention", "num_heads": 2, "batch_first": True}, {"type": "AdaptiveAvgPool1d",
         "output_size": 3}, {"type": "ConvTranspose1d", "out_channels": 2, "kernel_size": 2, "stride": 2},
        {"type": "RNN", "hidden_size": 5, "nonlinearity": "relu", "batch_first": True, "bidirectional": True}],
    4: [{"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1, "groups": 1}, {"type": "ReLU"},
        {"type": "BatchNorm2d"}, {"type": "MaxPool2d", "kernel_size": 2}, {"type": "Flatten"}, {"type": "Upsample",
         "scale_factor": 2}, {"type": "GroupNorm", "num_groups": 2}, {"type": "PixelShuffle", "upscale_factor": 2},
        {"type": "ConvTranspose2d", "out_channels": 3, "kernel_size": 2, "bias": False}, {"type": "Dropout2d"},
        {"type": "AdaptiveMaxPool2d", "output_size": [2, 3]}, {"type": "ReflectionPad2d", "padding": [1, 0, 2, 1]},
        {"type": "Flatten", "start_dim": 2}],
}  # fmt: skip
"""Layers by the rank of input they take, for random lists."""


def written_out(item: dict[str, Any], tensor: torch.Tensor) -> nn.Module:
    """The module with the sizes that the list leaves out, from a real tensor."""
    arguments = {key: value for key, value in item.items() if key != "type"}
    name = item["type"]
    family = name[:-2] if name[-1] == "d" and name[-2].isdecimal() else name
    if family in SIZES:
        argument, axis = SIZES[family]
        arguments.setdefault(argument, tensor.shape[axis])
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    return getattr(nn, name)(**plain)


def account(spec: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Every module of the list with what it returns for a batch of two; None where PyTorch refuses."""
    tensor = torch.zeros(2, *spec["input_shape"])
    found: list[dict[str, Any]] = []
    try:
        for index, item in enumerate(spec["layers"]):
            module = written_out(item, tensor)
            outputs = module(tensor, tensor, tensor) if item["type"] == "MultiheadAttention" else module(tensor)
            flat = list(_flat(outputs))
            found += _modules(str(index), module, [list(output.shape) for output in flat])
            tensor = flat[0]
    except (RuntimeError, ValueError, AssertionError):
        return None
    return found


def _flat(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _flat(item)


def _modules(path: str, module: nn.Module, output: list[list[int]]) -> Iterator[dict[str, Any]]:
    for name, inner in module.named_modules():
        held = [(key, value, "parameter") for key, value in inner.named_parameters(recurse=False)]
        held += [(key, value, "buffer") for key, value in inner.named_buffers(recurse=False)]
        yield {
            "path": f"{path}.{name}" if name else path,
            "type": type(inner).__name__,
            "output": None if name else output,
            "weights": [
                [key, list(value.shape), str(value.dtype).removeprefix("torch."), kind, value.requires_grad]
                for key, value, kind in held
            ],
        }


def random_lists(count: int) -> Iterator[dict[str, Any]]:
    """Random layer lists; the rank of what each layer returns decides what may follow."""
    draw = random.Random(20261121)  # noqa: S311 - a corpus, not a secret
    for _ in range(count):
        shape = draw.choice([[8], [4, 12], [6, 10], [4, 12, 10], [3, 16, 16]])
        spec: dict[str, Any] = {"framework": "torch", "input_shape": shape, "layers": []}
        for _ in range(draw.randint(1, 7)):
            known = account(spec)
            rank = len(shape) + 1 if not spec["layers"] else len(_last(known)) if known else 0
            if rank not in _RANDOM:
                break
            spec["layers"].append(draw.choice(_RANDOM[rank]))
        yield spec


def _last(known: list[dict[str, Any]]) -> list[int]:
    return next(layer["output"][0] for layer in reversed(known) if layer["output"] is not None)


def main(target: Path) -> None:
    """Write every list."""
    torch.manual_seed(0)
    with (target / "specs.jsonl").open("w") as specs, torch.no_grad():
        expected = []
        for spec in (*FIXED, *random_lists(200)):
            specs.write(json.dumps(spec) + "\n")
            expected.append(account(spec))
    (target / "expected.json").write_text(json.dumps({"models": expected, "fixed": len(FIXED)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
