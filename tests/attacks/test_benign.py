"""Cries of wolf: no model file of a public package, and none that a framework wrote here, is called dangerous."""

from __future__ import annotations

import gzip
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.config import Limits
from service.errors import InputError
from service.formats import Upload
from service.registry import load_readers
from service.source import FileSource, Meter
from service.worker.reading import read
from tests.attacks.frame import SERIOUS
from tests.corpus import corpus_dir
from tests.packages.fetch import Shipped, fetch_all, manifest
from tests.service.parsers.joblib_pickler import dumped
from tests.service.parsers.pickles import call

TESTS = Path(__file__).resolve().parent.parent
PACKAGES = sorted(path.stem for path in (TESTS / "packages").glob("*.toml"))
NO_CORPUS = {"__init__", "field_definitions"}
CORPORA = sorted({path.stem for path in (TESTS / "factory").glob("*.py")} - NO_CORPUS)
READERS = load_readers()

TRULY = {
    ("keras_savedmodels", "plain_module/saved_model.pb"): {"tf_file_operation"},
    ("torch_files", "fx_module.pt"): {"pickle_global"},
}
"""Files that do what is said of them: a function that reads a file; a module of FX, whose pickle executes its code."""


def loud(files: dict[str, Path]) -> set[str]:
    """Codes of the critical and high dangers in an upload of these files; none where it is no model, or not static."""
    meter = Meter(Limits())
    opened = {name: path.open("rb") for name, path in files.items()}
    try:
        upload = Upload({name: FileSource(file.fileno(), meter) for name, file in opened.items()}, meter)
        model = read(upload, READERS).model
    except InputError:
        return set()
    finally:
        for file in opened.values():
            file.close()
    return {danger.code for danger in model.security if danger.severity in SERIOUS} if model is not None else set()


@pytest.mark.parametrize("file", [file for name in PACKAGES for file in manifest(name)], ids=lambda file: file.id)
def test_files_of_public_packages_are_not_called_dangerous(file: Shipped) -> None:
    """Each with what belongs to it, in every format: pickles of scikit-learn, graphs with savers, archives."""
    assert loud(fetch_all(file)) == set()


@pytest.mark.parametrize("name", CORPORA)
def test_files_that_frameworks_wrote_are_not_called_dangerous(name: str) -> None:
    """Each file of each corpus by itself; the two that truly do something are named for that."""
    folder = corpus_dir(name)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    found = {str(path.relative_to(folder)): loud({path.name: path}) for path in files}
    expected = {path: codes for (corpus, path), codes in TRULY.items() if corpus == name}
    assert {path: codes for path, codes in found.items() if codes} == expected


def argument(value: Any) -> bytes:
    """The opcodes of a plain value, that leave the memo as it is."""
    return pickletools.optimize(pickle.dumps(value, 2))[2:-1]


REBUILT: dict[str, bytes] = {
    "HistGradientBoostingClassifier": call("_loss", "CyHalfBinomialLoss"),
    "GradientBoostingClassifier": call("_loss", "__pyx_unpickle_CyHalfMultinomialLoss",
                                       b"c_loss\nCyHalfMultinomialLoss\n", argument(238750788), b"N"),
    "GradientBoostingRegressor": call("sklearn._loss._loss", "CyPinballLoss", argument(0.5)),
    "TweedieRegressor": call("sklearn._loss._loss", "CyHalfTweedieLossIdentity", argument(1.5)),
    "SGDClassifier": call("sklearn.linear_model._sgd_fast", "Hinge", argument(1.0)),
    "HDBSCAN": call("hdbscan.dist_metrics", "newObj", b"chdbscan.dist_metrics\nEuclideanDistance\n"),
    "TSNE": call("sklearn.neighbors._quad_tree", "_QuadTree", argument(2), argument(0)),
    "ARIMA": call("statsmodels.tsa.statespace._initialization", "dInitialization", argument(2)),
    "a table": call("pandas.core.internals.managers", "BlockManager", argument(()), argument([])),
    "a table with steps of time": call("pandas._libs.tslibs.offsets", "MonthEnd", argument(1), argument(False)),
    "a span of time": call("pandas._libs.tslibs.period", "Period", argument("2020"), argument("M")),
    "a sparse column": call("pandas._libs.sparse", "IntIndex", argument(3), argument([1])),
    "a column of texts": call("pandas", "StringDtype", argument("python"), b"cpandas\nNA\n"),
    "no moment": call("pandas._libs.tslibs.nattype", "__nat_unpickle", b"N"),
    "a zone": call("pytz", "_p", argument("Europe/Berlin"), argument(3180), argument(0), argument("LMT")),
}  # fmt: skip
"""What pickles of fitted models and of tables call; their libraries are not among the packages of the tests."""


@pytest.mark.parametrize("name", REBUILT)
def test_models_and_tables_of_other_libraries_are_not_called_dangerous(name: str, tmp_path: Path) -> None:
    """Each beside an array, as pickle writes them."""
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02(" + argument(np.dtype("f4")) + REBUILT[name] + b"t.")
    assert loud({path.name: path}) == set()


@pytest.mark.parametrize("inner", [2, 5])
def test_files_of_joblib_are_not_called_dangerous(inner: int, tmp_path: Path) -> None:
    """Texts of classes in arrays of objects, which joblib pickles in place: before 1.5 by protocol 2, by 5 since."""
    words = np.array(["no", "yes", np.float64(3), np.ones(2)], dtype=object)
    data = dumped({"classes_": words, "coef_": np.ones((2, 3)), "categories_": [words]}, 4, inner)
    weights = tmp_path / "model.npz"
    np.savez(weights, w=np.ones(3))
    for name, content in {"model.joblib": data, "model.joblib.gz": gzip.compress(data)}.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert loud({path.name: path}) == loud({path.name: path, weights.name: weights}) == set()
