"""Turns a finished run into the report's layers and weights; knows Keras layers, not how a spec is spelled."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import keras

from service.builders.common import as_shape, byte_size, check_shape
from service.builders.keras_old import CUDNN_BIAS
from service.builders.keras_plan import refs
from service.builders.keras_run import Done, Ran
from service.catalog.keras_classes import kind_of
from service.catalog.keras_config import plain_config
from service.catalog.keras_inner import FUSED_CELL, inner_layers
from service.catalog.keras_variables import STATISTICS, layout_of, own_variables, role_of
from service.config import Limits
from service.plain import text
from service.tree import Layer, Shape, Weight, element_count

_NUMBERED = re.compile(r"^(seed_generator)_\d+(?=/)")
_MODEL_KEYS = frozenset({"layers", "input_layers", "output_layers"})


class Lister:
    """Lists the layers of a run, remembering which Keras layer was seen first under which path."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._first: dict[int, str] = {}
        self.open: list[str] = []
        """Paths of layers whose weights are not known."""

    def layers(self, ran: Ran) -> list[Layer]:
        """All layers of a model and of the models in it, parents before children."""
        return list(self._walk(ran, None, (), trainable=ran.spec.trainable))

    def _walk(self, ran: Ran, parent: str | None, fed_by: tuple[str, ...], *, trainable: bool) -> Iterator[Layer]:
        """The layers of one model; `fed_by` are the paths that feed the model as a whole."""
        prefix = f"{parent}/" if parent else ""
        hidden = {done.spec.name for done in ran.layers if done.spec.hidden}
        for done in ran.layers:
            if done.spec.hidden:
                continue
            path = prefix + text(done.spec.name)
            inputs = _feeders(done, ran, prefix, hidden, fed_by)
            if not _is_known(done):
                self.open.append(path)
            yield self._layer(done, path, parent, inputs, trainable=trainable)
            if done.model is not None:
                inner = trainable and done.spec.trainable is not False and done.model.spec.trainable
                yield from self._walk(done.model, path, inputs, trainable=inner)

    def _layer(self, done: Done, path: str, parent: str | None, inputs: tuple[str, ...], *, trainable: bool) -> Layer:
        spec, layer = done.spec, done.layer
        shared = self._first.setdefault(id(layer), path) if layer is not None else path
        return Layer(
            path=path,
            name=text(spec.name),
            kind=_kind(done),
            type=text(spec.type),
            module=text(spec.module) if spec.module else ("keras.layers" if spec.recorded is None else None),
            parent=parent,
            custom=spec.custom,
            config=_config(done),
            trainable=_switch(done),
            input_shapes=done.inputs,
            output_shapes=done.outputs,
            inputs=inputs,
            shared_with=shared if shared != path else None,
            uses=done.uses,
            weights=tuple(self._weights(done, trainable=trainable)) if shared == path else (),
            notes=done.notes,
        )

    def _weights(self, done: Done, *, trainable: bool) -> Iterator[Weight]:
        layer = done.layer
        if not isinstance(layer, keras.Layer):
            return
        owners = {
            id(variable): owner
            for owner in layer._flatten_layers()  # noqa: SLF001 - the only way to a wrapped layer's own variables
            for variable in owner._trainable_variables + owner._non_trainable_variables  # noqa: SLF001
        }
        learned = {
            id(variable)
            for owner in layer._flatten_layers()  # noqa: SLF001
            for variable in owner._trainable_variables  # noqa: SLF001
        }
        names = _names(layer, owners)
        for variable in layer.variables:
            owner = owners.get(id(variable))
            name = names[id(variable)]
            shape = _logical_shape(done, name, as_shape(variable.shape))
            check_shape(shape, self._limits, f"{done.spec.label}: {name}", done.spec.pointer)
            can_learn = id(variable) in learned
            yield _weight(variable, name, shape, owner, can_learn=can_learn, switched_on=trainable and layer.trainable)


def _feeders(done: Done, ran: Ran, prefix: str, hidden: set[str], fed_by: tuple[str, ...]) -> tuple[str, ...]:
    """Paths of the layers that feed one; what feeds a model's input is what feeds the model."""
    if done.spec.form == "input":
        names = [ref.layer for ref in refs(ran.spec.inputs)]
        if len(names) != len(fed_by) or done.spec.name not in names:
            return fed_by
        return (fed_by[names.index(done.spec.name)],)
    paths = (fed_by if name in hidden else (prefix + text(name),) for name in done.feeders)
    return tuple(dict.fromkeys(path for found in paths for path in found))


