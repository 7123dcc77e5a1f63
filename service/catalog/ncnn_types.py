"""ncnn's layer types: their numbers, our kinds, the names of their parameters; knows no file.

Source: ncnn's src/CMakeLists.txt (the order is the number in a `.param.bin`), docs/developer-guide/operators.md and
the `load_param` of each layer.
"""

from __future__ import annotations

_ALL = (
    "AbsVal ArgMax BatchNorm Bias BNLL Concat Convolution Crop Deconvolution Dropout Eltwise ELU Embed Exp "
    "Flatten InnerProduct Input Log LRN MemoryData MVN Pooling Power PReLU Proposal Reduction ReLU Reshape "
    "ROIPooling Scale Sigmoid Slice Softmax Split SPP TanH Threshold Tile RNN LSTM BinaryOp UnaryOp "
    "ConvolutionDepthWise Padding Squeeze ExpandDims Normalize Permute PriorBox DetectionOutput Interp "
    "DeconvolutionDepthWise ShuffleChannel InstanceNorm Clip Reorg YoloDetectionOutput Quantize Dequantize "
    "Yolov3DetectionOutput PSROIPooling ROIAlign Packing Requantize Cast HardSigmoid SELU HardSwish Noop "
    "PixelShuffle DeepCopy Mish StatisticsPooling Swish Gemm GroupNorm LayerNorm Softplus GRU MultiHeadAttention "
    "GELU Convolution1D Pooling1D ConvolutionDepthWise1D Convolution3D ConvolutionDepthWise3D Pooling3D MatMul "
    "Deconvolution1D DeconvolutionDepthWise1D Deconvolution3D DeconvolutionDepthWise3D Einsum DeformableConv2D "
    "GLU Fold Unfold GridSample CumulativeSum CopyTo Erf Diag CELU Shrink RMSNorm Spectrogram InverseSpectrogram "
    "Flip SDPA RotaryEmbed"
)
NAMES: tuple[str, ...] = tuple(_ALL.split())
"""By number. What is not here is a layer of the user's own."""

_KINDS = {
    "input": "Input",
    "linear": "InnerProduct",
    "conv1d": "Convolution1D",
    "conv2d": "Convolution DeformableConv2D",
    "conv3d": "Convolution3D",
    "conv_transpose1d": "Deconvolution1D DeconvolutionDepthWise1D",
    "conv_transpose2d": "Deconvolution DeconvolutionDepthWise",
    "conv_transpose3d": "Deconvolution3D DeconvolutionDepthWise3D",
    "batch_norm": "BatchNorm",
    "layer_norm": "LayerNorm MVN",
    "group_norm": "GroupNorm",
    "instance_norm": "InstanceNorm",
    "rms_norm": "RMSNorm",
    "unit_norm": "Normalize",
    "embedding": "Embed",
    "lstm": "LSTM",
    "gru": "GRU",
    "simple_rnn": "RNN",
    "multi_head_attention": "MultiHeadAttention",
    "attention": "SDPA",
    "prelu": "PReLU",
    "softmax": "Softmax",
    "dropout": "Dropout",
    "pool": "Pooling Pooling1D Pooling3D ROIPooling ROIAlign PSROIPooling SPP StatisticsPooling",
    "padding": "Padding",
    "crop": "Crop",
    "upsample": "Interp",
    "reshape": "Reshape Flatten Permute Squeeze ExpandDims ShuffleChannel PixelShuffle Reorg Tile Fold Unfold "
    "Flip",
    "merge": "Concat Eltwise BinaryOp",
    "activation": "AbsVal BNLL ELU ReLU Sigmoid TanH Threshold Clip HardSigmoid HardSwish SELU Mish Swish Softplus "
    "GELU GLU CELU Shrink Erf Exp",
    "quantization": "Quantize Dequantize Requantize",
    "parameter": "MemoryData",
}
_BY_TYPE = {name: kind for kind, names in _KINDS.items() for name in names.split()}
_DEPTHWISE = {"ConvolutionDepthWise": 2, "ConvolutionDepthWise1D": 1, "ConvolutionDepthWise3D": 3}
_HAS_DEPTHWISE = 2
"""Up to this many axes there is a kind for convolutions of one filter set per channel."""

