"""Layers whose roles say which projection of an attention they are are explained as what they are; experts too."""

from __future__ import annotations

import pytest

from service.enrich.explain import explained
from service.tree import Layer
from tests.builders import layer, weight


def formula(one: Layer) -> tuple[str, str]:
    """Formula and status of a layer's explanation."""
    found = explained(one, "torch")[0]
    assert found is not None
    return found.formula, found.status


@pytest.mark.parametrize("part", ["query", "key", "value", "output", "qkv"])
def test_a_projection_is_a_linear_layer(part: str) -> None:
    """Its kernel and its bias have roles of their own."""
    one = layer("q", "linear", weight("weight", (6, 4), f"{part}_kernel", layout="out-in"),
                weight("bias", (6,), f"{part}_bias"))  # fmt: skip
    assert formula(one) == ("4 × 6 + 6 = 30", "complete")


def test_a_projection_is_a_convolution() -> None:
    """The attention of the first autoencoders of Stable Diffusion."""
    one = layer("q", "conv2d", weight("weight", (8, 8, 1, 1), "query_kernel", layout="OIHW"),
                weight("bias", (8,), "query_bias"))  # fmt: skip
    assert formula(one) == ("8 × 8 × 1 × 1 + 8 = 72", "complete")


def test_the_kernels_of_all_experts() -> None:
    """One array of three axes: each expert is a fully connected layer."""
    one = layer("ffn_gate_exps", "linear", weight("weight", (4, 6, 5), "kernel"))
    assert formula(one) == ("4 × 6 × 5 = 120", "complete")
