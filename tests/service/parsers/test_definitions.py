"""Numbers and orders that are written down here are those of the formats' own definitions."""

from __future__ import annotations

from typing import Any

import pytest

from service.catalog.coreml_arrays import expected as arrays_of
from service.catalog.coreml_layers import ACTIVATIONS, LAYERS
from service.catalog.coreml_model import TYPES
from service.parsers import coreml_values, paddle_tensors
from service.parsers.paddle_pir import SLOTS
from tests.corpus import expected


def defined(format_name: str, what: str) -> dict[str, Any]:
    """What the definition says."""
    found: dict[str, Any] = expected("field_definitions")[format_name][what]
    return found


def test_core_ml_types_of_models_and_elements() -> None:
    """Every type of model, every element type: none is missing, none has another number."""
    assert {str(number): name for number, name in TYPES.items()} == defined("coreml", "models")
    ours = {str(number): name.replace("_", "") for number, name in coreml_values.DTYPES.items()}
    assert ours == {number: name for number, name in defined("coreml", "dtypes").items() if name != "unused_type"}


def test_core_ml_layers_and_activations() -> None:
    """Every layer by its number, with the numbers and names of its settings and arrays."""
    layers = defined("coreml", "layers")
    assert {str(number): layer.name for number, layer in LAYERS.items()} == {
        number: name for number, (name, _) in layers.items()
    }
    for number, layer in LAYERS.items():
        fields = layers[str(number)][1]
        assert {one.name: fields.get(str(one.number)) for one in layer.settings} == {
            one.name: one.name for one in layer.settings
        }
        for array in arrays_of(layer.name, {}):
            if len(array.fields) == 1:
                assert fields[str(array.fields[0])] == array.name
    assert {str(number): name for number, name in ACTIVATIONS.items()} == defined("coreml", "activations")


_PADDLE = {"fp16": "float16", "fp32": "float32", "fp64": "float64", "bf16": "bfloat16", "size_t": "uint64",
           "fp8_e4m3fn": "float8_e4m3fn", "fp8_e5m2": "float8_e5m2"}  # fmt: skip


def test_paddle_element_types() -> None:
    """The numbers of VarType that a tensor can have."""
    names = defined("paddle", "dtypes")
    assert {number: _PADDLE.get(names[str(number)], names[str(number)]) for number in paddle_tensors.DTYPES} == (
        paddle_tensors.DTYPES
    )


_WORDS = {"Ids": {"x"}, "Input": {"x", "input"}, "W": {"w", "weight"}, "Residual": {"residual"},
          "DropoutState": {"dropout_state_in"}}  # fmt: skip


@pytest.mark.parametrize("name", SLOTS)
def test_paddle_operands_in_their_order(name: str) -> None:
    """The words here are those of its class, or say the same; what is no weight may be left out at the end."""
    operators = defined("paddle", "operands")
    order = operators.get(name) or operators.get(f"{name}_")
    assert order is not None
    for ours, theirs in zip(SLOTS[name], order, strict=False):
        plain = theirs.replace("_", "")
        assert plain == ours.lower() or theirs in _WORDS.get(ours, set()), (ours, theirs)
    assert len(SLOTS[name]) <= len(order)
