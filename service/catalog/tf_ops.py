"""What TensorFlow's operations are: kinds, which input plays which role, which ones touch files or run code.

Knows operations by name; must not know graphs or files.
Source: tensorflow/core/ops and the list of stateful operations in TensorFlow's SECURITY.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from service.language import Message, msg
from service.plain import text
from service.tree import Danger, Severity


class Reads(NamedTuple):
    """What an operation does with its weights: kind of the layer, role by input position, axis order of the kernel."""

    kind: str
    roles: dict[int, str]
    layout: str | None = None


_KERNEL = {1: "kernel"}
_FUSED = {1: "kernel", 2: "bias"}
_NORM = {1: "scale", 2: "offset", 3: "moving_mean", 4: "moving_variance"}

READS: dict[str, Reads] = {
    "Conv2D": Reads("conv2d", _KERNEL, "HWIO"),
    "_FusedConv2D": Reads("conv2d", _FUSED, "HWIO"),
    "FusedConv2D": Reads("conv2d", _FUSED, "HWIO"),
    "Conv3D": Reads("conv3d", _KERNEL, "DHWIO"),
    "Conv2DBackpropInput": Reads("conv_transpose2d", _KERNEL, "HWOI"),
    "Conv3DBackpropInputV2": Reads("conv_transpose3d", _KERNEL, "DHWOI"),
    "DepthwiseConv2dNative": Reads("depthwise_conv2d", {1: "depthwise_kernel"}, "HWIM"),
    "FusedDepthwiseConv2dNative": Reads("depthwise_conv2d", {1: "depthwise_kernel", 2: "bias"}, "HWIM"),
    "_FusedDepthwiseConv2dNative": Reads("depthwise_conv2d", {1: "depthwise_kernel", 2: "bias"}, "HWIM"),
    "MatMul": Reads("linear", {0: "kernel", 1: "kernel"}, "in-out"),
    "_FusedMatMul": Reads("linear", _FUSED, "in-out"),
    "BatchMatMul": Reads("linear", {0: "kernel", 1: "kernel"}),
    "BatchMatMulV2": Reads("linear", {0: "kernel", 1: "kernel"}),
    "Einsum": Reads("einsum_dense", {0: "kernel", 1: "kernel"}),
    "FusedBatchNorm": Reads("batch_norm", _NORM),
    "FusedBatchNormV2": Reads("batch_norm", _NORM),
    "FusedBatchNormV3": Reads("batch_norm", _NORM),
    "Gather": Reads("embedding", {0: "embedding"}, "index-feature"),
    "GatherV2": Reads("embedding", {0: "embedding"}, "index-feature"),
    "ResourceGather": Reads("embedding", {0: "embedding"}, "index-feature"),
    **dict.fromkeys(
        (
            "SparseSegmentMean",
            "SparseSegmentSum",
            "SparseSegmentSqrtN",
            "SparseSegmentMeanWithNumSegments",
            "SparseSegmentSumWithNumSegments",
            "SparseSegmentSqrtNWithNumSegments",
        ),
        Reads("embedding", {0: "embedding"}, "index-feature"),
    ),
    **dict.fromkeys(
        ("BlockLSTM", "BlockLSTMV2"),
        Reads(
            "lstm",
            {2: "constant", 3: "constant", 4: "kernel", 5: "weight", 6: "weight", 7: "weight", 8: "bias"},
            "in-out",
        ),
    ),
    "LSTMBlockCell": Reads(
        "lstm",
        {1: "constant", 2: "constant", 3: "kernel", 4: "weight", 5: "weight", 6: "weight", 7: "bias"},
        "in-out",
    ),
    "GRUBlockCell": Reads("gru", {1: "constant", 2: "kernel", 3: "kernel", 4: "bias", 5: "bias"}, "in-out"),
    "BiasAdd": Reads("operation", {1: "bias"}),
    "Prelu": Reads("prelu", {1: "slope"}),
}
"""Weights by position. A "weight" is a peephole, read only where `use_peephole` says so, a "constant" the state that a
cell starts with. What is added to or multiplied with a constant is told by rule, see `tf_graph`."""

SOURCES = frozenset({"Const", "VariableV2", "Variable", "VarHandleOp", "TemporaryVariable"})
"""Operations that hold a weight."""

VARIABLES = SOURCES - {"Const"}

PASSES = frozenset(
    {
        "Identity", "IdentityN", "ReadVariableOp", "Enter", "RefEnter", "StopGradient", "CheckNumerics", "Snapshot",
        "PreventGradient", "PlaceholderWithDefault", "Cast", "Dequantize", "Switch", "RefSwitch", "Merge", "Exit",
        "NextIteration", "LoopCond", "FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel",
    }
)  # fmt: skip
"""Operations whose first input goes on as it is, as far as the meaning of a weight is concerned."""

PLUMBING = frozenset({"NoOp", "Assert", "Assign", "AssignVariableOp", "VarIsInitializedOp", "RestoreV2", "SaveV2"})
"""Operations that are no step of a model's computation."""

