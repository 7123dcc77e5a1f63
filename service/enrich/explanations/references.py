"""Where a kind of layer is described: the paper that brought it, and the page of the framework's documentation."""

from __future__ import annotations

from service.tree import Layer

PAPERS = {
    "depthwise_conv1d": "Howard et al. 2017, arXiv:1704.04861",
    "depthwise_conv2d": "Howard et al. 2017, arXiv:1704.04861",
    "separable_conv1d": "Chollet 2017, arXiv:1610.02357",
    "separable_conv2d": "Chollet 2017, arXiv:1610.02357",
    "conv1d": "Dumoulin and Visin 2016, arXiv:1603.07285",
    "conv2d": "Dumoulin and Visin 2016, arXiv:1603.07285",
    "conv3d": "Dumoulin and Visin 2016, arXiv:1603.07285",
    "conv_transpose1d": "Dumoulin and Visin 2016, arXiv:1603.07285",
    "conv_transpose2d": "Dumoulin and Visin 2016, arXiv:1603.07285",
    "conv_transpose3d": "Dumoulin and Visin 2016, arXiv:1603.07285",
    "batch_norm": "Ioffe and Szegedy 2015, arXiv:1502.03167",
    "layer_norm": "Ba, Kiros and Hinton 2016, arXiv:1607.06450",
    "group_norm": "Wu and He 2018, arXiv:1803.08494",
    "instance_norm": "Ulyanov, Vedaldi and Lempitsky 2016, arXiv:1607.08022",
    "rms_norm": "Zhang and Sennrich 2019, arXiv:1910.07467",
    "spectral_norm": "Miyato et al. 2018, arXiv:1802.05957",
    "lstm": "Hochreiter and Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735",
    "gru": "Cho et al. 2014, arXiv:1406.1078",
    "simple_rnn": "Elman 1990, doi:10.1207/s15516709cog1402_1",
    "conv_lstm": "Shi et al. 2015, arXiv:1506.04214",
    "bidirectional": "Schuster and Paliwal 1997, doi:10.1109/78.650093",
    "attention": "Bahdanau, Cho and Bengio 2015, arXiv:1409.0473",
    "multi_head_attention": "Vaswani et al. 2017, arXiv:1706.03762",
    "grouped_query_attention": "Ainslie et al. 2023, arXiv:2305.13245",
    "transformer": "Vaswani et al. 2017, arXiv:1706.03762",
    "transformer_layer": "Vaswani et al. 2017, arXiv:1706.03762",
    "embedding": "Bengio et al. 2003, Journal of Machine Learning Research 3",
    "prelu": "He et al. 2015, arXiv:1502.01852",
    "dropout": "Srivastava et al. 2014, Journal of Machine Learning Research 15",
    "lora": "Hu et al. 2021, arXiv:2106.09685",
    "weight_norm": "Salimans and Kingma 2016, arXiv:1602.07868",
    "quantization": "Jacob et al. 2018, arXiv:1712.05877",
}

