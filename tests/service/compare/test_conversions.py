"""Real conversions from Keras to PyTorch: proved right, and every planted mistake named."""

from __future__ import annotations

import pytest

from service.comparisons import Comparison
from tests.service.compare.conversions import compared, keras, layers, proved, torch

NAMES = ("seed_cnn", "recurrent", "transformer", "convolutions", "resnet")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ours", ["{}.keras", "{}.weights.h5"])
@pytest.mark.parametrize("theirs", ["{}.pt", "{}_state.pt"])
def test_a_right_conversion_is_proved_right(name: str, ours: str, theirs: str) -> None:
    """Every weight is equal after its transform, from either direction; the gap is explained to the last element."""
    left, right = keras(ours.format(name)), torch(theirs.format(name))
    for found in (proved(left, right), proved(right, left)):
        assert found.problems == ()
        assert found.unexplained == 0
        assert found.status == "complete"
        assert all(pair.left and pair.right for pair in found.layers if pair.weights)
        verdicts = {weight.difference.verdict for weight in _compared(found)}
        assert verdicts == {"equal"}
        assert "weights are equal" in str(found.summary)


def _compared(found: Comparison) -> list:
    return [weight for pair in found.layers for weight in pair.weights if weight.difference is not None]


PLANTED = {
    "seed_cnn-not_transposed": ("not_transposed", ("dense_1", "8"), {"weight"}),
    "seed_cnn-reshaped": ("reshaped", ("dense_2", "10"), {"weight"}),
    "seed_cnn-kernel_reshaped": ("reshaped", ("conv2d", "0"), {"weight"}),
    "seed_cnn-height_width": ("height_width_swapped", ("conv2d", "0"), {"weight"}),
    "seed_cnn-flatten_order": ("flatten_order", ("dense", "5"), {"weight"}),
    "seed_cnn-mean_variance": ("mean_variance_swapped", ("batch_normalization", "2"), {"running_mean", "running_var"}),
    "seed_cnn-gamma_beta": ("scale_offset_swapped", ("batch_normalization", "2"), {"weight", "bias"}),
    "seed_cnn-epsilon": ("epsilon_in_variance", ("batch_normalization", "2"), {"running_var"}),
    "seed_cnn-deviation": ("standard_deviation", ("batch_normalization", "2"), {"running_var"}),
    "seed_cnn-negated": ("negated", ("dense_2", "10"), {"weight"}),
    "seed_cnn-scaled": ("scaled", ("dense_1", "8"), {"weight"}),
    "recurrent-lstm_gates": (
        "gate_order", ("lstm_1", "lstm"), {"weight_ih_l1", "weight_hh_l1", "bias_ih_l1", "bias_hh_l1"}),
    "recurrent-gru_gates": (
        "gate_order", ("gru", "gru"), {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}),
    "recurrent-backward_gates": (
        "gate_order", ("bidirectional_1", "last"),
        {"weight_ih_l0_reverse", "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse"}),
    "recurrent-directions": (
        "directions_swapped", ("bidirectional", "both"),
        {f"{name}_l0{end}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh") for end in ("", "_reverse")}),
    "recurrent-recurrent_not_transposed": ("not_transposed", ("lstm", "lstm"), {"weight_hh_l0"}),
    "recurrent-both_biases": ("bias_twice", ("lstm_1", "lstm"), {"bias_ih_l1", "bias_hh_l1"}),
    "recurrent-gru_biases": ("weights_swapped", ("gru", "gru"), {"bias_ih_l0", "bias_hh_l0"}),
    "transformer-query_key": (
        "projections_swapped", ("multi_head_attention_5", "encoder.layers.5.self_attn"),
        {"in_proj_weight", "in_proj_bias"}),
    "transformer-layers": (
        "layers_swapped",
        ("dense_10", "encoder.layers.3.linear1", "dense_18", "encoder.layers.7.linear1"), {"weight", "bias"}),
    "transformer-output_not_transposed": (
        "not_transposed", ("multi_head_attention_2", "encoder.layers.2.self_attn.out_proj"), {"weight"}),
    "convolutions-flipped": ("flipped", ("conv2d_transpose", "up"), {"weight"}),
    "convolutions-scale": ("scale_offset_swapped", ("group_normalization", "norm"), {"weight", "bias"}),
    "seed_cnn-flipped_width": ("flipped", ("conv2d", "0"), {"weight"}),
    "seed_cnn-bias_negated": ("negated", ("dense_1", "8"), {"bias"}),
    "seed_cnn-not_a_number": ("not_finite", ("dense_1", "8"), {"weight"}),
    "recurrent-input_forget": (
        "gate_order", ("bidirectional", "both"),
        {"weight_ih_l0_reverse", "weight_hh_l0_reverse", "bias_ih_l0_reverse", "bias_hh_l0_reverse"}),
    "transformer-projection_order": (
        "projection_order", ("multi_head_attention_8", "encoder.layers.8.self_attn"),
        {"in_proj_weight", "in_proj_bias"}),
    "transformer-by_head": (
        "head_order", ("multi_head_attention_8", "encoder.layers.8.self_attn"), {"in_proj_weight", "in_proj_bias"}),
    "transformer-heads": (
        "head_order", ("multi_head_attention_4", "encoder.layers.4.self_attn.out_proj"), {"weight"}),
    "transformer-layer_norm": (
        "scale_offset_swapped", ("layer_normalization_12", "encoder.layers.6.norm1"), {"weight", "bias"}),
    "transformer-rows": ("rows_shifted", ("embedding", "embed"), {"weight"}),
    "convolutions-multiplier": ("multiplier_order", ("depthwise_conv2d", "depthwise"), {"weight"}),
    "convolutions-inputs_outputs": ("inputs_outputs_swapped", ("conv2d_transpose_1", "again"), {"weight"}),
    "convolutions-unturned": ("flipped", ("conv2d_transpose_1", "again"), {"weight"}),
    "resnet-mean_variance": (
        "mean_variance_swapped", ("batch_normalization_13", "layer2.0.downsample.1"), {"running_mean", "running_var"}),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_named(name: str) -> None:
    """One problem with the right code and the right layers, said first; only the spoiled weights are different."""
    code, paths, weights = PLANTED[name]
    found = proved(keras(f"{name.partition('-')[0]}.keras"), torch(f"{name}.pt"))
    assert [(problem.code, problem.layers) for problem in found.problems] == [(code, paths)]
    assert str(found.summary).startswith("The conversion is wrong in one place: ")
    assert str(found.problems[0].text) in str(found.summary)
    wrong = [weight for weight in _compared(found) if weight.difference.verdict == "different"]
    assert {name for weight in wrong for name in weight.right} == weights
    assert [pair.left for pair in found.layers if found.problems[0].text in pair.changes] == list(paths[::2])


