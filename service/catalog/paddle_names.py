"""PaddlePaddle's parameters by name alone: layers from what Paddle or the Python code called them, kinds by rule.

For files that hold arrays and no program: state_dicts and folders of parameters. Knows both ways of naming: numbered by
class (`conv2d_0.w_0`, `batch_norm2d_0.w_1`) and by attribute (`conv1.weight`, `bn._mean`). A Linear is [inputs, units].
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.catalog.learning import learning
from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg
from service.plain import text
from service.tree import Layer, Location, Weight, element_count

_NUMBERED = re.compile(r"(?P<layer>(?P<class>[A-Za-z_][A-Za-z_0-9]*?)_\d+)\.(?P<leaf>[wb]_\d+)\Z")
_CLASSES = {
    "conv1d": "conv1d", "conv2d": "conv2d", "conv3d": "conv3d", "conv1d_transpose": "conv_transpose1d",
    "conv2d_transpose": "conv_transpose2d", "conv3d_transpose": "conv_transpose3d", "linear": "linear", "fc": "linear",
    "batch_norm": "batch_norm", "batch_norm1d": "batch_norm", "batch_norm2d": "batch_norm",
    "batch_norm3d": "batch_norm", "sync_batch_norm": "batch_norm", "layer_norm": "layer_norm",
    "group_norm": "group_norm", "instance_norm1d": "instance_norm", "instance_norm2d": "instance_norm",
    "instance_norm3d": "instance_norm", "embedding": "embedding", "p_re_lu": "prelu", "prelu": "prelu",
    "lstm_cell": "lstm", "gru_cell": "gru", "simple_rnn_cell": "simple_rnn", "gru": "gru", "lstm": "lstm",
}  # fmt: skip
"""Kind by the name that Paddle numbers."""
_RECURRENT = re.compile(r"(?:weight|bias)_(?:ih|hh)(?:_l\d+(?:_reverse)?)?\Z")
_GATES = {1: "simple_rnn", 3: "gru", 4: "lstm"}
_EMBEDDING = re.compile(r"emb", re.IGNORECASE)
_NORM_LEAVES = {"weight": "scale", "bias": "offset", "_mean": "moving_mean", "_variance": "moving_variance"}
_NUMBERED_NORM = {"w_0": "scale", "b_0": "offset", "w_1": "moving_mean", "w_2": "moving_variance"}
_CELL = {"w_0": "kernel", "w_1": "recurrent_kernel", "b_0": "bias", "b_1": "recurrent_bias"}
_NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"})
_CONV_AXES = {3: "W", 4: "HW", 5: "DHW"}


@dataclass(frozen=True, slots=True)
class Array:
    """One stored array: its full name, sizes, element type, stored bytes and place.

    `parameter` is the name that Paddle numbered it by, where a file tells both.
    """

    name: str
    shape: tuple[int, ...] | None
    dtype: str | None
    bytes: int | None = None
    location: Location | None = None
    stored_as: str | None = None
    tied_to: str | None = None
    trainable: bool | None = None
    parameter: str | None = None


def layers_of(arrays: Iterable[Array], limits: Limits, prefix: str = "") -> tuple[Layer, ...]:
    """The layers that the names tell, in the order of their first array, parents before children."""
    groups: dict[str, dict[str, Array]] = {}
    for count, one in enumerate(arrays):
        if count >= limits.weights:
            raise LimitExceeded(
                "weights", limits.weights,
                msg("The file holds more than {weights} tensors.", weights=limits.weights),
            )  # fmt: skip
        path, _, leaf = one.name.rpartition(".")
        groups.setdefault(path, {})[leaf] = one
    layers: dict[str, Layer] = {}
    for path, held in groups.items():
        _add_parents(layers, path, prefix, limits)
        full = _joined(prefix, path) or "parameters"
        kind = kind_of(path, held)
        layers[full] = Layer(
            path=full, name=full.rpartition(".")[2], parent=_parent(full, layers), kind=kind, type=None,
            type_source="rule" if kind not in ("parameter", "unknown") else "unknown",
            weights=tuple(_weight(one, leaf, kind) for leaf, one in held.items()),
        )  # fmt: skip
    return tuple(layers.values())


def _joined(prefix: str, path: str) -> str:
    return ".".join(filter(None, (prefix, text(path, 1000))))


def _parent(path: str, layers: Mapping[str, Layer]) -> str | None:
    above = path.rpartition(".")[0]
    return above if above in layers else None


_MAX_STEPS = 64


def _add_parents(layers: dict[str, Layer], path: str, prefix: str, limits: Limits) -> None:
    """A container for each step of the path that is not there yet."""
    steps = _joined(prefix, path).split(".")[:-1]
    if len(steps) > _MAX_STEPS:
        raise LimitExceeded("depth", _MAX_STEPS, msg("The name of a weight has too many steps."))
    for count in range(1, len(steps) + 1):
        full = ".".join(steps[:count])
        if full and full not in layers:
            if len(layers) >= limits.layers:
                raise LimitExceeded(
                    "layers", limits.layers, msg("The file has more than {layers} layers.", layers=limits.layers)
                )
            layers[full] = Layer(
                path=full, name=steps[count - 1], parent=_parent(full, layers), kind="container", type=None,
                type_source="unknown",
            )  # fmt: skip


def kind_of(path: str, held: Mapping[str, Array]) -> str:
    """The kind of the layer at `path` by its arrays' names and shapes; unknown where they leave it open."""
    leaf, first = next(iter(held.items()))
    numbered = _NUMBERED.match(first.parameter or f"{path}.{leaf}")
    if numbered is not None and (numbered["class"] in _CLASSES or first.parameter is None):
        return _CLASSES.get(numbered["class"], "unknown")
    if "_mean" in held and "_variance" in held:
        return "batch_norm"
    if any(_RECURRENT.match(leaf) for leaf in held):
        return _recurrent_kind(held)
    weight, bias = held.get("weight"), held.get("bias")
    if weight is None or weight.shape is None:
        return "prelu" if set(held) == {"_weight"} else "parameter"
    rank = len(weight.shape)
    if rank in _CONV_AXES:
        turned = bias is not None and bias.shape is not None and bias.shape != weight.shape[:1]
        return f"conv{'_transpose' if turned else ''}{rank - 2}d"
    if rank == 2:
        return _matrix_kind(path, weight, bias)
    if rank == 1:
        return "layer_norm" if bias is not None else "rms_norm" if "norm" in path.lower() else "unknown"
    return "unknown"


