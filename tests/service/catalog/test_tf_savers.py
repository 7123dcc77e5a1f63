"""Operations that save and restore: a saver's own are passed over, the same ones anywhere else are told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from service.catalog.tf_savers import suspects
from service.parsers.protobuf import fields
from service.parsers.tensorflow_graph import Endpoint, MetaGraph, Saver, Signature
from service.parsers.tensorflow_nodes import read_graph
from service.parsers.tensorflow_operations import operations
from tests.attacks.tensorflow_graphs import called, constant, function, node
from tests.service.parsers.protobufs import all_of, held, source_of

OWN = Saver("path:0", "save:0", "load")
FIRST = Saver("save/Const:0", "save/SaveV2:0", "save/RestoreV2")
WRITE = node("s", "SaveV2", "f:filename:0")
NAME = node("f", "ShardedFilename", "prefix")
SAVING = function("saving", NAME, WRITE)
LOADING = function("loading", node("r", "RestoreV2", "prefix"))
CALLS = (
    node("path", "Placeholder")
    + node("save", "StatefulPartitionedCall", "path", f=called("saving"))
    + node("load", "StatefulPartitionedCall", "path", f=called("loading"))
)


def path(text: str, name: str = "save/Const") -> bytes:
    """A constant text."""
    return node(name, "Const", value=constant(text.encode()))


def told(graph: bytes, *functions: bytes, saver: Saver | None = OWN, answers: Sequence[str] = ("y:0",)) -> set[str]:
    """`place operation` of what is suspected in a graph with a signature."""
    source = source_of(graph + (held(2, b"".join(functions)) if functions else b""))
    outputs = tuple(Endpoint("out", name, None, None) for name in answers)
    said = MetaGraph(signatures=[Signature("serving_default", (), outputs, "")], saver=saver)
    listed = read_graph(source, fields(source))
    return {f"{place} {op}" for place, op in suspects(source, listed, said, list(operations(source, listed)))}


def of_tf1(*nodes: bytes) -> bytes:
    """A saver of TensorFlow 1 behind other nodes."""
    ends = node("save/SaveV2", "SaveV2", "save/Const") + node("save/RestoreV2", "RestoreV2", "save/Const")
    return b"".join(nodes) + ends


def test_a_graph_without_such_operations_is_not_looked_at() -> None:
    """Nothing is told, with and without a saver."""
    assert told(node("x", "Placeholder")) == told(node("x", "Placeholder"), saver=None) == set()


def test_a_savers_functions_are_its_own() -> None:
    """Both of them, with the path that they are given; a path that is joined to it may be a constant below it."""
    joined = function(
        "saving", path("/part", "c"), path("_temp/part", "d"), node("j", "StringJoin", "prefix", "c:output:0"),
        node("k", "StringJoin", "j:output:0", "d:output:0"), node("s", "SaveV2", "k:output:0"),
    )  # fmt: skip
    assert told(CALLS, SAVING, LOADING) == set()
    assert told(CALLS, joined, LOADING) == set()


def test_without_a_saver_they_are_anybodys() -> None:
    """Each operation is told by the function it stands in."""
    found = {"saving SaveV2", "saving ShardedFilename", "loading RestoreV2"}
    assert told(CALLS, SAVING, LOADING, saver=None) == found


def test_a_function_that_the_saver_does_not_call() -> None:
    """It is told; the saver's are not."""
    assert told(CALLS, SAVING, LOADING, function("other", node("s", "SaveV2", "a"))) == {"other SaveV2"}


def test_a_function_that_others_call_too() -> None:
    """From a node of the graph, or from another function; a constant that only holds the name is no call."""
    both = {"saving SaveV2", "saving ShardedFilename"}
    assert told(CALLS + node("z", "PartitionedCall", f=called("saving")), SAVING, LOADING) == both
    caller = function("answer", node("c", "PartitionedCall", "x", f=called("saving")))
    assert told(CALLS, SAVING, LOADING, caller) == both
    long = held(1, "saving") * 1000
    constants = function("answer", node("c", "Const", value=constant(long)))
    assert told(CALLS, SAVING, LOADING, constants) == set()


def test_a_saver_that_a_signature_needs() -> None:
    """Whoever asks for an answer would save: all of its functions are told."""
    assert told(CALLS, SAVING, LOADING, answers=("save:0",)) == {
        "saving SaveV2", "saving ShardedFilename", "loading RestoreV2",
    }  # fmt: skip


