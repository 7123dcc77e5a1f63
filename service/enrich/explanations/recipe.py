"""The grammar of an explanation: outer factors times a sum of products; knows arithmetic and wording, no layer.

`4 × (128 × 64 + 64 × 64 + 64) = 49408` is one `Sum` with the outer factor 4 and three products.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from service.language import verbatim
from service.tree import Frozen, Group, Layer, Part, Term, Weight


class Sum(Frozen, frozen=True, kw_only=True):
    """`outer` factors times the sum of `products`; no outer factor means the bare sum."""

    products: tuple[tuple[Term, ...], ...]
    outer: tuple[Term, ...] = ()


class Recipe(Frozen, frozen=True, kw_only=True):
    """Sums that add up to a layer's count, with a sentence and its source."""

    sums: tuple[Sum, ...]
    text: str
    reference: str | None = None


def term(symbol: str, meaning: str, value: int) -> Term:
    """Short for a `Term`."""
    return Term(symbol=symbol, meaning=verbatim(meaning), value=value)


def evaluate(recipe: Recipe) -> int:
    """The number that the recipe gives."""
    return sum(_value(part.outer) * sum(_value(product) for product in part.products) for part in recipe.sums)


def formula(recipe: Recipe, total: int) -> str:
    """The recipe in figures, ending in `= total`."""
    return f"{' + '.join(_figures(part) for part in recipe.sums) or '0'} = {total}"


def terms(recipe: Recipe) -> tuple[Term, ...]:
    """Every distinct term, in order of appearance."""
    found = (one for part in recipe.sums for group in (part.outer, *part.products) for one in group)
    return tuple(dict.fromkeys(found))


def counted(layer: Layer, framework: str) -> tuple[Weight, ...]:
    """The weights that the framework itself counts as the layer's parameters."""
    if framework == "torch":
        return tuple(weight for weight in layer.weights if weight.group != "statistic")
    return layer.weights


def parts(layer: Layer) -> tuple[Part, ...]:
    """The layer's elements by group, in a fixed order, with the names of the weights in each."""
    order: tuple[Group, ...] = ("trainable", "frozen", "unknown", "statistic")
    found = ((group, [weight for weight in layer.weights if weight.group == group]) for group in order)
    return tuple(
        Part(group=group, names=tuple(weight.name for weight in held), count=sum(weight.count or 0 for weight in held))
        for group, held in found
        if held
    )


def listing(layer: Layer, framework: str, total: int) -> str:
    """A sentence on how the count splits into what is learned and what is not; empty if there is nothing to add."""
    beside = [weight for weight in layer.weights if weight.group == "statistic"]
    frozen = any(weight.group == "frozen" for weight in layer.weights)
    sentences = []
    if beside and framework == "torch":
        held = sum(weight.count or 0 for weight in beside)
        sentences.append(
            f"PyTorch keeps {names(beside)} ({held} values) as buffers, outside parameters(), "
            f"so they are not in the {total}."
        )
    if frozen:
        sentences.append("The layer is frozen: these parameters would be trained once it is unfrozen.")
    tied = [weight for weight in layer.weights if weight.tied_to]
    if tied:
        sentences.append(
            f"{names(tied)} shares its storage with {tied[0].tied_to}, so the model's totals count it once."
        )
    return " ".join(sentences)


def names(weights: Iterable[Weight]) -> str:
    """`gamma, beta and moving_mean`."""
    found = [weight.name for weight in weights]
    return " and ".join(part for part in (", ".join(found[:-1]), found[-1] if found else "") if part)


def _value(product: Iterable[Term]) -> int:
    return math.prod(one.value for one in product)


def _figures(part: Sum) -> str:
    products = [" × ".join(str(one.value) for one in product) or "1" for product in part.products]
    inner = " + ".join(products)
    outer = " × ".join(str(one.value) for one in part.outer)
    if not outer:
        return inner
    return f"{outer} × {inner}" if len(products) == 1 else f"{outer} × ({inner})"
