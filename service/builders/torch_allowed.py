"""Which of PyTorch's modules may be made, what is inferred for them, and which axes they need; knows names only.

An allow-list of `torch.nn`. Left out on purpose: losses, `ModuleList` and the like (no forward of their own),
`DataParallel` and lazy modules (sizes are inferred here anyway).
"""

from __future__ import annotations

_PLAIN = """
AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d
AlphaDropout AvgPool1d AvgPool2d AvgPool3d BatchNorm1d BatchNorm2d BatchNorm3d Bilinear CELU ChannelShuffle
CircularPad1d CircularPad2d CircularPad3d ConstantPad1d ConstantPad2d ConstantPad3d Conv1d Conv2d Conv3d ConvTranspose1d
ConvTranspose2d ConvTranspose3d CosineSimilarity CrossMapLRN2d Dropout Dropout1d Dropout2d Dropout3d ELU Embedding
EmbeddingBag FeatureAlphaDropout Flatten Fold FractionalMaxPool2d FractionalMaxPool3d GELU GLU GRU GRUCell GroupNorm
Hardshrink Hardsigmoid Hardswish Hardtanh Identity InstanceNorm1d InstanceNorm2d InstanceNorm3d LPPool1d LPPool2d
LPPool3d LSTM LSTMCell LayerNorm LeakyReLU Linear LocalResponseNorm LogSigmoid LogSoftmax MaxPool1d MaxPool2d MaxPool3d
MaxUnpool1d MaxUnpool2d MaxUnpool3d Mish MultiheadAttention PReLU PairwiseDistance PixelShuffle PixelUnshuffle RMSNorm
RNN RNNCell RReLU ReLU ReLU6 ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d
ReplicationPad3d SELU SiLU Sigmoid Softmax Softmax2d Softmin Softplus Softshrink Softsign SyncBatchNorm Tanh Tanhshrink
Threshold Transformer TransformerDecoder TransformerDecoderLayer TransformerEncoder TransformerEncoderLayer Unflatten
Unfold Upsample UpsamplingBilinear2d UpsamplingNearest2d ZeroPad1d ZeroPad2d ZeroPad3d
"""
MODULES = frozenset(_PLAIN.split())

LAYER_ARGUMENTS = frozenset({"encoder_layer", "decoder_layer", "norm"})
"""Arguments that hold modules."""

REFUSED_ARGUMENTS = frozenset(
    {"device", "process_group", "custom_encoder", "custom_decoder", "_weight", "_random_samples"}
)
"""Arguments that a spec cannot give: devices, processes, code and values."""

FORMAT_ARGUMENTS = frozenset({"requires_grad"})
"""Understood on every layer beside the constructor's own: `false` freezes the layer's parameters."""

_CHANNELS = (
    *(f"{name}{rank}d" for name in ("Conv", "ConvTranspose", "BatchNorm", "InstanceNorm") for rank in (1, 2, 3)),
    *("SyncBatchNorm", "GroupNorm"),
)
INFERRED: dict[str, tuple[tuple[str, int, int], ...]] = {
    **{name: (("in_channels", 0, 1),) for name in _CHANNELS if name.startswith("Conv")},
    **{name: (("num_features", 0, 1),) for name in _CHANNELS if "Norm" in name and name != "GroupNorm"},
    "GroupNorm": (("num_channels", 0, 1),),
    "Linear": (("in_features", 0, -1),),
    "Bilinear": (("in1_features", 0, -1), ("in2_features", 1, -1)),
    "LayerNorm": (("normalized_shape", 0, -1),),
    "RMSNorm": (("normalized_shape", 0, -1),),
    "RNN": (("input_size", 0, -1),),
    "LSTM": (("input_size", 0, -1),),
    "GRU": (("input_size", 0, -1),),
    "RNNCell": (("input_size", 0, -1),),
    "LSTMCell": (("input_size", 0, -1),),
    "GRUCell": (("input_size", 0, -1),),
    "MultiheadAttention": (("embed_dim", 0, -1),),
    "TransformerEncoderLayer": (("d_model", 0, -1),),
    "TransformerDecoderLayer": (("d_model", 0, -1),),
}
"""Arguments taken from the input where the spec leaves them out: (argument, which input, which axis of it)."""

_SPATIAL = ("Conv", "ConvTranspose", "MaxPool", "AvgPool", "LPPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "MaxUnpool")
RANKS: dict[str, tuple[int, ...]] = {
    **{f"{name}{rank}d": (rank + 2,) for name in _SPATIAL for rank in (1, 2, 3)},
    **{
        f"{name}{rank}d": (rank + 2,)
        for name in ("ReflectionPad", "ReplicationPad", "CircularPad")
        for rank in (1, 2, 3)
    },
    **{f"InstanceNorm{rank}d": (rank + 2,) for rank in (1, 2, 3)},
    "BatchNorm1d": (2, 3),
    "BatchNorm2d": (4,),
    "BatchNorm3d": (5,),
    "FractionalMaxPool2d": (4,),
    "FractionalMaxPool3d": (5,),
}
"""Axes of the input with the batch axis. PyTorch would take one less as a single example, and mix up the axes."""

INTEGER_INPUT = frozenset({"Embedding", "EmbeddingBag"})
"""Modules whose input is indices."""

SELF_ATTENTION = {"MultiheadAttention": 3}
"""Modules that want so many tensors; where one is given, it is all of them."""
