"""What PyTorch's own module classes are: class to kind, weight name to role and axis order; knows no file.

Sources: torch.nn, torch.ao.nn (2.13) and the names their earlier versions used.
"""

from __future__ import annotations

from collections.abc import Collection

_RANKED = {
    "Conv{}d": "conv{}d", "LazyConv{}d": "conv{}d",
    "ConvTranspose{}d": "conv_transpose{}d", "LazyConvTranspose{}d": "conv_transpose{}d",
    "BatchNorm{}d": "batch_norm", "LazyBatchNorm{}d": "batch_norm",
    "InstanceNorm{}d": "instance_norm", "LazyInstanceNorm{}d": "instance_norm",
    "MaxPool{}d": "pool", "AvgPool{}d": "pool", "LPPool{}d": "pool", "MaxUnpool{}d": "upsample",
    "FractionalMaxPool{}d": "pool", "AdaptiveAvgPool{}d": "pool", "AdaptiveMaxPool{}d": "pool",
    "ReflectionPad{}d": "padding", "ReplicationPad{}d": "padding", "ConstantPad{}d": "padding",
    "ZeroPad{}d": "padding", "CircularPad{}d": "padding", "Dropout{}d": "dropout",
    "ConvReLU{}d": "conv{}d", "ConvBn{}d": "conv{}d", "ConvBnReLU{}d": "conv{}d",
    "ConvAdd{}d": "conv{}d", "ConvAddReLU{}d": "conv{}d", "BNReLU{}d": "batch_norm",
}  # fmt: skip

_PLAIN = {
    "linear": "Linear LazyLinear NonDynamicallyQuantizableLinear _LinearWithBias LinearReLU LinearLeakyReLU "
    "LinearTanh LinearBn1d",
    "bilinear": "Bilinear",
    "embedding": "Embedding EmbeddingBag",
    "batch_norm": "SyncBatchNorm NaiveSyncBatchNorm",
    "layer_norm": "LayerNorm",
    "group_norm": "GroupNorm",
    "rms_norm": "RMSNorm",
    "spectral_norm": "_SpectralNorm SpectralNorm",
    "unit_norm": "LocalResponseNorm CrossMapLRN2d",
    "lstm": "LSTM",
    "gru": "GRU",
    "simple_rnn": "RNN",
    "rnn": "RNNBase",
    "rnn_cell": "LSTMCell GRUCell RNNCell RNNCellBase",
    "multi_head_attention": "MultiheadAttention QuantizableMultiheadAttention",
    "transformer": "Transformer TransformerEncoder TransformerDecoder",
    "transformer_layer": "TransformerEncoderLayer TransformerDecoderLayer",
    "activation": "ReLU ReLU6 LeakyReLU RReLU ELU CELU SELU GELU GLU SiLU Mish Sigmoid Hardsigmoid Hardswish "
    "Hardtanh Hardshrink Softshrink Tanh Tanhshrink Softplus Softsign LogSigmoid Threshold",
    "prelu": "PReLU",
    "softmax": "Softmax Softmin LogSoftmax Softmax2d",
    "dropout": "Dropout AlphaDropout FeatureAlphaDropout",
    "upsample": "Upsample UpsamplingNearest2d UpsamplingBilinear2d PixelShuffle PixelUnshuffle",
    "reshape": "Flatten Unflatten Fold Unfold ChannelShuffle Identity",
    "merge": "FloatFunctional QFunctional FXFloatFunctional CosineSimilarity PairwiseDistance",
    "quantization": "QuantStub DeQuantStub Quantize DeQuantize FakeQuantize FusedMovingAvgObsFakeQuantize "
    "FakeQuantizeBase MinMaxObserver MovingAverageMinMaxObserver HistogramObserver "
    "PerChannelMinMaxObserver PlaceholderObserver MovingAveragePerChannelMinMaxObserver "
    "NoopObserver RecordingObserver FixedQParamsObserver FixedQParamsFakeQuantize "
    "LinearPackedParams PackedParameter EmbeddingPackedParams",
    "loss": "LinearCrossEntropyLoss L1Loss MSELoss CrossEntropyLoss NLLLoss NLLLoss2d PoissonNLLLoss "
    "GaussianNLLLoss KLDivLoss BCELoss HuberLoss BCEWithLogitsLoss SmoothL1Loss SoftMarginLoss "
    "MultiLabelMarginLoss MultiLabelSoftMarginLoss CTCLoss HingeEmbeddingLoss CosineEmbeddingLoss "
    "MarginRankingLoss MultiMarginLoss TripletMarginLoss TripletMarginWithDistanceLoss "
    "AdaptiveLogSoftmaxWithLoss",
    "container": "_FusedModule Module Sequential ModuleList ModuleDict Container GraphModule "
    "RecursiveScriptModule ScriptModule",
    "parameter": "ParameterList ParameterDict",
    "wrapper": "DataParallel DistributedDataParallel ParametrizationList AveragedModel QuantWrapper "
    "FullyShardedDataParallel OptimizedModule",
}

