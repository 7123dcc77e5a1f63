"""What TensorFlow's operations are: kinds, which input plays which role, which ones touch files or run code.

Knows operations by name; must not know graphs or files.
Source: tensorflow/core/ops and the list of stateful operations in TensorFlow's SECURITY.md.
"""

from __future__ import annotations

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
            "SparseSegmentMean", "SparseSegmentSum", "SparseSegmentSqrtN", "SparseSegmentMeanWithNumSegments",
            "SparseSegmentSumWithNumSegments", "SparseSegmentSqrtNWithNumSegments",
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
    "ReadFile WriteFile MatchingFiles WholeFileReader WholeFileReaderV2 "
    "TextLineReader TextLineReaderV2 TFRecordReader TFRecordReaderV2 FixedLengthRecordReader FixedLengthRecordReaderV2 "
    "LMDBReader TextLineDataset TFRecordDataset TFRecordDatasetV2 FixedLengthRecordDataset FixedLengthRecordDatasetV2 "
    "LMDBDataset SqlDataset SaveDataset SaveDatasetV2 LoadDataset SnapshotDataset SnapshotDatasetV2 CacheDataset "
    "CacheDatasetV2 DebugIdentity DebugIdentityV2 DebugIdentityV3 CreateSummaryFileWriter "
    "CreateSummaryDbWriter ImmutableConst LoadAndRemapMatrix GenerateVocabRemapping"
)
_CODE = "PyFunc PyFuncStateless EagerPyFunc TPUPartitionedCall XlaHostCompute RemoteCall LoadLibrary"
_NETWORK = (
    "RpcCall RpcServerStart RpcClient DataServiceDataset DataServiceDatasetV2 DataServiceDatasetV3 DataServiceDatasetV4"
)

_REFERENCE = "https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md"
_KINDS_OF_DANGER: tuple[tuple[str, str, Severity, Message], ...] = (
    ("tf_file_operation", _FILES, "high", msg("This operation reads or writes files when the model runs.")),
    ("tf_code_operation", _CODE, "critical", msg("This operation runs code from outside the graph.")),
    ("tf_network_operation", _NETWORK, "high", msg("This operation talks to other machines when the model runs.")),
)
_DANGEROUS = {op: (code, severity, what) for code, ops, severity, what in _KINDS_OF_DANGER for op in ops.split()}
_MAX_DANGERS = 200


def dangers(operations: Iterable[tuple[str, str]], member: str | None) -> tuple[Danger, ...]:
    """Each dangerous operation once, from pairs of where it stands (a node or function) and operation."""
    found: dict[str, tuple[str, int]] = {}
    for place, op in operations:
        if op in _DANGEROUS:
            first, count = found.get(op, (place, 0))
            found[op] = (first, count + 1)
    return tuple(
        Danger(
            code=_DANGEROUS[op][0],
            severity=_DANGEROUS[op][1],
            what=_DANGEROUS[op][2],
            path=text(place, 500) or None,
            member=member,
            detail=f"{op} × {count}",
            reference=_REFERENCE,
        )
        for op, (place, count) in list(found.items())[:_MAX_DANGERS]
    )
