"""Uploads of one or several files in memory or on disk, and damage done to them, for the readers of folders."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from service.config import Limits
from service.enrich.pipeline import enrich
from service.errors import InputError
from service.formats import Upload
from service.source import BytesSource, Meter
from service.tree import Model, Weight


def upload(parts: Mapping[str, bytes], **limits: int) -> Upload:
    """The parts as one upload."""
    meter = Meter(Limits(**limits))
    return Upload({name: BytesSource(data, meter) for name, data in parts.items()}, meter)


def folder(path: Path) -> dict[str, bytes]:
    """Every file below a folder by its name with the folder's own in front."""
    return {str(one.relative_to(path.parent)): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}


def described(reader: ModuleType, parts: Mapping[str, bytes], **limits: int) -> Model:
    """The reader's answer, enriched."""
    given = upload(parts, **limits)
    assert reader.accept(given)
    return enrich(reader.read(given))


def weights(model: Model) -> dict[str, Weight]:
    """Every weight and slot by the key it is stored under."""
    held = [*(one for layer in model.layers for one in layer.weights),
            *(one for state in model.states for one in state.weights)]  # fmt: skip
    return {one.stored_as or one.name: one for one in held}


def mutants(data: bytes, count: int, seed: int = 20261121) -> Iterator[bytes]:
    """Copies with flipped bits, replaced bytes, pieces cut out and cut ends; always the same ones."""
    draw = random.Random(seed)  # noqa: S311 - a corpus, not a secret
    for _ in range(count):
        found = bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 5))):
            if not found:
                break
            at = draw.randrange(len(found))
            kind = draw.random()
            if kind < 0.4:
                found[at] ^= 1 << draw.randrange(8)
            elif kind < 0.7:
                found[at] = draw.choice((0, 0xFF, 0x80, 0x7F, draw.randrange(256)))
            elif kind < 0.85:
                del found[at : at + draw.randrange(1, 40)]
            else:
                del found[at:]
        yield bytes(found)


def only_input_errors(reader: ModuleType, parts: Mapping[str, bytes]) -> None:
    """The reader answers or raises an InputError: anything else is its own mistake."""
    given = upload(parts)
    try:
        if reader.accept(given):
            enrich(reader.read(given))
    except InputError:
        pass


def refused(reader: ModuleType, parts: Mapping[str, bytes], **limits: int) -> InputError:
    """The error that a reader answers with."""
    with pytest.raises(InputError) as caught:
        reader.read(upload(parts, **limits))
    return caught.value
