"""The cost of single layers, worked out by hand from their formulas."""

from __future__ import annotations

from typing import Any

from service.tree import Layer
from tests.builders import layer, weight
from tests.service.enrich.cost.tools import by_path, cost, costed


def keras(kind: str, name: str, ins: Any, outs: Any, *weights: Any, **config: Any) -> Layer:
    """A Keras layer with one input and one output, or several as lists."""
    inputs = tuple(ins) if isinstance(ins, list) else (ins,)
    return layer("x", kind, *weights, type=name, config=config, input_shapes=inputs, output_shapes=(outs,))


def test_dense_over_all_leading_axes() -> None:
    """2 examples × 7 steps × 8 inputs × 16 outputs; FLOPs: two for each, a bias and a softmax (5) per output."""
    found = cost(
        keras("linear", "Dense", (None, 7, 8), (None, 7, 16), weight("kernel", (8, 16), "kernel"),
              weight("bias", (16,), "bias"), activation="softmax"), batch=2,
    )  # fmt: skip
    assert (found.macs.value, found.macs.status) == (2 * 7 * 8 * 16, "complete")
    assert found.flops.value == 2 * 2 * 7 * 8 * 16 + 2 * 7 * 16 * (1 + 5)


def test_dense_without_sizes_is_counted_per_position() -> None:
    """Without shapes one position per example is counted, and said to be partial."""
    found = cost(layer("x", "linear", weight("weight", (5, 3), "kernel")), "torch", batch=4)
    assert (found.macs.value, found.macs.status) == (60, "partial")
    assert "one position" in str(found.macs.assumptions[0])


def test_a_low_rank_pair_is_multiplied_out() -> None:
    """Keras' LoRA: kernel + A·B once per call, 8 × 2 × 16."""
    found = cost(
        keras("linear", "Dense", (None, 8), (None, 16), weight("kernel", (8, 16), "kernel"),
              weight("lora_kernel_a", (8, 2), "lora_a"), weight("lora_kernel_b", (2, 16), "lora_b"))
    )  # fmt: skip
    assert found.macs.value == 8 * 16 + 8 * 2 * 16


def test_einsum_dense() -> None:
    """The sizes of all letters, with `...` before or after."""
    plain = keras("einsum_dense", "EinsumDense", (None, 5, 8), (None, 5, 2, 3), weight("kernel", (8, 2, 3), "kernel"),
                  equation="abc,cde->abde")  # fmt: skip
    leading = keras("einsum_dense", "EinsumDense", (None, 5, 8), (None, 5, 6), weight("kernel", (8, 6), "kernel"),
                    equation="...x,xy->...y")  # fmt: skip
    trailing = keras("einsum_dense", "EinsumDense", (None, 8, 5), (None, 6, 5), weight("kernel", (8, 6), "kernel"),
                     equation="ax...,xy->ay...")  # fmt: skip
    assert cost(plain, batch=3).macs.value == 3 * 5 * 8 * 2 * 3
    assert cost(leading, batch=3).macs.value == 3 * 5 * 8 * 6
    assert cost(trailing, batch=3).macs.value == 3 * 5 * 8 * 6


def test_einsum_dense_whose_stored_shape_is_open() -> None:
    """Keras leaves (None, None, 6) for `abc,cd->abd`: the steps follow from the input."""
    first = layer("in", "input", type="InputLayer", inputs=(), output_shapes=((None, 5, 8),))
    held = layer("x", "einsum_dense", weight("kernel", (8, 6), "kernel"), type="EinsumDense", inputs=("in",),
                 config={"equation": "abc,cd->abd", "output_shape": [None, 6]},
                 input_shapes=((None, 5, 8),), output_shapes=((None, None, 6),))  # fmt: skip
    found = by_path(costed("keras", first, held, batch=3))["x"]
    assert (found.macs.value, found.activation_elements.value) == (3 * 5 * 8 * 6, 3 * 5 * 6)


