"""The settings of layers in both frameworks' conventions; knows argument names and what they mean, no alignment.

Sources: `keras.layers` and `torch.nn` documentation. Keras' BatchNormalization keeps `momentum` of the old average,
PyTorch takes `momentum` of the new one; LeakyReLU's slope is `negative_slope` in both (`alpha` before Keras 3).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.language import Message, msg
from service.plain import is_number
from service.tree import Layer

Config = dict[str, Any]
Convert = Callable[[Any, Layer], Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting under its names in both frameworks.

    `to_torch`, `to_keras`: the value in the other convention, None where it has none.
    `text`: what to say about the conversion.
    """

    name: str
    keras: tuple[str, ...]
    torch: tuple[str, ...]
    to_torch: Convert
    to_keras: Convert
    text: Message | None = None


def number(value: Any) -> float | int | None:
    """A finite number that is no truth value."""
    return value if is_number(value) and math.isfinite(value) else None


def same(value: Any, _: Layer) -> Any:
    """A plain value means the same in both frameworks."""
    return value if isinstance(value, int | float | str | bool) else None


def per_axis(value: Any, layer: Layer) -> Any:
    """One number per axis: [2, 2]; one number stands for all axes."""
    if isinstance(value, list | tuple):
        return [item for item in value if number(item) is not None][:8]
    rank = next((int(digit) for digit in layer.kind if digit in "123"), 0) or _rank_by_type(layer)
    return None if number(value) is None or not rank else [value] * rank


def _rank_by_type(layer: Layer) -> int:
    return next((int(digit) for digit in layer.type or "" if digit in "123"), 0)


def _complement(value: Any, _: Layer) -> Any:
    given = number(value)
    return None if given is None or not 0 <= given <= 1 else round(1 - given, 12)


