"""Attacks by graphs of TensorFlow: rows V1 to V3 of the threat catalogue."""

from __future__ import annotations

from typing import Any

from tests.attacks.frame import Attacks, Trap, harmless, named
from tests.service.parsers.protobufs import entry, held, whole

ATTACKS = Attacks()


def node(name: str, op: str, *inputs: str, **attributes: bytes) -> bytes:
    """A node of a GraphDef."""
    made = held(1, name) + held(2, op) + b"".join(held(3, one) for one in inputs)
    return held(1, made + b"".join(held(5, entry(key, value)) for key, value in attributes.items()))


def constant(value: bytes) -> bytes:
    """An attribute: a tensor of one text."""
    return held(8, whole(1, 7) + held(2, b"") + held(8, value))


MULTIPLY = node("x", "Placeholder") + node("y", "Relu", "x")


def saved(of: bytes) -> bytes:
    """A SavedModel of one graph."""
    return whole(1, 1) + held(2, held(1, held(4, "serve") + held(5, "2.15.0")) + held(2, of))


def operation(number: int, op: str, code: str, severity: str) -> None:
    """A node that does more than compute."""
    ATTACKS.add(
        f"V1-{number:02}",
        f"operation_{op}",
        "A graph reads, writes, runs or sends when it runs.",
        "https://jfrog.com/blog/tensorflow-malicious-operations",
        lambda _trap: MULTIPLY + node("evil", op, "x"),
        named(code, severity, "evil"),
    )


for at, op in enumerate(["ReadFile", "WriteFile", "MatchingFiles", "ImmutableConst", "SqlDataset", "CacheDatasetV2"]):
    operation(1 + at, op, "tf_file_operation", "high")
for at, op in enumerate(["PyFunc", "EagerPyFunc", "PyFuncStateless"]):
    operation(10 + at, op, "tf_code_operation", "critical")
operation(20, "RpcCall", "tf_network_operation", "high")


@ATTACKS("V1-30", source="https://huggingface.co/MediumIQ/tfhunt", expects=named("tf_file_operation", "high", "evil"))
def operation_in_a_function(trap: Trap) -> bytes:
    """Not in the graph but in its library."""
    function = held(1, held(1, held(1, "evil")) + held(3, held(1, "r") + held(2, "ReadFile")))
    return saved(MULTIPLY + held(2, function))


@ATTACKS("V1-31", source="https://huggingface.co/MediumIQ/tfhunt", expects=named("tf_code_operation", "critical"))
def operation_in_a_graph_in_a_text(trap: Trap) -> bytes:
    """A dataset's graph is a text of the outer one: scanners of nodes pass it."""
    inner = node("p", "PyFunc") + node("q", "Identity", "p")
    return saved(MULTIPLY + node("text", "Const", value=constant(inner)) + node("d", "DatasetFromGraph", "text"))


@ATTACKS("V1-32", source="https://huggingface.co/MediumIQ/tfhunt", expects=named("tf_file_operation", "high"))
def operation_two_texts_deep(trap: Trap) -> bytes:
    """A graph in a text in a graph in a text."""
    innermost = node("w", "WriteFile") + node("q", "Identity", "w")
    inner = node("text", "Const", value=constant(innermost)) + node("d", "DatasetFromGraph", "text")
    return saved(MULTIPLY + node("text", "Const", value=constant(inner)) + node("d", "DatasetFromGraph", "text"))


# Savers, and what only looks like one


def called(name: str) -> bytes:
    """An attribute: a function."""
    return held(10, held(1, name))


def function(name: str, *nodes: bytes) -> bytes:
    """A function of a library: nodes as in a graph, in another field."""
    return held(1, held(1, held(1, name)) + b"".join(b"\x1a" + one[1:] for one in nodes))


def restoring(path: str) -> bytes:
    """A node that reads the variables below a path."""
    return node("restored", "RestoreV2", path)


def with_saver(graph: bytes, *, answers: str = "y:0", saver: tuple[str, str, str] = ("p:0", "save:0", "load")) -> bytes:
    """A SavedModel with a signature and a saver."""
    endpoint = held(1, "out") + held(2, held(1, answers) + whole(2, 1))
    signature = held(1, "serving_default") + held(2, held(2, endpoint))
    said = held(3, b"".join(held(number, name) for number, name in enumerate(saver, start=1)))
    about = held(1, held(4, "serve") + held(5, "2.15.0"))
    return whole(1, 1) + held(2, about + held(2, graph) + said + held(5, signature))


SAVING = function("traced_save", node("f", "ShardedFilename", "prefix"), node("s", "SaveV2", "f:filename:0"))
LOADING = function("traced_restore", restoring("prefix"))
PATH = node("path", "Const", value=constant(b"/etc/cron.d/job"))
BOTH = node("p", "Placeholder") + node("save", "StatefulPartitionedCall", "p", f=called("traced_save"))
BOTH += node("load", "StatefulPartitionedCall", "p", f=called("traced_restore"))
HUNT = "https://huggingface.co/pragnyanramtha"
WRITES = named("tf_file_operation", "high", "traced_save")


def saver(number: int, name: str, idea: str, make: Any, expects: Any) -> None:
    """Operations of a saver, in the place of one or not."""
    ATTACKS.add(f"V1-{number:02}", name, idea, HUNT, lambda _trap: make(), expects)


