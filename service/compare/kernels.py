"""Canonical views of single weights: axis orders and einsum equations; knows layouts, not which layer has which.

Sources: Keras keeps kernels as HWIO, HWIM (depthwise) and HWOI (transposed), PyTorch as OIHW and IOHW
(`torch.nn.Conv2d`, `torch.nn.ConvTranspose2d`); a Dense kernel is (in, out), a Linear weight (out, in).
"""

from __future__ import annotations

from math import prod

from service.compare.units import View, sizes, whole
from service.tree import Layer, Weight

_SPATIAL = "DHW"


def linear(layer: Layer, weight: Weight, torch: bool) -> View:
    """(in, out) of a kernel of two axes; whole for any other."""
    shape = sizes(weight)
    if shape is None or len(shape) != 2:
        return whole(layer, weight)
    swapped = weight.layout == "out-in" or (weight.layout is None and torch)
    axes = (1, 0) if swapped else (0, 1)
    return View(layer=layer, weight=weight, shape=(shape[axes[0]], shape[axes[1]]), axes=axes)


def convolution(layer: Layer, weight: Weight, layout: str) -> View:
    """(*spatial, in per group, out) of a `layout` such as OIHW; a multiplier M per channel gives I x M outputs."""
    shape = sizes(weight)
    if not shape or len(shape) != len(layout) or not _is_known(layout):
        return whole(layer, weight)
    spatial = tuple(layout.index(axis) for axis in _SPATIAL if axis in layout)
    if "M" in layout:
        final = (*(shape[axis] for axis in spatial), 1, shape[-2] * shape[-1])
        return View(layer=layer, weight=weight, shape=final, fold=final)
    axes = (*spatial, layout.index("I"), layout.index("O"))
    return View(layer=layer, weight=weight, shape=tuple(shape[axis] for axis in axes), axes=axes)


def _is_known(layout: str) -> bool:
    """Whether each axis is there once: inputs, with outputs or a multiplier, and those of space."""
    named = set(layout)
    return len(named) == len(layout) and named.difference(_SPATIAL) in ({"I", "O"}, {"I", "M"})


def reshaped(layer: Layer, weight: Weight, split: int) -> View:
    """(in, out) of a kernel whose first `split` axes are inputs and whose others are outputs."""
    shape = sizes(weight)
    if shape is None or not 0 < split < len(shape):
        return flat(layer, weight)
    final = (prod(shape[:split]), prod(shape[split:]))
    return View(layer=layer, weight=weight, shape=final, fold=final)


def flat(layer: Layer, weight: Weight) -> View:
    """A vector of all elements."""
    shape = sizes(weight)
    if shape is None or len(shape) == 1:
        return whole(layer, weight)
    return View(layer=layer, weight=weight, shape=(prod(shape),), fold=(prod(shape),))


def rows(layer: Layer, weight: Weight, start: int, stop: int, *, swap: bool) -> View:
    """Rows `start` to `stop` of a matrix, as (in, out) if they are (out, in); of a vector, as a vector."""
    shape = sizes(weight) or ()
    if len(shape) == 1:
        return View(layer=layer, weight=weight, shape=(stop - start,), rows=(start, stop))
    axes = (1, 0) if swap else (0, 1)
    cut = (stop - start, shape[1])
    return View(layer=layer, weight=weight, shape=(cut[axes[0]], cut[axes[1]]), rows=(start, stop), axes=axes)


def row(layer: Layer, weight: Weight, index: int) -> View:
    """One row of a matrix, as a vector."""
    width = (sizes(weight) or (0, 0))[1]
    return View(layer=layer, weight=weight, shape=(width,), rows=(index, index + 1), fold=(width,))


def einsum(layer: Layer, weight: Weight, equation: object) -> View:
    """(in, out) of an einsum kernel: the axes that are summed over, and the others, each in the kernel's order."""
    shape, letters = sizes(weight), _kernel_letters(equation)
    if shape is None or letters is None or len(letters[0]) != len(shape):
        return whole(layer, weight)
    kernel, output = letters
    inner = tuple(i for i, letter in enumerate(kernel) if letter not in output)
    outer = tuple(i for i, letter in enumerate(kernel) if letter in output)
    final = (prod(shape[i] for i in inner), prod(shape[i] for i in outer))
    return View(layer=layer, weight=weight, shape=final, axes=(*inner, *outer))


def _kernel_letters(equation: object) -> tuple[str, str] | None:
    """(kernel, output) of "abc,cd->abd"."""
    if not isinstance(equation, str) or len(equation) > 200:
        return None
    inputs, arrow, output = equation.replace("...", "").replace(" ", "").partition("->")
    parts = inputs.split(",")
    return (parts[1], output) if arrow and len(parts) == 2 else None
