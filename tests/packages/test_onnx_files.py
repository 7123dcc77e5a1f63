"""ONNX models of public packages are read as the onnx package reads them: every tensor, every node, every size."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from service.config import Limits
from service.enrich.pipeline import enrich
from service.formats import Upload
from service.registry import identify, load_readers
from service.source import FileSource, Meter
from service.tree import Layer, Model, Shape
from tests.packages.fetch import Shipped, fetch, manifest

EACH = pytest.mark.parametrize("file", manifest("onnx"), ids=lambda file: file.id)
PASSING = {"Constant", "ConstantOfShape", "Identity", "Cast", "Transpose", "DequantizeLinear", "QuantizeLinear"}
"""What is no layer of its own where it only holds or passes on constants."""


@functools.cache
def ours(file: Shipped) -> tuple[Model, int]:
    """The enriched model, and how many bytes were read for it."""
    with fetch(file).open("rb") as opened:
        meter = Meter(Limits())
        upload = Upload({"upload": FileSource(opened.fileno(), meter)}, meter)
        reader = identify(upload, load_readers())
        assert reader.FORMAT.id == file.format
        found = reader.read(upload)
        read = meter.read
    assert isinstance(found, Model)
    return enrich(found), read


@functools.cache
def theirs(file: Shipped) -> onnx.ModelProto:
    """The model as the onnx package loads it."""
    return onnx.load(fetch(file))


def tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Every stored tensor of a graph and those inside it; a Constant node's by the name of its output."""
    yield from graph.initializer
    for node in graph.node:
        for one in node.attribute:
            if node.op_type == "Constant" and one.name == "value":
                tensor = onnx.TensorProto()
                tensor.CopyFrom(one.t)
                tensor.name = node.output[0]
                yield tensor
            elif one.type == onnx.AttributeProto.GRAPH:
                yield from tensors(one.g)


def key(tensor: onnx.TensorProto) -> tuple[str, tuple[int, ...], str]:
    return tensor.name, tuple(tensor.dims), str(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))


@EACH
def test_every_tensor(file: Shipped) -> None:
    """Name, shape and element type of each stored tensor, once; their number and elements as first seen."""
    expected = Counter(key(tensor) for tensor in tensors(theirs(file).graph))
    held = [weight for layer in ours(file)[0].layers for weight in layer.weights]
    found = Counter(
        (weight.stored_as, weight.shape, weight.dtype)
        for weight in held
        if weight.tied_to is None and weight.stored_as is not None
    )
    assert found == expected
    assert (expected.total(), sum(math.prod(shape) for _, shape, _ in expected.elements())) == (
        file.weights, file.elements,
    )  # fmt: skip


@EACH
def test_values_are_where_we_say(file: Shipped) -> None:
    """The bytes at each weight's place are those that the onnx package decodes."""
    values = {key(tensor): numpy_helper.to_array(tensor) for tensor in tensors(theirs(file).graph)}
    data = fetch(file).read_bytes()
    checked = 0
    for layer in ours(file)[0].layers:
        for weight in layer.weights:
            place = weight.location
            if place is None or "/then_branch" in layer.path or "/else_branch" in layer.path:
                continue  # names may occur once in each branch
            expected = np.ascontiguousarray(values[weight.stored_as, weight.shape, weight.dtype])
            assert data[place.offset : place.offset + place.length] == expected.tobytes()
            checked += 1
    assert checked or "silero_vad.onnx" in file.id


def matched(file: Shipped) -> Iterator[tuple[Layer, onnx.NodeProto]]:
    """Layers of the main graph with the nodes they are, in order."""
    nodes = iter(theirs(file).graph.node)
    for layer in ours(file)[0].layers:
        if layer.uses != 1 or layer.kind == "input":
            continue
        for node in nodes:
            name = "/".join(step for step in node.name.partition(";")[0].split("/") if step)
            if node.op_type == layer.type and layer.path.startswith(name):
                yield layer, node
                break
            assert node.op_type in PASSING
        else:
            pytest.fail(f"{layer.path} is no node")


@EACH
def test_every_node(file: Shipped) -> None:
    """Each node of the main graph is a layer, in order; sizes never contradict onnx' own inference.

    They are known where it knows them for the most part. Nodes that only hold constants are no layers.
    """
    inferred = onnx.shape_inference.infer_shapes(theirs(file), data_prop=True)
    known: dict[str, Shape] = {}
    for value in (*inferred.graph.value_info, *inferred.graph.output):
        if value.type.tensor_type.HasField("shape"):
            axes = value.type.tensor_type.shape.dim
            known[value.name] = tuple(axis.dim_value if axis.dim_value > 0 else None for axis in axes)
    pairs = list(matched(file))
    assert len(pairs) >= sum(node.op_type not in PASSING for node in theirs(file).graph.node)
    told = expected = 0
    for layer, node in pairs:
        expected += all(name in known for name in node.output if name)
        told += layer.output_shapes is not None
        names = [name for name in node.output if name] if layer.output_shapes is not None else []
        for shape, name in zip(layer.output_shapes or (), names, strict=True):
            other = known.get(name)
            if other is not None:
                assert len(shape) == len(other)
                assert all(a is None or b is None or a == b for a, b in zip(shape, other, strict=True))
    assert told >= expected * 0.9 or told == expected - 1


@EACH
def test_explanations_hold(file: Shipped) -> None:
    """No formula contradicts the file; a convolution, a fully connected or a normalisation layer has a complete one."""
    found, _ = ours(file)
    assert not [finding for finding in found.findings if finding.rule in ("formula_mismatch", "config_mismatch")]
    for layer in found.layers:
        if layer.explanation is not None and layer.kind not in ("lstm", "gru", "simple_rnn"):
            assert layer.explanation.status == "complete"


@EACH
def test_little_is_read(file: Shipped) -> None:
    """Names and sizes, not values: a small part of a file whose tensors are large."""
    size = fetch(file).stat().st_size
    assert ours(file)[1] < max(size // 4, 400_000) + 100_000
