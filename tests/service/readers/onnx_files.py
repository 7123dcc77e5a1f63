"""Small ONNX models made with the onnx package, and what reading them gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from service.config import Limits
from service.enrich.pipeline import enrich
from service.formats import Upload
from service.readers import onnx as reader
from service.source import BytesSource, Meter
from service.tree import Layer, Model, Weight

FLOAT = TensorProto.FLOAT


def floats(name: str, *shape: int, dtype: Any = np.float32) -> onnx.TensorProto:
    """An initializer of this shape, with values that are no two alike."""
    return numpy_helper.from_array(np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype), name)


def ints(name: str, *values: int) -> onnx.TensorProto:
    """An initializer with these values."""
    return numpy_helper.from_array(np.array(values, np.int64), name)


def graph(
    nodes: Sequence[onnx.NodeProto], inputs: Mapping[str, Sequence[Any]], outputs: Sequence[str],
    initializers: Sequence[onnx.TensorProto] = (), **more: Any,
) -> onnx.GraphProto:  # fmt: skip
    """A graph of float tensors."""
    return helper.make_graph(
        list(nodes), "tested",
        [helper.make_tensor_value_info(name, FLOAT, list(shape)) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        list(initializers), **more,
    )  # fmt: skip


def model(of: onnx.GraphProto, opset: int = 21, **more: Any) -> onnx.ModelProto:
    """A model of a graph; further domains as `domains`."""
    imports = [helper.make_opsetid("", opset), *[helper.make_opsetid(name, 1) for name in more.pop("domains", ())]]
    return helper.make_model(of, opset_imports=imports, producer_name="tester", producer_version="1.2", **more)


def upload(parts: Mapping[str, bytes] | bytes | onnx.ModelProto, **limits: int) -> Upload:
    """Files by name, or one file."""
    meter = Meter(Limits(**limits))
    if isinstance(parts, onnx.ModelProto):
        parts = parts.SerializeToString()
    files = {"model.onnx": parts} if isinstance(parts, bytes) else parts
    return Upload({name: BytesSource(data, meter) for name, data in files.items()}, meter)


def read(parts: Mapping[str, bytes] | bytes | onnx.ModelProto, **limits: int) -> Model:
    """The model, enriched; the reader must have accepted it."""
    given = upload(parts, **limits)
    assert reader.accept(given)
    found = reader.read(given)
    assert isinstance(found, Model)
    return enrich(found)


def one(nodes: Sequence[onnx.NodeProto] | onnx.NodeProto, shape: Sequence[Any], *initializers: onnx.TensorProto,
        opset: int = 21, domains: Sequence[str] = ()) -> Model:  # fmt: skip
    """A model from `x` to `y`."""
    nodes = [nodes] if isinstance(nodes, onnx.NodeProto) else nodes
    return read(model(graph(nodes, {"x": shape}, ["y"], initializers), opset, domains=domains))


def layer(found: Model, path: str) -> Layer:
    """The layer at a path."""
    return next(layer for layer in found.layers if layer.path == path)


def weights(found: Model) -> dict[str, Weight]:
    """Every weight by layer and name."""
    return {f"{layer.path}/{weight.name}": weight for layer in found.layers for weight in layer.weights}


def roles(layer: Layer) -> dict[str, str]:
    """Roles by name."""
    return {weight.name: weight.role for weight in layer.weights}
