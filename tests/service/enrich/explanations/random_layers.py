"""Random layers of both frameworks with every option that changes a count, and those that people think do.

A description is what the framework's constructor takes, as JSON: `{"type", "arguments", "inputs", "then"}`.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

Description = dict[str, Any]


def torch_layers(number: int, seed: int) -> list[Description]:
    """`number` descriptions of modules, each class as often as the others."""
    random = Random(seed)  # noqa: S311 - not for secrets
    return [TORCH[index % len(TORCH)](random) for index in range(number)]


def keras_layers(number: int, seed: int) -> list[Description]:
    """`number` descriptions of layers with names `k0`, `k1` ... and input shapes."""
    random = Random(seed)  # noqa: S311 - not for secrets
    found = [KERAS[index % len(KERAS)](random) for index in range(number)]
    for index, one in enumerate(found):
        one["arguments"]["name"] = f"k{index}"
        one["arguments"]["trainable"] = random.random() > 0.2
    return found


def _of(kind: str, inputs: list[Any] | None = None, **arguments: Any) -> Description:
    return {"type": kind, "arguments": arguments, "inputs": inputs or []}


def _flag(random: Random) -> bool:
    return random.random() < 0.5


def _window(random: Random, rank: int) -> list[int]:
    return [random.randint(1, 4) for _ in range(rank)]


# PyTorch


def _linear(random: Random) -> Description:
    one = _of("Linear", in_features=random.randint(1, 9), out_features=random.randint(1, 9), bias=_flag(random))
    then = random.choice([None, None, "weight_norm", "spectral_norm", "lora", "freeze"])
    return {**one, "then": then, "rank": random.randint(1, 4)}


def _bilinear(random: Random) -> Description:
    return _of("Bilinear", in1_features=random.randint(1, 5), in2_features=random.randint(1, 5),
               out_features=random.randint(1, 5), bias=_flag(random))  # fmt: skip


def _torch_convolution(random: Random) -> Description:
    rank, groups = random.randint(1, 3), random.randint(1, 3)
    transposed = _flag(random)
    one = _of(
        f"Conv{'Transpose' * transposed}{rank}d",
        in_channels=groups * random.randint(1, 4), out_channels=groups * random.randint(1, 4),
        kernel_size=_window(random, rank), groups=groups, bias=_flag(random), stride=random.randint(1, 2),
        dilation=random.randint(1, 3), padding=random.randint(0, 1),
    )  # fmt: skip
    return {**one, "then": random.choice([None, None, None, "weight_norm", "spectral_norm", "freeze"])}


def _tracking_norm(random: Random) -> Description:
    kind = random.choice(["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", "InstanceNorm1d",
                          "InstanceNorm2d", "InstanceNorm3d"])  # fmt: skip
    return _of(kind, num_features=random.randint(1, 9), affine=_flag(random), track_running_stats=_flag(random))


def _torch_layer_norm(random: Random) -> Description:
    shape = [random.randint(1, 6) for _ in range(random.randint(1, 3))]
    if _flag(random):
        return _of("RMSNorm", normalized_shape=shape, elementwise_affine=_flag(random))
    return _of("LayerNorm", normalized_shape=shape, elementwise_affine=_flag(random), bias=_flag(random))


def _torch_group_norm(random: Random) -> Description:
    groups = random.randint(1, 3)
    return _of("GroupNorm", num_groups=groups, num_channels=groups * random.randint(1, 4), affine=_flag(random))


def _torch_embedding(random: Random) -> Description:
    kind = random.choice(["Embedding", "EmbeddingBag"])
    return _of(kind, num_embeddings=random.randint(1, 20), embedding_dim=random.randint(1, 6))


def _torch_recurrent(random: Random) -> Description:
    kind, hidden = random.choice(["RNN", "LSTM", "GRU"]), random.randint(1, 6)
    projected = {"proj_size": random.randint(1, hidden - 1)} if kind == "LSTM" and hidden > 1 and _flag(random) else {}
    return _of(
        kind, input_size=random.randint(1, 6), hidden_size=hidden, num_layers=random.randint(1, 4), bias=_flag(random),
        bidirectional=_flag(random), batch_first=_flag(random), **projected,
    )  # fmt: skip


def _torch_cell(random: Random) -> Description:
    kind = random.choice(["RNNCell", "LSTMCell", "GRUCell"])
    return _of(kind, input_size=random.randint(1, 6), hidden_size=random.randint(1, 6), bias=_flag(random))


def _torch_attention(random: Random) -> Description:
    heads = random.randint(1, 3)
    widths = {"kdim": random.randint(1, 6), "vdim": random.randint(1, 6)} if _flag(random) else {}
    return _of(
        "MultiheadAttention", embed_dim=heads * random.randint(1, 4), num_heads=heads, bias=_flag(random),
        add_bias_kv=_flag(random), batch_first=_flag(random), **widths,
    )  # fmt: skip


def _torch_prelu(random: Random) -> Description:
    return _of("PReLU", num_parameters=random.randint(1, 6))


def _transformer_layer(random: Random) -> Description:
    kind = random.choice(["TransformerEncoderLayer", "TransformerDecoderLayer"])
    heads = random.randint(1, 2)
    return _of(kind, d_model=heads * random.randint(1, 3), nhead=heads, dim_feedforward=random.randint(1, 6),
               bias=_flag(random), batch_first=True)  # fmt: skip


TORCH: tuple[Callable[[Random], Description], ...] = (
    _linear, _bilinear, _torch_convolution, _tracking_norm, _torch_layer_norm, _torch_group_norm, _torch_embedding,
    _torch_recurrent, _torch_cell, _torch_attention, _torch_prelu, _torch_convolution, _tracking_norm,
    _torch_recurrent, _transformer_layer,
)  # fmt: skip


# Keras


def _dense(random: Random) -> Description:
    one = _of("Dense", [[None, random.randint(1, 9)]], units=random.randint(1, 9), use_bias=_flag(random))
    return _slimmed(random, one, ["int8", "int4", "float8"])


def _einsum(random: Random) -> Description:
    equation, inputs, output, axes = random.choice([
        ("ab,bc->ac", [None, 4], [3], "c"),
        ("abc,cd->abd", [None, 2, 3], [None, 5], "d"),
        ("abc,cde->abde", [None, 2, 3], [None, 2, 3], "de"),
        ("abcd,cde->abe", [None, 2, 3, 4], [None, 6], "e"),
        ("...x,xy->...y", [None, 5, 4], [7], "y"),
    ])  # fmt: skip
    one = _of("EinsumDense", [inputs], equation=equation, output_shape=output, bias_axes=random.choice([None, axes]))
    return _slimmed(random, one, [] if "..." in equation else ["int8", "int4"])  # Keras cannot quantise an ellipsis


def _slimmed(random: Random, one: Description, quantizations: list[str]) -> Description:
    """Some with a pair of low rank, some quantised, most as they are."""
    then = random.choice([None, None, None, "lora", *quantizations])
    if then == "lora":
        one["arguments"]["lora_rank"] = random.randint(1, 4)
        return one
    return {**one, "then": then}


_KERAS_SIZES = {1: [9], 2: [9, 8], 3: [6, 5, 4]}


def _keras_convolution(random: Random) -> Description:
    rank, groups = random.randint(1, 3), random.randint(1, 2)
    channels = groups * random.randint(1, 4)
    return _of(
        f"Conv{rank}D", [[None, *_KERAS_SIZES[rank], channels]], filters=groups * random.randint(1, 4),
        kernel_size=_window(random, rank), groups=groups, use_bias=_flag(random), padding="same",
        dilation_rate=random.randint(1, 2),
    )  # fmt: skip


def _keras_transposed(random: Random) -> Description:
    rank = random.randint(1, 3)
    return _of(
        f"Conv{rank}DTranspose", [[None, *_KERAS_SIZES[rank], random.randint(1, 4)]], filters=random.randint(1, 4),
        kernel_size=_window(random, rank), use_bias=_flag(random), strides=random.randint(1, 2),
    )  # fmt: skip


def _depthwise(random: Random) -> Description:
    rank = random.randint(1, 2)
    return _of(
        f"DepthwiseConv{rank}D", [[None, *_KERAS_SIZES[rank], random.randint(1, 4)]], kernel_size=_window(random, rank),
        depth_multiplier=random.randint(1, 3), use_bias=_flag(random), padding="same",
    )  # fmt: skip


def _separable(random: Random) -> Description:
    rank = random.randint(1, 2)
    return _of(
        f"SeparableConv{rank}D", [[None, *_KERAS_SIZES[rank], random.randint(1, 4)]], filters=random.randint(1, 5),
        kernel_size=_window(random, rank), depth_multiplier=random.randint(1, 3), use_bias=_flag(random),
        padding="same",
    )  # fmt: skip


def _keras_batch_norm(random: Random) -> Description:
    shape = [None, random.randint(2, 5), random.randint(2, 5), random.randint(1, 9)]
    return _of("BatchNormalization", [shape], scale=_flag(random), center=_flag(random), axis=random.choice([-1, 1]),
               momentum=random.random(), renorm=_flag(random))  # fmt: skip


def _keras_norm(random: Random) -> Description:
    shape = [None, random.randint(2, 5), 2 * random.randint(1, 4)]
    kind = random.choice(["LayerNormalization", "GroupNormalization", "RMSNormalization"])
    if kind == "RMSNormalization":
        return _of(kind, [shape])
    more: dict[str, Any] = {"groups": 2} if kind == "GroupNormalization" else {"axis": random.choice([-1, [1, 2]])}
    return _of(kind, [shape], scale=_flag(random), center=_flag(random), **more)


def _keras_embedding(random: Random) -> Description:
    sizes = {"input_dim": random.randint(1, 20), "output_dim": random.randint(1, 8), "mask_zero": _flag(random)}
    if random.random() < 0.3:
        one = _of("ReversibleEmbedding", [[None, 4]], **sizes, tie_weights=_flag(random))
        return {**one, "then": random.choice([None, None, "int8", "int4"])}
    return _slimmed(random, _of("Embedding", [[None, 4]], **sizes), ["int8", "int4"])


def _cell_arguments(random: Random, kind: str) -> dict[str, Any]:
    gru = {"reset_after": _flag(random)} if kind.startswith("GRU") else {}
    return {"units": random.randint(1, 6), "use_bias": _flag(random), **gru}


def _recurrent(random: Random) -> Description:
    kind = random.choice(["SimpleRNN", "LSTM", "GRU"])
    return _of(kind, [[None, 3, random.randint(1, 6)]], **_cell_arguments(random, kind),
               return_sequences=_flag(random), return_state=_flag(random))  # fmt: skip


def _bidirectional(random: Random) -> Description:
    kind = random.choice(["SimpleRNN", "LSTM", "GRU"])
    inputs = [[None, 3, random.randint(1, 6)]]
    forward = _of(kind, **_cell_arguments(random, kind))
    if random.random() < 0.3:
        backward = _of(kind, **_cell_arguments(random, kind), go_backwards=True)
        return _of("Bidirectional", inputs, layer=forward, backward_layer=backward)
    return _of("Bidirectional", inputs, layer=forward, merge_mode=random.choice(["concat", "sum"]))


def _around_cells(random: Random) -> Description:
    kinds = [random.choice(["SimpleRNNCell", "LSTMCell", "GRUCell"]) for _ in range(random.randint(1, 5))]
    cells = [_of(kind, **_cell_arguments(random, kind)) for kind in kinds]
    inner = cells[0] if len(cells) == 1 else _of("StackedRNNCells", cells=cells)
    return _of("RNN", [[None, 3, random.randint(1, 6)]], cell=inner)


def _conv_lstm(random: Random) -> Description:
    rank = random.randint(1, 2)
    return _of(f"ConvLSTM{rank}D", [[None, 2, *_KERAS_SIZES[rank], random.randint(1, 3)]], filters=random.randint(1, 3),
               kernel_size=_window(random, rank), use_bias=_flag(random), padding="same")  # fmt: skip


def _keras_attention(random: Random) -> Description:
    shape = [None, 4, random.randint(1, 6)]
    if _flag(random):
        heads = random.randint(1, 3)
        return _of("GroupQueryAttention", [shape, shape], head_dim=random.randint(1, 4),
                   num_query_heads=heads * random.randint(1, 3), num_key_value_heads=heads, use_bias=_flag(random),
                   use_gate=_flag(random))  # fmt: skip
    more = {"value_dim": random.randint(1, 4)} if _flag(random) else {}
    more = {**more, "output_shape": random.randint(1, 4)} if _flag(random) else more
    return _of("MultiHeadAttention", [shape, shape], num_heads=random.randint(1, 4), key_dim=random.randint(1, 4),
               use_bias=_flag(random), use_gate=_flag(random), **more)  # fmt: skip


def _scores(random: Random) -> Description:
    shape = [None, 4, random.randint(1, 6)]
    if _flag(random):
        return _of("AdditiveAttention", [[shape, shape]], use_scale=_flag(random))
    return _of("Attention", [[shape, shape]], use_scale=_flag(random), score_mode=random.choice(["dot", "concat"]))


def _keras_prelu(random: Random) -> Description:
    return _of("PReLU", [[None, 3, 2, 4]], shared_axes=random.choice([None, [1], [1, 2], [1, 2, 3]]))


def _wrapped(random: Random) -> Description:
    width = random.randint(1, 6)
    dense = _of("Dense", units=random.randint(1, 6), use_bias=_flag(random))
    convolution = _of("Conv2D", filters=random.randint(1, 4), kernel_size=_window(random, 2), use_bias=_flag(random))
    return random.choice([
        _of("TimeDistributed", [[None, 3, width]], layer=dense),
        _of("SpectralNormalization", [[None, width]], layer=dense),
        _of("SpectralNormalization", [[None, 9, 8, width]], layer=convolution),
    ])  # fmt: skip


def _normalization(random: Random) -> Description:
    width = random.randint(1, 6)
    told = {"mean": [0.5] * width, "variance": [2.0] * width} if _flag(random) else {}
    return _of("Normalization", [[None, width]], **told)


KERAS: tuple[Callable[[Random], Description], ...] = (
    _dense, _einsum, _keras_convolution, _keras_transposed, _depthwise, _separable, _keras_batch_norm, _keras_norm,
    _keras_embedding, _recurrent, _bidirectional, _around_cells, _conv_lstm, _keras_attention, _scores, _keras_prelu,
    _wrapped, _normalization,
)  # fmt: skip
