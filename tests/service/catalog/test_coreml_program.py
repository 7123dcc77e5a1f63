"""Programs of Core ML: weights compressed twice keep their logical count, functions share weights."""

from __future__ import annotations

import pytest

from service.catalog.coreml_operations import in_order
from service.readers import coreml_package
from tests.service.catalog.coreml_models import layers, model, package, told
from tests.service.parsers.protobuf_maps import COREML, turned
from tests.service.readers.fielded import described


@pytest.mark.parametrize(
    ("name", "operations", "dtype", "size", "beside"),
    [
        ("sparse_table", ["constexpr_lut_to_sparse", "constexpr_sparse_to_dense"], "uint4", 128, ("weight.lut", 16)),
        ("sparse_scaled", ["constexpr_sparse_blockwise_shift_scale", "constexpr_sparse_to_dense"], "int8", 256,
         ("weight.scale", 40)),
    ],
)  # fmt: skip
def test_weights_that_are_sparse_and_in_few_bits(
    name: str, operations: list[str], dtype: str, size: int, beside: tuple[str, int]
) -> None:
    """A matrix of 40 × 16 of which 256 values are stored, as codes: with the mask once, and what turns codes back."""
    assert told("joint")[name] == operations
    held = {weight.name: weight for weight in layers(f"{name}.mlpackage")["fc"].weights}
    weight = held["weight"]
    assert (weight.shape, weight.count, weight.stored_count) == ((40, 16), 640, 256)
    assert (weight.dtype, weight.bytes, weight.group, weight.location) == (dtype, size, "frozen", None)
    assert list(held) == ["weight", beside[0], "weight.mask", "bias"]
    assert held[beside[0]].count == beside[1]
    assert (held["weight.mask"].count, held["weight.mask"].bytes, held["weight.mask"].group) == (640, 80, "statistic")
    totals = model(f"{name}.mlpackage").totals
    assert totals is not None
    assert totals.parameters == 640 + 40


def test_functions_share_their_weights() -> None:
    """Each function is a model below its name; a weight that two use counts once and says whose it is."""
    found = model("functions.mlpackage")
    tops = [layer.path for layer in found.layers if layer.parent is None]
    assert sorted(tops) == told("functions")
    assert {layer.kind for layer in found.layers if layer.parent is None} == {"model"}
    first, second = (f"{top}/fc" for top in tops)
    held = {layer.path: layer for layer in found.layers}
    assert held[second].inputs == (f"{tops[1]}/x",)
    assert [weight.tied_to for weight in held[second].weights] == [f"{first}/weight", f"{first}/bias"]
    assert [weight.tied_to for weight in held[first].weights] == [None, None]
    assert found.totals is not None
    assert (found.totals.parameters, found.totals.parameters_with_repeats) == (680, 1360)
    assert found.info.tags["outputs"] == [first, second]


@pytest.mark.parametrize("name", ["functions", "sparse_table", "sparse_scaled"])
def test_maps_have_no_order(name: str) -> None:
    """Functions, operands and attributes come in one order, however the same model was written."""
    parts = package(f"{name}.mlpackage")
    (spec,) = (part for part in parts if part.endswith(".mlmodel"))
    other = {**parts, spec: turned(parts[spec], COREML)}
    assert other != parts
    first, second = (described(coreml_package, one) for one in (parts, other))
    assert repr(first) == repr(second)


def test_operands_come_as_they_are_defined() -> None:
    """Data first, then the kernel, the recurrent one and the bias, then what is not known by its name."""
    names = ["bias", "zeta", "weight_hh", "x", "alone", "weight_ih", "key", "query"]
    assert [name for name, _ in in_order(dict.fromkeys(names))] == [
        "x", "query", "key", "weight_ih", "weight_hh", "bias", "alone", "zeta",
    ]  # fmt: skip
