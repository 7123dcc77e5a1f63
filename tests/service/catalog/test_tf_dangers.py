"""What operations could do, wherever in a graph they stand, and by whichever of their names."""

from __future__ import annotations

import pytest

from service.catalog.tf_dangers import dangers_of_graph
from service.catalog.tf_ops import touches
from service.parsers.protobuf import fields
from service.parsers.tensorflow_nodes import read_graph
from tests.attacks.tensorflow_graphs import constant, function, node
from tests.service.parsers.protobufs import held, source_of


def told(graph: bytes) -> list[tuple[str, str, str | None]]:
    """Code, severity and place of each danger of a graph without a saver."""
    source = source_of(graph)
    found = dangers_of_graph(source, read_graph(source, fields(source)), None, "m")
    return [(one.code, one.severity, one.path) for one in found]


@pytest.mark.parametrize(("op", "expected"), [
    ("ReadFile", True), ("TFRecordDatasetV2", True), ("ExperimentalLMDBDataset", True), ("LMDBDataset", True),
    ("CSVDatasetV3", True), ("DataServiceDatasetV4", True), ("EagerPyFunc", True), ("SaveV2", True),
    ("MatMul", False), ("DebugNumericSummaryV2", False), ("ReadVariableOp", False), ("Experimental", False),
])  # fmt: skip
def test_versions_of_an_operation_do_the_same(op: str, expected: bool) -> None:
    """Numbers behind it and `Experimental` before it are left away."""
    assert touches(op) is expected


@pytest.mark.parametrize(("op", "setting", "value", "expected"), [
    ("PrintV2", "output_stream", "stderr", False), ("PrintV2", "output_stream", "log(info)", False),
    ("PrintV2", "output_stream", "file:///tmp/x", True), ("DecodeProtoV2", "descriptor_source", "local://", False),
    ("DecodeProtoV2", "descriptor_source", "bytes://abc", False), ("DecodeProtoV2", "descriptor_source", "", False),
    ("DecodeProtoV2", "descriptor_source", "/etc/passwd", True), ("EncodeProto", "descriptor_source", "gs://b/x", True),
])  # fmt: skip
def test_settings_that_are_files(op: str, setting: str, value: str, expected: bool) -> None:
    """In the graph, in a function and with a setting of thousands of characters."""
    for text in (value, value + "x" * 5000 if value else value):
        one = node("evil", op, "x", other=held(2, "file:"), **{setting: held(2, text)})
        found = [("tf_file_operation", "high", "evil")] if expected else []
        assert told(one) == found
        assert told(held(2, function("evil", one))) == found


def test_the_last_of_two_names_counts() -> None:
    """In a function's node, and where a function's name stands behind its nodes."""
    both = held(3, held(1, "n") + held(2, "Identity") + held(2, "ReadFile"))
    expected = [("tf_file_operation", "high", "evil")]
    assert told(held(2, held(1, held(1, held(1, "evil")) + both))) == expected
    assert told(held(2, held(1, both + held(1, held(1, "evil"))))) == expected


def test_an_operation_is_counted_with_its_first_place() -> None:
    """Graph, functions and texts together; the member is told."""
    inner = node("r", "ReadFile") + node("i", "Identity", "r")
    library = held(2, function("f", node("b", "ReadFile")))
    source = source_of(node("a", "ReadFile") + node("t", "Const", value=constant(inner)) + library)
    (one,) = dangers_of_graph(source, read_graph(source, fields(source)), None, "m")
    assert (one.path, one.detail, one.member) == ("a", "ReadFile × 3", "m")


def test_operations_of_other_libraries() -> None:
    """Each name once, with how often; functions of the graph and what its texts hold are told apart."""
    inner = node("r", "InText") + node("i", "Identity", "r")
    library = held(2, function("Mine", node("b", "Addons>Gelu")))
    graph = node("a", "Addons>Gelu", "x") + node("c", "Mine", "x") + node("t", "Const", value=constant(inner)) + library
    source = source_of(graph)
    found = dangers_of_graph(source, read_graph(source, fields(source)), None, "m")
    assert [(one.code, one.severity, one.path, one.detail) for one in found] == [
        ("tf_custom_operation", "low", "a", "Addons>Gelu"), ("tf_custom_operation", "low", "t", "InText"),
    ]  # fmt: skip
    assert ("count", 2) in found[0].what.args


def test_many_operations_of_other_libraries_are_counted() -> None:
    """Fifty are listed behind what is worse; the rest is a number."""
    source = source_of(b"".join(node(f"n{at}", f"Other{at}") for at in range(60)) + node("w", "WriteFile"))
    found = dangers_of_graph(source, read_graph(source, fields(source)), None, "m")
    assert [one.severity for one in found] == ["high"] + ["low"] * 51
    assert found[-1].what.args == (("rest", 10),)
