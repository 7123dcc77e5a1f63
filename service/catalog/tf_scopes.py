"""Layers from the names of TensorFlow variables alone: scopes become layers, classes follow from names and shapes.

Knows how Keras, TF 1 and its contributed layers name variables; must not know files. Every class is by rule.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence

import msgspec

from service.catalog.keras_classes import KIND_OF_CLASS, class_of_group, kind_of
from service.catalog.keras_names import Stored, class_by_weights, class_fits, relative_names
from service.catalog.keras_paths import Paths
from service.catalog.keras_variables import ROLE_OF_NAME, own_variables
from service.catalog.keras_weights import Owner, make_weight
from service.catalog.tf_cells import Told, cells_in, part_of, role_in
from service.catalog.tf_variables import Variable, as_stored, completed
from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg
from service.plain import text
from service.tree import Layer, Weight, element_count

_MODEL_ITSELF = "."
_MAX_DEPTH = 32
"""Scopes deeper than this have their outer steps in one layer."""
_NUMBER = re.compile(r"_\d+$")
_LOCAL_NAMES = {
    "weights": "kernel", "biases": "bias", "w": "kernel", "W": "kernel", "b": "bias", "weight": "kernel",
    "filters": "kernel", "filter": "kernel", "depthwise_filter": "depthwise_kernel",
    "pointwise_filter": "pointwise_kernel", "depthwise_weights": "depthwise_kernel", "_kernel": "kernel",
    "pointwise_weights": "pointwise_kernel", "_embeddings": "embeddings", "embedding_weights": "embeddings",
    "embedding_table": "embeddings", "part_0": "kernel",
}  # fmt: skip
"""What TF 1, its contributed layers and private attributes call what Keras calls otherwise."""
_TABLE = re.compile(r".*(?:embeddings?|embedding_table|embedding_weights|lookup_table)(?:_\d+)?")
_CELL = re.compile(r"(?:.*_)?cell(?:_\d+)?")
_DIRECTION = ("forward_", "backward_")
_PROJECTIONS = ("query", "key", "value", "attention_output")
_NORM = re.compile(r"(?i).*(?:layer_?norm|(?<![a-z])ln(?![a-z])).*")
_FITTED = {"mean", "variance", "count"}


def layers_of(
    variables: Sequence[Variable], limits: Limits, roles: Mapping[str, str] | None = None
) -> tuple[Layer, ...]:
    """The layers that the names of `variables` tell of, parents before children, in order of first occurrence.

    `roles` are what a graph says of variables whose own names say nothing, by key.
    """
    if len(variables) > limits.weights:
        raise LimitExceeded("weights", limits.weights, msg("The model has too many weights."))
    groups: dict[str, list[Variable]] = {}
    scopes = _scopes(variables)
    cells = cells_in((variable.name, variable.shape) for variable in variables)
    for variable in variables:
        part = part_of(variable.scope)
        groups.setdefault(part if part in cells else _owner(variable, scopes), []).append(variable)
    layers = _Tree(limits)
    alike: dict[Hashable, Layer] = {}
    for scope, members in groups.items():
        key = _likeness(scope, members, roles or {})
        if key not in alike:
            cell = cells.get(scope)
            alike[key] = _layer(scope, members, roles or {}) if cell is None else _cell(scope, members, cell)
        layers.add(scope, completed(alike[key], members))
    return tuple(layers.layers)


def _likeness(scope: str, members: Sequence[Variable], roles: Mapping[str, str]) -> Hashable:
    """Equal for layers that differ in names and places only: deep models repeat theirs by the hundred."""
    start = len(scope)
    kept = tuple((one.name[start:], one.shape, one.dtype, roles.get(one.key)) for one in members)
    return _NUMBER.sub("", scope.rpartition("/")[2]), kept


class _Tree:
    """Collects layers with the containers around them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._paths = Paths()
        self._known: dict[str, str] = {}
        self.layers: list[Layer] = []

    def add(self, scope: str, layer: Layer) -> None:
        """One more layer, behind containers for the steps before the last one of its scope."""
        steps = scope.split("/")
        steps = ["/".join(steps[:-_MAX_DEPTH]), *steps[-_MAX_DEPTH:]] if len(steps) > _MAX_DEPTH else steps
        parent: str | None = None
        for end in range(1, len(steps)):
            parent = self._container("/".join(steps[:end]), steps[end - 1], parent)
        path = self._paths.take(parent, text(steps[-1]))
        self._known.setdefault(scope, path)
        self._append(_placed(layer, path, text(steps[-1]), parent))

    def _container(self, scope: str, name: str, parent: str | None) -> str:
        if scope not in self._known:
            path = self._known[scope] = self._paths.take(parent, text(name))
            self._append(Layer(path=path, name=text(name), kind="container", type_source="unknown", parent=parent))
        return self._known[scope]

    def _append(self, layer: Layer) -> None:
        self.layers.append(layer)
        if len(self.layers) > self._limits.layers:
            raise LimitExceeded("layers", self._limits.layers, msg("The model has too many layers."))


