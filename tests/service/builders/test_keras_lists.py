"""Layer lists for Keras: graphs, nesting, wrappers, sizes beyond any machine, and what is said of mistakes."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tests.building import answers, elements, weights


def keras(shape: Any, *layers: Any, **more: Any) -> dict[str, Any]:
    """A layer list for Keras."""
    entry = {} if shape is None else {"input_shape": shape}
    return {"framework": "keras", **entry, "layers": list(layers), **more}


def dense(units: Any = 4, **more: Any) -> dict[str, Any]:
    return {"type": "Dense", "units": units, **more}


BLOCK = [{"type": "BatchNormalization"}, {"type": "Activation", "activation": "relu"}, {"type": "Dropout", "rate": 0.5}]
GOOD: dict[str, dict[str, Any]] = {
    "seed0": keras([1120], dense(512), *BLOCK, dense(256), *BLOCK, dense(38), *BLOCK[:2]),
    "seed1": keras([4096], dense(512, activation="relu"), {"type": "BatchNormalization"},
                   {"type": "Dropout", "rate": 0.5}, dense(80)),
    "seed2": keras([64, 64, 1], {"type": "Conv2D", "filters": 32, "kernel_size": 3, "padding": "same"},
                   {"type": "BatchNormalization"}, {"type": "Flatten"}, dense(100), dense(10)),
    "graph": keras(None, dense(name="a", inputs="x"), {"type": "Flatten", "inputs": "y", "name": "f"}, dense(name="b"),
                   {"type": "Add", "inputs": ["a", "b"]}, {"type": "Concatenate", "inputs": ["add", "a"]},
                   inputs={"x": [8], "y": {"shape": [2, 3], "dtype": "float16"}}, outputs=["concatenate", "b"]),
    "states": keras([10, 6], {"type": "LSTM", "units": 4, "return_state": True, "return_sequences": True},
                    {"type": "LSTM", "units": 4, "inputs": ["lstm", "lstm:1", "lstm:2"]}),
    "nested": keras([10, 6],
                    {"type": "Bidirectional", "layer": {"type": "LSTM", "units": 4, "return_sequences": True}},
                    {"type": "TimeDistributed", "layer": {"type": "Sequential", "layers": [dense(3), dense(2)]}},
                    {"type": "Sequential", "name": "head", "layers": [{"type": "Flatten"}, dense(3)]}),
    "attention": keras([10, 6], {"type": "MultiHeadAttention", "num_heads": 2, "key_dim": 3},
                       {"type": "MultiHeadAttention", "num_heads": 2, "key_dim": 3, "name": "cross",
                        "inputs": {"query": "input", "value": "multi_head_attention"}}),
    "cells": keras([5, 3], {"type": "RNN", "cell": [{"type": "LSTMCell", "units": 4, "name": "c", "use_bias": False},
                                                    {"type": "LSTMCell", "units": 4, "name": "c"}]}),
    "huge": keras([316228], dense(316228), dense(10**18)),
    "frozen": keras([8], dense(4, trainable=False), {"type": "BatchNormalization", "trainable": False}),
}  # fmt: skip


@functools.cache
def models() -> dict[str, dict[str, Any]]:
    """The models of all `GOOD` lists."""
    return {name: found["model"] for name, found in zip(GOOD, answers("keras", GOOD.values()), strict=True)}


def layer(model: str, path: str) -> dict[str, Any]:
    return next(found for found in models()[model]["layers"] if found["path"] == path)


@pytest.mark.parametrize(
    ("seed", "trainable", "statistics"),
    [("seed0", 716658, 1612), ("seed1", 2139728, 1024), ("seed2", 13108694, 64)],
)
def test_seed_models_have_their_numbers(seed: str, trainable: int, statistics: int) -> None:
    """The seed models as layer lists have the golden totals; a random generator's state is not among them."""
    model = models()[seed]
    assert (elements(model, "trainable"), elements(model, "statistic")) == (trainable, statistics)
    assert elements(model) == trainable + statistics


