"""Comparisons of models written down: versions, causes, hostile input, and the sum of all causes."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.compare.compare import compare
from service.comparisons import Comparison
from service.enrich.pipeline import enrich
from service.tree import Layer, Report, Weight
from tests.builders import layer, model, report, weight
from tests.corpus import ROOT, corpus_dir
from tests.service.compare.conversions import compared


def made(framework: str, *layers: Layer, **more: Any) -> Report:
    return report(enrich(model(framework, *layers, **more)))


def dense(path: str, inputs: int, outputs: int, *, bias: bool = True, **more: Any) -> Layer:
    weights = [weight("kernel", (inputs, outputs), "kernel", layout="in-out", **more)]
    weights += [weight("bias", (outputs,), "bias", **more)] if bias else []
    return layer(path, "linear", *weights, type="Dense")


def linear(path: str, inputs: int, outputs: int, *, bias: bool = True, **more: Any) -> Layer:
    weights = [weight("weight", (outputs, inputs), "kernel", layout="out-in", **more)]
    weights += [weight("bias", (outputs,), "bias", **more)] if bias else []
    return layer(path, "linear", *weights, type="Linear")


def status(found: Comparison) -> list[tuple[str | None, str | None, str]]:
    return [(pair.left, pair.right, pair.status) for pair in found.layers]


def causes(found: Comparison) -> dict[str, int]:
    return {cause.code: cause.count for cause in found.causes}


SENTENCE = (
    "The gap of 64 is BatchNormalization's moving mean (32) and moving variance (32): Keras counts them as"
    " non-trainable weights, PyTorch keeps them as buffers outside `parameters()`. Everything else is equal."
)


@pytest.mark.parametrize("ours", ["seed2.keras", "seed2.h5", "seed2.weights.h5"])
@pytest.mark.parametrize("theirs", ["seed_module.pt", "seed_state.pt", "seed.pt2", "seed_script.pt"])
def test_the_seed_question(ours: str, theirs: str) -> None:
    """The golden CNN, in every format of both frameworks and from either side, word for word."""
    left, right = corpus_dir("keras_files") / ours, corpus_dir("torch_files") / theirs
    found = compared(left, right)
    assert str(found.summary) == SENTENCE
    assert (found.left.counted, found.right.counted, found.gap, found.unexplained) == (13108758, 13108694, -64, 0)
    assert str(compared(right, left).summary) == SENTENCE
    assert any("num_batches_tracked (1)" in str(note) for note in found.notes)


def test_a_model_beside_itself_has_no_difference() -> None:
    """Nothing changed, nothing to explain."""
    one = made("keras", dense("a", 3, 4), dense("b", 4, 4), dense("c", 4, 4))
    found = compare(one, one)
    assert str(found.summary) == "Both models count 56. Everything else is equal."
    assert {pair.status for pair in found.layers} == {"equal"}
    assert found.causes == ()


def test_a_renamed_layer() -> None:
    """Same structure, another name: no gap, and told."""
    found = compare(
        made("keras", dense("a", 3, 4), dense("b", 4, 5)), made("keras", dense("x", 3, 4), dense("b", 4, 5))
    )
    assert status(found) == [("a", "x", "renamed"), ("b", "b", "equal")]
    assert str(found.summary) == "Both models count 41. 1 layer has another name."


def test_an_added_and_a_removed_layer() -> None:
    """A layer more in the middle of the right model stands there, and adds what it has; the other way it is removed."""
    left = made("torch", linear("0", 3, 4), linear("2", 4, 7))
    right = made("torch", linear("0", 3, 4), linear("1", 4, 4), linear("2", 4, 7))
    found = compare(left, right)
    assert status(found) == [("0", "0", "equal"), (None, "1", "added"), ("2", "2", "equal")]
    assert (causes(found), found.gap, found.unexplained) == ({"layers_added": 20}, 20, 0)
    assert str(found.summary) == (
        "The right model counts 20 more than the left one. Only the right model has 1 (20). Everything else is equal."
    )
    assert status(compare(right, left))[1] == ("1", None, "removed")


def test_one_block_less_of_many_alike() -> None:
    """Of twelve equal blocks one is gone: whole, not piece by piece from different blocks."""

    def blocks(count: int) -> list[Layer]:
        return [piece for at in range(count) for piece in
                (linear(f"layers.{at}.up", 8, 16), linear(f"layers.{at}.down", 16, 8))]  # fmt: skip

    found = compare(made("torch", *blocks(12)), made("torch", *blocks(11)))
    assert [pair.left for pair in found.layers if pair.right is None] == ["layers.11.up", "layers.11.down"]
    assert all(pair.left == pair.right for pair in found.layers if pair.right is not None)


def test_frozen_and_retyped_weights() -> None:
    """A frozen layer and a half-precision one are changed, though the counts are the same."""
    left = made("keras", dense("a", 3, 4), dense("b", 4, 5))
    right = made("keras", dense("a", 3, 4, group="frozen"), dense("b", 4, 5, dtype="float16"))
    found = compare(left, right)
    first, second = found.layers
    assert [str(text) for text in first.changes] == [
        "kernel and bias: trained in the left model, frozen in the right one."
    ]
    assert [str(text) for text in second.changes] == ["kernel and bias: float32 became float16."]
    assert second.weights[0].transform is not None
    assert second.weights[0].transform.code == "cast"
    assert found.gap == 0


def test_a_changed_size() -> None:
    """A wider layer changes itself and the next one; both keep their names."""
    found = compare(
        made("keras", dense("a", 3, 4), dense("b", 4, 5)), made("keras", dense("a", 3, 6), dense("b", 6, 5))
    )
    assert status(found) == [("a", "a", "changed"), ("b", "b", "changed")]
    assert str(found.layers[0].changes[0]) == "kernel: (3, 4) became (3, 6)."
    assert causes(found) == {"changed_size": 18}
    assert found.unexplained == 0


def test_a_changed_setting() -> None:
    """Within one framework a setting that differs makes the layer a changed one."""
    left, right = (
        made("keras", layer("d", "dropout", config={"rate": rate, "name": "d"}), dense("a", 2, 2))
        for rate in (0.1, 0.5)
    )
    found = compare(left, right)
    assert [(item.name, item.left_value, item.right_value) for item in found.hyperparameters] == [("rate", 0.1, 0.5)]
    assert ("d", "d", "changed") in status(found)


def test_tied_weights_count_once() -> None:
    """Untying an output layer adds its weight to the count."""
    table = layer("embed", "embedding", weight("weight", (50, 8), "embedding"))
    tied = layer("head", "linear", weight("weight", (50, 8), "kernel", layout="out-in", tied_to="embed.weight"))
    untied = layer("head", "linear", weight("weight", (50, 8), "kernel", layout="out-in"))
    found = compare(made("torch", table, tied), made("torch", table, untied))
    assert causes(found) == {"tied_weights": 400}
    assert (found.gap, found.unexplained) == (400, 0)


def test_an_unknown_size_is_not_explained_away() -> None:
    """Without all sizes there is no gap, and the comparison is partial."""
    lazy = layer("a", "linear", weight("weight", None, "kernel"))
    found = compare(made("torch", lazy), made("torch", linear("a", 3, 4)))
    assert (found.gap, found.unexplained, found.status) == (None, None, "partial")
    assert str(found.summary).startswith("The gap cannot be told: not every weight has a known size.")


def test_one_gru_bias_cannot_be_two() -> None:
    """reset_after=False is another function, whatever the counts say."""

    def gru(*biases: Weight, torch: bool) -> Layer:
        shapes = ((9, 5), (9, 3)) if torch else ((5, 9), (3, 9))
        names = ("weight_ih_l0", "weight_hh_l0") if torch else ("kernel", "recurrent_kernel")
        return layer("gru", "gru", *(weight(name, shape, role, layout="out-in" if torch else "in-out")
                     for name, shape, role in zip(names, shapes, ("kernel", "recurrent_kernel"), strict=True)),
                     *biases)  # fmt: skip

    left = made("keras", gru(weight("bias", (9,), "bias"), torch=False))
    right = made("torch", gru(weight("bias_ih_l0", (9,), "bias"), weight("bias_hh_l0", (9,), "recurrent_bias"),
                              torch=True))  # fmt: skip
    found = compare(left, right)
    assert causes(found) == {"second_bias": 9}
    assert any("reset_after=False" in str(note) for note in found.notes)


@pytest.mark.parametrize("name", ["recurrent", "attention", "assorted", "seed"])
def test_a_module_and_its_state_dict_are_one_model(name: str) -> None:
    """A state_dict has no classes: what it tells by names and shapes is enough to find everything again."""
    files = corpus_dir("torch_files")
    found = compared(files / f"{name}_module.pt", files / f"{name}_state.pt")
    assert {pair.status for pair in found.layers} == {"equal"}
    assert (found.gap, found.unexplained) == (0, 0)
    assert str(found.summary).endswith("Everything else is equal.")


@pytest.mark.parametrize("name", ["convolutions", "attentions", "recurrent", "mobilenet", "normalizations"])
def test_a_keras_model_and_its_weights_are_one_model(name: str) -> None:
    """A weights file has no graph and lists layers in another order."""
    files = corpus_dir("keras_files")
    found = compared(files / f"{name}.keras", files / f"{name}.weights.h5")
    assert {(pair.left == pair.right, pair.status) for pair in found.layers if pair.weights} == {(True, "equal")}
    assert (found.gap, found.unexplained) == (0, 0)


KINDS = st.sampled_from(["linear", "batch_norm", "embedding", "unknown", "conv2d", "lstm", "multi_head_attention"])
ROLES = st.sampled_from(["kernel", "bias", "scale", "offset", "moving_mean", "weight", "qkv_kernel", "recurrent_kernel",
                         "recurrent_bias", "query_kernel", "depthwise_kernel", "pointwise_kernel"])  # fmt: skip
SIZES = st.one_of(st.none(), st.lists(st.one_of(st.integers(0, 6), st.none()), max_size=4).map(tuple))
GROUPS = st.sampled_from(["trainable", "frozen", "statistic", "unknown"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=5,
)  # fmt: skip
CONFIGS = st.dictionaries(
    st.sampled_from(["momentum", "epsilon", "eps", "padding", "strides", "stride", "kernel_size", "dilation_rate",
                     "activation", "rate", "p", "data_format", "equation", "pool_size", "recurrent_activation"]),
    JSON, max_size=5,
)  # fmt: skip


@st.composite
def models(draw: st.DrawFn) -> Report:
    """Any layers with any weights: also what no framework writes."""
    layers = []
    for at in range(draw(st.integers(0, 6))):
        names = draw(st.lists(st.sampled_from(["kernel", "bias", "a/kernel", "b/kernel", "weight_ih_l0", "weight_hh_l0",
                                               "weight_ih_l1_reverse", "in_proj_weight", "in_proj_bias"]),
                              unique=True, max_size=4))  # fmt: skip
        weights = [weight(name, draw(SIZES), draw(ROLES), draw(GROUPS)) for name in names]
        inputs = draw(st.none() | st.lists(st.sampled_from([f"l{at}" for at in range(6)]), max_size=2).map(tuple))
        layers.append(layer(f"l{at}", draw(KINDS), *weights, config=draw(CONFIGS), inputs=inputs))
    return made(draw(st.sampled_from(["keras", "torch"])), *layers)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(models(), models())
def test_causes_add_up_whatever_the_models(left: Report, right: Report) -> None:
    """Two arbitrary models: the causes are the whole gap, and every weight stands in exactly one pair per part."""
    found = compare(left, right)
    if found.gap is not None:
        assert found.unexplained == 0
        assert sum(cause.count for cause in found.causes) == found.gap
    for side, whole in (("left", left), ("right", right)):
        listed = sum(getattr(weight, f"{side}_count") or 0 for pair in found.layers for weight in pair.weights)
        assert listed == sum(weight.count or 0 for layer in whole.layers for weight in layer.weights)
    str(found.summary)


def test_many_thousand_layers() -> None:
    """Far more layers than any model has, some left out: the others still find their counterparts."""
    many = [linear(f"l.{at}", 2, 3 + at % 5) for at in range(10_000)]
    fewer = [piece for at, piece in enumerate(many) if at % 1000]
    left, right = made("torch", *many), made("torch", *fewer)
    found = compare(left, right)
    assert sum(pair.status == "removed" for pair in found.layers) == 10
    assert found.unexplained == 0


def test_structure_is_compared_without_numpy() -> None:
    """The child that compares structures has no NumPy: importing the comparison must not need it."""
    code = (
        "import sys, json; sys.modules['numpy'] = None; import service.compare.compare;"
        "print(json.dumps('numpy' in sys.modules and sys.modules['numpy'] is None))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is True


def norm(path: str, **config: Any) -> Layer:
    """A normalisation with its statistics, as any framework has it."""
    learned = [weight(name, (8,), name) for name in ("scale", "offset")]
    kept = [weight(name, (8,), name, group="statistic") for name in ("moving_mean", "moving_variance")]
    return layer(path, "batch_norm", *learned, *kept, type="BatchNorm", config=config)


@pytest.mark.parametrize(
    ("ours", "theirs", "said"),
    [
        ("keras", "torch", "Keras counts them as non-trainable weights, PyTorch keeps them as buffers outside"),
        ("tensorflow", "paddle", "TensorFlow counts them as weights, PaddlePaddle has them beside its parameters."),
        ("openvino", "keras", "Keras counts them as weights, OpenVINO has them beside its parameters."),
        ("keras", "unknown", "one model counts them as weights, the other does not."),
        ("several", "keras", "one model counts them as weights, the other does not."),
    ],
)
def test_who_counts_statistics_is_called_by_name(ours: str, theirs: str, said: str) -> None:
    """The frameworks at hand, not Keras and PyTorch whatever they are; nobody where the file does not tell."""
    found = compare(made(ours, norm("n")), made(theirs, norm("n")))
    assert abs(found.gap or 0) == 16
    assert said in str(found.summary)


def test_frameworks_that_count_alike_have_no_gap() -> None:
    """Neither ONNX nor Core ML counts statistics; Keras and TensorFlow both do."""
    for ours, theirs in (("onnx", "coreml"), ("keras", "tensorflow"), ("tflite", "torch")):
        found = compare(made(ours, norm("n")), made(theirs, norm("n")))
        assert (found.gap, found.causes) == (0, ())


@pytest.mark.parametrize(
    ("ours", "theirs", "left", "right", "equal"),
    [
        ("torch", "paddle", 0.1, 0.9, True), ("torch", "paddle", 0.1, 0.1, False), ("onnx", "paddle", 0.9, 0.9, True),
        ("onnx", "torch", 0.9, 0.1, True), ("keras", "onnx", 0.99, 0.99, True), ("torch", "mlx", 0.1, 0.1, True),
    ],
)  # fmt: skip
def test_momentum_of_other_frameworks(ours: str, theirs: str, left: float, right: float, equal: bool) -> None:
    """ONNX and Paddle give the share of the old average as Keras does, MLX that of the new one as PyTorch does."""
    found = compare(made(ours, norm("n", momentum=left)), made(theirs, norm("n", momentum=right)))
    told = [(setting.equal, setting.text) for setting in found.hyperparameters if setting.name == "momentum"]
    assert told == [(equal, None)]
