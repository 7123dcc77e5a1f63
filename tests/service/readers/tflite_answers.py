"""Holds what we read of TensorFlow Lite files against what TensorFlow's generated schema reads of them."""

from __future__ import annotations

from typing import Any

from service.catalog.tflite_weights import dtype_of
from service.config import Limits
from service.formats import Upload
from service.parsers.tflite import Tensor, read_contents
from service.readers import tflite
from service.source import BytesSource, Meter
from service.tree import Model, Weight


def upload(data: bytes) -> Upload:
    """One file."""
    meter = Meter(Limits())
    return Upload({"model.tflite": BytesSource(data, meter)}, meter)


def read(data: bytes) -> Model:
    """What the reader says of a file that it accepts."""
    given = upload(data)
    assert tflite.accept(given)
    return tflite.read(given)


def weights(model: Model) -> dict[str, Weight]:
    """By layer path and name."""
    return {f"{layer.path}/{weight.name}": weight for layer in model.layers for weight in layer.weights}


def hold(data: bytes, expected: dict[str, Any]) -> None:
    """Every tensor, operator and input of every subgraph is TensorFlow's; every one with data is a weight."""
    meter = Meter(Limits())
    contents = read_contents(BytesSource(data, meter), Limits())
    assert len(contents.subgraphs) == len(expected["subgraphs"])
    for ours, theirs in zip(contents.subgraphs, expected["subgraphs"], strict=True):
        found = [tensor(one, contents.buffers[one.buffer].length if contents.buffers[one.buffer] else 0)
                 for one in ours.tensors]  # type: ignore[union-attr]  # fmt: skip
        assert found == theirs["tensors"]
        assert list(ours.inputs) == theirs["inputs"]
    assert contents.description == expected["description"]
    assert sorted(one.key for one in contents.signatures) == expected["signatures"]
    _hold_model(read(data), expected)


def tensor(one: Tensor, size: int) -> dict[str, Any]:
    """One tensor as TensorFlow's answer has it."""
    scales = one.quantization.scales if one.quantization else 0
    return {"name": one.name, "shape": list(one.shape), "dtype": dtype_of(one), "bytes": size,
            "variable": one.is_variable, "scales": scales}  # fmt: skip


def _hold_model(model: Model, expected: dict[str, Any]) -> None:
    theirs = {
        (one["name"], tuple(one["shape"]), one["dtype"], one["bytes"])
        for graph in expected["subgraphs"]
        for one in graph["tensors"]
        if one["bytes"]
    }
    ours = {(one.stored_as, one.shape, one.dtype, one.bytes) for one in weights(model).values() if one.bytes}
    assert ours == theirs
    operators = sorted(name for graph in expected["subgraphs"] for name in graph["operators"])
    assert sorted(layer.type for layer in model.layers if layer.type not in (None, "SubGraph")) == operators
