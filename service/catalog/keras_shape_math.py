"""Arithmetic of sizes along axes, as Keras does it; knows paddings and windows, not layers.

A size that is not fixed is None and stays None. Formulas: `keras.src.ops.operation_utils` and
`keras.src.backend.common.backend_utils` (transposed convolution).
"""

from __future__ import annotations

from typing import Any

from service.tree import Shape

Size = int | None


class ShapeUnknownError(Exception):
    """The sizes do not follow from what the configuration says."""


def whole(value: Any, low: int = 1) -> int:
    """`value` as a size of at least `low`; ShapeUnknownError otherwise."""
    if type(value) is not int or value < low or value >= 2**63:
        raise ShapeUnknownError
    return value


def wholes(value: Any, rank: int, low: int = 1) -> tuple[int, ...]:
    """`rank` sizes from a number or a list of them."""
    items = value if isinstance(value, (list, tuple)) else [value] * rank
    if len(items) != rank:
        raise ShapeUnknownError
    return tuple(whole(item, low) for item in items)


def product(sizes: Shape) -> Size:
    """All sizes multiplied; None if one is unknown."""
    total = 1
    for size in sizes:
        if size is None:
            return None
        total *= size
    return total


def windows(size: Size, window: int, stride: int, padding: Any, dilation: int = 1) -> Size:
    """How many positions a window takes along an axis of `size`."""
    if size is None:
        return None
    if padding in ("same", "causal"):
        return -(-size // stride)
    if padding != "valid":
        raise ShapeUnknownError
    return whole((size - dilation * (window - 1) - 1) // stride + 1, low=0)


def transposed(size: Size, window: int, stride: int, padding: Any, dilation: int, extra: int | None) -> Size:
    """Length after a transposed convolution; `extra` is the output padding, None for automatic."""
    if size is None:
        return None
    reach = dilation * (window - 1) + 1
    if padding == "valid":
        return (size - 1) * stride + reach + (max(reach, stride) - reach if extra is None else extra)
    return size * stride if extra is None else (size - 1) * stride + reach % 2 + extra


def broadcast(shapes: list[Shape]) -> Shape:
    """Common shape of an element-wise operation over all `shapes`, batch axis first."""
    rank = max(len(shape) for shape in shapes)
    aligned = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(_joined(sizes) for sizes in zip(*aligned, strict=True))


def _joined(sizes: tuple[Size, ...]) -> Size:
    known = {size for size in sizes if size not in (None, 1)}
    if len(known) > 1:
        raise ShapeUnknownError
    if known:
        return known.pop()
    return None if None in sizes else 1


def axis_index(axis: Any, rank: int) -> int:
    """A possibly negative axis as an index; ShapeUnknownError if out of range."""
    if type(axis) is not int or not -rank <= axis < rank:
        raise ShapeUnknownError
    return axis % rank


def spatial(shape: Shape, config: dict[str, Any]) -> tuple[Shape, Size, bool]:
    """Spatial sizes, channels, and whether the channels come first."""
    if len(shape) < 2:
        raise ShapeUnknownError
    if config.get("data_format") == "channels_first":
        return shape[2:], shape[1], True
    return shape[1:-1], shape[-1], False


def joined(batch: Size, sizes: tuple[Size, ...], channels: Size, channels_first: bool) -> Shape:
    """The inverse of `spatial`."""
    return (batch, channels, *sizes) if channels_first else (batch, *sizes, channels)
