"""Whether two models themselves tell which of two layers of one structure comes first; knows graphs and names only.

Values may show that two layers hold one another's numbers. Where structure had told the two apart, that is a mistake
of the conversion; where it had not, they were merely paired in the order in which the files list them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from service.compare.matched import Match, UnitPair
from service.compare.units import Unit
from service.frameworks import conventions
from service.tree import Report

_NUMBERED = re.compile(r"([a-zA-Z_]*?)_?(\d+)\Z")


def told_apart(match: Match, pair: UnitPair, other: UnitPair) -> bool:
    """Whether both models tell the two pairs' layers apart, in the same order."""
    if pair.left is None or pair.right is None or other.left is None or other.right is None:
        return False
    if pair.left.layer.path == other.left.layer.path and pair.right.layer.path == other.right.layer.path:
        return pair.left.tag != other.left.tag and pair.right.tag != other.right.tag
    tags = pair.left.tag, other.left.tag
    if all(tags) and tags[0] != tags[1] and tags == (pair.right.tag, other.right.tag):
        return True
    if match.one_framework and pair.left.layer.path == pair.right.layer.path:
        return other.left.layer.path == other.right.layer.path
    return _ordered(match.left, pair.left, other.left) and _ordered(match.right, pair.right, other.right)


def _ordered(report: Report, one: Unit, other: Unit) -> bool:
    """Whether one model says which of two layers comes first: by its graph, or by numbers in a list."""
    inputs = {layer.path: layer.inputs for layer in report.layers if layer.inputs is not None}
    if any(inputs.values()):
        return _is_above(one.layer.path, other.layer.path, inputs) or _is_above(
            other.layer.path, one.layer.path, inputs
        )
    return conventions(report.model.framework) == "torch" and _numbered(one.layer.path, other.layer.path)


def _is_above(path: str, below: str, inputs: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether `path` feeds `below`, however far up."""
    stack, seen = [below], {below}
    while stack:
        for above in inputs.get(stack.pop(), ()):
            if above == path:
                return True
            if above not in seen:
                seen.add(above)
                stack.append(above)
    return False


def _numbered(one: str, other: str) -> bool:
    """Whether two dotted paths part at a number: `layers.3.fc` and `layers.7.fc`, `block.conv1` and `block.conv2`."""
    for ours, theirs in zip(one.split("."), other.split("."), strict=False):
        if ours != theirs:
            first, second = _NUMBERED.match(ours), _NUMBERED.match(theirs)
            return first is not None and second is not None and first[1] == second[1]
    return False
