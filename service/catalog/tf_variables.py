"""A TensorFlow variable, wherever it was found, and how it becomes a weight that a Keras rule has already named.

Knows names, places and what was recorded about training; must not know files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from service.catalog.keras_names import Stored, stored
from service.language import Message, msg
from service.parsers.hdf5 import Dataset
from service.parsers.tensorflow_types import ITEM_BYTES
from service.plain import shortened, text
from service.tree import Group, Layer, Location, Shape, Source, Weight, element_count

AS_STORED = msg(
    "Which variables learn is told as it was recorded when they were made: a layer that was frozen later can still be "
    "marked as trainable in this file."
)
_KEPT_GROUPS = frozenset({"statistic", "optimizer", "ema", "other"})


class Variable(NamedTuple):
    """One variable.

    Attributes:
        name: As the program named it, scopes separated by `/`, without the number of its output.
        key: Under which its values are stored; unique.
        trainable: As recorded, None where the file does not say.
        bytes: Stored size, None if unknown.
        location: Where its values lie in one piece.
        slices: The shapes of the slices it is stored in, none if it is whole.
        meant: The element type that its values stand for, where they are stored quantized as another.
    """

    name: str
    key: str
    shape: Shape | None
    dtype: str | None
    trainable: bool | None = None
    bytes: int | None = None
    location: Location | None = None
    slices: tuple[Shape | None, ...] = ()
    meant: str | None = None

    @property
    def scope(self) -> str:
        """What stands before the last step of its name."""
        return self.name.rpartition("/")[0]

    @property
    def local(self) -> str:
        """The last step of its name."""
        return self.name.rpartition("/")[2]


def is_float(dtype: str | None) -> bool:
    """Whether values of this type can learn by gradient; what is not known may."""
    return dtype is None or dtype.startswith(("float", "bfloat", "complex"))


def byte_count(shape: Shape | None, dtype: str | None) -> int | None:
    """Bytes of an array in TensorFlow's layout, None where its shape or the size of its elements is not known."""
    count, size = element_count(shape), ITEM_BYTES.get(dtype or "")
    return None if count is None or size is None else count * size


def as_stored(variable: Variable, name: str | None = None) -> Stored:
    """`variable` for the rules that know Keras' names; the name may be replaced."""
    dataset = Dataset(
        path=variable.key, shape=variable.shape, dtype=variable.dtype, itemsize=ITEM_BYTES.get(variable.dtype or ""),
        offset=None, stored=None,
    )  # fmt: skip
    return stored(name or variable.name, dataset)


def completed(layer: Layer, members: Sequence[Variable]) -> Layer:
    """`layer` with what is known of its weights' places and training; `members` are its variables in their order."""
    if not members:
        return layer
    weights = tuple(_completed(weight, one) for weight, one in zip(layer.weights, members, strict=True))
    notes = [_sliced(one) for one in members if one.slices]
    return msgspec.structs.replace(layer, weights=weights, notes=(*layer.notes, *notes))


def found_by_key(layer: Layer, by_key: Mapping[str, Variable]) -> Layer:
    """As `completed`, for a layer whose weights say under which keys they are stored."""
    return completed(layer, [by_key[weight.stored_as or ""] for weight in layer.weights])


def _completed(weight: Weight, variable: Variable) -> Weight:
    group: Group = weight.group
    source: Source = weight.trainable_source
    trainable = weight.trainable
    if trainable is None and group not in _KEPT_GROUPS:
        if not is_float(variable.meant or variable.dtype):  # gradients have no meaning there
            group, trainable, source = "statistic", False, "rule"
        elif variable.trainable is not None:
            group, trainable, source = "trainable" if variable.trainable else "frozen", variable.trainable, "recorded"
    return Weight(
        name=weight.name, role=weight.role, shape=weight.shape, dtype=weight.dtype, count=weight.count, group=group,
        trainable=trainable, trainable_source=source, stored_as=text(variable.key), stored_count=weight.stored_count,
        bytes=variable.bytes, layout=weight.layout, tied_to=weight.tied_to, persistent=weight.persistent,
        location=variable.location, statistics=weight.statistics,
    )  # fmt: skip


def beside(variable: Variable, group: Group, role: str, name: str | None = None) -> Weight:
    """A variable that is not the model's own: an optimizer's slot, an average, a counter."""
    return Weight(
        name=text(name or variable.name),
        role=role,
        shape=variable.shape,
        dtype=variable.dtype,
        count=element_count(variable.shape),
        bytes=variable.bytes,
        group=group,
        trainable=False,
        trainable_source="rule",
        stored_as=text(variable.key),
        location=variable.location,
    )


def _sliced(variable: Variable) -> Message:
    return msg(
        "{name} is stored in {n} slices of shapes {shapes}; it is shown as the one variable that they make up.",
        name=text(variable.name, 200),
        n=len(variable.slices),
        shapes=shortened([_shape(shape) for shape in variable.slices], 10),
    )


def _shape(shape: Shape | None) -> str:
    return "?" if shape is None else f"({', '.join(str(size) for size in shape)})"
