"""Arrays, and what pickles of arrays hold, as a `Model`; knows no container."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from service.catalog.named import Stored, describe
from service.catalog.numpy_objects import with_objects
from service.catalog.numpy_pickles import Nested, Pickled, listed, objects_of
from service.config import Limits
from service.language import Message, msg
from service.parsers.pickle_types import Instance
from service.plain import text
from service.tree import Danger, Finding, Layer, Model, ModelInfo, State

ROOT = "."
_MAX_DANGERS = 1000
_MAX_CLASSES = 200
ReadNested = Callable[[Nested], Model | None]


@dataclass(slots=True)
class Contents:
    """What a file holds, as a reader found it."""

    arrays: list[Stored] = field(default_factory=list)
    pickles: list[Pickled] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    dangers: list[Danger] = field(default_factory=list)
    notes: list[Message] = field(default_factory=list)
    complete: bool = True


def model_of(info: ModelInfo, contents: Contents, limits: Limits, read_nested: ReadNested) -> Model:
    """The model.

    Args:
        info: What the file is.
        contents: What was found in it.
        limits: Of this analysis.
        read_nested: Reads a model in a byte string; None where it is none that can be read.

    Raises:
        LimitExceeded: More arrays or layers than one analysis may describe.
    """
    named = describe(_distinct(contents.arrays), limits)
    inner = _inner(contents, read_nested)
    layers = with_objects(named.layers, _objects(contents), ROOT)
    if inner is not None:
        layers = _without_places(inner.layers)
    nested = [one for made in contents.pickles for one in made.nested]
    others = [state for made in contents.pickles for state in made.others]
    if inner is None:
        others.extend(listed(one) for one in nested)
    classes = [name for made in contents.pickles for name in objects_of(made)]
    tags = {**info.tags, **({"classes": classes[:_MAX_CLASSES]} if classes else {})}
    return Model(
        info=msgspec.structs.replace(info, type=_outermost(contents.pickles) if inner is None else inner.info.type,
                                     tags=tags),
        layers=layers,
        states=(*named.states, *others, *(() if inner is None else map(_placeless, inner.states))),
        findings=(*contents.findings, *named.findings, *(() if inner is None else inner.findings)),
        security=_dangers(contents, inner),
        complete=contents.complete and (inner is None or inner.complete),
        notes=(*contents.notes, *_said(contents.pickles), *_about(inner, nested), *named.notes),
    )  # fmt: skip


def _distinct(arrays: Iterable[Stored]) -> list[Stored]:
    """The arrays, those of a name that was there before under another."""
    seen: dict[str, int] = {}
    found: list[Stored] = []
    for one in arrays:
        times = seen.get(one.name, 0)
        seen[one.name] = times + 1
        again = f"{one.name}#{times + 1}"
        found.append(msgspec.structs.replace(one, name=again, stored_as=one.stored_as or one.name) if times else one)
    return found


def _objects(contents: Contents) -> dict[str, Instance]:
    """The objects of all pickles by the way to them."""
    return {path: value for made in contents.pickles for path, value in made.found.objects.items()}


def _outermost(pickles: Sequence[Pickled]) -> str | None:
    """The class of the outermost object, where there is one."""
    value = pickles[0].found.objects.get("") if len(pickles) == 1 else None
    return None if value is None else text(value.path, 200)


# A model in a byte string


def _inner(contents: Contents, read_nested: ReadNested) -> Model | None:
    """The one model in a byte string of a file without arrays of its own."""
    nested = [one for made in contents.pickles for one in made.nested]
    return read_nested(nested[0]) if len(nested) == 1 and not contents.arrays else None


def _without_places(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """Layers whose weights do not say where they lie: places in a byte string are none in the file."""
    return tuple(
        msgspec.structs.replace(
            layer, weights=tuple(msgspec.structs.replace(weight, location=None) for weight in layer.weights)
        )
        for layer in layers
    )


def _placeless(state: State) -> State:
    weights = tuple(msgspec.structs.replace(weight, location=None) for weight in state.weights)
    return msgspec.structs.replace(state, weights=weights)


def _about(inner: Model | None, nested: Sequence[Nested]) -> tuple[Message, ...]:
    if inner is None:
        return ()
    note = msg(
        "The model lies in a byte string of the pickle ({path}, {size} bytes), in the format {format}; its values are "
        "not read there.",
        path=text(nested[0].path, 200), size=nested[0].source.size, format=inner.info.format,
    )  # fmt: skip
    return (note, *inner.notes)


# What there is to say


def _dangers(contents: Contents, inner: Model | None) -> tuple[Danger, ...]:
    found = [
        *contents.dangers,
        *(danger for made in contents.pickles for danger in made.dangers),
        *(() if inner is None else inner.security),
    ]
    unique = {(danger.code, danger.member, danger.offset, danger.what): danger for danger in reversed(found)}
    return tuple(reversed(unique.values()))[:_MAX_DANGERS]


def _said(pickles: Iterable[Pickled]) -> tuple[Message, ...]:
    return tuple(dict.fromkeys(note for made in pickles for note in made.notes))
