"""What a `state_dict` tells of a layer without its class: kind by the names and shapes of its tensors, if certain.

A rule states a kind only where no other class of torch.nn stores the same names and shapes, or says in a note
which one would. Knows no file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from service.language import Message, msg

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Guess:
    """A conclusion: `kind` (`unknown` if there is none), whether its weight is certainly a norm's, and why not more.

    `part`: what the layer is to an attention (`query`, `output`), "" for every other.
    """

    kind: str = "unknown"
    notes: tuple[Message, ...] = ()
    norm: bool = False
    part: str = ""


_CONVOLUTIONS = {3: "1d", 4: "2d", 5: "3d"}
_GATES = {4: "lstm", 3: "gru", 1: "simple_rnn"}

INSTANCE_NOTE = msg(
    "An InstanceNorm that tracks statistics stores the same tensors; BatchNorm is by far the usual one."
)
GROUPED_NOTE = msg("A grouped ConvTranspose with as many outputs as inputs would store the same shapes.")
BILINEAR_NOTE = msg("A Bilinear layer of these sizes stores the same shapes; Conv1d is by far the usual one.")
SQUARE_NOTE = msg(
    "Read as Conv like every other convolution here; a ConvTranspose of equal sizes stores the same shapes."
)


def guess(shapes: Mapping[str, Sizes | None], children: Collection[str], version: int | None) -> Guess:
    """The kind of the layer that holds tensors of these local names and shapes.

    `children` are the names of layers inside it, `version` what `_metadata` says of its class (2 is a batch or
    instance norm, 1 nearly everything else), None without `_metadata`.
    """
    if "running_mean" in shapes and "running_var" in shapes:
        return _tracking_norm(shapes)
    recurrent = _recurrent(shapes)
    if recurrent is not None:
        return recurrent
    if _is_attention(shapes, children):
        return Guess("multi_head_attention")
    if "_packed_params" in children and "scale" in shapes:
        return Guess("linear")
    return _from_weight(shapes, version)


def _tracking_norm(shapes: Mapping[str, Sizes | None]) -> Guess:
    if shapes["running_mean"] != shapes["running_var"]:
        return Guess()
    return Guess("batch_norm", (INSTANCE_NOTE,), norm=True)


def _recurrent(shapes: Mapping[str, Sizes | None]) -> Guess | None:
    cell = "weight_ih" in shapes and "weight_hh" in shapes
    inner = shapes.get("weight_ih" if cell else "weight_ih_l0")
    outer = shapes.get("weight_hh" if cell else "weight_hh_l0")
    if inner is None or outer is None or len(inner) != 2 or len(outer) != 2 or inner[0] != outer[0] or not outer[1]:
        return None
    projection = shapes.get("weight_hr_l0")
    hidden = projection[1] if projection is not None and len(projection) == 2 else outer[1]
    gates = inner[0] // hidden if hidden and inner[0] % hidden == 0 else 0
    if gates not in _GATES:
        return None
    return Guess("rnn_cell" if cell else _GATES[gates])


def _is_attention(shapes: Mapping[str, Sizes | None], children: Collection[str]) -> bool:
    joint = shapes.get("in_proj_weight")
    if joint is not None and len(joint) == 2 and joint[0] == 3 * joint[1]:
        return "out_proj" in children or "in_proj_bias" in shapes
    split = all(f"{letter}_proj_weight" in shapes for letter in "qkv")
    return split and ("out_proj" in children or "in_proj_bias" in shapes)


def main_weight(shapes: Mapping[str, Sizes | None]) -> Sizes | None:
    """Shape of the layer's main weight, also where weight_norm or spectral_norm split it."""
    if shapes.get("weight") is not None:
        return shapes["weight"]
    if "weight_g" in shapes:
        return shapes.get("weight_v")
    return shapes.get("weight_orig")


def _from_weight(shapes: Mapping[str, Sizes | None], version: int | None) -> Guess:
    weight, bias = main_weight(shapes), shapes.get("bias")
    if weight is None:
        return Guess()
    rank = len(weight)
    if bias == weight and rank > 1:
        return Guess("layer_norm", norm=True)
    if bias == weight and rank == 1 and version == 2:
        return Guess(norm=True, notes=(msg("A batch or instance norm without running statistics."),))
    if rank == 2:
        return Guess("linear") if bias is not None and len(bias) == 1 and bias[0] in weight else Guess()
    return _convolution(weight, bias)


def _convolution(weight: Sizes, bias: Sizes | None) -> Guess:
    rank = _CONVOLUTIONS.get(len(weight))
    if rank is None or bias is None or len(bias) != 1 or weight[0] == weight[1]:
        return Guess()
    if bias[0] == weight[0]:
        grouped = weight[1] and weight[0] % weight[1] == 0
        notes = (GROUPED_NOTE,) if grouped else ()
        return Guess(f"conv{rank}", (*notes, BILINEAR_NOTE) if rank == "1d" else notes)
    if weight[1] and bias[0] and bias[0] % weight[1] == 0 and weight[0] % (bias[0] // weight[1]) == 0:
        return Guess(f"conv_transpose{rank}")
    return Guess()


def convolution_before(weight: Sizes, features: int) -> str | None:
    """`conv2d` if a normalisation over `features` that follows shows that `weight` puts its outputs first."""
    rank = _CONVOLUTIONS.get(len(weight))
    return f"conv{rank}" if rank and weight[0] == features != weight[1] else None


def is_convolution_shaped(weight: Sizes | None) -> bool:
    """Whether a weight has the rank of a convolution's kernel."""
    return weight is not None and len(weight) in _CONVOLUTIONS


def convolution_rank(weight: Sizes) -> str:
    """`1d`, `2d` or `3d` of a convolution-shaped weight."""
    return _CONVOLUTIONS[len(weight)]


def linear_layout(weight: Sizes, bias: Sizes | None, *, transposed_seen: bool) -> str | None:
    """Axis order of a fully connected kernel, told by its bias; a square one's by what the file else has.

    torch.nn.Linear is output-first; the Conv1D class of GPT-2 implementations is input-first, and has a bias.
    """
    if len(weight) != 2 or (bias is not None and len(bias) != 1):
        return None
    if bias is None:
        return "out-in"
    if weight[0] != weight[1]:
        return "out-in" if bias[0] == weight[0] else "in-out"
    return None if transposed_seen else "out-in"
