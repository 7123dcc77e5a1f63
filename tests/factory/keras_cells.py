"""Writes checkpoints and frozen graphs of TensorFlow 1's recurrent cells, and what TensorFlow says is in them.

Run by `tests.corpus` under an interpreter with TensorFlow: `python keras_cells.py FOLDER`. The cells are those of
`tf.nn.rnn_cell`, run by `tf.nn.dynamic_rnn`, which TensorFlow still ships.
expected.json: "cells": path of the layer -> {"parameters", "units"}; "variables": {key: shape} by
`tf.train.load_checkpoint`; "frozen": {constant: shape} of constants with more than one number.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy as np
import tensorflow as tf
from tensorflow.python.keras.layers.legacy_rnn import rnn_cell_impl as cells
from tensorflow.python.ops import rnn

v1 = tf.compat.v1


def _cells() -> dict[str, Any]:
    """Cells by the scope that they are run in."""
    return {
        "basic": cells.BasicLSTMCell(5),
        "full": cells.LSTMCell(6, use_peepholes=True, num_proj=4),
        "projected": cells.LSTMCell(6, num_proj=2),
        "gated": cells.GRUCell(7),
        "plain": cells.BasicRNNCell(3),
        "named": cells.LSTMCell(5, name="my_cell"),
        "stack": cells.MultiRNNCell([cells.BasicLSTMCell(4), cells.BasicLSTMCell(3)]),
    }


def _run(x: Any) -> dict[str, Any]:
    """Every cell over `x`; what each says of itself, by the path of its layer."""
    found: dict[str, Any] = {}
    outputs = []
    for scope, cell in _cells().items():
        y, _ = rnn.dynamic_rnn(cell, x, dtype=tf.float32, scope=scope)
        outputs.append(tf.reduce_sum(y))
        for one in getattr(cell, "_cells", [cell]):
            count = sum(int(np.prod(weight.shape.as_list())) for weight in one.weights)
            names = [weight.name.split(":")[0] for weight in one.weights]
            path = os.path.commonpath([name.rpartition("/")[0] for name in names])
            found[path] = {"parameters": count, "units": getattr(one, "_num_units", None)}
    both, _ = rnn.bidirectional_dynamic_rnn(
        cells.GRUCell(2), cells.GRUCell(2), x, dtype=tf.float32, scope="both"
    )
    table = v1.get_variable("wide/weights", (11, 8), use_resource=False)
    ids = v1.placeholder(tf.int32, (None,), name="ids")
    mean = tf.sparse.segment_mean(table, ids, tf.zeros_like(ids))
    tf.add_n([*outputs, tf.reduce_sum(both[0]) + tf.reduce_sum(both[1]), tf.reduce_sum(mean)], name="y")
    return found


def _fused(folder: Path) -> None:
    """A frozen graph of the operations that run a whole cell: with peepholes and without, and a GRU's step."""
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, (9, 2, 8), name="x")
        state, vector, zeros = np.zeros((2, 5), np.float32), np.ones(5, np.float32), np.zeros(5, np.float32)
        kernel, bias = np.ones((13, 20), np.float32), np.ones(20, np.float32)
        for name, gate, peephole in (("seeing", vector, True), ("blind", zeros, False)):
            tf.raw_ops.BlockLSTM(
                seq_len_max=tf.constant(9, tf.int64), x=x, cs_prev=state, h_prev=state,
                w=tf.constant(kernel, name=f"{name}_kernel"), wci=gate, wcf=gate, wco=gate,
                b=tf.constant(bias, name=f"{name}_bias"), use_peephole=peephole, name=name,
            )  # fmt: skip
        tf.raw_ops.GRUBlockCell(
            x=x[0], h_prev=state, w_ru=tf.constant(np.ones((13, 10), np.float32), name="gates_kernel"),
            w_c=tf.constant(np.ones((13, 5), np.float32), name="candidate_kernel"),
            b_ru=tf.constant(np.ones(10, np.float32), name="gates_bias"),
            b_c=tf.constant(vector, name="candidate_bias"), name="step",
        )  # fmt: skip
        (folder / "fused.pb").write_bytes(graph.as_graph_def().SerializeToString())


def _constants(path: Path) -> dict[str, list[int]]:
    graph = v1.GraphDef()
    graph.ParseFromString(path.read_bytes())
    held = {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in graph.node if node.op == "Const"}
    return {name: list(values.shape) for name, values in held.items() if values.size > 1}


def main(folder: Path) -> None:
    """Write everything, and what TensorFlow says of it."""
    _fused(folder)
    with tf.Graph().as_default(), v1.Session() as session:
        v1.disable_control_flow_v2()
        found = _run(v1.placeholder(tf.float32, (None, 9, 8), name="x"))
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(folder / "graph.ckpt"))
        frozen = v1.graph_util.convert_variables_to_constants(session, session.graph_def, ["y"])
        (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
    variables = tf.train.load_checkpoint(str(folder / "graph.ckpt")).get_variable_to_shape_map()
    expected = {"cells": found, "variables": variables, "frozen": _constants(folder / "frozen.pb")}
    (folder / "expected.json").write_text(json.dumps(expected))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
