"""What TensorFlow says of checkpoints and frozen graphs, as JSON: `tensorflow_answers.py KIND PATH...`.

Run under an interpreter with TensorFlow. KIND is `checkpoint` (PATH is a prefix) or `graph` (PATH is a file); the
answer is path -> {name: [shape, type]}, of graphs for constants with more than one number.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf


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


if __name__ == "__main__":
    ask = {"checkpoint": checkpoint, "graph": graph}[sys.argv[1]]
    print(json.dumps({path: ask(path) for path in sys.argv[2:]}))
