"""Explanations: each formula is literal here, evaluates to the count, and the sentence says what is learned."""

from __future__ import annotations

import msgspec
import pytest

from service.enrich.explain import rules
from service.tree import Explanation, Layer
from service.vocabulary import KINDS
from tests.builders import layer, model, weight
from tests.enriching import explain_layers


def explained(one: Layer, framework: str = "keras") -> Explanation:
    found = explain_layers(model(framework, one)).layers[0].explanation
    assert found is not None
    assert eval(found.formula.replace("×", "*").replace("=", "==")) is True  # noqa: S307 - our own formula
    assert found.status == "complete"
    return found


def keras_batch_norm(features: int, **roles: str) -> Layer:
    names = {"gamma": "scale", "beta": "offset", "moving_mean": "moving_mean", "moving_variance": "moving_variance"}
    groups = {"gamma": "trainable", "beta": "trainable", **roles}
    weights = [
        weight(name, (features,), role, groups.get(name, "statistic"))
        for name, role in names.items()
        if groups.get(name) != "absent"
    ]
    return layer("bn", "batch_norm", *weights, type="BatchNormalization")


def test_keras_batch_normalization_on_512_features() -> None:
    """4 × 512 = 2048: gamma and beta are learned, moving mean and variance are tracked."""
    found = explained(keras_batch_norm(512))
    assert found.formula == "4 × 512 = 2048"
    assert [(part.group, part.names, part.count) for part in found.parts] == [
        ("trainable", ("gamma", "beta"), 1024),
        ("statistic", ("moving_mean", "moving_variance"), 1024),
    ]
    assert str(found.text) == (
        "BatchNormalization on 512 features keeps 4 vectors of 512 values: gamma and beta are learned by gradient; "
        "moving_mean and moving_variance are tracked in the forward pass and never trained. 4 × 512 = 2048."
    )


def test_batch_normalization_without_scale() -> None:
    """scale=False leaves three vectors."""
    assert explained(keras_batch_norm(7, gamma="absent")).formula == "3 × 7 = 21"


def torch_batch_norm(affine: bool = True) -> Layer:
    learned = [weight("weight", (32,), "scale"), weight("bias", (32,), "offset")] if affine else []
    tracked = [
        weight("running_mean", (32,), "moving_mean", "statistic"),
        weight("running_var", (32,), "moving_variance", "statistic"),
        weight("num_batches_tracked", (), "num_batches_tracked", "statistic"),
    ]
    return layer("2", "batch_norm", *learned, *tracked, type="BatchNorm2d")


def test_torch_batch_norm_counts_parameters_and_names_buffers() -> None:
    """PyTorch counts 2 × 32; the 65 buffer values are named beside it."""
    found = explained(torch_batch_norm(), "torch")
    assert (found.formula, found.total) == ("2 × 32 = 64", 64)
    assert "running_mean, running_var and num_batches_tracked (65 values) as buffers" in str(found.text)


def test_torch_batch_norm_without_affine_has_no_parameters() -> None:
    """affine=False: zero parameters, buffers all the same."""
    assert explained(torch_batch_norm(affine=False), "torch").formula == "0 × 32 = 0"


def test_dense_and_linear() -> None:
    """The same layer in both layouts gives inputs × units + units."""
    dense = layer(
        "d", "linear", weight("kernel", (4096, 512), "kernel", layout="in-out"), weight("bias", (512,), "bias")
    )
    linear = layer(
        "l", "linear", weight("weight", (512, 4096), "kernel", layout="out-in"), weight("bias", (512,), "bias")
    )
    assert explained(dense).formula == "4096 × 512 + 512 = 2097664"
    assert explained(linear, "torch").formula == "4096 × 512 + 512 = 2097664"
    assert explained(linear, "torch").terms == explained(dense).terms


def test_a_layer_without_bias_says_so() -> None:
    """The formula has no bias and the sentence says there is none."""
    found = explained(layer("d", "linear", weight("kernel", (3, 4), "kernel", layout="in-out")))
    assert (found.formula, "no bias" in str(found.text)) == ("3 × 4 = 12", True)


CONVOLUTIONS = {
    "keras Conv2D": ("keras", "conv2d", "HWIO", (3, 3, 1, 32), (32,), "3 × 3 × 1 × 32 + 32 = 320"),
    "torch Conv2d with groups": ("torch", "conv2d", "OIHW", (64, 8, 3, 3), (64,), "64 × 8 × 3 × 3 + 64 = 4672"),
    "keras Conv1D": ("keras", "conv1d", "WIO", (5, 16, 8), None, "5 × 16 × 8 = 640"),
    "keras Conv3DTranspose": (
        "keras",
        "conv_transpose3d",
        "DHWOI",
        (2, 2, 2, 4, 3),
        (4,),
        "2 × 2 × 2 × 4 × 3 + 4 = 100",
    ),
    "keras DepthwiseConv2D": ("keras", "depthwise_conv2d", "HWIM", (3, 3, 6, 2), (12,), "3 × 3 × 6 × 2 + 12 = 120"),
}


