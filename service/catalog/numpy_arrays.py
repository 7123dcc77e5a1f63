"""A .npy array as named arrays: plain, of records, of objects; its size held against its header. Knows no container."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from service.catalog.integrity import wrong_size
from service.catalog.named import Stored
from service.catalog.numpy_objects import fortran_strides
from service.catalog.numpy_pickles import Pickled, open_pickle
from service.catalog.numpy_types import Field, fields_of, record_bytes
from service.config import Limits
from service.errors import MalformedFile, UnsupportedFeature
from service.language import Message, msg
from service.parsers.npy import NpyHeader
from service.plain import text
from service.source import Source
from service.tree import Finding, Location, element_count

BFLOAT16_NOTE = msg(
    "NumPy has no bfloat16: arrays of two bytes without a type (V2) are taken for it, as ml_dtypes writes them."
)


@dataclass(frozen=True, slots=True)
class Npy:
    """One .npy file: its name without ending, its header, its size in bytes with the header, its archive member.

    `open` gives its bytes, which are wanted where it holds pickled objects.
    """

    name: str
    header: NpyHeader
    size: int
    member: str | None
    open: Callable[[], Source]


@dataclass(slots=True)
class Arrays:
    """What one or several .npy arrays hold."""

    stored: list[Stored] = field(default_factory=list)
    pickles: list[Pickled] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[Message] = field(default_factory=list)
    complete: bool = True

    def note(self, said: Message) -> None:
        """Say it once."""
        if said not in self.notes:
            self.notes.append(said)


def add_array(into: Arrays, one: Npy, limits: Limits) -> None:
    """Add one array.

    Raises:
        UnsupportedFeature: An element type that is not known.
        MalformedFile: Sizes that multiply to more than 64 bits can count; pickled objects that are broken.
    """
    fields = fields_of(one.header.descr)
    if not fields:
        what = msg("The element type {descr} is not known.", descr=text(str(one.header.descr), 100))
        raise UnsupportedFeature(what, member=one.member)
    width, count = record_bytes(fields), element_count(one.header.shape) or 0
    if count * max(width or 1, 1) >= 1 << 63:
        what = msg("The sizes of {name} multiply to more than 64 bits can count.", name=text(one.name, 200))
        raise MalformedFile(what, member=one.member)
    if width is None:
        _add_objects(into, one, limits)
        return
    into.stored.extend(_field(one, part) for part in fields)
    _check(into, one.name, count * width, one.size - one.header.offset)
    if any(part.element.name == "bfloat16" for part in fields):
        into.note(BFLOAT16_NOTE)


def _field(one: Npy, part: Field) -> Stored:
    header, element = one.header, part.element
    shape = (*header.shape, *part.shape)
    size = (element_count(shape) or 0) * (element.size or 0)
    location = None
    if not part.path and element.plain:
        strides = fortran_strides(shape) if header.fortran else None
        location = Location(member=one.member, offset=header.offset, length=size, strides=strides)
    full = ".".join((one.name, *part.path))
    return Stored(dotted(full), shape, element.name, size, location, stored_as=full)


def dotted(name: str) -> str:
    """A name with dots between its steps: those of Keras and JAX have slashes."""
    return ".".join(step for step in name.replace("/", ".").split(".") if step) or "array"


def _check(into: Arrays, name: str, expected: int, there: int) -> None:
    if there < expected:
        into.complete = False
        into.note(msg("Of {name} only {there} of {expected} bytes are there.", name=text(name, 200), there=there,
                      expected=expected))  # fmt: skip
    if there != expected:
        into.findings.append(wrong_size(name, there, expected))


def _add_objects(into: Arrays, one: Npy, limits: Limits) -> None:
    """An array of Python objects is a pickle behind the header."""
    prefix = "" if one.member is None else dotted(one.name)
    made = open_pickle(one.open(), one.header.offset, limits, member=one.member, prefix=prefix)
    if made.broken is not None and one.member is not None:
        made.broken.within(one.member)
    into.pickles.append(made)
    into.stored.extend(made.found.arrays)
