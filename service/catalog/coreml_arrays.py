"""Weights of Core ML's neural network layers: which arrays each layer has, their roles and shapes, logical and stored.

Knows the field numbers of the parameters of each layer and how a quantised array is kept. Reads no file but for the
descriptions of arrays.

Source: mlmodel/format/NeuralNetwork.proto of coremltools.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from service.catalog.learning import free_role, learning
from service.language import msg
from service.parsers.coreml_weights import WeightParams
from service.tree import Location, Shape, Weight


class Expected(NamedTuple):
    """One array that a layer may have: the numbers of the fields that lead to it, and what it is."""

    fields: tuple[int, ...]
    name: str
    role: str
    shape: tuple[int, ...] | None
    layout: str | None = None
    strides: tuple[int, ...] | None = None


_GATES = {
    "gru": (
        ("updateGate", 30, 50, 70), ("resetGate", 31, 51, 71), ("outputGate", 32, 52, 72),
    ),
    "lstm": (
        ("inputGate", 1, 20, 40), ("forgetGate", 2, 21, 41), ("blockInput", 3, 22, 42), ("outputGate", 4, 23, 43),
    ),
}  # fmt: skip
"""Per gate: the beginning of its arrays' names, and the fields of its input matrix, recursion matrix and bias."""
_PEEPHOLES = (("inputGate", 60), ("forgetGate", 61), ("outputGate", 62))


def expected(layer: str, config: dict[str, Any]) -> tuple[Expected, ...]:
    """The arrays that `layer` may have, in the order of the specification; none for a type without arrays."""
    maker = _MAKERS.get(layer)
    return tuple(maker(config)) if maker is not None else ()


def _size(config: dict[str, Any], name: str, default: int = 0) -> int:
    value = config.get(name, default)
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _sizes(config: dict[str, Any], name: str) -> tuple[int, ...]:
    value = config.get(name, [])
    return tuple(item for item in value if isinstance(item, int)) if isinstance(value, list) else ()


def _convolution(config: dict[str, Any]) -> Iterator[Expected]:
    window = _sizes(config, "kernelSize") or (3, 3)
    yield from _convolved(config, _size(config, "kernelChannels"), window, (90,), (91,), "HW")


def _convolution3d(config: dict[str, Any]) -> Iterator[Expected]:
    window = tuple(_size(config, name) for name in ("kernelDepth", "kernelHeight", "kernelWidth"))
    inputs, groups = _size(config, "inputChannels"), _size(config, "nGroups", 1) or 1
    seen = inputs if config.get("isDeconvolution") else inputs // groups
    yield from _convolved(config, seen, window, (60,), (61,), "DHW")


