"""Output shapes of layers that run other layers (wrappers, cells, both directions) and of tensor operations.

Knows how each wrapper feeds its inner layer; what the inner layer does it asks the caller.
"""

from __future__ import annotations

from collections.abc import Callable

from service.catalog.keras_config import Spec, parse_layer
from service.catalog.keras_shape_math import ShapeUnknownError, broadcast, whole
from service.catalog.keras_shape_rules import Shapes, recurrent
from service.tree import Shape

Inner = Callable[[Spec, Shapes], Shapes]
"""Output shapes of an inner layer; raises ShapeUnknownError."""

_ELEMENTWISE_OPERATIONS = frozenset(
    {
        "Add",
        "Subtract",
        "Multiply",
        "Divide",
        "TrueDivide",
        "Maximum",
        "Minimum",
        "Relu",
        "Relu6",
        "Sigmoid",
        "Tanh",
        "Gelu",
        "Silu",
        "Softmax",
        "Cast",
        "Abs",
        "Sqrt",
        "Square",
        "Exp",
        "Log",
        "Negative",
        "math.add",
        "math.subtract",
        "math.multiply",
        "math.divide",
        "math.truediv",
        "math.maximum",
        "math.minimum",
        "__operators__.add",
        "__operators__.sub",
        "__operators__.mul",
        "__operators__.truediv",
        "nn.relu",
        "nn.relu6",
        "nn.sigmoid",
        "nn.tanh",
        "nn.gelu",
        "nn.silu",
        "nn.softmax",
        "math.sigmoid",
        "math.tanh",
        "math.abs",
        "math.sqrt",
        "math.square",
        "math.exp",
        "math.log",
        "math.negative",
        "cast",
        "identity",
    }
)


def _inner(spec: Spec, key: str = "layer") -> Spec:
    found = parse_layer(spec.config.get(key), f"{spec.pointer}/config/{key}")
    if found is None:
        raise ShapeUnknownError
    return found


def transparent(spec: Spec, shapes: Shapes, inner: Inner) -> Shapes:
    """What the inner layer gives."""
    return inner(_inner(spec), shapes)


def time_distributed(spec: Spec, shapes: Shapes, inner: Inner) -> Shapes:
    """The inner layer on each step: the time axis is taken out and put back."""
    if len(shapes[0]) < 3:
        raise ShapeUnknownError
    results = inner(_inner(spec), [(shapes[0][0], *shapes[0][2:])])
    return [(shape[0], shapes[0][1], *shape[1:]) for shape in results]


def bidirectional(spec: Spec, shapes: Shapes, inner: Inner) -> Shapes:
    """Both directions: joined at the last axis, merged in place, or side by side."""
    results = inner(_inner(spec), shapes[:1])
    output, states = results[0], results[1:]
    mode = spec.config.get("merge_mode", "concat")
    if mode == "concat":
        outputs = [(*output[:-1], None if output[-1] is None else 2 * output[-1])]
    else:
        outputs = [output, output] if mode is None else [output]
    return [*outputs, *states, *states]


def rnn(spec: Spec, shapes: Shapes, _inner_shapes: Inner) -> Shapes:
    """Any recurrent layer around a cell, or around several in a row."""
    cells = _cells(spec)
    states = [state for cell in cells for state in _states(cell)]
    return recurrent(spec.config, shapes, _features(cells[-1]), states)


def _cells(spec: Spec) -> list[Spec]:
    value = spec.config.get("cell")
    if isinstance(value, dict) and value.get("class_name") == "StackedRNNCells":
        config = value.get("config")
        value = config.get("cells") if isinstance(config, dict) else None
    items = value if isinstance(value, list) else [value]
    cells = [parse_layer(item) for item in items]
    found = [cell for cell in cells if cell is not None]
    if not found or len(found) != len(cells):
        raise ShapeUnknownError
    return found


def _features(cell: Spec) -> Shape:
    if cell.class_name not in ("LSTMCell", "GRUCell", "SimpleRNNCell"):
        raise ShapeUnknownError
    return (whole(cell.config.get("units")),)


def _states(cell: Spec) -> list[Shape]:
    return [_features(cell)] * (2 if cell.class_name == "LSTMCell" else 1)


def operation(spec: Spec, shapes: Shapes, _inner_shapes: Inner) -> Shapes:
    """Element-wise tensor operations; a constant operand is taken for a single number only."""
    function = spec.config.get("function")
    name = function if isinstance(function, str) else spec.class_name
    if name not in _ELEMENTWISE_OPERATIONS:
        raise ShapeUnknownError
    return [broadcast(shapes)]


WRAPPERS: dict[str, Callable[[Spec, Shapes, Inner], Shapes]] = {
    "TimeDistributed": time_distributed,
    "Bidirectional": bidirectional,
    "RNN": rnn,
    "SpectralNormalization": transparent,
    "Wrapper": transparent,
}
