"""A report into the units that are aligned; knows which layers hold several, and how roles make a family."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from math import prod

import msgspec

from service.compare import attention, kernels, recurrent
from service.compare.units import Slot, Unit, View, place, sizes, whole
from service.frameworks import conventions
from service.tree import Layer, Report, Weight

_NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"})
_RANKS = {1: "WIO", 2: "HWIO", 3: "DHWIO"}
_DEPTHWISE = {1: "WIM", 2: "HWIM"}
_DIRECTION = re.compile(r"(?:\A|/)(forward|backward)_")


def units(report: Report, *, split_fused: bool, constants: bool = True) -> list[Unit]:
    """All units in the report's order.

    `split_fused`: take a stacked query, key and value apart. `constants`: with fixed tensors of the graph (sizes, axes,
    indices), which are a matter of how one framework writes a graph down.
    """
    found: list[Unit] = []
    owners: dict[str, Unit] = {}
    for layer in report.layers:
        weights = layer.weights if constants else tuple(w for w in layer.weights if w.role not in _OF_THE_GRAPH)
        owner = _adds_to(layer, weights, owners)
        if owner is not None:
            place(owner.slots, "bias", kernels.flat(layer, weights[0]))
        elif weights:
            kept = layer if weights == layer.weights else msgspec.structs.replace(layer, weights=weights)
            made = _of_layer(kept, report.model.framework, split_fused)
            found.extend(made)
            if len(made) == 1:
                owners[layer.path] = made[0]
    return found


_OF_THE_GRAPH = frozenset({"constant", "position_ids"})


def _adds_to(layer: Layer, weights: Sequence[Weight], owners: Mapping[str, Unit]) -> Unit | None:
    """The unit whose bias this layer adds: an addition right behind a kernel, which some graphs keep apart."""
    if layer.kind not in ("operation", "merge") or len(weights) != 1 or len(layer.inputs or ()) != 1:
        return None
    owner, size = owners.get((layer.inputs or ("",))[0]), sizes(weights[0])
    kernel = owner.slots.get("kernel") if owner is not None else None
    if owner is None or kernel is None or "bias" in owner.slots or size is None or not kernel.view.shape:
        return None
    one_each = prod(size) == max(size, default=0) == kernel.view.shape[-1]
    return owner if one_each and weights[0].role in ("bias", "offset", "parameter") else None


def has_fused(report: Report) -> bool:
    """Whether any layer stacks query, key and value."""
    return any(attention.is_fused(layer) for layer in report.layers if layer.weights)


def _of_layer(layer: Layer, framework: str, split_fused: bool) -> list[Unit]:
    torch = conventions(framework) == "torch"
    if attention.is_stacked(layer) or (torch and layer.kind == "multi_head_attention"):
        return attention.torch_units(layer) if split_fused else [_unit(layer, list(layer.weights), "", torch)]
    if layer.kind in ("multi_head_attention", "grouped_query_attention") and not torch:
        return attention.keras_units(layer)
    if recurrent.is_directed(layer.weights):
        return recurrent.directed_units(layer, framework)
    if torch and is_stack(layer):
        groups = recurrent.torch_groups(layer.weights)
        return [recurrent.unit(layer, weights, tag, framework) for tag, weights in groups.items()]
    found: list[Unit] = []
    for prefix, weights in _by_prefix(layer, torch).items():
        found.extend(_group(layer, weights, _tag(prefix), framework))
    return found


def is_stack(layer: Layer) -> bool:
    """Whether a PyTorch layer keeps levels and directions in the names of its weights."""
    return recurrent.is_recurrent(list(layer.weights))


def _by_prefix(layer: Layer, torch: bool) -> dict[str, list[Weight]]:
    """Weights by the inner layer that holds them (Keras: `forward_lstm/lstm_cell/kernel`)."""
    if torch:
        return {"": list(layer.weights)}
    groups: dict[str, list[Weight]] = {}
    for weight in layer.weights:
        groups.setdefault(_holder(weight.name), []).append(weight)
    return groups


def _holder(name: str) -> str:
    """The inner layer of a weight's name; a weight without a name of its own is `vars/0` of it."""
    prefix = name.rpartition("/")[0]
    return "" if prefix == "vars" else prefix.removesuffix("/vars")


def _tag(prefix: str) -> str:
    found = _DIRECTION.search(prefix)
    return "backward" if found and found[1] == "backward" else ""


def _group(layer: Layer, weights: list[Weight], tag: str, framework: str) -> list[Unit]:
    torch = conventions(framework) == "torch"
    if recurrent.is_recurrent(weights):
        return [recurrent.unit(layer, weights, tag, framework)]
    roles = {weight.role for weight in weights}
    if {"depthwise_kernel", "pointwise_kernel"} <= roles:
        depthwise = [weight for weight in weights if weight.role == "depthwise_kernel"]
        pointwise = [weight for weight in weights if weight.role != "depthwise_kernel"]
        return [_unit(layer, depthwise, "depthwise", torch), _unit(layer, pointwise, "pointwise", torch)]
    return [_unit(layer, weights, tag, torch)]


