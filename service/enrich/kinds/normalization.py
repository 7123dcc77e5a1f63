"""Normalisations, as the catalogue has them."""

from __future__ import annotations

from service.enrich.kinds.entry import Entry, Held, example, formulas, option, symbol, weight, without_effect
from service.kindinfo import KindOption, KindTerm
from service.language import msg, verbatim

_FEATURES = 512


def entries() -> dict[str, Entry]:
    """The kinds of this family."""
    return {
        "batch_norm": _batch(),
        "layer_norm": _layer(),
        "group_norm": _group(),
        "instance_norm": _instance(),
        "rms_norm": _rms(),
        "spectral_norm": _spectral(),
        "normalization": _fitted(),
    }


def _terms() -> tuple[KindTerm, ...]:
    return (symbol("features", msg("features (channels) that are normalised")),)


def _vector(name: str, role: str) -> Held:
    return (name, role, (_FEATURES,), None)


def _scale_and_center() -> tuple[KindOption, ...]:
    return (
        option("keras", "scale", msg("False leaves out gamma, one value per feature.")),
        option("keras", "center", msg("False leaves out beta, one value per feature.")),
    )


_COUNTER: Held = ("num_batches_tracked", "num_batches_tracked", (), None)
_KERAS_LEARNED = (_vector("gamma", "scale"), _vector("beta", "offset"))
_TORCH_LEARNED = (_vector("weight", "scale"), _vector("bias", "offset"))
_KERAS_BATCH = (*_KERAS_LEARNED, _vector("moving_mean", "moving_mean"), _vector("moving_variance", "moving_variance"))
_TORCH_BATCH = (
    *_TORCH_LEARNED,
    _vector("running_mean", "moving_mean"),
    _vector("running_var", "moving_variance"),
    _COUNTER,
)


def _batch() -> Entry:
    tracked = verbatim("track_running_stats=True")
    return Entry(
        weights=(
            weight("keras", "gamma", "scale", "[features]", verbatim("scale=True")),
            weight("keras", "beta", "offset", "[features]", verbatim("center=True")),
            weight("keras", "moving_mean", "moving_mean", "[features]"),
            weight("keras", "moving_variance", "moving_variance", "[features]"),
            weight("torch", "weight", "scale", "[features]", verbatim("affine=True")),
            weight("torch", "bias", "offset", "[features]", verbatim("affine=True")),
            weight("torch", "running_mean", "moving_mean", "[features]", tracked),
            weight("torch", "running_var", "moving_variance", "[features]", tracked),
            weight("torch", "num_batches_tracked", "num_batches_tracked", "[]", tracked),
        ),
        formulas=formulas("4 × features", "2 × features"),
        terms=_terms(),
        options=(
            *_scale_and_center(),
            option("keras", "renorm", msg("Adds three more vectors of statistics.")),
            option("torch", "affine", msg("False leaves out weight and bias, one value per feature each.")),
            *without_effect("torch", ("track_running_stats",),
                            msg("It brings buffers, which PyTorch keeps outside parameters().")),
            *without_effect("keras", ("momentum", "epsilon"), msg("It is a number, not a weight.")),
            *without_effect("keras", ("synchronized",),
                            msg("It says over which replicas statistics are taken, not how many there are.")),
            *without_effect("torch", ("momentum", "eps"), msg("It is a number, not a weight.")),
        ),
        differences=(
            msg("Keras counts the moving mean and variance as non-trainable weights; PyTorch keeps them as buffers "
                "outside parameters(), with a counter of batches that Keras does not have."),
            msg("Keras' momentum m is PyTorch's 1 - m, and epsilon is 1e-3 in Keras and 1e-5 in PyTorch by default."),
        ),
        examples=(
            example("keras", "batch_norm", "BatchNormalization()", _KERAS_BATCH),
            example("keras", "batch_norm", "BatchNormalization(scale=False)", _KERAS_BATCH[1:]),
            example("torch", "batch_norm", "BatchNorm2d(512)", _TORCH_BATCH),
        ),
    )  # fmt: skip


def _layer() -> Entry:
    return Entry(
        weights=(
            weight("keras", "gamma", "scale", "[features]", verbatim("scale=True")),
            weight("keras", "beta", "offset", "[features]", verbatim("center=True")),
            weight("torch", "weight", "scale", "[features]", verbatim("elementwise_affine=True")),
            weight("torch", "bias", "offset", "[features]", verbatim("elementwise_affine=True, bias=True")),
        ),
        formulas=formulas("2 × features", "2 × features"),
        terms=_terms(),
        options=(
            *_scale_and_center(),
            option("keras", "axis", msg("Several axes: one value for each combination of their positions.")),
            option(
                "torch", "normalized_shape", msg("Several axes: one value for each combination of their positions.")
            ),
            option("torch", "elementwise_affine", msg("False leaves out weight and bias.")),
            option("torch", "bias", msg("False leaves out the bias alone.")),
        ),
        differences=(msg("The count is the same in both frameworks."),),
        examples=(
            example("keras", "layer_norm", "LayerNormalization()", _KERAS_LEARNED),
            example("torch", "layer_norm", "LayerNorm(512)", _TORCH_LEARNED),
        ),
    )