def test_two_mistakes_are_both_named() -> None:
    """In two layers, each with its own weights, in the order of the model."""
    found = proved(keras("seed_cnn.keras"), torch("seed_cnn-two.pt"))
    assert [(problem.code, problem.layers) for problem in found.problems] == [
        ("mean_variance_swapped", ("batch_normalization", "2")), ("not_transposed", ("dense_1", "8"))]  # fmt: skip
    assert str(found.summary).startswith(
        "The conversion is wrong in 2 places: Mean and variance of batch_normalization (2 in the right model) are"
        " swapped. The axes of weight of dense_1 (8 in the right model) are not transposed. "
    )
    wrong = {name for weight in _compared(found) if weight.difference.verdict == "different" for name in weight.right}
    assert wrong == {"running_mean", "running_var", "weight"}


def test_the_order_of_gates_is_told() -> None:
    """Found and expected order, by name."""
    found = proved(keras("recurrent.keras"), torch("recurrent-lstm_gates.pt"))
    order = "in the order input, forget, output and cell instead of input, forget, cell and output"
    assert order in str(found.summary)


def test_an_epsilon_is_a_setting_and_no_number() -> None:
    """A hundred times the epsilon: all weights are equal, the setting is not, and the summary says both."""
    found = proved(keras("seed_cnn.keras"), torch("seed_cnn-epsilon_setting.pt"))
    assert found.problems == ()
    assert str(found.summary).endswith(
        "Everything else is equal but for settings: epsilon of batch_normalization (0.001 and 0.1). The values of all"
        " 12 weights are equal."
    )