def _placed(layer: Layer, path: str, name: str, parent: str | None) -> Layer:
    return Layer(
        path=path, name=name, parent=parent, type=layer.type, type_source=layer.type_source, kind=layer.kind,
        weights=layer.weights, notes=layer.notes,
    )  # fmt: skip


def _scopes(variables: Iterable[Variable]) -> dict[str, dict[str, Variable]]:
    """The variables directly in each scope, by their own names."""
    found: dict[str, dict[str, Variable]] = {}
    for variable in variables:
        found.setdefault(variable.scope, {})[variable.local] = variable
    return found


def _owner(variable: Variable, scopes: Mapping[str, Mapping[str, Variable]]) -> str:
    """The scope of the layer that a variable belongs to."""
    scope = variable.scope
    if _is_table(variable, scopes.get(scope, {})):
        return variable.name
    above, _, last = scope.rpartition("/")
    if above and _CELL.fullmatch(last) and "recurrent_kernel" in scopes[scope]:
        scope = above
        above, _, last = scope.rpartition("/")
    if above and last.startswith(_DIRECTION):
        return above
    if above and last in _PROJECTIONS and _is_attention(above, scopes):
        return above
    return scope or _MODEL_ITSELF


def _is_table(variable: Variable, siblings: Mapping[str, Variable]) -> bool:
    """Whether a variable is a table of its own in a scope it shares with others (`bert/embeddings/word_embeddings`)."""
    local = variable.local
    named = local not in ROLE_OF_NAME and local not in _LOCAL_NAMES and _TABLE.fullmatch(local) is not None
    return (
        named and variable.shape is not None and len(variable.shape) == 2 and (len(siblings) > 1 or not variable.scope)
    )


def _is_attention(scope: str, scopes: Mapping[str, Mapping[str, Variable]]) -> bool:
    """Whether projections in `scope` are those of Keras' attention layer: kernels of three axes."""
    kernels = (scopes.get(f"{scope}/{part}", {}).get("kernel") for part in _PROJECTIONS[:3])
    return all(kernel is not None and len(kernel.shape or ()) == 3 for kernel in kernels)


def _layer(scope: str, members: Sequence[Variable], roles: Mapping[str, str]) -> Layer:
    """A layer without its place: class, kind and weights."""
    last = scope.rpartition("/")[2]
    variables = [_renamed(member, scope) for member in members]
    if _is_looked_up(members, roles):
        variables = [as_stored(members[0], f"{scope}/embeddings")]
    class_name = _class_of(last, variables)
    names = relative_names(variables, last, class_name)
    owner = Owner(
        class_name=class_name, known=class_name is None or own_variables(class_name, {}) is not None, trainable=None
    )
    weights = [make_weight(one.dataset, name, owner, None) for one, name in zip(variables, names, strict=True)]
    kept = tuple(_told(weight, member, roles) for weight, member in zip(weights, members, strict=True))
    return Layer(
        path=scope,
        name=last,
        type=class_name,
        type_source="unknown" if class_name is None else "rule",
        kind=_kind(class_name, scope, members),
        weights=kept,
    )


def _is_looked_up(members: Sequence[Variable], roles: Mapping[str, str]) -> bool:
    """Whether the graph takes rows out of the layer's only variable: a table, whatever it is called."""
    return len(members) == 1 and roles.get(members[0].key) == "embedding" and len(members[0].shape or ()) == 2


