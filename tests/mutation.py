"""Valid JSON documents with values replaced, removed and repeated at random, always the same ones."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 2, 10**18, 2**63 - 1, 1.5, "", "x", "same", [], [1, 2], [[1, 2], [3]], {}, {"a": 1}, [None],
    {"class_name": "Dense", "config": {"units": 3}}, {"type": "Dense", "units": 2}, "float16", "input", "a" * 300,
    "/etc/passwd", [10**18] * 3, 1e308, "../x",
)  # fmt: skip


def mutants(documents: list[Any], count: int) -> list[Any]:
    """`count` mutants of the documents; the same list for the same arguments."""
    draw = random.Random(20261121)  # noqa: S311 - a corpus, not a secret
    return [_mutant(draw.choice(documents), draw) for _ in range(count)]


def _mutant(document: Any, draw: random.Random) -> Any:
    found = copy.deepcopy(document)
    for _ in range(draw.choice((1, 1, 2, 3))):
        places = list(_places(found))
        if places:
            holder, key = draw.choice(places)
            _change(holder, key, draw)
    return found


def _change(holder: Any, key: Any, draw: random.Random) -> None:
    kind = draw.random()
    if kind < 0.15:
        del holder[key]
    elif kind < 0.25 and isinstance(holder, list):
        holder.append(copy.deepcopy(holder[key]))
    else:
        holder[key] = copy.deepcopy(draw.choice(JUNK))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)
