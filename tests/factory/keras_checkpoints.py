"""Writes checkpoints of every age and frozen graphs with TensorFlow, and what TensorFlow says is in them.

Run by `tests.corpus` under an interpreter with TensorFlow, Keras 3 and tf_keras: `python keras_checkpoints.py FOLDER`.
expected.json: "checkpoints": name -> {"prefix", "variables": {key: {"shape", "dtype"}}} by `tf.train.load_checkpoint`;
"graphs": file -> {constant: {"shape", "dtype"}} of constants with more than one number.
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
import tf_keras

v1 = tf.compat.v1


def _tf1_network() -> Any:
    """A small network of TF 1 with a partitioned variable, batch normalization, an embedding and a depthwise layer."""
    x = v1.placeholder(tf.float32, (None, 8, 8, 3), name="x")

    def weights(name: str, shape: tuple[int, ...]) -> Any:
        return v1.get_variable(name, shape, use_resource=False)

    with v1.variable_scope("conv"):
        y = tf.nn.conv2d(x, weights("weights", (3, 3, 3, 4)), 1, "SAME")
        y = tf.nn.bias_add(y, weights("biases", (4,)))
    with v1.variable_scope("bn"):
        parts = [weights(name, (4,)) for name in ("gamma", "beta")]
        means = [
            v1.get_variable(n, (4,), trainable=False, use_resource=False) for n in ("moving_mean", "moving_variance")
        ]
        y, _, _ = v1.nn.fused_batch_norm(y, *parts, *means, is_training=False)
    with v1.variable_scope("deep"):
        y = tf.nn.depthwise_conv2d(tf.nn.relu(y), weights("depthwise_weights", (3, 3, 4, 2)), [1, 1, 1, 1], "VALID")
    y = tf.reshape(y, (-1, 6 * 6 * 8))
    big = v1.get_variable("big/kernel", (288, 70), partitioner=v1.fixed_size_partitioner(3, axis=0), use_resource=False)
    y = tf.matmul(y, tf.convert_to_tensor(big))
    ids = v1.placeholder(tf.int32, (None,), name="ids")
    with tf.device("/cpu:1"):  # so that a sharded checkpoint has two data files
        table = weights("words/embedding_weights", (9, 70))
    y = y + tf.gather(table, ids)
    with v1.variable_scope("out"):
        kernel, bias = weights("w1", (5, 70)), weights("b1", (5,))
        return tf.nn.bias_add(tf.matmul(y, kernel, transpose_b=True), bias, name="y")


def tf1(folder: Path) -> None:
    """V2 with `.meta`, Adam and averages; V1; the empty prefix; several data files; a frozen graph."""
    two = v1.ConfigProto(device_count={"CPU": 2})
    with tf.Graph().as_default(), v1.Session(config=two) as session:
        v1.set_random_seed(3)
        y = _tf1_network()
        step = v1.train.get_or_create_global_step()
        loss = tf.reduce_sum(y)
        train = v1.train.AdamOptimizer().minimize(loss, global_step=step)
        average = tf.train.ExponentialMovingAverage(0.9)
        with tf.control_dependencies([train]):
            average.apply([one for one in v1.trainable_variables() if not one.name.startswith("big")])
        momentum = v1.train.MomentumOptimizer(0.1, 0.9).minimize(tf.reduce_sum(v1.trainable_variables()[0]))
        del momentum
        session.run(v1.variables_initializer(v1.trainable_variables()))  # averages begin with what these are
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(folder / "v2" / "model.ckpt"), global_step=7)
        v1.train.Saver(sharded=True).save(session, str(folder / "sharded" / "model"))
        v1.train.Saver(write_version=v1.train.SaverDef.V1).save(session, str(folder / "v1" / "old.ckpt"))
        v1.train.Saver().save(session, str(folder / "empty") + "/")
        frozen = v1.graph_util.convert_variables_to_constants(session, session.graph_def, ["out/y"])
        (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
        (folder / "training.pb").write_bytes(session.graph_def.SerializeToString())


def tf2(folder: Path) -> None:
    """Object-based checkpoints: a Keras 2 model with its optimizer, and two data files put together by hand."""
    model = tf_keras.Sequential(
        [tf_keras.Input((6,)), tf_keras.layers.Dense(4, name="first"), tf_keras.layers.BatchNormalization(name="bn"),
         tf_keras.layers.Dense(2, name="last")]
    )  # fmt: skip
    for name, optimizer in (
        ("tf2", tf_keras.optimizers.Adam()),
        ("tf2_legacy", tf_keras.optimizers.legacy.SGD(0.1, 0.9)),
    ):
        model.compile(optimizer, "mse")
        model.fit(np.zeros((2, 6)), np.zeros((2, 2)), verbose=0)
        tf.train.Checkpoint(model=model, optimizer=optimizer, step=tf.Variable(3)).save(str(folder / name / "ckpt"))
    model.save_weights(str(folder / "weights" / "only"))
    wide = tf.Module()
    wide.table = tf.Variable(tf.zeros((9000, 3)), name="wide/embeddings")
    wide.half = tf.Variable(tf.zeros((70,), tf.float16), name="half")
    tf.train.Checkpoint(root=wide).write(str(folder / "wide" / "one"))


def _frozen_keras(folder: Path) -> None:
    """A Keras model frozen by TF 2's own converter, as most `.pb` files of today were made."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    layers = tf_keras.layers
    model = tf_keras.Sequential(
        [tf_keras.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(name="bn"),
         layers.DepthwiseConv2D(3, name="deep"), layers.Conv2DTranspose(2, 2, name="up"), layers.Flatten(),
         layers.Dense(5, activation="relu", name="dense")]
    )  # fmt: skip
    call = tf.function(model).get_concrete_function(tf.TensorSpec((None, 8, 8, 3)))
    graph = convert_variables_to_constants_v2(call).graph.as_graph_def()
    (folder / "frozen_keras.pb").write_bytes(graph.SerializeToString())