def test_bilinear() -> None:
    """Per position: 4 × 2 × 3, then 4 × 3."""
    held = layer("x", "bilinear", weight("weight", (4, 2, 3), "kernel"), type="Bilinear",
                 input_shapes=((None, 2), (None, 3)), output_shapes=((None, 4),))  # fmt: skip
    assert cost(held, "torch", batch=5).macs.value == 5 * (24 + 12)


def test_separable_and_depthwise() -> None:
    """Depthwise 3×3 over 4 channels twice, and the 1×1 that mixes 8 into 6, at 5 × 5 positions."""
    depthwise = weight("depthwise_kernel", (3, 3, 4, 2), "depthwise_kernel")
    pointwise = weight("pointwise_kernel", (1, 1, 8, 6), "pointwise_kernel")
    separable = keras("separable_conv2d", "SeparableConv2D", (None, 7, 7, 4), (None, 5, 5, 6), depthwise, pointwise)
    alone = keras("depthwise_conv2d", "DepthwiseConv2D", (None, 7, 7, 4), (None, 5, 5, 8),
                  weight("kernel", (3, 3, 4, 2), "kernel"))  # fmt: skip
    assert cost(separable).macs.value == 25 * (72 + 48)
    assert cost(alone).macs.value == 25 * 72


def test_channels_first_in_keras() -> None:
    """The positions are those behind the channels."""
    held = keras("conv2d", "Conv2D", (None, 3, 9, 8), (None, 5, 7, 6), weight("kernel", (3, 3, 3, 5), "kernel"),
                 data_format="channels_first")  # fmt: skip
    assert cost(held).macs.value == 7 * 6 * 27 * 5


def test_unshared_convolution() -> None:
    """LocallyConnected2D: every weight once per example."""
    held = keras("conv2d", "LocallyConnected2D", (None, 5, 5, 2), (None, 3, 3, 4),
                 weight("kernel", (9, 18, 4), "kernel"))  # fmt: skip
    assert cost(held, batch=2).macs.value == 2 * 9 * 18 * 4


def test_lstm_with_projection_in_two_directions() -> None:
    """Each kernel at each of 7 steps: gates (4·6) × inputs 5 and × state 3, projection 3 × 6, twice."""
    names = [f"{name}_l0{end}" for end in ("", "_reverse") for name in ("weight_ih", "weight_hh", "weight_hr")]
    shapes, roles = ((24, 5), (24, 3), (3, 6)), ("kernel", "recurrent_kernel", "projection_kernel")
    held = [weight(name, shapes[i % 3], roles[i % 3]) for i, name in enumerate(names)]
    found = cost(layer("x", "lstm", *held, type="LSTM", input_shapes=((None, 7, 5),)), "torch", batch=2)
    assert found.macs.value == 2 * 7 * 2 * (24 * 5 + 24 * 3 + 3 * 6)


def test_recurrent_without_sizes_is_counted_per_step() -> None:
    """One step per example, partial."""
    found = cost(
        layer("x", "gru", weight("kernel", (4, 9), "kernel"), weight("r", (3, 9), "recurrent_kernel"), type="GRU")
    )
    assert (found.macs.value, found.macs.status) == (36 + 27, "partial")


def test_a_cell_of_ones_own_is_not_known() -> None:
    """An RNN around a class of neither framework has no known cost; around an LSTMCell it has."""
    kernels = weight("c/kernel", (4, 8), "kernel"), weight("c/recurrent_kernel", (2, 8), "recurrent_kernel")
    own = keras("rnn", "RNN", (None, 5, 4), (None, 2), *kernels, cell={"class_name": "Mine", "config": {}})
    known = keras("rnn", "RNN", (None, 5, 4), (None, 2), *kernels, cell={"class_name": "LSTMCell", "config": {}})
    assert cost(own).macs.status == "unavailable"
    assert cost(known).macs.value == 5 * (32 + 16)


def test_conv_lstm() -> None:
    """At 3 steps and 4 × 4 positions: input kernel 3·3·2·4f and recurrent kernel 3·3·f·4f with f = 5."""
    held = keras("conv_lstm", "ConvLSTM2D", (None, 3, 4, 4, 2), (None, 4, 4, 5),
                 weight("kernel", (3, 3, 2, 20), "kernel"), weight("r", (3, 3, 5, 20), "recurrent_kernel"))  # fmt: skip
    assert cost(held).macs.value == 3 * 16 * (9 * 2 * 20 + 9 * 5 * 20)