_KERAS_PAGES = {
    "linear": "core_layers/dense",
    "einsum_dense": "core_layers/einsum_dense",
    "embedding": "core_layers/embedding",
    "conv1d": "convolution_layers/convolution1d",
    "conv2d": "convolution_layers/convolution2d",
    "conv3d": "convolution_layers/convolution3d",
    "conv_transpose1d": "convolution_layers/convolution1d_transpose",
    "conv_transpose2d": "convolution_layers/convolution2d_transpose",
    "conv_transpose3d": "convolution_layers/convolution3d_transpose",
    "depthwise_conv1d": "convolution_layers/depthwise_convolution1d",
    "depthwise_conv2d": "convolution_layers/depthwise_convolution2d",
    "separable_conv1d": "convolution_layers/separable_convolution1d",
    "separable_conv2d": "convolution_layers/separable_convolution2d",
    "batch_norm": "normalization_layers/batch_normalization",
    "layer_norm": "normalization_layers/layer_normalization",
    "group_norm": "normalization_layers/group_normalization",
    "rms_norm": "normalization_layers/rms_normalization",
    "unit_norm": "normalization_layers/unit_normalization",
    "spectral_norm": "normalization_layers/spectral_normalization",
    "normalization": "preprocessing_layers/numerical/normalization",
    "lstm": "recurrent_layers/lstm",
    "gru": "recurrent_layers/gru",
    "simple_rnn": "recurrent_layers/simple_rnn",
    "rnn": "recurrent_layers/rnn",
    "rnn_cell": "recurrent_layers",
    "bidirectional": "recurrent_layers/bidirectional",
    "time_distributed": "recurrent_layers/time_distributed",
    "conv_lstm": "recurrent_layers",
    "attention": "attention_layers/attention",
    "multi_head_attention": "attention_layers/multi_head_attention",
    "grouped_query_attention": "attention_layers/group_query_attention",
    "prelu": "activation_layers/prelu",
}
_TORCH_PAGE = "https://docs.pytorch.org/docs/stable/generated/torch.nn.{}.html"
_TORCH_CLASSES = {
    "linear": "Linear", "bilinear": "Bilinear", "embedding": "Embedding", "layer_norm": "LayerNorm",
    "group_norm": "GroupNorm", "rms_norm": "RMSNorm", "lstm": "LSTM", "gru": "GRU", "simple_rnn": "RNN",
    "multi_head_attention": "MultiheadAttention", "prelu": "PReLU", "conv1d": "Conv1d", "conv2d": "Conv2d",
    "conv3d": "Conv3d", "conv_transpose1d": "ConvTranspose1d", "conv_transpose2d": "ConvTranspose2d",
    "conv_transpose3d": "ConvTranspose3d", "batch_norm": "BatchNorm2d", "instance_norm": "InstanceNorm2d",
    "rnn_cell": "LSTMCell", "transformer_layer": "TransformerEncoderLayer", "transformer": "Transformer",
}  # fmt: skip
_ONNX_PAGE = "https://onnx.ai/onnx/operators/onnx__{}.html"
_ONNX_RUNTIME_PAGE = "https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.{}"
_ONNX_OWN = (
    "BatchNormalization Conv ConvInteger ConvTranspose DeformConv Einsum GRU Gather Gemm GroupNormalization "
    "InstanceNormalization LSTM LayerNormalization MatMul MatMulInteger PRelu QLinearConv QLinearMatMul "
    "RMSNormalization RNN"
)
_ONNX_RUNTIME = (
    "Attention BiasGelu DynamicQuantizeLSTM EmbedLayerNormalization FusedConv FusedGemm FusedMatMul "
    "GatherBlockQuantized GroupNorm GroupQueryAttention MatMulBnb4 MatMulIntegerToFloat MatMulNBits "
    "MultiHeadAttention NhwcFusedConv QAttention QGemm SkipLayerNormalization SkipSimplifiedLayerNormalization"
)
_TENSORFLOW_PAGE = "https://www.tensorflow.org/api_docs/python/tf/raw_ops/{}"
_TENSORFLOW_OWN = (
    "BatchMatMul BatchMatMulV2 BatchMatMulV3 BlockLSTM Conv2D Conv2DBackpropInput Conv3D Conv3DBackpropInputV2 "
    "DepthwiseConv2dNative Einsum FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 GRUBlockCell Gather GatherV2 "
    "LSTMBlockCell MatMul ResourceGather"
)
_TFLITE_PAGE = "https://www.tensorflow.org/mlir/tfl_ops"
_PADDLE_PAGE = "https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/{}_en.html"
_PADDLE_CLASSES = {
    "linear": "Linear", "embedding": "Embedding", "layer_norm": "LayerNorm", "group_norm": "GroupNorm", "lstm": "LSTM",
    "gru": "GRU", "simple_rnn": "SimpleRNN", "prelu": "PReLU", "conv1d": "Conv1D", "conv2d": "Conv2D",
    "conv3d": "Conv3D", "conv_transpose1d": "Conv1DTranspose", "conv_transpose2d": "Conv2DTranspose",
    "conv_transpose3d": "Conv3DTranspose", "depthwise_conv2d": "Conv2D", "batch_norm": "BatchNorm2D",
    "instance_norm": "InstanceNorm2D", "multi_head_attention": "MultiHeadAttention",
}  # fmt: skip
_PUBLIC = "torch.nn.modules."
_UNDOCUMENTED = frozenset({"NonDynamicallyQuantizableLinear", "_LinearWithBias"})


def page(kind: str, framework: str) -> str | None:
    """The address of the page on layers of `kind` in a framework's documentation, None if it has none."""
    classes, address = {
        "torch": (_TORCH_CLASSES, _TORCH_PAGE),
        "paddle": (_PADDLE_CLASSES, _PADDLE_PAGE),
        "keras": (_KERAS_PAGES, "https://keras.io/api/layers/{}/"),
    }.get(framework, ({}, ""))
    name = classes.get(kind)
    return address.format(name) if name else None


def _operator_page(layer: Layer, framework: str) -> str | None:
    """The page of a recorded operator; None for those that are not known to have one."""
    name = layer.type or ""
    if framework == "onnx" and name in _ONNX_OWN.split() and not layer.module:
        return _ONNX_PAGE.format(name)
    if framework == "onnx" and name in _ONNX_RUNTIME.split():
        return _ONNX_RUNTIME_PAGE.format(name)
    if framework == "tensorflow" and layer.type_source == "rule":
        return page(layer.kind, "keras")
    if framework == "tensorflow" and name in _TENSORFLOW_OWN.split():
        return _TENSORFLOW_PAGE.format(name)
    return _TFLITE_PAGE if framework == "tflite" and name.isupper() else None


def reference(layer: Layer, framework: str) -> str | None:
    """Paper and documentation page of a layer's kind, joined by `; `; None where neither is known."""
    documented = page(layer.kind, framework) or _operator_page(layer, framework)
    public = (layer.module or "").startswith(_PUBLIC) and layer.type not in _UNDOCUMENTED
    if framework == "torch" and layer.type and public and layer.type.isidentifier():
        documented = _TORCH_PAGE.format(layer.type)
    return "; ".join(found for found in (PAPERS.get(layer.kind), documented) if found) or None
