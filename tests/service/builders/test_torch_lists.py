"""Layer lists for PyTorch: inferred sizes, graphs, functions, frozen layers, and what is said of mistakes."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tests.building import answers, elements
from tests.mutation import mutants


def torch(shape: Any, *layers: Any, **more: Any) -> dict[str, Any]:
    """A layer list for PyTorch."""
    entry = {} if shape is None else {"input_shape": shape}
    return {"framework": "torch", **entry, "layers": list(layers), **more}


def linear(features: Any = 4, **more: Any) -> dict[str, Any]:
    return {"type": "Linear", "out_features": features, **more}


CONV = {"type": "Conv2d", "out_channels": 4, "kernel_size": 3}
GOOD: dict[str, dict[str, Any]] = {
    "seed2": torch([1, 64, 64], {**CONV, "out_channels": 32, "padding": 1}, {"type": "ReLU"}, {"type": "BatchNorm2d"},
                   {"type": "Flatten"}, linear(100), {"type": "ReLU"}, linear(10), {"type": "Softmax", "dim": 1}),
    "graph": torch(None, {**CONV, "inputs": "image", "name": "conv"}, {"type": "Flatten", "name": "flat"},
                   {"type": "Embedding", "num_embeddings": 9, "embedding_dim": 4, "inputs": "words"},
                   {"type": "Mean", "dim": 1, "name": "mean"}, {"type": "Concatenate", "inputs": ["flat", "mean"]},
                   linear(3, name="head"), inputs={"image": [3, 8, 8], "words": [None]}, outputs="head"),
    "sequence": torch([None, 6], {"type": "LSTM", "hidden_size": 5, "batch_first": True, "bidirectional": True},
                      {"type": "Select"}, linear(2), {"type": "Linear", "out_features": 2, "inputs": "0:1"}),
    "encoder": torch([10, 16], {"type": "TransformerEncoder", "num_layers": 2, "encoder_layer": {
        "type": "TransformerEncoderLayer", "nhead": 2, "batch_first": True}, "norm": {"type": "LayerNorm"}}),
    "frozen": torch([6], {"type": "Sequential", "name": "base", "layers": [linear(4), {"type": "BatchNorm1d"}],
                          "requires_grad": False}, linear(2)),
    "huge": torch([316228], linear(316228)),
    "long": torch([10**6, 8], {"type": "GRU", "hidden_size": 4, "batch_first": True}),
    "steps": torch([5, 8], {"type": "GRU", "hidden_size": 4}),
}  # fmt: skip


@functools.cache
def models() -> dict[str, dict[str, Any]]:
    """The models of all `GOOD` lists."""
    return {name: found["model"] for name, found in zip(GOOD, answers("torch", GOOD.values()), strict=True)}


def layer(model: str, path: str) -> dict[str, Any]:
    return next(found for found in models()[model]["layers"] if found["path"] == path)


def test_seed_model_has_its_numbers() -> None:
    """The seed CNN has 13,108,694 parameters and 65 elements in buffers, and its weights PyTorch's shapes."""
    model = models()["seed2"]
    assert (elements(model, "trainable"), elements(model, "statistic")) == (13108694, 65)
    assert [found["path"] for found in model["layers"]] == [str(index) for index in range(8)]
    assert {weight["name"]: weight["shape"] for weight in layer("seed2", "2")["weights"]} == {
        "weight": [32], "bias": [32], "running_mean": [32], "running_var": [32], "num_batches_tracked": [],
    }  # fmt: skip


def test_a_graph_of_two_inputs() -> None:
    """Named inputs, an index input found by what it feeds, functions that merge, and edges without the inputs."""
    assert layer("graph", "2")["input_shapes"] == [[None, None]]
    assert layer("graph", "4")["kind"] == "merge"
    assert layer("graph", "4")["inputs"] == ["flat", "mean"]
    assert layer("graph", "head")["weights"][0]["shape"] == [3, 148]


def test_what_flows_on_from_a_recurrent_layer() -> None:
    """The output sequence flows on; `Select` takes its last step; `0:1` is the hidden state."""
    assert layer("sequence", "0")["output_shapes"] == [[None, None, 10], [2, None, 5], [2, None, 5]]
    assert layer("sequence", "1")["output_shapes"] == [[None, 10]]
    assert layer("sequence", "3")["weights"][0]["shape"] == [2, 5]


def test_modules_inside_modules_are_listed() -> None:
    """A TransformerEncoder is opened: paths and parents are PyTorch's, shapes come where a module is called."""
    assert layer("encoder", "0.layers.1.linear1")["output_shapes"] == [[None, 10, 2048]]
    assert layer("encoder", "0.layers.1.self_attn")["weights"][0]["role"] == "qkv_kernel"
    assert layer("encoder", "0.layers.1.self_attn.out_proj")["parent"] == "0.layers.1.self_attn"
    assert layer("encoder", "0.norm")["weights"][0]["shape"] == [16]


def test_frozen_layers() -> None:
    """`requires_grad: false` freezes the parameters of a layer and of those in it; buffers stay statistics."""
    groups = {weight["group"] for weight in layer("frozen", "base.1")["weights"]}
    assert groups == {"frozen", "statistic"}
    assert elements(models()["frozen"], "trainable") == 10


