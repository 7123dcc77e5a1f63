"""What names tell about structure: steps, numbered stems, and the pattern that several names share; knows only text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

_STEP = re.compile(r"[^_\-./]+")
_DIGITS = re.compile(r"(\d+)")
_NUMBER_AT_END = re.compile(r"_?\d+$")
_MOST_STEPS = 8


@lru_cache(maxsize=4096)
def steps(name: str) -> tuple[str, ...]:
    """The steps of a layer's own name: `conv2_block1_1_conv` -> conv2, block1, 1, conv."""
    return tuple(_STEP.findall(name[:200])[:_MOST_STEPS])


def is_made_up(name: str, type_: str | None) -> bool:
    """Whether a framework made the name from the class: `conv2d_3` for a Conv2D."""
    return type_ is not None and _NUMBER_AT_END.sub("", name).replace("_", "").lower() == type_.lower()


def stem_text(name: str, count: int) -> str:
    """The first `count` steps of a name, with the separators between them."""
    ends = [found.end() for found in _STEP.finditer(name[:200])][:count]
    return name[: ends[-1]] if ends else name


def has_number(step: str) -> bool:
    """Whether the step counts something: `block3`, `12`."""
    return any(character.isdigit() for character in step)


def split_path(path: str) -> tuple[str, str]:
    """A path as what leads to its last step, separator included, and that step."""
    own = path.rpartition("/" if "/" in path else ".")[2]
    return path[: len(path) - len(own)], own


def pattern(names: Sequence[str]) -> str:
    """One name for several: `conv3_block{2..4}`; `first … last` where they have nothing in common but order."""
    if len(set(names)) == 1:
        return names[0]
    split = [_DIGITS.split(name) for name in names]
    first = split[0]
    if any(len(pieces) != len(first) or pieces[::2] != first[::2] for pieces in split):
        return _letters(names) or _numbered_later(names) or f"{names[0]} … {names[-1]}"
    varying = [at for at in range(1, len(first), 2) if len({pieces[at] for pieces in split}) > 1]
    if len(varying) != 1:
        return f"{names[0]} … {names[-1]}"
    at = varying[0]
    numbers = _numbers([pieces[at] for pieces in split])
    return "".join([*first[:at], f"{{{numbers}}}", *first[at + 1 :]])


def _numbered_later(names: Sequence[str]) -> str | None:
    """`dense{,_1.._3}` for dense, dense_1 ...: a framework gives no number to the first of a class."""
    rests = [name[len(names[0]) :] for name in names[1:]]
    if all(name.startswith(names[0]) for name in names) and all(_NUMBER_AT_END.fullmatch(rest) for rest in rests):
        return f"{names[0]}{{,{rests[0]}..{rests[-1]}}}" if len(rests) > 1 else f"{names[0]}{{,{rests[0]}}}"
    return None


def _letters(names: Sequence[str]) -> str | None:
    """`block4{b..c}` for names of equal length that differ in one letter."""
    if len({len(name) for name in names}) != 1:
        return None
    differing = [at for at, letters in enumerate(zip(*names, strict=True)) if len(set(letters)) > 1]
    if len(differing) != 1 or not all(name[differing[0]].isalpha() for name in names):
        return None
    at = differing[0]
    return f"{names[0][:at]}{{{names[0][at]}..{names[-1][at]}}}{names[0][at + 1 :]}"


def _numbers(texts: Sequence[str]) -> str:
    if all(len(text) <= 18 for text in texts):
        values = [int(text) for text in texts]
        if all(after - before == 1 for before, after in pairwise(values)):
            return f"{texts[0]}..{texts[-1]}"
    if len(texts) <= 4:
        return ",".join(texts)
    return f"{texts[0]},{texts[1]}..{texts[-1]}"