@pytest.mark.parametrize("case", CONVOLUTIONS.values(), ids=CONVOLUTIONS.keys())
def test_convolutions(case: tuple[str, str, str, tuple[int, ...], tuple[int, ...] | None, str]) -> None:
    """Kernel positions × channels that a filter sees × filters, and a bias per output channel."""
    framework, kind, layout, kernel, bias, expected = case
    weights = [weight("kernel", kernel, "kernel", layout=layout)]
    if bias:
        weights.append(weight("bias", bias, "bias"))
    assert explained(layer("c", kind, *weights), framework).formula == expected


def test_separable_convolution() -> None:
    """Depthwise, pointwise and bias are added."""
    one = layer(
        "s",
        "separable_conv2d",
        weight("depthwise_kernel", (3, 3, 8, 1), "depthwise_kernel", layout="HWIM"),
        weight("pointwise_kernel", (1, 1, 8, 16), "pointwise_kernel", layout="HWIO"),
        weight("bias", (16,), "bias"),
    )
    assert explained(one).formula == "3 × 3 × 8 × 1 + 1 × 1 × 8 × 16 + 16 = 216"


def keras_cell(prefix: str, gates: int, bias: tuple[int, ...]) -> list[object]:
    return [
        weight(f"{prefix}kernel", (10, gates * 4), "kernel"),
        weight(f"{prefix}recurrent_kernel", (4, gates * 4), "recurrent_kernel"),
        weight(f"{prefix}bias", bias, "bias"),
    ]


@pytest.mark.parametrize(
    ("kind", "gates", "bias", "expected"),
    [
        ("simple_rnn", 1, (4,), "1 × (10 × 4 + 4 × 4 + 4) = 60"),
        ("lstm", 4, (16,), "4 × (10 × 4 + 4 × 4 + 4) = 240"),
        ("gru", 3, (12,), "3 × (10 × 4 + 4 × 4 + 4) = 180"),
        ("gru", 3, (2, 12), "3 × (10 × 4 + 4 × 4 + 4 + 4) = 192"),
    ],
)
def test_keras_recurrent(kind: str, gates: int, bias: tuple[int, ...], expected: str) -> None:
    """Gates × (inputs + state + biases); `reset_after` doubles the bias of a GRU."""
    assert explained(layer("r", kind, *keras_cell("", gates, bias))).formula == expected  # type: ignore[arg-type]


def test_keras_bidirectional() -> None:
    """Each direction is a sum of its own."""
    weights = [*keras_cell("forward_lstm/lstm_cell/", 4, (16,)), *keras_cell("backward_lstm/lstm_cell/", 4, (16,))]
    found = explained(layer("b", "bidirectional", *weights))  # type: ignore[arg-type]
    assert found.formula == "4 × (10 × 4 + 4 × 4 + 4) + 4 × (10 × 4 + 4 × 4 + 4) = 480"


def test_torch_lstm_with_projection() -> None:
    """Two biases per gate; proj_size shrinks the state and adds one kernel without gates."""
    one = layer(
        "lstm",
        "lstm",
        weight("weight_ih_l0", (16, 10), "kernel"),
        weight("weight_hh_l0", (16, 3), "recurrent_kernel"),
        weight("bias_ih_l0", (16,), "bias"),
        weight("bias_hh_l0", (16,), "recurrent_bias"),
        weight("weight_hr_l0", (3, 4), "projection_kernel"),
    )
    assert explained(one, "torch").formula == "4 × (10 × 4 + 3 × 4 + 4 + 4) + 3 × 4 = 252"


def test_keras_multi_head_attention() -> None:
    """Equal projections are put together; the output projection stands alone."""
    weights = [
        part
        for name in ("query", "key", "value")
        for part in (
            weight(f"{name}/kernel", (16, 2, 8), f"{name}_kernel"),
            weight(f"{name}/bias", (2, 8), f"{name}_bias"),
        )
    ]
    output = [
        weight("attention_output/kernel", (2, 8, 16), "output_kernel"),
        weight("attention_output/bias", (16,), "output_bias"),
    ]
    found = explained(layer("mha", "multi_head_attention", *weights, *output))
    assert found.formula == "3 × (16 × 2 × 8 + 2 × 8) + 2 × 8 × 16 + 16 = 1088"


def test_torch_multi_head_attention() -> None:
    """`in_proj_weight` holds three projections; the output projection is a module of its own."""
    weights = [weight("in_proj_weight", (48, 16), "qkv_kernel"), weight("in_proj_bias", (48,), "qkv_bias")]
    assert explained(layer("mha", "multi_head_attention", *weights), "torch").formula == "3 × (16 × 16 + 16) = 816"


def test_embedding() -> None:
    """Rows × dimensions."""
    assert (
        explained(layer("e", "embedding", weight("embeddings", (1000, 64), "embedding"))).formula == "1000 × 64 = 64000"
    )


