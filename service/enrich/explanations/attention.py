"""Multi-head attention: the query, key, value and output projections, equal ones put together.

Knows Keras' per-head kernels (`[features, heads, size]`) and PyTorch's joint `in_proj_weight` (`[3 × embed, embed]`).
"""

from __future__ import annotations

import math

from service.enrich.explanations.attention_words import expert, text
from service.enrich.explanations.recipe import Claim, Recipe, Sum, evaluate, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.shapes import Sizes, sizes
from service.frameworks import conventions
from service.language import msg
from service.tree import Frozen, Layer, Term, Weight

KINDS = ("multi_head_attention", "grouped_query_attention")
_PROJECTIONS = ("query", "key", "gate", "value", "output")
_EXTRA = frozenset({"bias_k", "bias_v"})
_JOINT = 3
_MATRIX = 2


class Projection(Frozen, frozen=True, kw_only=True):
    """One projection: the kernel's shape, and the shape its bias has if there is one."""

    name: str
    kernel: Sizes
    bias: Sizes | None


def explain(layer: Layer, framework: str) -> Recipe | None:
    """One sum per group of equal projections; None if there is no projection."""
    own = [weight for weight in layer.weights if weight.name not in _EXTRA]
    found = [one for one in (_projection(name, own, framework) for name in _PROJECTIONS) if one is not None]
    joint = _joint(own) if not _unequal(layer) else []
    sums = [*joint, *_grouped(found), *_extra(layer)]
    if not joint and not found:
        return None
    return Recipe(
        sums=tuple(sums),
        text=text(framework, tuple(one.name for one in found), joint=bool(joint) and not found),
        expert=expert(layer, framework, evaluate(sums), tuple(one.name for one in found)),
        reference=reference(layer, framework),
        claims=_claims(layer, framework, {one.name: one for one in found}),
    )


def _unequal(layer: Layer) -> bool:
    """Whether the file says that queries, keys and values differ in size (ONNX Runtime's `qkv_hidden_sizes`)."""
    told = layer.config.get("qkv_hidden_sizes")
    return isinstance(told, list) and any(size != told[0] for size in told)


def _projection(name: str, weights: list[Weight], framework: str) -> Projection | None:
    """The projection called `name`; what its bias is follows from its kernel, never from the bias itself."""
    held = [weight for weight in weights if _belongs(weight, name)]
    kernel = next((sizes(weight) for weight in held if weight.role.endswith("kernel")), None)
    if not kernel or len(kernel) < 2:
        return None
    has_bias = any(weight.role.endswith("bias") for weight in held)
    layout = next(weight.layout for weight in held if weight.role.endswith("kernel"))
    if len(kernel) == _MATRIX and layout in ("in-out", "out-in"):
        bias: Sizes = kernel[1:] if layout == "in-out" else kernel[:1]
    elif conventions(framework) == "torch":
        bias = kernel[:1]
    else:
        bias = kernel[2:] if name == "output" else kernel[1:]
    return Projection(name=name, kernel=kernel, bias=bias if has_bias else None)


def _belongs(weight: Weight, name: str) -> bool:
    if weight.role in (f"{name}_kernel", f"{name}_bias"):
        return True
    return weight.role in ("kernel", "bias") and f"{name}/" in f"/{weight.name}"


def _joint(weights: list[Weight]) -> list[Sum]:
    """`3 × (embed × embed + embed)` for PyTorch's projections kept in one tensor; the biases alone where they are."""
    held = {weight.role: sizes(weight) for weight in weights if weight.role in ("qkv_kernel", "qkv_bias")}
    turned = any(weight.role == "qkv_kernel" and weight.layout == "in-out" for weight in weights)
    kernel, bias = held.get("qkv_kernel"), held.get("qkv_bias")
    kernel = kernel[::-1] if kernel and turned else kernel
    width = (kernel or bias or (0,))[0]
    if not width or width % _JOINT:
        return []
    each = term("embed", msg("features of the model (embed_dim)"), width // _JOINT)
    products: list[tuple[Term, ...]] = []
    if kernel and len(kernel) == 2:
        products.append((each, term("inputs", msg("input features"), kernel[1])))
    if bias:
        products.append((each,))
    return [Sum(outer=(_times(("query", "key", "value")),), products=tuple(products))]


def _grouped(found: list[Projection]) -> list[Sum]:
    groups: dict[tuple[Sizes, Sizes | None], list[str]] = {}
    for one in found:
        groups.setdefault((one.kernel, one.bias), []).append(one.name)
    return [_sum(kernel, bias, tuple(names)) for (kernel, bias), names in groups.items()]


def _sum(kernel: Sizes, bias: Sizes | None, names: tuple[str, ...]) -> Sum:
    products = [_product("kernel", kernel, names)]
    if bias is not None:
        products.append(_product("bias", bias, names))
    return Sum(outer=(_times(names),) if len(names) > 1 else (), products=tuple(products))


def _times(names: tuple[str, ...]) -> Term:
    return term("projections", msg("equal projections: {names}", names=names), len(names))


def _product(what: str, shape: Sizes, names: tuple[str, ...]) -> tuple[Term, ...]:
    return tuple(
        term(
            f"{what}[{axis}]", msg("{names}: size of {what} along axis {axis}", names=names, what=what, axis=axis), size
        )
        for axis, size in enumerate(shape)
    )


def _extra(layer: Layer) -> list[Sum]:
    """The key and value that `add_bias_kv` puts behind every sequence."""
    held = [weight for weight in layer.weights if weight.name in _EXTRA and weight.count is not None]
    shapes = {sizes(weight) for weight in held}
    if not held or len(shapes) > 1:
        return []
    width = math.prod(shapes.pop() or (0,))
    several = term("learned positions", msg("one learned key and one learned value (add_bias_kv)"), len(held))
    return [Sum(products=((several, term("embed", msg("features of the model (embed_dim)"), width)),))]


def _claims(layer: Layer, framework: str, found: dict[str, Projection]) -> tuple[Claim, ...]:
    query, key, value = found.get("query"), found.get("key"), found.get("value")
    if framework != "keras" or query is None or key is None or value is None or len(query.kernel) != 3:
        return ()
    bias: Claim = ("use_bias", query.bias is not None)
    if layer.kind == "grouped_query_attention":
        heads, size = query.kernel[1:]
        return (bias, ("num_query_heads", heads), ("head_dim", size), ("num_key_value_heads", key.kernel[1]))
    return (bias, ("num_heads", query.kernel[1]), ("key_dim", query.kernel[2]), ("value_dim", value.kernel[-1]))
