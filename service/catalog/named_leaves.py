"""What the local names of arrays tell where they are not PyTorch's: Flax, Keras, Paddle, low-rank pairs, buffers.

Knows local names and shapes, no path beyond its last word, no file. Sources: flax.linen and flax.nnx, Keras' layers,
paddle.nn and its LayerHelper (`linear_0.w_0`), peft, kohya's sd-scripts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from service.catalog.torch_names import GROUP_NORM_NOTE, LAYER_NORM_NOTE, RMS_NORM_NOTE
from service.catalog.torch_rules import Guess, Sizes
from service.language import msg

Shapes = Mapping[str, Sizes | None]

TRANSPOSED_NOTE = msg("A ConvTranspose of the same sizes stores the same shapes; Conv is by far the usual one.")
_STATISTICS = (("mean", "var"), ("moving_mean", "moving_variance"), ("_mean", "_variance"), ("w_1", "w_2"))
_CONVOLUTIONS = {3: "1d", 4: "2d", 5: "3d"}
_PROJECTIONS = frozenset({"query", "key", "value", "out"})
_PADDLE = {"linear": "linear", "embedding": "embedding", "layer_norm": "layer_norm", "batch_norm": "batch_norm",
           "batch_norm2d": "batch_norm", "batch_norm1d": "batch_norm", "batch_norm3d": "batch_norm",
           "group_norm": "group_norm", "conv1d": "conv1d", "conv2d": "conv2d", "conv3d": "conv3d",
           "conv1d_transpose": "conv_transpose1d", "conv2d_transpose": "conv_transpose2d",
           "conv3d_transpose": "conv_transpose3d", "p_re_lu": "prelu"}  # fmt: skip
"""What Paddle calls its layers by itself, without the number behind."""

NORM_ROLES = {
    "scale": "scale", "mean": "moving_mean", "var": "moving_variance", "gamma": "scale", "beta": "offset",
    "moving_mean": "moving_mean", "moving_variance": "moving_variance", "_mean": "moving_mean",
    "_variance": "moving_variance",
}  # fmt: skip
"""Roles of the arrays of a normalisation by their names outside PyTorch."""
ROLES = {
    "kernel": "kernel", "recurrent_kernel": "recurrent_kernel", "depthwise_kernel": "depthwise_kernel",
    "pointwise_kernel": "pointwise_kernel", "embedding": "embedding", "embeddings": "embedding",
    "inv_freq": "constant", "original_inv_freq": "constant", "cos_cached": "constant", "sin_cached": "constant",
    "masked_bias": "mask", "causal_mask": "mask", "attn_mask": "mask", "relative_position_index": "position_ids",
    "pos_embed": "embedding", "position_embedding": "embedding", "positional_embedding": "embedding",
    "lora_A": "lora_a", "lora_B": "lora_b", "lora_embedding_A": "lora_a", "lora_embedding_B": "lora_b",
}  # fmt: skip
"""Roles that a local name alone tells, whatever the layer is."""
_PADDLE_ROLES = {"w_0": "weight", "b_0": "bias", "w_1": "running_mean", "w_2": "running_var"}
_GROUP_NORM = re.compile(r"group_?norm|(?:^|_)gn(?:_|\d|$)")
_LENGTHS = ("lora_magnitude_vector", "dora_scale")
LORA = re.compile(r"lora_(?:embedding_)?(?P<peft>[AB])(?:\.|$)|lora[_.](?P<way>down|up|mid)\.")


def guess_by_leaves(shapes: Shapes, name: str) -> Guess | None:
    """The kind of a layer called `name` whose arrays are named as no layer of PyTorch names them; None for others."""
    if any(LORA.match(local) for local in shapes) and "weight" not in shapes:
        return Guess("embedding" if any(local.startswith("lora_embedding") for local in shapes) else "linear")
    if _is_paddle(shapes, name):
        return Guess(_PADDLE[name.rpartition("_")[0]])
    for pair in _STATISTICS[:-1]:
        if all(local in shapes for local in pair):
            alike = shapes[pair[0]] == shapes[pair[1]] and shapes.keys() <= {*pair, "scale", "bias", "gamma", "beta",
                                                                             "weight", "step"}  # fmt: skip
            return Guess("batch_norm", norm=True) if alike else None
    if "kernel" in shapes and "recurrent_kernel" not in shapes:
        return _by_kernel(shapes, name)
    table = shapes.get("embedding") or shapes.get("embeddings")
    if table is not None and len(shapes) == 1 and len(table) == 2:
        return Guess("embedding")
    return _norm(shapes, name)


def _is_paddle(shapes: Shapes, name: str) -> bool:
    stem, _, number = name.rpartition("_")
    return stem in _PADDLE and number.isdigit() and shapes.keys() <= _PADDLE_ROLES.keys() and "w_0" in shapes


def _by_kernel(shapes: Shapes, name: str) -> Guess | None:
    kernel, bias = shapes["kernel"], shapes.get("bias")
    if kernel is None or not shapes.keys() <= {"kernel", "bias"}:
        return None
    if len(kernel) == 2:
        return Guess("linear")
    if len(kernel) == 3 and ((bias is not None and len(bias) == 2) or name in _PROJECTIONS):
        return Guess("einsum_dense")
    rank = _CONVOLUTIONS.get(len(kernel))
    if rank is None:
        return None
    transposed = "transpose" in name.lower()
    return Guess(f"conv{'_transpose' * transposed}{rank}", () if transposed else (TRANSPOSED_NOTE,))


def _norm(shapes: Shapes, name: str) -> Guess | None:
    """A normalisation of Flax (`scale`, `bias`) or Keras (`gamma`, `beta`) that tracks nothing."""
    for scale, offset in (("scale", "bias"), ("gamma", "beta")):
        sizes = shapes.get(scale)
        if sizes is None or len(sizes) != 1 or not shapes.keys() <= {scale, offset}:
            continue
        if offset not in shapes:
            return Guess("rms_norm", (RMS_NORM_NOTE,), norm=True) if scale == "scale" else None
        if shapes[offset] != sizes:
            return None
        found = ("group_norm", GROUP_NORM_NOTE) if _GROUP_NORM.search(name.lower()) else ("layer_norm", LAYER_NORM_NOTE)
        return Guess(found[0], (found[1],), norm=True)
    return None


def lora_role(local: str) -> str | None:
    """`lora_a` or `lora_b` of an array inside a low-rank pair, `weight_g` of DoRA's lengths; None for any other."""
    if local.startswith(_LENGTHS):
        return "weight_g"
    found = LORA.match(local)
    if found is None:
        return None
    return "lora_a" if found["peft"] == "A" or found["way"] == "down" else "lora_b"


def torch_name(local: str, name: str, shapes: Shapes) -> str:
    """What PyTorch would call an array that Paddle named by itself; the name as it is for all others."""
    return _PADDLE_ROLES[local] if local in _PADDLE_ROLES and _is_paddle(shapes, name) else local


KERNEL_LAYOUTS = {
    "linear": "in-out", "conv1d": "WIO", "conv2d": "HWIO", "conv3d": "DHWIO",
    "conv_transpose1d": "WIO", "conv_transpose2d": "HWIO", "conv_transpose3d": "DHWIO",
}  # fmt: skip
"""Axis order of an array that is called `kernel` (Flax; transposed convolutions too, with transpose_kernel=False)."""
