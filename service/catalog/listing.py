"""Which dangers are listed where there are very many: grave ones never give way to lesser ones. Knows no format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from service.tree import Danger

GRAVE = ("critical", "high")


def listed(found: Iterable[Danger], most: int) -> Iterator[Danger]:
    """In their order the first `most` of critical and high severity, and the first `most` of all others among them."""
    grave = lesser = 0
    for danger in found:
        if danger.severity in GRAVE:
            grave += 1
            yield danger
            if grave >= most:
                return
        elif lesser < most:
            lesser += 1
            yield danger
