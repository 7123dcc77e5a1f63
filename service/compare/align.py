"""Which unit is which: pairs two sequences of units by structure; knows scores and limits, no framework.

Units of one signature that occur equally often on both sides are the same ones, in order; where they occur several
times, what feeds them tells them apart first. What is left lies between such pairs and is aligned there as two
sequences are (Needleman and Wunsch 1970), with scores for the same sizes, some of the sizes, and the same names.
The work is linear in the units but for these gaps, whose products together are bounded by `MAX_CELLS`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from service.compare.score import score
from service.compare.units import Unit

MAX_CELLS = 250_000
"""Most pairs of units that are scored; where gaps are longer, equal signatures and names are paired in order."""
DEPTH = 4
"""How many feeders up a unit's surroundings are compared."""

Pairs = dict[int, int]


@dataclass(frozen=True, slots=True)
class Line:
    """One side: its units in order, and the index of what feeds each."""

    units: Sequence[Unit]
    feeders: Sequence[int | None]


def align(left: Line, right: Line, *, names: bool) -> Pairs:
    """Index on the left to index on the right. `names`: both use one framework's names, so that equal ones count."""
    pairs: Pairs = {}
    for key in (_tagged, _plain):
        _pair_classes(left, right, pairs, key, names=names)
    _fill_gaps(left, right, pairs, names=names)
    for key in (_tagged, _plain, *((_named,) if names else ())):
        _pair_rest(left, right, pairs, key, names=names)
    _pair_vague(left, right, pairs)
    return pairs


def _tagged(unit: Unit) -> Hashable:
    return unit.signature, unit.tag


def _plain(unit: Unit) -> Hashable:
    return unit.signature


def _named(unit: Unit) -> Hashable:
    return unit.family, unit.tag, unit.layer.path


def _classes(units: Sequence[Unit], taken: Iterable[int], key: Callable[[Unit], Hashable]) -> dict[Hashable, list[int]]:
    paired = set(taken)
    found: dict[Hashable, list[int]] = defaultdict(list)
    for index, unit in enumerate(units):
        if index not in paired:
            found[key(unit)].append(index)
    return found


def _pair_classes(left: Line, right: Line, pairs: Pairs, key: Callable[[Unit], Hashable], *, names: bool) -> None:
    """Pair classes with as many members on both sides."""
    others = _classes(right.units, pairs.values(), key)
    for name, members in _classes(left.units, pairs, key).items():
        if len(members) == len(others.get(name, ())):
            _pair_members(left, right, members, others[name], pairs, names=names)


def _pair_members(left: Line, right: Line, ours: list[int], theirs: list[int], pairs: Pairs, *, names: bool) -> None:
    """Members of one class: by name if all names agree, else by what feeds them, else in order."""
    if names and _paths(left, ours) == _paths(right, theirs):
        ours = sorted(ours, key=lambda i: (left.units[i].layer.path, i))
        theirs = sorted(theirs, key=lambda j: (right.units[j].layer.path, j))
        pairs.update(zip(ours, theirs, strict=True))
        return
    for depth in range(DEPTH, 1, -1) if len(ours) > 1 else ():
        ours, theirs = _pair_by_feeders(left, right, ours, theirs, pairs, depth)
    pairs.update(zip(ours, theirs, strict=True))


def _paths(side: Line, members: list[int]) -> list[str]:
    return sorted(side.units[index].layer.path for index in members)


def _pair_by_feeders(
    left: Line, right: Line, ours: list[int], theirs: list[int], pairs: Pairs, depth: int
) -> tuple[list[int], list[int]]:
    """Pair members whose chain of `depth` feeders is the same on both sides, and give back the others."""
    by_chain: dict[Hashable, list[int]] = defaultdict(list)
    for j in theirs:
        by_chain[_chain(right, j, depth)].append(j)
    mine: dict[Hashable, list[int]] = defaultdict(list)
    for i in ours:
        mine[_chain(left, i, depth)].append(i)
    taken: set[int] = set()
    for chain, members in mine.items():
        if chain is not None and len(members) == len(by_chain.get(chain, ())):
            pairs.update(zip(members, by_chain[chain], strict=True))
            taken.update(by_chain[chain])
    return [i for i in ours if i not in pairs], [j for j in theirs if j not in taken]


