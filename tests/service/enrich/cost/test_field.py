"""Receptive field and effective stride, by hand."""

from __future__ import annotations

from typing import Any

from service.tree import Layer
from tests.builders import layer, weight
from tests.service.enrich.cost.tools import by_path, costed

SHAPE = ((None, 32, 32, 2),)


def step(path: str, *inputs: str, kind: str = "conv2d", shape: Any = SHAPE, **config: Any) -> Layer:
    """A layer over 32 × 32 positions; a 3×3 convolution if nothing else is said."""
    defaults = {"kernel_size": [3, 3]} if kind.startswith("conv") else {}
    return layer(path, kind, type=config.pop("type", kind), config={**defaults, **config}, inputs=inputs,
                 input_shapes=shape, output_shapes=shape)  # fmt: skip


def seen(*layers: Layer, framework: str = "keras") -> dict[str, Any]:
    """Path -> (field, stride), each the value, or the reason where there is none; None where it has no meaning."""
    found = {}
    for path, cost in by_path(costed(framework, *layers)).items():
        pair = (cost.receptive_field, cost.stride)
        found[path] = tuple(
            None if one is None else one.value if one.value is not None else str(one.method) for one in pair
        )
    return found


def test_windows_strides_and_dilation() -> None:
    """3 → stride 2 → dilated 3: 1+2=3, +2·1... as r' = r + (k - 1)·d·j."""
    found = seen(
        step("a"), step("b", "a", strides=[2, 2]), step("n", "b", kind="batch_norm"),
        step("c", "n", dilation_rate=[3, 1]), step("p", "c", kind="pool", pool_size=[2, 2], type="MaxPooling2D"),
    )  # fmt: skip
    assert found == {
        "a": ((3, 3), (1, 1)), "b": ((5, 5), (2, 2)), "n": ((5, 5), (2, 2)), "c": ((17, 9), (2, 2)),
        "p": ((19, 11), (4, 4)),
    }  # fmt: skip


def test_branches_join_at_the_widest() -> None:
    """The shortcut sees 3, the branch 7: their sum sees 7."""
    found = seen(step("a"), step("b", "a"), step("c", "b"), step("sum", "a", "c", kind="merge", type="Add"))
    assert found["sum"] == ((7, 7), (1, 1))


def test_branches_of_different_stride() -> None:
    """Where strides differ there is no single one, and that is said."""
    found = seen(step("a"), step("b", "a", strides=[2, 2]), step("sum", "a", "b", kind="merge", type="Add"))
    assert found["sum"][0] == (5, 5)
    assert "different strides" in found["sum"][1]


def test_transposed_convolution_and_upsampling_divide_the_stride() -> None:
    """Stride 2, then transposed by 2: every output again sees one step per input; finer than that is said."""
    found = seen(
        step("a", strides=[2, 2]), step("t", "a", kind="conv_transpose2d", kernel_size=[4, 4], strides=[2, 2]),
        step("u", "t", kind="upsample", size=[2, 2], type="UpSampling2D"), step("c", "u"),
    )  # fmt: skip
    assert found["t"] == ((5, 5), (1, 1))
    assert found["u"][0] == (5, 5)
    assert "several output positions" in found["u"][1]
    assert found["c"][0] == (6, 6)


def test_flatten_and_global_pooling_end_the_chain() -> None:
    """Behind them there are no positions: no field."""
    found = seen(step("a"), step("g", "a", kind="global_pool"), step("d", "g", kind="linear", shape=((None, 2),)))
    assert found["g"] == (None, None)
    assert found["d"] == (None, None)


def test_squeeze_and_excitation_sees_everything() -> None:
    """A factor from global pooling makes every position depend on the whole input, whose size is known here."""
    found = seen(
        step("in", kind="input", type="InputLayer"), step("a", "in"), step("g", "a", kind="global_pool"),
        step("m", "a", "g", kind="merge", type="Multiply"), step("b", "m", strides=[2, 2]),
    )  # fmt: skip
    assert found["m"] == ((32, 32), (1, 1))
    assert found["b"] == ((32, 32), (2, 2))


def test_a_layer_that_is_not_known_breaks_the_chain() -> None:
    """What a custom layer does to positions nobody can tell."""
    found = seen(step("a"), step("x", "a", kind="custom"), step("b", "x"))
    assert found["x"] == (None, None)
    assert "not known" in found["b"][0]


def test_without_a_graph_there_is_no_chain() -> None:
    """A state_dict lists convolutions in no order."""
    alone = layer("a", "conv2d", weight("weight", (4, 2, 3, 3), "kernel"))
    assert "does not record" in seen(alone, framework="torch")["a"][0]


def test_windows_follow_from_the_kernel_where_they_are_not_configured() -> None:
    """An exported program records no kernel_size: the weight's last axes are it."""
    held = layer("a", "conv2d", weight("weight", (4, 2, 5, 3), "kernel"), inputs=(), config={"stride": [2, 1]})
    assert seen(held, framework="torch")["a"] == ((5, 3), (2, 1))
