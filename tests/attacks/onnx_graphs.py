"""Attacks by graphs of ONNX: rows O1 to O6 of the threat catalogue."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper

from tests.attacks.frame import Attacks, Files, Trap, harmless, named, noted, refused
from tests.service.parsers.protobufs import held, whole
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


@ATTACKS(
    "O2-13", source="https://github.com/onnx/onnx/blob/main/onnx/checker.cc", expects=noted("duplicate_initializer")
)
def a_weight_given_twice(trap: Trap) -> bytes:
    """Two tensors of one name and different sizes: who counts both, or takes the first, sees another model."""
    return linear(floats("w", 4, 4), floats("w", 4, 5))


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


def of_runtime(
    number: int, op: str, given: dict[str, Any], idea: str, expects: Any, domain: str = "com.microsoft"
) -> None:
    """One operator of ONNX Runtime or its extensions."""

    def make(trap: Trap) -> bytes:
        filled = {key: value(trap) if callable(value) else value for key, value in given.items()}
        node = helper.make_node(op, ["x", "w"], ["y"], domain=domain, **filled)
        made = model(graph([node], {"x": [1, 4]}, ["y"], [floats("w", 4, 4)]), domains=[domain])
        return bytes(made.SerializeToString())

    source = "https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md"
    ATTACKS.add(f"O6-{number:02}", f"runtime_{op}_{number}".lower(), idea, source, make, expects)


of_runtime(
    3,
    "PythonOp",
    {"func_name": "os.system"},
    "ONNX Runtime's own operator calls the Python function that the node names.",
    named("onnx_python_operator", "critical", "PythonOp"),
)
of_runtime(
    4,
    "PyOp",
    {"module": "subprocess", "class_name": "Popen"},
    "The node names a module to import and a class of it to call.",
    named("onnx_python_operator", "critical", "PyOp"),
)
of_runtime(
    5,
    "TritonOp",
    {"func_name": "triton_x", "onnx_string": b"x"},
    "The graph in the node becomes Python, which is compiled and run.",
    named("onnx_python_operator", "high", "TritonOp"),
)
of_runtime(
    6,
    "EPContext",
    {"embed_mode": 0, "ep_cache_context": lambda trap: str(trap.secret)},
    "The program of the node is a file of the host.",
    named("onnx_file_operator", "high", "EPContext"),
)
of_runtime(
    7,
    "EPContext",
    {"embed_mode": 1, "ep_cache_context": b"\x7fELF"},
    "The node holds a program for a device, which nobody has looked into.",
    named("onnx_compiled_operator", "medium", "EPContext"),
)
of_runtime(
    8,
    "AzureTextToText",
    {"model_uri": lambda trap: trap.url},
    "What the model is given is sent to an address.",
    named("onnx_network_operator", "high", "Azure"),
    "com.microsoft.extensions",
)
of_runtime(10, "FusedMatMul", {}, "An operator of ONNX Runtime that computes.", harmless())
of_runtime(
    11,
    "EPContext",
    {"embed_mode": 0, "ep_cache_context": "model_ctx.bin"},
    "The program lies beside the model, as the runtime writes it.",
    harmless(complete=False),
)