_CONVOLUTION = {
    0: "num_output", 1: "kernel_w", 2: "dilation_w", 3: "stride_w", 4: "pad_left", 5: "bias_term",
    6: "weight_data_size", 7: "group", 8: "int8_scale_term", 9: "activation_type", 10: "activation_params",
    11: "kernel_h", 12: "dilation_h", 13: "stride_h", 14: "pad_top", 15: "pad_right", 16: "pad_bottom",
    17: "pad_behind",
}  # fmt: skip
_PADDED = {**_CONVOLUTION, 18: "pad_value", 19: "dynamic_weight", 21: "kernel_d", 22: "dilation_d", 23: "stride_d",
           24: "pad_front"}  # fmt: skip
_RECURRENT = {0: "num_output", 1: "weight_data_size", 2: "direction", 3: "hidden_size", 8: "int8_scale_term"}
PARAMETERS: dict[str, dict[int, str]] = {
    **dict.fromkeys([name for name, kind in _BY_TYPE.items() if kind.startswith("conv_")], _CONVOLUTION),
    **dict.fromkeys(("Convolution", "Convolution1D", "Convolution3D", *_DEPTHWISE, "DeformableConv2D"), _PADDED),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _RECURRENT),
    "InnerProduct": {0: "num_output", 1: "bias_term", 2: "weight_data_size", 8: "int8_scale_term", 9: "activation_type",
                     10: "activation_params"},
    "BatchNorm": {0: "channels", 1: "eps"},
    "Bias": {0: "bias_data_size"},
    "Scale": {0: "scale_data_size", 1: "bias_term"},
    "PReLU": {0: "num_slope"},
    "Embed": {0: "num_output", 1: "input_dim", 2: "bias_term", 3: "weight_data_size", 18: "int8_scale_term"},
    "LayerNorm": {0: "affine_size", 1: "eps", 2: "affine"},
    "RMSNorm": {0: "affine_size", 1: "eps", 2: "affine"},
    "GroupNorm": {0: "group", 1: "channels", 2: "eps", 3: "affine"},
    "InstanceNorm": {0: "channels", 1: "eps", 2: "affine"},
    "MultiHeadAttention": {0: "embed_dim", 1: "num_head", 2: "weight_data_size", 3: "kdim", 4: "vdim", 5: "attn_mask",
                           6: "scale", 18: "int8_scale_term"},
    "MemoryData": {0: "w", 1: "h", 2: "c", 11: "d", 21: "load_type"},
    "Input": {0: "w", 1: "h", 2: "c", 11: "d"},
    "Normalize": {0: "across_spatial", 1: "channel_shared", 2: "eps", 3: "scale_data_size", 4: "across_channel"},
    "Pooling": {0: "pooling_type", 1: "kernel_w", 2: "stride_w", 3: "pad_left", 4: "global_pooling", 5: "pad_mode",
                11: "kernel_h", 12: "stride_h"},
    "Gemm": {0: "alpha", 1: "beta", 2: "transA", 3: "transB", 4: "constantA", 5: "constantB", 6: "constantC",
             7: "constantM", 8: "constantN", 9: "constantK", 10: "constant_broadcast_type_C", 18: "int8_scale_term"},
    "BinaryOp": {0: "op_type", 1: "with_scalar", 2: "b"},
    "Eltwise": {0: "op_type", 1: "coeffs"},
    "Concat": {0: "axis"},
    "ReLU": {0: "slope"},
    "Dropout": {0: "scale"},
    "Softmax": {0: "axis"},
}  # fmt: skip
"""Type -> number -> name of a parameter. What is not here keeps its number."""


def is_known(type_name: str) -> bool:
    """Whether the layer is one of ncnn's own."""
    return type_name in _OWN


_OWN = frozenset(NAMES)


def kind_of(type_name: str, *, depthwise: bool = False) -> str:
    """Our word for a layer; `depthwise`: whether a grouped convolution has one filter set per channel."""
    rank = _DEPTHWISE.get(type_name)
    if rank is not None:
        return f"depthwise_conv{rank}d" if depthwise and rank <= _HAS_DEPTHWISE else f"conv{rank}d"
    return _BY_TYPE.get(type_name, "operation" if type_name in _OWN else "custom")
