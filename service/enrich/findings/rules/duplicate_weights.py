"""Kernels of different layers that hold the same bits and are stored apart; knows digests, no values."""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.findings.context import Context
from service.enrich.findings.rule import Rule
from service.enrich.findings.values import kernels
from service.language import msg, msgn
from service.tree import Finding, Layer, Weight

RULE = Rule(
    id="duplicate_weights",
    severity="low",
    title=msg("Weights of several layers that hold the same values"),
    why=msg(
        "Layers that start at random never agree in all their values. These were copied: tied and stored twice, or "
        "loaded into more than one place."
    ),
    reference="Press and Wolf 2017, arXiv:1608.05859 (tied weights)",
    needs=("values",),
)
_LOOK = msg("Nothing to do if they are tied in code. Otherwise look at how the weights were loaded.")
MIN_COUNT = 64
"""Fewer values may agree by chance or by construction."""
_MAX_NAMED = 4


def check(context: Context) -> Iterator[Finding]:
    """One finding per set of equal weights, at the first of them."""
    groups: dict[tuple[object, ...], list[tuple[Layer, Weight]]] = {}
    for layer, weight, seen in kernels(context.model):
        if seen.digest is not None and not seen.constant and (seen.count or 0) >= MIN_COUNT:
            groups.setdefault((seen.digest, weight.shape, weight.dtype), []).append((layer, weight))
    for members in groups.values():
        apart = _apart(members)
        if len({layer.path for layer, _ in apart}) > 1:
            yield _found(apart)


def _apart(members: list[tuple[Layer, Weight]]) -> list[tuple[Layer, Weight]]:
    """Those that lie in different places of the file, or do not say where."""
    places: dict[object, tuple[Layer, Weight]] = {}
    for index, (layer, weight) in enumerate(members):
        known = weight.location is not None and weight.location.offset is not None
        places.setdefault(weight.location if known else index, (layer, weight))
    return list(places.values())


def _found(members: list[tuple[Layer, Weight]]) -> Finding:
    layer, weight = members[0]
    what = msgn(
        "{weight} of {layer} holds the same {count} values as {n} weight elsewhere: in {others}.",
        "{weight} of {layer} holds the same {count} values as {n} weights elsewhere, in {others} among them.",
        n=len(members) - 1, weight=weight.name, layer=layer.path, count=weight.count,
        others=tuple(other.path for other, _ in members[1 : 1 + _MAX_NAMED]),
    )  # fmt: skip
    return RULE.found(what, _LOOK, layer.path)
