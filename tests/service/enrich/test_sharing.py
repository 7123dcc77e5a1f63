"""A very large model says what its layers have in common once, and every layer can still be told whole."""

from __future__ import annotations

import msgspec

from service import wire
from service.enrich.cost.add import recost
from service.enrich.pipeline import enrich
from service.enrich.sharing import MANY, whole
from service.tree import Layer, Model
from tests.builders import layer, model, report, weight


def deep(count: int) -> Model:
    """Alternating layers of two sizes, in order of storage."""
    kernels = [weight("weight", (8, inputs), "kernel", layout="out-in") for inputs in (4, 5)]
    return model("torch", *(layer(f"{at}", "linear", kernels[at % 2]) for at in range(count)))


def bare(layers: tuple[Layer, ...]) -> list[Layer]:
    return [msgspec.structs.replace(one, like=None) for one in layers]


def test_small_models_say_everything_of_every_layer() -> None:
    """A reader of a thousand layers never has to look elsewhere."""
    made = enrich(deep(1000))
    assert all(one.like is None and one.explanation and one.cost for one in made.layers)


def test_large_models_say_it_where_it_occurs_first() -> None:
    """Two explanations for as many layers as there are; each of the others names the first that has its own."""
    made = enrich(deep(MANY + 1))
    told = [one for one in made.layers if one.explanation is not None]
    assert [one.path for one in told] == ["0", "1"]
    assert {(int(one.path) % 2, one.like) for one in made.layers if one.like} == {(0, "0"), (1, "1")}
    assert len(wire.encode(report(made))) < 700 * len(made.layers)


def test_every_layer_can_be_told_whole() -> None:
    """As a small model of the same layers tells it."""
    large, small = enrich(deep(MANY + 1)), enrich(deep(10))
    assert bare(whole(large.layers)[:10]) == bare(small.layers)


def test_other_costs_are_shared_again() -> None:
    """For another batch, from a report that says things once."""
    again = recost(report(enrich(deep(MANY + 1))), 7, None)
    assert sum(one.cost is not None for one in again.layers) == 2
    fresh = recost(report(enrich(deep(10))), 7, None)
    assert bare(whole(again.layers)[:10]) == bare(fresh.layers)


def test_totals_of_costs_count_every_layer() -> None:
    """Sharing changes what is said, not what is added up."""
    made = enrich(deep(MANY + 2))
    assert made.cost is not None
    assert made.cost.parameter_bytes.value == {"float32": sum(32 * (4 + at % 2) for at in range(MANY + 2))}
