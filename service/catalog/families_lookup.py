"""What the names of the common families say of a layer: one table from all `families_*` files; knows no file.

The longest known ending of a path decides: `attn.c_proj` is an output projection, `mlp.c_proj` is not.
"""

from __future__ import annotations

from collections.abc import Iterator

from service.catalog import families_decoders, families_diffusion, families_encoders, families_ggml, families_vision
from service.catalog.families_words import WORDS, Word
from service.catalog.named_tree import word

_FAMILIES = (families_ggml, families_decoders, families_encoders, families_vision, families_diffusion)


def _entries() -> Iterator[tuple[tuple[int, tuple[str, ...]], Word]]:
    for family in _FAMILIES:
        for what, names in family.NAMES.items():
            for name in names.split():
                steps = tuple(filter(None, map(word, name.split("."))))
                for rank in WORDS[what].kinds:
                    yield (rank, steps), WORDS[what]


_TABLE = dict(_entries())


def told_by(tail: tuple[str, ...], rank: int) -> Word | None:
    """What the last steps of a path say of a layer whose kernel has `rank` axes; None where they say nothing."""
    for start in range(len(tail)):
        found = _TABLE.get((rank, tail[start:]))
        if found is not None:
            return found
    return None