def test_layers_are_named_as_keras_names_them() -> None:
    """Layers without a name get the one that a fresh Keras session gives them; a chain shows no input layer."""
    paths = [found["path"] for found in models()["seed0"]["layers"]]
    assert paths == [
        "dense", "batch_normalization", "activation", "dropout", "dense_1", "batch_normalization_1", "activation_1",
        "dropout_1", "dense_2", "batch_normalization_2", "activation_2",
    ]  # fmt: skip
    assert models()["seed0"]["info"]["type"] == "Sequential"


def test_a_graph_keeps_its_inputs_and_edges() -> None:
    """With several inputs the input layers are listed, and every layer says what feeds it."""
    edges = {found["path"]: found["inputs"] for found in models()["graph"]["layers"]}
    assert edges == {
        "x": [], "y": [], "a": ["x"], "f": ["y"], "b": ["f"], "add": ["a", "b"], "concatenate": ["add", "a"],
    }  # fmt: skip
    assert layer("graph", "concatenate")["output_shapes"] == [[None, 8]]


def test_several_outputs_are_chosen_by_number() -> None:
    """`lstm:1` is the second output of `lstm`; further inputs of a recurrent layer are its initial state."""
    assert layer("states", "lstm")["output_shapes"] == [[None, 10, 4], [None, 4], [None, 4]]
    assert layer("states", "lstm_1")["input_shapes"] == [[None, 10, 4], [None, 4], [None, 4]]


def test_nested_layers() -> None:
    """Wrappers own the weights inside them by path; a nested Sequential is opened into layers of its own."""
    names = [weight["name"] for weight in weights(layer("nested", "bidirectional"))]
    assert names[0] == "forward_lstm/lstm_cell/kernel"
    assert [weight["shape"] for weight in layer("nested", "time_distributed")["weights"]] == [[8, 3], [3], [3, 2], [2]]
    assert layer("nested", "head")["kind"] == "container"
    assert layer("nested", "head/dense")["parent"] == "head"
    assert layer("nested", "head/dense")["weights"][0]["shape"] == [20, 3]
    assert layer("nested", "head/flatten")["inputs"] == ["time_distributed"]


def test_cells_of_one_name_are_told_apart() -> None:
    """All weights of the second cell get its number: its bias is not the first one's, which has none."""
    names = [weight["name"].split("/")[-2:] for weight in weights(layer("cells", "rnn"))]
    assert names == [["c", "kernel"], ["c", "recurrent_kernel"],
                     ["c_1", "kernel"], ["c_1", "recurrent_kernel"], ["c_1", "bias"]]  # fmt: skip


def test_attention_takes_one_tensor_or_named_ones() -> None:
    """One input is query and value at once; `inputs` may name the arguments of the call."""
    assert layer("attention", "multi_head_attention")["inputs"] == ["input"]
    assert layer("attention", "cross")["inputs"] == ["input", "multi_head_attention"]
    assert layer("attention", "cross")["weights"][0]["name"] == "query/kernel"


def test_sizes_beyond_any_machine_are_counted_and_not_allocated() -> None:
    """10^11 and 10^23 parameters are shapes, nothing else."""
    assert elements(models()["huge"]) == 316228**2 + 316228 + 316228 * 10**18 + 10**18


def test_frozen_layers() -> None:
    """`trainable: false` freezes parameters; moving statistics stay statistics."""
    assert {weight["group"] for weight in layer("frozen", "dense")["weights"]} == {"frozen"}
    groups = [weight["group"] for weight in layer("frozen", "batch_normalization")["weights"]]
    assert groups == ["frozen", "frozen", "statistic", "statistic"]
    assert layer("frozen", "dense")["trainable"] is False


