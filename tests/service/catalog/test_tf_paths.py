"""Where paths and graphs of operations come from: assets and callers are passed over, the graph's own are told."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from service.catalog.tf_dangers import dangers_of_graph
from service.catalog.tf_paths import assets
from service.config import Limits
from service.parsers.protobuf import Blocks, fields, message
from service.parsers.tensorflow_graph import saved_model
from service.parsers.tensorflow_nodes import read_graph
from service.source import BytesSource, Meter
from tests.attacks.tensorflow_graphs import MULTIPLY, called, constant, function, node, saved
from tests.attacks.tensorflow_paths import FILLS, text, with_assets
from tests.corpus import interpreter
from tests.service.parsers.protobufs import entry, held, source_of, whole

WRITE = """
import pathlib
import sys
import tensorflow as tf
old = tf.compat.v1
folder = pathlib.Path(sys.argv[1])
words = folder / "words.txt"
words.write_text("a\\nb\\n")
def table():
    lines, at = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    return tf.lookup.StaticVocabularyTable(tf.lookup.TextFileInitializer(str(words), tf.string, lines, tf.int64, at), 1)
class Lookup(tf.Module):
    def __init__(self):
        self.table = table()
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, x):
        return self.table.lookup(x)
tf.saved_model.save(Lookup(), str(folder / "module"))
tf.saved_model.save(tf.saved_model.load(str(folder / "module")), str(folder / "again"))
with old.Graph().as_default(), old.Session() as session:
    x = old.placeholder(tf.string, [None])
    y = table().lookup(x)
    kept = old.get_variable("w", [1])
    session.run([old.global_variables_initializer(), old.tables_initializer()])
    old.train.export_meta_graph(str(folder / "graph.meta"))
    fill = old.tables_initializer()
    old.saved_model.simple_save(session, str(folder / "first"), {"x": x}, {"y": y}, legacy_init_op=fill)