def test_a_custom_layer_gets_an_honest_sum() -> None:
    """No reason is made up: the weights' sizes are added."""
    found = explained(layer("c", "custom", weight("w", (2, 3)), weight("v", ()), type="Mine"))
    assert found.formula == "2 × 3 + 1 = 7"
    assert str(found.text) == "Mine has w [2, 3], v []; the count is the sum of their sizes."


def test_a_rule_that_does_not_fit_gives_way() -> None:
    """A dense layer with a weight that the rule does not know is summed up, never forced into the formula."""
    kernel, extra = weight("kernel", (3, 4), "kernel", layout="in-out"), weight("extra", (5,), "weight")
    made = explain_layers(model("keras", layer("d", "linear", kernel, extra, type="Dense")))
    found = made.layers[0].explanation
    assert found is not None
    assert (found.formula, found.status) == ("3 × 4 + 5 = 17", "partial")
    assert str(found.text).endswith("The formula of this kind of layer gives another count: 3 × 4 = 12.")
    assert [(one.rule, one.severity, one.path, str(one.what)) for one in made.findings] == [
        ("formula_mismatch", "low", "d",
         "Dense with these sizes has 12 weights (3 × 4 = 12), but the file holds 17."),
    ]  # fmt: skip


def test_a_concluded_class_contradicts_nothing() -> None:
    """In a state_dict the kind is our own conclusion: weights that do not fit make it doubtful, not a finding."""
    one = layer("d", "linear", weight("weight", (4, 3), "kernel", layout="out-in"), weight("extra", (5,), "parameter"))
    made = explain_layers(model("torch", msgspec.structs.replace(one, type_source="unknown")))
    assert made.findings == ()
    assert made.layers[0].explanation is not None
    assert made.layers[0].explanation.status == "partial"


def test_equal_layers_are_told_apart_in_findings() -> None:
    """Layers that are explained alike keep their own paths."""
    pair = weight("kernel", (3, 4), "kernel", layout="in-out"), weight("bias", (5,), "bias")
    made = explain_layers(model("keras", *(layer(name, "linear", *pair, type="Dense") for name in "ab")))
    assert [one.path for one in made.findings] == ["a", "b"]


def test_many_findings_are_summed_up() -> None:
    """Fifty are listed, and one says how many more there are."""
    pair = weight("kernel", (3, 4), "kernel", layout="in-out"), weight("bias", (5,), "bias")
    made = explain_layers(model("keras", *(layer(f"d{n}", "linear", *pair, type="Dense") for n in range(70))))
    assert len(made.findings) == 51
    assert str(made.findings[-1].what) == "20 more findings of this kind are not listed."


def test_the_other_framework_is_named() -> None:
    """Keras' BatchNormalization on 512 features is 1,024 parameters and 1,025 buffer values in PyTorch."""
    assert (
        "Keras counts all 2,048, 1,024 of them as non-trainable; PyTorch would count 1,024 parameters and keep 1,025 "
        "values as buffers: running_mean, running_var and num_batches_tracked."
    ) in str(explained(keras_batch_norm(512)).expert)
    assert "Keras would count 128" in str(explained(torch_batch_norm(), "torch").expert)


@pytest.mark.parametrize(
    ("kind", "gates", "bias", "told"),
    [
        ("lstm", 4, (16,), "torch.nn.LSTM would count 16 more, 256."),
        ("gru", 3, (12,), "torch.nn.GRU would count 12 more, 192."),
        ("gru", 3, (2, 12), "With reset_after=False it would be 180."),
        ("simple_rnn", 1, (4,), "torch.nn.RNN would count 4 more, 64."),
    ],
)
def test_the_second_bias(kind: str, gates: int, bias: tuple[int, ...], told: str) -> None:
    """PyTorch's recurrent modules have one bias more than Keras' layers, but for a GRU with `reset_after`."""
    assert told in str(explained(layer("r", kind, *keras_cell("", gates, bias))).expert)  # type: ignore[arg-type]


def test_tied_weights_are_told() -> None:
    """A tied weight counts in its layer; the sentence says whose it is."""
    one = layer("head", "linear", weight("weight", (50, 8), "kernel", layout="out-in", tied_to="embed.weight"))
    found = explained(one, "torch")
    assert found.total == 400
    assert "weight shares its storage with embed.weight: 400 values" in str(found.text)


def test_frozen_layers_are_told() -> None:
    """Frozen weights are counted, and the sentence says that nothing of them is trained."""
    one = layer("d", "linear", weight("kernel", (3, 4), "kernel", "frozen", layout="in-out"))
    assert "The layer is frozen: none of its parameters is trained" in str(explained(one).text)


def test_unknown_sizes_are_not_explained() -> None:
    """A lazy layer has no count to explain."""
    assert explain_layers(model("torch", layer("l", "linear", weight("weight", None)))).layers[0].explanation is None


def test_rules_speak_the_vocabulary() -> None:
    """Every kind that has a rule exists, and the kinds that people ask about have one."""
    assert set(rules()) <= set(KINDS)
    assert {"linear", "conv2d", "batch_norm", "layer_norm", "embedding", "lstm", "gru", "multi_head_attention"} <= set(
        rules()
    )