CONV = {"type": "Conv2D", "filters": 3, "kernel_size": 3}
BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown layer": (keras([8], {"type": "Densee", "units": 3}), "layers[0].type", 'Did you mean "Dense"?'),
    "lambda": (keras([8], {"type": "Lambda", "function": "x"}), "layers[0].type", "never run"),
    "loader": (keras([8], {"type": "TFSMLayer", "filepath": "x"}), "layers[0].type", "loads a model from a path"),
    "unknown argument": (keras([8], {"type": "Dense", "unit": 3}), "layers[0].unit", 'Did you mean "units"?'),
    "missing argument": (keras([8], {"type": "Dense"}), "layers[0].units", "units is required"),
    "boolean": (keras([8], dense(units=True)), "layers[0].units", "must be a whole number from 1"),
    "negative": (keras([8], dense(-3)), "layers[0].units", "must be a whole number from 1"),
    "fraction": (keras([8], dense(2.5)), "layers[0].units", "must be a whole number from 1"),
    "text": (keras([8, 8, 1], {**CONV, "kernel_size": "3"}), "layers[0].kernel_size", "(Conv2D): kernel_size must be"),
    "too large": (keras([8], dense(2**63)), "layers[0].units", "larger than any size"),
    "rate": (keras([8], {"type": "Dropout", "rate": 1.5}), "layers[0].rate", "from 0 to 1"),
    "activation": (keras([8], dense(activation="rellu")), "layers[0].activation", 'Did you mean "relu"?'),
    "initializer": (keras([8], dense(kernel_initializer="he_norml")), "layers[0].kernel_initializer", "he_normal"),
    "dtype": (keras([8], dense(dtype="flot32")), "layers[0].dtype", "flot32"),
    "regularizer": (keras([8], dense(kernel_regularizer={"class_name": "os.system", "config": {}})),
                    "layers[0].kernel_regularizer", "is no regularizer of Keras"),
    "vocabulary": (keras([8], {"type": "StringLookup", "vocabulary": "/etc/passwd"}), "layers[0].vocabulary",
                   "no file is ever opened"),
    "inner": (keras([8, 2], {"type": "Bidirectional", "layer": {"type": "LSTM", "unit": 2}}),
              "layers[0].layer.unit", 'Did you mean "units"?'),
    "no inner": (keras([8, 2], {"type": "TimeDistributed", "layer": 3}), "layers[0].layer", "must be a layer"),
    "underflow": (keras([2, 2, 1], CONV), "layers[0]", "(?, 2, 2, 1)"),
    "rank": (keras([8], dense(), CONV), "layers[1]", "expected min_ndim=4, found ndim=2"),
    "later": (keras([8], dense(inputs="b"), dense(name="b")), "layers[0].inputs", "only earlier ones"),
    "itself": (keras([8], dense(name="a", inputs="a")), "layers[0].inputs", "only earlier ones"),
    "nobody": (keras([8], dense(inputs="dens")), "layers[0].inputs", "no earlier layer"),
    "no inputs": (keras([[8], [8]], dense()), "layers[0].inputs", "several inputs"),
    "two names": (keras([8], dense(name="a"), dense(name="a")), "layers[1].name", "already taken"),
    "shape": (keras([8, "x"], dense()), "input_shape[1]", "whole number from 1"),
    "no shape": (keras(None, dense()), "input_shape", "Give either input_shape"),
    "no layers": (keras([8]), "layers", "at least one layer"),
    "key": (keras([8], dense(), output="x"), "output", 'Did you mean "outputs"?'),
    "output": (keras([8], dense(), outputs=["dense:3"]), "layers", "no output number 3"),
}  # fmt: skip


@functools.cache
def errors() -> dict[str, dict[str, Any]]:
    """What is said of all `BAD` lists."""
    return dict(zip(BAD, answers("keras", [spec for spec, _, _ in BAD.values()]), strict=True))


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_named_with_their_place(name: str) -> None:
    """Each mistake is an invalid spec whose pointer and sentence say what to change."""
    _, pointer, words = BAD[name]
    error = errors()[name]["error"]
    assert error["code"] == "invalid_spec"
    assert error["pointer"].startswith(pointer)
    assert words in error["detail"]


def test_all_mistakes_come_in_one_answer() -> None:
    """Problems with arguments of several layers are listed together, in the spec's order."""
    spec = keras([8], dense("x", activatio="relu"), {"type": "Dens"}, {"type": "Dropout"})
    (found,) = answers("keras", [spec])
    listed = [problem["pointer"] for problem in found["error"]["extra"]["errors"]]
    assert listed == ["layers[0].activatio", "layers[0].units", "layers[1].type", "layers[2].rate"]


def test_messages_hold_nothing_of_the_machine() -> None:
    """No path, address or trace of the framework is in any message."""
    for found in errors().values():
        detail = found["error"]["detail"]
        assert not any(sign in detail for sign in ("site-packages", "Traceback", "0x", ".py", "\n"))
