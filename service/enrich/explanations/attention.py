"""Multi-head attention: the query, key, value and output projections, equal ones put together.

Knows Keras' per-head kernels (`[features, heads, size]`) and PyTorch's joint `in_proj_weight` (`[3 × embed, embed]`).
"""

from __future__ import annotations

from collections.abc import Iterable

from service.enrich.explanations.recipe import Recipe, Sum, counted, term
from service.enrich.explanations.shapes import sizes
from service.tree import Layer, Term, Weight

KINDS = ("multi_head_attention", "grouped_query_attention", "attention")
_PROJECTIONS = ("query", "key", "value", "output")
_REFERENCE = "Vaswani et al. 2017, arXiv:1706.03762"


def explain(layer: Layer, framework: str) -> Recipe | None:
    """One sum per group of equal projections; None if a weight belongs to none."""
    weights = counted(layer, framework)
    if any(sizes(weight) is None for weight in weights):
        return None
    joint = [weight for weight in weights if weight.role in ("qkv_kernel", "qkv_bias")]
    groups: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for name in _PROJECTIONS:
        held = [weight for weight in weights if weight.role in (f"{name}_kernel", f"{name}_bias")]
        if held:
            groups.setdefault(tuple(sizes(weight) or () for weight in held), []).append(name)
    sums = [*_joint(joint), *(_projection(shapes, names) for shapes, names in groups.items())]
    covered = len(joint) + sum(len(shapes) * len(names) for shapes, names in groups.items())
    if covered != len(weights) or not sums:
        return None
    return Recipe(sums=tuple(sums), text=_text(joint, groups.values()), reference=_REFERENCE)


def _joint(weights: Iterable[Weight]) -> list[Sum]:
    """`3 × (embed × embed + embed)` for PyTorch's projections kept in one tensor."""
    products: list[tuple[Term, ...]] = []
    for weight in weights:
        shape = sizes(weight) or ()
        if not shape or shape[0] % 3:
            return []
        products.append(_product((shape[0] // 3, *shape[1:]), "one projection"))
    return [Sum(outer=(term("projections", "query, key and value", 3),), products=tuple(products))] if products else []


def _projection(shapes: tuple[tuple[int, ...], ...], names: list[str]) -> Sum:
    what = ", ".join(names)
    products = tuple(_product(shape, what) for shape in shapes)
    outer = (term("projections", f"equal projections: {what}", len(names)),) if len(names) > 1 else ()
    return Sum(outer=outer, products=products)


def _product(shape: tuple[int, ...], what: str) -> tuple[Term, ...]:
    kind = "kernel" if len(shape) > 1 else "bias"
    return tuple(term(f"{kind}[{axis}]", f"{kind} of {what}, axis {axis}", size) for axis, size in enumerate(shape))


def _text(joint: list[Weight], groups: Iterable[list[str]]) -> str:
    listed = [", ".join(names) for names in groups]
    if joint:
        listed.insert(0, "query, key and value (kept in one tensor)")
    return (
        f"The attention projects its inputs: {'; '.join(listed)}. "
        "Heads split these projections and add no weights of their own."
    )
