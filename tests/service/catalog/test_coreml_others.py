"""Core ML's models that are no networks: every number that was fitted is counted, under the name of its field."""

from __future__ import annotations

import pytest

from tests.service.catalog.coreml_models import layers, model, told


@pytest.mark.parametrize("name", told("classical"))
def test_fitted_numbers_are_counted(name: str) -> None:
    """Arrays with as many values as coremltools wrote, in one layer behind the input."""
    (layer,) = (one for one in model(f"{name}.mlmodel").layers if one.kind != "input")
    assert {weight.name: weight.count for weight in layer.weights} == told("classical")[name]
    sizes = {weight.name: (weight.bytes or 0) // (weight.count or 1) for weight in layer.weights}
    assert set(sizes.values()) == {4 if name == "neighbours" else 8}
    assert layer.inputs == ("features",)


def test_places_only_of_values_in_one_piece() -> None:
    """Two weight vectors of a classifier lie apart; the offsets behind them lie together."""
    weights = {weight.name: weight for weight in layers("linear.mlmodel")["glmClassifier"].weights}
    assert weights["weights"].location is None
    place = weights["offset"].location
    assert place is not None
    assert place.length == 16


def test_settings_say_how_many() -> None:
    """Support vectors per class, samples and their dimensions."""
    machine = layers("classifier.mlmodel")["supportVectorClassifier"]
    assert machine.config == {"numberOfSupportVectorsPerClass": [2, 1]}
    neighbours = layers("neighbours.mlmodel")["kNearestNeighborsClassifier"]
    assert neighbours.config == {"numberOfDimensions": 3, "samples": 2}


def test_opaque_parameters_are_bytes_of_unknown_count() -> None:
    """A text classifier's data: its size is told, its number of values is not guessed."""
    found = model("text.mlmodel")
    (weight,) = layers("text.mlmodel")["textClassifier"].weights
    assert (weight.bytes, weight.count, weight.shape, weight.dtype) == (77, None, None, None)
    assert found.totals is not None
    assert (found.totals.parameters, found.totals.status) == (None, "partial")
