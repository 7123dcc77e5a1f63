"""Totals and the counts of well-known tools, on models small enough to add up by hand."""

from __future__ import annotations

import pytest

from service.enrich.pipeline import enrich
from service.errors import LimitExceeded
from service.language import msg, verbatim
from service.tree import Model, State
from tests.builders import layer, model, weight


def tools(one: Model) -> dict[str, int | None]:
    return {tool.label: tool.value for tool in one.counted_as}


def test_groups_are_kept_apart() -> None:
    """Parameters = trainable + frozen + unknown; statistics and optimizer stand beside it."""
    made = enrich(
        model(
            "keras",
            layer("a", "linear", weight("kernel", (2, 3), "kernel"), weight("bias", (3,), "bias")),
            layer("b", "linear", weight("kernel", (5,), "kernel", "frozen")),
            layer("c", "batch_norm", weight("moving_mean", (7,), "moving_mean", "statistic")),
            states=(
                State(name="optimizer", group="optimizer", weights=(weight("m", (11,), "momentum", "optimizer"),)),
            ),
        )
    )
    totals = made.totals
    assert totals is not None
    assert (totals.parameters, totals.trainable, totals.frozen, totals.unknown) == (14, 9, 5, 0)
    assert (totals.statistics, totals.optimizer, totals.ema, totals.other) == (7, 11, 0, 0)
    assert (totals.bytes.total, totals.bytes.trainable, totals.bytes.by_dtype) == (128, 36, {"float32": 128})
    assert (totals.bytes.inference, totals.bytes.optimizer) == (84, 44)
    assert tools(made) == {
        "model.count_params()": 21,
        "summary(): Total params, without optimizer": 21,
        "summary(): Trainable params": 9,
        "summary(): Non-trainable params": 12,
        "summary(): Optimizer params": 11,
        "summary(): Total params, with optimizer": 32,
    }
    assert [layer.counts.parameters for layer in made.layers if layer.counts] == [9, 5, 0]


def test_tied_weights_count_once() -> None:
    """Parameters are unique; the repeats have a number of their own, and so has the state_dict."""
    table = weight("weight", (10, 4), "embedding")
    head = weight("weight", (10, 4), "kernel", tied_to="embed.weight")
    made = enrich(model("torch", layer("embed", "embedding", table), layer("head", "linear", head)))
    assert made.totals is not None
    assert (made.totals.parameters, made.totals.parameters_with_repeats, made.totals.bytes.total) == (40, 80, 160)
    found = tools(made)
    assert found["sum(p.numel() for p in model.parameters())"] == 40
    assert found["sum(t.numel() for t in model.state_dict().values())"] == 80
    assert found["Total params"] is None


def test_buffers_that_are_not_saved() -> None:
    """A non-persistent buffer is a buffer, but no part of the state_dict."""
    made = enrich(model("torch", layer("m", "model", weight("cache", (6,), "buffer", "statistic", persistent=False))))
    found = tools(made)
    assert found["sum(b.numel() for b in model.buffers())"] == 6
    assert found["sum(t.numel() for t in model.state_dict().values())"] == 0


def test_unknown_trainability_is_not_guessed() -> None:
    """What a state_dict does not say has no number, and says why."""
    made = enrich(model("torch", layer("m", "unknown", weight("weight", (6,), group="unknown"))))
    trained = next(tool for tool in made.counted_as if tool.label == "... if p.requires_grad")
    assert (trained.value, trained.status, trained.note) == (
        None,
        "unavailable",
        msg("The file does not say which weights are trained."),
    )
    assert made.counted_as[0].status == "partial"


def test_missing_weights_are_not_zero() -> None:
    """An upload without its weights has no totals, and the reason is given."""
    made = enrich(model("keras", layer("d", "linear"), complete=False, notes=(verbatim("The weights are missing."),)))
    assert made.totals is not None
    assert (made.totals.parameters, made.totals.status, str(made.totals.reason)) == (
        None,
        "unavailable",
        "The weights are missing.",
    )
    assert made.totals.bytes.total is None


def test_one_unknown_size_makes_the_total_unknown() -> None:
    """No partial sum is shown as if it were the whole."""
    made = enrich(model("torch", layer("a", "linear", weight("w", (2,))), layer("b", "linear", weight("w", None))))
    assert made.totals is not None
    assert (made.totals.parameters, made.totals.status) == (None, "partial")


def test_seed_states_are_no_weights() -> None:
    """A Dropout has none in Keras' own count; the state of its generator is shown apart."""
    made = enrich(
        model("keras", layer("drop", "dropout", weight("seed_generator_state", (2,), "seed_state", "statistic")))
    )
    assert made.layers[0].weights == ()
    assert [(state.name, state.weights[0].name) for state in made.states] == [
        ("seed_generators", "drop/seed_generator_state")
    ]
    assert made.totals is not None
    assert (made.totals.statistics, made.totals.other) == (0, 2)


def test_absurd_totals_are_refused() -> None:
    """Beyond 2^127 elements nothing is a model."""
    with pytest.raises(LimitExceeded):
        enrich(model("keras", layer("d", "linear", weight("kernel", (2**62,) * 3))))
