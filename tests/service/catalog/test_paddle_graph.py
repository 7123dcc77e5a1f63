"""Programs of Paddle as layers: quantised weights go through their dequantisation to the layer that they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from service.catalog.paddle_graph import Graph, layers_of
from service.config import Limits
from service.parsers.paddle_program import Operator, Program, Variable
from service.tree import Layer, State, Weight


def stored(name: str, dtype: str, *shape: int, trainable: bool | None = None) -> Variable:
    return Variable(name, dtype, shape, persistable=True, parameter=trainable is not None, trainable=trainable)


def operator(kind: str, inputs: Mapping[str, str], output: str, **settings: object) -> Operator:
    return Operator(kind, {slot: [name] for slot, name in inputs.items()}, {"Out": [output]}, dict(settings))


def read(variables: Iterable[Variable], operators: Sequence[Operator]) -> tuple[dict[str, Layer], tuple[State, ...]]:
    given = Variable("x", "float32", (None, 3, 8, 8))
    feed = Operator("feed", {}, {"Out": ["x"]}, {})
    program = Program({one.name: one for one in (given, *variables)}, [[feed, *operators]])
    layers, states = layers_of(Graph(program, Limits()))
    return {layer.path: layer for layer in layers}, states


def facts(weights: Iterable[Weight]) -> list[tuple[str, str, str]]:
    return [(one.stored_as or "", one.role, one.group) for one in weights]


def test_a_quantised_kernel_belongs_to_its_convolution() -> None:
    """int8 values, their scales and zero points are one layer's; the values stay parameters that no longer learn."""
    variables = [stored("conv2d_0.w_0", "int8", 8, 3, 3, 3), stored("conv2d_0.w_0.scale", "float32", 8),
                 stored("conv2d_0.w_0.zero", "float32", 8)]  # fmt: skip
    layers, states = read(
        variables,
        [operator("dequantize_linear", {"X": "conv2d_0.w_0", "Scale": "conv2d_0.w_0.scale",
                                        "ZeroPoint": "conv2d_0.w_0.zero"}, "w", quant_axis=0),
         operator("conv2d", {"Input": "x", "Filter": "w"}, "y")],
    )  # fmt: skip
    assert list(layers) == ["x", "conv2d_0"]
    conv = layers["conv2d_0"]
    assert facts(conv.weights) == [
        ("conv2d_0.w_0", "kernel", "frozen"), ("conv2d_0.w_0.scale", "quant_scale", "statistic"),
        ("conv2d_0.w_0.zero", "zero_point", "statistic"),
    ]  # fmt: skip
    assert (conv.weights[0].count, conv.weights[0].layout, conv.inputs) == (216, "OIHW", ("x",))
    assert states == ()


def test_quantising_what_is_computed_is_an_operation() -> None:
    """Scales of activations are statistics of an operation of their own, behind what it quantises."""
    layers, _ = read(
        [stored("scale", "float32", 1), stored("zero", "int32", 1)],
        [operator("quantize_linear", {"X": "x", "Scale": "scale", "ZeroPoint": "zero"}, "q"),
         operator("dequantize_linear", {"X": "q", "Scale": "scale", "ZeroPoint": "zero"}, "y")],
    )  # fmt: skip
    first, second = list(layers.values())[1:]
    assert (first.kind, second.kind, second.inputs) == ("quantization", "quantization", (first.path,))
    assert facts(first.weights) == [("scale", "quant_scale", "statistic"), ("zero", "zero_point", "statistic")]
    assert {one.tied_to for one in second.weights} == {f"{first.path}.Scale", f"{first.path}.ZeroPoint"}


def test_arrays_without_a_role_learn_only_if_they_may() -> None:
    """Several real numbers may; a single one, or whole numbers, steer; what the program records is believed."""
    variables = [stored("table", "float32", 3), stored("one", "float32", 1), stored("ids", "int64", 9),
                 stored("said", "float32", 1, trainable=True)]  # fmt: skip
    layers, _ = read(variables, [operator("strange", {"A": "x", **{one.name: one.name for one in variables}}, "y")])
    assert facts(layers["strange"].weights) == [
        ("table", "parameter", "unknown"), ("one", "constant", "statistic"), ("ids", "constant", "statistic"),
        ("said", "parameter", "trainable"),
    ]  # fmt: skip


def test_a_bias_is_its_layers_only_by_name() -> None:
    """`linear_0.b_0` added to the product with `linear_0.w_0` is its bias; another vector is an addition's own."""
    kernel = stored("linear_0.w_0", "float32", 8, 4)
    product = operator("matmul", {"X": "x", "Y": "linear_0.w_0"}, "m")
    layers, _ = read([kernel, stored("linear_0.b_0", "float32", 4)],
                     [product, operator("add", {"X": "m", "Y": "linear_0.b_0"}, "y")])  # fmt: skip
    assert facts(layers["linear_0"].weights) == [
        ("linear_0.w_0", "kernel", "unknown"), ("linear_0.b_0", "bias", "unknown"),
    ]  # fmt: skip
    layers, _ = read([kernel, stored("shift", "float32", 4)],
                     [product, operator("add", {"X": "m", "Y": "shift"}, "y")])  # fmt: skip
    assert [facts(layer.weights) for layer in layers.values()] == [
        [], [("linear_0.w_0", "kernel", "unknown")], [("shift", "parameter", "unknown")],
    ]  # fmt: skip


def test_what_no_operator_reads_is_a_state() -> None:
    """It is stored, so it is told, and it is no part of the network."""
    layers, (state,) = read([stored("left", "float32", 5)], [])
    assert list(layers) == ["x"]
    assert (state.name, state.group, [one.name for one in state.weights]) == ("unused", "other", ["left"])
