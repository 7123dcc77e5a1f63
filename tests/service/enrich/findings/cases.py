"""Layer lists for both frameworks, and which findings each must have: positive cases and near misses, side by side."""

from __future__ import annotations

from typing import Any, NamedTuple

from tests.service.enrich.findings.builds import chain


class Case(NamedTuple):
    """A layer list and the (rule, layer) pairs that it must give, no more and no fewer."""

    name: str
    document: dict[str, Any]
    expected: frozenset[tuple[str, str]] | set[tuple[str, str]] = frozenset()


def dense(units: int, **more: Any) -> dict[str, Any]:
    return {"type": "Dense", "units": units, **more}


def linear(units: int, **more: Any) -> dict[str, Any]:
    return {"type": "Linear", "out_features": units, **more}


def conv(filters: int, kernel: int = 3, **more: Any) -> dict[str, Any]:
    return {"type": "Conv2D", "filters": filters, "kernel_size": kernel, **more}


def torch_conv(filters: int, kernel: int = 3, **more: Any) -> dict[str, Any]:
    return {"type": "Conv2d", "out_channels": filters, "kernel_size": kernel, **more}


def just(kind: str, /, **more: Any) -> dict[str, Any]:
    return {"type": kind, **more}


BN, BN1, RELU = just("BatchNormalization"), just("BatchNorm1d"), just("ReLU")
IMAGE, TORCH_IMAGE = [16, 16, 3], [3, 16, 16]
BIAS, SOFTMAX, DROPOUT = "bias_before_normalization", "batch_norm_before_softmax", "dropout_before_batch_norm"
ACTIVATION, MOMENTUM, FLATTEN = "missing_activation", "unusual_momentum", "heavy_flatten"
EPSILON, PADDING, UNTIED = "other_framework_epsilon", "other_framework_padding", "untied_embeddings"
FROZEN = "frozen_normalization"

