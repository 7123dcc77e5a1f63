"""safetensors files of public packages are read as the safetensors library reads them, whole and by their headers."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from safetensors import deserialize

from service.parsers.safetensors import ELEMENTS
from service.tree import Model, Weight
from tests.packages.fetch import Shipped, fetch, fetch_all, manifest
from tests.service.readers.hf_uploads import read, rules, weights

EACH = pytest.mark.parametrize("file", manifest("safetensors"), ids=lambda file: file.id)


def model(file: Shipped) -> Model:
    """What we say of the file, with those that belong to it."""
    return read({name: path.read_bytes() for name, path in fetch_all(file).items()})


def facts(found: dict[str, Weight]) -> dict[str, tuple[list[int], str | None]]:
    return {name: (list(weight.shape or ()), weight.dtype) for name, weight in found.items()}


def library(path: Path) -> dict[str, tuple[list[int], str | None]]:
    """What the library reads."""
    return {name: (list(one["shape"]), ELEMENTS[one["dtype"]][0]) for name, one in deserialize(path.read_bytes())}


@EACH
def test_every_array_is_there(file: Shipped) -> None:
    """Names, shapes and types are the library's, and none is missing or invented."""
    assert facts(weights(model(file))) == library(fetch(file))


@EACH
def test_the_totals_are_the_known_ones(file: Shipped) -> None:
    """As many arrays and elements as were counted when the file was added; nothing in an honest file is doubted."""
    found = weights(model(file)).values()
    assert (len(found), sum(weight.count or 0 for weight in found)) == (file.weights, file.elements)
    assert (model(file).info.format, model(file).info.framework) == (file.format, file.framework)
    assert (rules(model(file)), model(file).security, model(file).complete) == ([], (), True)


@EACH
def test_the_header_alone_tells_the_same(file: Shipped) -> None:
    """All but the values, incomplete."""
    data = fetch(file).read_bytes()
    found = read({"x": data[: 8 + struct.unpack("<Q", data[:8])[0]]})
    assert (facts(weights(found)), found.complete) == (library(fetch(file)), False)


def test_a_file_agrees_with_the_count_in_its_own_metadata() -> None:
    """`parameter_count` that the makers of one file wrote into it."""
    (file,) = (one for one in manifest("safetensors") if one.path == "fracast/weights/model.safetensors")
    assert int(model(file).info.tags["parameter_count"]) == file.elements