def _convolved(
    config: dict[str, Any], seen: int, window: tuple[int, ...], kernel: tuple[int], bias: tuple[int], axes: str
) -> Iterator[Expected]:
    outputs, groups = _size(config, "outputChannels"), _size(config, "nGroups", 1) or 1
    if config.get("isDeconvolution"):
        yield Expected(kernel, "weights", "kernel", (seen, outputs // groups, *window), f"IO{axes}")
    else:
        yield Expected(kernel, "weights", "kernel", (outputs, seen, *window), f"OI{axes}")
    yield Expected(bias, "bias", "bias", (outputs,))


def _inner_product(config: dict[str, Any]) -> Iterator[Expected]:
    outputs = _size(config, "outputChannels")
    yield Expected((20,), "weights", "kernel", (outputs, _size(config, "inputChannels")), "out-in")
    yield Expected((21,), "bias", "bias", (outputs,))


def _batched_matmul(config: dict[str, Any]) -> Iterator[Expected]:
    inputs, outputs = _size(config, "weightMatrixFirstDimension"), _size(config, "weightMatrixSecondDimension")
    yield Expected((8,), "weights", "kernel", (outputs, inputs), "out-in")
    yield Expected((9,), "bias", "bias", (outputs,))


def _embedding(config: dict[str, Any]) -> Iterator[Expected]:
    """The table lies with one column per index: rows and columns change places through strides."""
    rows = _size(config, "inputDim") or _size(config, "vocabSize")
    width = _size(config, "outputChannels") or _size(config, "embeddingSize")
    yield Expected((20,), "weights", "embedding", (rows, width), strides=(1, rows))
    yield Expected((21,), "bias", "bias", (width,))


def _batch_norm(config: dict[str, Any]) -> Iterator[Expected]:
    shape = (_size(config, "channels"),)
    names = (("gamma", "scale"), ("beta", "offset"), ("mean", "moving_mean"), ("variance", "moving_variance"))
    for number, (name, role) in zip((15, 16, 17, 18), names, strict=True):
        yield Expected((number,), name, role, shape)


def _layer_norm(config: dict[str, Any]) -> Iterator[Expected]:
    shape = _sizes(config, "normalizedShape")
    yield Expected((3,), "gamma", "scale", shape)
    yield Expected((4,), "beta", "offset", shape)


def _scale(config: dict[str, Any]) -> Iterator[Expected]:
    yield Expected((2,), "scale", "parameter", _sizes(config, "shapeScale"))
    yield Expected((5,), "bias", "bias", _sizes(config, "shapeBias"))


def _bias(config: dict[str, Any]) -> Iterator[Expected]:
    yield Expected((2,), "bias", "bias", _sizes(config, "shape"))


def _constant(config: dict[str, Any]) -> Iterator[Expected]:
    shape = _sizes(config, "shape")
    yield Expected((2,), "data", free_role("float32", shape), shape)


def _activation(_config: dict[str, Any]) -> Iterator[Expected]:
    yield Expected((25, 1), "alpha", "slope", None)
    yield Expected((71, 1), "alpha", "parameter", None)
    yield Expected((71, 2), "beta", "parameter", None)


def _recurrent(config: dict[str, Any]) -> Iterator[Expected]:
    inputs, units = _size(config, "inputVectorSize"), _size(config, "outputVectorSize")
    yield Expected((30,), "weightMatrix", "kernel", (units, inputs), "out-in")
    yield Expected((31,), "recursionMatrix", "recurrent_kernel", (units, units), "out-in")
    yield Expected((32,), "biasVector", "bias", (units,))


def _gru(config: dict[str, Any]) -> Iterator[Expected]:
    yield from _gated(config, "gru", (), "")


def _lstm(config: dict[str, Any]) -> Iterator[Expected]:
    yield from _gated(config, "lstm", (20,), "")


def _gated(config: dict[str, Any], cell: str, lead: tuple[int, ...], prefix: str) -> Iterator[Expected]:
    inputs, units = _size(config, "inputVectorSize"), _size(config, "outputVectorSize")
    gates = _GATES[cell]
    for gate, number, _, _ in gates:
        yield Expected((*lead, number), f"{prefix}{gate}WeightMatrix", "kernel", (units, inputs), "out-in")
    for gate, _, number, _ in gates:
        name = f"{prefix}{gate}RecursionMatrix"
        yield Expected((*lead, number), name, "recurrent_kernel", (units, units), "out-in")
    for gate, _, _, number in gates:
        yield Expected((*lead, number), f"{prefix}{gate}BiasVector", "bias", (units,))
    if cell == "lstm":
        for gate, number in _PEEPHOLES:
            yield Expected((*lead, number), f"{prefix}{gate}PeepholeVector", "weight", (units,))


def directions(config: dict[str, Any]) -> tuple[tuple[Expected, ...], ...]:
    """Arrays of the forward and the backward cell of a bidirectional LSTM, whose messages follow each other."""
    return tuple(tuple(_gated(config, "lstm", (), prefix)) for prefix in ("forward/", "backward/"))


_MAKERS = {
    "convolution": _convolution, "convolution3d": _convolution3d, "innerProduct": _inner_product,
    "batchedMatmul": _batched_matmul, "embedding": _embedding, "embeddingND": _embedding, "batchnorm": _batch_norm,
    "layerNormalization": _layer_norm, "scale": _scale, "bias": _bias, "loadConstant": _constant,
    "loadConstantND": _constant, "activation": _activation, "simpleRecurrent": _recurrent, "gru": _gru,
    "uniDirectionalLSTM": _lstm,
}  # fmt: skip

class Training(NamedTuple):
    """What the file says of training: whether the model, and the layer in it, may be updated on the device."""

    model: bool
    layer: bool


def weights_of(what: Expected, stored: WeightParams, training: Training, member: str | None) -> tuple[Weight, ...]:
    """The array as a weight, and the scales, offsets or table that turn quantised values back."""
    shape = what.shape if what.shape is not None else (stored.values,)
    count = math.prod(size for size in shape if size is not None) if None not in shape else None
    updatable = training.layer and stored.updatable if training.model else None
    group, trainable, source = learning(what.role, stored.dtype, updatable, logical="float32")
    own = Weight(
        name=what.name, role=what.role, shape=shape, dtype=stored.dtype, count=count,
        stored_count=stored.bytes if stored.values is None else None, bytes=stored.bytes, layout=what.layout,
        group=group, trainable=trainable, trainable_source=source,
        location=_location(what, stored, count, member),
    )  # fmt: skip
    return (own, *_quantization(what.name, stored, member)) if stored.bits else (own,)


def expected_bytes(what: Expected, stored: WeightParams) -> int | None:
    """Bytes that an array of this shape and element type needs; None where the shape is not recorded."""
    if what.shape is None:
        return None
    count = math.prod(what.shape)
    if stored.values is None:
        return (count * stored.bits + 7) // 8
    return count * (stored.bytes // stored.values if stored.values else 0)


def _location(what: Expected, stored: WeightParams, count: int | None, member: str | None) -> Location | None:
    if stored.offset is None or stored.values is None or stored.values != count:
        return None
    return Location(member=member, offset=stored.offset, length=stored.bytes, strides=what.strides)


def _quantization(name: str, stored: WeightParams, member: str | None) -> Iterator[Weight]:
    extras = (("scale", "quant_scale", stored.scales), ("bias", "zero_point", stored.biases),
              ("table", "quant_scale", stored.table))  # fmt: skip
    for (what, role, count), offset in zip(extras, stored.extras, strict=True):
        if count:
            place = None if offset is None else Location(member=member, offset=offset, length=4 * count)
            yield beside(f"{name}.{what}", role, (count,), "float32", 4 * count, place)


def beside(name: str, role: str, shape: Shape, dtype: str | None, length: int | None, place: Location | None) -> Weight:
    """An array that belongs to how another is stored."""
    count = math.prod(size for size in shape if size is not None) if None not in shape else None
    return Weight(
        name=name, role=role, shape=shape, dtype=dtype, count=count, bytes=length, group="statistic", trainable=False,
        trainable_source="rule", location=place,
    )  # fmt: skip


NO_TRAINING = msg(
    "Core ML records which weights may be updated only in a model that is made to be updated on the device; this one "
    "is not, so whether a weight was trained is not known. Moving statistics are told by rule."
)
