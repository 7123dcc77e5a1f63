"""Weights from legacy Keras files, where every variable is stored under a name (`block1/conv/kernel:0`).

Knows how Keras 1, 2 and 3 spelled variable names and how a nested model's variables lie flat under its own name;
must not know files. Order is the file's own.
"""

from __future__ import annotations

import re
from collections import Counter

from service.catalog.keras_classes import KIND_OF_CLASS
from service.catalog.keras_config import Spec
from service.catalog.keras_inner import FUSED_CELL, inner_layers
from service.catalog.keras_variables import ROLE_OF_NAME, own_variables
from service.parsers.hdf5 import Dataset
from service.tree import Frozen

_OUTPUT_NUMBER = re.compile(r":\d+$")


class Stored(Frozen, frozen=True, kw_only=True):
    """One variable: its full name as recorded, without the graph's `:0`, and its dataset."""

    name: str
    dataset: Dataset

    @property
    def steps(self) -> list[str]:
        """The name's path."""
        return self.name.split("/")


def stored(name: str, dataset: Dataset) -> Stored:
    """A variable from the name in `weight_names`."""
    return Stored(name=_OUTPUT_NUMBER.sub("", name), dataset=dataset)


def relative_names(variables: list[Stored], layer: str, class_name: str | None) -> list[str]:
    """Names relative to `layer`: what follows it in the path, else the shortest endings that tell them apart."""
    if class_name in FUSED_CELL:
        return _endings(variables, layer)
    cut = [_after(variable.name, layer) for variable in variables]
    if variables and None not in cut and len(set(cut)) == len(cut):
        return [name for name in cut if name is not None]
    return _endings(variables, layer)


def _after(name: str, layer: str) -> str | None:
    found = f"/{name}".rfind(f"/{layer}/")
    if found >= 0:
        return name[found + len(layer) + 1 :]
    return name[len(layer) + 1 :] if name.startswith(f"{layer}_") and "/" not in name else None


def _endings(variables: list[Stored], layer: str) -> list[str]:
    """The fewest last steps of each name that keep the names apart."""
    longest = max((len(variable.steps) for variable in variables), default=1)
    for length in range(1, longest + 1):
        names = ["/".join(variable.steps[-length:]) for variable in variables]
        if len(set(names)) == len(names):
            return [_after(name, layer) or name for name in names]
    return [variable.name for variable in variables]


class Leaf(Frozen, frozen=True, kw_only=True):
    """A layer of a nested model that may own variables: its path within that model."""

    path: tuple[str, ...]
    spec: Spec


def leaves(model: Spec, above: tuple[str, ...] = ()) -> list[Leaf]:
    """The layers of a model that are not models themselves, in order, at any depth."""
    found: list[Leaf] = []
    for layer in model.members:
        path = (*above, layer.name)
        found.extend(leaves(layer, path) if layer.layers is not None else [Leaf(path=path, spec=layer)])
    return found


def distribute(variables: list[Stored], model: Spec) -> tuple[dict[tuple[str, ...], list[Stored]], list[Stored]]:
    """A nested model's variables by the path of the layer that owns them, and those nobody claims.

    A variable belongs to the leaf whose name occurs in its path, the more of the leaf's parents occur the better.
    Where several leaves fit equally well, they are served in order, each with one variable of a name.
    """
    by_name: dict[str, list[Leaf]] = {}
    for leaf in leaves(model):
        by_name.setdefault(leaf.spec.name, []).append(leaf)
    shares: dict[tuple[str, ...], list[Stored]] = {}
    served: Counter[tuple[tuple[str, ...], str]] = Counter()
    rest: list[Stored] = []
    for variable in variables:
        owner = _owner(variable, by_name, served)
        if owner is None:
            rest.append(variable)
        else:
            served[owner.path, variable.steps[-1]] += 1
            shares.setdefault(owner.path, []).append(variable)
    return shares, rest


def _owner(
    variable: Stored, by_name: dict[str, list[Leaf]], served: Counter[tuple[tuple[str, ...], str]]
) -> Leaf | None:
    steps = variable.steps
    candidates = [leaf for name in _names_in(variable.name, steps) for leaf in by_name.get(name, ())]
    if not candidates:
        return None
    framed = f"/{variable.name}/"
    return max(
        candidates,
        key=lambda leaf: (
            _accepts(leaf.spec, steps[-1]),
            sum(f"/{step}/" in framed for step in leaf.path),
            -served[leaf.path, steps[-1]],
        ),
    )


def _names_in(name: str, steps: list[str]) -> list[str]:
    """Names of layers that a variable's path may hold: its steps, runs of them, and a Keras 1 prefix."""
    if len(steps) == 1:
        parts = name.split("_")
        return ["_".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
    runs = ["/".join(steps[start:end]) for start in range(len(steps) - 1) for end in range(start + 1, len(steps))]
    return list(dict.fromkeys(runs))[:200]


def _accepts(spec: Spec, local: str) -> bool:
    """Whether a layer of this class may have a variable of this name."""
    rule = own_variables(spec.class_name, spec.config)
    if rule is None or local not in ROLE_OF_NAME or inner_layers(spec.class_name, spec.config):
        return True
    return local in rule.names


def class_by_weights(names: list[str], shapes: list[tuple[int | None, ...] | None]) -> str | None:
    """The class that a set of variables can belong to alone; None if several could."""
    found = dict(zip((name.rsplit("/", 1)[-1] for name in names), shapes, strict=True))
    if len(found) != len(names):
        return None
    if {"moving_mean", "moving_variance"} <= set(found):
        return "BatchNormalization"
    if {"depthwise_kernel", "pointwise_kernel"} <= set(found):
        return {3: "SeparableConv1D", 4: "SeparableConv2D"}.get(_rank(found["depthwise_kernel"]))
    if "depthwise_kernel" in found:
        return {3: "DepthwiseConv1D", 4: "DepthwiseConv2D"}.get(_rank(found["depthwise_kernel"]))
    if "recurrent_kernel" in found:
        return _recurrent(found["recurrent_kernel"])
    if set(found) == {"embeddings"}:
        return "Embedding"
    if "kernel" in found and set(found) <= {"kernel", "bias"}:
        return {2: "Dense", 3: "Conv1D", 4: "Conv2D", 5: "Conv3D"}.get(_rank(found["kernel"]))
    return None


def _rank(shape: tuple[int | None, ...] | None) -> int:
    return -1 if shape is None else len(shape)


def _recurrent(shape: tuple[int | None, ...] | None) -> str | None:
    if shape is None or len(shape) != 2 or not shape[0] or not shape[1] or shape[1] % shape[0]:
        return None
    return {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}.get(shape[1] // shape[0])


def class_fits(class_name: str, names: list[str]) -> bool:
    """Whether variables of these names can be those of a layer of this class, as far as Keras' names go."""
    rule = own_variables(class_name, {"bias_axes": "?"})
    if rule is None or KIND_OF_CLASS[class_name] in ("bidirectional", "time_distributed", "rnn", "wrapper"):
        return rule is not None
    if inner_layers(class_name, {}):
        return bool(names)
    return set(names) <= {*rule.names, "bias"}