def test_half_precision_is_close_and_told() -> None:
    """Every weight in float16: no mistake, and the type is in the summary."""
    found = proved(keras("seed_cnn.keras"), torch("seed_cnn-half.pt"))
    assert found.problems == ()
    assert {weight.difference.verdict for weight in _compared(found)} <= {"equal", "close"}
    assert "5 layers hold float16 instead of float32. The values of all 12 weights are equal up to rounding" in str(
        found.summary
    )


def test_numbers_rounded_to_half_precision_are_close() -> None:
    """Stored as float32, but with no more digits than float16 has: close, and the weight's note says why."""
    found = proved(keras("seed_cnn.keras"), torch("seed_cnn-rounded.pt"))
    assert found.problems == ()
    close = [weight for weight in _compared(found) if weight.difference.verdict == "close"]
    assert [[str(note) for note in weight.notes] for weight in close] == [["Equal up to the rounding of float16."]]


@pytest.mark.parametrize("theirs", ["folding.pt", "folding_state.pt"])
def test_folded_normalisations_are_no_mistake(theirs: str) -> None:
    """Behind convolutions of three kinds and a Dense, without gamma or beta too: equal after folding, either way round.

    The gap is explained by the folding to the last element, though kernels have other numbers and biases are new.
    """
    for left, right in ((keras("folding.keras"), torch(theirs)), (torch(theirs), keras("folding.keras"))):
        found = proved(left, right)
        assert found.problems == ()
        assert [(cause.code, abs(cause.count)) for cause in found.causes] == [("batch_norm_folded", 61)]
        assert found.unexplained == 0
        assert {weight.difference.verdict for weight in _compared(found)} <= {"equal", "close"}
        assert "The values of all 10 weights are equal up to rounding" in str(found.summary)
        lone = [pair for pair in found.layers if pair.weights and None in (pair.left, pair.right)]
        assert len(lone) == 4
        assert all(str(pair.changes[0]).startswith("Folded into ") for pair in lone)


def test_a_folded_normalisation_is_recognised() -> None:
    """One of many, in a network with branches: the summary has no mistake and names the normalisation."""
    found = proved(keras("resnet.keras"), torch("resnet-folded.pt"))
    assert found.problems == ()
    assert {cause.code: cause.layers for cause in found.causes}["batch_norm_folded"] == ("batch_normalization_5",)
    assert "as the values show: batch_normalization_5 (32)" in str(found.summary)


def test_half_a_folding_is_a_mistake() -> None:
    """The kernel was multiplied, the bias was left as it was."""
    found = proved(keras("resnet.keras"), torch("resnet-folded_without_bias.pt"))
    assert [(problem.code, problem.layers) for problem in found.problems] == [
        ("batch_norm_folded", ("conv2d_3", "conv1"))]  # fmt: skip
    assert "but bias does not hold what this gives" in str(found.summary)


def test_layers_that_only_values_tell_apart_are_paired_by_values() -> None:
    """A weights file has no graph: a block's third convolution and its shortcut have one structure. A note says so."""
    found = proved(keras("resnet.weights.h5"), torch("resnet_state.pt"))
    assert any("paired by their values" in str(note) for note in found.notes)
    assert found.problems == ()


