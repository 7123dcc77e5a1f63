"""Cries of wolf: no model file of a public package, and none that a framework wrote here, is called dangerous."""

from __future__ import annotations

from pathlib import Path

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
