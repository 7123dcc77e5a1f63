"""What TensorFlow says of checkpoints and frozen graphs, as JSON: `tensorflow_answers.py KIND PATH...`.

Run under an interpreter with TensorFlow. KIND is `checkpoint` (PATH is a prefix), `graph` or `meta` (PATH is a
file); the answer is path -> {name: [shape, type]}, of graphs for constants with more than one number.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.core.framework.variable_pb2 import VariableDef


def checkpoint(prefix: str) -> dict[str, Any]:
    """Every tensor as `tf.train.load_checkpoint` lists it."""
    reader = tf.train.load_checkpoint(prefix)
    kinds = reader.get_variable_to_dtype_map()
    return {name: [shape, kinds[name].name] for name, shape in reader.get_variable_to_shape_map().items()}


def graph(path: str) -> dict[str, Any]:
    """Every constant as TensorFlow decodes it."""
    found = tf.compat.v1.GraphDef()
    found.ParseFromString(Path(path).read_bytes())
    arrays = {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in found.node if node.op == "Const"}
    return {name: [list(array.shape), array.dtype.name] for name, array in arrays.items() if array.size > 1}


def meta(path: str) -> dict[str, Any]:
    """Every variable that the graph's collection lists, as its node declares it; it need not be one that can be run."""
    found = tf.compat.v1.MetaGraphDef()
    found.ParseFromString(Path(path).read_bytes())
    nodes = {node.name: node.attr for node in found.graph_def.node}
    listed = [VariableDef.FromString(one) for one in found.collection_def["variables"].bytes_list.value]
    names = [one.variable_name.partition(":")[0] for one in listed]
    kinds = {name: tf.dtypes.as_dtype(nodes[name]["dtype"].type).name for name in names}
    return {name: [[axis.size for axis in nodes[name]["shape"].shape.dim], kinds[name]] for name in names}


if __name__ == "__main__":
    ask = {"checkpoint": checkpoint, "graph": graph, "meta": meta}[sys.argv[1]]
    print(json.dumps({path: ask(path) for path in sys.argv[2:]}))
