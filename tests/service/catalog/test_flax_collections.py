"""What the top of a Flax tree means: which arrays are the model, which learn, which belong to the optimizer."""

from __future__ import annotations

import pytest

from service.catalog.flax_collections import Found, describe_tree, group_of, is_training, tags_of
from service.config import Limits


@pytest.mark.parametrize(("path", "expected"), [
    (("params", "a", "kernel"), (None, False, ("a", "kernel"))),
    (("batch_stats", "bn", "mean"), (None, True, ("bn", "mean"))),
    (("params", "params", "a", "kernel"), (None, False, ("a", "kernel"))),
    (("state", "params", "a", "kernel"), (None, False, ("a", "kernel"))),
    (("variables", "batch_stats", "bn", "var"), (None, True, ("bn", "var"))),
    (("optimizer", "target", "a", "kernel"), (None, False, ("a", "kernel"))),
    (("optimizer", "state", "0", "mu"), ("optimizer", False, ("optimizer", "state", "0", "mu"))),
    (("opt_state", "0", "nu", "a"), ("optimizer", False, ("opt_state", "0", "nu", "a"))),
    (("ema_params", "a", "kernel"), ("ema", False, ("ema_params", "a", "kernel"))),
    (("step",), ("other", False, ("step",))),
    (("rng", "key"), ("other", False, ("rng", "key"))),
])  # fmt: skip
def test_a_path_tells_whose_array_it_is(path: tuple[str, ...], expected: object) -> None:
    """The model's without the collections around it; others keep the whole path."""
    assert group_of(path, collections=True) == expected


def test_a_bare_tree_is_all_parameters() -> None:
    """Whatever its modules are called."""
    assert not is_training({"Dense_0", "optimiser_like"})
    assert is_training({"params"})
    assert is_training({"opt_state", "step"})
    assert group_of(("state", "kernel"), collections=False) == (None, False, ("state", "kernel"))


def found(path: str, *shape: int) -> Found:
    size = 4
    for one in shape:
        size *= one
    return Found(tuple(path.split("/")), shape, "float32", size)


def test_layers_states_and_roles() -> None:
    """A dense layer and a normalisation with its moving mean; Adam's moments and the step beside them."""
    named = describe_tree(
        [found("params/d/kernel", 3, 2), found("params/d/bias", 2), found("params/bn/scale", 2),
         found("batch_stats/bn/mean", 2), found("opt_state/0/mu/d/kernel", 3, 2),
         found("opt_state/0/nu/d/kernel", 3, 2), found("opt_state/0/count"), found("step")],
        {"params", "batch_stats", "opt_state", "step"}, Limits(),
    )  # fmt: skip
    layers = {layer.path: layer for layer in named.layers}
    assert {one.name: one.role for one in layers["d"].weights} == {"kernel": "kernel", "bias": "bias"}
    mean = next(one for one in layers["bn"].weights if one.name == "mean")
    assert (mean.group, mean.stored_as) == ("statistic", "batch_stats/bn/mean")
    assert [(state.name, state.group, [one.role for one in state.weights]) for state in named.states] == [
        ("opt_state", "optimizer", ["momentum", "velocity", "iteration"]), ("step", "other", ["iteration"]),
    ]  # fmt: skip


def test_two_collections_may_have_the_same_keys() -> None:
    """Neither array is lost, and a key with a dot is not taken for two."""
    named = describe_tree(
        [found("params/a/w", 2), found("batch_stats/a/w", 2), found("params/a.w", 3)], {"params"}, Limits()
    )
    kept = [one for layer in named.layers for one in layer.weights]
    assert sorted((one.stored_as or "", one.shape) for one in kept) == [
        ("batch_stats/a/w", (2,)), ("params/a.w", (3,)), ("params/a/w", (2,)),
    ]  # fmt: skip
    assert len({(layer.path, one.name) for layer in named.layers for one in layer.weights}) == 3


def test_plain_values_become_tags() -> None:
    """By their path; nothing for what is None or has no name, and not more than two hundred."""
    assert tags_of([(("config", "depth"), 3), ((), 1), (("x",), None)]) == {"config/depth": 3}
    assert len(tags_of([((str(number),), number) for number in range(500)])) == 200
