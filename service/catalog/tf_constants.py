"""What the constants and variables of a GraphDef hold: types, shapes, sizes and places, from their attributes.

Knows nodes and tensors; must not know what reads them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from service.catalog.tf_graph import Held
from service.catalog.tf_ops import VARIABLES
from service.catalog.tf_variables import Variable, byte_count
from service.parsers.protobuf import BYTES, Field
from service.parsers.tensorflow_graph import Node, attributes, value_of
from service.parsers.tensorflow_tensor import Constant, read_constant
from service.parsers.tensorflow_types import dtype_name, shape_of
from service.source import Source
from service.tree import Location, Shape, element_count

_TENSOR, _TYPE, _SHAPE = 8, 6, 7


def constant_of(source: Source, places: Mapping[str, Field]) -> Held | None:
    """What a constant holds; a splat's single number is told beside its logical count. Raises InputError."""
    place = value_of(source, places.get("value"))
    if place is None or place.number != _TENSOR or place.wire != BYTES:
        return None
    return _held(read_constant(source, place))


def _held(one: Constant) -> Held:
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
        values = {name: value_of(source, place) for name, place in attributes(source, node).items()}
        shape = _shape(source, values.get("shape"))
        kind = values.get("dtype")
        dtype = dtype_name(kind.value) if kind is not None and kind.number == _TYPE else None
        switch = trainable.get(node.name) if trainable is not None else None
        found.append(
            Variable(
                name=node.name, key=node.name, shape=shape, dtype=dtype, trainable=switch,
                bytes=byte_count(shape, dtype),
            )
        )  # fmt: skip
    return found


def wholes(found: Sequence[Variable], whole_of: Mapping[str, str]) -> list[Variable]:
    """`found` without slices of partitioned variables (`part_0` ...), which stand for one with the name in `whole_of`.

    The shape of the whole is not in the graph; it is left to the checkpoint.
    """
    kept: dict[str, Variable] = {}
    for one in found:
        name = whole_of.get(one.name, one.name)
        if name == one.name:
            kept[name] = one
        else:
            kept.setdefault(name, Variable(name=name, key=name, shape=None, dtype=one.dtype, trainable=one.trainable))
    return list(kept.values())


def _shape(source: Source, value: Field | None) -> Shape | None:
    if value is None or value.number != _SHAPE or value.wire != BYTES:
        return None
    return shape_of(source, value)