saver(
    40,
    "the_saver_of_every_saved_model",
    "It saves and restores with a path that it is given: not an attack.",
    lambda: with_saver(MULTIPLY + BOTH + held(2, SAVING + LOADING)),
    harmless(),
)
saver(
    41,
    "a_signature_calls_the_saver",
    "The function that saves answers requests as well.",
    lambda: with_saver(
        MULTIPLY + BOTH + node("z", "PartitionedCall", "x", f=called("traced_save")) + held(2, SAVING + LOADING),
        answers="z:0",
    ),
    WRITES,
)
saver(
    42,
    "a_signature_is_the_saver",
    "The node that saves is what a signature gives back.",
    lambda: with_saver(MULTIPLY + BOTH + held(2, SAVING + LOADING), answers="save:0"),
    WRITES,
)
saver(
    43,
    "a_function_of_a_signature_calls_the_saver",
    "One function further away.",
    lambda: with_saver(
        MULTIPLY
        + BOTH
        + node("z", "PartitionedCall", "x", f=called("answer"))
        + held(2, SAVING + LOADING + function("answer", node("c", "PartitionedCall", "x", f=called("traced_save")))),
        answers="z:0",
    ),
    WRITES,
)
saver(
    44,
    "another_function_saves",
    "Not the saver's function but one of its own.",
    lambda: with_saver(MULTIPLY + BOTH + held(2, SAVING + LOADING + function("evil", node("s", "SaveV2", "a")))),
    named("tf_file_operation", "high", "evil"),
)
saver(
    45,
    "the_saver_saves_elsewhere",
    "The saver's function passes over the path that it is given.",
    lambda: with_saver(
        MULTIPLY + BOTH + held(2, LOADING + function("traced_save", PATH, node("s", "SaveV2", "path:output:0")))
    ),
    WRITES,
)
saver(
    46,
    "restoring_saves",
    "What is called at loading writes.",
    lambda: with_saver(
        MULTIPLY
        + BOTH
        + held(2, SAVING + function("traced_restore", node("s", "SaveV2", "prefix"), restoring("prefix")))
    ),
    named("tf_file_operation", "high", "traced_restore"),
)
saver(
    47,
    "no_saver_is_named",
    "Functions that save, in a graph without a saver.",
    lambda: saved(MULTIPLY + held(2, SAVING)),
    WRITES,
)
saver(
    48,
    "a_saver_of_tensorflow_1",
    "Nodes of the graph itself, with a path that is replaced: not an attack.",
    lambda: with_saver(
        MULTIPLY
        + node("save/Const", "Const", value=constant(b"model"))
        + node("save/ShardedFilename", "ShardedFilename", "save/Const")
        + node("save/SaveV2", "SaveV2", "save/ShardedFilename")
        + node("save/RestoreV2", "RestoreV2", "save/Const"),
        saver=("save/Const:0", "save/SaveV2:0", "save/RestoreV2"),
    ),
    harmless(),
)
saver(
    49,
    "a_node_that_answers_saves",
    "A signature's result waits for a file to be written.",
    lambda: with_saver(
        node("x", "Placeholder")
        + node("save/Const", "Const", value=constant(b"model"))
        + node("evil", "SaveV2", "save/Const")
        + node("y", "Relu", "x", "^evil")
    ),
    named("tf_file_operation", "high", "evil"),
)
saver(
    50,
    "a_node_saves_to_a_path_of_the_host",
    "Nobody asks for it by name; training code runs every operation.",
    lambda: MULTIPLY + PATH + node("evil", "SaveV2", "path"),
    named("tf_file_operation", "high", "evil"),
)


# Operations that scanners do not list


def found_in_the_registry(number: int, op: str, code: str, severity: str, name: str = "") -> None:
    """An operation that scanners do not know, by its own name."""
    ATTACKS.add(
        f"V1-{number}",
        f"operation_{name or op}",
        "An operation of TensorFlow's registry, or of a library, that does more than compute.",
        "tensorflow/core/ops, TF_GetAllOpList of TensorFlow 2.21",
        lambda _trap: saved(MULTIPLY + node("evil", op, "x")),
        named(code, severity, "evil"),
    )


FILE_OPERATIONS = ("RecordInput", "Skipgram", "DumpTensor", "CalibrationStatisticsSaver", "DebugNumericSummary")
for at, op in enumerate([*FILE_OPERATIONS, "DTensorRestoreV2", "SerializeTRTResource"], start=100):
    found_in_the_registry(at, op, "tf_file_operation", "high")
for at, op in enumerate(["RpcServer", "RpcServerRegister", "ConnectTPUEmbeddingHosts"], start=107):
    found_in_the_registry(at, op, "tf_network_operation", "high")
for at, op in enumerate(["XlaCustomCall", "XlaCustomCallV2", "_TPUCompileMlir"], start=110):
    found_in_the_registry(at, op, "tf_code_operation", "critical")
found_in_the_registry(113, "Abort", "tf_stopping_operation", "medium")
found_in_the_registry(114, "TRTEngineOp", "tf_compiled_operation", "medium")
found_in_the_registry(115, "XlaCallModule", "tf_compiled_operation", "low")
found_in_the_registry(116, "MyCustomOp", "tf_custom_operation", "low")
found_in_the_registry(117, "IO>FileRead", "tf_file_operation", "high", "of_tensorflow_io_on_files")
found_in_the_registry(118, "IO>KafkaReadableInit", "tf_network_operation", "high", "of_tensorflow_io_on_streams")
found_in_the_registry(119, "IO>AudioResample", "tf_custom_operation", "low", "of_tensorflow_io_that_computes")


@ATTACKS("V2-01", source="CVE-2022-23594", expects=harmless())
def a_graph_with_changed_types(trap: Trap) -> bytes:
    """Attributes that contradict themselves crashed the loader."""
    odd = held(3, b"\xff" * 10) + whole(6, 2**64 - 1)
    return saved(MULTIPLY + node("w", "Const", value=held(8, whole(1, 255) + held(2, b"")), dtype=odd))
