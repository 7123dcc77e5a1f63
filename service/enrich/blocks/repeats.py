"""Finds what occurs several times in a row and folds it; knows numbers that mark equal structure, no layers.

A run is a word that repeats without a gap (a tandem repeat). Candidate periods at a place are the distances to the
next few places with the same mark; two words are compared by prefix hashes, so that a list of n parts costs about
n times a small constant. Nested repeats appear because folding is done again on what was folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from service.enrich.blocks.names import has_number, pattern, split_path, stem_text
from service.enrich.blocks.parts import Part, Table, together

_MODULUS = (1 << 61) - 1
_BASE = 1_000_003
_LONGEST_PERIOD = 400
_CANDIDATES = 6
_PASSES = 4
_SHIFTS = 16


class Run(NamedTuple):
    """`times` equal words of `period` marks, one after the other from `start` on."""

    start: int
    period: int
    times: int

    @property
    def end(self) -> int:
        """Where the next mark stands."""
        return self.start + self.period * self.times


class _Words:
    """Marks with prefix hashes; compares two words in constant time."""

    def __init__(self, marks: Sequence[int]) -> None:
        self.marks = marks
        self._sums = [0]
        self._powers = [1]
        for mark in marks:
            self._sums.append((self._sums[-1] * _BASE + mark + 1) % _MODULUS)
            self._powers.append(self._powers[-1] * _BASE % _MODULUS)

    def equal(self, left: int, right: int, length: int) -> bool:
        """Whether the words of `length` at `left` and `right` are equal (by hash)."""
        return right + length <= len(self.marks) and self._hash(left, length) == self._hash(right, length)

    def _hash(self, start: int, length: int) -> int:
        return (self._sums[start + length] - self._sums[start] * self._powers[length]) % _MODULUS


def runs(marks: Sequence[int]) -> Iterator[Run]:
    """Runs from left to right, not overlapping; at each place the one that covers most, of those the shortest word."""
    words, following = _Words(marks), _following(marks)
    at = 0
    while at < len(marks):
        best = _best(words, following, at)
        if best is None or not _certain(marks, best):
            at += 1
        else:
            yield best
            at = best.end


def _certain(marks: Sequence[int], run: Run) -> bool:
    """Whether the words are equal themselves and not by hash alone."""
    return all(marks[at] == marks[at + run.period] for at in range(run.start, run.end - run.period))


def _following(marks: Sequence[int]) -> list[int]:
    """The next place with the same mark, or the length."""
    last: dict[int, int] = {}
    following = [len(marks)] * len(marks)
    for at in range(len(marks) - 1, -1, -1):
        following[at] = last.get(marks[at], len(marks))
        last[marks[at]] = at
    return following


def _best(words: _Words, following: Sequence[int], at: int) -> Run | None:
    best: Run | None = None
    candidate = at
    for _ in range(_CANDIDATES):
        candidate = following[candidate]
        period = candidate - at
        if candidate >= len(following) or period > _LONGEST_PERIOD:
            break
        if not words.equal(at, candidate, period):
            continue
        run = Run(at, period, _times(words, at, period))
        if best is None or run.end > best.end:
            best = run
    return best


def _times(words: _Words, at: int, period: int) -> int:
    times = 2
    while words.equal(at, at + times * period, period):
        times += 1
    return times


def fold(parts: Sequence[Part], table: Table) -> list[Part]:
    """`parts` with equal ones in a row folded into repeats, and repeats within repeats."""
    found = list(parts)
    for _ in range(_PASSES):
        folded = [one for segment in _segments(found) for one in _fold_once(segment, table)]
        if len(folded) == len(found):
            break
        found = folded
    return found


def _segments(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Stretches in which each part is known to run after the one before it."""
    starts = [at for at, part in enumerate(parts) if at == 0 or not part.follows]
    for start, end in pairwise([*starts, len(parts)]):
        yield list(parts[start:end])


def _fold_once(parts: list[Part], table: Table) -> list[Part]:
    marks = [part.mark for part in parts]
    if len(set(marks)) == len(marks):
        return parts
    folded: list[Part] = []
    at = 0
    for run in runs(marks):
        if run.start < at or not _worth(parts, run):
            continue
        placed = _in_phase(parts, run)
        folded += parts[at : placed.start]
        folded.append(_repeat(parts, placed, table))
        at = placed.end
    return folded + parts[at:]


def _worth(parts: Sequence[Part], run: Run) -> bool:
    """Two layers without weights in a row are no repetition worth a name; two with weights, or three, are."""
    word = parts[run.start : run.start + run.period]
    return run.times > 2 or any(part.weighty for part in word)


def _in_phase(parts: Sequence[Part], run: Run) -> Run:
    """The run moved so that an occurrence begins where names begin to count anew, if it can be."""
    if run.period == 1:
        return run
    end = run.end
    while end < len(parts) and end < run.end + run.period and parts[end].mark == parts[end - run.period].mark:
        end += 1
    for shift in range(min(end - run.end, _SHIFTS) + 1):
        if _numbered_stem(parts[run.start + shift : run.start + shift + run.period]):
            return run._replace(start=run.start + shift)
    return run


def _numbered_stem(parts: Sequence[Part]) -> int:
    """How many steps all names share, up to the last that counts something; 0 if none does."""
    stems = [part.stem for part in parts if part.stem is not None]
    if len(stems) < len(parts):
        return 0
    agreed = 0
    for position, together_ in enumerate(zip(*stems, strict=False)):
        if len(set(together_)) > 1:
            break
        if has_number(together_[0]):
            agreed = position + 1
    return agreed


def _repeat(parts: Sequence[Part], run: Run, table: Table) -> Part:
    occurrences = [
        _occurrence(parts[start : start + run.period], table) for start in range(run.start, run.end, run.period)
    ]
    first = occurrences[0]
    if first.kind == "stage" and run.period > 1:
        first = together(first.kind, first.name, fold(first.parts, table), table)
    return together("repeat", pattern([one.name for one in occurrences]), [first, *occurrences[1:]], table)


def _occurrence(word: Sequence[Part], table: Table) -> Part:
    if len(word) == 1:
        return word[0]
    return together("stage", stage_name(word), word, table)


def stage_name(word: Sequence[Part]) -> str:
    """The numbered stem that all names share, with the path before it; else the first part's name."""
    count = _numbered_stem(word)
    if not count:
        return word[0].name
    before, own = split_path(word[0].name)
    return f"{before}{stem_text(own, count)}"
