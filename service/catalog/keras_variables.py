"""Which variables each Keras layer owns, in the order Keras stores them, and what each of them is.

Knows classes, arguments and local variable names of Keras 1 to 3; must not know files. Sources: `build()`,
`save_own_variables()` and `variable_serialization_spec` of each class in Keras 3.15, and tf_keras 2.21.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from service.catalog.keras_classes import KIND_OF_CLASS
from service.tree import Frozen

Config = dict[str, Any]


class Variables(Frozen, frozen=True, kw_only=True):
    """Own variables of a layer in stored order.

    `optional` ones are there or not depending on what the configuration does not tell; `mode` is the quantization mode.
    """

    names: tuple[str, ...]
    optional: frozenset[str] = frozenset()
    mode: str | None = None

    def fit(self, stored: int) -> tuple[str, ...] | None:
        """The names of `stored` variables; None if that many do not fit."""
        if stored == len(self.names):
            return self.names
        required = tuple(name for name in self.names if name not in self.optional)
        return required if stored == len(required) else None


_QUANTIZED_KERNEL = {
    "int8": ("kernel", "bias", "kernel_scale"),
    "int4": ("kernel", "bias", "kernel_scale", "kernel_zero", "g_idx"),
    "float8": (
        "kernel",
        "bias",
        "inputs_scale",
        "inputs_amax_history",
        "kernel_scale",
        "kernel_amax_history",
        "outputs_grad_scale",
        "outputs_grad_amax_history",
    ),
    "gptq": ("bias", "kernel", "kernel_scale", "kernel_zero", "g_idx"),
    "awq": ("bias", "kernel", "kernel_scale", "kernel_zero", "awq_scales", "g_idx"),
}
_QUANTIZED_EMBEDDING = {
    "int8": ("embeddings", "embeddings_scale"),
    "int4": ("embeddings", "embeddings_scale", "embeddings_zero", "g_idx"),
}
_SUB_CHANNEL = frozenset({"kernel_zero", "embeddings_zero", "reverse_embeddings_zero", "g_idx"})
"""Only there when int4 quantization works in blocks."""


def quantization_mode(config: Config) -> str | None:
    """`int8`, `int4`, `float8`, `gptq` or `awq` if the layer's dtype policy is a quantized one."""
    policy = config.get("dtype")
    inner = policy.get("config") if isinstance(policy, dict) else None
    mode = inner.get("mode") if isinstance(inner, dict) else None
    if isinstance(mode, str):
        return mode.split("/")[0]
    if isinstance(policy, dict) and "Float8" in str(policy.get("class_name")):
        return "float8"
    return None


def _flag(config: Config, key: str, default: bool = True) -> bool:
    value = config.get(key, default)
    return value if isinstance(value, bool) else default


def _with_bias(*names: str) -> Callable[[Config], Variables]:
    def rule(config: Config) -> Variables:
        return Variables(names=(*names, "bias") if _flag(config, "use_bias") else names)

    return rule


def _fixed(*names: str) -> Callable[[Config], Variables]:
    return lambda _config: Variables(names=names)


def _dense(config: Config) -> Variables:
    return _quantizable(config, _flag(config, "use_bias"))


def _einsum_dense(config: Config) -> Variables:
    return _quantizable(config, config.get("bias_axes") is not None)


def _quantizable(config: Config, has_bias: bool) -> Variables:
    mode = quantization_mode(config)
    names = _QUANTIZED_KERNEL.get(mode or "", ("kernel", "bias"))
    kept = tuple(name for name in names if name != "bias" or has_bias)
    return Variables(names=kept, optional=_SUB_CHANNEL if mode == "int4" else frozenset(), mode=mode)


def _embedding(config: Config) -> Variables:
    mode = quantization_mode(config)
    names = _QUANTIZED_EMBEDDING.get(mode or "", ("embeddings",))
    return Variables(names=names, optional=_SUB_CHANNEL if mode == "int4" else frozenset(), mode=mode)


def _reversible_embedding(config: Config) -> Variables:
    base = _embedding(config)
    if _flag(config, "tie_weights"):
        return base
    added = ["reverse_embeddings"]
    if base.mode in ("int4", "int8"):
        added.append("reverse_embeddings_scale")
    if base.mode == "int4":
        added.append("reverse_embeddings_zero")
    return Variables(names=(*base.names, *added), optional=base.optional, mode=base.mode)


def _batch_norm(config: Config) -> Variables:
    names = (*_scale_and_center(config), "moving_mean", "moving_variance")
    if _flag(config, "renorm", default=False):
        names = (*names, "moving_stddev", "renorm_mean", "renorm_stddev")
    return Variables(names=names)


def _layer_norm(config: Config) -> Variables:
    if _flag(config, "rms_scaling", default=False):
        return Variables(names=("gamma",))
    return Variables(names=_scale_and_center(config))


def _scale_and_center(config: Config) -> tuple[str, ...]:
    wanted = (("gamma", _flag(config, "scale")), ("beta", _flag(config, "center")))
    return tuple(name for name, there in wanted if there)


