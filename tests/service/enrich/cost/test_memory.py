"""Memory to serve and to train, added up by hand on a model of two layers."""

from __future__ import annotations

from typing import Any

from service.enrich.cost.liveness import peak
from service.tree import Layer
from tests.builders import layer, weight
from tests.service.enrich.cost.tools import costed, total


def dense(path: str, inputs: tuple[str, ...] | None, group: str = "trainable", **more: Any) -> Layer:
    """10 → 10 with a bias: 110 parameters."""
    shape = None if more.pop("open", False) else ((None, 10),)
    return layer(path, "linear", weight("kernel", (10, 10), "kernel", group), weight("bias", (10,), "bias", group),
                 type="Dense", inputs=inputs, input_shapes=shape, output_shapes=shape, **more)  # fmt: skip


def memory(*layers: Layer, batch: int = 1) -> dict[str, Any]:
    """Scenario -> (status, parts, assumptions as sentences)."""
    found = total(costed("keras", *layers, batch=batch)).memory
    for one in found:
        assert one.bytes.value == sum(one.parts.values())
    return {one.scenario: (one.bytes.status, one.parts, [str(note) for note in one.bytes.assumptions]) for one in found}


def test_every_scenario_of_a_chain() -> None:
    """880 bytes of weights; input and two outputs of 3 examples are 360 bytes, two of them at once 240."""
    found = memory(dense("a", ()), dense("b", ("a",)), batch=3)
    assert {name: parts for name, (_, parts, _) in found.items()} == {
        "serve": {"weights": 880, "activations": 240},
        "train_sgd": {"weights": 880, "gradients": 880, "optimizer": 0, "activations": 360},
        "train_sgd_momentum": {"weights": 880, "gradients": 880, "optimizer": 880, "activations": 360},
        "train_adam": {"weights": 880, "gradients": 880, "optimizer": 1760, "activations": 360},
        "train_adam_mixed": {
            "weights": 880, "half_precision_copy": 440, "gradients": 880, "optimizer": 1760, "activations": 180,
        },
    }  # fmt: skip
    assert {status for status, _, _ in found.values()} == {"complete"}
    assert all(notes for _, _, notes in found.values())


def test_frozen_parameters_and_statistics_have_no_gradients() -> None:
    """Only what is trained has gradients and slots."""
    norm = layer("n", "batch_norm", weight("mean", (10,), "moving_mean", "statistic"), type="BatchNormalization",
                 inputs=("a",), input_shapes=((None, 10),), output_shapes=((None, 10),))  # fmt: skip
    parts = memory(dense("a", (), "frozen"), norm, dense("b", ("n",)))["train_adam"][1]
    assert (parts["weights"], parts["gradients"], parts["optimizer"]) == (920, 440, 880)


def test_unknown_training_is_assumed_and_said() -> None:
    """Weights of which the file does not say count as trained; the answer is partial."""
    status, parts, notes = memory(dense("a", (), "unknown"))["train_sgd"]
    assert (status, parts["gradients"]) == ("partial", 440)
    assert any("count as trained" in note for note in notes)


def test_without_activations_the_rest_is_given() -> None:
    """Unknown sizes leave activations out, and say so."""
    for status, parts, notes in memory(dense("a", None, open=True)).values():
        assert status == "partial"
        assert "activations" not in parts
        assert any("Activations are left out" in note for note in notes)


def test_without_a_graph_serving_is_a_lower_bound() -> None:
    """The largest layer's input and output."""
    status, parts, notes = memory(dense("a", None), dense("b", None))["serve"]
    assert (status, parts["activations"]) == ("partial", 80)
    assert any("largest layer" in note for note in notes)


def test_recurrent_layers_keep_more_than_their_outputs() -> None:
    """Gates and scores are not counted: every scenario is partial and says so."""
    held = layer("r", "gru", weight("kernel", (4, 9), "kernel"), weight("r", (3, 9), "recurrent_kernel"), type="GRU",
                 inputs=(), input_shapes=((None, 5, 4),), output_shapes=((None, 3),))  # fmt: skip
    for status, _, notes in memory(held).values():
        assert status == "partial"
        assert any("scores, gates" in note for note in notes)


def test_peak_of_a_shortcut() -> None:
    """0 → 1 → 2 → 3 with a shortcut 0 → 3: at 2, three outputs live at once."""
    assert peak([5, 7, 11, 3], [(), (0,), (1,), (0, 2)], [False] * 4) == 5 + 7 + 11


def test_peak_of_views() -> None:
    """A view takes nothing, and keeps what it looks at alive."""
    assert peak([5, 5, 7], [(), (0,), (1,)], [False, True, False]) == 12


def test_outputs_stay_to_the_end() -> None:
    """What feeds nothing is an output of the model."""
    assert peak([4, 9, 1, 1], [(), (0,), (0,), (2,)], [False] * 4) == 4 + 9 + 1
