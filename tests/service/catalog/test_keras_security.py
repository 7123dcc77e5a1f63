"""Published attacks on Keras' loading, as configurations: each is named with its place; clean models name nothing."""

from __future__ import annotations

from typing import Any

import pytest

from service.catalog.keras_security import MAX_DANGERS, Scan
from tests.corpus import expected


def found(document: Any) -> list[tuple[str, str]]:
    """(code, severity) of every danger."""
    scan = Scan("config.json")
    scan.run(document)
    return [(danger.code, danger.severity) for danger in scan.dangers]


def layer(class_name: str, **extra: Any) -> dict[str, Any]:
    """A model with one layer, whose entry is extended by `extra`."""
    entry = {
        "module": "keras.layers",
        "class_name": class_name,
        "config": {"name": "x"},
        "registered_name": None,
        **extra,
    }
    return {"class_name": "Functional", "config": {"name": "m", "layers": [entry]}}


ATTACKS = [
    (layer("Lambda", config={"name": "x", "function": {"class_name": "__lambda__", "config": {"code": "4wEA"}}}),
     ("keras_lambda", "critical")),
    (layer("Lambda", config={"name": "x", "function": ["4wEA", None, None], "function_type": "lambda"}),
     ("keras_lambda", "critical")),
    (layer("Lambda", config={"name": "x", "function": "my_function", "function_type": "function"}),
     ("keras_lambda", "medium")),
    (layer("function", module="os", config="system"), ("keras_foreign_module", "critical")),
    (layer("Popen", module="subprocess"), ("keras_foreign_module", "critical")),
    (layer("eval", module="builtins"), ("keras_foreign_module", "critical")),
    (layer("Fancy", module="my_package.layers"), ("keras_foreign_module", "medium")),
    (layer("Dense", registered_name="Custom>Evil"), ("keras_name_mismatch", "high")),
    (layer("Lambda", config={"name": "x", "function": "keras.utils.get_file", "arguments": {"origin": "http://h/x"}}),
     ("keras_gadget", "critical")),
    (layer("function", module="keras.config", config="enable_unsafe_deserialization"), ("keras_gadget", "critical")),
    (layer("function", module="keras.src.backend.common.global_state", config="set_global_attribute"),
     ("keras_gadget", "critical")),
    (layer("Dense", inbound_nodes=[{"args": ["evil.keras"], "kwargs": {"safe_mode": False}}]),
     ("keras_safe_mode_off", "critical")),
    (layer("TorchModuleWrapper", config={"name": "x", "module": "gAJ9"}), ("keras_torch_module", "critical")),
    (layer("TFSMLayer", config={"name": "x", "filepath": "/tmp/evil"}), ("keras_saved_model_layer", "high")),
    (layer("StringLookup", config={"name": "x", "vocabulary": "/etc/passwd"}), ("keras_vocabulary_path", "high")),
    (layer("IntegerLookup", config={"name": "x", "vocabulary": "http://h:9/x"}), ("keras_vocabulary_path", "high")),
    (layer("Dense", config={"name": "../../../pwn"}), ("keras_name_path", "high")),
    (layer("Dense", config={"name": "nul\0byte"}), ("keras_name_path", "high")),
    (layer("TFOpLambda", config={"name": "x", "function": "io.read_file"}), ("keras_file_operation", "high")),
    (layer("Dense", config={"name": "x", "kernel_initializer": "file:///etc/shadow"}), ("keras_path_or_url", "medium")),
    (layer("Dense", spec={"class_name": "__typespec__", "spec_name": "system", "module": "os", "config": ["id"]}),
     ("keras_foreign_module", "critical")),
    (layer("function", module="keras.src.utils.file_utils", config="urlretrieve"), ("keras_gadget", "critical")),
    (layer("TensorFlowOpLayer", config={"name": "x", "node_def": '{"name": "n", "op": "TextLineDataset"}'}),
     ("keras_file_operation", "high")),
    (layer("TensorFlowOpLayer", config={"name": "x", "node_def": 'name: "n"\nop: "ReadFile"\n'}),
     ("keras_file_operation", "high")),
    (layer("Gate", module=None, registered_name="corpus>Gate"), ("keras_custom_object", "info")),
    (layer("function", module="torch.utils.cpp_extension", config="load_inline"), ("keras_foreign_module", "critical")),
    (layer("Template", module="jinja2"), ("keras_foreign_module", "critical")),
    (layer("function", module="tensorflow.io.gfile", config="remove"), ("keras_file_operation", "high")),
    (layer("function", module="keras.src.utils.file_utils", config="remove"), ("keras_gadget", "high")),
    (layer("remove", module="keras.src.utils.file_utils"), ("keras_gadget", "high")),
    (layer("File", module="keras.src.utils.file_utils"), ("keras_gadget", "high")),
    (layer("CSVLogger", module="keras.callbacks"), ("keras_gadget", "high")),
    (layer("Lambda", config={"name": "x", "function": "system", "function_type": "function", "module": "os"}),
     ("keras_foreign_module", "critical")),
    (layer("Lambda", config={"name": "x", "function": "keras.src.utils.file_utils.remove"}), ("keras_gadget", "high")),
]  # fmt: skip


