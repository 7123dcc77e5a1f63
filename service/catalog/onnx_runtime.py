"""What the operators of ONNX Runtime and of its extensions do: which compute, which reach outside; knows no file.

Its domain is no promise: beside kernels that only compute it has operators that call Python, that hold programs
compiled for one device or read them from a path, and that talk to other machines. What is on no list may come with a
newer version or be registered under the same domain by anybody, so it is treated as an operator of somebody else's.

Sources: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md, its orttraining/training_ops, and
https://github.com/microsoft/onnxruntime-extensions/blob/main/docs/custom_ops.md
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from service.catalog.code_names import runs_code
from service.catalog.onnx_attributes import number, word
from service.catalog.onnx_external import reaches_outside
from service.catalog.onnx_ops import CONVOLUTIONS, KINDS, KNOWN_DOMAINS, SLOTS
from service.parsers.onnx_messages import Attribute

Kind = Literal["code", "python", "file", "network", "compiled", "peers", "custom"]
"""Python that only code can be meant by, Python, a file outside, another machine, a program, its peers, a library."""

_RUNTIMES = frozenset({"com.microsoft", "com.microsoft.nchwc", "com.microsoft.experimental", "com.ms.internal.nhwc"})
_EXTENSIONS = frozenset({"com.microsoft.extensions", "ai.onnx.contrib"})
_TRAINING = frozenset({"ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training"})

_COMPUTING = frozenset(
    """
    AttnLSTM BeamSearch BiasDropout BiasSoftmax BifurcationDetector BitmaskBiasDropout BitmaskDropout CDist
    CausalConvWithState ComplexMul ComplexMulConj ConvTransposeWithDynamicPads CropAndResize DecoderAttention
    DecoderMaskedMultiHeadAttention DecoderMaskedSelfAttention DequantizeBFP DequantizeWithOrder DynamicTimeWarping
    EmbedLayerNormalization ExpandDims GatedRelativePositionBias GemmFastGelu GemmaRotaryEmbedding GreedySearch
    GridSample Inverse Irfft IsAllFinite LinearAttention LongformerAttention MatMulFpQ4 MaxpoolWithMask MoE MulInteger
    MurmurHash3 NGramRepeatBlock NhwcConv NhwcMaxPool PackedAttention PackedMultiHeadAttention PagedAttention
    QLinearConvTranspose QLinearWhere QMoE QOrderedAttention QOrderedGelu QOrderedLayerNormalization
    QOrderedLongformerAttention QOrderedMatMul QuantizeBFP QuantizeWithOrder ReduceSumInteger RelativePositionBias
    RemovePadding ReorderInput ReorderOutput RestorePadding Rfft SampleOp Sampling SparseAttention SparseToDenseMatMul
    Tokenizer TorchEmbedding UnfoldTensor Unique WhisperBeamSearch WordConvEmbedding
    AdamOptimizer AdamWOptimizer All BatchNormInternal BatchScale BiasGeluGrad_dX BiasFastGeluGrad_dX
    BroadcastGradientArgs ConcatTraining DivGrad FakeQuant GatherGrad GeluGrad GistBinarizeDecoder GistBinarizeEncoder
    Group InPlaceAccumulator InPlaceAccumulatorV2 InvertibleLayerNormalizationGrad IsFinite LambOptimizer LeakyReluGrad
    LSTMTraining GRUTraining MixedPrecisionScale MemcpyFromHost MemcpyToHost PadAndUnflatten PassThrough
    QuickGeluGrad RecordEvent ReduceAllL2 ReduceSumTraining ResizeGrad SGDOptimizer SGDOptimizerV2 Scale ScaledSum
    ShrunkenGather SoftmaxCrossEntropy SoftmaxCrossEntropyLossInternal SplitTraining SummaryHistogram SummaryMerge
    SummaryScalar SummaryText View WaitEvent YieldOp ZeroGradient
    """.split()  # noqa: SIM905
)
"""Of ONNX Runtime's own, those that our tables of layers do not have anyway; the gradient of one computes, too."""
_UPDATES = frozenset({"Adagrad", "Adam", "Gradient", "GraphCall", "Momentum"})
_GRADIENT = re.compile(r"(?:Internal)?Grad\Z")

_PYTHON = frozenset(
    "PyOp PyCustomOp PyCustomOpDef PythonOp PythonOpGrad TritonOp ATen ATenGrad ATenOp ATenOpGrad".split()  # noqa: SIM905
)
"""In any domain: whoever registers them decides which."""
_NAMES_OF_CODE = ("func_name", "name", "class_name", "compute", "onnx_key")
_COMPILED = frozenset({"EPContext", "OpenVINOEPContext", "Snpe"})
_EMBEDDED = 1
_PEERS = re.compile(
    r"(?:Nccl|Horovod|Adasum)?(?:Send|Recv|AllReduce|AllGather|AllToAll|ReduceScatter|Broadcast|Barrier)\Z"
    r"|Distributed[A-Z]\w*\Z"
)
_REMOTE = re.compile(r"(?:Azure|OpenAI)\w+")


class Reach(NamedTuple):
    """An operator that does more than compute; `given` is the name, path or address that its node says."""

    kind: Kind
    domain: str
    op: str
    given: str = ""


def reach_of(domain: str, op: str, attributes: Mapping[str, Attribute]) -> Reach | None:
    """What a node's operator reaches beyond its inputs; None if it only computes."""
    if op in _PYTHON:
        called = _called(attributes)
        return Reach("code" if called and runs_code(*_split(called)) else "python", domain, op, called)
    if domain in _RUNTIMES:
        return _of_runtime(domain, op, attributes)
    if domain in _EXTENSIONS and _REMOTE.match(op):
        return Reach("network", domain, op, word(attributes, "model_uri") or "")
    if domain in _TRAINING:
        return None if op in _UPDATES else Reach("custom", domain, op)
    return None if domain in KNOWN_DOMAINS else Reach("custom", domain, op)


def _of_runtime(domain: str, op: str, attributes: Mapping[str, Attribute]) -> Reach | None:
    if op in _COMPILED:
        return _program(domain, op, attributes)
    if _PEERS.match(op):
        return Reach("peers", domain, op)
    return None if _computes(op) or _computes(_GRADIENT.sub("", op)) else Reach("custom", domain, op)


def _computes(op: str) -> bool:
    return op in _COMPUTING or op in KINDS or op in SLOTS or op in CONVOLUTIONS


def _program(domain: str, op: str, attributes: Mapping[str, Attribute]) -> Reach:
    """A program in the node, or in the file that it names; another may be the model that it was compiled from."""
    apart = number(attributes, "embed_mode", _EMBEDDED) != _EMBEDDED
    context = word(attributes, "ep_cache_context") or "" if apart else ""
    for path in (context, word(attributes, "onnx_model_filename") or ""):
        if reaches_outside(path):
            return Reach("file", domain, op, path)
    return Reach("compiled", domain, op, context)


def _called(attributes: Mapping[str, Attribute]) -> str:
    """The Python that a node names: a dotted name, or a module and a class in it."""
    module = word(attributes, "module")
    name = next((found for key in _NAMES_OF_CODE if (found := word(attributes, key))), "")
    return f"{module}.{name}".strip(".") if module else name


def _split(called: str) -> tuple[str, str]:
    module, _, name = called.rpartition(".")
    return module or name, name
