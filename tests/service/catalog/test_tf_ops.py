"""What operations do, held against everything that TensorFlow registers."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import Any

import pytest

from service.catalog.tf_names import REGISTERED
from service.catalog.tf_ops import dangers, depends, is_listed, touches
from tests.corpus import interpreter

REGISTRY = """
import json
import tensorflow as tf
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session
found = op_def_pb2.OpList()
found.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
def said(op):
    parts = [op.summary, op.description, *(one.description for one in (*op.attr, *op.input_arg))]
    return " ".join([*parts, getattr(getattr(tf.raw_ops, op.name, None), "__doc__", None) or ""])
print(json.dumps({op.name: [[one.name for one in (*op.attr, *op.input_arg)], said(op)] for op in found.op}))
"""
TELLING = re.compile(
    r"file|path|(?:^|_)dir(?:_|$|ectory)|url|address|(?:^|_)host|pattern|library|target_name|serialized|python|module"
    r"|program|(?:^|_)code(?:$|_)|^token"
)
"""Names of settings and inputs that are places, or hold something to be run."""
SPEAKING = re.compile(
    r"\b(?:files?|filenames?|filesystem|director(?:y|ies)|disk|URLs?|address(?:es)?|grpc|rpc|sockets?|servers?|shell)\b"
    r"|\bpaths\b|python function",
    re.IGNORECASE,
)
ACTING = re.compile(
    r"File|Rpc|Server|Client|Debug|Dump|Saver?(?:V2)?$|Restore|Write|SummaryWriter|CustomCall|PyFunc|Mlir|Register|Abort"
)
"""What operations are called that do something beside computing."""

COMPUTE = {
    "texts and messages that are taken apart, whoever read them": (
        "DecodeImage DecodeJxl DecodeWav DecodeWebP EncodeWav AudioSpectrogram ParseExample ParseExampleV2 ParseTensor "
        "ParseSequenceExample ParseSequenceExampleV2 ParseSingleExample ParseSingleSequenceExample DeserializeSparse "
        "DeserializeManySparse DeserializeIterator OptionsDataset TensorSummaryV2 BoostedTreesCreateEnsemble "
        "BoostedTreesDeserializeEnsemble"
    ),
    "patterns of regular expressions": "RegexFullMatch RegexReplace StaticRegexFullMatch StaticRegexReplace",
    "paths through a tree or a beam, URLs as an example, steps of debugging": (
        "CTCBeamSearchDecoder BoostedTreesExampleDebugOutputs StringToHashBucketStrong DebugNumericSummaryV2 "
        "DebugGradientIdentity DebugGradientRefIdentity"
    ),
    "they make a text, or hint at one": "ShardedFilespec TensorSliceDataset",
    "what was opened by an operation that is listed goes on": (
        "ReaderRead ReaderReadV2 ReaderReadUpTo ReaderReadUpToV2 ReaderRestoreState ReaderRestoreStateV2 SummaryWriter "
        "WriteSummary WriteScalarSummary WriteHistogramSummary WriteImageSummary WriteAudioSummary WriteGraphSummary "
        "WriteRawProtoSummary FlushSummaryWriter CloseSummaryWriter StatsAggregatorSetSummaryWriter RpcCheckStatus "
        "RpcGetValue DeleteRpcFutureResource"
    ),
    "names of debugging operations that the runtime put in already, which are listed": "Copy CopyHost",
    "arrays in memory": "TensorArrayWrite TensorArrayWriteV2 TensorArrayWriteV3",
    "values on the side of the processor, or the set-up of accelerators by whoever runs them": (
        "CudnnRNNBackpropV2 CudnnRNNBackpropV3 _FusedConv2D _MklNativeFusedConv2D _FusedQuantizedConv2D "
        "_FusedQuantizedDepthwiseConv2D _QuantizedMatMul TPUReplicateMetadata _TPUReplicate "
        "_InitializeHostForDistributedTPU ConfigureAndInitializeGlobalTPU _XlaCompileMlirPlaceholderProgramKey "
        "GetMinibatchSplitsWithPhysicalReplica GetMinibatchesInCsrWithPhysicalReplica StoreMinibatchStatisticsInFdo"
    ),
}
"""Operations that speak of such things and do no more than compute, by why."""
FORMER = (
    "BigQueryReader BigtableClient BigtableTable GcsConfigureBlockCache GcsConfigureCredentials IgniteDataset "
    "KafkaDataset LoadLibrary RemoteFusedGraphExecute Rpc TryRpc InitializeTRTResource SerializeTRTResource TRTEngineOp"
)
"""Operations of older releases and of builds for graphics cards."""


@pytest.fixture(scope="module")
def registry() -> dict[str, Any]:
    """Every operation of TensorFlow: names of its settings and inputs, and what is said of it."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [interpreter("keras"), "-c", REGISTRY]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_names_are_those_of_the_registry(registry: dict[str, Any]) -> None:
    """One that is missing would be told as another library's, one that is made up would pass as TensorFlow's.

    Builds for one processor or another differ by a few that only the runtime itself puts into graphs.
    """
    assert registry.keys() - REGISTERED == set()
    assert {op for op in REGISTERED - registry.keys() if not op.startswith("_")} == set()


def test_each_operation_that_speaks_of_places_or_programs_is_listed(registry: dict[str, Any]) -> None:
    """By its name, a setting, an input or its description; those that only compute are named here, with the reason."""
    speaking = {
        op for op, (names, said) in registry.items()
        if ACTING.search(op) or SPEAKING.search(said) or any(map(TELLING.search, names))
    }  # fmt: skip
    computing = {op for ops in COMPUTE.values() for op in ops.split()}
    assert {op for op in speaking if not is_listed(op)} == computing & registry.keys()


def test_what_is_listed_exists(registry: dict[str, Any]) -> None:
    """In the registry, or in what is known of other builds and releases: a slip of the pen would list nothing."""
    listed = {op for op in registry if is_listed(op)}
    assert len(listed) == 96
    told = {one.detail.split()[0] for one in dangers([("n", op) for op in listed], None) if one.detail}
    assert told == listed
    assert all(is_listed(op) and op not in registry for op in FORMER.split())


@pytest.mark.parametrize(("op", "listed", "anywhere"), [
    ("InitializeTableFromTextFileV2", True, False), ("InitializeTRTResource", True, False),
    ("FixedUnigramCandidateSampler", True, False), ("DatasetFromGraph", True, False), ("ReadFile", True, True),
    ("DebugNumericSummary", True, True), ("DebugNumericSummaryV2", False, False), ("DTensorRestoreV2", True, True),
    ("XlaCustomCallV2", True, True), ("IO>FileRead", True, True), ("IO>LayerKafkaCall", True, True),
    ("IO>KafkaDecodeAvro", False, False), ("IO>AudioResample", False, False), ("MyCustomOp", False, False),
])  # fmt: skip
def test_some_are_dangers_only_with_what_they_are_given(op: str, listed: bool, anywhere: bool) -> None:
    """Tables from files, samplers and datasets are listed, but by themselves no danger."""
    assert (is_listed(op), touches(op), depends(op)) == (listed, anywhere, listed and not anywhere)


def test_the_worst_come_first() -> None:
    """A list that is cut loses the least, however many forms of one operation a graph has."""
    many = [("n", f"XlaCallModuleV{number}") for number in range(300)]
    found = dangers([*many, ("n", "Abort"), ("n", "ReadFile"), ("n", "PyFunc")], None)
    assert [one.severity for one in found[:4]] == ["critical", "high", "medium", "low"]
    assert len(found) == 200