def test_restoring_does_not_write() -> None:
    """Not even with the path that it is given."""
    loading = function("loading", node("r", "RestoreV2", "prefix"), node("w", "SaveV2", "prefix"))
    assert told(CALLS, SAVING, loading) == {"loading SaveV2"}


OUTSIDE = ["/etc/cron.d/job", "~/.ssh/authorized_keys", "../up", "a/../../up", "C:\\x", "c:/x", "gs://bucket/x"]


@pytest.mark.parametrize("where", OUTSIDE)
def test_paths_of_the_files_own_lead_elsewhere(where: str) -> None:
    """Alone, or joined to the one that is given, in a function and in a saver of TensorFlow 1."""
    constant_in = path(where, "c")
    alone = function("saving", constant_in, node("s", "SaveV2", "c:output:0"))
    join = node("j", "StringJoin", "prefix", "c:output:0")
    joined = function("saving", constant_in, join, node("s", "SaveV2", "j:o:0"))
    assert told(CALLS, alone, LOADING) == {"saving SaveV2"}
    assert told(CALLS, joined, LOADING) == {"saving SaveV2"}
    assert told(of_tf1(path(where)), saver=FIRST) == {"save/SaveV2 SaveV2"}


@pytest.mark.parametrize("name", ["save/Const", "save_1/Const", "save/filename", "Const"])
def test_the_path_of_tf1_is_replaced(name: str) -> None:
    """A constant that is called as its savers call it is a default; any other is where the graph writes."""
    nodes = path("model", name) + node("save/SaveV2", "SaveV2", name)
    assert told(nodes, saver=FIRST) == set()
    assert told(path("model", "mine") + node("save/SaveV2", "SaveV2", "mine"), saver=FIRST) == {"save/SaveV2 SaveV2"}


def test_merging_reads_its_second_input_as_a_path_too() -> None:
    """Both must come from what the saver is given; of the other operations only the first is a path."""
    merge = node("merge", "MergeV2Checkpoints", "save/Const", "mine")
    assert told(path("model") + path("x", "mine") + merge, saver=FIRST) == set()
    assert told(path("model") + path("/x", "mine") + merge, saver=FIRST) == {"merge MergeV2Checkpoints"}
    assert told(path("model") + path("/x", "mine") + node("s", "SaveV2", "save/Const", "mine"), saver=FIRST) == set()


def test_an_answer_that_waits_for_a_saver() -> None:
    """By a control input, and for reading as well."""
    graph = of_tf1(path("model"), node("x", "Placeholder"), node("y", "Relu", "x", "^save/SaveV2", "^save/RestoreV2"))
    assert told(graph, saver=FIRST) == {"save/SaveV2 SaveV2", "save/RestoreV2 RestoreV2"}
    assert told(graph, saver=FIRST, answers=("x:0",)) == set()


def test_what_runs_at_loading_is_served_too() -> None:
    """The collections that name it are followed as signatures are."""
    graph = of_tf1(path("model"), node("init", "NoOp", "^save/SaveV2"))
    names = held(1, held(1, "init"))
    source = source_of(graph + names)
    listed = read_graph(source, fields(source_of(graph)))
    place = all_of(names)._replace(offset=len(graph))
    said = MetaGraph(saver=FIRST, collections={"saved_model_main_op": place})
    found = list(suspects(source, listed, said, list(operations(source, listed))))
    assert found == [("save/SaveV2", "SaveV2")]


def test_a_graph_in_a_text_has_no_saver() -> None:
    """Its operations are told by the node that holds the text."""
    inner = node("save/Const", "Placeholder") + node("w", "SaveV2", "save/Const")
    assert told(node("held", "Const", value=constant(inner))) == {"held SaveV2"}


def test_a_way_back_to_the_path_ends() -> None:
    """Nodes in a circle, and more of them than are followed, are not taken for a path that was given."""
    circle = node("a", "Identity", "b") + node("b", "Identity", "a") + node("w", "SaveV2", "a")
    assert told(circle, saver=FIRST) == {"w SaveV2"}
    far = b"".join(node(f"n{at}", "StringJoin", f"n{at + 1}", f"n{at + 1}") for at in range(1200))
    assert told(far + node("n1200", "Placeholder") + node("w", "SaveV2", "n0"), saver=FIRST) == {"w SaveV2"}
