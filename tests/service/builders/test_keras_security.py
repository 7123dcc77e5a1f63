"""Hostile and broken Keras JSON: nothing named in it is run, opened or looked up; what can be told is told."""

from __future__ import annotations

from typing import Any

import pytest

from tests.building import answer, answers
from tests.mutation import mutants

ENTRY = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 8], "name": "i"}}
DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 3}}


def sequential(*layers: Any) -> dict[str, Any]:
    """A Sequential of eight features with these layers."""
    return {"class_name": "Sequential", "config": {"name": "s", "layers": [ENTRY, *layers]}}


def functional(*layers: Any, output: str = "d") -> dict[str, Any]:
    """A functional model of (name, class, config, feeds) entries."""
    entries = [{**ENTRY, "name": "i", "inbound_nodes": []}]
    for name, kind, config, feeds in layers:
        nodes = [[[feed, 0, 0, {}] for feed in feeds]]
        entries.append({"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes})
    ends = {"input_layers": [["i", 0, 0]], "output_layers": [[output, 0, 0]]}
    return {"class_name": "Functional", "config": {"name": "f", "layers": entries, **ends}}


def test_a_lambda_is_named_and_not_run() -> None:
    """A Lambda's bytecode is a critical danger; what follows it has no shape, and the report says it is partial."""
    lam = {"class_name": "Lambda", "config": {"name": "l", "function": ["4wEAAAA=", None, None]}}
    model = answer("keras", sequential(lam, DENSE))["model"]
    assert [(danger["code"], danger["severity"], danger["path"]) for danger in model["security"]] == [
        ("keras_lambda", "critical", "l")
    ]
    assert not model["complete"]
    assert [layer["weights"] for layer in model["layers"]] == [[], []]


def test_a_lambda_with_a_recorded_shape_lets_the_rest_be_built() -> None:
    """Where a Lambda's output shape is in the file, what follows it is known."""
    lam = {"class_name": "Lambda", "config": {"name": "l", "function": "f", "output_shape": [5]}}
    model = answer("keras", sequential(lam, DENSE))["model"]
    assert model["layers"][1]["weights"][0]["shape"] == [5, 3]
    assert model["complete"]


def test_custom_layers_leave_the_rest_standing() -> None:
    """A custom class is named; a later layer is built with the input shape that Keras 3 recorded for it."""
    own = {"module": "my.pkg", "class_name": "Mine", "registered_name": "my>Mine", "config": {"name": "m", "units": 4}}
    built = {**DENSE, "module": "keras.layers", "build_config": {"input_shape": [None, 4]}}
    model = answer("keras", sequential(own, built))["model"]
    custom, dense = model["layers"]
    assert (custom["custom"], custom["kind"], custom["config"]["units"]) == (True, "custom", 4)
    assert dense["weights"][0]["shape"] == [4, 3]
    assert not model["complete"]
    assert model["notes"]


@pytest.mark.parametrize(
    ("module", "class_name"), [("os", "system"), ("builtins", "eval"), ("keras.utils", "get_file"), (None, "Denze")]
)
def test_no_class_of_the_file_is_looked_up(module: str | None, class_name: str) -> None:
    """Whatever module and class a layer names, it is a name: the answer is a report without its inside."""
    entry = {"class_name": class_name, "config": {"name": "x", "args": ["id"]}}
    entry |= {"module": module} if module else {}
    model = answer("keras", sequential(entry, DENSE))["model"]
    assert model["layers"][0]["weights"] == []
    assert not model["complete"]


def test_foreign_objects_inside_a_layer_change_nothing() -> None:
    """An initializer or activation of a foreign module is left out with a note, and listed as a danger."""
    foreign = {"module": "os", "class_name": "system", "config": {"command": "id"}, "registered_name": "system"}
    layer = {"class_name": "Dense", "config": {"name": "d", "units": 3, "kernel_initializer": foreign}}
    model = answer("keras", sequential(layer))["model"]
    assert "kernel_initializer" in model["layers"][0]["notes"][0]
    assert model["layers"][0]["weights"][0]["shape"] == [8, 3]
    assert "keras_foreign_module" in {danger["code"] for danger in model["security"]}


BROKEN = {
    "circle": (functional(("a", "Dense", {"units": 2}, ["b"]), ("b", "Dense", {"units": 2}, ["a"]), output="a"),
               "feed one another in a circle"),
    "itself": (functional(("a", "Dense", {"units": 2}, ["a"]), output="a"), "in a circle"),
    "unknown feeder": (functional(("d", "Dense", {"units": 2}, ["j"])), 'there is no layer "j"'),
    "unknown output": (functional(("a", "Dense", {"units": 2}, ["i"])), 'there is no layer "d"'),
    "double name": (sequential(DENSE, DENSE), "occurs twice"),
    "subclassed": ({"class_name": "MyModel", "config": {"units": 3}}, "lists no layers"),
    "vocabulary": (sequential({"class_name": "StringLookup", "config": {"name": "v", "vocabulary": "gs://x/y"}}),
                   "no file is ever opened"),
    "typo": (sequential({**DENSE, "module": "keras.layers", "class_name": "Densee"}), 'Did you mean "Dense"?'),
    "units": (sequential({"class_name": "Dense", "config": {"name": "d", "units": -1}}), "units must be"),
    "loading": (sequential({"class_name": "Embedding", "config": {
        "name": "e", "input_dim": 4, "output_dim": 2, "weights": ["/etc/passwd"]}}), "weights must be null"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_configs_are_refused_with_the_layer(name: str) -> None:
    """What cannot be a model is an invalid spec that names the layer."""
    document, words = BROKEN[name]
    error = answer("keras", document)["error"]
    assert error["code"] == "invalid_spec"
    assert words in error["detail"]


def test_mutated_documents_never_crash_the_builder() -> None:
    """Values replaced at random in valid documents give a model or an error of ours, and nothing else."""
    documents = [
        sequential(DENSE, {"class_name": "BatchNormalization", "config": {"name": "b"}}),
        functional(
            ("a", "Dense", {"units": 2}, ["i"]), ("b", "Dense", {"units": 2}, ["a"]), ("d", "Add", {}, ["a", "b"])
        ),
    ]
    changed = mutants(documents, 300)
    for document, found in zip(changed, answers("keras", changed), strict=True):
        assert "crash" not in found, (document, found["crash"])