def attention(kind: str, heads: int, shared: int, ins: list[Any], **config: Any) -> Layer:
    """Keras attention over 12 features, heads of 4 (keys) and 3 (values)."""
    held = (
        weight("query/kernel", (12, heads, 4), "query_kernel"), weight("key/kernel", (12, shared, 4), "key_kernel"),
        weight("value/kernel", (12, shared, 3), "value_kernel"), weight("o/kernel", (heads, 3, 12), "output_kernel"),
    )  # fmt: skip
    return keras(kind, "MultiHeadAttention", ins, ins[0], *held, **config)


def test_cross_attention_in_keras() -> None:
    """Queries at 5, keys and values at 7 positions: projections each at its own, 2 heads over 35 pairs."""
    found = cost(attention("multi_head_attention", 2, 2, [(None, 5, 12), (None, 7, 12)]))
    projections = 5 * 12 * 8 + 7 * 12 * 8 + 7 * 12 * 6 + 5 * 6 * 12
    assert found.macs.value == projections + 2 * 35 * (4 + 3)


def test_grouped_queries_share_keys_and_values() -> None:
    """4 heads of queries, 2 of keys and values: scores are made for all 4."""
    found = cost(attention("grouped_query_attention", 4, 2, [(None, 5, 12), (None, 5, 12)]))
    projections = 5 * 12 * (16 + 8 + 6) + 5 * 12 * 12
    assert found.macs.value == projections + 4 * 25 * (4 + 3)


def test_attention_over_chosen_axes() -> None:
    """With `attention_axes` 2 of (batch, 3, 6, 12), every row attends to its 6 positions only."""
    found = cost(attention("multi_head_attention", 2, 2, [(None, 3, 6, 12)], attention_axes=[2]))
    assert found.macs.value == 18 * 12 * (8 + 8 + 6) + 18 * 6 * 12 + 2 * 3 * 36 * (4 + 3)


def torch_attention(**config: Any) -> tuple[Layer, Layer]:
    """nn.MultiheadAttention(8, 2) with its output projection."""
    main = layer("a", "multi_head_attention", weight("in_proj_weight", (24, 8), "qkv_kernel"),
                 type="MultiheadAttention", config={"num_heads": 2, **config},
                 input_shapes=((None, 5, 8), (None, 6, 8), (None, 6, 8)), output_shapes=((None, 5, 8),))  # fmt: skip
    inner = layer("a.out_proj", "linear", weight("weight", (8, 8), "kernel"), type="Linear", parent="a")
    return main, inner


def test_attention_in_torch_with_its_output_projection() -> None:
    """Query at 5, key and value at 6 positions; the output projection is a layer of its own."""
    found = by_path(costed("torch", *torch_attention(batch_first=True), batch=3))
    assert found["a"].macs.value == 3 * (5 * 64 + 2 * 6 * 64 + 2 * 5 * 6 * 8)
    assert found["a.out_proj"].macs.value == 3 * 5 * 64


def test_attention_in_torch_with_the_steps_in_front() -> None:
    """With batch_first false the first axis (the batch asked for, 3) are the steps, as PyTorch reads it."""
    found = by_path(costed("torch", *torch_attention(batch_first=False), batch=3))
    assert found["a"].macs.value == 3 * (5 + 6 + 6) * 64 + 2 * 3 * 3 * 5 * 8


def test_attention_whose_batch_axis_is_not_recorded() -> None:
    """Then an assumption is named and the number is partial."""
    found = by_path(costed("torch", *torch_attention(), batch=3))
    assert found["a"].macs.status == "partial"


