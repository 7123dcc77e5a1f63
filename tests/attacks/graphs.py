"""Attacks by graphs: rows O1 to O6 (ONNX), V1 to V3 (TensorFlow) and L1 (flatbuffers) of the threat catalogue."""

from __future__ import annotations

import random
from typing import Any

import onnx
from onnx import TensorProto, helper

from tests.attacks.frame import Attacks, Files, Trap, harmless, named, noted, refused
from tests.service.parsers.flatbuffers_writer import write
from tests.service.parsers.protobufs import entry, held, whole
from tests.service.readers.onnx_files import FLOAT, floats, graph, model

ATTACKS = Attacks()


def linear(weight: onnx.TensorProto, *others: onnx.TensorProto, **more: Any) -> bytes:
    """A model of one matrix product."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    made = model(graph([node], {"x": ["N", 4]}, ["y"], [weight, *others]), **more)
    return bytes(made.SerializeToString())


def external(location: str, offset: str | None = None, length: str | None = None) -> onnx.TensorProto:
    """A weight whose values lie in another file."""
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[4, 4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=value)
    return tensor


def outside(number: int, name: str, location: Any, source: str) -> None:
    """A weight in a file of the host."""
    ATTACKS.add(
        f"O1-{number:02}",
        name,
        "A weight is said to lie in a file outside the model's folder.",
        source,
        lambda trap: linear(external(location(trap) if callable(location) else location)),
        named("onnx_external_path", "high", "w"),
    )


outside(1, "location_climbs_out", "../../secret.txt", "CVE-2022-25882")
outside(2, "location_is_absolute", lambda trap: str(trap.secret), "CVE-2024-27318")
outside(3, "location_climbs_by_backslashes", "..\\..\\secret.txt", "CVE-2026-34446")
outside(4, "location_climbs_out_and_in", "a/../../../secret.txt", "CVE-2024-27318")
outside(5, "location_has_a_drive", "C:\\secret.txt", "CVE-2026-34447")
outside(6, "location_is_an_address", "file:///etc/passwd", "CVE-2026-27489")


@ATTACKS("O1-10", source="CVE-2026-34446", expects=harmless())
def two_files_of_one_upload(trap: Trap) -> Files:
    """What is uploaded together is read, and nothing else."""
    return {"model.onnx": linear(external("weights.bin", "0", "64")), "weights.bin": bytes(64)}


def beside(number: int, name: str, offset: str | None, length: str | None, rule: str) -> None:
    """The file is there, and its part is not what it should be."""
    ATTACKS.add(
        f"O2-{number:02}",
        name,
        "Offset and length of external data lie.",
        "CVE-2026-27489",
        lambda _trap: {"model.onnx": linear(external("w.bin", offset, length)), "w.bin": bytes(64)},
        noted(rule),
    )


beside(1, "length_of_a_terabyte", "0", "1000000000000", "data_wrong_size")
beside(2, "offset_beyond_the_end", "5000", "64", "data_past_end")
beside(3, "length_is_too_short", "0", "12", "data_wrong_size")


@ATTACKS("O2-10", source="https://huggingface.co/yibai777/onnx", expects=noted("data_wrong_size"))
def raw_data_of_another_size(trap: Trap) -> bytes:
    """The checker of the library lets it pass."""
    return linear(TensorProto(name="w", data_type=FLOAT, dims=[4, 4], raw_data=bytes(12)))


@ATTACKS("O2-11", source="CWE-190", expects=refused("limit_exceeded", "elements"))
def sizes_that_overflow(trap: Trap) -> bytes:
    """Their product is zero modulo 2^64."""
    return linear(TensorProto(name="w", data_type=FLOAT, dims=[2**62, 2**62, 2**62], raw_data=b""))


@ATTACKS("O2-12", source="CWE-20", expects=refused("malformed_file"))
def a_negative_size(trap: Trap) -> bytes:
    """A size below zero."""
    return linear(TensorProto(name="w", data_type=FLOAT, dims=[-4, 4], raw_data=bytes(64)))


def branching(depth: int) -> onnx.GraphProto:
    """`If` within `If`, two branches each, which share nothing."""
    if not depth:
        return graph([helper.make_node("Identity", ["x"], ["y"])], {}, ["y"])
    inner = branching(depth - 1)
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    return graph([node], {}, ["y"])


@ATTACKS("O3-01", source="https://huggingface.co/MediumIQ/onnx-nested-if-load-dos-poc", expects=harmless())
def branches_within_branches(trap: Trap) -> bytes:
    """Two to the power of ten graphs: shapes inferred for each path take for ever."""
    made = branching(10)
    made.input.add(name="c")
    made.input.add(name="x")
    return bytes(model(made).SerializeToString())


def nested_subgraphs(depth: int) -> bytes:
    """A graph within a node within a graph, written by hand: the library stops at a hundred."""
    body = held(1, held(4, "Relu"))
    for _ in range(depth):
        attribute = held(1, "g") + held(6, body) + whole(20, 5)
        body = held(1, held(4, "If") + held(5, attribute))
    return whole(1, 8) + held(7, body) + held(8, held(1, "") + whole(2, 21))


@ATTACKS("O3-02", source="CVE-2025-4565", expects=refused("limit_exceeded"))
def subgraphs_a_thousand_deep(trap: Trap) -> bytes:
    """Deeper than any stack."""
    return nested_subgraphs(400)


@ATTACKS("O3-03", source="CWE-674", expects=refused("malformed_file"))
def a_function_that_calls_itself(trap: Trap) -> bytes:
    """Whoever inlines it never ends."""
    body = [helper.make_node("F", ["x"], ["y"], domain="d")]
    function = helper.make_function("d", "F", ["x"], ["y"], body, [helper.make_opsetid("d", 1)])
    node = helper.make_node("F", ["x"], ["y"], domain="d")
    made = model(graph([node], {"x": [1, 4]}, ["y"]), domains=["d"], functions=[function])
    return bytes(made.SerializeToString())


@ATTACKS("O3-04", source="CWE-400", expects=harmless())
def functions_that_double(trap: Trap) -> bytes:
    """Each of forty functions calls the next one twice: 2^40 nodes when inlined."""
    functions = []
    for number in range(40):
        called = f"F{number + 1}" if number < 39 else "Relu"
        domain = "d" if number < 39 else ""
        body = [
            helper.make_node(called, ["x"], ["m"], domain=domain),
            helper.make_node(called, ["m"], ["y"], domain=domain),
        ]
        imports = [helper.make_opsetid("d", 1), helper.make_opsetid("", 21)]
        functions.append(helper.make_function("d", f"F{number}", ["x"], ["y"], body, imports))
    node = helper.make_node("F0", ["x"], ["y"], domain="d")
    made = model(graph([node], {"x": [1, 4]}, ["y"]), domains=["d"], functions=functions)
    return bytes(made.SerializeToString())


@ATTACKS("O4-01", source="CWE-789", expects=refused("limit_exceeded"))
def a_million_sizes(trap: Trap) -> bytes:
    """One tensor of a million dimensions."""
    return linear(TensorProto(name="w", data_type=FLOAT, dims=[1] * 900_000, raw_data=bytes(4)))


@ATTACKS("O4-02", source="CWE-789", expects=refused("limit_exceeded", "layers"))
def forty_thousand_nodes(trap: Trap) -> bytes:
    """As many as fit into a megabyte, in a chain: more than a file of this size may describe, and refused at once."""
    return _chain(38_000)


@ATTACKS("O4-03", source="CWE-407", expects=refused("limit_exceeded", "layers"))
def one_tensor_read_by_thousands(trap: Trap) -> bytes:
    """Each use of a weight is a tie to the first; so many uses are refused."""
    return _shared(20_000)


@ATTACKS("O4-04", source="CWE-789", expects=harmless())
def as_many_nodes_as_are_allowed(trap: Trap) -> bytes:
    """The densest chain that is still read: answered as any other."""
    return _chain(14_500)


@ATTACKS("O4-05", source="CWE-407", expects=harmless())
def as_many_uses_as_are_allowed(trap: Trap) -> bytes:
    """The most ties of one weight that are still read."""
    return _shared(14_500)


def _chain(length: int) -> bytes:
    nodes = b"".join(held(1, held(1, f"{at}") + held(2, f"{at + 1}") + held(4, "Relu")) for at in range(length))
    ends = held(11, held(1, "0")) + held(12, held(1, f"{length}"))
    return whole(1, 8) + held(7, nodes + ends) + held(8, whole(2, 21))


def _shared(uses: int) -> bytes:
    read = b"".join(held(1, held(1, "x") + held(1, "w") + held(2, f"{at}") + held(4, "MatMul")) for at in range(uses))
    weight = held(5, whole(1, 2) + whole(1, 2) + whole(2, 1) + held(8, "w") + held(9, bytes(16)))
    return whole(1, 8) + held(7, read + weight + held(11, held(1, "x"))) + held(8, whole(2, 21))


@ATTACKS("O5-01", source="CVE-2024-7254", expects=refused("unknown_format"))
def groups_within_groups(trap: Trap) -> bytes:
    """Group tags, a hundred thousand deep."""
    return whole(1, 8) + held(7, b"\x0b" * 100_000 + b"\x0c" * 100_000) + held(8, whole(2, 21))


@ATTACKS("O5-02", source="CWE-1284", expects=refused("unknown_format"))
def a_number_without_end(trap: Trap) -> bytes:
    """A varint of a thousand bytes."""
    return whole(1, 8) + held(7, b"\x08" + b"\xff" * 1000 + b"\x01") + held(8, whole(2, 21))


@ATTACKS("O5-03", source="CWE-126", expects=harmless(complete=False))
def a_length_beyond_the_file(trap: Trap) -> bytes:
    """A field of 2^40 bytes."""
    return whole(1, 8) + held(8, whole(2, 21)) + b"\x3a\x80\x80\x80\x80\x80\x80\x01"


@ATTACKS("O6-01", source="CVE-2026-28500", expects=named("onnx_custom_operator", "low", "Evil"))
def an_operator_of_somebody_elses(trap: Trap) -> bytes:
    """Its code is a library that the runtime loads."""
    node = helper.make_node("Evil", ["x", "w"], ["y"], domain="com.evil")
    made = model(graph([node], {"x": [1, 4]}, ["y"], [floats("w", 4, 4)]), domains=["com.evil"])
    return bytes(made.SerializeToString())


@ATTACKS(
    "O6-02",
    source="https://github.com/microsoft/onnxruntime-extensions",
    expects=named("onnx_python_operator", "high", "PyOp"),
)
def an_operator_that_is_python(trap: Trap) -> bytes:
    """The node holds the name of a Python function."""
    node = helper.make_node("PyOp", ["x", "w"], ["y"], domain="ai.onnx.contrib")
    made = model(graph([node], {"x": [1, 4]}, ["y"], [floats("w", 4, 4)]), domains=["ai.onnx.contrib"])
    return bytes(made.SerializeToString())


# TensorFlow


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


@ATTACKS("V2-01", source="CVE-2022-23594", expects=harmless())
def a_graph_with_changed_types(trap: Trap) -> bytes:
    """Attributes that contradict themselves crashed the loader."""
    odd = held(3, b"\xff" * 10) + whole(6, 2**64 - 1)
    return saved(MULTIPLY + node("w", "Const", value=held(8, whole(1, 255) + held(2, b"")), dtype=odd))


@ATTACKS("L1-01", source="CVE-2020-15211", expects=refused("malformed_file"))
def a_tensor_of_minus_two(trap: Trap) -> bytes:
    """An operator reads a tensor before the first."""
    operator = {0: ("I", 0), 1: ("i", [-2]), 2: ("i", [0])}
    tensor = {0: ("i", [1]), 1: ("b", 0), 2: ("I", 0), 3: "x"}
    return write(
        {0: ("I", 3), 1: [{0: ("b", 0)}], 2: [{0: [tensor], 1: ("i", [0]), 2: ("i", [0]), 3: [operator]}], 4: [{}]},
        b"TFL3",
    )


def flat(number: int, seed: int, code: str) -> None:
    """A model whose offsets were changed at random."""

    def make(_trap: Trap) -> bytes:
        tensor = {0: ("i", [4, 4]), 1: ("b", 0), 2: ("I", 0), 3: "x"}
        data = bytearray(write({0: ("I", 3), 1: [{0: ("b", 0)}], 2: [{0: [tensor], 3: []}], 4: [{}]}, b"TFL3"))
        draw = random.Random(seed)  # noqa: S311 - the same attack in every run
        for _ in range(12):
            data[draw.randrange(8, len(data))] = draw.randrange(256)
        return bytes(data)

    ATTACKS.add(
        f"L1-{number:02}",
        f"offsets_changed_{seed}",
        "Offsets lead in circles, backwards and out of the file.",
        "CVE-2022-23558",
        make,
        refused(code),
    )


flat(10, 1, "truncated_file")
flat(11, 2, "malformed_file")
flat(12, 3, "malformed_file")
