"""Attacks by the paths and graphs that operations of TensorFlow are given: row V1 of the threat catalogue.

An asset's path is ordinary; the same operation reads any file of the host, or runs any graph, with what is its own.
"""

from __future__ import annotations

from typing import Any

from tests.attacks.frame import Attacks, harmless, named
from tests.attacks.tensorflow_graphs import MULTIPLY, called, constant, function, node, saved
from tests.service.parsers.protobufs import held, whole

ATTACKS = Attacks()

DATASET = node("evil", "DatasetFromGraph", "g")
TABLE = node("table", "HashTableV2")
FILLS = "InitializeTableFromTextFileV2"
READ = named("tf_file_operation", "high", "evil")
LOOKUP = "tensorflow/core/ops/lookup_ops.cc"


def text(name: str, value: str) -> bytes:
    """A node that is a constant text."""
    return node(name, "Const", value=constant(value.encode()))


def with_assets(graph: bytes, *assets: tuple[str, str]) -> bytes:
    """A SavedModel whose loader puts the paths of files in: pairs of tensor and file."""
    about = held(1, held(4, "serve") + held(5, "2.15.0"))
    defined = b"".join(held(6, held(1, held(1, tensor)) + held(2, file)) for tensor, file in assets)
    return whole(1, 1) + held(2, about + held(2, graph) + defined)


def given(number: int, name: str, idea: str, make: Any, expects: Any, source: str = LOOKUP) -> None:
    """An operation with a path or a graph, which is its own or not."""
    ATTACKS.add(f"V1-{number}", name, idea, source, lambda _trap: make(), expects)


for at, (name, path) in enumerate(
    {
        "absolute": "/etc/passwd",
        "upwards": "assets/../../secret",
        "url": "gs://bucket/words",
        "windows": "C:\\x",
    }.items()
):
    given(
        120 + at,
        f"a_table_of_a_file_of_the_host_{name}",
        "The file that fills a table is no asset but named in the graph; lookups give its lines back.",
        lambda path=path: saved(MULTIPLY + TABLE + text("path", path) + node("evil", FILLS, "table", "path")),
        READ,
    )