def _padding_to_torch(value: Any, layer: Layer) -> Any:
    """`valid` is 0; `same` what it adds: one number per axis, or (before, after) where these are not the same.

    At stride s on n positions `same` adds max((ceil(n / s) - 1) s + extent - n, 0), the smaller half before
    (`tf.nn.convolution`); at stride 1 that is extent - 1 whatever n is.
    """
    if value == "valid":
        return per_axis(0, layer)
    window = per_axis(layer.config.get("kernel_size", layer.config.get("pool_size")), layer)
    steps = per_axis(layer.config.get("strides", 1), layer)
    rates = per_axis(layer.config.get("dilation_rate", 1), layer)
    if value != "same" or not window or not steps or not rates or not len(window) == len(steps) == len(rates):
        return None
    added = [_added(*sizes) for sizes in zip(window, steps, rates, _positions(layer, len(window)), strict=True)]
    if any(total is None for total in added):
        return None
    totals = [total or 0 for total in added]
    if all(total % 2 == 0 for total in totals):
        return [total // 2 for total in totals]
    return [[total // 2, total - total // 2] for total in totals]


def _positions(layer: Layer, rank: int) -> list[int | None]:
    """Sizes of the spatial axes of what goes in, None where not known."""
    shape = (layer.input_shapes or ((),))[0]
    if len(shape) != rank + 2:
        return [None] * rank
    return list(shape[2:] if layer.config.get("data_format") == "channels_first" else shape[1:-1])


def _added(size: Any, step: Any, rate: Any, positions: int | None) -> int | None:
    """What `same` adds along one axis, in all."""
    if not all(isinstance(item, int) and item > 0 for item in (size, step, rate)):
        return None
    extent: int = rate * (size - 1) + 1
    if step == 1:
        return extent - 1
    return None if positions is None else max((-(-positions // step) - 1) * step + extent - positions, 0)


def _padding_to_keras(value: Any, layer: Layer) -> Any:
    """0 is `valid`; what keeps the size at stride 1 is `same`; anything else has no word in Keras."""
    if value in ("same", "valid"):
        return value
    pads = per_axis(value, layer)
    if not pads:
        return None
    if not any(pads):
        return "valid"
    window, steps = per_axis(layer.config.get("kernel_size"), layer), per_axis(layer.config.get("stride", 1), layer)
    rates = per_axis(layer.config.get("dilation", 1), layer)
    if not window or not steps or not rates or any(step != 1 for step in steps):
        return None
    fits = all(2 * pad == rate * (size - 1) for pad, size, rate in zip(pads, window, rates, strict=False))
    return "same" if fits else None


def _masks_to_torch(value: Any, _: Layer) -> Any:
    return 0 if value is True else None


def _masks_to_keras(value: Any, _: Layer) -> Any:
    return True if value == 0 and number(value) is not None else None


_MOMENTUM = Setting(
    "momentum", ("momentum",), ("momentum",), _complement, _complement,
    msg("Keras' momentum is the share of the old average, PyTorch's that of the new one: one is 1 minus the other."),
)  # fmt: skip
_EPSILON = Setting("epsilon", ("epsilon",), ("eps", "epsilon"), same, same)
_STRIDES = Setting("strides", ("strides",), ("stride",), per_axis, per_axis)
_PADDING = Setting("padding", ("padding",), ("padding",), _padding_to_torch, _padding_to_keras)
_WINDOW = Setting("kernel_size", ("kernel_size",), ("kernel_size",), per_axis, per_axis)
_CONVOLUTION = (
    _WINDOW, _STRIDES, _PADDING,
    Setting("dilation", ("dilation_rate",), ("dilation",), per_axis, per_axis),
    Setting("groups", ("groups",), ("groups",), same, same),
)  # fmt: skip
_POOLING = (
    Setting("pool_size", ("pool_size",), ("kernel_size",), per_axis, per_axis),
    _STRIDES,
    _PADDING,
)
_SLOPE = Setting("negative_slope", ("negative_slope", "alpha"), ("negative_slope",), same, same,
                 msg("The default is 0.3 in Keras and 0.01 in PyTorch."))  # fmt: skip

SETTINGS: dict[str, tuple[Setting, ...]] = {
    "batch_norm": (_MOMENTUM, _EPSILON),
    "layer_norm": (_EPSILON,),
    "rms_norm": (_EPSILON,),
    "group_norm": (_EPSILON, Setting("groups", ("groups",), ("num_groups",), same, same)),
    "conv1d": _CONVOLUTION,
    "conv2d": _CONVOLUTION,
    "conv3d": _CONVOLUTION,
    "conv_transpose1d": (_WINDOW, _STRIDES),
    "conv_transpose2d": (_WINDOW, _STRIDES),
    "conv_transpose3d": (_WINDOW, _STRIDES),
    "depthwise_conv1d": (_WINDOW, _STRIDES, _PADDING),
    "depthwise_conv2d": (_WINDOW, _STRIDES, _PADDING),
    "pool": _POOLING,
    "embedding": (
        Setting(
            "padding",
            ("mask_zero",),
            ("padding_idx",),
            _masks_to_torch,
            _masks_to_keras,
            msg(
                "Keras' mask_zero hides index 0 from the layers after it, PyTorch's padding_idx only keeps that row"
                " from learning."
            ),
        ),
    ),
    "dropout": (Setting("rate", ("rate",), ("p",), same, same),),
    "activation": (
        _SLOPE,
        Setting("alpha", ("alpha",), ("alpha",), same, same),
    ),
    "multi_head_attention": (
        Setting("num_heads", ("num_heads",), ("num_heads",), same, same),
        Setting("dropout", ("dropout",), ("dropout",), same, same),
    ),
}
"""Settings by kind of layer, as far as both frameworks record them."""


def value_of(layer: Layer, names: tuple[str, ...]) -> Any:
    """The value recorded under the first of `names`; None if none is."""
    return next((layer.config[name] for name in names if layer.config.get(name) is not None), None)
