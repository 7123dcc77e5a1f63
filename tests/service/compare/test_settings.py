"""Settings in two conventions: what `same` pads, which GELU, how large a head is, what PyTorch cannot do."""

from __future__ import annotations

from typing import Any

import pytest

from service.compare.compare import compare
from service.comparisons import HyperParameter
from service.enrich.pipeline import enrich
from service.tree import Layer, Report
from tests.builders import layer, model, report, weight

KERAS_CONV = {"kernel_size": [3, 3], "strides": [2, 2], "dilation_rate": [1, 1], "padding": "same"}
TORCH_CONV = {"kernel_size": [3, 3], "stride": [2, 2], "dilation": [1, 1], "padding": [1, 1]}


def made(framework: str, *layers: Layer) -> Report:
    return report(enrich(model(framework, *layers)))


def settings(left: Report, right: Report) -> dict[str, HyperParameter]:
    """By name, from the left model to the right one."""
    return {found.name: found for found in compare(left, right).hyperparameters}


def keras_conv(size: int, **more: Any) -> Report:
    kernel = weight("kernel", (3, 3, 4, 5), "kernel", layout="HWIO")
    return made("keras", layer("conv", "conv2d", kernel, type="Conv2D", config={**KERAS_CONV, **more},
                               input_shapes=((None, size, size, 4),)))  # fmt: skip


def torch_conv(*before: Layer, **more: Any) -> Report:
    kernel = weight("weight", (5, 4, 3, 3), "kernel", layout="OIHW")
    return made("torch", *before, layer("0", "conv2d", kernel, type="Conv2d", config={**TORCH_CONV, **more}))


def test_same_with_a_stride_pads_more_after_than_before() -> None:
    """A window of 3 at stride 2: on 224 positions `same` adds 0 and 1, on 225 it adds 1 and 1.

    TensorFlow: (ceil(224 / 2) - 1) 2 + 3 - 224 = 1 in all, the smaller half before.
    """
    even = settings(keras_conv(224), torch_conv())["padding"]
    assert (even.converted, even.equal) == ([[0, 1], [0, 1]], False)
    odd = settings(keras_conv(225), torch_conv())["padding"]
    assert (odd.converted, odd.equal) == ([1, 1], True)


def test_a_layer_that_pads_may_do_the_rest() -> None:
    """ZeroPad2d before a convolution without padding: nothing is called wrong."""
    pad = layer("pad", "padding", type="ZeroPad2d", config={"padding": [0, 1, 0, 1]})
    assert settings(keras_conv(224), torch_conv(pad, padding=[0, 0]))["padding"].equal is None


def test_one_word_means_one_thing() -> None:
    """`same` in both frameworks, at stride 1, with an even window too."""
    ours = keras_conv(16, strides=[1, 1], kernel_size=[2, 2])
    theirs = torch_conv(stride=[1, 1], kernel_size=[2, 2], padding="same")
    assert settings(ours, theirs)["padding"].equal is True


@pytest.mark.parametrize(("approximate", "equal"), [("none", True), ("tanh", False)])
def test_gelu_by_the_tanh_formula_is_another_function(approximate: str, equal: bool) -> None:
    """Keras' `gelu` is exact unless it is told otherwise."""
    ours = made("keras", layer("d", "linear", weight("kernel", (3, 4), "kernel", layout="in-out"),
                               config={"activation": "gelu"}))  # fmt: skip
    theirs = made(
        "torch",
        layer("0", "linear", weight("weight", (4, 3), "kernel", layout="out-in"), type="Linear"),
        layer("1", "activation", type="GELU", config={"approximate": approximate}),
    )
    assert settings(ours, theirs)["activation"].equal is equal


def test_what_pytorch_cannot_do_is_told() -> None:
    """Recurrent dropout and reading backwards have no argument in torch.nn.LSTM."""
    shapes = (("kernel", (5, 12), "kernel"), ("recurrent_kernel", (3, 12), "recurrent_kernel"))
    ours = made("keras", layer("lstm", "lstm", *(weight(*shape, layout="in-out") for shape in shapes),
                               config={"recurrent_dropout": 0.2, "go_backwards": False}))  # fmt: skip
    theirs = made("torch", layer("lstm", "lstm", weight("weight_ih_l0", (12, 5), "kernel", layout="out-in"),
                                 weight("weight_hh_l0", (12, 3), "recurrent_kernel", layout="out-in")))  # fmt: skip
    found = settings(ours, theirs)
    assert (found["recurrent_dropout"].left_value, found["recurrent_dropout"].equal) == (0.2, False)
    assert found["go_backwards"].equal is True


def test_the_size_of_a_head_scales_attention() -> None:
    """key_dim against embed_dim / num_heads."""
    ours = made("keras", layer("a", "multi_head_attention", weight("query/kernel", (8, 2, 4), "query_kernel"),
                               config={"num_heads": 2, "key_dim": 4}))  # fmt: skip
    theirs = made("torch", layer("a", "multi_head_attention", weight("q_proj_weight", (8, 8), "query_kernel"),
                                 config={"num_heads": 4, "embed_dim": 8}))  # fmt: skip
    head = settings(ours, theirs)["head_size"]
    assert (head.left_value, head.right_value, head.equal) == (4, 2, False)


def test_one_number_for_all_axes_is_no_change() -> None:
    """Within one framework 4 and [4, 4] are one pool size."""
    ours, theirs = (made("torch", layer("p", "pool", config={"kernel_size": size})) for size in (4, [4, 4]))
    assert settings(ours, theirs) == {}