def _constants(path: Path) -> dict[str, Any]:
    graph = v1.GraphDef()
    graph.ParseFromString(path.read_bytes())
    found = {}
    for node in graph.node:
        if node.op == "Const":
            values = tf.make_ndarray(node.attr["value"].tensor)
            if values.size > 1:
                kind = tf.dtypes.as_dtype(node.attr["value"].tensor.dtype).name
                found[node.name] = {"shape": list(values.shape), "dtype": kind}
    return found


def _variables(prefix: str) -> dict[str, Any]:
    reader = tf.train.load_checkpoint(prefix)
    kinds = reader.get_variable_to_dtype_map()
    shapes = reader.get_variable_to_shape_map()
    return {key: {"shape": shape, "dtype": kinds[key].name} for key, shape in sorted(shapes.items())}


PREFIXES = {
    "v2": "v2/model.ckpt-7", "sharded": "sharded/model", "v1": "v1/old.ckpt", "empty": "empty/", "tf2": "tf2/ckpt-1",
    "tf2_legacy": "tf2_legacy/ckpt-1", "weights": "weights/only", "wide": "wide/one",
}  # fmt: skip


def main(folder: Path) -> None:
    """Write everything, and what TensorFlow says of it."""
    for name in PREFIXES.values():
        (folder / name).parent.mkdir(exist_ok=True)
    (folder / "empty").mkdir(exist_ok=True)
    tf2(folder)
    _frozen_keras(folder)
    tf1(folder)
    checkpoints = {
        name: {"prefix": prefix, "variables": _variables(str(folder) + "/" + prefix)}
        for name, prefix in PREFIXES.items()
    }
    graphs = {name: _constants(folder / name) for name in ("frozen.pb", "frozen_keras.pb")}
    (folder / "expected.json").write_text(json.dumps({"checkpoints": checkpoints, "graphs": graphs}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
