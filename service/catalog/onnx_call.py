"""What a rule on sizes is asked: an operator with its attributes and inputs; knows no operator.

Also two small questions on sizes that many rules ask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from service.catalog.onnx_attributes import number, numbers
from service.catalog.onnx_constants import Value
from service.parsers.onnx_messages import Attribute
from service.tree import Shape


class Call(NamedTuple):
    """An operator, its attributes, what it gets (None where left out), and how many outputs it has."""

    op: str
    attributes: Mapping[str, Attribute]
    ins: Sequence[Value | None]
    outs: int

    def shape(self, index: int) -> Shape | None:
        """Sizes of an input."""
        value = self.ins[index] if index < len(self.ins) else None
        return None if value is None else value.shape

    def ints(self, index: int, attribute: str = "") -> tuple[int, ...] | None:
        """Whole numbers of an input, or of an attribute that older versions have for it; None if any is unknown."""
        value = self.ins[index] if index < len(self.ins) else None
        if value is None:
            return numbers(self.attributes, attribute)
        found = value.ints
        return None if found is None or None in found else tuple(one for one in found if one is not None)

    def given(self, index: int) -> bool:
        """Whether an optional input is there."""
        return index < len(self.ins) and self.ins[index] is not None


def together(shapes: Sequence[Shape]) -> Shape | None:
    """The shape that all of these are stretched to; None if they do not fit."""
    found: list[int | None] = []
    for sizes in zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1):
        above = {size for size in sizes if size is not None and size != 1}
        if len(above) > 1:
            return None
        found.append(above.pop() if above else None if None in sizes else 1)
    return tuple(found[::-1])


def times(sizes: Shape) -> int | None:
    """The product of sizes; None if one is open."""
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def part(call: Call, shape: Shape) -> Shape:
    """The sizes that `Shape` with its attributes start and end gives."""
    return shape[slice(number(call.attributes, "start", 0), number(call.attributes, "end", None))]