def _is_known(done: Done) -> bool:
    """Whether all weights of a layer are listed: not for foreign classes, nor for layers fed with unknown shapes."""
    if done.spec.model is not None or done.spec.form in ("input", "operation"):
        return True
    if done.layer is None:
        return done.spec.weightless
    rule = own_variables(type(done.layer).__name__, {})
    alone = not inner_layers(done.spec.type, done.spec.arguments)
    return bool(done.layer.built) or (rule is not None and not rule.names and alone)


def _weight(variable: Any, name: str, shape: Shape, owner: Any, *, can_learn: bool, switched_on: bool) -> Weight:
    class_name = type(owner).__name__ if owner is not None else None
    role = role_of(name, class_name)
    dtype = str(variable.dtype)
    count = element_count(shape)
    statistic = not can_learn and (owner is None or name.rpartition("/")[2] in STATISTICS)
    learns = can_learn and switched_on and bool(variable.trainable)
    return Weight(
        name=name,
        role=role,
        shape=shape,
        dtype=dtype,
        count=count,
        bytes=byte_size(count, dtype),
        group="statistic" if statistic else "trainable" if learns else "frozen",
        trainable=learns,
        trainable_source="recorded" if can_learn else "rule",
        layout=layout_of(class_name, role, len(shape)),
    )


def _local_name(variable: Any, layer: Any) -> str:
    """The variable's path below its layer; a lone cell and the number of a random generator say nothing."""
    name = str(variable.path).removeprefix(f"{layer.path or layer.name}/").removeprefix(f"{layer.name}/")
    if type(layer).__name__ in FUSED_CELL:
        name = name.removeprefix(f"{layer.cell.name}/")
    return text(_NUMBERED.sub(r"\1", name))


def _names(layer: Any, owners: dict[int, Any]) -> dict[int, str]:
    """Local names by variable; where two inner layers have one name, all variables of the second have its number."""
    groups: dict[int, list[Any]] = {}
    for variable in layer.variables:
        groups.setdefault(id(owners.get(id(variable), variable)), []).append(variable)
    taken: set[str] = set()
    next_number: dict[str, int] = {}
    found: dict[int, str] = {}
    for group in groups.values():
        names = [_local_name(variable, layer) for variable in group]
        number = next_number.get(names[0], 0)
        while not taken.isdisjoint(chosen := [_numbered(name, number) for name in names]):
            number += 1
        next_number[names[0]] = number + 1
        taken.update(chosen)
        found.update((id(variable), name) for variable, name in zip(group, chosen, strict=True))
    return found


def _numbered(name: str, number: int) -> str:
    """`seed_generator_1/seed_generator_state`: the number stands behind the name of the layer that owns the weight."""
    owner, slash, rest = name.rpartition("/")
    return name if not number else f"{owner}_{number}/{rest}" if slash else f"{rest}_{number}"


def _logical_shape(done: Done, name: str, shape: Shape) -> Shape:
    """The shape as the recorded class has it, where it differs from that of the class built in its place."""
    factor = CUDNN_BIAS.get(done.spec.type)
    if factor is None or name != "bias" or not shape:
        return shape
    return (factor * done.layer.units,)


def _switch(done: Done) -> bool | None:
    if done.spec.trainable is not None:
        return done.spec.trainable
    if done.spec.recorded is None and isinstance(done.layer, keras.Layer):
        return bool(done.layer.trainable)
    return None


def _kind(done: Done) -> str:
    if done.spec.model is not None:
        return "container"
    if done.spec.type == "Merge":
        return "merge"
    return kind_of(done.spec.type, done.spec.module)


def _config(done: Done) -> dict[str, Any]:
    """As stored; for a spec of one's own as Keras completes it."""
    config = done.spec.recorded
    if config is None and isinstance(done.layer, keras.Layer):
        config = _completed(done.layer)
    config = done.spec.arguments if config is None else config
    return plain_config(
        {key: value for key, value in config.items() if done.spec.model is None or key not in _MODEL_KEYS}
    )


def _completed(layer: Any) -> dict[str, Any] | None:
    """The config that Keras gives back, None where odd arguments make it fail."""
    try:
        return dict(layer.get_config())
    except (TypeError, ValueError, NotImplementedError):
        return None