def _group() -> Entry:
    reason = msg("There is one value per channel, however the channels are grouped.")
    return Entry(
        weights=(
            weight("keras", "gamma", "scale", "[features]", verbatim("scale=True")),
            weight("keras", "beta", "offset", "[features]", verbatim("center=True")),
            weight("torch", "weight", "scale", "[features]", verbatim("affine=True")),
            weight("torch", "bias", "offset", "[features]", verbatim("affine=True")),
        ),
        formulas=formulas("2 × features", "2 × features"),
        terms=_terms(),
        options=(
            *_scale_and_center(),
            option("torch", "affine", msg("False leaves out weight and bias, one value per feature each.")),
            *without_effect("keras", ("groups",), reason),
            *without_effect("torch", ("num_groups",), reason),
        ),
        differences=(msg("The count is the same in both frameworks."),),
        examples=(
            example("keras", "group_norm", "GroupNormalization(groups=32)", _KERAS_LEARNED),
            example("torch", "group_norm", "GroupNorm(32, 512)", _TORCH_LEARNED),
        ),
    )


def _instance() -> Entry:
    tracked = verbatim("track_running_stats=True")
    return Entry(
        weights=(
            weight("torch", "weight", "scale", "[features]", verbatim("affine=True")),
            weight("torch", "bias", "offset", "[features]", verbatim("affine=True")),
            weight("torch", "running_mean", "moving_mean", "[features]", tracked),
            weight("torch", "running_var", "moving_variance", "[features]", tracked),
            weight("torch", "num_batches_tracked", "num_batches_tracked", "[]", tracked),
        ),
        formulas=formulas(None, "2 × features"),
        terms=_terms(),
        options=(
            option("torch", "affine", msg("Off by default: then there are no parameters.")),
            *without_effect("torch", ("track_running_stats",),
                            msg("It brings buffers, which PyTorch keeps outside parameters().")),
        ),
        differences=(msg("Keras writes it as GroupNormalization with groups=-1, which counts the same."),),
        examples=(example("torch", "instance_norm", "InstanceNorm2d(512, affine=True)", _TORCH_LEARNED),),
    )  # fmt: skip


def _rms() -> Entry:
    return Entry(
        weights=(
            weight("keras", "scale", "scale", "[features]"),
            weight("torch", "weight", "scale", "[features]", verbatim("elementwise_affine=True")),
        ),
        formulas=formulas("features", "features"),
        terms=_terms(),
        options=(option("torch", "elementwise_affine", msg("False leaves no parameters.")),),
        differences=(msg("The count is the same in both frameworks."),),
        examples=(
            example("keras", "rms_norm", "RMSNormalization()", (_vector("scale", "scale"),)),
            example("torch", "rms_norm", "RMSNorm(512)", (_vector("weight", "scale"),)),
        ),
    )


def _spectral() -> Entry:
    return Entry(
        weights=(
            weight("keras", "layer/kernel", "kernel", "[inputs, units]"),
            weight("keras", "layer/bias", "bias", "[units]", verbatim("use_bias=True")),
            weight("keras", "vector_u", "spectral_vector", "[1, units]"),
            weight("torch", "_u", "spectral_vector", "[units]"),
            weight("torch", "_v", "spectral_vector", "[inputs]"),
        ),
        formulas=formulas("inputs × units + units + units", "0"),
        terms=(symbol("inputs", msg("input features")), symbol("units", msg("units (output features)"))),
        differences=(
            msg("Keras counts the singular vector as a non-trainable weight; PyTorch keeps two of them as buffers."),
        ),
        examples=(
            example("keras", "spectral_norm", "SpectralNormalization(Dense(64))",
                    (("dense/kernel", "kernel", (128, 64), None), ("vector_u", "spectral_vector", (1, 64), None),
                     ("dense/bias", "bias", (64,), None)), {"layer": {"class_name": "Dense", "config": {}}}),
        ),
        notes=(msg("The weights of the layer inside are counted with it; the formula stands for one around Dense."),),
    )  # fmt: skip


def _fitted() -> Entry:
    return Entry(
        weights=(
            weight("keras", "mean", "mean", "[features]"),
            weight("keras", "variance", "variance", "[features]"),
            weight("keras", "count", "count", "[]"),
        ),
        formulas=formulas("2 × features + 1", None),
        terms=_terms(),
        options=(option("keras", "mean, variance", msg("Given as arguments they are no weights: the count is 0.")),),
        differences=(msg("PyTorch has no such layer; torchvision's Normalize keeps its numbers outside the model."),),
        examples=(
            example("keras", "normalization", "Normalization()",
                    (("mean", "mean", (8,), None), ("variance", "variance", (8,), None), ("count", "count", (), None))),
        ),
    )  # fmt: skip
