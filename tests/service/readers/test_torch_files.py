"""Every file of the corpus against PyTorch's own answer: names, shapes, types, who learns, classes, totals, ties."""

from __future__ import annotations

from typing import Any

import pytest

from service.config import Limits
from service.formats import Upload
from service.source import FileSource, Meter
from tests.corpus import expected
from tests.service.readers.torch_archives import READERS, content, model, path, upload, weights

EXPECTED: dict[str, dict[str, Any]] = expected("torch_files")
WITH_WEIGHTS = sorted(name for name, facts in EXPECTED.items() if facts.get("weights"))
WITH_TYPES = sorted(name for name, facts in EXPECTED.items() if facts.get("types"))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_exactly_the_right_reader_takes_it(name: str) -> None:
    """The first reader by priority that accepts a file is that of its format, by content alone."""
    given = upload(content(name))
    first = next(reader for reader in READERS if reader.accept(given))
    assert first.FORMAT.id == EXPECTED[name]["format"]
    assert first.FORMAT.framework == "torch"


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_every_weight_is_found_with_its_shape_and_type(name: str) -> None:
    """Full names, sizes and element types are PyTorch's; a lazy parameter has neither."""
    found = weights(model(name))
    for key, facts in EXPECTED[name]["weights"].items():
        shape = found[key].shape
        assert (None if shape is None else list(shape), found[key].dtype) == (facts["shape"], facts["dtype"]), key


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_nothing_is_found_that_is_not_there(name: str) -> None:
    """What is listed beyond PyTorch's names is tied to one of them, a constant, or a quantised tensor's scales."""
    found = weights(model(name))
    beyond = {
        key: weight for key, weight in found.items() if key not in EXPECTED[name]["weights"] and weight.tied_to is None
    }
    assert {weight.role for weight in beyond.values()} <= {"constant", "quant_scale", "zero_point"}


@pytest.mark.parametrize("name", [name for name in WITH_WEIGHTS if "parameters" in EXPECTED[name]])
def test_who_learns_is_what_the_file_records(name: str) -> None:
    """requires_grad of parameters; buffers are statistics, and persistent or not."""
    found = weights(model(name))
    for key, facts in EXPECTED[name]["weights"].items():
        weight = found[key]
        assert (weight.trainable, weight.group == "statistic") == (facts["trainable"], facts["buffer"]), key
        assert weight.trainable_source == "recorded"
        if "persistent" in facts and EXPECTED[name]["format"] != "torchscript":
            assert weight.persistent is facts["persistent"], key


@pytest.mark.parametrize("name", [name for name in WITH_WEIGHTS if "parameters" in EXPECTED[name]])
def test_totals_are_those_of_pytorch(name: str) -> None:
    """Over unique weights: `sum(p.numel())`, the same of what requires a gradient, and of buffers."""
    unique = [weight for weight in weights(model(name)).values() if weight.tied_to is None and weight.count is not None]
    learned = sum(weight.count or 0 for weight in unique if weight.group == "trainable")
    frozen = sum(weight.count or 0 for weight in unique if weight.group == "frozen")
    assert (learned + frozen, learned) == (EXPECTED[name]["parameters"], EXPECTED[name]["trainable"])


@pytest.mark.parametrize("name", WITH_TYPES)
def test_classes_are_recorded(name: str) -> None:
    """Every module of `named_modules()` is a layer with its class."""
    found = {layer.path: layer.type for layer in model(name).layers}
    assert {path: found.get(path) for path in EXPECTED[name]["types"]} == EXPECTED[name]["types"]


@pytest.mark.parametrize("name", [name for name in EXPECTED if EXPECTED[name].get("ties")])
def test_ties_are_found_by_storage(name: str) -> None:
    """The second name of a storage points to the first."""
    found = weights(model(name))
    assert {other: found[other].tied_to for _, other in EXPECTED[name]["ties"]} == {
        other: first for first, other in EXPECTED[name]["ties"]
    }


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_tree_is_sound(name: str) -> None:
    """Paths are unique, parents come before their children, and every weight's bytes lie within the file."""
    found, seen = model(name), set()
    for layer in found.layers:
        assert layer.path not in seen
        assert layer.parent is None or layer.parent in seen
        seen.add(layer.path)
    size = len(content(name))
    for weight in weights(found).values():
        if weight.location is not None and weight.location.offset is not None and weight.location.length is not None:
            assert weight.location.offset + weight.location.length <= size


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_clean_files_have_no_grave_danger(name: str) -> None:
    """Nothing is high or critical in what PyTorch wrote, but for torch.fx, whose pickles do run generated code."""
    grave = {danger.detail for danger in model(name).security if danger.severity in ("critical", "high")}
    assert grave == ({"torch.fx.graph_module.reduce_graph_module"} if name == "fx_module.pt" else set())


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_values_are_not_read(name: str) -> None:
    """Of a large file only headers and pickles are read: under half a megabyte of 52."""
    with path(name).open("rb") as file:
        meter = Meter(Limits())
        given = Upload({"file": FileSource(file.fileno(), meter)}, meter)
        next(reader for reader in READERS if reader.accept(given)).read(given)
    assert meter.read < 500_000


@pytest.mark.parametrize("name", [name for name in EXPECTED if EXPECTED[name].get("outputs")])
def test_output_shapes_are_those_of_the_modules(name: str) -> None:
    """The exported graph's shape of each layer, the batch axis open."""
    found = {layer.path: layer.output_shapes for layer in model(name).layers}
    wanted = {path: ((None, *shape),) for path, shape in EXPECTED[name]["outputs"].items()}
    assert {path: found[path] for path in wanted} == wanted