KERAS = [
    Case("dense, norm", chain("keras", [8], dense(4), BN), {(BIAS, "dense")}),
    Case("dense without bias, norm", chain("keras", [8], dense(4, use_bias=False), BN)),
    Case("dense with activation, norm", chain("keras", [8], dense(4, activation="relu"), BN)),
    Case("dense, activation, norm", chain("keras", [8], dense(4), RELU, BN)),
    Case("dense, no activation by name, norm",
         chain("keras", [8], dense(4), just("Activation", activation="linear"), BN), {(BIAS, "dense")}),
    Case("dense on steps, norm over the last axis", chain("keras", [5, 8], dense(4), BN), {(BIAS, "dense")}),
    Case("dense on steps, norm over the steps", chain("keras", [4, 8], dense(4), just("BatchNormalization", axis=1))),
    Case("dense, layer norm", chain("keras", [8], dense(4), just("LayerNormalization"))),
    Case("dense, rms norm", chain("keras", [8], dense(4), just("RMSNormalization"))),
    Case("dense, frozen norm", chain("keras", [8], dense(4), just("BatchNormalization", trainable=False)),
         {(FROZEN, "batch_normalization")}),
    Case("dense, norm without scale and center",
         chain("keras", [8], dense(4), just("BatchNormalization", scale=False, center=False)), {(BIAS, "dense")}),
    Case("dense, norm, and past the norm", chain("keras", [8], dense(4, name="d"), just("BatchNormalization", name="n"),
         just("Add", inputs=["d", "n"]))),
    Case("dense into two norms", chain("keras", [8], dense(4, name="d"), just("BatchNormalization", name="m"),
         just("BatchNormalization", name="n", inputs="d"), just("Add", inputs=["m", "n"])), {(BIAS, "d")}),
    Case("dense that is an output too", chain("keras", [8], dense(4, name="d"), just("BatchNormalization", name="n"),
         outputs=["d", "n"])),
    Case("convolution, norm", chain("keras", IMAGE, conv(4), BN), {(BIAS, "conv2d")}),
    Case("channels first, norm over channels", chain("keras", TORCH_IMAGE, conv(4, data_format="channels_first"),
         just("BatchNormalization", axis=1)), {(BIAS, "conv2d")}),
    Case("channels first, norm over as many rows", chain("keras", [3, 6, 9], conv(4, data_format="channels_first"),
         just("BatchNormalization", axis=2))),
    Case("transposed convolution, norm", chain("keras", IMAGE, just("Conv2DTranspose", filters=4, kernel_size=2), BN),
         {(BIAS, "conv2d_transpose")}),
    Case("depthwise and separable, norm", chain("keras", IMAGE, just("DepthwiseConv2D", kernel_size=3), BN, RELU,
         just("SeparableConv2D", filters=4, kernel_size=3), BN),
         {(BIAS, "depthwise_conv2d"), (BIAS, "separable_conv2d")}),
    Case("convolution, pooling, norm", chain("keras", IMAGE, conv(4), just("MaxPooling2D"), BN), {(BIAS, "conv2d")}),
    Case("convolution, average pooling that pads, norm",
         chain("keras", IMAGE, conv(4), just("AveragePooling2D", pool_size=3, padding="same"), BN), {(BIAS, "conv2d")}),
    Case("convolution, flattening, norm", chain("keras", IMAGE, conv(4), just("Flatten"), BN), {(BIAS, "conv2d")}),
    Case("convolution, global pooling, norm",
         chain("keras", IMAGE, conv(4), just("GlobalAveragePooling2D"), BN), {(BIAS, "conv2d")}),
    Case("convolution, zeros, norm", chain("keras", IMAGE, conv(4), just("ZeroPadding2D"), BN)),
    Case("convolution, dropout, norm", chain("keras", IMAGE, conv(4), just("Dropout", rate=0.5), BN),
         {(DROPOUT, "batch_normalization")}),
    Case("convolution, group norm", chain("keras", IMAGE, conv(4), just("GroupNormalization", groups=2))),
    Case("convolution, group norm of one channel each",
         chain("keras", IMAGE, conv(4), just("GroupNormalization", groups=4)), {(BIAS, "conv2d")}),
    Case("inner model, norm", chain("keras", [8], just("Sequential", layers=[dense(4, name="d")], name="s"), BN),
         {(BIAS, "s/d")}),
    Case("norm, softmax", chain("keras", [8], dense(4, use_bias=False), BN, just("Softmax")),
         {(SOFTMAX, "batch_normalization")}),
    Case("norm, softmax as activation", chain("keras", [8], BN, just("Activation", activation="softmax")),
         {(SOFTMAX, "batch_normalization")}),
    Case("norm, dropout, softmax", chain("keras", [8], BN, just("Dropout", rate=0.1), just("Softmax")),
         {(SOFTMAX, "batch_normalization")}),
    Case("norm, dense with softmax", chain("keras", [8], BN, dense(4, activation="softmax"))),
    Case("norm, sigmoid", chain("keras", [8], BN, just("Activation", activation="sigmoid"))),
    Case("dropout, activation, norm", chain("keras", [8], just("Dropout", rate=0.2), RELU, BN),
         {(DROPOUT, "batch_normalization")}),
    Case("dropout of nothing, norm", chain("keras", [8], just("Dropout", rate=0.0), BN)),
    Case("alpha dropout, norm", chain("keras", [8], just("AlphaDropout", rate=0.2), BN)),
    Case("dropout, dense, norm", chain("keras", [8], just("Dropout", rate=0.2), dense(4, use_bias=False), BN)),
    Case("norm, dropout", chain("keras", [8], BN, just("Dropout", rate=0.2))),
    Case("two dense", chain("keras", [8], dense(8), dense(4)), {(ACTIVATION, "dense")}),
    Case("dense, dropout, dense", chain("keras", [8], dense(8), just("Dropout", rate=0.2), dense(4)),
         {(ACTIVATION, "dense")}),
    Case("dense with activation, dense", chain("keras", [8], dense(8, activation="tanh"), dense(4))),
    Case("dense, norm, dense", chain("keras", [8], dense(8), just("LayerNormalization"), dense(4))),
    Case("a narrow dense between two wide ones", chain("keras", [8], dense(2), dense(8))),
    Case("two convolutions", chain("keras", IMAGE, just("DepthwiseConv2D", kernel_size=3), conv(4, 1))),
    Case("momentum of PyTorch", chain("keras", [8], just("BatchNormalization", momentum=0.1)),
         {(MOMENTUM, "batch_normalization")}),
    Case("momentum 0.15", chain("keras", [8], just("BatchNormalization", momentum=0.15)),
         {(MOMENTUM, "batch_normalization")}),
    Case("momentum 1", chain("keras", [8], just("BatchNormalization", momentum=1.0)),
         {(MOMENTUM, "batch_normalization")}),
    Case("momentum 0.9", chain("keras", [8], just("BatchNormalization", momentum=0.9))),
    Case("epsilon of PyTorch", chain("keras", [8], just("BatchNormalization", epsilon=1e-5),
         just("LayerNormalization", epsilon=1e-6)), {(EPSILON, "batch_normalization")}),
    Case("padding of PyTorch", chain("keras", [224, 224, 3], just("ZeroPadding2D", padding=3), conv(8, 7, strides=2)),
         {(PADDING, "zero_padding2d")}),
    Case("padding that is the same anyway", chain("keras", [225, 225, 3], just("ZeroPadding2D", padding=1),
         conv(8, 3, strides=2))),
    Case("padding before stride 1", chain("keras", [224, 224, 3], just("ZeroPadding2D", padding=1), conv(8, 3))),
    Case("padding of TensorFlow", chain("keras", [224, 224, 3], just("ZeroPadding2D", padding=[[0, 1], [0, 1]]),
         conv(8, 3, strides=2))),
    Case("heavy flattening", chain("keras", [64, 64, 1], conv(32, padding="same"), RELU, just("Flatten"), dense(100)),
         {(FLATTEN, "dense")}),
    Case("global pooling instead", chain("keras", [64, 64, 1], conv(512), just("GlobalAveragePooling2D"),
         just("Flatten"), dense(1000))),
    Case("flattening of the input", chain("keras", [64, 64, 1], just("Flatten"), dense(100))),
    Case("a small flattening", chain("keras", [8, 8, 1], conv(8, padding="same"), just("Flatten"), dense(10))),
    Case("untied", chain("keras", [None], just("Embedding", input_dim=2000, output_dim=16), just("LSTM", units=16),
         dense(2000), input_dtype="int32"), {(UNTIED, "dense")}),
    Case("another width", chain("keras", [None], just("Embedding", input_dim=2000, output_dim=16),
         just("LSTM", units=8), dense(2000), input_dtype="int32")),
    Case("frozen norm in a frozen model",
         chain("keras", [8], dense(4, trainable=False), just("BatchNormalization", trainable=False))),
]  # fmt: skip

