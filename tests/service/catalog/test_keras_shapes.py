"""Shapes worked out from configurations alone, against the output shape that Keras gives every layer."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from service.catalog.keras_config import parse_model
from service.catalog.keras_shapes import infer_shapes
from tests.corpus import expected

ARCHITECTURES = expected("keras_architectures")


def without_records(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as Keras 2 would write it: without the shapes that Keras 3 notes beside every tensor."""
    stripped = copy.deepcopy(config)
    open_values: list[Any] = [stripped]
    while open_values:
        value = open_values.pop()
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                value["config"].pop("shape")
            value.pop("build_config", None)
        open_values.extend(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
    return stripped


def inferred(config: dict[str, Any]) -> dict[str, Any]:
    """Layer name -> output shapes as lists, None where unknown."""
    spec = parse_model(config, 10_000)
    found = infer_shapes(spec)
    shapes = {layer.name: found[layer.pointer].outputs for layer in spec.layers or ()}
    return {name: None if outputs is None else [list(shape) for shape in outputs] for name, outputs in shapes.items()}


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_recorded_shapes_are_taken(name: str) -> None:
    """With Keras 3's records every layer of every public architecture has the shape Keras gives it."""
    assert inferred(ARCHITECTURES[name]["config"]) == ARCHITECTURES[name]["outputs"]


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_shapes_follow_from_rules_alone(name: str) -> None:
    """Without the records the rules give the same shapes."""
    assert inferred(without_records(ARCHITECTURES[name]["config"])) == ARCHITECTURES[name]["outputs"]


def chain(*layers: tuple[str, dict[str, Any]], shape: tuple[int | None, ...]) -> Any:
    """The output shapes of the last layer of a Sequential model without batch axis."""
    entries = [{"class_name": "InputLayer", "config": {"name": "i", "batch_shape": [None, *shape]}}]
    entries += [{"class_name": kind, "config": {"name": f"l{n}", **config}} for n, (kind, config) in enumerate(layers)]
    spec = parse_model({"class_name": "Sequential", "config": {"name": "s", "layers": entries}}, 100)
    return infer_shapes(spec)[(spec.layers or ())[-1].pointer].outputs


@pytest.mark.parametrize(
    ("layer", "shape", "output"),
    [
        (("Dense", {"units": 3}), (5, 4), (None, 5, 3)),
        (("Dense", {"output_dim": 3}), (4,), (None, 3)),
        (("Convolution2D", {"nb_filter": 4, "nb_row": 3, "nb_col": 2, "border_mode": "valid", "dim_ordering": "th"}),
         (3, 8, 8), (None, 4, 6, 7)),
        (("Conv1D", {"filters": 2, "kernel_size": [3], "padding": "causal", "strides": [2]}), (9, 1), (None, 5, 2)),
        (("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1, "padding": "same"}),
         (4, 4, 1), (None, 8, 8, 2)),
        (("MaxPooling2D", {"pool_size": [3, 3], "strides": None}), (7, None, 2), (None, 2, None, 2)),
        (("ZeroPadding1D", {"padding": [1, 2]}), (4, 2), (None, 7, 2)),
        (("Reshape", {"target_shape": [-1, 3]}), (2, 6), (None, 4, 3)),
        (("Reshape", {"target_shape": [-1, 3]}), (None, 6), (None, None, 3)),
        (("Flatten", {}), (None, 6), (None, None)),
        (("LSTM", {"units": 3, "return_sequences": True}), (7, 2), (None, 7, 3)),
        (("ConvLSTM2D", {"filters": 3, "kernel_size": [2, 2]}), (4, 6, 6, 1), (None, 5, 5, 3)),
        (("TimeDistributed", {"layer": {"class_name": "Flatten", "config": {"name": "f"}}}), (4, 2, 3), (None, 4, 6)),
        (("Bidirectional", {"layer": {"class_name": "GRU", "config": {"name": "g", "units": 3}}}), (4, 2), (None, 6)),
        (("RNN", {"cell": {"class_name": "LSTMCell", "config": {"name": "c", "units": 5}}}), (4, 2), (None, 5)),
        (("Embedding", {"input_dim": 9, "output_dim": 3}), (4,), (None, 4, 3)),
        (("EinsumDense", {"equation": "...x,xy->...y", "output_shape": 7}), (3, 4), (None, 3, 7)),
        (("AdaptiveMaxPooling2D", {"output_size": [2, 3]}), (9, 9, 4), (None, 2, 3, 4)),
        (("RepeatVector", {"n": 3}), (4,), (None, 3, 4)),
    ],
)  # fmt: skip
def test_single_rules(
    layer: tuple[str, dict[str, Any]], shape: tuple[int | None, ...], output: tuple[Any, ...]
) -> None:
    """One layer of each kind, with the arguments of its version."""
    assert chain(layer, shape=shape) == (output,)


@pytest.mark.parametrize(
    "layer",
    [
        ("Dense", {"units": 10**30}), ("Dense", {"units": -1}), ("Dense", {"units": "3"}), ("Dense", {}),
        ("Dense", {"units": True}), ("Conv2D", {"filters": 2, "kernel_size": [9, 9]}),
        ("Conv2D", {"filters": 2, "kernel_size": [3]}), ("Conv2D", {"filters": 2, "kernel_size": 3, "strides": 0}),
        ("Reshape", {"target_shape": "x"}), ("Reshape", {"target_shape": [0, -1]}), ("Permute", {"dims": [1, 9, 2]}),
        ("UpSampling2D", {"size": [2**62, 2**62]}), ("Cropping2D", {"cropping": 9}), ("Lambda", {}),
        ("MyLayer", {}), ("Bidirectional", {}), ("TimeDistributed", {"layer": 3}), ("RNN", {"cell": []}),
        ("Dot", {"axes": 1}), ("Concatenate", {"axis": 99}), ("LSTM", {"units": None}),
    ],
)  # fmt: skip
def test_what_does_not_follow_stays_unknown(layer: tuple[str, dict[str, Any]]) -> None:
    """Impossible or unknown arguments give no shape, and no error."""
    assert chain(layer, shape=(4, 4, 2)) in (None, ((None, 0, None),))


def test_nested_models_called_with_other_shapes() -> None:
    """A nested model lists the shapes it declares, and gives its caller those that follow from the call."""
    inner = {"class_name": "Functional", "name": "inner", "inbound_nodes": [[["outer", 0, 0, {}]]], "config": {
        "name": "inner", "input_layers": [["x", 0, 0]], "output_layers": [["c", 0, 0]], "layers": [
            {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
             "config": {"name": "x", "batch_input_shape": [None, None, 3]}},
            {"class_name": "Conv1D", "name": "c", "inbound_nodes": [[["x", 0, 0, {}]]],
             "config": {"name": "c", "filters": 2, "kernel_size": [3]}}]}}  # fmt: skip
    outer = {"class_name": "Functional", "config": {
        "name": "m", "input_layers": [["outer", 0, 0]], "output_layers": [["inner", 1, 0]], "layers": [
            {"class_name": "InputLayer", "name": "outer", "inbound_nodes": [],
             "config": {"name": "outer", "batch_input_shape": [None, 10, 3]}}, inner]}}  # fmt: skip
    spec = parse_model(outer, 100)
    nested = (spec.layers or ())[1]
    found = infer_shapes(spec)
    assert found[nested.pointer].outputs == ((None, 8, 2),)


def test_models_nested_to_explode_end() -> None:
    """Thirty models, each calling the next one twice with other shapes, are worked out in bounded time."""
    spec: dict[str, Any] = {"class_name": "Dense", "config": {"name": "d", "units": 2}}
    for number in range(30):
        spec = (
            {"class_name": "Sequential", "config": {"name": f"s{number}", "layers": [spec, copy.deepcopy(spec)]}}
            if number < 8
            else {"class_name": "Sequential", "config": {"name": f"s{number}", "layers": [spec]}}
        )
    assert infer_shapes(parse_model(spec, 10_000))
