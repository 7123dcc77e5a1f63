"""The rarer sorts of Core ML models of the corpus, read and enriched."""

from __future__ import annotations

from typing import Any

from service.readers import coreml, coreml_package
from service.tree import Layer, Model
from tests.corpus import corpus_dir, expected
from tests.service.readers.fielded import described

CORPUS = "field_coreml_more"


def told(kind: str) -> Any:
    """What coremltools says of the models of a kind."""
    return expected(CORPUS)[kind]


def model(name: str) -> Model:
    """A file of the corpus, or a package."""
    path = corpus_dir(CORPUS) / name
    if path.is_file():
        return described(coreml, {name: path.read_bytes()})
    return described(coreml_package, package(name))


def package(name: str) -> dict[str, bytes]:
    """The files of a package of the corpus."""
    path = corpus_dir(CORPUS) / name
    return {str(one.relative_to(path)): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}


def layers(name: str) -> dict[str, Layer]:
    """The layers of a model by their paths."""
    return {layer.path: layer for layer in model(name).layers}