def _chain(side: Line, index: int, depth: int) -> Hashable:
    """Signatures of the feeders up to `depth`; None if the chain ends before."""
    found = []
    at: int | None = index
    for _ in range(depth):
        at = side.feeders[at] if at is not None else None
        if at is None:
            return None
        found.append(side.units[at].signature)
    return tuple(found)


def _fill_gaps(left: Line, right: Line, pairs: Pairs, *, names: bool) -> None:
    """Align what lies between pairs that keep their order."""
    anchors = [(-1, -1), *_increasing(sorted(pairs.items())), (len(left.units), len(right.units))]
    taken = set(pairs.values())
    budget = MAX_CELLS
    for (i, j), (next_i, next_j) in pairwise(anchors):
        ours = [index for index in range(i + 1, next_i) if index not in pairs]
        theirs = [index for index in range(j + 1, next_j) if index not in taken]
        cells = len(ours) * len(theirs)
        if cells and cells <= budget:
            budget -= cells
            _align_gap(left, right, ours, theirs, pairs, names=names)


def _increasing(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of `pairs` (sorted by the first) whose second members increase too."""
    tails: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for place, (_, j) in enumerate(pairs):
        at = bisect_left(tails, j)
        before.append(ends[at - 1] if at else -1)
        if at == len(tails):
            tails.append(j)
            ends.append(place)
        else:
            tails[at], ends[at] = j, place
    kept: list[tuple[int, int]] = []
    at = ends[-1] if ends else -1
    while at >= 0:
        kept.append(pairs[at])
        at = before[at]
    return kept[::-1]


def _align_gap(left: Line, right: Line, ours: list[int], theirs: list[int], pairs: Pairs, *, names: bool) -> None:
    """The best alignment in order; of equally good ones the one that leaves out what comes first."""
    scores = [[score(left.units[i], right.units[j], names=names) for j in theirs] for i in ours]
    best = [[0.0] * (len(theirs) + 1)]
    for line in scores:
        above, now = best[-1], [0.0]
        for place, value in enumerate(line):
            now.append(max(above[place] + value, above[place + 1], now[place]))
        best.append(now)
    i, j = len(ours), len(theirs)
    while i and j:
        value = scores[i - 1][j - 1]
        if value > 0 and best[i][j] == best[i - 1][j - 1] + value:
            i, j = i - 1, j - 1
            pairs[ours[i]] = theirs[j]
        elif best[i][j] == best[i - 1][j]:
            i -= 1
        else:
            j -= 1


def _pair_rest(left: Line, right: Line, pairs: Pairs, key: Callable[[Unit], Hashable], *, names: bool) -> None:
    """Units of one signature that are left on both sides have moved: those of one name first, the others in order."""
    others = _classes(right.units, pairs.values(), key)
    for name, members in _classes(left.units, pairs, key).items():
        theirs = others.get(name, [])
        if names and theirs:
            ours, theirs = _pair_names(left, right, members, theirs, pairs)
        else:
            ours = members
        pairs.update(zip(ours, theirs, strict=False))


def _pair_vague(left: Line, right: Line, pairs: Pairs) -> None:
    """Pair what is left and of no known class on one side by its sizes alone, in order."""
    others = _classes(right.units, pairs.values(), _sizes)
    for sizes, members in _classes(left.units, pairs, _sizes).items():
        theirs = others.get(sizes, [])
        if sizes:
            vague = [i for i in members if left.units[i].is_vague], [j for j in theirs if right.units[j].is_vague]
            plain = [i for i in members if i not in set(vague[0])], [j for j in theirs if j not in set(vague[1])]
            pairs.update(zip(vague[0], plain[1] or vague[1], strict=False))
            pairs.update(zip(plain[0], vague[1], strict=False))


def _sizes(unit: Unit) -> Hashable:
    """Sizes of all weights, without regard to the order of axes."""
    shapes = [slot.view.shape for slot in unit.slots.values()]
    return None if None in shapes else tuple(sorted(tuple(sorted(shape or ())) for shape in shapes))


def _pair_names(
    left: Line, right: Line, ours: list[int], theirs: list[int], pairs: Pairs
) -> tuple[list[int], list[int]]:
    """Pair members of one path, and give back the others."""
    by_path: dict[str, list[int]] = defaultdict(list)
    for j in reversed(theirs):
        by_path[right.units[j].layer.path].append(j)
    same = {i: by_path[path].pop() for i in ours if by_path[path := left.units[i].layer.path]}
    pairs.update(same)
    taken = set(same.values())
    return [i for i in ours if i not in same], [j for j in theirs if j not in taken]
