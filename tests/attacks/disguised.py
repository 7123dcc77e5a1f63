"""Attacks that hide in what readers disagree about: fields said twice, other places (rows O1, O5, V1 and L1).

Protocol Buffers lets a field stand twice: readers take the last, join both messages, or, where they are careless, take
the first. ONNX and TensorFlow have several places and words for the same thing.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper

from tests.attacks.frame import Attacks, Outcome, Trap, harmless, named, refused
from tests.attacks.onnx_graphs import external, linear
from tests.attacks.tensorflow_graphs import MULTIPLY, constant, function, node, saved
from tests.service.parsers.flatbuffers_writer import write
from tests.service.parsers.protobufs import held, whole
from tests.service.readers.onnx_files import FLOAT, floats, graph, model

ATTACKS = Attacks()
TWICE = "https://protobuf.dev/programming-guides/encoding/#last-one-wins"
READS = node("evil", "ReadFile", "x")
FILES = named("tf_file_operation", "high", "evil")


def attack(id_: str, name: str, idea: str, make: Any, expects: Outcome, source: str = TWICE) -> None:
    """One of these."""
    ATTACKS.add(id_, name, idea, source, make, expects)


# TensorFlow


def about(*parts: bytes) -> bytes:
    """A SavedModel whose description has these parts."""
    return whole(1, 1) + held(2, held(1, held(4, "serve") + held(5, "2.15.0")) + b"".join(parts))


def twice_named(first: str, last: str) -> bytes:
    """A node of a function with two operations."""
    inner = held(1, "evil") + held(2, first) + held(2, last)
    return held(2, held(1, held(1, held(1, "evil")) + held(3, inner)))


attack(
    "V1-60",
    "two_graphs_in_one",
    "TensorFlow joins both.",
    lambda _: about(held(2, MULTIPLY + READS), held(2, MULTIPLY)),
    refused("malformed_file"),
)
attack(
    "V1-61",
    "two_graphs_the_other_way",
    "The harmless one first.",
    lambda _: about(held(2, MULTIPLY), held(2, MULTIPLY + READS)),
    refused("malformed_file"),
)
attack(
    "V1-62",
    "an_operation_named_twice",
    "In a function: the last name counts.",
    lambda _: saved(MULTIPLY + twice_named("Identity", "ReadFile")),
    FILES,
)
attack(
    "V1-63",
    "an_operation_named_twice_in_the_graph",
    "In a node of the graph.",
    lambda _: saved(MULTIPLY + held(1, held(1, "evil") + held(2, "Identity") + held(2, "ReadFile"))),
    FILES,
)
attack(
    "V1-64",
    "a_function_whose_name_comes_last",
    "Its nodes stand before its signature.",
    lambda _: saved(
        MULTIPLY + held(2, held(1, held(3, held(1, "r") + held(2, "ReadFile")) + held(1, held(1, "evil"))))
    ),
    FILES,
)
attack(
    "V1-65",
    "two_libraries",
    "The second has the function that reads.",
    lambda _: saved(
        MULTIPLY + held(2, function("f", node("i", "Identity"))) + held(2, function("evil", node("r", "ReadFile")))
    ),
    FILES,
)
attack(
    "V1-66",
    "a_value_said_twice",
    "A harmless tensor stands before the one that holds a graph.",
    lambda _: saved(MULTIPLY + node("text", "Const", value=constant(b"x") + constant(READS + READS))),
    refused("malformed_file"),
)
attack(
    "V1-67",
    "a_function_in_a_text",
    "The library of a dataset's graph.",
    lambda _: saved(
        MULTIPLY
        + node(
            "evil", "Const", value=constant(node("a", "Identity", "b") + held(2, function("f", node("r", "ReadFile"))))
        )
    ),
    FILES,
)
attack(
    "V1-68",
    "a_text_in_a_function",
    "A graph in a constant of a function.",
    lambda _: saved(MULTIPLY + held(2, function("evil", node("c", "Const", value=constant(READS + READS))))),
    FILES,
)
attack(
    "V1-69",
    "a_text_among_many",
    "The graph is the last of a constant's texts.",
    lambda _: saved(
        MULTIPLY
        + node(
            "evil", "Const", value=held(8, whole(1, 7) + held(2, b"") + held(8, "one") * 50 + held(8, READS + READS))
        )
    ),
    FILES,
)

OPERATIONS = [
    ("CSVDatasetV2", "tf_file_operation", "high"),
    ("DatasetToTFRecord", "tf_file_operation", "high"),
    ("MatchingFilesDataset", "tf_file_operation", "high"),
    ("ListSnapshotChunksDataset", "tf_file_operation", "high"),
    ("ExperimentalLMDBDataset", "tf_file_operation", "high"),
    ("DistributedSave", "tf_file_operation", "high"),
    ("DebugNanCount", "tf_file_operation", "high"),
    ("RegisterDatasetV2", "tf_network_operation", "high"),
    ("BigQueryReader", "tf_network_operation", "high"),
    ("GcsConfigureCredentials", "tf_network_operation", "high"),
    ("MlirPassthroughOp", "tf_code_operation", "critical"),
    ("RemoteFusedGraphExecute", "tf_code_operation", "critical"),
]
for at, (op, code, severity) in enumerate(OPERATIONS, start=70):
    attack(
        f"V1-{at}",
        f"operation_{op}",
        "Another operation that does more than compute.",
        lambda _, op=op: MULTIPLY + node("evil", op, "x"),
        named(code, severity, "evil"),
        "tensorflow/core/ops/ops.pbtxt",
    )
attack(
    "V1-85",
    "printing_into_a_file",
    "Where a print goes to may be a file.",
    lambda _: MULTIPLY + node("evil", "PrintV2", "x", output_stream=held(2, "file:///tmp/x")),
    FILES,
    "tensorflow/core/kernels/logging_ops.cc",
)
attack(
    "V1-86",
    "a_description_in_a_file",
    "An operation reads the description of its messages from a file.",
    lambda _: MULTIPLY + node("evil", "DecodeProtoV2", "x", descriptor_source=held(2, "/etc/passwd")),
    FILES,
    "tensorflow/core/util/proto/descriptors.cc",
)
attack(
    "V1-87",
    "printing_on_the_screen",
    "As every model with a print has it, and messages of the program's own: not an attack.",
    lambda _: (
        MULTIPLY
        + node("p", "PrintV2", "x", output_stream=held(2, "stderr"))
        + node("d", "DecodeProtoV2", "x", descriptor_source=held(2, "local://"))
    ),
    harmless(),
    "tensorflow/core/kernels/logging_ops.cc",
)

# ONNX: other places, other ways to write one

OUTSIDE = named("onnx_external_path", "high", "w")


def locations(*values: str) -> onnx.TensorProto:
    """A weight with several locations."""
    tensor = external(values[0])
    for value in values[1:]:
        tensor.external_data.add(key="location", value=value)
    return tensor


def bytes_of(*nodes: Any, **more: Any) -> bytes:
    """A model of these nodes."""
    made = model(graph([*nodes], {"x": ["N", 4]}, ["y"], [floats("v", 4, 4)]), **more)
    return bytes(made.SerializeToString())


def branch() -> Any:
    """A graph with a weight of another file."""
    return graph([helper.make_node("MatMul", ["x", "w"], ["z"])], {}, ["z"], [external("../../secret.txt")])


for at, (name, location) in enumerate(
    [
        ("location_on_another_machine", "\\\\server\\share\\weights"),
        ("location_on_another_machine_by_slashes", "//server/share/weights"),
        ("location_of_a_device", "\\\\.\\PhysicalDrive0"),
        ("location_on_a_drive_without_a_root", "C:secret.txt"),
        ("location_climbs_in_the_end", "weights/.."),
        ("location_climbs_both_ways", "a\\../..\\../secret.txt"),
        ("location_with_points_between", "./.././../secret.txt"),
    ],
    start=20,
):
    attack(
        f"O1-{at}",
        name,
        "Paths of another system, or written differently.",
        lambda _, location=location: linear(external(location)),
        OUTSIDE,
        "CVE-2024-27318",
    )
attack(
    "O1-30",
    "two_locations_evil_first",
    "Some readers take the first.",
    lambda _: linear(locations("../../secret.txt", "weights.bin")),
    OUTSIDE,
)
attack(
    "O1-31",
    "two_locations_evil_last",
    "Others take the last.",
    lambda _: linear(locations("weights.bin", "../../secret.txt")),
    OUTSIDE,
)
attack(
    "O1-32",
    "location_in_a_branch",
    "The weight is one of a branch's graph.",
    lambda _: bytes_of(helper.make_node("If", ["v"], ["y"], then_branch=branch(), else_branch=branch())),
    OUTSIDE,
    "CVE-2024-27318",
)
attack(
    "O1-33",
    "location_in_a_constant",
    "The weight is an attribute of a node.",
    lambda _: bytes_of(
        helper.make_node("Constant", [], ["w"], value=external("../../secret.txt")),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ),
    OUTSIDE,
    "CVE-2024-27318",
)
attack(
    "O1-34",
    "two_graphs_of_one_model",
    "ONNX' reader joins them.",
    lambda _: (
        linear(TensorProto(name="w", data_type=FLOAT, dims=[4, 4], raw_data=bytes(64)))
        + held(7, held(1, held(4, "Evil") + held(7, "com.evil")))
    ),
    refused("malformed_file"),
)


@ATTACKS("O5-10", source=TWICE, expects=harmless())
def fields_that_may_stand_twice(trap: Trap) -> bytes:
    """Nodes, inputs and attributes are lists: not an attack."""
    return saved(MULTIPLY + node("z", "AddV2", "x", "y", a=held(2, "one"), b=held(2, "two")))


def flat(operator: str) -> bytes:
    """A TensorFlow Lite model of one operator that is not its own."""
    tensor = {0: ("i", [1]), 1: ("b", 0), 2: ("I", 0), 3: "x"}
    step = {0: ("I", 0), 1: ("i", [0]), 2: ("i", [0])}
    code = {0: ("b", 32), 1: operator, 3: ("i", 32)}
    main = {0: [tensor], 1: ("i", [0]), 2: ("i", [0]), 3: [step]}
    return write({0: ("I", 3), 1: [code], 2: [main], 4: [{}]}, b"TFL3")


for at, (operator, expects) in enumerate(
    [
        ("FlexReadFile", named("tf_file_operation", "high")),
        ("FlexEagerPyFunc", named("tf_code_operation", "critical")),
        ("FlexTFRecordDatasetV2", named("tf_file_operation", "high")),
        ("FlexMatMul", harmless()),
    ],
    start=20,
):
    attack(
        f"L1-{at}",
        f"operator_{operator}",
        "TensorFlow Lite runs operations of TensorFlow itself where it is told to.",
        lambda _, operator=operator: flat(operator),
        expects,
        "https://ai.google.dev/edge/litert/models/ops_select",
    )
