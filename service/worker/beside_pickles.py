"""Pickles beside a model, in whatever they are wrapped: plain, compressed, in an array of objects; opened by no reader.

Knows what a pickle is called and begins with; must not know models or archives. Nothing is loaded. What is looked at is
bounded for one upload; what is left is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from service.catalog.pickle_nested import Budget, among_junk, content_of, pressed, sequence, starts_pickle
from service.catalog.torch_dangers import believed
from service.errors import InputError
from service.language import msg
from service.parsers.npy import MAGIC, read_npy
from service.parsers.pickle_types import Trace
from service.plain import text
from service.source import Source, head
from service.tree import Danger

_NAMED = re.compile(
    r".*\.(?:pkl|pickle|pck|pckl|p|joblib|dill|cloudpickle|sav|pt|pth|bin|ckpt|npy)(?:\.\w{1,5})?\Z",
    re.DOTALL | re.IGNORECASE,
)
"""What pickles are called, and what may be one."""
_ALWAYS = re.compile(r".*\.(?:pkl|pickle|pck|pckl|joblib|dill|cloudpickle)(?:\.\w{1,5})?\Z", re.DOTALL | re.IGNORECASE)
"""What is called so is a pickle, compressed or not."""
_FIRST = re.compile(rb"[()\]}FGIJKLMNPSTUVXBCclidpgtx0-9\x80\x82-\x84\x88-\x8f\x95\x96]")
"""What a pickle may begin with."""
_CLOSED = (b"\x04\x22\x4d\x18", b"\xff\x06\x00\x00sNaPpY", b"LZIP", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x28\xb5\x2f\xfd")
"""Compressions that are not opened here."""
_HEAD = 64
_WRAPPINGS = 3
_KEPT = 1_000
"""Tries that are kept for files that are likely to be pickles."""


def budget_of(given: int) -> Budget:
    """More for a larger upload, whose honest pickles are longer."""
    return Budget(tries=5_000, opcodes=500_000 + given // 4, unwrapped=(8 << 20) + given // 4)


def may_be_pickle(name: str, start: bytes) -> bool:
    """Whether a file is worth running as a pickle, by its name or its first bytes."""
    named = _NAMED.match(name) is not None
    return named or starts_pickle(start) or _FIRST.match(start) is not None or pressed(start) or start[:6] == MAGIC


def in_file(source: Source, name: str, budget: Budget) -> list[Danger]:
    """Grave dangers of a file that is a pickle or holds one; of one that is called so and cannot be opened, that."""
    start = head(source, _HEAD)
    if (budget.spent or budget.tries < _KEPT) and not is_likely(name, start):
        return []
    try:
        found = list(_dangers(source, name, budget, _WRAPPINGS))
    except InputError:
        found = []
    return found or ([closed(name)] if _ALWAYS.match(name) and start.startswith(_CLOSED) else [])


def closed(name: str) -> Danger:
    """What is said of a pickle that is packed in a way that is not read."""
    what = msg("This is called as pickles are and packed in a way that is not opened here: what it runs is not known.")
    return Danger(code="pickle_unsearched", severity="low", member=text(name), what=what)


def is_likely(name: str, start: bytes) -> bool:
    """Whether it is more than possible that a file is a pickle, so that one left unread is worth a word."""
    return starts_pickle(start) or _NAMED.match(name) is not None


def is_named(name: str) -> bool:
    """Whether it is called as only pickles are."""
    return _ALWAYS.match(name) is not None


def unsearched() -> Danger:
    """What is said where more pickles lie beside a model than are looked into."""
    what = msg("More lies beside the model than is searched for pickles; what the rest would run is not known.")
    return Danger(code="pickle_unsearched", severity="medium", what=what)


def _dangers(source: Source, name: str, budget: Budget, wrappings: int) -> Iterator[Danger]:
    start = head(source, _HEAD)
    if start[:6] == MAGIC:
        header = read_npy(source)
        if "O" in str(header.descr):
            yield from _of_traces(sequence(source, header.offset, source.meter.limits, budget), name)
        return
    inner = content_of(source, budget) if wrappings and pressed(start) else None
    if inner is not None:
        content, whole = inner
        yield from (_inside(one) for one in _dangers(content, name, budget, wrappings - 1))
        budget.cut = budget.cut or (not whole and _FIRST.match(head(content, 1)) is not None)
        return
    budget.tries -= 1
    traces = list(sequence(source, 0, source.meter.limits, budget))
    yield from _of_traces(iter(traces), name)
    if traces and traces[0].broken is None:
        reached = max(trace.end for trace in traces if trace.broken is None)
        yield from _of_traces(among_junk(source, reached, source.meter.limits, budget), name)


def _of_traces(traces: Iterator[Trace], name: str) -> Iterator[Danger]:
    for trace in traces:
        yield from (one for one in believed(trace, text(name)) if one.severity in ("critical", "high"))


def _inside(danger: Danger) -> Danger:
    """Of what was unpacked: its places are none of the file's."""
    return msgspec.structs.replace(danger, offset=None)
