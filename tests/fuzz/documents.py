"""JSON documents with something changed: what `tests.mutation` does, with more to put in and places that fit."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, 255, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**40, 0.5, -0.0, 1e308, 1e-320,
)  # fmt: skip
TEXTS: tuple[Any, ...] = (
    "", "x", "a" * 300, "a/b", "../x", "/etc/passwd", "C:\\x", "a.b.c", "\ud800", "\0", "é", "日本", "\x1b[31m", "<b>",
    "=1+1", "NaN", "-1", "float16", "same", "valid", "None", "{}", "%s", "a\nb", "۳",
)  # fmt: skip
OTHERS: tuple[Any, ...] = (
    None, True, False, [], {}, [None], [[]], {"": 0}, [0, 1], [-1, 2], [2, None], [10**18] * 3, [[1, 2], [3]],
    {"class_name": "Dense", "config": {"units": 3}}, {"class_name": "__tuple__", "items": [1, 2]},
    {"class_name": "__tensor__", "config": {"value": [1], "dtype": "float32"}}, {"type": "Dense", "units": 2},
)  # fmt: skip


def changed(document: Any, draw: Random) -> Any:
    """A copy of `document` with one to three values replaced, moved, removed or repeated."""
    found = copy.deepcopy(document)
    for _ in range(draw.choice((1, 1, 2, 3))):
        places = list(_places(found))
        if not places:
            return draw.choice(OTHERS)
        _change(*draw.choice(places), found, draw)
    return found


def _change(holder: Any, key: Any, whole: Any, draw: Random) -> None:
    kind = draw.random()
    if kind < 0.15:
        del holder[key]
    elif kind < 0.3 and isinstance(holder, list):
        holder.extend([copy.deepcopy(holder[key])] * draw.choice((1, 1, 2, 50)))
    elif kind < 0.4 and isinstance(holder, dict):
        holder[draw.choice(TEXTS)] = holder.pop(key)
    elif kind < 0.55:
        other, place = draw.choice(list(_places(whole)))
        holder[key] = copy.deepcopy(other[place])
    else:
        holder[key] = _like(holder[key], draw)


def _like(value: Any, draw: Random) -> Any:
    """Another value, more often than not of the same type."""
    if isinstance(value, bool) or draw.random() < 0.3:
        return copy.deepcopy(draw.choice((*NUMBERS, *TEXTS, *OTHERS)))
    if isinstance(value, int | float):
        return draw.choice((*NUMBERS, -value, value + 1, value - 1, value * 2))
    if isinstance(value, str):
        return draw.choice((*TEXTS, value + "x", value[1:], value * 2, value.upper(), value[::-1]))
    if isinstance(value, list):
        return draw.choice((value[::-1], value[1:], value * 2, [value], []))
    return copy.deepcopy(draw.choice(OTHERS))


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    open_values = [value]
    while open_values:
        holder = open_values.pop()
        items = holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ()
        for key, item in items:
            yield holder, key
            if isinstance(item, dict | list):
                open_values.append(item)