INPUTS = frozenset({"Placeholder", "PlaceholderV2", "_Arg", "ParseExample", "IteratorGetNext"})

MERGES = frozenset({"Add", "AddV2", "AddN", "Mul", "Sub", "ConcatV2", "Concat", "Pack", "Maximum", "Minimum"})

KINDS: dict[str, str] = {
    **dict.fromkeys(INPUTS, "input"),
    **dict.fromkeys(
        ("Relu", "Relu6", "Elu", "Selu", "LeakyRelu", "Sigmoid", "Tanh", "Softplus", "Softsign"), "activation"
    ),
    **dict.fromkeys(("Softmax", "LogSoftmax"), "softmax"),
    **dict.fromkeys(("MaxPool", "MaxPoolV2", "AvgPool", "MaxPool3D", "AvgPool3D"), "pool"),
    **dict.fromkeys(("Pad", "PadV2", "MirrorPad"), "padding"),
    **dict.fromkeys(("Reshape", "Squeeze", "ExpandDims", "Transpose"), "reshape"),
    **dict.fromkeys(("ResizeBilinear", "ResizeNearestNeighbor", "ResizeBicubic"), "upsample"),
}

_FILES = (
    "ReadFile WriteFile MatchingFiles WholeFileReader TextLineReader TFRecordReader FixedLengthRecordReader LMDBReader "
    "TextLineDataset TFRecordDataset FixedLengthRecordDataset LMDBDataset CSVDataset MatchingFilesDataset SqlDataset "
    "SaveDataset LoadDataset SnapshotDataset CacheDataset DatasetToTFRecord ListSnapshotChunksDataset "
    "SnapshotChunkDataset SnapshotDatasetReader SnapshotNestedDatasetReader DistributedSave FileSystemSetConfiguration "
    "DebugIdentity DebugNanCount DebugNumericSummary DumpTensor CreateSummaryFileWriter CreateSummaryDbWriter "
    "ImmutableConst LoadAndRemapMatrix GenerateVocabRemapping RecordInput Skipgram CalibrationStatisticsSaver "
    "DTensorRestore SerializeTRTResource"
)
_CODE = (
    "PyFunc PyFuncStateless EagerPyFunc TPUPartitionedCall XlaHostCompute RemoteCall LoadLibrary MlirPassthroughOp "
    "RemoteFusedGraphExecute XlaCustomCall _XlaHostComputeMlir _TPUCompileMlir"
)
_NETWORK = (
    "RpcCall RpcServer RpcServerRegister RpcServerStart RpcClient Rpc TryRpc DataServiceDataset RegisterDataset "
    "ConnectTPUEmbeddingHosts BigQueryReader BigtableClient BigtableTable GcsConfigureCredentials "
    "GcsConfigureBlockCache KafkaDataset IgniteDataset"
)
_ENGINES = "TRTEngineOp"
"""They hold machine code, for a graphics card."""
_PROGRAMS = "XlaCallModule"
"""They hold a program for a compiler, as exports from JAX do."""
_SAVING = " SaveV2 Save SaveSlices MergeV2Checkpoints RestoreV2 Restore RestoreSlice ShardedFilename"
"""Dangers only outside a saver: see `tf_savers`."""

_PATHS = " InitializeTableFromTextFile InitializeTRTResource FixedUnigramCandidateSampler"
_GRAPHS = " DatasetFromGraph"
"""Dangers only where the path is the graph's own, or the graph is not one that was looked into: see `tf_paths`."""