"""
"""Models with a table of words from a file, as TensorFlow 2 and 1 write them, and one loaded and written again."""

FILE = [("tf_file_operation", "high")]


def told(graph: bytes) -> list[tuple[str, str]]:
    """Code and severity of each danger of a graph alone."""
    source = source_of(graph)
    found = dangers_of_graph(source, read_graph(source, fields(source)), None, None)
    return [(one.code, one.severity) for one in found]


def of_model(data: bytes) -> list[tuple[str, str]]:
    """The same of a SavedModel of one graph."""
    source = Blocks(BytesSource(data, Meter(Limits())))
    (said,) = saved_model(source)[1]
    assert said.graph is not None
    found = dangers_of_graph(source, read_graph(source, message(source, said.graph)), said, None)
    return [(one.code, one.severity) for one in found]


def filled(*nodes: bytes, path: str = "path") -> bytes:
    """A graph that fills a table from a file."""
    return b"".join(nodes) + node("table", "HashTableV2") + node("fill", FILLS, "table", path)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the models."""
    folder = tmp_path_factory.mktemp("tables")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [interpreter("keras"), "-c", WRITE, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.mark.parametrize("model", ["module", "again", "first"])
def test_tables_of_assets_as_tensorflow_writes_them(written: Path, model: str) -> None:
    """Nothing is told, though that of TensorFlow 1 still holds the path at which the file lay."""
    data = (written / model / "saved_model.pb").read_bytes()
    assert FILLS.encode() in data
    assert (str(written).encode() in data) or model != "first"
    assert of_model(data) == []


def test_a_graph_alone_has_no_assets(written: Path) -> None:
    """Who loads it reads the file at the path that it holds."""
    source = Blocks(BytesSource((written / "graph.meta").read_bytes(), Meter(Limits())))
    meta = next(part for part in fields(source) if part.number == 2)
    found = dangers_of_graph(source, read_graph(source, message(source, meta)), None, None)
    assert [(one.code, one.severity) for one in found] == FILE


@pytest.mark.parametrize(("path", "expected"), [
    ("/etc/passwd", FILE), ("~/x", FILE), ("a/../../b", FILE), ("..", FILE), ("https://x/y", FILE), ("hdfs://x", FILE),
    ("C:\\x", FILE), ("\\\\host\\share", FILE), ("/" + "x" * 5000, FILE),
    ("words.txt", []), ("assets/words.txt", []), ("", []), ("a..b", []),
])  # fmt: skip
def test_constant_paths(path: str, expected: list[tuple[str, str]]) -> None:
    """One within the folder is harmless."""
    assert told(filled(text("path", path))) == expected


@pytest.mark.parametrize(("between", "expected"), [
    (node("path", "Identity", "own"), FILE), (node("path", "PlaceholderWithDefault", "own"), FILE),
    (node("path", "Merge", "x", "own"), FILE), (node("path", "Identity", "x", "^own"), []),
    (node("path", "StringJoin", "x", "y"), FILE), (node("path", "ReadFile", "x"), [*FILE, *FILE]),
    (node("path", "IteratorGetNext", "x"), FILE), (node("path", "Placeholder"), []), (node("path", "VarHandleOp"), []),
    (node("path", "VariableV2") + node("put", "Assign", "path", "own"), FILE),
    (node("path", "VariableV2") + node("put", "Assign", "path", "x"), []),
])  # fmt: skip
def test_what_stands_between(between: bytes, expected: list[tuple[str, str]]) -> None:
    """A path is followed to where it comes from; one that is computed is the graph's own."""
    assert told(filled(node("x", "Placeholder"), text("own", "/etc/passwd"), between)) == expected


def test_outputs_of_several() -> None:
    """Each output of `IdentityN` is its own input."""
    both = node("both", "IdentityN", "x", "own")
    nodes = [node("x", "Placeholder"), text("own", "/etc/passwd"), both]
    assert told(filled(*nodes, path="both:1")) == FILE
    assert told(filled(*nodes, path="both")) == told(filled(*nodes, path="both:9")) == []


def test_a_chain_without_an_end_is_its_own() -> None:
    """A thousand steps are none of an asset's; a circle ends."""
    chain = b"".join(node(f"n{at}", "Identity", f"n{at + 1}") for at in range(1000)) + node("n1000", "Placeholder")
    assert told(filled(chain, path="n0")) == FILE
    assert told(filled(node("a", "Identity", "b") + node("b", "Identity", "a"), path="a")) == []


def test_a_path_that_is_handed_to_a_function() -> None:
    """By any way of calling it: an attribute, a branch, its name as the operation; a long node and a short one."""
    fills = function("fills", node("fill", FILLS, "table", "file"))
    own = text("own", "/etc/passwd") + node("x", "Placeholder")
    more = {f"m{at}": held(2, "x" * 200) for at in range(30)}
    for call in (
        node("c", "StatefulPartitionedCall", "own", f=called("fills")),
        node("c", "Case", "x", "own", branches=held(1, held(9, held(1, "fills")))),
        node("c", "fills", "own"),
        node("c", "StatefulPartitionedCall", "own", f=called("fills"), **more),
    ):
        assert told(own + call + held(2, fills)) == FILE
        within = function("outer", text("own", "/etc/passwd"), call)
        assert told(held(2, fills + within)) == FILE
    assert told(own + node("c", "StatefulPartitionedCall", "x", f=called("fills")) + held(2, fills)) == []
    assert told(own + node("c", "StatefulPartitionedCall", "own", f=called("other")) + held(2, fills)) == []


def test_only_the_function_that_is_handed_it() -> None:
    """Two functions fill tables, one of them from an asset."""
    good, bad = (function(name, node("fill", FILLS, "table", "file")) for name in ("good", "bad"))
    calls = text("own", "/etc/passwd") + node("x", "Placeholder") + node("a", "PartitionedCall", "x", f=called("good"))
    source = source_of(calls + node("b", "PartitionedCall", "own", f=called("bad")) + held(2, good + bad))
    found = dangers_of_graph(source, read_graph(source, fields(source)), None, None)
    assert [(one.path, one.detail) for one in found] == [("bad", f"{FILLS} × 1")]


@pytest.mark.parametrize(("graph", "expected"), [
    (node("g", "Const", value=constant(node("p", "Placeholder") + node("q", "Relu", "p"))), []),
    (text("g", "no graph at all"), [("tf_code_operation", "critical")]),
    (node("g", "Placeholder"), [("tf_code_operation", "critical")]),
    (node("g", "DecodeBase64", "x"), [("tf_code_operation", "critical")]),
])  # fmt: skip
def test_graphs_of_datasets(graph: bytes, expected: list[tuple[str, str]]) -> None:
    """Only one that is a text of the outer graph was looked into."""
    assert told(graph + node("d", "DatasetFromGraph", "g")) == expected


def test_assets_are_those_of_the_field_or_of_the_collection() -> None:
    """TensorFlow 1 writes a collection as well, which counts where there is no field."""
    graph = MULTIPLY + filled(text("path", "/home/me/words.txt"))
    asset = held(1, held(1, "path:0")) + held(2, "words.txt")
    listed = held(4, entry("saved_model_assets", held(5, held(1, held(1, "type") + held(2, asset)))))
    about = held(1, held(4, "serve") + held(5, "1.15.0"))
    by_collection = whole(1, 1) + held(2, about + held(2, graph) + listed)
    both = whole(1, 1) + held(2, about + held(2, graph) + listed + held(6, held(1, held(1, "other:0")) + held(2, "a")))
    assert of_model(with_assets(graph, ("path:0", "words.txt"))) == of_model(by_collection) == []
    assert of_model(both) == of_model(saved(graph)) == FILE


@pytest.mark.parametrize(("file", "expected"), [
    ("words.txt", False), ("sub/words.txt", False), ("../words.txt", True), ("/etc/passwd", True), ("gs://a/b", True),
])  # fmt: skip
def test_an_asset_that_is_no_file_of_the_model(file: str, expected: bool) -> None:
    """It is told with its name, once for each file."""
    data = with_assets(MULTIPLY, ("a:0", file), ("b:0", file))
    source = Blocks(BytesSource(data, Meter(Limits())))
    (said,) = saved_model(source)[1]
    assert [(one.node, one.leads_outside) for one in assets(source, said)] == [("a", expected), ("b", expected)]
    assert of_model(data) == ([("tf_asset_outside", "high")] if expected else [])
