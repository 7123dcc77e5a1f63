"""ncnn's layers into ours: kinds, named parameters, edges by blob, arrays with their places; knows no file.

Layers are flat; a blob is the output of one layer. Sizes in ncnn are width first and have no batch axis: ours are
turned round, with an open batch axis in front.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.catalog.counting import check_weights
from service.catalog.learning import learning
from service.catalog.ncnn_bin import Placed, Placing
from service.catalog.ncnn_types import PARAMETERS, is_known, kind_of
from service.catalog.ncnn_weights import Array, arrays_of
from service.config import Limits
from service.parsers.ncnn import Entry
from service.plain import json_value, text
from service.tree import Layer, Location, Shape, Weight

_SHAPE_HINTS = 30
_HINT = 4
_INPUT = "Input"
_CODEBOOK = 256
_MATRIX = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """Every layer with the arrays it reads, None where that cannot be known."""

    entries: tuple[Entry, ...]
    arrays: tuple[tuple[Array, ...] | None, ...]

    def flat(self) -> Iterator[Array]:
        """All known arrays in the order of the `.bin`."""
        for held in self.arrays:
            yield from held or ()

    def first_unknown(self) -> int | None:
        """The first layer whose arrays cannot be known."""
        return next((index for index, held in enumerate(self.arrays) if held is None), None)

    def before(self, index: int) -> int:
        """How many arrays the layers before `index` have."""
        return sum(len(held or ()) for held in self.arrays[:index])


def plan_of(entries: tuple[Entry, ...], limits: Limits) -> Plan:
    """What every layer reads.

    Raises:
        MalformedFile: A size that cannot be.
        LimitExceeded: More arrays than one analysis may describe.
    """
    found: list[tuple[Array, ...] | None] = []
    total = 0
    for entry in entries:
        held = arrays_of(entry)
        total += len(held or ())
        check_weights(total, limits)
        found.append(None if held is None else tuple(held))
    return Plan(entries, tuple(found))


def layers_of(plan: Plan, placing: Placing | None, member: str | None) -> tuple[Layer, ...]:
    """The layers; `placing` has the places of the first arrays, None where there is no `.bin` (`member`)."""
    paths = paths_of(plan.entries)
    producers = {blob: path for entry, path in zip(plan.entries, paths, strict=True) for blob in entry.outputs}
    places = iter(placing.placed if placing is not None else ())
    layers = []
    for entry, path, held in zip(plan.entries, paths, plan.arrays, strict=True):
        weights = [weight for array in held or () for weight in _weights(array, next(places, None), path, member)]
        layers.append(_layer(entry, path, producers, weights))
    return tuple(layers)


def paths_of(entries: Sequence[Entry]) -> tuple[str, ...]:
    """A path per layer: its name, with its place in the file where another has the same name."""
    paths: dict[str, None] = {}
    for index, entry in enumerate(entries):
        name = text(entry.name, 1000)
        while name in paths:
            name = f"{name}#{index}"
        paths[name] = None
    return tuple(paths)


def _layer(entry: Entry, path: str, producers: Mapping[str, str], weights: list[Weight]) -> Layer:
    known = is_known(entry.type)
    shapes = _output_shapes(entry)
    return Layer(
        path=path,
        name=text(entry.name, 1000),
        type=text(entry.type, 200),
        kind=_kind(entry, weights),
        custom=not known,
        config=_config(entry),
        output_shapes=shapes,
        inputs=tuple(producers[blob] for blob in entry.inputs if blob in producers),
        weights=tuple(weights),
    )


def _kind(entry: Entry, weights: list[Weight]) -> str:
    kernel = next((weight.shape for weight in weights if weight.role == "kernel"), None)
    if entry.type == "Gemm":
        return "linear" if kernel is not None and len(kernel) == _MATRIX else "operation"
    depthwise = kernel is not None and len(kernel) > 1 and kernel[1] == 1
    return kind_of(entry.type, depthwise=depthwise)


def _config(entry: Entry) -> dict[str, Any]:
    names = PARAMETERS.get(entry.type, {})
    return {
        str(names.get(key, key) if isinstance(key, int) else text(key, 200)): json_value(value)
        for key, value in entry.params.items()
        if key != _SHAPE_HINTS
    }


def _output_shapes(entry: Entry) -> tuple[Shape, ...] | None:
    """From the hints that a converter may leave (dimensions, width, height, channels per output), or an Input's own."""
    hints = entry.params.get(_SHAPE_HINTS)
    if isinstance(hints, tuple) and entry.outputs and len(hints) == _HINT * len(entry.outputs):
        return tuple(_hinted(hints[start : start + _HINT]) for start in range(0, len(hints), _HINT))
    if entry.type == _INPUT:
        sizes = [entry.params.get(number, 0) for number in (2, 11, 1, 0)]
        shape = tuple(size for size in sizes if isinstance(size, int) and size > 0)
        return ((None, *shape),) if shape else None
    return None


def _hinted(hint: tuple[Any, ...]) -> Shape:
    rank = hint[0] if isinstance(hint[0], int) else 0
    sizes = [size if isinstance(size, int) and size > 0 else None for size in hint[1:]]
    return (None, *reversed(sizes[: max(0, min(rank, len(sizes)))]))


# Arrays


def _weights(array: Array, placed: Placed | None, path: str, member: str | None) -> Iterator[Weight]:
    """An array as a weight, and the 256 values that its bytes point to, if it is stored so."""
    dtype = placed.dtype if placed is not None else None if array.flagged else array.packed_as or "float32"
    if placed is not None and placed.table is not None:
        yield _codebook(array, placed.table, path, member)
    group, trainable, why = learning(array.role, dtype or "float32")
    yield Weight(
        name=array.name,
        role=array.role,
        shape=array.shape,
        dtype=dtype,
        count=array.count,
        bytes=placed.length if placed is not None else _bytes(array),
        layout=array.layout,
        group=group,
        trainable=trainable,
        trainable_source=why,
        stored_as=f"{path}/{array.name}",
        location=_location(placed, member),
        stored_count=array.stored if array.stored != array.count else None,
    )


def _bytes(array: Array) -> int | None:
    """Of an array whose place is not known."""
    if array.flagged:
        return None
    return array.count * 4 if array.packed_as is None else array.stored


def _location(placed: Placed | None, member: str | None) -> Location | None:
    if placed is None or placed.table is not None:
        return None
    return Location(member=member, offset=placed.offset, length=placed.length)


def _codebook(array: Array, offset: int, path: str, member: str | None) -> Weight:
    return Weight(
        name=f"{array.name}_values",
        role="quant_scale",
        shape=(_CODEBOOK,),
        dtype="float32",
        count=_CODEBOOK,
        bytes=_CODEBOOK * 4,
        group="statistic",
        trainable=False,
        trainable_source="rule",
        stored_as=f"{path}/{array.name}_values",
        location=Location(member=member, offset=offset, length=_CODEBOOK * 4),
    )
