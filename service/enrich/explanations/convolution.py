"""Convolutions of every sort: kernel positions × input channels per group × filters + biases.

Knows Keras' kernel layouts (`HWIO`, transposed `HWOI`, depthwise `HWIM`), PyTorch's (`OIHW`, transposed `IOHW`) and
TensorFlow Lite's (`OHWI`, depthwise `IHWO` with one input channel for each filter).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from service.enrich.explanations.recipe import Claim, Recipe, Sum, evaluate, term
from service.enrich.explanations.references import reference
from service.enrich.explanations.remarks import no_effect, same_elsewhere, without_or_with_bias
from service.enrich.explanations.shapes import Sizes, bias_of, by_role, kernel_of, sizes
from service.frameworks import OWN_RULES
from service.language import Message, mark, msg, msgn, sentences
from service.tree import Frozen, Layer, Term, Weight

KINDS = (
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "depthwise_conv1d", "depthwise_conv2d", "separable_conv1d", "separable_conv2d",
)  # fmt: skip
_GROUPS = ("groups", "group", "nGroups")
_UNSHARED = frozenset({"LocallyConnected1D", "LocallyConnected2D"})
_AXES = {
    1: (mark("size of the kernel along its length"),),
    2: (mark("height of the kernel"), mark("width of the kernel")),
    3: (mark("depth of the kernel"), mark("height of the kernel"), mark("width of the kernel")),
}
_SYMBOLS = {
    1: ("kernel length",),
    2: ("kernel height", "kernel width"),
    3: ("kernel depth", "kernel height", "kernel width"),
}


class Kernel(Frozen, frozen=True, kw_only=True):
    """A kernel read by its layout: `channels` is what one filter sees, `multiplier` is set for a depthwise one."""

    product: tuple[Term, ...]
    window: Sizes
    channels: int
    filters: int
    multiplier: int | None = None

    @property
    def outputs(self) -> int:
        """Output channels; of a grouped transposed convolution those of one group."""
        return self.filters if self.multiplier is None else self.channels * self.multiplier


def explain(layer: Layer, framework: str) -> Recipe | None:
    """One product per kernel and one for the biases; None where a layout is not known or filters are not shared."""
    held = by_role(layer)
    weights = (kernel_of(layer), held.get("depthwise_kernel"), held.get("pointwise_kernel"))
    kernels = [read_kernel(weight) for weight in weights if weight is not None]
    found = [kernel for kernel in kernels if kernel is not None]
    if not found or len(found) != len(kernels) or layer.type in _UNSHARED:
        return None
    biased = bias_of(layer)
    groups = _groups(layer, found[-1], sizes(biased))
    one_group = _lists_one_group(layer)
    biases = found[-1].outputs * (groups if one_group else 1)
    bias = biased is not None
    products = [kernel.product for kernel in found]
    if bias:
        products.append((term("biases", msg("one bias per output channel"), biases),))
    sums = (Sum(products=tuple(products)),)
    return Recipe(
        sums=sums,
        text=_text([_per_group(kernel, groups) if one_group else kernel for kernel in found], biases if bias else None),
        expert=sentences(
            without_or_with_bias(framework, bias, evaluate(sums), biases),
            _grouping(framework, groups),
            _elsewhere(layer, framework, groups),
            no_effect(framework, keras=("strides", "padding", "dilation_rate", "data_format"),
                      torch=("stride", "padding", "dilation", "padding_mode"))
            or msg("Strides, padding and dilation do not change the count."),
        ),
        reference=reference(layer, framework),
        claims=_claims(framework, found, groups, biases, bias=bias),
    )


def read_kernel(weight: Weight) -> Kernel | None:
    """A kernel by its layout; None where there is none or it does not fit the shape."""
    shape, layout = sizes(weight), weight.layout or ""
    rank = len(layout) - 2
    if shape is None or len(layout) != len(shape) or rank not in _AXES:
        return None
    by_letter = dict(zip(layout, shape, strict=True))
    spatial = iter(zip(_SYMBOLS[rank], _AXES[rank], strict=True))
    product = tuple(_axis(letter, size, spatial) for letter, size in zip(layout, shape, strict=True))
    window = tuple(size for letter, size in zip(layout, shape, strict=True) if letter not in "IOM")
    if len(window) != rank:
        return None
    return Kernel(
        product=product,
        window=window,
        channels=by_letter.get("I", 1),
        filters=by_letter.get("O", 1),
        multiplier=by_letter.get("M"),
    )


def _axis(letter: str, size: int, spatial: Iterator[tuple[str, str]]) -> Term:
    if letter == "I":
        return term("input channels", msg("input channels that one filter sees (per group)"), size)
    if letter == "O":
        return term("filters", msg("filters, one per output channel"), size)
    if letter == "M":
        return term("multiplier", msg("filters per input channel (depth multiplier)"), size)
    symbol, meaning = next(spatial, ("kernel", mark("size of the kernel")))
    return term(symbol, Message(meaning), size)


def _groups(layer: Layer, kernel: Kernel, bias: Sizes | None) -> int:
    """The recorded number of groups; of a transposed convolution without a record that which its bias tells."""
    recorded = next((layer.config[name] for name in _GROUPS if name in layer.config), None)
    if type(recorded) is int and recorded > 0:
        return recorded
    if _lists_one_group(layer) and bias and len(bias) == 1 and kernel.filters:
        return max(1, bias[0] // kernel.filters)
    return 1


def _text(kernels: list[Kernel], biases: int | None) -> Message:
    told = [_sentence(kernel) for kernel in kernels]
    if biases is None:
        return sentences(*told, msg("There is no bias."))
    return sentences(*told, msg("Each output channel has one bias ({biases}).", biases=biases))


def _sentence(kernel: Kernel) -> Message:
    window = " × ".join(map(str, kernel.window))
    if kernel.multiplier is not None:
        return msgn(
            "Every input channel ({channels}) has a kernel of {window} of its own.",
            "Every input channel ({channels}) has {n} kernels of {window} of its own.",
            n=kernel.multiplier, channels=kernel.channels, window=window,
        )  # fmt: skip
    return msgn(
        "Its one filter has a kernel of {window} for every input channel it sees ({channels}).",
        "Each of the {n} filters has a kernel of {window} for every input channel it sees ({channels}).",
        n=kernel.filters, window=window, channels=kernel.channels,
    )  # fmt: skip


def _lists_one_group(layer: Layer) -> bool:
    """Whether the kernel is that of a transposed convolution which lists all inputs and the outputs of one group.

    ncnn's lists the outputs first and the inputs of one group.
    """
    kernel = kernel_of(layer)
    by_outputs = kernel is not None and (kernel.layout or "").startswith("O")
    return layer.kind.startswith("conv_transpose") and not by_outputs


def _per_group(kernel: Kernel, groups: int) -> Kernel:
    """A grouped kernel that lists all inputs and one group's outputs, as each of its filters sees it."""
    return msgspec.structs.replace(kernel, channels=kernel.channels // groups, filters=kernel.filters * groups)


def _grouping(framework: str, groups: int) -> Message | None:
    if groups == 1:
        return None
    if framework not in OWN_RULES:
        return msg(
            "The channels form {groups} groups: a filter sees only 1/{groups} of the input channels, so the kernel is "
            "{groups} times smaller than without groups.",
            groups=groups,
        )
    return msg(
        "With groups={groups} a filter sees only 1/{groups} of the input channels, so the kernel is {groups} times "
        "smaller than without groups.",
        groups=groups,
    )


def _elsewhere(layer: Layer, framework: str, groups: int) -> Message:
    kind, rank = layer.kind, layer.kind[-2:]
    keras, torch = f"keras.layers.Conv{rank.upper()}", f"torch.nn.Conv{rank}"
    if "transpose" in kind and groups > 1 and framework != "keras":
        return msg("Keras has no groups in its transposed convolutions.")
    if "transpose" in kind:
        return same_elsewhere(framework, keras=f"{keras}Transpose", torch=f"torch.nn.ConvTranspose{rank}")
    if kind.startswith("depthwise") and framework != "keras":
        return msg("keras.layers.DepthwiseConv{rank} counts the same, and so does torch.nn.Conv{small} with "
                   "groups=in_channels.", rank=rank.upper(), small=rank)  # fmt: skip
    if kind.startswith("depthwise"):
        return msg("PyTorch has no class of its own for it: torch.nn.Conv{rank} with groups=in_channels counts the "
                   "same.", rank=rank)  # fmt: skip
    if kind.startswith("separable"):
        return msg(
            "PyTorch writes it as two modules, torch.nn.Conv{rank} with groups=in_channels and bias=False and one with "
            "kernel_size=1; together they count the same.", rank=rank,
        )  # fmt: skip
    return same_elsewhere(framework, keras=keras, torch=torch)


def _claims(framework: str, kernels: list[Kernel], groups: int, biases: int, *, bias: bool) -> tuple[Claim, ...]:
    first, last = kernels[0], kernels[-1]
    window: Claim = ("kernel_size", first.window)
    if framework == "torch":
        transposed = first.product[0].symbol == "input channels"
        inputs = first.channels if transposed else first.channels * groups
        return (window, ("in_channels", inputs), ("out_channels", biases))
    if framework != "keras":
        return ()
    own: tuple[Claim, ...] = (window, ("use_bias", bias))
    if last.multiplier is None:
        own = (*own, ("filters", last.filters))
    return own if first.multiplier is None else (*own, ("depth_multiplier", first.multiplier))
