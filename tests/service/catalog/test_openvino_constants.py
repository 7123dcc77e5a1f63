"""Constants below an operation, through what only unpacks them: values, scales, zero points, ranges."""

from __future__ import annotations

import pytest

from service.catalog.openvino_constants import find_constants, leaves_of, shape_of
from service.catalog.openvino_graph import Graph, Op, Port

Edges = dict[tuple[int, int], tuple[int, int]]


def const(number: int, kind: str = "f32", shape: str = "3,4") -> Op:
    return Op(number, f"c{number}", "Const", "opset1", None, {"element_type": kind, "shape": shape})


def op(number: int, kind: str, *dims: int) -> Op:
    return Op(number, f"o{number}", kind, "opset1", None, {}, [], [Port(9, "FP32", dims)] if dims else [])


def found(ops: list[Op], edges: Edges, number: int) -> list[tuple[str, str, str, tuple[int | None, ...]]]:
    """(constant, part, name, sizes) below an operation."""
    constants = find_constants(Graph({one.id: one for one in ops}, edges))
    return [(leaf.op.name, leaf.part, leaf.name, leaf.shape) for leaf in leaves_of(constants, number)]


def test_a_constant_is_itself() -> None:
    """With the sizes that it says."""
    assert found([const(1)], {}, 1) == [("c1", "value", "", (3, 4))]


def test_compressed_weights_have_scale_and_zero_point() -> None:
    """Const u4 -> Convert -> Subtract(zero) -> Multiply(scale) -> Reshape, as compression to four bits writes them."""
    ops = [
        const(1, "u4", "3,2,2"), op(2, "Convert", 3, 2, 2), const(3, "u4", "3,2,1"), op(4, "Convert", 3, 2, 1),
        op(5, "Subtract", 3, 2, 2), const(6, "f16", "3,2,1"), op(7, "Multiply", 3, 2, 2), const(8, "i64", "2"),
        op(9, "Reshape", 3, 4),
    ]  # fmt: skip
    edges: Edges = {(2, 0): (1, 9), (4, 0): (3, 9), (5, 0): (2, 9), (5, 1): (4, 9), (7, 0): (5, 9), (7, 1): (6, 9),
                    (9, 0): (7, 9), (9, 1): (8, 9)}  # fmt: skip
    assert found(ops, edges, 9) == [
        ("c1", "value", "", (3, 4)), ("c8", "control", "reshape", (2,)), ("c6", "scale", "scale", (3, 2, 1)),
        ("c3", "zero_point", "zero_point", (3, 2, 1)),
    ]  # fmt: skip


def test_a_factor_of_full_values_is_no_scale() -> None:
    """A product of two constants of float32: nothing is quantised."""
    ops = [const(1), const(2, shape="1"), op(3, "Multiply", 3, 4)]
    assert found(ops, {(3, 0): (1, 9), (3, 1): (2, 9)}, 3) == [
        ("c1", "value", "", (3, 4)), ("c2", "control", "scale", (1,)),
    ]  # fmt: skip


def test_a_fake_quantisation_has_four_limits() -> None:
    """Each with a name of its own."""
    ops = [const(1), *(const(number, shape="1") for number in range(2, 6)), op(6, "FakeQuantize", 3, 4)]
    edges: Edges = {(6, into): (into + 1, 9) for into in range(5)}
    parts = [(part, name) for _, part, name, _ in found(ops, edges, 6)]
    assert parts[0] == ("value", "")
    assert [part for part, _ in parts[1:]] == ["range"] * 4
    assert len({name for _, name in parts[1:]}) == 4


def test_a_transpose_keeps_the_sizes_that_are_stored() -> None:
    """What reads it sees others, but the values lie as the constant says."""
    ops = [const(1, "f16"), const(2, "i64", "2"), op(3, "Transpose", 4, 3)]
    constants = find_constants(Graph({one.id: one for one in ops}, {(3, 0): (1, 9), (3, 1): (2, 9)}))
    leaf = leaves_of(constants, 3)[0]
    assert (leaf.shape, leaf.reordered) == ((3, 4), True)


def test_only_what_constants_alone_feed_is_constant() -> None:
    """One input of the model in between ends it."""
    ops = [const(1), op(2, "Parameter", 3, 4), op(3, "Multiply", 3, 4), op(4, "Convert", 3, 4)]
    constants = find_constants(Graph({one.id: one for one in ops}, {(3, 0): (1, 9), (3, 1): (2, 9), (4, 0): (1, 9)}))
    assert constants.constant == {1, 4}


@pytest.mark.parametrize(("written", "sizes"), [
    ("3,4", (3, 4)), (" 3 , 4 ", (3, 4)), ("", ()), ("3,-1", (7,)), ("x", (7,)), ("1" * 20, (7,)),
    (",".join(["1"] * 65), (7,)), ("٣", (7,)),
])  # fmt: skip
def test_sizes_are_numbers_or_the_ports(written: str, sizes: tuple[int, ...]) -> None:
    """Digits of ASCII alone, of no more axes than any has; the output's sizes where they are none."""
    one = Op(1, "c", "Const", None, None, {"shape": written}, [], [Port(0, "FP32", (7,))])
    assert shape_of(one) == sizes


def test_a_long_chain_ends() -> None:
    """Thirty conversions of one constant: nothing is found rather than a loop without end."""
    ops = [const(0), *(op(number, "Convert", 3, 4) for number in range(1, 31))]
    assert found(ops, {(number, 0): (number - 1, 9) for number in range(1, 31)}, 30) == []
