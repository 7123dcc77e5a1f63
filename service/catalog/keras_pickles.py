"""Pickles inside a Keras configuration: what they would run is listed with the place of the text that holds them.

Knows how Keras keeps a PyTorch module (torch.save, then base64), not what a pickle may name. Nothing is unpickled.
Source: keras/src/utils/torch_utils.py.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from service.catalog.keras_security import Held, Scan
from service.catalog.pickle_nested import Budget, sequence, starts_pickle
from service.catalog.torch_dangers import believed, dangers_of
from service.config import Limits
from service.errors import InputError
from service.language import msg
from service.parsers.archives import is_archive, open_archive
from service.parsers.pickle_types import Trace
from service.plain import text
from service.source import BytesSource, Meter, Source
from service.tree import Danger

MOST_PICKLES = 12
"""Looked into in one configuration; a model has few layers of PyTorch, each one pickle."""
_MEMBER = re.compile(r"(?:[^/]+/)?(?:data\.pkl|constants\.pkl|pickle|storages|tensors)\Z")
"""Members of torch.save's archives that are pickles, whatever they begin with."""
_UNSEARCHED = msg("More strings look as pickles do than are looked into; what the rest would run is not known.")
_HEAD = 64
_MOST_MEMBERS = 1000


def dangers_of_config(document: Any, member: str | None, limits: Limits) -> tuple[Danger, ...]:
    """What in the configuration could run code or reach outside, and what the pickles in its texts would do."""
    scan = Scan(member)
    scan.run(document)
    if not scan.held:
        return tuple(scan.dangers)
    search = _Search(limits)
    inside = [danger for held in scan.held for danger in search.run(held, member)]
    return (*scan.dangers, *inside)


class _Search:
    """Looks into texts one after the other, all within one budget."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._meter = Meter(limits)
        self._budget = Budget()
        self._left = MOST_PICKLES
        self._told = False

    def run(self, held: Held, member: str | None) -> Iterator[Danger]:
        """Dangers of every pickle in one text, each with the layer and the place of the text."""
        place = f"{member}!{held.pointer}" if member else held.pointer
        for name, source in self._pickles(held.value):
            where = text(f"{place}!/{name}" if name else place, 500)
            for danger in self._of_pickle(source, where):
                what = msg("In a pickle hidden in a string: {what}", what=danger.what)
                yield msgspec.structs.replace(danger, what=what, path=held.path or None)

    def _pickles(self, value: str) -> Iterator[tuple[str, Source]]:
        """What in a text may be a pickle: itself, what it is in base64, or members of an archive that is."""
        for data in (value.encode("utf-8", "replace"), _from_base64(value)):
            source = BytesSource(data, self._meter)
            if is_archive(source):
                yield from self._members(source)
            elif starts_pickle(data[:_HEAD]):
                yield "", source

    def _members(self, source: Source) -> Iterator[tuple[str, Source]]:
        try:
            archive = open_archive(source)
            for name in archive.names[:_MOST_MEMBERS]:
                member = archive.open(name)
                start = member.read_at(0, min(_HEAD, member.size))
                if _MEMBER.match(name) or starts_pickle(start):
                    yield text(name, 200), member
        except InputError:  # no loader opens it either
            return

    def _of_pickle(self, source: Source, where: str) -> Iterator[Danger]:
        if not self._left or self._budget.spent:
            if not self._told:
                self._told = True
                yield Danger(code="pickle_unsearched", severity="high", what=_UNSEARCHED, member=where)
            return
        self._left -= 1
        for trace in sequence(source, 0, self._limits, self._budget):
            yield from self._of_trace(trace, source, where)

    def _of_trace(self, trace: Trace, source: Source, where: str) -> list[Danger]:
        if trace.broken is not None:
            return believed(trace, where)
        return dangers_of(trace, source, self._limits, where)


def _from_base64(value: str) -> bytes:
    """What Python makes of the text, which passes over signs that are none of base64's; nothing where it would fail."""
    try:
        return base64.b64decode(value.encode("ascii", "strict"))
    except ValueError:
        return b""
