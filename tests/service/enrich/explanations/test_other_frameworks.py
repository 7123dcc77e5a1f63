"""What is said of a layer of neither Keras nor PyTorch: true there, without options that its format does not have."""

from __future__ import annotations

import re

import pytest

from service.enrich.explain import explained
from service.enrich.explanations.references import reference
from service.frameworks import FRAMEWORKS, OWN_RULES
from service.tree import Explanation, Layer
from tests.builders import layer, weight

OTHERS = sorted(set(FRAMEWORKS) - OWN_RULES | {"unknown"})
OPTIONS = re.compile(
    r"use_bias|bias=|padding_mode|dilation_rate|data_format|lora_rank|mask_zero|padding_idx|batch_first|momentum|"
    r"elementwise_affine|scale=False|center=False|num_groups|add_zero_attn|key_dim|return_sequences|proj_size=|"
    r"bias_axes|\{|\}"
)
LAYERS: dict[str, Layer] = {
    "linear": layer("l", "linear", weight("B", (5, 7), "kernel", layout="in-out"), weight("C", (7,), "bias")),
    "without bias": layer("l", "linear", weight("B", (7, 5), "kernel", layout="out-in"), config={"lora_rank": 2}),
    "conv": layer("l", "conv2d", weight("W", (8, 2, 3, 3), "kernel", layout="OIHW"), config={"group": 2}),
    "depthwise": layer("l", "depthwise_conv2d", weight("W", (8, 1, 3, 3), "kernel", layout="OIHW"),
                       config={"group": 8}),
    "transposed": layer("l", "conv_transpose2d", weight("W", (4, 3, 2, 2), "kernel", layout="IOHW"),
                        config={"group": 2}),
    "embedding": layer("l", "embedding", weight("data", (9, 4), "embedding"), weight("bias", (4,), "bias")),
    "batch norm": layer("l", "batch_norm", weight("s", (6,), "scale"), weight("b", (6,), "offset"),
                        weight("m", (6,), "moving_mean", "statistic"),
                        weight("v", (6,), "moving_variance", "statistic")),
    "layer norm": layer("l", "layer_norm", weight("s", (6,), "scale"), weight("b", (6,), "offset")),
    "group norm": layer("l", "group_norm", weight("s", (6,), "scale"), weight("b", (6,), "offset")),
    "instance norm": layer("l", "instance_norm", weight("s", (6,), "scale"), weight("b", (6,), "offset")),
    "rms norm": layer("l", "rms_norm", weight("s", (6,), "scale")),
    "attention": layer("l", "multi_head_attention", weight("w", (6, 18), "qkv_kernel", layout="in-out"),
                       weight("b", (18,), "qkv_bias")),
    "projections": layer("l", "multi_head_attention", *(
        one for name in ("query", "key", "value", "output")
        for one in (weight(f"{name}_w", (6, 4), f"{name}_kernel", layout="out-in"),
                    weight(f"{name}_b", (6,), f"{name}_bias")))),
    "einsum": layer("l", "einsum_dense", weight("kernel", (3, 4, 5), "kernel"), weight("bias", (4, 5), "bias")),
    "custom": layer("l", "custom", weight("x", (3, 4)), type="Fancy", custom=True),
}  # fmt: skip


def explanation(one: Layer, framework: str) -> Explanation:
    """What is said of a layer, without findings."""
    found, findings = explained(one, framework)
    assert found is not None
    assert not findings
    return found


@pytest.mark.parametrize("framework", OTHERS)
@pytest.mark.parametrize("name", LAYERS)
def test_no_option_of_another_framework_is_named(framework: str, name: str) -> None:
    """Every kind has its formula, and neither sentence speaks of options that only Keras or PyTorch has."""
    found = explanation(LAYERS[name], framework)
    assert found.status == "complete"
    assert not OPTIONS.search(f"{found.text} {found.expert}"), f"{found.text} {found.expert}"


def test_a_matrix_is_told_as_it_is_stored() -> None:
    """By its layout, whatever the framework's conventions."""
    assert str(explanation(LAYERS["linear"], "onnx").expert) == (
        "Without bias it would be 35. keras.layers.Dense and torch.nn.Linear count the same. The file stores the "
        "kernel as [inputs, units], as Keras does; PyTorch stores its transpose. Batch size and number of positions do "
        "not change the count."
    )
    assert "[units, inputs], as PyTorch does" in str(explanation(LAYERS["without bias"], "tflite").expert)


