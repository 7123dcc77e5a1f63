"""Convolutions of every sort: kernel positions × input channels per group × filters + biases.

Knows Keras' kernel layouts (`HWIO`, transposed `HWOI`, depthwise `HWIM`) and PyTorch's (`OIHW`, transposed `IOHW`).
"""

from __future__ import annotations

from collections.abc import Iterator

from service.enrich.explanations.recipe import Recipe, Sum, term
from service.enrich.explanations.shapes import by_role, is_plain, sizes
from service.tree import Layer, Term, Weight

KINDS = (
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "depthwise_conv1d", "depthwise_conv2d", "separable_conv1d", "separable_conv2d",
)  # fmt: skip
_KNOWN = {"kernel", "bias", "depthwise_kernel", "pointwise_kernel"}
_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


def explain(layer: Layer, framework: str) -> Recipe | None:
    """One sum of products from the kernels' shapes; None where a layout is not known."""
    held = by_role(layer)
    kernels = [held[role] for role in ("kernel", "depthwise_kernel", "pointwise_kernel") if role in held]
    products = [_kernel_product(kernel) for kernel in kernels]
    if not kernels or not is_plain(layer, _KNOWN) or any(product is None for product in products):
        return None
    found = [product for product in products if product is not None]
    sentences = [_sentence(kernel, product) for kernel, product in zip(kernels, found, strict=True)]
    bias = sizes(held.get("bias"))
    if bias:
        found.append(tuple(term("biases", "one bias per output channel", size) for size in bias))
    sentences.append(f"Each output channel has one bias ({bias[0]})." if bias else "There is no bias.")
    sentences.extend(_groups(layer))
    return Recipe(sums=(Sum(products=tuple(found)),), text=" ".join(sentences), reference=_reference(layer, framework))


def _kernel_product(kernel: Weight) -> tuple[Term, ...] | None:
    shape, layout = sizes(kernel), kernel.layout or ""
    if shape is None or len(layout) != len(shape) or len(shape) - 2 not in _AXES:
        return None
    spatial = iter(_AXES[len(shape) - 2])
    return tuple(_axis(letter, size, spatial, kernel.role) for letter, size in zip(layout, shape, strict=True))


def _axis(letter: str, size: int, spatial: Iterator[str], role: str) -> Term:
    if letter == "I":
        return term("input channels", "input channels that one filter sees (per group)", size)
    if letter == "O":
        return term("filters", "filters, one per output channel", size)
    if letter == "M":
        return term("multiplier", "filters per input channel (depth multiplier)", size)
    axis = next(spatial)
    return term(f"kernel {axis}", f"size of the {role.replace('_', ' ')} along {axis}", size)


def _sentence(kernel: Weight, product: tuple[Term, ...]) -> str:
    window = " × ".join(str(one.value) for one in product if one.symbol.startswith("kernel"))
    by_symbol = {one.symbol: one.value for one in product}
    channels = by_symbol.get("input channels", 0)
    if kernel.role == "depthwise_kernel" or "multiplier" in by_symbol:
        own = by_symbol.get("multiplier", 1)
        return f"Each of the {channels} input channels has {own} filter(s) of {window} of its own."
    filters = by_symbol.get("filters", 0)
    return f"Each of the {filters} filters has {window} weights for each of the {channels} input channels it sees."


def _groups(layer: Layer) -> list[str]:
    groups = layer.config.get("groups", 1)
    if not isinstance(groups, int) or groups <= 1:
        return []
    return [f"With groups={groups} a filter sees only 1/{groups} of the input channels."]


def _reference(layer: Layer, framework: str) -> str | None:
    if framework == "torch":
        return f"torch.nn.{layer.type}" if layer.type else None
    return "https://keras.io/api/layers/convolution_layers/"
