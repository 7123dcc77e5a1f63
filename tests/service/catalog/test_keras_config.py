"""Configurations of every version as one tree: names, nesting, calls and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from service.catalog.keras_config import Reference, parse_layer, parse_model, plain_config
from service.errors import LimitExceeded, MalformedFile


def node(*references: list[Any]) -> dict[str, Any]:
    """A layer called once, in the words of Keras 2."""
    return {"class_name": "Dense", "name": "d", "config": {"name": "d"}, "inbound_nodes": [list(references)]}


def calls(entry: dict[str, Any]) -> Any:
    """(layer, node, tensor) per call of the only layer of a functional model."""
    model = {"class_name": "Functional", "config": {"name": "m", "layers": [entry], "output_layers": []}}
    found = (parse_model(model, 10).layers or ())[0].calls or ()
    return [[(ref.layer, ref.node, ref.tensor) for ref in call] for call in found]


def test_keras_1_and_2_nodes() -> None:
    """`[layer, node, tensor, kwargs]` with tensors among the keyword arguments, constants left out."""
    assert calls(node(["a", 0, 1, {"value": ["b", 2, 0], "mask": None}])) == [[("a", 0, 1), ("b", 2, 0)]]
    assert calls(node(["a", 0, 0, {"y": ["_CONSTANT_VALUE", -1, 5.0]}])) == [[("a", 0, 0)]]
    assert calls(node(["a", 0, 0], ["b", 0, 0])) == [[("a", 0, 0), ("b", 0, 0)]]
    entry = {
        "class_name": "TFOpLambda",
        "name": "t",
        "config": {"name": "t"},
        "inbound_nodes": [["a", 0, 0, {"y": 2.0}]],
    }
    assert calls(entry) == [[("a", 0, 0)]]


def test_keras_3_nodes() -> None:
    """Tensor objects anywhere in positional and keyword arguments, with their shapes."""

    def tensor(name: str) -> dict[str, Any]:
        return {"class_name": "__keras_tensor__", "config": {"shape": [8, 4], "keras_history": [name, 0, 0]}}

    entry = {
        "module": "keras.layers",
        "class_name": "Attention",
        "name": "x",
        "config": {"name": "x"},
        "inbound_nodes": [{"args": [[tensor("a"), tensor("b")]], "kwargs": {"k": {"deep": tensor("c")}}}],
    }
    assert calls(entry) == [[("a", 0, 0), ("b", 0, 0), ("c", 0, 0)]]
    model = {"class_name": "Functional", "config": {"name": "m", "layers": [entry]}}
    first = ((parse_model(model, 10).layers or ())[0].calls or ())[0][0]
    assert first == Reference(layer="a", node=0, tensor=0, shape=(None, 4))


def test_names_are_found_or_made_up() -> None:
    """From the configuration, else beside it, else from the class; a package before the class is left out."""

    def name(entry: dict[str, Any]) -> str:
        return parse_model(entry, 10).name

    assert name({"class_name": "Dense", "config": {"name": "in config"}}) == "in config"
    assert name({"class_name": "Dense", "name": "beside", "config": {}}) == "beside"
    assert name({"class_name": "BatchNormalization", "config": {}}) == "batch_normalization"
    assert parse_model({"class_name": "Custom>Gate", "config": {}}, 10).class_name == "Gate"


def test_a_list_as_configuration_is_a_sequential_model() -> None:
    """Keras 1 and early Keras 2 wrote the layers alone."""
    spec = parse_model({"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"name": "d"}}]}, 10)
    assert spec.sequential
    assert [layer.name for layer in spec.members] == ["d"]


def test_sequential_models_leave_their_input_out() -> None:
    """As `model.layers` does; functional models keep it."""
    layers = [{"class_name": "InputLayer", "config": {"name": "i"}}, {"class_name": "Dense", "config": {"name": "d"}}]
    chain = parse_model({"class_name": "Sequential", "config": {"name": "s", "layers": layers}}, 10)
    graph = parse_model({"class_name": "Model", "config": {"name": "f", "layers": layers, "output_layers": []}}, 10)
    assert [layer.name for layer in chain.members] == ["d"]
    assert [layer.name for layer in graph.members] == ["i", "d"]


def test_tensor_operations_are_told_from_layers() -> None:
    """By module, by TensorFlow's wrappers, and in legacy files by having nothing but a name."""
    assert parse_model({"module": "keras.src.ops.numpy", "class_name": "Add", "config": {"name": "a"}}, 10).operation
    assert parse_model({"class_name": "TFOpLambda", "config": {"name": "a", "function": "add"}}, 10).operation
    assert parse_model({"class_name": "GetItem", "config": {"name": "a"}}, 10).operation
    assert not parse_model({"module": "keras.layers", "class_name": "Add", "config": {"name": "a"}}, 10).operation


@pytest.mark.parametrize("document", [{}, {"class_name": 3, "config": {}}, {"config": {"layers": []}}])
def test_what_has_no_class_is_refused(document: dict[str, Any]) -> None:
    """With the place in the JSON."""
    with pytest.raises(MalformedFile) as caught:
        parse_model(document, 10)
    assert caught.value.info.pointer == "/"


def test_more_layers_than_allowed_are_refused() -> None:
    """The limit counts nested layers too."""
    layers = [{"class_name": "Dense", "config": {"name": f"d{number}"}} for number in range(20)]
    with pytest.raises(LimitExceeded):
        parse_model({"class_name": "Sequential", "config": {"name": "s", "layers": layers}}, 10)


def test_configurations_fit_for_a_report() -> None:
    """Plain ones stay as they are; long text, lone surrogates and infinities are replaced."""
    plain = {"units": 3, "name": "d", "nested": {"a": [1, None, True]}}
    assert plain_config(plain) is plain
    assert plain_config({"x": float("inf"), "y": "\ud800", "z": 2**300}) == {
        "x": "inf", "y": "?", "z": "<integer of 301 bits>"}  # fmt: skip
    assert len(plain_config({"x": "a" * 10_000})["x"]) < 5000


def test_layers_inside_arguments() -> None:
    """Wrappers hold a layer in their configuration; other values are none."""
    inner = parse_layer({"class_name": "LSTM", "config": {"name": "l"}}, "/config/layer")
    assert inner is not None
    assert (inner.class_name, inner.pointer) == ("LSTM", "/config/layer")
    assert parse_layer({"class_name": "LSTM"}) is None
    assert parse_layer([1]) is None