def _unit(layer: Layer, weights: list[Weight], tag: str, torch: bool) -> Unit:
    family = _family(layer, weights, torch)
    slots: dict[str, Slot] = {}
    for weight in weights:
        role = _role(weight, family, len(weights))
        place(slots, role, _view(layer, weight, role, family, torch))
    if family == "linear":
        tag = tag or attention.tag_of(layer.name)
    return Unit(layer=layer, family=family, slots=slots, tag=tag)


_PLAIN = {"linear": "linear", "einsum_dense": "linear", "embedding": "embedding", "prelu": "slope",
          "bilinear": "bilinear", "conv_lstm": "conv_lstm"}  # fmt: skip


def _family(layer: Layer, weights: list[Weight], torch: bool) -> str:
    """What may be the same thing as this. Without a class, what the roles and the number of axes tell."""
    kind = layer.kind
    if kind in _NORMS:
        return "norm"
    if kind in _PLAIN:
        return _PLAIN[kind]
    if kind.startswith("conv_transpose"):
        return f"deconv{kind[-2]}"
    return _family_by_weights(weights, torch)


def _family_by_weights(weights: list[Weight], torch: bool) -> str:
    kernel = next((weight for weight in weights if weight.role in _KERNELS), None)
    if kernel is None and torch and len(weights) == 1 and _is_filter(weights[0]):
        kernel = weights[0]
    if kernel is not None:
        rank = len(kernel.shape or ())
        return "linear" if rank == 2 else f"conv{rank - 2}" if 3 <= rank <= 5 else "other"
    roles = {weight.role for weight in weights}
    if "moving_mean" in roles or "scale" in roles or _looks_like_norm(weights):
        return "norm"
    return "embedding" if roles == {"embedding"} else "other"


_PROJECTED = frozenset({"query", "key", "value", "output", "qkv"})
_KERNELS = frozenset({"kernel", "depthwise_kernel", "pointwise_kernel", *(f"{part}_kernel" for part in _PROJECTED)})
_BIASES = frozenset(f"{part}_bias" for part in _PROJECTED)


def _is_filter(weight: Weight) -> bool:
    """A lone `weight` of three axes or more: in a state_dict, a convolution without bias."""
    return weight.role == "weight" and 3 <= len(weight.shape or ()) <= 5


def _looks_like_norm(weights: list[Weight]) -> bool:
    """A `weight` and a `bias` of one size, as a state_dict holds a normalisation."""
    shapes = {weight.role: weight.shape for weight in weights}
    return set(shapes) == {"weight", "bias"} and shapes["weight"] == shapes["bias"] and len(shapes["bias"] or ()) == 1


def _role(weight: Weight, family: str, siblings: int) -> str:
    """The role within the family: kernels of all kinds are one, and a normalisation's names are brought in line."""
    if family != "other" and (weight.role in _KERNELS or (family.startswith("conv") and _is_filter(weight))):
        return "kernel"
    if family == "linear" and weight.role in _BIASES:
        return "bias"
    if family == "norm":
        named = {"weight": "scale", "bias": "offset"}.get(weight.role, weight.role)
        return weight.name if "/" in weight.name and weight.role == "weight" else named
    return "weight" if weight.role == "weight" and siblings == 1 else weight.role if family != "other" else weight.name


def _view(layer: Layer, weight: Weight, role: str, family: str, torch: bool) -> View:
    if role == "kernel" and family == "linear":
        equation = layer.config.get("equation")
        if layer.kind == "einsum_dense" and equation is None:
            return attention.projection(layer, weight)
        if layer.kind == "einsum_dense" or isinstance(equation, str):
            return kernels.einsum(layer, weight, equation)
        return kernels.linear(layer, weight, torch)
    if role == "kernel" and family.startswith(("conv", "deconv")) and family != "conv_lstm":
        return kernels.convolution(layer, weight, _layout(weight, family, torch))
    if role == "bias" and family == "linear":
        return kernels.flat(layer, weight)
    return whole(layer, weight)


def _layout(weight: Weight, family: str, torch: bool) -> str:
    """The axis order as recorded, or the framework's own."""
    rank = len(sizes(weight) or ()) - 2
    if weight.layout is not None and len(weight.layout) == rank + 2:
        return weight.layout
    if not torch:
        own = _DEPTHWISE if weight.role == "depthwise_kernel" else _RANKS
        layout = own.get(rank, "")
        return layout.replace("IO", "OI") if family.startswith("deconv") else layout
    spatial = _RANKS.get(rank, "")[:-2]
    return f"IO{spatial}" if family.startswith("deconv") else f"OI{spatial}"
