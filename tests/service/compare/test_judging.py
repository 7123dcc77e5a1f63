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


def noisy(array: np.ndarray, share: float = 0.01) -> np.ndarray:
    """The same numbers, moved a little."""
    return (array + share * RANDOM.normal(size=array.shape)).astype("float32")


def test_two_versions_of_which_the_head_changed() -> None:
    """Within one framework other numbers are no mistake: which layers changed, how much, and which did not."""
    found = judged(keras_dense(KERNEL, SQUARE, KERNEL), keras_dense(KERNEL, SQUARE, KERNEL + np.float32(0.5)))
    assert found.problems == ()
    said = str(found.summary)
    assert "Everything else is equal. The values of 1 of 3 weights changed (typical cosine similarity 0." in said
    assert said.endswith("The largest change is 0.5, in kernel of d2. Changed: d2. Unchanged: d0 and d1.")


def test_a_version_trained_further() -> None:
    """All numbers moved a little: nothing is unchanged, and the cosine says how alike they are."""
    found = judged(keras_dense(KERNEL, SQUARE), keras_dense(noisy(KERNEL), noisy(SQUARE)))
    assert found.problems == ()
    assert "The values of 2 of 2 weights changed (typical cosine similarity 0.9999" in str(found.summary)
    assert "nchanged" not in str(found.summary)


def test_two_models_of_one_structure_are_no_wrong_conversion() -> None:
    """Every kernel is another one: said first, with how many and how much alike; nothing is called a mistake."""
    ours = [RANDOM.normal(size=(6, 4)).astype("float32") for _ in range(4)]
    theirs = [RANDOM.normal(size=(4, 6)).astype("float32") for _ in range(4)]
    found = judged(keras_dense(*ours), torch_linear(*theirs))
    assert found.problems == ()
    assert str(found.summary).startswith(
        "These are two models of one structure with different values, not a conversion of one another: 4 of 4 weights"
        " differ (typical cosine similarity "
    )
    further = judged(keras_dense(*ours), torch_linear(*(noisy(each.T) for each in ours)))
    assert str(further.summary).startswith("These are two models of one structure whose values are alike but not the")


def norms(framework: str, *vectors: tuple[float, float, float, float]) -> tuple[Report, Arrays]:
    """Normalisations, each of whose vectors is filled with one number, behind a Dense of random numbers."""
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    roles = ("scale", "offset", "moving_mean", "moving_variance")
    layers, held = [], {}
    for at, values in enumerate(vectors):
        layers.append(layer(f"n{at}", "batch_norm", *(weight(name, (8,), role, "statistic" if "moving" in name else
                      "trainable") for name, role in zip(names, roles, strict=True))))  # fmt: skip
        held.update({(f"n{at}", name): np.full(8, value, "float32") for name, value in zip(names, values, strict=True)})
    return report(enrich(model(framework, *layers))), held


def test_constants_prove_no_exchange() -> None:
    """Zeros and ones look like any other zeros and ones: 0.99 is no epsilon too little, and no factor."""
    found = judged(norms("keras", (1, 0, 0, 1)), norms("torch", (1, 0, 1, 0.99)))
    assert found.problems == ()
    assert "no known mistake" in str(found.summary)


def test_an_exchange_with_zeros_is_named_by_the_other() -> None:
    """Gamma is trained, beta still zero: gamma's numbers in beta's place prove that they were swapped."""
    (left, ours), (right, theirs) = norms("keras", (1, 0, 0.5, 1)), norms("torch", (0, 0, 0.5, 1))
    ours["n0", "gamma"] = theirs["n0", "beta"] = RANDOM.normal(size=8).astype("float32")
    found = judged((left, ours), (right, theirs))
    assert [problem.code for problem in found.problems] == ["scale_offset_swapped"]


def test_a_few_other_numbers_are_counted() -> None:
    """Three numbers of a kernel are other ones: not the whole weight is wrong."""
    spoiled = SQUARE.T.copy()
    spoiled[0, :3] += 1
    found = judged(keras_dense(KERNEL, SQUARE), torch_linear(KERNEL.T, spoiled))
    assert [problem.code for problem in found.problems] == ["some_values"]
    assert "(3); all others are equal." in str(found.summary)


def test_a_square_kernel_is_not_called_transposed_for_nothing() -> None:
    """A right conversion of square, symmetric and constant kernels has no mistake."""
    kernels = [SQUARE, SQUARE + SQUARE.T, np.eye(5, dtype="float32"), np.ones((5, 5), "float32")]
    found = judged(keras_dense(*kernels), torch_linear(*(each.T for each in kernels)))
    assert found.problems == ()
    assert str(found.summary).endswith("The values of all 4 weights are equal.")


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