_ADDRESSED = " PrintV2 DecodeProtoV2 EncodeProto"
"""Dangers only where a setting of theirs is a file: see `_NO_FILE`."""
_BUILT_IN = re.compile(r"(?:local|bytes):|\Z")
_NO_FILE = {"PrintV2": re.compile(r"(?!file:)"), "DecodeProtoV2": _BUILT_IN, "EncodeProto": _BUILT_IN}
"""How settings of theirs begin that are no file."""
_OTHER_FORM = re.compile(r"^Experimental|(?<=[a-z])V\d+\Z")
"""What other versions of an operation are called besides."""
_COMPUTES = frozenset({"DebugNumericSummaryV2"})
"""A later version that has no address."""
_IO = "IO>"
_IO_NETWORK = re.compile(
    r"(?:Layer|Read)?(?:Kafka(?!Encode|Decode)|Kinesis|PubSub|Pulsar|Mongo|Elasticsearch|Prometheus|Big|GRPC|Sql|Arrow)"
)
_IO_FILES = re.compile(r".*(?:Readable|Writable|Iterable|File|Dataset)|Read|Write|List|TextOutput")
"""Names of the library TensorFlow I/O, behind the one of the library; its other operations decode and compute."""

_REFERENCE = "https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md"


class _Danger(NamedTuple):
    """What is said of an operation."""

    code: str
    severity: Severity
    what: Message


_HOLDS_PROGRAM = msg("This operation holds a compiled program of its own, which is not looked into.")
_KINDS_OF_DANGER: tuple[tuple[str, str, Severity, Message], ...] = (
    (
        "tf_file_operation", _FILES + _SAVING + _ADDRESSED + _PATHS, "high",
        msg("This operation reads or writes files when the model runs."),
    ),
    ("tf_code_operation", _CODE + _GRAPHS, "critical", msg("This operation runs code from outside the graph.")),
    ("tf_network_operation", _NETWORK, "high", msg("This operation talks to other machines when the model runs.")),
    ("tf_stopping_operation", "Abort", "medium", msg("This operation ends the program that runs the model.")),
    ("tf_compiled_operation", _ENGINES, "medium", _HOLDS_PROGRAM),
    ("tf_compiled_operation", _PROGRAMS, "low", _HOLDS_PROGRAM),
)  # fmt: skip
_DANGEROUS = {op: _Danger(code, severity, what) for code, ops, severity, what in _KINDS_OF_DANGER for op in ops.split()}
_BY_SEVERITY: tuple[Severity, ...] = ("critical", "high", "medium", "low")
_GIVEN = frozenset((_PATHS + _GRAPHS).split())
MAX_DANGERS = 200
_MOST_NAMES = 1024
"""A graph has a million nodes, and some hundred names of operations."""


def touches(op: str, address: str = "") -> bool:
    """Whether an operation does more than compute, wherever it stands; `address` is where it does, if it says so."""
    if op in _NO_FILE:
        return _NO_FILE[op].match(address) is None
    return is_listed(op) and not depends(op)


def is_listed(op: str) -> bool:
    """Whether it does more than compute, at least in some places."""
    return _danger(op) is not None


def depends(op: str) -> bool:
    """Whether it depends on the path or graph that an operation is given: see `tf_paths`."""
    return _listed(op) in _GIVEN


@lru_cache(_MOST_NAMES)
def _listed(op: str) -> str:
    """How an operation is listed: versions and experiments of one do what it does."""
    return op if op in _DANGEROUS or op in _COMPUTES else _OTHER_FORM.sub("", _OTHER_FORM.sub("", op))


@lru_cache(_MOST_NAMES)
def _danger(op: str) -> _Danger | None:
    if not op.startswith(_IO):
        return _DANGEROUS.get(_listed(op))
    if _IO_NETWORK.match(op, len(_IO)):
        return _DANGEROUS["RpcCall"]
    return _DANGEROUS["ReadFile"] if _IO_FILES.match(op, len(_IO)) else None


def dangers(operations: Iterable[tuple[str, str]], member: str | None) -> tuple[Danger, ...]:
    """Each dangerous operation once, from pairs of where it stands (a node or function) and operation; worst first."""
    found: dict[str, tuple[str, int, _Danger]] = {}
    for place, op in operations:
        danger = _danger(op)
        if danger is not None:
            first, count, _ = found.get(op, (place, 0, danger))
            found[op] = (first, count + 1, danger)
    worst = sorted(found.items(), key=lambda one: _BY_SEVERITY.index(one[1][2].severity))
    return tuple(
        Danger(
            code=danger.code,
            severity=danger.severity,
            what=danger.what,
            path=text(place, 500) or None,
            member=member,
            detail=f"{op} × {count}",
            reference=_REFERENCE,
        )
        for op, (place, count, danger) in worst[:MAX_DANGERS]
    )
