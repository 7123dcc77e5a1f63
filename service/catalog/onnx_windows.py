"""Sizes after a convolution or pooling window, by ONNX' rules for strides, dilations and padding; knows no file.

Source: https://onnx.ai/onnx/operators/onnx__Conv.html, onnx__ConvTranspose.html and onnx__MaxPool.html
"""

from __future__ import annotations

from collections.abc import Mapping

from service.catalog.onnx_attributes import number, numbers, word
from service.parsers.onnx_messages import Attribute
from service.tree import Shape

Attributes = Mapping[str, Attribute]
_MAX = 1 << 62


def windowed(attributes: Attributes, shape: Shape | None, kernel: Shape | None) -> Shape | None:
    """Sizes after a convolution: [batch, filters, positions ...]; None if the sizes do not fit one another."""
    if kernel is None or len(kernel) < 3:
        return None
    rank = len(kernel) - 2
    if shape is not None and len(shape) != len(kernel):
        return None
    places = shape[2:] if shape is not None else (None,) * rank
    window = _window(attributes, rank, kernel[2:])
    found = _positions(attributes, places, window, rank)
    return None if found is None else (shape[0] if shape is not None else None, kernel[0], *found)


def pooled(attributes: Attributes, shape: Shape | None) -> Shape | None:
    """Sizes after a pooling window."""
    if shape is None or len(shape) < 3:
        return None
    rank = len(shape) - 2
    window = _window(attributes, rank, (None,) * rank)
    found = _positions(attributes, shape[2:], window, rank, up=bool(number(attributes, "ceil_mode", 0)))
    return None if found is None else (*shape[:2], *found)


def transposed(attributes: Attributes, shape: Shape | None, kernel: Shape | None) -> Shape | None:
    """Sizes after a transposed convolution."""
    if kernel is None or shape is None or len(kernel) < 3 or len(shape) != len(kernel):
        return None
    rank = len(kernel) - 2
    filters = None if kernel[1] is None else kernel[1] * number(attributes, "group", 1)
    wanted = numbers(attributes, "output_shape")
    if wanted:
        return (shape[0], filters, *wanted[-rank:])
    strides, dilations = _each(attributes, "strides", rank, 1), _each(attributes, "dilations", rank, 1)
    more, pads = _each(attributes, "output_padding", rank, 0), _each(attributes, "pads", 2 * rank, 0)
    if strides is None or dilations is None or more is None or pads is None:
        return None
    same = (word(attributes, "auto_pad") or "").startswith("SAME")
    found: list[int | None] = []
    window = _window(attributes, rank, kernel[2:])
    for axis, (size, width) in enumerate(zip(shape[2:], window, strict=True)):
        if size is None or width is None or max(size, width) > _MAX:
            found.append(None)
        elif same:
            found.append(size * strides[axis])
        else:
            reach = dilations[axis] * (width - 1) + 1 - pads[axis] - pads[axis + rank]
            found.append(strides[axis] * (size - 1) + more[axis] + reach)
    return (shape[0], filters, *found)


def _positions(
    attributes: Attributes, places: Shape, window: Shape, rank: int, *, up: bool = False
) -> Shape | None:
    strides, dilations = _each(attributes, "strides", rank, 1), _each(attributes, "dilations", rank, 1)
    pads, auto = _each(attributes, "pads", 2 * rank, 0), word(attributes, "auto_pad") or "NOTSET"
    if strides is None or dilations is None or pads is None or 0 in strides:
        return None
    found: list[int | None] = []
    for axis, (size, width) in enumerate(zip(places, window, strict=True)):
        if size is None or width is None:
            found.append(None)
        elif auto.startswith("SAME"):
            found.append(-(-size // strides[axis]))
        else:
            padded = size + (pads[axis] + pads[axis + rank] if auto == "NOTSET" else 0)
            found.append(_steps(padded - dilations[axis] * (width - 1) - 1, strides[axis], up=up))
    return tuple(found)


def _steps(room: int, stride: int, *, up: bool) -> int | None:
    """Positions of a window that can move by `room`; None where versions differ on a last one that hangs over."""
    if up and room % stride:
        return None
    return room // stride + 1


def _window(attributes: Attributes, rank: int, default: Shape) -> Shape:
    found = numbers(attributes, "kernel_shape")
    return found if found and len(found) == rank else default


def _each(attributes: Attributes, name: str, length: int, default: int) -> tuple[int, ...] | None:
    """One number per axis; the default where the attribute is missing, None where it has another length."""
    found = numbers(attributes, name)
    if not found:
        return (default,) * length
    return found if len(found) == length else None