KINDS: dict[str, str] = {
    **{name.format(rank): kind.format(rank) for name, kind in _RANKED.items() for rank in (1, 2, 3)},
    **{name: kind for kind, names in _PLAIN.items() for name in names.split()},
    "AdaptiveAvgPool1d": "pool",
}

_HOMES = (
    "torch.nn.modules.", "torch.nn.", "torch.ao.nn.", "torch.nn.quantized.", "torch.nn.quantizable.", "torch.nn.qat.",
    "torch.nn.intrinsic.", "torch.nn.parallel.", "torch.nn.utils.", "torch.quantization.", "torch.ao.quantization.",
    "torch.optim.swa_utils", "torch.fx.", "torch.jit.", "torch.nn.backends.", "torch._dynamo.eval_frame",
)  # fmt: skip


def is_torch_class(module: str | None, name: str | None) -> bool:
    """Whether a class with this module and name is one of PyTorch's own layer classes."""
    return module is not None and name in KINDS and (f"{module}.").startswith(_HOMES)


def kind_of(module: str | None, name: str | None) -> str | None:
    """Our word for one of PyTorch's own classes, None for any other class."""
    return KINDS[name] if name is not None and is_torch_class(module, name) else None


_NORMS = {"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"}
_RECURRENT = {"lstm", "gru", "simple_rnn", "rnn", "rnn_cell"}
_KERNELS = {
    "linear",
    "bilinear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
}

_ANYWHERE = {
    "running_mean": "moving_mean", "running_var": "moving_variance", "num_batches_tracked": "num_batches_tracked",
    "n_averaged": "count", "position_ids": "position_ids", "bias": "bias", "weight_g": "weight_g",
    "weight_mask": "mask", "bias_mask": "mask", "attn_mask": "mask", "zero_point": "zero_point",
    "in_proj_weight": "qkv_kernel",
    "in_proj_bias": "qkv_bias", "q_proj_weight": "query_kernel", "k_proj_weight": "key_kernel",
    "v_proj_weight": "value_kernel", "bias_k": "key_bias", "bias_v": "value_bias", "_packed_params": "packed_kernel",
}  # fmt: skip
_BY_KIND = {
    "embedding": {"weight": "embedding"},
    "prelu": {"weight": "slope"},
    "quantization": {"scale": "quant_scale", "weight": "packed_kernel"},
    **{norm: {"weight": "scale", "bias": "offset"} for norm in _NORMS},
    **{kernel: {"weight": "kernel", "scale": "quant_scale"} for kernel in _KERNELS},
}
_RECURRENT_ROLES = {"weight_ih": "kernel", "weight_hh": "recurrent_kernel", "weight_hr": "projection_kernel",
                    "bias_ih": "bias", "bias_hh": "recurrent_bias"}  # fmt: skip

LAYOUTS = {
    "linear": "out-in", "conv1d": "OIW", "conv2d": "OIHW", "conv3d": "OIDHW",
    "conv_transpose1d": "IOW", "conv_transpose2d": "IOHW", "conv_transpose3d": "IODHW", "bilinear": "out-in1-in2",
}  # fmt: skip
"""Axis order of the main kernel. With groups, I of a convolution (O of a transposed one) counts one group's only."""


def role_of(kind: str, name: str, siblings: Collection[str]) -> str | None:
    """The role of the weight `name` in a layer of `kind` beside `siblings`; None where nothing is known of it."""
    reparametrized = _reparametrized_role(kind, name, siblings)
    if reparametrized is not None:
        return reparametrized
    if kind in _RECURRENT:
        for prefix, role in _RECURRENT_ROLES.items():
            if name == prefix or name.startswith(f"{prefix}_l"):
                return role
    return _BY_KIND.get(kind, {}).get(name) or _ANYWHERE.get(name)


def _reparametrized_role(kind: str, name: str, siblings: Collection[str]) -> str | None:
    """Roles of weights split by weight_norm, spectral_norm or pruning, in their hook forms (`torch.nn.utils`)."""
    stem, _, ending = name.rpartition("_")
    if not stem or ending not in ("g", "v", "u", "orig"):
        return None
    if ending == "orig":
        return _BY_KIND.get(kind, {}).get(stem) or ("kernel" if stem == "weight" else _ANYWHERE.get(stem))
    if f"{stem}_g" in siblings and f"{stem}_v" in siblings:
        return "weight_g" if ending == "g" else "weight_v" if ending == "v" else None
    return "spectral_vector" if f"{stem}_orig" in siblings and ending in ("u", "v") else None


def layout_of(kind: str, role: str, rank: int | None) -> str | None:
    """Axis order of a weight, None where it has no meaning or is not known."""
    if role in ("kernel", "weight_v") and kind in LAYOUTS:
        layout = LAYOUTS[kind]
        return layout if rank == (layout.count("-") + 1 if "-" in layout else len(layout)) else None
    if kind in _RECURRENT and role in ("kernel", "recurrent_kernel", "projection_kernel"):
        return "out-in"
    if kind == "multi_head_attention" and role.endswith("_kernel"):
        return "out-in"
    return None
