"""What ONNX' operators are: our word for each, the names and roles of their inputs by position; knows no file.

Sources: https://onnx.ai/onnx/operators/ (opset 25) and
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from types import MappingProxyType

KNOWN_DOMAINS = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training", "com.microsoft",
     "com.microsoft.nchwc", "com.microsoft.experimental", "com.ms.internal.nhwc"}
)  # fmt: skip
"""Operators of ONNX itself and those that ONNX Runtime brings along: nothing else has to be loaded for them."""

STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
ML_DOMAIN = "ai.onnx.ml"

_SLOTS = """
Conv X W:kernel B:bias
FusedConv X W:kernel B:bias Z
NhwcFusedConv X W:kernel B:bias Z
ConvTranspose X W:kernel B:bias
DeformConv X W:kernel offset B:bias mask
ConvInteger x w:kernel x_zero_point:zero_point w_zero_point:zero_point
QLinearConv x x_scale:quant_scale x_zero_point:zero_point w:kernel w_scale:quant_scale w_zero_point:zero_point \
y_scale:quant_scale y_zero_point:zero_point B:bias
Gemm A B:kernel C:bias
FusedGemm A B:kernel C:bias
MatMul A B:kernel
FusedMatMul A B:kernel
TransposeMatMul A B:kernel
FusedMatMulActivation A B:kernel
GemmFloat8 A B:kernel C:bias scaleA:quant_scale scaleB:quant_scale scaleY:quant_scale
MatMulInteger A B:kernel a_zero_point:zero_point b_zero_point:zero_point
MatMulInteger16 A B:kernel
MatMulIntegerToFloat A B:kernel a_scale:quant_scale b_scale:quant_scale a_zero_point:zero_point \
b_zero_point:zero_point bias:bias
DynamicQuantizeMatMul A B:kernel b_scale:quant_scale b_zero_point:zero_point bias:bias
QLinearMatMul a a_scale:quant_scale a_zero_point:zero_point b:kernel b_scale:quant_scale b_zero_point:zero_point \
y_scale:quant_scale y_zero_point:zero_point
QGemm A a_scale:quant_scale a_zero_point:zero_point B:kernel b_scale:quant_scale b_zero_point:zero_point C:bias \
y_scale:quant_scale y_zero_point:zero_point
MatMulNBits A B:packed_kernel scales:quant_scale zero_points:zero_point g_idx:constant bias:bias
MatMulBnb4 A B:packed_kernel absmax:quant_scale
GatherBlockQuantized data:embedding indices scales:quant_scale zero_points:zero_point
BatchNormalization X scale:scale B:offset input_mean:moving_mean input_var:moving_variance
InstanceNormalization input scale:scale B:offset
LayerNormalization X Scale:scale B:offset
GroupNormalization X scale:scale bias:offset
GroupNorm X gamma:scale beta:offset
SkipGroupNorm X gamma:scale beta:offset skip bias:bias
RMSNormalization X scale:scale
SimplifiedLayerNormalization X scale:scale
SkipLayerNormalization input skip gamma:scale beta:offset bias:bias
SkipSimplifiedLayerNormalization input skip gamma:scale bias:bias
EmbedLayerNormalization input_ids segment_ids word_embedding:embedding position_embedding:embedding \
segment_embedding:embedding gamma:scale beta:offset mask position_ids:position_ids
QEmbedLayerNormalization input_ids segment_ids word_embedding:embedding position_embedding:embedding \
segment_embedding:embedding gamma:scale beta:offset mask word_embedding_scale:quant_scale \
position_embedding_scale:quant_scale segment_embedding_scale:quant_scale gamma_scale:quant_scale \
beta_scale:quant_scale word_embedding_zero_point:zero_point position_embedding_zero_point:zero_point \
segment_embedding_zero_point:zero_point gamma_zero_point:zero_point beta_zero_point:zero_point
LSTM X W:kernel R:recurrent_kernel B:bias sequence_lens:constant initial_h:constant initial_c:constant P:parameter
GRU X W:kernel R:recurrent_kernel B:bias sequence_lens:constant initial_h:constant
RNN X W:kernel R:recurrent_kernel B:bias sequence_lens:constant initial_h:constant
DynamicQuantizeLSTM X W:kernel R:recurrent_kernel B:bias sequence_lens:constant initial_h:constant \
initial_c:constant P:parameter W_scale:quant_scale W_zero_point:zero_point R_scale:quant_scale R_zero_point:zero_point
PRelu X slope:slope
Gather data:embedding indices
Attention input weights:qkv_kernel bias:qkv_bias mask_index past attention_bias past_sequence_length
QAttention input weight:qkv_kernel bias:qkv_bias input_scale:quant_scale weight_scale:quant_scale mask_index \
input_zero_point:zero_point weight_zero_point:zero_point past
MultiHeadAttention query key value bias:qkv_bias key_padding_mask attention_bias past_key past_value
GroupQueryAttention query key value past_key past_value seqlens_k total_sequence_length cos_cache:constant \
sin_cache:constant
RotaryEmbedding input position_ids cos_cache:constant sin_cache:constant
BiasGelu A B:bias
FastGelu X bias:bias
BiasAdd X bias:bias skip
BiasSplitGelu X bias:bias
QLinearAdd A A_scale:quant_scale A_zero_point:zero_point B B_scale:quant_scale B_zero_point:zero_point \
C_scale:quant_scale C_zero_point:zero_point
QLinearMul A A_scale:quant_scale A_zero_point:zero_point B B_scale:quant_scale B_zero_point:zero_point \
C_scale:quant_scale C_zero_point:zero_point
QuantizeLinear x y_scale:quant_scale y_zero_point:zero_point
DequantizeLinear x x_scale:quant_scale x_zero_point:zero_point
Reshape data shape:constant
Expand input shape:constant
Slice data starts:constant ends:constant axes:constant steps:constant
Pad data pads:constant constant_value:constant axes:constant
Resize X roi:constant scales:constant sizes:constant
Upsample X scales:constant
Tile input repeats:constant
Squeeze data axes:constant
Unsqueeze data axes:constant
Split input split:constant
Clip input min:constant max:constant
TopK X K:constant
OneHot indices depth:constant values:constant
Range start:constant limit:constant delta:constant
Dropout data ratio:constant training_mode:constant
STFT signal frame_step:constant window:constant frame_length:constant
DFT input dft_length:constant axis:constant
CumSum x axis:constant
Trilu input k:constant
NonMaxSuppression boxes scores max_output_boxes_per_class:constant iou_threshold:constant score_threshold:constant
Loop M:constant cond:constant
If cond:constant
Where condition X Y
Pow X Y:constant
GatherElements data indices
GatherND data indices
ScatterND data indices updates
ScatterElements data indices updates
"""
_PAIRS = (
    "Add Sub Mul Div Mod And Or Xor Equal Greater Less GreaterOrEqual LessOrEqual BitwiseAnd BitwiseOr BitwiseXor"
)
_QUANTISED_UNARY = (
    "QLinearAveragePool QLinearGlobalAveragePool QLinearLeakyRelu QLinearSigmoid QLinearSoftmax QLinearReduceMean"
)
_REDUCTIONS = (
    "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceSumSquare"
)


def _table() -> dict[str, tuple[tuple[str, str], ...]]:
    lines = [line.split() for line in _SLOTS.strip().splitlines()]
    lines += [[name, "A", "B"] for name in _PAIRS.split()]
    lines += [[name, "data", "axes:constant"] for name in _REDUCTIONS.split()]
    quantised = ("X", *(f"{side}_{part}" for side in "XY" for part in ("scale:quant_scale", "zero_point:zero_point")))
    lines += [[name, *quantised] for name in _QUANTISED_UNARY.split()]
    return {name: tuple((slot.partition(":")[0], slot.partition(":")[2]) for slot in slots) for name, *slots in lines}


SLOTS = MappingProxyType(_table())
"""Operator -> (name, role) of its inputs by position; the role is "" where it follows from what comes in."""

_KINDS = {
    "linear": "Gemm FusedGemm MatMul FusedMatMul TransposeMatMul FusedMatMulActivation GemmFloat8 MatMulInteger "
    "MatMulInteger16 MatMulIntegerToFloat DynamicQuantizeMatMul QLinearMatMul QGemm MatMulNBits MatMulBnb4",
    "embedding": "Gather GatherBlockQuantized",
    "batch_norm": "BatchNormalization",
    "instance_norm": "InstanceNormalization",
    "layer_norm": "LayerNormalization SkipLayerNormalization",
    "group_norm": "GroupNormalization GroupNorm SkipGroupNorm",
    "rms_norm": "RMSNormalization SimplifiedLayerNormalization SkipSimplifiedLayerNormalization",
    "unit_norm": "LRN LpNormalization",
    "lstm": "LSTM DynamicQuantizeLSTM",
    "gru": "GRU",
    "simple_rnn": "RNN",
    "prelu": "PRelu",
    "activation": "Relu Sigmoid Tanh LeakyRelu Elu Selu Celu HardSigmoid HardSwish Softplus Softsign ThresholdedRelu "
    "Gelu Mish Swish FastGelu BiasGelu QuickGelu Clip QLinearLeakyRelu QLinearSigmoid",
    "softmax": "Softmax LogSoftmax Hardmax QLinearSoftmax",
    "dropout": "Dropout",
    "pool": "MaxPool AveragePool LpPool MaxRoiPool RoiAlign QLinearAveragePool",
    "global_pool": "GlobalAveragePool GlobalMaxPool GlobalLpPool QLinearGlobalAveragePool",
    "padding": "Pad",
    "upsample": "Resize Upsample MaxUnpool",
    "reshape": "Reshape Flatten Squeeze Unsqueeze Transpose Identity Expand Tile DepthToSpace SpaceToDepth",
    "merge": "Add Sub Mul Div Concat Sum Mean Max Min QLinearAdd QLinearMul QLinearConcat",
    "quantization": "QuantizeLinear DequantizeLinear DynamicQuantizeLinear",
    "multi_head_attention": "MultiHeadAttention Attention QAttention",
    "grouped_query_attention": "GroupQueryAttention",
    "noise": "RandomNormal RandomNormalLike RandomUniform RandomUniformLike Bernoulli",
    "loss": "SoftmaxCrossEntropyLoss NegativeLogLikelihoodLoss",
    "container": "If Loop Scan SequenceMap",
    "preprocessing": "LabelEncoder StringNormalizer StringSplit TfIdfVectorizer Scaler Imputer Normalizer Binarizer "
    "OneHotEncoder DictVectorizer CastMap CategoryMapper FeatureVectorizer ZipMap MelWeightMatrix STFT DFT",
}
KINDS = MappingProxyType({name: kind for kind, names in _KINDS.items() for name in names.split()})
"""Operator -> kind; convolutions are told apart by their rank."""

CONVOLUTIONS = MappingProxyType(
    {"Conv": "conv", "FusedConv": "conv", "NhwcFusedConv": "conv", "ConvInteger": "conv", "QLinearConv": "conv",
     "DeformConv": "conv", "ConvTranspose": "conv_transpose"}
)  # fmt: skip
LAYOUTS = MappingProxyType({"conv": ("OIW", "OIHW", "OIDHW"), "conv_transpose": ("IOW", "IOHW", "IODHW")})
OUT_IN = frozenset({"MatMulNBits", "MatMulBnb4"})
"""Operators whose packed kernel lists the outputs first."""

STATISTICS = frozenset(
    {"moving_mean", "moving_variance", "quant_scale", "zero_point", "constant", "position_ids", "mask"}
)
FLOATS = ("float", "bfloat", "complex")


def slot(op: str, index: int) -> tuple[str, str]:
    """Name and role of input `index` of an operator; the role is "" where none is fixed."""
    slots = SLOTS.get(op, ())
    return slots[index] if index < len(slots) else (f"input_{index}", "")


def free_role(op: str, dtype: str | None, count: int | None) -> str:
    """The role of a fixed input that no operator gives one: a vector or more of floats may have been learned."""
    if not (dtype or "").startswith(FLOATS) or count is None or count <= 1:
        return "constant"
    if op in ("Add", "Sum", "BiasAdd"):
        return "bias"
    return "scale" if op == "Mul" else "parameter"
