"""One pickle of NumPy arrays: what it holds, what hides in its byte strings, what it would run; knows no container."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from service.catalog.numpy_objects import Bytes, Found, arrays_in
from service.catalog.pickle_misread import run_as_opcodes
from service.catalog.torch_dangers import believed, dangers_of, trailing
from service.config import Limits
from service.errors import InputError
from service.formats import HEAD_BYTES, looks_like
from service.language import Message, msg
from service.parsers.pickle_joblib import Meant, names_joblib, run_joblib
from service.parsers.pickle_types import Blob, Trace
from service.plain import text
from service.source import BytesSource, Source, WindowSource, head
from service.tree import Danger, Location, State

NESTED_DEPTH = 3
_MODELS = (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"GGUF")
"""What byte strings begin with that are models of other formats."""
_OLD_WRAPPERS = ("NDArrayWrapper", "ZNDArrayWrapper")


@dataclass(frozen=True, slots=True)
class Nested:
    """A model in a byte string: the way to it and its bytes."""

    path: str
    source: Source


@dataclass(slots=True)
class Pickled:
    """A pickle of arrays.

    Attributes:
        found: Arrays and objects, those of nested pickles too.
        nested: Byte strings that are models of another format.
        others: Large byte strings of no known format.
        dangers: What loading would do.
        broken: Why it could not be read to its end.
        elsewhere: Whether arrays of it lie in other files.
    """

    found: Found = field(default_factory=Found)
    nested: list[Nested] = field(default_factory=list)
    others: list[State] = field(default_factory=list)
    dangers: list[Danger] = field(default_factory=list)
    broken: InputError | None = None
    elsewhere: bool = False

    @property
    def notes(self) -> tuple[Message, ...]:
        """What holds for all of it."""
        return tuple(self.found.notes)


def open_pickle(source: Source, start: int, limits: Limits, *, member: str | None = None, located: bool = True,
                prefix: str = "") -> Pickled:  # fmt: skip
    """Run the pickle at `start` over stand-ins and look through what it holds.

    Args:
        source: What the pickle lies in.
        start: Where it begins.
        limits: Of this analysis.
        member: The archive member or file, for places.
        located: Whether offsets in `source` are offsets in the upload or its member.
        prefix: Put before the way to each array.

    Raises:
        MalformedFile: An array's description cannot be.
        LimitExceeded: More arrays than allowed.
    """
    meant = Meant()
    trace = run_joblib(source, start, limits, meant=meant)
    made = Pickled(broken=trace.broken)
    made.dangers = dangers_of(trace, source, limits, member)
    if names_joblib(trace):
        other = believed(run_as_opcodes(meant, source, start, limits), member)
        made.dangers.extend(one for one in other if _is_done(one) and one not in made.dangers)
    if trace.broken is not None:
        return made
    made.dangers.extend(trailing(source, trace.end, limits, member))

    def place(offset: int, length: int) -> Location | None:
        return Location(member=member, offset=offset, length=length) if located else None

    made.found = arrays_in(trace.value, place, limits.weights, prefix, trace.begins)
    _note_old(made, trace)
    _open_strings(made, source, limits)
    return made


def _is_done(danger: Danger) -> bool:
    """Whether it is of a name or a call; anything else is odd in bytes that no pickler wrote as opcodes."""
    return danger.detail is not None or danger.code == "pickle_computed_call"


def _note_old(made: Pickled, trace: Trace) -> None:
    if any(use.name in _OLD_WRAPPERS and use.module and "joblib" in use.module for use in trace.uses.values()):
        made.elsewhere = True
        made.found.notes.append(
            msg("Some arrays lie in files beside this one, as joblib before 0.10 wrote them: they are not described.")
        )


# Byte strings


def _open_strings(made: Pickled, source: Source, limits: Limits) -> None:
    """Look into byte strings: pickles are followed, models kept to be read, other large ones listed."""
    pending = [(item, _source(item, source), 1) for item in made.found.strings]
    while pending:
        item, inner, depth = pending.pop(0)
        start = head(inner, HEAD_BYTES)
        inside = _pickled(item, inner, limits) if start[:1] == b"\x80" and depth <= NESTED_DEPTH else None
        if inside is not None:
            made.found.arrays.extend(inside.arrays)
            made.found.objects.update(inside.objects)
            pending.extend((deeper, _source(deeper, inner), depth + 1) for deeper in inside.strings)
        elif start.startswith(_MODELS):
            made.nested.append(Nested(item.path, inner))
        else:
            made.others.append(_listed(item, start))


def _pickled(item: Bytes, inner: Source, limits: Limits) -> Found | None:
    """What a byte string holds that is a pickle; None where it is not one to its end."""
    trace = run_joblib(inner, 0, limits)
    if trace.broken is not None:
        return None
    return arrays_in(trace.value, _nowhere, limits.weights, item.path)


def _nowhere(_offset: int, _length: int) -> Location | None:
    return None


def _source(item: Bytes, outer: Source) -> Source:
    if isinstance(item.value, Blob):
        return WindowSource(outer, item.value.offset, item.value.length)
    return BytesSource(item.value, outer.meter)


def _listed(item: Bytes, start: bytes) -> State:
    config = {"bytes": item.length, "looks_like": looks_like(start)}
    return State(name=text(item.path, 500), group="other", config=config)


def listed(nested: Nested) -> State:
    """A model in a byte string that is not described, by its size and what it looks like."""
    start = head(nested.source, HEAD_BYTES)
    config = {"bytes": nested.source.size, "looks_like": looks_like(start)}
    return State(name=text(nested.path, 500), group="other", config=config)


def objects_of(made: Pickled) -> Iterator[str]:
    """The classes of the objects in it, once each, for the tags."""
    yield from dict.fromkeys(text(value.path, 200) for value in made.found.objects.values())
