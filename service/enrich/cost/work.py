"""What one call of a layer does, as its rule found it, and how a rule asks for weights and sizes; knows no kind.

Multiply-accumulates (MACs) are those of matrix products and convolutions. FLOPs are two for each of them, and one for
every other addition, multiplication, comparison or elementary function of an element, as `method` says.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from math import prod
from typing import Any

from service.language import Message, msg
from service.tree import Layer, Weight

Sizes = tuple[int, ...]
"""A shape of which every size is known, the batch in front."""

SIZES_MISSING = msg("The sizes of its input are not known.")
WEIGHTS_MISSING = msg("Neither its weights nor its configuration tell how large it is.")
ONE_POSITION = msg(
    "Counted for one position of each example, because the sizes of its input are not known: with more positions it "
    "costs that many times as much."
)

FIRST_CALL = msg("A layer that is called several times is taken to see the same sizes each time.")
BEYOND = msg("Its sizes are beyond any model.")
MAX_NUMBER = 2**127
"""Above this a cost is an attack on whoever prints it, not a model."""

_PROJECTED = ("query", "key", "value", "output", "qkv")
KERNELS = frozenset({"kernel", "weight_v", "packed_kernel", *(f"{part}_kernel" for part in _PROJECTED)})
BIASES = frozenset({"bias", *(f"{part}_bias" for part in _PROJECTED)})


@dataclass(frozen=True, slots=True)
class Call:
    """One call: a layer's description with the sizes of what goes in and comes out, None where not known."""

    kind: str
    type: str
    config: dict[str, Any]
    weights: tuple[Weight, ...]
    ins: tuple[Sizes, ...] | None
    outs: tuple[Sizes, ...] | None
    batch: int
    torch: bool
    layer: Layer


@dataclass(frozen=True, slots=True)
class Work:
    """MACs and further FLOPs of a call; None where not known, `reason` says why.

    `partial` marks numbers for a part of the input, as `assumptions` say.
    """

    macs: int | None
    more: int | None
    method: Message
    assumptions: tuple[Message, ...] = ()
    partial: bool = False


def unknown(reason: Message) -> Work:
    """Nothing can be told."""
    return Work(None, None, reason)


def elements(call: Call, roles: Collection[str] = KERNELS) -> int | None:
    """Elements of all weights with one of `roles`; None if there is none or one has no size."""
    counts = [weight.count for weight in call.weights if weight.role in roles]
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None


def bias_elements(call: Call, roles: Collection[str] = BIASES) -> int:
    """Elements of the biases, 0 without."""
    return sum(weight.count or 0 for weight in call.weights if weight.role in roles)


def first_shape(call: Call, roles: Collection[str] = KERNELS) -> Sizes | None:
    """Shape of the first weight with one of `roles`, None unless every size is known."""
    return first_shape_of(call.weights, roles)


def first_shape_of(weights: tuple[Weight, ...], roles: Collection[str] = KERNELS) -> Sizes | None:
    """The same of a layer's weights."""
    for weight in weights:
        if weight.role in roles:
            return known_shape(weight)
    return None


def known_shape(weight: Weight) -> Sizes | None:
    """A weight's shape with every size known, else None."""
    if weight.shape is None or None in weight.shape:
        return None
    return tuple(size for size in weight.shape if size is not None)


def activated(call: Call) -> int:
    """FLOPs of the activation that a Keras layer applies to its own output."""
    value = call.config.get("activation")
    if isinstance(value, dict):
        value = value.get("class_name") if not isinstance(value.get("config"), str) else value["config"]
    if not isinstance(value, str) or value == "linear" or not call.outs:
        return 0
    return (SOFTMAX if value in ("softmax", "log_softmax") else 1) * prod(call.outs[0])


SOFTMAX = 5
"""Per element: the largest is found and subtracted, exponential, sum, division."""


def words(*lines: str) -> frozenset[str]:
    """The words of some lines: a readable way to write a long set of names."""
    return frozenset(word for line in lines for word in line.split())


def whole(value: Any, low: int = 1) -> int | None:
    """`value` as a size of at least `low`, None for anything else."""
    return value if type(value) is int and low <= value < 2**63 else None


def wholes(value: Any, rank: int, low: int = 1) -> Sizes | None:
    """`rank` sizes from a number, a list of one, or a list of `rank`; None for anything else."""
    if type(value) is int:
        return (value,) * rank if low <= value < 2**63 else None
    if not isinstance(value, (list, tuple)) or len(value) not in (1, rank):
        return None
    for item in value:
        if type(item) is not int or not low <= item < 2**63:
            return None
    return tuple(value) if len(value) == rank else tuple(value) * rank


def option(config: dict[str, Any], *names: str) -> Any:
    """The first of several spellings of one argument that is given."""
    for name in names:
        if config.get(name) is not None:
            return config[name]
    return None


def channel_axis(call: Call) -> int:
    """Axis of the channels: 1 in PyTorch and with `channels_first`, else the last."""
    return 1 if call.torch or call.config.get("data_format") == "channels_first" else -1


def places(shape: Sizes, axis: int) -> int:
    """Positions of a tensor over all examples: the product of every size but that of the channels."""
    return prod(shape) // shape[axis] if len(shape) > 1 and shape[axis] else 0
