"""What values show, on arrays small enough to see through: strips, rounding, what cannot be read, what is ambiguous."""

from __future__ import annotations

import numpy as np
import pytest

from service.compare import arrays
from service.compare.compare import compare
from service.comparisons import Comparison
from service.enrich.pipeline import enrich
from service.language import msg
from service.tree import Layer, Report, Weight
from service.values.base import ValuesUnavailable
from service.values.pair import PairOfValues
from tests.builders import layer, model, report, weight
from tests.service.compare.conversions import keras, proved, torch

Arrays = dict[tuple[str, str], np.ndarray]


class Held:
    """One weight's values, held in memory."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype.name

    def array(self) -> np.ndarray:
        return self._array

    def block(self, start: int, stop: int) -> np.ndarray:
        return self._array[start:stop]

    def box(self, start: tuple[int, ...], stop: tuple[int, ...]) -> np.ndarray:
        return self._array[tuple(map(slice, start, stop))]


class Memory:
    """The values of a model, by layer and weight; what is not there cannot be read."""

    def __init__(self, held: Arrays) -> None:
        self._held = held

    def of(self, layer: Layer, weight: Weight) -> Held:
        if (layer.path, weight.name) not in self._held:
            raise ValuesUnavailable(msg("The dataset has another shape than the report says."))
        return Held(self._held[layer.path, weight.name])


def keras_dense(*arrays: np.ndarray) -> tuple[Report, Arrays]:
    """A Dense per array, (in, out)."""
    layers = [layer(f"d{at}", "linear", weight("kernel", array.shape, "kernel", layout="in-out"))
              for at, array in enumerate(arrays)]  # fmt: skip
    held = {(f"d{at}", "kernel"): array for at, array in enumerate(arrays)}
    return report(enrich(model("keras", *layers))), held


def torch_linear(*arrays: np.ndarray) -> tuple[Report, Arrays]:
    """A Linear per array, (out, in)."""
    layers = [layer(str(at), "linear", weight("weight", array.shape, "kernel", layout="out-in"))
              for at, array in enumerate(arrays)]  # fmt: skip
    return report(enrich(model("torch", *layers))), {(str(at), "weight"): array for at, array in enumerate(arrays)}


def judged(left: tuple[Report, Arrays], right: tuple[Report, Arrays]) -> Comparison:
    """Both with their values."""
    return compare(left[0], right[0], PairOfValues(Memory(left[1]), Memory(right[1])))  # type: ignore[arg-type]


RANDOM = np.random.default_rng(3)
KERNEL = RANDOM.normal(size=(6, 4)).astype("float32")
SQUARE = RANDOM.normal(size=(5, 5)).astype("float32")


def test_rounding_is_close_and_told() -> None:
    """One unit in the last place is no mistake; the largest difference is in the summary."""
    nudged = np.nextafter(KERNEL, np.float32(9)).T
    found = judged(keras_dense(KERNEL), torch_linear(nudged))
    difference = found.layers[0].weights[0].difference
    assert difference is not None
    assert difference.verdict == "close"
    assert difference.max_absolute == pytest.approx(np.abs(nudged.T - KERNEL).max())
    assert difference.cosine == pytest.approx(1)
    assert found.problems == ()
    assert "largest difference" in str(found.summary)


def test_a_symmetric_kernel_transposed_or_not_is_equal() -> None:
    """What makes no difference is no mistake."""
    symmetric = SQUARE + SQUARE.T
    assert judged(keras_dense(symmetric), torch_linear(symmetric)).problems == ()


def test_several_explanations_are_all_told() -> None:
    """An antisymmetric kernel that was not transposed looks like one with the wrong sign: nothing is chosen."""
    odd = SQUARE - SQUARE.T
    found = judged(keras_dense(odd), torch_linear(odd))
    assert [problem.code for problem in found.problems] == ["ambiguous"]
    assert "not transposed" in str(found.problems[0].text)
    assert "opposite sign" in str(found.problems[0].text)


def test_other_numbers_are_a_difference_without_a_cause() -> None:
    """Random numbers on both sides: different, nothing explained, and the conversion is not called right."""
    found = judged(keras_dense(KERNEL), torch_linear(RANDOM.normal(size=(4, 6)).astype("float32")))
    assert found.problems == ()
    assert str(found.summary).startswith("The values of 1 weight differ, and no known mistake of a conversion")


def test_what_cannot_be_read_is_unknown_and_partial() -> None:
    """The reason is that of the values; nothing is proved by the rest alone."""
    found = judged(keras_dense(KERNEL), (torch_linear(KERNEL.T)[0], {}))
    difference = found.layers[0].weights[0].difference
    assert difference is not None
    assert (difference.verdict, str(difference.reason)) == (
        "unknown", "The dataset has another shape than the report says.")  # fmt: skip
    assert found.status == "partial"
    assert str(found.summary).endswith("No values could be compared.")


def test_two_versions_with_other_numbers() -> None:
    """Within one framework trained further is no mistake."""
    found = judged(keras_dense(KERNEL, SQUARE), keras_dense(KERNEL, SQUARE + 1))
    assert found.problems == ()
    assert str(found.summary).endswith("The values of 1 of 2 weights differ.")


def test_nan_in_the_same_places_is_equal() -> None:
    """A model that has lost its mind is converted right all the same."""
    broken = KERNEL.copy()
    broken[1, 2] = np.nan
    assert "equal" in str(judged(keras_dense(broken), torch_linear(broken.T)).summary)
    found = judged(keras_dense(broken), torch_linear(KERNEL.T))
    difference = found.layers[0].weights[0].difference
    assert difference is not None
    assert difference.verdict == "different"


@pytest.mark.parametrize("name", ["seed_cnn", "recurrent", "transformer", "convolutions", "resnet"])
def test_strips_find_what_whole_arrays_find(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large weights are read in strips: with strips of 64 numbers the conversions are as right as before."""
    monkeypatch.setattr(arrays, "STRIP", 64)
    found = proved(keras(f"{name}.keras"), torch(f"{name}.pt"))
    verdicts = {weight.difference.verdict for pair in found.layers for weight in pair.weights if weight.difference}
    assert verdicts == {"equal"}


def test_a_mistake_is_found_in_strips_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The flatten order, in a kernel that is read in strips."""
    monkeypatch.setattr(arrays, "STRIP", 64)
    found = proved(keras("seed_cnn.keras"), torch("seed_cnn-flatten_order.pt"))
    assert [problem.code for problem in found.problems] == ["flatten_order"]
