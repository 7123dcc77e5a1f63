"""Convolutions of every sort, as the catalogue has them."""

from __future__ import annotations

from service.enrich.kinds.entry import Entry, Held, example, formulas, option, symbol, weight, without_effect
from service.kindinfo import KindOption, KindTerm
from service.language import msg, verbatim

_AXES = {1: "W", 2: "HW", 3: "DHW"}
_KERAS_FREE = ("strides", "padding", "dilation_rate", "data_format")
_TORCH_FREE = ("stride", "padding", "dilation", "padding_mode")


def entries() -> dict[str, Entry]:
    """The kinds of this family."""
    plain = {f"conv{rank}d": _convolution(rank) for rank in (1, 2, 3)}
    transposed = {f"conv_transpose{rank}d": _transposed(rank) for rank in (1, 2, 3)}
    depthwise = {f"depthwise_conv{rank}d": _depthwise(rank) for rank in (1, 2)}
    separable = {f"separable_conv{rank}d": _separable(rank) for rank in (1, 2)}
    return {**plain, **transposed, **depthwise, **separable}


def _terms(*more: KindTerm) -> tuple[KindTerm, ...]:
    return (
        symbol("window", msg("sizes of the kernel along each axis, multiplied")),
        symbol("inputs", msg("input channels of the layer")),
        symbol("filters", msg("filters, one per output channel")),
        *more,
    )


def _options(*own: KindOption, torch: bool = True) -> tuple[KindOption, ...]:
    reason = msg("It decides where the kernel is laid, not how many weights it has.")
    return (
        option("keras", "use_bias", msg("False leaves out one value per output channel.")),
        *((option("torch", "bias", msg("False leaves out one value per output channel.")),) if torch else ()),
        *own,
        *without_effect("keras", _KERAS_FREE, reason),
        *(without_effect("torch", _TORCH_FREE, reason) if torch else ()),
    )


def _grouped(framework: str) -> KindOption:
    return option(
        framework, "groups", msg("A filter sees only 1/groups of the input channels: the kernel shrinks so much.")
    )


def _symbols(rank: int) -> tuple[str, str]:
    """The window's axes as a shape has them, and their product."""
    axes = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}[rank]
    return ", ".join(axes), " × ".join(axes)


def _bias(size: int) -> Held:
    return ("bias", "bias", (size,), None)


def _convolution(rank: int) -> Entry:
    window, _ = _symbols(rank)
    formula = "window × inputs / groups × filters + filters"
    letters, kernel = _AXES[rank], (3,) * rank
    return Entry(
        weights=(
            weight("keras", "kernel", "kernel", f"[{window}, inputs / groups, filters]"),
            weight("keras", "bias", "bias", "[filters]", verbatim("use_bias=True")),
            weight("torch", "weight", "kernel", f"[filters, inputs / groups, {window}]"),
            weight("torch", "bias", "bias", "[filters]", verbatim("bias=True")),
        ),
        formulas=formulas(formula, formula),
        terms=_terms(symbol("groups", msg("groups of channels that are convolved apart from one another"))),
        options=_options(_grouped("keras"), _grouped("torch")),
        differences=(msg("The count is the same; Keras stores the window first, PyTorch the filters."),),
        examples=(
            example("keras", f"conv{rank}d", f"Conv{rank}D(32, 3)",
                    (("kernel", "kernel", (*kernel, 16, 32), f"{letters}IO"), _bias(32))),
            example("torch", f"conv{rank}d", f"Conv{rank}d(16, 32, 3, groups=4)",
                    (("weight", "kernel", (32, 4, *kernel), f"OI{letters}"), _bias(32)), {"groups": 4}),
        ),
    )  # fmt: skip