TORCH = [
    Case("linear, norm", chain("torch", [8], linear(4), BN1), {(BIAS, "0")}),
    Case("linear without bias, norm", chain("torch", [8], linear(4, bias=False), BN1)),
    Case("linear, activation, norm", chain("torch", [8], linear(4), RELU, BN1)),
    Case("linear, identity, norm", chain("torch", [8], linear(4), just("Identity"), BN1), {(BIAS, "0")}),
    Case("linear on steps, norm over the steps", chain("torch", [4, 8], linear(4), BN1)),
    Case("linear, layer norm", chain("torch", [8], linear(4), just("LayerNorm"))),
    Case("convolution, norm", chain("torch", TORCH_IMAGE, torch_conv(4), just("BatchNorm2d")), {(BIAS, "0")}),
    Case("convolution, norm that learns nothing",
         chain("torch", TORCH_IMAGE, torch_conv(4), just("BatchNorm2d", affine=False)), {(BIAS, "0")}),
    Case("convolution, instance norm", chain("torch", TORCH_IMAGE, torch_conv(4), just("InstanceNorm2d")),
         {(BIAS, "0")}),
    Case("convolution, group norm", chain("torch", TORCH_IMAGE, torch_conv(4), just("GroupNorm", num_groups=2))),
    Case("convolution, group norm of one channel each",
         chain("torch", TORCH_IMAGE, torch_conv(4), just("GroupNorm", num_groups=4)), {(BIAS, "0")}),
    Case("convolution, padded average pooling, norm", chain("torch", TORCH_IMAGE, torch_conv(4),
         just("AvgPool2d", kernel_size=3, padding=1), just("BatchNorm2d"))),
    Case("convolution, padded maximum pooling, norm", chain("torch", TORCH_IMAGE, torch_conv(4),
         just("MaxPool2d", kernel_size=3, padding=1), just("BatchNorm2d")), {(BIAS, "0")}),
    Case("convolution, flattening, norm", chain("torch", TORCH_IMAGE, torch_conv(4), just("Flatten"),
         BN1), {(BIAS, "0")}),
    Case("convolution, norm, and past the norm", chain("torch", TORCH_IMAGE, torch_conv(4, name="c"),
         just("BatchNorm2d", name="n"), just("Add", inputs=["c", "n"]))),
    Case("linear that is an output too", chain("torch", [8], linear(4, name="d"), just("BatchNorm1d", name="n"),
         outputs=["d", "n"])),
    Case("inner Sequential, norm", chain("torch", [8], just("Sequential", layers=[linear(4)]), BN1),
         {(BIAS, "0.0")}),
    Case("norm, softmax", chain("torch", [8], BN1, just("Softmax", dim=1)), {(SOFTMAX, "0")}),
    Case("norm, log softmax", chain("torch", [8], BN1, just("LogSoftmax", dim=1)), {(SOFTMAX, "0")}),
    Case("norm, linear, softmax", chain("torch", [8], BN1, linear(4), just("Softmax", dim=1))),
    Case("dropout, norm", chain("torch", [8], just("Dropout", p=0.3), BN1), {(DROPOUT, "1")}),
    Case("dropout of channels, pooling, norm", chain("torch", TORCH_IMAGE, just("Dropout2d", p=0.3),
         just("MaxPool2d", kernel_size=2), just("BatchNorm2d")), {(DROPOUT, "2")}),
    Case("dropout, linear, norm", chain("torch", [8], just("Dropout", p=0.3), linear(4, bias=False), BN1)),
    Case("two linear", chain("torch", [8], linear(8), linear(4)), {(ACTIVATION, "0")}),
    Case("a narrow linear between two wide ones", chain("torch", [8], linear(2), linear(8))),
    Case("linear, activation, linear", chain("torch", [8], linear(8), just("GELU"), linear(4))),
    Case("transformer layer", chain("torch", [9, 16], just("TransformerEncoderLayer", nhead=4, dim_feedforward=32,
         batch_first=True), linear(4))),
    Case("momentum of Keras", chain("torch", [8], just("BatchNorm1d", momentum=0.99)), {(MOMENTUM, "0")}),
    Case("momentum 0.85", chain("torch", [8], just("BatchNorm1d", momentum=0.85)), {(MOMENTUM, "0")}),
    Case("momentum 0", chain("torch", [8], just("BatchNorm1d", momentum=0.0)), {(MOMENTUM, "0")}),
    Case("momentum 0.01", chain("torch", [8], just("BatchNorm1d", momentum=0.01))),
    Case("epsilon of Keras", chain("torch", [8], just("BatchNorm1d", eps=1e-3)), {(EPSILON, "0")}),
    Case("epsilon of BERT", chain("torch", [8], just("LayerNorm", eps=1e-12))),
    Case("padding of TensorFlow", chain("torch", TORCH_IMAGE, just("ZeroPad2d", padding=[0, 1, 0, 1]),
         torch_conv(4, 3, stride=2)), {(PADDING, "0")}),
    Case("padding of PyTorch", chain("torch", TORCH_IMAGE, just("ZeroPad2d", padding=1), torch_conv(4, 3, stride=2))),
    Case("heavy flattening", chain("torch", [1, 64, 64], torch_conv(32, padding="same"), RELU, just("Flatten"),
         linear(100)), {(FLATTEN, "3")}),
    Case("pooled before flattening", chain("torch", [1, 64, 64], torch_conv(512),
         just("AdaptiveAvgPool2d", output_size=1), just("Flatten"), linear(1000))),
    Case("untied", chain("torch", [7], just("Embedding", num_embeddings=2000, embedding_dim=16),
         just("GRU", hidden_size=16, batch_first=True), linear(2000)), {(UNTIED, "2")}),
    Case("frozen norm", chain("torch", [8], linear(4, bias=False), just("BatchNorm1d", requires_grad=False)),
         {(FROZEN, "1")}),
    Case("frozen norm in a frozen model", chain("torch", [8], linear(4, bias=False, requires_grad=False),
         just("BatchNorm1d", requires_grad=False))),
]  # fmt: skip