def _group_norm(config: Config) -> Variables:
    return Variables(names=_scale_and_center(config))


def _normalization(config: Config) -> Variables:
    return Variables(names=("mean", "variance", "count") if config.get("mean") is None else ())


def _attention(config: Config) -> Variables:
    names = ("scale",) if _flag(config, "use_scale", default=False) else ()
    return Variables(names=(*names, "concat_score_weight") if config.get("score_mode") == "concat" else names)


def _additive_attention(config: Config) -> Variables:
    return Variables(names=("scale",) if _flag(config, "use_scale") else ())


def _depthwise(config: Config) -> Variables:
    """Keras 2, whose configuration has `groups`, named the kernel after the layer."""
    kernel = "depthwise_kernel" if "groups" in config else "kernel"
    return Variables(names=(kernel, "bias") if _flag(config, "use_bias") else (kernel,))


def _spectral_norm(config: Config) -> Variables:
    """Its first variable is its inner layer's, under the inner layer's name."""
    inner = config.get("layer")
    is_table = isinstance(inner, dict) and inner.get("class_name") == "Embedding"
    return Variables(names=("embeddings" if is_table else "kernel", "vector_u"))


def _stft(config: Config) -> Variables:
    mode = config.get("mode")
    wanted = (("real_kernel", mode != "imag"), ("imag_kernel", mode != "real"))
    return Variables(names=tuple(name for name, there in wanted if there))


_CELL = _with_bias("kernel", "recurrent_kernel")
_KERNEL = _with_bias("kernel")
_SEPARABLE = _with_bias("depthwise_kernel", "pointwise_kernel")

_RULES: dict[str, Callable[[Config], Variables]] = {
    "Dense": _dense,
    "EinsumDense": _einsum_dense,
    "Embedding": _embedding,
    "ReversibleEmbedding": _reversible_embedding,
    "LayerNormalization": _layer_norm,
    "GroupNormalization": _group_norm,
    "RMSNormalization": _fixed("scale"),
    "Normalization": _normalization,
    "SpectralNormalization": _spectral_norm,
    "PReLU": _fixed("alpha"),
    "LayerScale": _fixed("gamma"),
    "Attention": _attention,
    "AdditiveAttention": _additive_attention,
    "STFTSpectrogram": _stft,
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    **dict.fromkeys(("LSTMCell", "GRUCell", "SimpleRNNCell", "ConvLSTMCell", "ConvLSTM2DCell"), _CELL),
    **dict.fromkeys(("CuDNNLSTM", "CuDNNGRU"), _fixed("kernel", "recurrent_kernel", "bias")),
    **{name: _batch_norm for name, kind in KIND_OF_CLASS.items() if kind == "batch_norm"},
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    **{
        name: _KERNEL
        for name, kind in KIND_OF_CLASS.items()
        if kind.startswith(("conv1d", "conv2d", "conv3d", "conv_transpose"))
    },
}


def own_variables(class_name: str, config: Config) -> Variables | None:
    """The variables a layer of Keras' own owns itself (not its inner layers'); None for a class not known here."""
    rule = _RULES.get(class_name)
    if rule is not None:
        return rule(config)
    return Variables(names=()) if class_name in KIND_OF_CLASS else None


STATISTICS = frozenset(
    {
        "moving_mean",
        "moving_variance",
        "moving_stddev",
        "renorm_mean",
        "renorm_stddev",
        "running_mean",
        "running_std",
        "renorm_mean_weight",
        "renorm_stddev_weight",
        "mean",
        "variance",
        "count",
        "vector_u",
        "sn_u",
        "kernel_scale",
        "kernel_zero",
        "g_idx",
        "awq_scales",
        "embeddings_scale",
        "embeddings_zero",
        "reverse_embeddings_scale",
        "reverse_embeddings_zero",
        "inputs_scale",
        "inputs_amax_history",
        "kernel_amax_history",
        "outputs_grad_scale",
        "outputs_grad_amax_history",
        "seed_generator_state",
        "idf_weights",
        "StateVar",
        "rng_state",
        "state",
    }
)
"""Local names of variables that no gradient ever changes. Only meaningful for layers of Keras' own,
apart from `UNMISTAKABLE`."""

UNMISTAKABLE = frozenset({"moving_mean", "moving_variance", "seed_generator_state", "StateVar"})
"""Statistics by name alone, whatever the layer."""