def _transposed(rank: int) -> Entry:
    window, _ = _symbols(rank)
    letters, kernel = _AXES[rank], (3,) * rank
    return Entry(
        weights=(
            weight("keras", "kernel", "kernel", f"[{window}, filters, inputs]"),
            weight("keras", "bias", "bias", "[filters]", verbatim("use_bias=True")),
            weight("torch", "weight", "kernel", f"[inputs, filters / groups, {window}]"),
            weight("torch", "bias", "bias", "[filters]", verbatim("bias=True")),
        ),
        formulas=formulas("window × inputs × filters + filters", "window × inputs × filters / groups + filters"),
        terms=_terms(symbol("groups", msg("groups of channels that are convolved apart from one another"))),
        options=_options(
            _grouped("torch"),
            *without_effect("torch", ("output_padding",), msg("It only adds positions to the output.")),
        ),
        differences=(msg("Keras has no groups in its transposed convolutions."),),
        examples=(
            example("keras", f"conv_transpose{rank}d", f"Conv{rank}DTranspose(8, 3)",
                    (("kernel", "kernel", (*kernel, 8, 16), f"{letters}OI"), _bias(8))),
            example("torch", f"conv_transpose{rank}d", f"ConvTranspose{rank}d(16, 8, 3)",
                    (("weight", "kernel", (16, 8, *kernel), f"IO{letters}"), _bias(8))),
        ),
    )  # fmt: skip


def _depthwise(rank: int) -> Entry:
    window, _ = _symbols(rank)
    kernel = ("kernel", "depthwise_kernel", (*(3,) * rank, 16, 2), f"{_AXES[rank]}IM")
    return Entry(
        weights=(
            weight("keras", "kernel", "depthwise_kernel", f"[{window}, inputs, multiplier]"),
            weight("keras", "bias", "bias", "[inputs × multiplier]", verbatim("use_bias=True")),
        ),
        formulas=formulas("window × inputs × multiplier + inputs × multiplier", None),
        terms=_terms(symbol("multiplier", msg("filters per input channel (depth multiplier)"))),
        options=_options(_multiplier(), torch=False),
        differences=(
            msg("PyTorch has no class of its own for it: torch.nn.Conv{rank} with groups=in_channels counts the same.",
                rank=f"{rank}d"),
        ),
        examples=(
            example("keras", f"depthwise_conv{rank}d", f"DepthwiseConv{rank}D(3, depth_multiplier=2)",
                    (kernel, _bias(32))),
        ),
    )  # fmt: skip


def _multiplier() -> KindOption:
    return option("keras", "depth_multiplier", msg("So many filters for every input channel."))


def _separable(rank: int) -> Entry:
    window, _ = _symbols(rank)
    ones = ", ".join(["1"] * rank)
    letters, kernel = _AXES[rank], (3,) * rank
    return Entry(
        weights=(
            weight("keras", "depthwise_kernel", "depthwise_kernel", f"[{window}, inputs, multiplier]"),
            weight("keras", "pointwise_kernel", "pointwise_kernel", f"[{ones}, inputs × multiplier, filters]"),
            weight("keras", "bias", "bias", "[filters]", verbatim("use_bias=True")),
        ),
        formulas=formulas("window × inputs × multiplier + inputs × multiplier × filters + filters", None),
        terms=_terms(symbol("multiplier", msg("filters per input channel (depth multiplier)"))),
        options=_options(_multiplier(), torch=False),
        differences=(
            msg("PyTorch writes it as two modules, torch.nn.Conv{rank} with groups=in_channels and bias=False and one "
                "with kernel_size=1; together they count the same.", rank=f"{rank}d"),
        ),
        examples=(
            example("keras", f"separable_conv{rank}d", f"SeparableConv{rank}D(32, 3)",
                    (("depthwise_kernel", "depthwise_kernel", (*kernel, 16, 1), f"{letters}IM"),
                     ("pointwise_kernel", "pointwise_kernel", (*(1,) * rank, 16, 32), f"{letters}IO"), _bias(32))),
        ),
    )  # fmt: skip
