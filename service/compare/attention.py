"""Units of attention: query, key, value and output projections, however they are stored; knows both frameworks' ways.

Keras keeps four einsum kernels in one layer; PyTorch's `MultiheadAttention` stacks query, key and value in
`in_proj_weight` (rows in this order) beside an `out_proj` layer; many models have four Linear layers, or one that
makes query, key and value at once.
"""

from __future__ import annotations

import re

from service.compare import kernels
from service.compare.units import Slot, Unit, View, place, sizes, whole
from service.tree import Layer, Weight

PROJECTIONS = ("query", "key", "value")
_NAMES = {
    "query": "q query q_proj q_lin attn_q q_linear query_proj query_dense to_q wq w_q linear_q query_layer",
    "key": "k key k_proj k_lin attn_k k_linear key_proj key_dense to_k wk w_k linear_k key_layer",
    "value": "v value v_proj v_lin attn_v v_linear value_proj value_dense to_v wv w_v linear_v value_layer",
    "output": "out_proj o_proj out_lin attn_output attention_output wo w_o to_out attn_out output_dense",
}
_TAGS = {name: tag for tag, names in _NAMES.items() for name in names.split()}
_FUSED = re.compile(r"(?:\A|_)(?:qkv|in_proj|wqkv|c_attn|query_key_value|to_qkv)(?:\Z|_)")


def tag_of(name: str) -> str:
    """What a linear layer of this name does in an attention, "" where the name does not tell."""
    return _TAGS.get(name.lower(), "")


def projection(layer: Layer, weight: Weight) -> View:
    """(in, out) of a kernel with an axis for the heads and one for their size, as Flax keeps each of four layers."""
    tag = "output" if layer.name == "out" else tag_of(layer.name)
    rank = len(weight.shape or ())
    return kernels.reshaped(layer, weight, rank - 1 if tag == "output" else 1) if tag else whole(layer, weight)


def is_fused(layer: Layer) -> bool:
    """Whether a layer makes query, key and value with one kernel, by what it is or what it is called."""
    held = any(weight.role == "qkv_kernel" for weight in layer.weights)
    return (held and layer.kind != "linear") or (
        layer.kind == "linear" and bool(_FUSED.search(layer.name.lower())) and _thirds(layer) is not None
    )


def is_stacked(layer: Layer) -> bool:
    """The same, with the three in rows one below the other, so that they can be taken apart."""
    return is_fused(layer) and (layer.kind != "linear" or _thirds(layer) == "out-in")


def _thirds(layer: Layer) -> str | None:
    """The layout of a kernel with three times as many outputs as inputs."""
    kernel = next((weight for weight in layer.weights if weight.role in ("kernel", "qkv_kernel")), None)
    shape = None if kernel is None else sizes(kernel)
    if kernel is None or shape is None or len(shape) != 2:
        return None
    outputs, inputs = shape if kernel.layout == "out-in" else shape[::-1]
    return kernel.layout if outputs == 3 * inputs else None


def keras_units(layer: Layer) -> list[Unit]:
    """The projections of a Keras attention layer, in the order it keeps them; and what else it holds."""
    units: dict[str, dict[str, Slot]] = {}
    for weight in layer.weights:
        projection, _, what = weight.role.rpartition("_")
        if what == "kernel" and projection:
            view = kernels.reshaped(layer, weight, len(weight.shape or ()) - 1 if projection == "output" else 1)
            _add(units, projection, "kernel", view)
        elif what == "bias" and projection:
            _add(units, projection, "bias", kernels.flat(layer, weight))
        else:
            _add(units, "", weight.name, whole(layer, weight))
    return [Unit(layer=layer, family="linear" if tag else "other", slots=slots, tag=tag)
            for tag, slots in units.items()]  # fmt: skip


def torch_units(layer: Layer) -> list[Unit]:
    """The projections that a PyTorch attention module itself holds; its `out_proj` is a layer of its own."""
    units: dict[str, dict[str, Slot]] = {tag: {} for tag in PROJECTIONS}
    for weight in layer.weights:
        _place(units, layer, weight)
    return [Unit(layer=layer, family="linear" if "kernel" in slots else "other", slots=slots, tag=tag)
            for tag, slots in units.items() if slots]  # fmt: skip


def _place(units: dict[str, dict[str, Slot]], layer: Layer, weight: Weight) -> None:
    shape = sizes(weight)
    what = weight.role.rpartition("_")[2]
    if weight.name.endswith("_proj_weight") and weight.role != "qkv_kernel":
        _add(units, weight.role.partition("_")[0], "kernel", kernels.linear(layer, weight, torch=True))
    elif shape and what in ("kernel", "bias") and weight.name not in ("bias_k", "bias_v") and _is_stack(shape):
        third = shape[0] // 3
        for index, tag in enumerate(PROJECTIONS):
            part = kernels.rows(layer, weight, index * third, (index + 1) * third, swap=True)
            _add(units, tag, what, part)
    else:
        _add(units, "", weight.name, whole(layer, weight))


def _is_stack(shape: tuple[int, ...]) -> bool:
    """Whether these are three matrices, or three vectors, one above the other."""
    return len(shape) <= 2 and shape[0] % 3 == 0


def _add(units: dict[str, dict[str, Slot]], tag: str, role: str, view: View) -> None:
    place(units.setdefault(tag, {}), role, view)
