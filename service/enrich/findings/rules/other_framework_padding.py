"""Padding before a strided layer as the other framework would do it; knows how both pad."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.enrich.findings.context import Context
from service.enrich.findings.reading import CONVOLUTIONS, OTHER_CONVOLUTIONS, wholes
from service.enrich.findings.rule import Rule
from service.language import Message, msg
from service.tree import Finding, Layer

RULE = Rule(
    id="other_framework_padding",
    severity="info",
    title=msg("Padding as the other framework does it"),
    why=msg(
        "With a stride above 1, padding='same' in Keras pads more at the end than at the start, and padding=1 in "
        "PyTorch pads both ends alike. Both give the same shapes, and outputs that are shifted against each other."
    ),
    reference="https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2",
    needs=("framework", "graph", "config"),
)
_KEEP = msg("Right if the weights came from the other framework; otherwise the framework's own padding does.")


def check(context: Context) -> Iterator[Finding]:
    """One finding per padding layer before a strided convolution."""
    for layer in context.own("padding"):
        sides = _sides(layer, context.framework)
        following = context.after(layer)
        if sides is None or following is None or len(following) != 1 or not _pads_for(following[0]):
            continue
        if context.framework == "torch" and all(end == start + 1 for start, end in sides):
            yield RULE.found(_torch(layer, following[0]), _KEEP, layer.path)
        if context.framework == "keras" and _is_alike(layer, sides, following[0]):
            yield RULE.found(_keras(layer, following[0]), _KEEP, layer.path)


def _keras(layer: Layer, conv: Layer) -> Message:
    return msg("{layer} pads both ends alike before the strided {conv}: PyTorch's way, where padding='same' in Keras "
               "would pad the end more.", layer=layer.path, conv=conv.path)  # fmt: skip


def _torch(layer: Layer, conv: Layer) -> Message:
    return msg("{layer} pads the end more than the start before the strided {conv}: what padding='same' in Keras and "
               "TensorFlow does.", layer=layer.path, conv=conv.path)  # fmt: skip


def _pads_for(conv: Layer) -> bool:
    """Whether it is a strided convolution that pads nothing itself."""
    strides = wholes(conv.config.get("strides", conv.config.get("stride")))
    padding = conv.config.get("padding", conv.config.get("border_mode"))
    unpadded = padding == "valid" or (wholes(padding) is not None and not any(wholes(padding) or ()))
    kinds = (*CONVOLUTIONS, *OTHER_CONVOLUTIONS)
    return conv.kind in kinds and unpadded and strides is not None and all(stride > 1 for stride in strides)


def _is_alike(layer: Layer, sides: tuple[tuple[int, int], ...], conv: Layer) -> bool:
    """Whether both ends of each axis get half of the kernel's size, and `same` would have done otherwise."""
    kernel, strides = wholes(conv.config.get("kernel_size")), wholes(conv.config.get("strides"))
    sizes = _positions(layer)
    if (
        kernel is None
        or strides is None
        or sizes is None
        or not len(kernel) == len(strides) == len(sizes) == len(sides)
    ):
        return False
    half = all(start == end == size // 2 > 0 for (start, end), size in zip(sides, kernel, strict=True))
    return half and sides != tuple(map(_same, sizes, kernel, strides))


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """What `padding="same"` adds before and behind `size` positions (TensorFlow's documentation)."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _positions(layer: Layer) -> tuple[int, ...] | None:
    """Sizes of the axes that are padded; None where they are open."""
    if not layer.input_shapes:
        return None
    shape = layer.input_shapes[0]
    found = shape[2:] if layer.config.get("data_format") == "channels_first" else shape[1:-1]
    return tuple(size for size in found if size is not None) if None not in found else None


def _sides(layer: Layer, framework: str) -> tuple[tuple[int, int], ...] | None:
    """(start, end) of each axis that is padded; None if it is not with zeros or not recorded."""
    value = layer.config.get("padding")
    if not (layer.type or "").startswith(("ZeroPad", "ConstantPad")) or layer.config.get("value", 0) != 0:
        return None
    flat = _pairs(value) if framework == "keras" else wholes(value)
    if not flat or len(flat) % 2:
        return None
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _pairs(value: Any) -> tuple[int, ...] | None:
    """Keras' `[[top, bottom], [left, right]]`, or `[left, right]` in one dimension, as one row."""
    if not isinstance(value, list | tuple):
        return None
    found: list[int] = []
    for item in value:
        pair = wholes(item)
        if pair is None:
            return None
        found.extend(pair)
    return tuple(found)
