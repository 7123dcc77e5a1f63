"""Every module found in `readers/` and `builders/`, asked by what it offers; knows none of them by name."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import Protocol, cast

from service import builders, readers
from service.config import Limits
from service.errors import FrameworkMissing, UnknownFormat
from service.formats import HEAD_BYTES, BuildRequest, Format, Reader, Upload, looks_like
from service.language import Message, msg
from service.source import head
from service.tree import Model


class Builder(Protocol):
    """The shape of a builder module: a spec in, a model out, with its framework and without weights."""

    KIND: str

    def warm(self) -> None:
        """Import the framework and nothing more: a process that has run an operation forks badly."""
        ...

    def framework_version(self) -> str:
        """The framework's version."""
        ...

    def build(self, request: BuildRequest, limits: Limits) -> Model:
        """The model that the spec describes. Raises InputError only."""
        ...


@functools.cache
def load_readers() -> tuple[Reader, ...]:
    """All readers, the most specific first."""
    modules = (
        importlib.import_module(f"{readers.__name__}.{found.name}") for found in pkgutil.iter_modules(readers.__path__)
    )
    found = [cast("Reader", module) for module in modules if hasattr(module, "FORMAT")]
    return tuple(sorted(found, key=lambda reader: (reader.FORMAT.priority, reader.FORMAT.id)))


def formats() -> tuple[Format, ...]:
    """What is read, in the order in which readers are asked."""
    return tuple(reader.FORMAT for reader in load_readers())


def identify(upload: Upload, known: tuple[Reader, ...]) -> Reader:
    """The first reader that accepts the upload's content; UnknownFormat says what it looks like instead."""
    for reader in known:
        if reader.accept(upload):
            return reader
    seen = {name: looks_like(head(source, HEAD_BYTES)) for name, source in upload.parts.items()}
    first = next(iter(seen.values()))
    detail = msg("This is no model that is read here: it looks like {seen}.", seen=Message(first))
    if len(seen) > 1:
        detail = msg("These files together are no model that is read here.")
    raise UnknownFormat(detail, looks_like=first, files=seen, formats=[reader.FORMAT.id for reader in known])


def load_builder(kind: str) -> Builder:
    """The builder of a framework; FrameworkMissing where there is none."""
    names = {found.name for found in pkgutil.iter_modules(builders.__path__)}
    if kind not in names:
        raise FrameworkMissing(msg("No builder for {kind}.", kind=kind))
    return cast("Builder", importlib.import_module(f"{builders.__name__}.{kind}"))
