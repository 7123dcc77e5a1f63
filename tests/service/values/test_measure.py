"""Whole models measured: every weight of every file of the corpus, shared ones once, with progress."""

from __future__ import annotations

import numpy as np
import pytest

from service.tree import Model
from service.values.measure import measure
from tests.corpus import corpus_dir
from tests.service.values.opened import opened, read, upload, weights


def measured(path) -> tuple[Model, list[tuple[int, int]]]:
    """A file's model with statistics, and the progress that was told."""
    given, told = upload(path), []
    return measure(given, read(given), lambda done, total: told.append((done, total))), told


FILES = (
    "keras_files/trained.keras",
    "keras_files/normalizations.h5",
    "keras_values/int4.keras",
    "torch_files/net_module.pt",
    "torch_files/script.pt",
    "torch_files/oldest.tar",
    "torch_values/exported.pt2",
)


@pytest.mark.parametrize("name", FILES)
def test_every_weight_is_measured(name):
    """Counts agree with the report's, extremes with the values; `states` are left alone."""
    folder, file = name.split("/")
    model, _ = measured(corpus_dir(folder) / file)
    plain, values = opened(corpus_dir(folder) / file)
    for key, (layer, weight) in weights(model).items():
        seen = weight.statistics
        assert seen is not None
        assert (seen.status, seen.count) == ("complete", weight.count), key
        whole = values.of(*weights(plain)[key]).array()
        assert (seen.min, seen.max) == (float(whole.min()), float(whole.max()))
        assert layer.path
    assert all(weight.statistics is None for state in model.states for weight in state.weights)


def test_progress_runs_from_nothing_to_everything():
    """Never back, never past the end, and ends at the total."""
    _, told = measured(corpus_dir("keras_files") / "mobilenet.keras")
    assert len(told) > 100
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > 0


def test_the_weights_of_a_normalisation_are_given_one_by_one():
    """Per channel: the values themselves, as the shortest decimals that stand for them; kernels are not."""
    path = corpus_dir("keras_values") / "plain.keras"
    model, _ = measured(path)
    _, values = opened(path)
    roles = {}
    for layer, weight in weights(model).values():
        roles[weight.role] = weight.statistics.values
        if weight.statistics.values is not None:
            assert np.array_equal(np.float32(weight.statistics.values), values.of(layer, weight).array())
    assert {role for role, held in roles.items() if held is not None} == {
        "scale",
        "offset",
        "moving_mean",
        "moving_variance",
    }
    assert roles["kernel"] is None


def test_tied_weights_are_read_once():
    """Two names of one storage: the same statistics, and the bytes are counted once."""
    given = upload(corpus_dir("torch_files") / "oldest.tar")
    model = read(given)
    before = given.meter.values
    found = weights(measure(given, model, lambda _done, _total: None))
    assert found["alias"][1].tied_to == "weight"
    assert found["alias"][1].statistics is found["weight"][1].statistics
    held = {weight.location: weight.bytes or 0 for _, weight in found.values()}
    assert given.meter.values - before == sum(held.values())


def test_a_file_cut_short_after_its_header_was_read_says_so():
    """The reading ends with a reason for the weights that are gone; the others have their statistics."""
    path = corpus_dir("torch_values") / "module.pt"
    given = upload(path)
    model = read(given)
    data = bytearray(path.read_bytes())
    name = b"data/2"
    assert data.count(name) >= 2
    cut = upload(bytes(data[: len(data) // 2]))
    found = weights(measure(cut, model, lambda _done, _total: None))
    assert {weight.statistics.status for _, weight in found.values()} == {"unavailable"}
    assert all("could not be read" in str(weight.statistics.reason) for _, weight in found.values())
