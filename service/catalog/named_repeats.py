"""Runs of arrays that are named, shaped and stored alike but for one number: the repeated blocks of a deep model.

What is said of the first of such runs holds for all of them, so that only the first need be looked at. Knows names and
what is stored of arrays; must not know what any of it means.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from service.catalog.named_arrays import Stored
from service.catalog.named_tree import owner_of
from service.catalog.named_weights import SAFE_LENGTH

_NUMBER = re.compile(r"(?:^|\.)([0-9]+)\.")
_DEEPEST = 4
"""Numbers in a name that are tried, the outermost first."""
_FEWEST, _MOST = 2, 5_000
"""Arrays of a run that is taken as one: in a larger one the runs inside are looked for, in a smaller one nothing is."""
_MORE_DIGITS = 20
_UNTOLD = (None,) * 7


class Run(NamedTuple):
    """Neighbours, from `start` up to `end`, whose names begin with `prefix`: `head`, a number, a dot."""

    prefix: str
    head: str
    start: int
    end: int

    @property
    def path(self) -> str:
        """Path of the layer that holds them all."""
        return self.prefix[:-1]


class Again(NamedTuple):
    """A run that is like an earlier one: `first` is the path of that one's layer, `arrays` are its own."""

    first: str
    arrays: Sequence[Stored]


@dataclass(frozen=True, slots=True)
class Repeats:
    """Arrays without those of the runs that are like an earlier one.

    Attributes:
        own: All other arrays in order, and in the place of each such run the path of its layer.
        again: The runs that are like an earlier one, by the path of their layer.
        first: The arrays of the runs that these are like, by the path of their layer.
    """

    own: Sequence[Stored | str]
    again: Mapping[str, Again] = field(default_factory=dict)
    first: Mapping[str, Sequence[Stored]] = field(default_factory=dict)


def repeats_of(arrays: Sequence[Stored]) -> Repeats:
    """The runs that repeat, those of the first number in a name before those of the next, in linear time."""
    names = [one.name for one in arrays]
    likes: dict[Run, Run] = {}
    regions = [(0, len(names), 0)]
    for _ in range(_DEEPEST):
        runs = _apart([run for region in regions for run in _runs(names, *region)])
        found = _likes(arrays, names, [run for run in runs if _FEWEST <= run.end - run.start <= _MOST])
        likes |= found
        done = {*found, *found.values()}
        regions = [(run.start, run.end, len(run.prefix)) for run in runs if run not in done]
    return _without(arrays, likes)


def _runs(names: Sequence[str], start: int, end: int, skipped: int) -> list[Run]:
    """The runs of the first number behind `skipped` characters."""
    found: list[Run] = []
    prefix = head = ""
    first = start
    for at in range(start, end):
        name = names[at]
        if prefix and name.startswith(prefix):
            continue
        if prefix:
            found.append(Run(prefix, head, first, at))
        number = _NUMBER.search(name, max(skipped - 1, 0))
        prefix, head, first = (name[: number.end()], name[: number.start(1)], at) if number else ("", "", at)
    return [*found, Run(prefix, head, first, end)] if prefix else found


def _apart(runs: Sequence[Run]) -> list[Run]:
    """Those that hold all arrays whose names begin as theirs."""
    times = Counter(run.prefix for run in runs)
    return [run for run in runs if times[run.prefix] == 1]


def _likes(arrays: Sequence[Stored], names: Sequence[str], runs: Sequence[Run]) -> dict[Run, Run]:
    """Each run that is like an earlier one, with the first such."""
    first: dict[Hashable, Run] = {}
    whole: dict[Run, bool] = {}
    found: dict[Run, Run] = {}
    for run in runs:
        cut = len(run.prefix)
        key = (run.head, *[(name[cut:], one.shape, one.dtype, one.bytes, one.location is None, _told(one))
               for name, one in zip(names[run.start : run.end], arrays[run.start : run.end], strict=True)])  # fmt: skip
        known = first.setdefault(key, run)
        if known is run or cut > len(known.prefix) + _MORE_DIGITS:
            continue
        if known not in whole:
            whole[known] = _is_whole(known, names)
        if whole[known]:
            found[run] = known
    return found


def _told(one: Stored) -> Hashable:
    """What else is stored of an array."""
    told = (one.role, one.group, one.trainable, one.statistic, one.stored_count, one.content, one.identity)
    return None if told == _UNTOLD else told


def _is_whole(run: Run, names: Sequence[str]) -> bool:
    """Whether all arrays belong to layers inside the run's own, under names that are shown as they are."""
    return all(
        name.isascii() and len(name) + _MORE_DIGITS < SAFE_LENGTH and owner_of(name).startswith(run.prefix)
        for name in names[run.start : run.end]
    )


def _without(arrays: Sequence[Stored], likes: Mapping[Run, Run]) -> Repeats:
    if not likes:
        return Repeats(arrays)
    own: list[Stored | str] = []
    again: dict[str, Again] = {}
    at = 0
    for run in sorted(likes, key=lambda run: run.start):
        own += arrays[at : run.start]
        own.append(run.path)
        again[run.path] = Again(likes[run].path, arrays[run.start : run.end])
        at = run.end
    own += arrays[at:]
    first = {run.path: arrays[run.start : run.end] for run in set(likes.values())}
    return Repeats(own, again, first)
