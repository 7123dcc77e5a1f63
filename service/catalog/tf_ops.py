"""What TensorFlow's operations are: kinds, which input plays which role, which ones touch files or run code.

Knows operations by name; must not know graphs or files.
Source: tensorflow/core/ops and the list of stateful operations in TensorFlow's SECURITY.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
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
    "DebugIdentity DebugNanCount CreateSummaryFileWriter CreateSummaryDbWriter ImmutableConst LoadAndRemapMatrix "
    "GenerateVocabRemapping"
)
_CODE = (
    "PyFunc PyFuncStateless EagerPyFunc TPUPartitionedCall XlaHostCompute RemoteCall LoadLibrary MlirPassthroughOp "
    "RemoteFusedGraphExecute"
)
_NETWORK = (
    "RpcCall RpcServerStart RpcClient DataServiceDataset RegisterDataset BigQueryReader BigtableClient BigtableTable "
    "GcsConfigureCredentials GcsConfigureBlockCache KafkaDataset IgniteDataset"
)
_SAVING = " SaveV2 Save SaveSlices MergeV2Checkpoints RestoreV2 Restore RestoreSlice ShardedFilename"
"""Dangers only outside a saver: see `tf_savers`."""

_ADDRESSED = " PrintV2 DecodeProtoV2 EncodeProto"
"""Dangers only where a setting of theirs is a file: see `_NO_FILE`."""
_BUILT_IN = re.compile(r"(?:local|bytes):|\Z")
_NO_FILE = {"PrintV2": re.compile(r"(?!file:)"), "DecodeProtoV2": _BUILT_IN, "EncodeProto": _BUILT_IN}
"""How settings of theirs begin that are no file."""
_OTHER_FORM = re.compile(r"^Experimental|(?<=[a-z])V\d+\Z")
"""What other versions of an operation are called besides."""

_REFERENCE = "https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md"
_KINDS_OF_DANGER: tuple[tuple[str, str, Severity, Message], ...] = (
    (
        "tf_file_operation", _FILES + _SAVING + _ADDRESSED, "high",
        msg("This operation reads or writes files when the model runs."),
    ),
    ("tf_code_operation", _CODE, "critical", msg("This operation runs code from outside the graph.")),
    ("tf_network_operation", _NETWORK, "high", msg("This operation talks to other machines when the model runs.")),
)
_DANGEROUS = {op: (code, severity, what) for code, ops, severity, what in _KINDS_OF_DANGER for op in ops.split()}
MAX_DANGERS = 200


def touches(op: str, address: str = "") -> bool:
    """Whether an operation does more than compute, wherever it stands; `address` is where it does, if it says so."""
    if op in _NO_FILE:
        return _NO_FILE[op].match(address) is None
    return _listed(op) in _DANGEROUS


def _listed(op: str) -> str:
    """How an operation is listed: versions and experiments of one do what it does."""
    return op if op in _DANGEROUS else _OTHER_FORM.sub("", _OTHER_FORM.sub("", op))


def dangers(operations: Iterable[tuple[str, str]], member: str | None) -> tuple[Danger, ...]:
    """Each dangerous operation once, from pairs of where it stands (a node or function) and operation."""
    found: dict[str, tuple[str, int]] = {}
    for place, op in operations:
        if _listed(op) in _DANGEROUS:
            first, count = found.get(op, (place, 0))
            found[op] = (first, count + 1)
    return tuple(
        Danger(
            code=_DANGEROUS[_listed(op)][0],
            severity=_DANGEROUS[_listed(op)][1],
            what=_DANGEROUS[_listed(op)][2],
            path=text(place, 500) or None,
            member=member,
            detail=f"{op} × {count}",
            reference=_REFERENCE,
        )
        for op, (place, count) in list(found.items())[:MAX_DANGERS]
    )
