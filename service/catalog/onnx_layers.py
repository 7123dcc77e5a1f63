"""One ONNX node as a layer: our word for it, its weights, settings and sizes; knows no graph.

What an operator is called is not always what it is: a MatMul of two inputs is no fully connected layer, a Gather from a
list of indices no embedding. A kind is only given where the weights are those that it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from service.catalog.onnx_attributes import number, numbers
from service.catalog.onnx_constants import Value
from service.catalog.onnx_ops import CONVOLUTIONS, KINDS, KNOWN_DOMAINS, ML_DOMAIN
from service.parsers.onnx_messages import Attribute
from service.tree import Shape, Weight

_KERNELS = ("kernel", "packed_kernel")
_VECTORS = ("scale", "offset", "moving_mean", "moving_variance")
_PLAIN_RANK = 2
_MERGING = 2


def kind_of(
    op: str, domain: str, attributes: Mapping[str, Attribute], inputs: Sequence[Value | None], weights: Sequence[Weight]
) -> str:
    """Our word for a node."""
    if domain not in KNOWN_DOMAINS:
        return "custom"
    if op in CONVOLUTIONS:
        return _convolution(CONVOLUTIONS[op], attributes, inputs, weights)
    kind = KINDS.get(op, "preprocessing" if domain == ML_DOMAIN and op.endswith("Vectorizer") else "operation")
    check = _CHECKS.get(kind)
    if check is not None and not check(weights):
        return "operation"
    if kind == "merge" and sum(value is not None and value.view is None for value in inputs) < _MERGING:
        return "operation"
    return kind


def _convolution(
    family: str, attributes: Mapping[str, Attribute], inputs: Sequence[Value | None], weights: Sequence[Weight]
) -> str:
    kernel = next((weight for weight in weights if weight.role == "kernel"), None)
    window = numbers(attributes, "kernel_shape")
    first = inputs[0].shape if inputs and inputs[0] is not None else None
    shape = kernel.shape if kernel is not None else None
    rank = len(shape) - 2 if shape is not None else len(window) if window else len(first or ()) - 2
    if rank not in (1, 2, 3) or not _has_bias_of(weights, None):
        return "operation"
    groups = number(attributes, "group", 1)
    depthwise = family == "conv" and groups > 1 and shape is not None and shape[1] == 1 and rank <= _PLAIN_RANK
    return f"{'depthwise_' if depthwise else ''}{family}{rank}d"


def _is_linear(weights: Sequence[Weight]) -> bool:
    kernels = [weight for weight in weights if weight.role in _KERNELS]
    if len(kernels) != 1 or kernels[0].shape is None or len(kernels[0].shape) != _PLAIN_RANK:
        return False
    shape = kernels[0].shape
    units = shape[0] if kernels[0].layout == "out-in" else shape[1]
    return kernels[0].layout is not None and _has_bias_of(weights, units)


def _has_bias_of(weights: Sequence[Weight], units: int | None) -> bool:
    """Whether what is called a bias is a vector, with one value per unit."""
    biases = [weight for weight in weights if weight.role == "bias"]
    return all(_squeezed(weight.shape) and (units is None or weight.count == units) for weight in biases)


def _squeezed(shape: Shape | None) -> bool:
    return shape is not None and sum(size != 1 for size in shape) <= 1 and len(shape) > 0


def _is_table(weights: Sequence[Weight]) -> bool:
    return sum(weight.role == "embedding" for weight in weights) == 1


def _is_norm(weights: Sequence[Weight]) -> bool:
    vectors = {weight.shape for weight in weights if weight.role in _VECTORS}
    return len(vectors) <= 1 and not any(weight.role in ("bias", "parameter") for weight in weights)


def _is_recurrent(weights: Sequence[Weight]) -> bool:
    return all(weight.shape is not None and len(weight.shape) == 3 for weight in weights
               if weight.role in ("kernel", "recurrent_kernel"))  # fmt: skip


def _has_one_slope(weights: Sequence[Weight]) -> bool:
    return sum(weight.role == "slope" for weight in weights) == len(weights) == 1


_CHECKS = {
    "linear": _is_linear,
    "embedding": _is_table,
    **dict.fromkeys(("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"), _is_norm),
    **dict.fromkeys(("lstm", "gru", "simple_rnn"), _is_recurrent),
    "prelu": _has_one_slope,
}
"""Whether the weights are those of a kind, so that its formula is about them."""


def shapes_of(values: Sequence[Value | None]) -> tuple[Shape, ...] | None:
    """Sizes of what goes in or comes out, constants left out; None if any is not known."""
    shapes = [value.shape for value in values if value is not None and value.view is None]
    known = tuple(shape for shape in shapes if shape is not None)
    return known if shapes and len(known) == len(shapes) else None
