"""Low-rank pairs, quantised and split kernels: each adds its own sum and its own sentence to the layer's formula."""

from __future__ import annotations

from service.enrich.explain import explained
from service.tree import Explanation, Layer, Weight
from tests.builders import layer, weight
from tests.corpus import corpus_dir
from tests.keras_reading import read


def complete(one: Layer, framework: str) -> Explanation:
    found, findings = explained(one, framework)
    assert found is not None
    assert (found.status, findings) == ("complete", [])
    return found


def dense() -> tuple[Weight, ...]:
    return weight("kernel", (128, 64), "kernel", "frozen", layout="in-out"), weight("bias", (64,), "bias")


def test_a_low_rank_pair_of_keras() -> None:
    """The pair adds rank × (inputs + outputs) beside the frozen kernel."""
    pair = weight("lora_kernel_a", (128, 4), "lora_a"), weight("lora_kernel_b", (4, 64), "lora_b")
    found = complete(layer("d", "linear", *dense(), *pair, type="Dense"), "keras")
    assert found.formula == "128 × 64 + 64 + 4 × (128 + 64) = 9024"
    assert "A low-rank pair (lora_kernel_a and lora_kernel_b, 768 values) is trained" in str(found.text)
    assert "kernel (8,192 values) cannot be trained" in str(found.text)
    assert found.reference is not None
    assert "arXiv:2106.09685" in found.reference


def test_a_low_rank_pair_of_loralib() -> None:
    """`lora_A` [rank, inputs] and `lora_B` [outputs, rank] in the module itself."""
    held = (
        weight("weight", (64, 128), "kernel", "frozen", layout="out-in"),
        weight("lora_A", (4, 128), "parameter"),
        weight("lora_B", (64, 4), "parameter"),
    )
    assert complete(layer("d", "linear", *held, type="Linear"), "torch").formula == "128 × 64 + 4 × (128 + 64) = 8960"


def test_low_rank_pairs_of_peft() -> None:
    """With peft each half is a layer of its own, found by its path."""
    path = "base_model.model.layers.0.q_proj"
    first = layer(
        f"{path}.lora_A.default", "linear", weight("weight", (8, 512), "kernel", layout="out-in"), type="Linear"
    )
    second = layer(f"{path}.lora_B.default", "unknown", weight("weight", (256, 8), "weight"))
    assert complete(first, "torch").formula == "8 × 512 = 4096"
    assert complete(second, "torch").formula == "8 × 256 = 2048"
    assert "One half of a low-rank pair (LoRA)" in str(complete(second, "torch").text)


def test_a_merged_pair_is_remembered() -> None:
    """Keras merges the pair when it saves; the recorded rank is told, and the formula stays that of the layer."""
    model = read(corpus_dir("keras_files") / "low_rank.keras")[1]
    ranked = [one for one in model.layers if one.config.get("lora_rank")]
    assert ranked
    for one in ranked:
        assert "Keras merges the low-rank pair into the kernel" in str(complete(one, "keras").expert)


def test_quantised_layers_of_keras() -> None:
    """Scales and zero points are a summand of their own; packed values are counted as meant."""
    model = read(corpus_dir("keras_files") / "quantized_int4.keras")[1]
    found = {one.path: complete(one, "keras") for one in model.layers if one.weights}
    assert found["matrix"].formula.startswith("8 × 7 + 7 + ")
    assert "kernel is stored as int4, 56 values packed in 32 elements." in str(found["matrix"].text)
    assert "count_params() is 24 less" in str(found["matrix"].expert)


def test_a_quantised_module_of_torch() -> None:
    """The scale and zero point of a quantised tensor are buffers beside the kernel."""
    held = (
        weight("weight", (4, 3), "kernel", "frozen", layout="out-in", dtype="qint8"),
        weight("weight.scales", (4,), "quant_scale", "statistic"),
    )
    found = complete(layer("q", "linear", *held, type="Linear"), "torch")
    assert found.formula == "3 × 4 = 12"
    assert "weight is stored as qint8." in str(found.text)
    assert "Quantised weights are not trained by gradient." in str(found.text)


def test_a_packed_linear_of_torch() -> None:
    """The parameters that a quantised Linear packs are explained as those of a fully connected layer."""
    held = weight("_packed_params[0]", (4, 8), "packed_kernel", "frozen"), weight("_packed_params[1]", (4,), "bias")
    assert complete(layer("p", "quantization", *held, type="LinearPackedParams"), "torch").formula == "8 × 4 + 4 = 36"


def test_weight_normalisation() -> None:
    """The direction stands for the kernel, the lengths are added."""
    held = (
        weight("bias", (4,), "bias"),
        weight("weight_g", (4, 1), "weight_g"),
        weight("weight_v", (4, 8), "weight_v", layout="out-in"),
    )
    found = complete(layer("w", "linear", *held, type="Linear"), "torch")
    assert found.formula == "8 × 4 + 4 + 4 × 1 = 40"
    assert "weight_g holds the 4 lengths" in str(found.text)


def test_a_layer_inside_another() -> None:
    """TimeDistributed counts as its inner layer; SpectralNormalization adds one singular vector."""
    inner = {"layer": {"class_name": "Dense", "config": {"units": 64}}}
    kernel, bias = weight("dense/kernel", (128, 64), "kernel"), weight("dense/bias", (64,), "bias")
    steps = layer("t", "time_distributed", kernel, bias, type="TimeDistributed", config=inner)
    vector = weight("vector_u", (1, 64), "spectral_vector", "statistic")
    spectral = layer("s", "spectral_norm", kernel, vector, bias, type="SpectralNormalization", config=inner)
    assert complete(steps, "keras").formula == "128 × 64 + 64 = 8256"
    assert complete(spectral, "keras").formula == "128 × 64 + 64 + 1 × 64 = 8320"