given(
    124,
    "a_table_in_a_function",
    "As before, in a function of the library.",
    lambda: saved(
        MULTIPLY + held(2, function("evil", text("path", "/etc/passwd"), node("fill", FILLS, "table", "path:output:0")))
    ),
    READ,
)
given(
    125,
    "a_table_whose_path_a_call_hands_on",
    "The function takes a path, as an asset's would; what calls it hands a constant on, two calls away.",
    lambda: saved(
        MULTIPLY
        + text("path", "/etc/passwd")
        + node("outer", "StatefulPartitionedCall", "path", f=called("between"))
        + held(
            2,
            function("between", node("inner", "StatefulPartitionedCall", "file", f=called("evil")))
            + function("evil", node("fill", FILLS, "table", "file")),
        )
    ),
    READ,
)
given(
    126,
    "a_table_whose_path_is_put_together",
    "No constant of the graph is a path: two are joined.",
    lambda: saved(
        MULTIPLY
        + text("a", "etc")
        + text("b", "passwd")
        + node("path", "StringJoin", "a", "b", separator=held(2, "/"))
        + node("evil", FILLS, "table", "path")
    ),
    READ,
)
given(
    127,
    "a_table_whose_path_a_variable_holds",
    "The path goes through a variable, as assets' do.",
    lambda: saved(
        MULTIPLY
        + text("path", "/etc/passwd")
        + node("kept", "VarHandleOp")
        + node("put", "AssignVariableOp", "kept", "path")
        + node("got", "ReadVariableOp", "kept")
        + node("evil", FILLS, "table", "got")
    ),
    READ,
)
given(
    128,
    "a_table_whose_path_is_written_as_memory",
    "The text stands where numbers do, behind its length.",
    lambda: saved(
        MULTIPLY
        + node("path", "Const", value=held(8, whole(1, 7) + held(2, b"") + held(4, b"\x0b/etc/passwd")))
        + node("evil", FILLS, "table", "path")
    ),
    READ,
)
given(
    129,
    "an_asset_outside_the_folder",
    "A loader puts the name of an asset behind that of the folder, whatever it is.",
    lambda: with_assets(
        MULTIPLY + TABLE + node("path", "Placeholder") + node("fill", FILLS, "table", "path"),
        ("path:0", "../../../../etc/passwd"),
    ),
    named("tf_asset_outside", "high"),
    "tensorflow/python/saved_model/loader_impl.py, get_asset_tensors",
)
given(
    130,
    "a_table_of_an_asset",
    "As TensorFlow 1 writes it, with the path of the file that was copied: not an attack.",
    lambda: with_assets(
        MULTIPLY + TABLE + text("path", "/home/me/words.txt") + node("fill", FILLS, "table", "path"),
        ("path:0", "words.txt"),
    ),
    harmless(),
)
given(
    131,
    "a_table_of_an_asset_in_a_function",
    "As TensorFlow 2 writes it, through a variable and a call: not an attack.",
    lambda: with_assets(
        MULTIPLY
        + node("path", "Placeholder")
        + node("kept", "VarHandleOp")
        + node("put", "AssignVariableOp", "kept", "path")
        + node("got", "ReadVariableOp", "kept")
        + node("load", "StatefulPartitionedCall", "got", f=called("initializer"))
        + held(2, function("initializer", node("fill", FILLS, "table", "file"))),
        ("path:0", "words.txt"),
    ),
    harmless(complete=False),
)
given(
    132,
    "a_sampler_that_reads_a_file",
    "Its setting names a file whose lines are counts.",
    lambda: saved(MULTIPLY + node("evil", "FixedUnigramCandidateSampler", "x", vocab_file=held(2, "/etc/passwd"))),
    READ,
    "tensorflow/core/ops/candidate_sampling_ops.cc",
)
given(
    133,
    "a_sampler_with_counts_of_its_own",
    "The setting is empty: not an attack.",
    lambda: saved(MULTIPLY + node("s", "FixedUnigramCandidateSampler", "x", vocab_file=held(2, ""))),
    harmless(),
    "tensorflow/core/ops/candidate_sampling_ops.cc",
)
given(
    134,
    "a_graph_that_is_decoded_when_it_runs",
    "What a dataset runs is no text of the graph but made of one, so that nobody sees its operations.",
    lambda: saved(MULTIPLY + text("b", "CgwKAXcSCVdyaXRlRmlsZQ") + node("g", "DecodeBase64", "b") + DATASET),
    named("tf_code_operation", "critical", "evil"),
    "tensorflow/core/ops/dataset_ops.cc",
)
given(
    135,
    "a_dataset_of_a_harmless_graph",
    "It is a text, and was looked into: not an attack.",
    lambda: saved(
        MULTIPLY
        + node("g", "Const", value=constant(node("p", "Placeholder") + node("i", "Identity", "p")))
        + node("i", "Identity", "g")
        + node("d", "DatasetFromGraph", "i")
    ),
    harmless(),
    "tensorflow/core/ops/dataset_ops.cc",
)
given(
    136,
    "a_node_that_calls_a_function_by_its_name",
    "TensorFlow 1 writes calls so; the name is no operation of a library: not an attack.",
    lambda: saved(
        MULTIPLY + node("c", "twice_ab12", "x") + held(2, function("twice_ab12", node("a", "Add", "x", "x")))
    ),
    harmless(),
)


def behind_many() -> bytes:
    """Graphs full of operations that only need a library, and then one that runs Python."""
    fillers = [b"".join(node(f"n{at}", f"Custom{first + at}") for at in range(60)) for first in range(0, 600, 60)]
    return whole(1, 1) + b"".join(
        held(2, held(1, held(4, f"tag{at}")) + held(2, graph))
        for at, graph in enumerate([*fillers, MULTIPLY + node("evil", "PyFunc", "x")])
    )


given(137, "a_grave_operation_behind_many_lesser_ones", "What is listed is bounded: the grave never gives way.",
      behind_many, named("tf_code_operation", "critical", "evil"))  # fmt: skip
