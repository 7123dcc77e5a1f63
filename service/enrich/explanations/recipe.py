"""The grammar of an explanation: outer factors times a sum of products; knows arithmetic, no layer and no wording.

`4 × (128 × 64 + 64 × 64 + 64) = 49408` is one `Sum` with the outer factor 4 and three products.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from service.enrich.counts import PARAMETER_GROUPS
from service.frameworks import conventions
from service.language import Message
from service.plain import shortened
from service.tree import Frozen, Group, Layer, Part, Term, Weight

_ORDER: tuple[Group, ...] = ("trainable", "frozen", "unknown", "statistic", "other")
MAX_NAMES = 12
"""Most weights or cells named one by one in a sentence."""

Claim = tuple[str, bool | int | tuple[int, ...]]
"""What the shapes say that a setting of the layer's configuration must be: `("units", 64)`, `("scale", True)`."""


class Sum(Frozen, frozen=True, kw_only=True):
    """`outer` factors times the sum of `products`; no outer factor means the bare sum."""

    products: tuple[tuple[Term, ...], ...]
    outer: tuple[Term, ...] = ()


class Recipe(Frozen, frozen=True, kw_only=True):
    """Sums that should add up to a layer's count, and what there is to say of them.

    Attributes:
        sums: What is added.
        text: For a person who meets this layer for the first time.
        expert: What the options do to the count, and what the other framework would count.
        reference: Paper or page of the documentation.
        claims: Settings as the shapes tell them, to be held against the recorded configuration.
        certain: False where the weights leave open which of several readings is meant.
    """

    sums: tuple[Sum, ...]
    text: Message
    expert: Message
    reference: str | None = None
    claims: tuple[Claim, ...] = ()
    certain: bool = True


def term(symbol: str, meaning: Message, value: int) -> Term:
    """Short for a `Term`."""
    return Term(symbol=symbol, meaning=meaning, value=value)


def evaluate(sums: Iterable[Sum]) -> int:
    """The number that the sums give."""
    return sum([_value(part.outer) * sum(map(_value, part.products)) for part in sums])


def formula(sums: Iterable[Sum]) -> str:
    """The sums in figures, ending in `= total`."""
    found = tuple(sums)
    return f"{' + '.join(_figures(part) for part in found) or '0'} = {evaluate(found)}"


def terms(sums: Iterable[Sum]) -> tuple[Term, ...]:
    """Every distinct term, in order of appearance."""
    found = [one for part in sums for group in (part.outer, *part.products) for one in group]
    apart = len({(one.symbol, one.value) for one in found}) == len(found)
    return tuple(found if apart else dict.fromkeys(found))


def counted(layer: Layer, framework: str) -> tuple[Weight, ...]:
    """The weights that count by a framework's conventions: Keras' all, PyTorch's the parameters without the buffers."""
    if conventions(framework) == "torch":
        found = [weight for weight in layer.weights if weight.group in PARAMETER_GROUPS]
        return layer.weights if len(found) == len(layer.weights) else tuple(found)
    return layer.weights


def parts(layer: Layer) -> tuple[Part, ...]:
    """The layer's elements by group, in a fixed order, with the names of the weights in each."""
    held: dict[Group, list[Weight]] = {}
    for weight in layer.weights:
        held.setdefault(weight.group, []).append(weight)
    return tuple([
        Part(group=group, names=names(held[group]), count=sum([weight.count or 0 for weight in held[group]]))
        for group in _ORDER
        if group in held
    ])  # fmt: skip


def names(weights: Iterable[Weight]) -> tuple[str, ...]:
    """The framework's own names of the weights."""
    return tuple(weight.name for weight in weights)


def listed(found: tuple[str, ...]) -> tuple[str, ...]:
    """Names for a sentence: those beyond what anybody would read become an ellipsis."""
    return shortened(found, MAX_NAMES)


def _value(product: Iterable[Term]) -> int:
    return math.prod([one.value for one in product])


def _figures(part: Sum) -> str:
    products = [" × ".join(str(one.value) for one in product) or "1" for product in part.products]
    inner = " + ".join(products) or "0"
    outer = " × ".join(str(one.value) for one in part.outer)
    if not outer:
        return inner
    return f"{outer} × {inner}" if len(products) == 1 else f"{outer} × ({inner})"
