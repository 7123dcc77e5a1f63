"""Which arrays are the model's and which are states, told by names; nothing is taken from a model that is alone."""

from __future__ import annotations

import pytest

from service.catalog.named import Named, Stored, describe
from service.config import Limits


def read(*names: str) -> Named:
    """What arrays of these names are."""
    return describe([Stored(name, (3, 4), "float32", 48) for name in names], Limits())


def weights(found: Named) -> list[str | None]:
    """Full names of the model's weights."""
    return [weight.stored_as for layer in found.layers for weight in layer.weights]


def states(found: Named) -> dict[str, tuple[str, list[str]]]:
    """Group and roles by a state's name."""
    return {state.name: (state.group, [weight.role for weight in state.weights]) for state in found.states}


def test_a_training_checkpoint() -> None:
    """Optimizer slots, an averaged copy, a scheduler and counters beside the model."""
    found = read("model.fc.weight", "optimizer.state.0.exp_avg", "optimizer.state.0.exp_avg_sq", "ema.fc.weight",
                 "lr_scheduler.base", "rng_state.cpu", "optimizer.state.0.step")  # fmt: skip
    assert weights(found) == ["model.fc.weight"]
    assert states(found) == {
        "optimizer": ("optimizer", ["momentum", "velocity", "iteration"]), "ema": ("ema", ["ema"]),
        "lr_scheduler": ("scheduler", ["other"]), "rng_state": ("other", ["other"]),
    }  # fmt: skip
    assert found.states[0].weights[0].bytes == 48


def test_the_averaged_copy_of_stable_diffusion() -> None:
    """Its names have lost their dots."""
    found = read("model.diffusion_model.out.2.weight", "model_ema.diffusion_modelout2weight", "model_ema.decay")
    assert states(found) == {"model_ema": ("ema", ["ema", "ema"])}


def test_an_averaged_copy_alone_is_the_model() -> None:
    """`params_ema` of a file that is for inference only; its layers have their own names, the keys stay as stored."""
    found = read("params_ema.conv.weight", "params_ema.body.weight")
    assert [layer.path for layer in found.layers] == ["conv", "body"]
    assert weights(found) == ["params_ema.conv.weight", "params_ema.body.weight"]
    assert not found.states


def test_moments_under_the_names_of_the_parameters() -> None:
    """Two copies called m and v, each with names that the model has: Adam's. A layer called v is a layer."""
    found = read("fc.weight", "m.fc.weight", "v.fc.weight")
    assert states(found) == {"m": ("optimizer", ["momentum"]), "v": ("optimizer", ["velocity"])}
    assert not read("q.weight", "m.weight", "v.weight").states
    assert not read("v.blk.0.weight", "m.other.weight", "fc.weight").states


def test_an_averaged_copy_by_another_name() -> None:
    """What sounds averaged is a copy where it repeats the names of the model, else it is a layer."""
    assert states(read("fc.weight", "swaModel.fc.weight")) == {"swaModel": ("ema", ["ema"])}
    assert not read("fc.weight", "ema_pool.proj.weight").states


def test_slots_without_a_common_first_step() -> None:
    """Last steps that only optimizers have."""
    found = read("fc.weight", "fc.weight.exp_avg", "fc.weight.exp_avg_sq")
    assert weights(found) == ["fc.weight"]
    assert states(found) == {"optimizer": ("optimizer", ["momentum", "velocity"])}


def test_an_optimizer_alone() -> None:
    """No model is invented."""
    found = read("optimizer.state.0.exp_avg", "optimizer.state.1.exp_avg")
    assert (weights(found), [state.group for state in found.states]) == ([], ["optimizer"])


@pytest.mark.parametrize("name", ["step.weight", "callbacks.weight", "scaler.weight"])
def test_a_model_that_is_called_like_a_state(name: str) -> None:
    """Nothing else is there, so it is the model."""
    assert weights(read(name)) == [name]


def test_wrappers_around_all_of_it() -> None:
    """`state_dict.` before every name says nothing; before some of them it is a layer."""
    assert [layer.path for layer in read("state_dict.fc.weight").layers] == ["fc"]
    assert "state_dict" in [layer.path for layer in read("state_dict.fc.weight", "other.weight").layers]