def _cell(scope: str, members: Sequence[Variable], cell: Told) -> Layer:
    """A recurrent cell of TF 1 without its place."""
    last = scope.rpartition("/")[2]
    variables = [_renamed(member, scope) for member in members]
    owner = Owner(class_name=None, known=True, trainable=None)
    weights = []
    for one, name, member in zip(variables, relative_names(variables, last, None), members, strict=True):
        made = msgspec.structs.replace(make_weight(one.dataset, name, owner, None), role=role_in(name))
        layout = "in-out" if made.role.endswith("kernel") else None
        weights.append(msgspec.structs.replace(_told(made, member, {}), layout=layout))
    return Layer(
        path=scope,
        name=last,
        type=cell.type,
        type_source="rule",
        kind=cell.kind,
        weights=tuple(weights),
        notes=() if cell.doubt is None else (cell.doubt,),
    )


def _kind(class_name: str | None, scope: str, members: Sequence[Variable]) -> str:
    if class_name is not None:
        return kind_of(class_name)
    if len(members) == 1 and members[0].name == scope:
        return "embedding"
    return "parameter" if scope == _MODEL_ITSELF else "unknown"


def _renamed(variable: Variable, scope: str) -> Stored:
    """`variable` under the name that Keras would give it."""
    if variable.name == scope:
        return as_stored(variable, f"{scope}/embeddings")
    head, _, local = variable.name.rpartition("/")
    name = _LOCAL_NAMES.get(local, local)
    return as_stored(variable, f"{head}/{name}" if head else name)


def _told(weight: Weight, variable: Variable, roles: Mapping[str, str]) -> Weight:
    """`weight` under its own name again, with the graph's word for a role that its name does not tell."""
    role = roles.get(variable.key, weight.role) if weight.role == "weight" else weight.role
    head = weight.name.rpartition("/")[0]
    name = f"{head}/{variable.local}" if head else variable.local
    if role == weight.role and name == weight.name:
        return weight
    return Weight(
        name=text(name), role=role, shape=weight.shape, dtype=weight.dtype, count=weight.count, bytes=weight.bytes,
        group=weight.group, trainable=weight.trainable, trainable_source=weight.trainable_source,
        stored_as=weight.stored_as, layout=weight.layout, location=weight.location,
    )  # fmt: skip


def _class_of(last: str, variables: Sequence[Stored]) -> str | None:
    """By the automatic name of the layer if its variables agree, else by the variables alone."""
    names = [one.steps[-1] for one in variables]
    composite = _composite(variables)
    if composite is not None:
        return composite
    if "recurrent_kernel" not in names and _CELL.fullmatch(last):
        return None  # cells of TF 1 keep both kernels in one
    guess = class_of_group(last)
    if guess is not None and KIND_OF_CLASS[guess] not in ("container", "bidirectional") and class_fits(guess, names):
        return guess
    if set(names) <= {"gamma", "beta"} and names and _NORM.fullmatch(last):
        return "LayerNormalization"
    if set(names) == _FITTED:
        return "Normalization"
    return _depthwise(last, variables) or class_by_weights(names, [one.dataset.shape for one in variables])


def _depthwise(last: str, variables: Sequence[Stored]) -> str | None:
    """Keras 3 calls the filters of a depthwise convolution `kernel`: as many biases as filters times channels tell."""
    shapes = {one.steps[-1]: one.dataset.shape for one in variables}
    kernel, bias = shapes.get("kernel"), shapes.get("bias")
    class_name = {3: "DepthwiseConv1D", 4: "DepthwiseConv2D"}.get(len(kernel or ()))
    if kernel is None or class_name is None or not set(shapes) <= {"kernel", "bias"}:
        return None
    if bias is not None:
        return class_name if bias != kernel[-1:] and bias == (element_count(kernel[-2:]),) else None
    return class_name if "depthwise" in last.lower() else None


def _composite(variables: Sequence[Stored]) -> str | None:
    """Layers that hold layers: the steps between them and their variables tell."""
    steps = {step for one in variables for step in one.steps[:-1]}
    if any(step.startswith(_DIRECTION[0]) for step in steps) and any(step.startswith(_DIRECTION[1]) for step in steps):
        return "Bidirectional"
    if set(_PROJECTIONS[:3]) <= steps:
        return "MultiHeadAttention"
    return None
