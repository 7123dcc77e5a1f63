"""Costs held against what TensorFlow's profiler counts for Keras models (Keras 3.15 itself has no FLOP counter)."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from service.tree import Model
from tests.building import answers
from tests.enriching import add_costs
from tests.service.enrich.cost.tools import built, by_path, folder, measured, total

MODELS = sorted(measured("keras"))
PRODUCTS = ("MatMul", "BatchMatMulV2", "Conv2D", "Conv3D", "DepthwiseConv2dNative", "Conv2DBackpropInput")


@functools.cache
def models() -> dict[str, Model]:
    """Every model of the driver, built from its JSON as an upload would be."""
    texts = [(folder("keras") / f"{name}.json").read_text() for name in MODELS]
    return {name: built(answer) for name, answer in zip(MODELS, answers("keras", texts), strict=True)}


def products(name: str) -> int:
    """FLOPs of matrix products and convolutions by the profiler."""
    counted: dict[str, Any] = measured("keras")[name]["profiler"]
    return sum(counted.get(operation, 0) for operation in PRODUCTS)


def macs(name: str) -> dict[str, int]:
    """MACs by layer type, all calls together."""
    found: dict[str, int] = {}
    made = add_costs(models()[name], 2)
    for layer in made.layers:
        assert layer.cost is not None
        assert layer.cost.macs.value is not None, layer.path
        found[layer.type or ""] = found.get(layer.type or "", 0) + layer.cost.macs.value * layer.cost.calls
    return found


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("attention", "convolutions")])
def test_macs_are_half_the_profilers_flops(name: str) -> None:
    """ResNet50, MobileNetV2, 3-D, recurrent (unrolled), shared and time-distributed layers agree to the last one."""
    found = total(add_costs(models()[name], 2)).macs
    assert (found.value, found.status) == (products(name) // 2, "complete")
    assert sum(macs(name).values()) == found.value


def test_the_profiler_misses_grouped_convolutions() -> None:
    """Keras compiles a grouped convolution apart, where the profiler does not look: the rest agrees."""
    made = add_costs(models()["convolutions"], 2)
    grouped = made.layers[0]
    assert grouped.config["groups"] == 2
    assert grouped.cost is not None
    assert products("convolutions") == 2 * (total(made).macs.value or 0) - 2 * (grouped.cost.macs.value or 0)


def test_the_profiler_misses_the_products_of_attention() -> None:
    """It has no formula for Einsum: queries × keys and scores × values (2 × 4 heads × 9² × (8 + 6)) are missing."""
    assert products("attention") == 2 * (sum(macs("attention").values()) - 2 * 4 * 81 * (8 + 6))


def test_bias_additions_are_counted_as_the_profiler_does() -> None:
    """FLOPs beyond products are biases alone in a model of plain layers: the same number."""
    found = total(add_costs(models()["volumes"], 2)).flops.value
    assert found == sum(measured("keras")["volumes"]["profiler"].values())


def test_receptive_fields_of_well_known_networks() -> None:
    """ResNet50 483 and MobileNetV2 491 at stride 32 (Araujo, Norris, Sim 2019)."""
    for name, last, extent in (("resnet50", "conv5_block3_out", 483), ("mobilenet_v2", "out_relu", 491)):
        cost = by_path(add_costs(models()[name]))[last]
        assert cost.receptive_field is not None
        assert cost.stride is not None
        assert (cost.receptive_field.value, cost.stride.value) == ((extent, extent), (32, 32))
