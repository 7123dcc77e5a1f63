"""Layers are of one sort exactly where the same is counted, explained and weighed of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from service.enrich.likeness import alike
from service.tree import Location
from tests.builders import layer, weight

KERNEL = weight("kernel", (2, 3), "kernel")
ONE = layer("a", "linear", KERNEL, type="Dense", config={"units": 3, "name": "a"})


def same(other: dict[str, Any], weights: dict[str, Any] | None = None) -> bool:
    """Whether a layer that differs so is of the same sort."""
    held = (msgspec.structs.replace(KERNEL, **weights),) if weights else (KERNEL,)
    return len(alike((ONE, msgspec.structs.replace(ONE, **{"weights": held, **other}))).first) == 1


def test_sorts_are_numbered_as_they_come() -> None:
    """Each with its first layer and how many there are."""
    kinds = ("linear", "conv2d", "linear", "linear", "pool", "conv2d")
    layers = tuple(layer(f"{at}", kind) for at, kind in enumerate(kinds))
    found = alike(layers)
    assert (found.numbers, found.first, found.times) == ([0, 1, 0, 0, 2, 1], [0, 1, 4], [3, 2, 1])
    assert [(one.path, times) for one, times in found.sorts(layers)] == [("0", 3), ("1", 2), ("4", 1)]


def test_weights_come_with_their_number() -> None:
    """Of all layers of a sort together."""
    layers = (ONE, msgspec.structs.replace(ONE, path="b"), layer("c", "linear", KERNEL, KERNEL))
    assert [times for _, times in alike(layers).weights(layers)] == [2, 1, 1]


@pytest.mark.parametrize(
    "other",
    [{"path": "b"}, {"name": "b"}, {"parent": "x"}, {"config": {"units": 3, "name": "b"}}, {"inputs": ("x",)},
     {"output_shapes": ((1,),)}],
)  # fmt: skip
def test_places_and_names_make_no_difference(other: dict[str, Any]) -> None:
    """Nor does where the weights lie."""
    assert same(other)
    assert same({}, {"location": Location(offset=3), "stored_as": "x"})


@pytest.mark.parametrize(
    "other",
    [{"kind": "conv1d"}, {"type": None}, {"type_source": "rule"}, {"module": "m"}, {"custom": True}, {"weights": ()},
     {"config": {}}, {"config": {"units": 4, "name": "a"}}, {"weights": (KERNEL, KERNEL)}, {"path": "x.lora_A.y"}],
)  # fmt: skip
def test_what_a_layer_is_makes_one(other: dict[str, Any]) -> None:
    """Its class, its settings, its weights, and whether its path is that of a low-rank pair."""
    assert not same(other)


@pytest.mark.parametrize(
    "other",
    [{"name": "b"}, {"role": "bias"}, {"shape": (3, 2)}, {"dtype": "int8"}, {"count": 5}, {"stored_count": 3},
     {"bytes": 1}, {"group": "frozen"}, {"layout": "out-in"}, {"tied_to": "x"}, {"persistent": False}],
)  # fmt: skip
def test_what_a_weight_is_makes_one(other: dict[str, Any]) -> None:
    """All but its place."""
    assert not same({}, other)