ROLE_OF_NAME: dict[str, str] = {
    "kernel": "kernel",
    "bias": "bias",
    "gamma": "scale",
    "beta": "offset",
    "embeddings": "embedding",
    "recurrent_kernel": "recurrent_kernel",
    "depthwise_kernel": "depthwise_kernel",
    "pointwise_kernel": "pointwise_kernel",
    "moving_mean": "moving_mean",
    "moving_variance": "moving_variance",
    "mean": "mean",
    "variance": "variance",
    "count": "count",
    "alpha": "slope",
    "vector_u": "spectral_vector",
    "sn_u": "spectral_vector",
    "concat_score_weight": "attention_score_scale",
    "kernel_scale": "quant_scale",
    "kernel_zero": "zero_point",
    "embeddings_scale": "quant_scale",
    "embeddings_zero": "zero_point",
    "reverse_embeddings": "kernel",
    "reverse_embeddings_scale": "quant_scale",
    "reverse_embeddings_zero": "zero_point",
    "awq_scales": "quant_scale",
    "inputs_scale": "quant_scale",
    "outputs_grad_scale": "quant_scale",
    "inputs_amax_history": "buffer",
    "kernel_amax_history": "buffer",
    "outputs_grad_amax_history": "buffer",
    "g_idx": "constant",
    "moving_stddev": "buffer",
    "renorm_mean": "buffer",
    "renorm_stddev": "buffer",
    "lora_kernel_a": "lora_a",
    "lora_kernel_b": "lora_b",
    "lora_embeddings_a": "lora_a",
    "lora_embeddings_b": "lora_b",
    "seed_generator_state": "seed_state",
    "StateVar": "seed_state",
    "rng_state": "seed_state",
    "idf_weights": "constant",
    "real_kernel": "kernel",
    "imag_kernel": "kernel",
}
_PROJECTIONS = {"query": "query", "key": "key", "value": "value", "attention_output": "output"}
KERAS_1_NAMES = {
    "W": "kernel",
    "b": "bias",
    "U": "recurrent_kernel",
    "alphas": "alpha",
    "running_mean": "moving_mean",
    "running_std": "moving_variance",
}
"""What variables of Keras 1 were called from Keras 2 on (`running_std` held the variance)."""


@lru_cache(maxsize=4096)
def role_of(name: str, class_name: str | None = None) -> str:
    """The role of a variable from its relative name (`query/kernel`, `forward_lstm/lstm_cell/bias`) and layer class."""
    *outer, local = name.split("/")
    if local == "scale":
        return "scale" if class_name == "RMSNormalization" else "attention_score_scale"
    role = ROLE_OF_NAME.get(local) or _keras_1_role(local)
    projection = _PROJECTIONS.get(outer[-1]) if outer else None
    if projection and role in ("kernel", "bias"):
        return f"{projection}_{role}"
    if local == "kernel" and class_name in ("DepthwiseConv1D", "DepthwiseConv2D"):
        return "depthwise_kernel"
    return role or "weight"


def _keras_1_role(local: str) -> str | None:
    """`W`, `b`, `U`, or `W_i`, `U_f` ... for the gates of a Keras 1 recurrent layer."""
    name = KERAS_1_NAMES.get(local) or (KERAS_1_NAMES.get(local[0]) if local[1:2] == "_" else None)
    return ROLE_OF_NAME[name] if name is not None else None


_LAYOUT_BY_KIND = {
    "linear": "in-out",
    "conv1d": "WIO",
    "conv2d": "HWIO",
    "conv3d": "DHWIO",
    "conv_transpose1d": "WOI",
    "conv_transpose2d": "HWOI",
    "conv_transpose3d": "DHWOI",
    "depthwise_conv1d": "WIM",
    "depthwise_conv2d": "HWIM",
    "simple_rnn": "in-out",
    "lstm": "in-out",
    "gru": "in-out",
    "rnn_cell": "in-out",
    "embedding": "index-feature",
}
_LAYOUT_BY_ROLE = {
    ("separable_conv1d", "depthwise_kernel"): "WIM",
    ("separable_conv2d", "depthwise_kernel"): "HWIM",
    ("separable_conv1d", "pointwise_kernel"): "WIO",
    ("separable_conv2d", "pointwise_kernel"): "HWIO",
}
_MATRICES = frozenset({"kernel", "recurrent_kernel", "depthwise_kernel", "embedding"})
_CONV_LSTM = {3: "WIO", 4: "HWIO", 5: "DHWIO"}


@lru_cache(maxsize=4096)
def layout_of(class_name: str | None, role: str, rank: int | None) -> str | None:
    """Axis order of a weight in words of the field; None where it has none or is not known."""
    kind = KIND_OF_CLASS.get(class_name or "")
    if kind == "conv_lstm" or class_name in ("ConvLSTMCell", "ConvLSTM2DCell"):
        return _CONV_LSTM.get(rank or 0) if role in _MATRICES else None
    layout = _LAYOUT_BY_ROLE.get((kind or "", role)) or (_LAYOUT_BY_KIND.get(kind or "") if role in _MATRICES else None)
    if layout is None or rank is None:
        return None
    axes = layout.count("-") + 1 if "-" in layout else len(layout)
    return layout if rank == axes else None


_VECTORS = frozenset({"gamma", "beta", "moving_mean", "moving_variance"})


@lru_cache(maxsize=4096)
def rank_fits(class_name: str | None, name: str, rank: int) -> bool:
    """Whether a variable `name` of a layer of `class_name` may have `rank` axes."""
    if name in _VECTORS:
        return rank > 0
    role = role_of(name, class_name)
    return layout_of(class_name, role, rank) is not None or all(
        layout_of(class_name, role, other) is None for other in range(2, 6)
    )
