"""Single mistakes that a conversion to PyTorch makes, planted into a state_dict that is right; one name each."""

from __future__ import annotations

from collections.abc import Callable

import torch

State = dict[str, torch.Tensor]


def gates(layer: str, suffix: str, order: tuple[int, ...]) -> Callable[[State], None]:
    """All weights of one recurrent layer with their gates in another order."""

    def plant(state: State) -> None:
        for weight in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            key = f"{layer}.{weight}_{suffix}"
            blocks = state[key].chunk(len(order))
            state[key] = torch.cat([blocks[place] for place in order])

    return plant


def swapped(*names: tuple[str, str]) -> Callable[[State], None]:
    """Weights that took one another's place."""

    def plant(state: State) -> None:
        for first, second in names:
            state[first], state[second] = state[second].clone(), state[first].clone()

    return plant


def changed(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[State], None]:
    """One weight, changed."""

    def plant(state: State) -> None:
        state[name] = change(state[name]).contiguous()

    return plant


def unflatten(weight: torch.Tensor) -> torch.Tensor:
    """Inputs back in (height, width, channel) order, as Keras has them."""
    return weight.reshape(100, 32, 8, 6).permute(0, 2, 3, 1).reshape(100, -1)


def projections(state: State) -> None:
    """Query and key of block 5 in one another's rows."""
    for name in ("encoder.layers.5.self_attn.in_proj_weight", "encoder.layers.5.self_attn.in_proj_bias"):
        query, key, value = state[name].chunk(3)
        state[name] = torch.cat([key, query, value])


def stacked(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[State], None]:
    """The stack of query, key and value in block 8, seen as (3, heads, size, ...), put together in another way."""

    def plant(state: State) -> None:
        for name in ("encoder.layers.8.self_attn.in_proj_weight", "encoder.layers.8.self_attn.in_proj_bias"):
            whole = state[name]
            state[name] = change(whole.reshape(3, 4, 6, *whole.shape[1:])).contiguous()

    return plant


def spoiled(weight: torch.Tensor) -> torch.Tensor:
    """One value that is not a number."""
    weight = weight.clone()
    weight[3, 5] = float("nan")
    return weight


def both(*plants: Callable[[State], None]) -> Callable[[State], None]:
    """Several mistakes at once."""

    def plant(state: State) -> None:
        for each in plants:
            each(state)

    return plant


def both_biases(state: State) -> None:
    """The whole bias in both places."""
    state["lstm.bias_hh_l1"] = state["lstm.bias_ih_l1"].clone()


def folded(state: State) -> None:
    """A convolution with the normalisation after it multiplied in, and the normalisation gone."""
    weight, bias, mean, variance = (
        state.pop(f"bn1.{name}") for name in ("weight", "bias", "running_mean", "running_var")
    )
    del state["bn1.num_batches_tracked"]
    scale = weight / torch.sqrt(variance + 1.001e-5)
    state["conv1.weight"] = state["conv1.weight"] * scale[:, None, None, None]
    state["conv1.bias"] = (state["conv1.bias"] - mean) * scale + bias


def folded_without_bias(state: State) -> None:
    """The same, but the bias was forgotten."""
    kept = state["conv1.bias"]
    folded(state)
    state["conv1.bias"] = kept


WHOLE_LSTM = [(f"both.{name}_l0", f"both.{name}_l0_reverse") for name in
              ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]  # fmt: skip
MISTAKES: dict[str, dict[str, Callable[[State], None]]] = {
    "seed_cnn": {
        "not_transposed": changed("8.weight", lambda weight: weight.T),
        "reshaped": changed("10.weight", lambda weight: weight.T.reshape(10, 100)),
        "kernel_reshaped": changed("0.weight", lambda weight: weight.permute(2, 3, 1, 0).reshape(32, 1, 3, 3)),
        "height_width": changed("0.weight", lambda weight: weight.permute(0, 1, 3, 2)),
        "flatten_order": changed("5.weight", unflatten),
        "mean_variance": swapped(("2.running_mean", "2.running_var")),
        "gamma_beta": swapped(("2.weight", "2.bias")),
        "epsilon": changed("2.running_var", lambda weight: weight + 1e-3),
        "deviation": changed("2.running_var", torch.sqrt),
        "negated": changed("10.weight", torch.neg),
        "scaled": changed("8.weight", lambda weight: weight / 10),
        "flipped_width": changed("0.weight", lambda weight: weight.flip(3)),
        "bias_negated": changed("8.bias", torch.neg),
        "not_a_number": changed("8.weight", spoiled),
        "rounded": changed("8.weight", lambda weight: weight.half().float()),
        "two": both(changed("8.weight", lambda weight: weight.T), swapped(("2.running_mean", "2.running_var"))),
        "half": lambda state: state.update({key: tensor.half() for key, tensor in state.items() if tensor.ndim}),
    },
    "recurrent": {
        "lstm_gates": gates("lstm", "l1", (0, 1, 3, 2)),
        "gru_gates": gates("gru", "l0", (1, 0, 2)),
        "backward_gates": gates("last", "l0_reverse", (1, 0, 2)),
        "directions": swapped(*WHOLE_LSTM),
        "recurrent_not_transposed": changed(
            "lstm.weight_hh_l0", lambda weight: torch.cat([block.T for block in weight.chunk(4)])
        ),
        "both_biases": both_biases,
        "input_forget": gates("both", "l0_reverse", (1, 0, 2, 3)),
        "gru_biases": swapped(("gru.bias_ih_l0", "gru.bias_hh_l0")),
    },
    "transformer": {
        "query_key": projections,
        "projection_order": stacked(lambda three: three[[2, 0, 1]].flatten(0, 2)),
        "by_head": stacked(lambda three: three.transpose(0, 1).flatten(0, 2)),
        "heads": changed(
            "encoder.layers.4.self_attn.out_proj.weight",
            lambda weight: weight.reshape(24, 4, 6).transpose(1, 2).reshape(24, 24),
        ),
        "layer_norm": swapped(("encoder.layers.6.norm1.weight", "encoder.layers.6.norm1.bias")),
        "rows": changed("embed.weight", lambda weight: weight.roll(1, 0)),
        "layers": swapped(*[(f"encoder.layers.3.linear1.{name}", f"encoder.layers.7.linear1.{name}")
                            for name in ("weight", "bias")]),
        "output_not_transposed": changed("encoder.layers.2.self_attn.out_proj.weight", lambda weight: weight.T),
    },
    "convolutions": {
        "flipped": changed("up.weight", lambda weight: weight.flip(2, 3)),
        "scale": swapped(("norm.weight", "norm.bias")),
        "multiplier": changed("depthwise.weight", lambda w: w.reshape(8, 2, 1, 3, 3).transpose(0, 1).flatten(0, 1)),
        "inputs_outputs": changed("again.weight", lambda weight: weight.transpose(0, 1)),
        "unturned": changed("again.weight", lambda weight: weight.flip(2)),
    },
    "resnet": {"mean_variance": swapped(("layer2.0.downsample.1.running_mean", "layer2.0.downsample.1.running_var")),
               "folded": folded, "folded_without_bias": folded_without_bias},
    "folding": {},
}  # fmt: skip
