"""Kinds concluded from names and shapes: certain, or unknown, or with a note that names the other possibility."""

from __future__ import annotations

import pytest

from service.catalog.torch_rules import GROUPED_NOTE, convolution_before, guess, linear_layout

Sizes = tuple[int, ...]


@pytest.mark.parametrize(
    ("shapes", "kind"),
    [
        ({"weight": (10, 20), "bias": (10,)}, "linear"),
        ({"weight": (20, 10), "bias": (10,)}, "linear"),
        ({"weight": (10, 20), "bias": (7,)}, "unknown"),
        ({"weight": (10, 20)}, "unknown"),
        ({"weight": (8, 3, 5, 5), "bias": (8,)}, "conv2d"),
        ({"weight": (8, 3, 5, 5), "bias": (3,)}, "conv_transpose2d"),
        ({"weight": (8, 8, 5, 5), "bias": (8,)}, "unknown"),
        ({"weight": (8, 3, 5, 5)}, "unknown"),
        ({"weight": (8, 2, 3, 3), "bias": (4,)}, "conv_transpose2d"),
        ({"weight": (8, 2, 3, 3), "bias": (0,)}, "unknown"), ({"weight": (8, 0, 3, 3), "bias": (4,)}, "unknown"),
        ({"weight": (8, 3, 5, 5, 5), "bias": (8,)}, "conv3d"),
        ({"weight": (3, 4, 5), "bias": (3, 4, 5)}, "layer_norm"),
        ({"weight": (4,), "bias": (4,)}, "unknown"),
        ({"weight": (4,)}, "unknown"),
        ({"running_mean": (4,), "running_var": (4,)}, "batch_norm"),
        ({"running_mean": (4,), "running_var": (5,)}, "unknown"),
        ({"running_mean": (4,)}, "unknown"),
        ({"weight_ih_l0": (24, 5), "weight_hh_l0": (24, 6)}, "lstm"),
        ({"weight_ih_l0": (24, 5), "weight_hh_l0": (24, 3), "weight_hr_l0": (3, 6)}, "lstm"),
        ({"weight_ih_l0": (18, 5), "weight_hh_l0": (18, 6)}, "gru"),
        ({"weight_ih_l0": (6, 5), "weight_hh_l0": (6, 6)}, "simple_rnn"),
        ({"weight_ih_l0": (30, 5), "weight_hh_l0": (30, 6)}, "unknown"),
        ({"weight_ih": (24, 5), "weight_hh": (24, 6)}, "rnn_cell"),
        ({"in_proj_weight": (24, 8), "in_proj_bias": (24,)}, "multi_head_attention"),
        ({"in_proj_weight": (24, 9), "in_proj_bias": (24,)}, "unknown"),
        ({"weight_g": (8, 1, 1, 1), "weight_v": (8, 3, 5, 5), "bias": (8,)}, "conv2d"),
        ({"weight": None, "bias": (3,)}, "unknown"),
        ({"weight": (), "bias": ()}, "unknown"),
        ({"weight": (0, 0), "bias": (0,)}, "linear"),
    ],
)
def test_what_names_and_shapes_tell(shapes: dict[str, Sizes | None], kind: str) -> None:
    """Biases show which axis is the output; gates divide the rows; what two classes share stays unknown."""
    assert guess(shapes, (), None).kind == kind


def test_a_version_of_two_is_a_batch_or_instance_norm() -> None:
    """Without statistics its kind stays open, but its weight is certainly a scale."""
    found = guess({"weight": (4,), "bias": (4,)}, (), 2)
    assert (found.kind, found.norm) == ("unknown", True)
    assert guess({"weight": (4,), "bias": (4,)}, (), 1).norm is False


def test_a_hedge_is_written_down() -> None:
    """Where a grouped transposed convolution is possible, a note says so."""
    assert guess({"weight": (8, 1, 3, 3), "bias": (8,)}, (), None).notes == (GROUPED_NOTE,)
    assert guess({"weight": (8, 3, 3, 3), "bias": (8,)}, (), None).notes == ()


def test_a_norm_behind_a_convolution_tells_its_outputs() -> None:
    """64 features behind (64, 3, 7, 7): outputs first. Behind a square kernel they tell nothing."""
    assert convolution_before((64, 3, 7, 7), 64) == "conv2d"
    assert convolution_before((64, 64, 3, 3), 64) is None
    assert convolution_before((64, 32, 3, 3), 32) is None


def test_axis_order_of_a_dense_kernel() -> None:
    """By the bias; a square one is torch.nn's order unless the file shows the other somewhere."""
    assert linear_layout((10, 20), (10,), transposed_seen=False) == "out-in"
    assert linear_layout((20, 10), (10,), transposed_seen=False) == "in-out"
    assert linear_layout((10, 10), (10,), transposed_seen=False) == "out-in"
    assert linear_layout((10, 10), (10,), transposed_seen=True) is None