def test_groups_are_told_without_an_option() -> None:
    """ONNX records `group`, Core ML `nGroups`: both are read, neither is called groups=."""
    told = str(explanation(LAYERS["conv"], "onnx").expert)
    assert "The channels form 2 groups: a filter sees only 1/2 of the input channels" in told
    core = layer("l", "conv2d", weight("weights", (8, 2, 3, 3), "kernel", layout="OIHW"), config={"nGroups": 4})
    assert "The channels form 4 groups" in str(explanation(core, "coreml").expert)


def test_a_transposed_kernel_that_lists_its_outputs_first() -> None:
    """So does ncnn, with the inputs of one group; the others list all inputs and the outputs of one group."""
    biased = weight("bias", (4,), "bias")
    ncnn = layer("l", "conv_transpose2d", weight("weight", (4, 1, 2, 2), "kernel", layout="OIHW"), biased,
                 type="DeconvolutionDepthWise", config={"group": 4})  # fmt: skip
    assert explanation(ncnn, "ncnn").formula == "4 × 1 × 2 × 2 + 4 = 20"
    onnx = layer("l", "conv_transpose2d", weight("W", (4, 1, 2, 2), "kernel", layout="IOHW"), biased,
                 type="ConvTranspose", config={"group": 4})  # fmt: skip
    assert explanation(onnx, "onnx").formula == "4 × 1 × 2 × 2 + 4 = 20"


def test_an_embedding_may_have_a_bias() -> None:
    """Core ML and ncnn add one to every vector."""
    found = explanation(LAYERS["embedding"], "coreml")
    assert found.formula == "9 × 4 + 4 = 40"
    assert "A bias is added to every vector (4)." in str(found.text)


def test_projections_of_different_sizes_are_not_called_equal() -> None:
    """ONNX Runtime's Attention may say that queries, keys and values differ: no formula is claimed."""
    one = layer("l", "multi_head_attention", weight("w", (6, 18), "qkv_kernel", layout="in-out"), type="Attention",
                config={"qkv_hidden_sizes": [3, 3, 12]})  # fmt: skip
    found = explanation(one, "onnx")
    assert (found.formula, found.status) == ("6 × 18 = 108", "partial")


def test_storage_shared_by_weights_that_do_not_count_is_not_said() -> None:
    """The sentence speaks of counts: a scale that two layers share is in none."""
    one = layer("l", "linear", weight("B", (5, 7), "kernel", layout="in-out"),
                weight("a_scale", (), "quant_scale", "statistic", tied_to="k/a_scale"))  # fmt: skip
    assert "shares its storage" not in str(explanation(one, "onnx").text)


@pytest.mark.parametrize(
    ("framework", "kind", "type_name", "source", "page"),
    [
        ("onnx", "conv2d", "Conv", "recorded", "https://onnx.ai/onnx/operators/onnx__Conv.html"),
        ("onnx", "linear", "MatMulNBits", "recorded",
         "https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MatMulNBits"),
        ("onnx", "linear", "Fancy", "recorded", None),
        ("tensorflow", "linear", "MatMul", "recorded",
         "https://www.tensorflow.org/api_docs/python/tf/raw_ops/MatMul"),
        ("tensorflow", "linear", "_FusedMatMul", "recorded", None),
        ("tensorflow", "linear", "Dense", "rule", "https://keras.io/api/layers/core_layers/dense/"),
        ("tflite", "linear", "FULLY_CONNECTED", "recorded", "https://www.tensorflow.org/mlir/tfl_ops"),
        ("paddle", "linear", "matmul_v2", "recorded",
         "https://www.paddlepaddle.org.cn/documentation/docs/en/api/paddle/nn/Linear_en.html"),
        ("coreml", "linear", "innerProduct", "recorded", None),
        ("openvino", "linear", "MatMul", "recorded", None),
        ("ggml", "linear", None, "rule", None),
    ],
)  # fmt: skip
def test_references(framework: str, kind: str, type_name: str | None, source: str, page: str | None) -> None:
    """The page of the operator where its address follows from its name; never that of another framework's class."""
    found = reference(layer("l", kind, type=type_name, type_source=source), framework)
    assert (found or "").rpartition("; ")[2] == (page or "")