def test_shortcuts_are_found_by_the_graph() -> None:
    """Keras lists a block's shortcut before its third convolution, PyTorch after; both have one size in stage one."""
    pairs = layers(compared(keras("resnet.keras"), torch("resnet.pt")))
    first = {left: right for left, right in pairs.items() if right & {"layer1.0.conv3", "layer1.0.downsample.0"}}
    assert sorted(map(sorted, first.values())) == [["layer1.0.conv3"], ["layer1.0.downsample.0"]]
    assert proved(keras("resnet.keras"), torch("resnet.pt")).problems == ()


def test_resnet50_in_both_frameworks() -> None:
    """Every one of 53 convolutions, 53 normalisations and the classifier; Keras' convolutions have biases."""
    found = compared(keras("resnet50.keras"), torch("resnet50.pt"))
    pairs = layers(found)
    assert pairs["conv2_block1_0_conv"] == {"4.shortcut.0"}
    assert pairs["conv2_block1_3_conv"] == {"4.body.6"}
    assert {cause.code: cause.count for cause in found.causes} == {
        "statistics_in_buffers": -53120,
        "bias_removed": -26560,
    }
    assert (found.gap, found.unexplained) == (-79680, 0)
    assert sum(1 for pair in found.layers if pair.weights and pair.left and pair.right) == 107


def test_attention_is_four_projections() -> None:
    """Keras' four kernels against PyTorch's stacked rows and its output layer."""
    found = compared(keras("transformer.keras"), torch("transformer_state.pt"))
    pairs = layers(found)
    assert pairs["multi_head_attention_3"] == {
        "encoder.layers.3.self_attn", "encoder.layers.3.self_attn.out_proj"}  # fmt: skip
    rows = [weight.right_rows for pair in found.layers if pair.left == "multi_head_attention_3"
            for weight in pair.weights]  # fmt: skip
    assert rows == [(0, 24), (0, 24), (24, 48), (24, 48), (48, 72), (48, 72), None, None]
    assert pairs["layer_normalization_7"] == {"encoder.layers.3.norm2"}


def test_transforms_can_be_carried_out() -> None:
    """What a program needs is in the parameters."""
    found = compared(keras("seed_cnn.keras"), torch("seed_cnn.pt"))
    transforms = {(pair.left, weight.role): weight.transform for pair in found.layers for weight in pair.weights}
    assert transforms["conv2d", "kernel"].code == "permute"
    assert transforms["conv2d", "kernel"].parameters == {"axes": [3, 2, 0, 1]}
    assert transforms["dense", "kernel"].code == "transpose + flatten_order"
    assert transforms["dense", "kernel"].parameters == {"axes": [1, 0], "channels": 32, "positions": 48}
    assert transforms["dense_1", "kernel"].code == "transpose"
    recurrent = compared(keras("recurrent.keras"), torch("recurrent.pt"))
    codes = {(pair.left, weight.role): weight.transform.code for pair in recurrent.layers for weight in pair.weights}
    assert codes["lstm", "bias"] == "bias_sum"
    assert codes["gru", "kernel"] == "transpose + gate_order"


def test_settings_are_converted() -> None:
    """Momentum 0.15 is 0.85; epsilon and the slope are the same here, the padding is told in numbers."""
    found = compared(keras("seed_cnn.keras"), torch("seed_cnn.pt"))
    settings = {(item.left, item.name): (item.left_value, item.converted, item.equal) for item in found.hyperparameters}
    assert settings["batch_normalization", "momentum"] == (0.15, 0.85, True)
    assert settings["batch_normalization", "epsilon"] == (0.001, 0.001, True)
    assert settings["conv2d", "padding"] == ("same", [1, 1], True)
    assert settings["dropout", "rate"] == (0.3, 0.3, True)
    assert settings["max_pooling2d", "pool_size"] == ([2, 2], [2, 2], True)
    assert settings["dense", "activation"] == ("relu", "relu", True)
    assert settings["leaky_re_lu", "negative_slope"][2] is True