def test_time_distributed_runs_its_layer_at_every_step() -> None:
    """5 steps of a Dense 3 → 4 over 6 positions."""
    inner = {"class_name": "Dense", "module": "keras.layers", "config": {"units": 4, "activation": "relu"}}
    held = keras("time_distributed", "TimeDistributed", (None, 5, 6, 3), (None, 5, 6, 4),
                 weight("kernel", (3, 4), "kernel"), layer=inner)  # fmt: skip
    found = cost(held, batch=2)
    assert found.macs.value == 2 * 5 * 6 * 12
    assert found.flops.value == 2 * 2 * 5 * 6 * 12 + 2 * 5 * 6 * 4


def test_products_of_two_tensors() -> None:
    """MatMul of (3, 4) and (4, 5) per example; Keras' Dot over axis 1; a bare Matmul operation."""
    shapes: list[Any] = [(None, 3, 4), (None, 4, 5)]
    assert cost(keras("merge", "MatMul", shapes, (None, 3, 5)), batch=2).macs.value == 2 * 60
    assert cost(keras("operation", "Matmul", shapes, (None, 3, 5)), batch=2).macs.value == 2 * 60
    assert cost(keras("merge", "Dot", [(None, 7), (None, 7)], (None, 1), axes=1), batch=2).macs.value == 2 * 7


def test_layers_without_products_have_no_macs_but_flops() -> None:
    """The convention per element: batch norm 2, layer norm 7, activation 1, softmax 5, pool its window, add 1."""
    shape = (None, 4, 4, 3)
    flops = {
        "BatchNormalization": cost(keras("batch_norm", "BatchNormalization", shape, shape)),
        "LayerNormalization": cost(keras("layer_norm", "LayerNormalization", shape, shape)),
        "ReLU": cost(keras("activation", "ReLU", shape, shape)),
        "Softmax": cost(keras("softmax", "Softmax", shape, shape)),
        "MaxPooling2D": cost(keras("pool", "MaxPooling2D", shape, (None, 2, 2, 3), pool_size=[2, 2])),
        "Add": cost(keras("merge", "Add", [shape, shape], shape)),
        "Flatten": cost(keras("reshape", "Flatten", shape, (None, 48))),
    }
    assert {name: found.flops.value for name, found in flops.items()} == {
        "BatchNormalization": 96, "LayerNormalization": 336, "ReLU": 48, "Softmax": 240, "MaxPooling2D": 48,
        "Add": 48, "Flatten": 0,
    }  # fmt: skip
    assert all(found.macs.value == 0 and found.macs.status == "complete" for found in flops.values())


def test_code_of_the_models_own_is_not_known() -> None:
    """A custom layer and a Lambda have no known cost, and say why."""
    for kind in ("custom", "lambda", "unknown", "parameter"):
        found = cost(keras(kind, "Mine", (None, 3), (None, 3)))
        assert (found.macs.value, found.macs.status) == (None, "unavailable"), kind
        assert found.macs.method is not None


def test_parameter_bytes_by_dtype() -> None:
    """Each type's bytes; a tied weight counts where it occurs first only."""
    held = layer("x", "linear", weight("a", (2, 3), "kernel"), weight("b", (3,), "bias", dtype="float16", bytes=6),
                 weight("c", (4,), "kernel", tied_to="y.a"))  # fmt: skip
    assert cost(held).parameter_bytes.value == {"float32": 24, "float16": 6}


def test_activation_bytes_by_what_the_layer_computes_in() -> None:
    """A Keras policy goes before the weights' type, that before the model's; else float32 is assumed and named."""
    kernel = weight("kernel", (3, 3), "kernel")
    policy = {"class_name": "DTypePolicy", "config": {"name": "mixed_float16"}}
    mixed = cost(keras("linear", "Dense", (None, 3), (None, 3), kernel, dtype=policy))
    half = cost(keras("linear", "Dense", (None, 3), (None, 3), weight("k", (3, 3), "kernel", dtype="bfloat16")))
    bare = cost(keras("activation", "ReLU", (None, 3), (None, 3)))
    assert [found.activation_bytes.value for found in (mixed, half, bare)] == [6, 6, 12]
    assert "float32 is assumed" in str(bare.activation_bytes.assumptions[0])