def test_sizes_beyond_any_machine() -> None:
    """10^11 parameters, and a million steps of a recurrent layer, are shapes and nothing else."""
    assert elements(models()["huge"]) == 316228**2 + 316228
    assert layer("long", "0")["output_shapes"] == [[None, 10**6, 4], [1, None, 4]]


def test_a_batch_read_as_time_is_pointed_out() -> None:
    """With `batch_first` left out PyTorch takes the batch axis for time; the layer says so."""
    assert "batch_first" in layer("steps", "0")["notes"][0]


def test_configs_are_what_a_pickled_module_would_show() -> None:
    """A layer's config has the constructor's values, inferred ones too."""
    config = layer("seed2", "0")["config"]
    assert (config["in_channels"], config["out_channels"], config["kernel_size"]) == (1, 32, [3, 3])


BAD: dict[str, tuple[dict[str, Any], str, str]] = {
    "unknown layer": (torch([8], {"type": "Liner", "out_features": 3}), "layers[0].type", 'Did you mean "Linear"?'),
    "other framework": (torch([8], {"type": "Dense", "units": 3}), "layers[0].type", "no layer Dense for PyTorch"),
    "container": (torch([8], {"type": "ModuleList"}), "layers[0].type", "no layer ModuleList"),
    "parallel": (torch([8], {"type": "DataParallel", "module": {}}), "layers[0].type", "no layer DataParallel"),
    "argument": (torch([8], {"type": "Linear", "out_feature": 3}), "layers[0].out_feature", '"out_features"?'),
    "missing": (torch([8], {"type": "Linear"}), "layers[0].out_features", "out_features is required"),
    "device": (torch([8], linear(device="cuda")), "layers[0].device", "cannot be given"),
    "values": (torch([8], {"type": "Embedding", "num_embeddings": 3, "embedding_dim": 2, "_weight": [[1]]}),
               "layers[0]._weight", "cannot be given"),
    "boolean": (torch([8], linear(True)), "layers[0].out_features", "must be a whole number from 1"),
    "negative": (torch([1, 8, 8], {**CONV, "kernel_size": -3}), "layers[0].kernel_size", "whole number from 1"),
    "choice": (torch([1, 8, 8], {**CONV, "padding_mode": "zero"}), "layers[0].padding_mode", 'Did you mean "zeros"?'),
    "dtype": (torch([8], linear(dtype="float33")), "layers[0].dtype", "must be one of"),
    "copies": (torch([4, 8], {"type": "LSTM", "hidden_size": 2, "num_layers": 10**9}), "layers[0].num_layers",
               "from 1 to 1,000"),
    "wrong size": (torch([8], linear(3, in_features=9)), "layers[0]", "(?, 8)"),
    "underflow": (torch([3, 2, 2], CONV), "layers[0]", "Kernel size can't be greater than actual input size"),
    "rank": (torch([28, 28], CONV), "layers[0]", "takes inputs of 4 axes"),
    "groups": (torch([3, 8, 8], {**CONV, "groups": 2}), "layers[0]", "divisible by groups"),
    "too large": (torch([8], linear(10**18)), "layers[0]", "2^63 bytes"),
    "one of two": (torch([8], {"type": "Add"}), "layers[0]", "takes 2 inputs or more"),
    "output": (torch([8], linear(), linear(inputs="0:1")), "layers[1].inputs", "has 1 output only"),
    "dot": (torch([8], linear(name="a.b")), "layers[0].name", "cannot hold a dot"),
    "inner": (torch([4, 8], {"type": "TransformerEncoder", "num_layers": 1, "encoder_layer": {
        "type": "TransformerEncoderLayer", "heads": 2}}), "layers[0].encoder_layer", "heads is not an argument"),
    "wired inside": (torch([8], {"type": "Sequential", "layers": [linear(inputs="x")]}), "layers[0].layers[0].inputs",
                     "inside a Sequential"),
}  # fmt: skip


@functools.cache
def errors() -> dict[str, dict[str, Any]]:
    """What is said of all `BAD` lists."""
    return dict(zip(BAD, answers("torch", [spec for spec, _, _ in BAD.values()]), strict=True))


@pytest.mark.parametrize("name", BAD)
def test_mistakes_are_named_with_their_place(name: str) -> None:
    """Each mistake is an invalid spec whose pointer and sentence say what to change."""
    _, pointer, words = BAD[name]
    error = errors()[name]["error"]
    assert error["code"] == "invalid_spec"
    assert error["pointer"].startswith(pointer)
    assert words in error["detail"]


def test_messages_hold_nothing_of_the_machine() -> None:
    """No path, address or trace of the framework is in any message."""
    for found in errors().values():
        detail = found["error"]["detail"]
        assert not any(sign in detail for sign in ("site-packages", "Traceback", "0x", ".py", "\n"))


def test_mutated_lists_never_crash_the_builder() -> None:
    """Values replaced at random in valid lists give a model or an error of ours, and nothing else."""
    changed = mutants(list(GOOD.values()), 400)
    for document, found in zip(changed, answers("torch", changed), strict=True):
        assert "crash" not in found, (document, found["crash"])