def _recurrent_kind(held: Mapping[str, Array]) -> str:
    for leaf, one in held.items():
        if leaf.startswith("weight_hh") and one.shape is not None and len(one.shape) == 2 and one.shape[1]:
            return _GATES.get(one.shape[0] // one.shape[1], "rnn")
    return "rnn"


def _matrix_kind(path: str, weight: Array, bias: Array | None) -> str:
    if bias is not None and bias.shape is not None and weight.shape is not None:
        return "linear" if bias.shape == weight.shape[1:] else "unknown"
    return "embedding" if _EMBEDDING.search(path) else "linear"


def _weight(one: Array, leaf: str, kind: str) -> Weight:
    role, layout = _role(leaf, kind), None
    if leaf == "w_0" and _is_recurrent_alone(one, kind):
        role, layout = "recurrent_kernel", "in-out"
    elif role in ("kernel", "recurrent_kernel") and one.shape is not None:
        layout = _layout(kind, len(one.shape))
    group, trainable, source = learning(role, one.dtype, one.trainable)
    return Weight(
        name=text(leaf), stored_as=text(one.stored_as or one.name), role=role, shape=one.shape, dtype=one.dtype,
        count=element_count(one.shape), bytes=one.bytes, layout=layout, group=group, trainable=trainable,
        trainable_source=source, tied_to=one.tied_to, location=one.location,
    )  # fmt: skip


def _is_recurrent_alone(one: Array, kind: str) -> bool:
    """Whether a matrix is that of a layer of before version 2, on the state alone: [units, gates × units]."""
    gates = next((gates for gates, cell in _GATES.items() if cell == kind), 0)
    return one.shape is not None and len(one.shape) == 2 and one.shape[1] == gates * (one.shape[0] or 0) and gates > 1


def _layout(kind: str, rank: int) -> str | None:
    if kind.startswith("conv") and rank in _CONV_AXES:
        return f"{'IO' if 'transpose' in kind else 'OI'}{_CONV_AXES[rank]}"
    if kind in _GATES.values():
        return "out-in"
    return "in-out" if kind == "linear" and rank == 2 else None


def _role(leaf: str, kind: str) -> str:
    if kind in _NORMS:
        return _NORM_LEAVES.get(leaf) or _NUMBERED_NORM.get(leaf) or "parameter"
    if kind in ("lstm", "gru", "simple_rnn", "rnn"):
        for start, role in (("weight_ih", "kernel"), ("weight_hh", "recurrent_kernel"), ("bias_ih", "bias"),
                            ("bias_hh", "recurrent_bias")):  # fmt: skip
            if leaf.startswith(start):
                return role
        return _CELL.get(leaf, "parameter")
    if kind == "embedding":
        return "embedding"
    if kind == "prelu":
        return "slope"
    if kind in ("unknown", "parameter"):
        return "weight" if leaf == "weight" else "bias" if leaf == "bias" else "parameter"
    return "bias" if leaf in ("bias", "b_0") else "kernel" if leaf in ("weight", "w_0") else "parameter"