HARMLESS = [
    layer("function", module="keras.activations", config="relu"),
    layer("function", module="keras.backend", config="l2_normalize"),
    layer("Functional", module="keras.src.engine.functional"),
    layer("function", module="keras.losses", config={"name": "x"}),
    layer("Dense", spec={"class_name": "__typespec__", "spec_name": "RaggedTensorSpec", "module": None, "config": []}),
    layer("TensorFlowOpLayer", config={"name": "x", "node_def": '{"name": "ReadFile", "op": "AddV2"}'}),
    layer("Dense", op="add", config={"name": "x", "class_name": "__tensor__", "value": "os.system"}),
]


@pytest.mark.parametrize("document", HARMLESS)
def test_types_and_operations_that_only_compute(document: dict[str, Any]) -> None:
    """A node that is only called as an operation is, a type of TensorFlow's own, data."""
    assert found(document) == []


@pytest.mark.parametrize(("document", "danger"), ATTACKS)
def test_every_attack_is_named(document: dict[str, Any], danger: tuple[str, str]) -> None:
    """The pattern is found, with its severity."""
    assert danger in found(document)


@pytest.mark.parametrize("module", ["__main__", "my_layers", "tensorflow.python.ops.math_ops", "keras.backend", None])
def test_a_lambda_layer_that_names_a_function_is_medium(module: str | None) -> None:
    """Keras 2 writes where a function was made; what is no code there is what the user's model is made of."""
    config = {"name": "x", "function": "square", "function_type": "function", "module": module}
    assert found(layer("Lambda", config=config)) == [("keras_lambda", "medium")]


def test_the_place_is_given_as_layer_path_and_pointer() -> None:
    """A danger in a nested model names the layer by path and the spot in the JSON."""
    inner = layer("StringLookup", config={"name": "words", "vocabulary": "/etc/passwd"})
    outer = {
        "class_name": "Functional",
        "config": {"name": "m", "layers": [{**inner, "config": {**inner["config"], "name": "in"}}]},
    }
    scan = Scan("config.json")
    scan.run(outer)
    danger = scan.dangers[0]
    assert (danger.path, danger.member) == ("in/words", "config.json")
    assert danger.detail == "/config/layers/0/config/layers/0/config/vocabulary: /etc/passwd"


def test_clean_models_are_clean() -> None:
    """No public architecture gives a danger."""
    for name, architecture in expected("keras_architectures").items():
        assert found(architecture["config"]) == [], name


def test_a_million_dangers_do_not_fill_the_report() -> None:
    """The list ends at its limit."""
    assert len(found([{"class_name": "__lambda__"}] * (3 * MAX_DANGERS))) == MAX_DANGERS


def test_depth_is_no_recursion() -> None:
    """Nesting far beyond Python's recursion limit is walked."""
    value: Any = {"class_name": "__lambda__"}
    for _ in range(100_000):
        value = [value]
    assert found(value) == [("keras_lambda", "critical")]
