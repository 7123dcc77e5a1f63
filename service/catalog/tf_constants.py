"""What the constants and variables of a GraphDef hold: types, shapes, sizes and places, from their attributes.

Knows nodes and tensors; must not know what reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.catalog.tf_graph import Held
from service.catalog.tf_ops import VARIABLES
from service.catalog.tf_variables import Variable, byte_count
from service.parsers.tensorflow_attributes import settings
from service.parsers.tensorflow_graph import Declared
from service.parsers.tensorflow_nodes import Node
from service.parsers.tensorflow_tensor import Constant
from service.source import Source
from service.tree import Location, Shape, element_count


def held_by(one: Constant) -> Held:
    """What a constant holds; a splat's single number is told beside its logical count."""
    count = element_count(one.shape)
    location = None
    if one.content is not None and byte_count(one.shape, one.dtype) == one.content.length:
        location = Location(offset=one.content.offset, length=one.content.length)
    fewer = one.content is None and one.numbers is not None and count is not None and one.numbers < count
    return Held(
        shape=one.shape,
        dtype=one.dtype,
        bytes=one.stored,
        location=location,
        stored_count=one.numbers if fewer else None,
    )


def variables(source: Source, nodes: Iterable[Node], trainable: Mapping[str, bool] | None = None) -> list[Variable]:
    """The variables of a graph, in stored order; `trainable` is what collections say, by name."""
    found: list[Variable] = []
    for node in nodes:
        if node.op not in VARIABLES:
            continue
        told = settings(source, node)
        shape, dtype = _shape(told.get("shape")), told.get("dtype")
        found.append(
            Variable(
                name=node.name,
                key=node.name,
                shape=shape,
                dtype=dtype if isinstance(dtype, str) else None,
                trainable=trainable.get(node.name) if trainable is not None else None,
                bytes=byte_count(shape, dtype if isinstance(dtype, str) else None),
            )
        )
    return found


def wholes(found: Sequence[Variable], declared: Mapping[str, Declared]) -> list[Variable]:
    """`found` with each partitioned variable in the place of its slices (`part_0` ...), as it was declared."""
    kept: dict[str, Variable] = {}
    for one in found:
        told = declared.get(one.name)
        if told is None or told.whole == one.name:
            kept[one.name] = one
        elif told.whole not in kept:
            kept[told.whole] = Variable(
                name=told.whole, key=told.whole, shape=told.shape, dtype=one.dtype, trainable=one.trainable,
                bytes=byte_count(told.shape, one.dtype),
            )  # fmt: skip
    return list(kept.values())


def _shape(told: Any) -> Shape | None:
    return tuple(told) if isinstance(told, list) and all(size is None or type(size) is int for size in told) else None
