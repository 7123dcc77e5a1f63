"""What `paddle.save` wrote, from inert stand-ins: state_dicts as layers, optimizers and the rest as states.

Knows Paddle's keys and how it pickles tensors; must not know the file.

Source: python/paddle/framework/io.py, python/paddle/optimizer/optimizer.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from service.catalog.counting import UniquePaths, check_weights
from service.catalog.paddle_names import Array, layers_of
from service.catalog.torch_tensors import Tensor, is_tensor, tensor_of
from service.catalog.torch_values import describe, key_text, mapping_of
from service.config import Limits
from service.language import Message, msg
from service.parsers.pickle_types import Instance, extent
from service.plain import text
from service.tree import Layer, Location, State, Weight, element_count

NAMES = "StructuredToParameterName@@"
"""Key under which a state_dict keeps the names that Paddle numbered its parameters by."""
_SCHEDULER = "LR_Scheduler"
_MASTER = "master_weights"
_SLOT = re.compile(
    r".+_(?P<slot>moment1|moment2|moment|velocity|beta1_pow_acc|beta2_pow_acc|mean_square|mean_grad|momentum|"
    r"inf_norm|_?avg_squared_grad|_?avg_squared_update|squared|linear)(?:_max)?_\d+\Z"
)
_ROLES = {"moment1": "momentum", "moment": "momentum", "velocity": "momentum", "moment2": "velocity"}
_MAX_DEPTH = 6
_MAX_TAGS = 200
_TUPLE = "builtins.tuple"


@dataclass(slots=True)
class Saved:
    """What a file holds."""

    layers: list[Layer] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    tags: dict[str, Any] = field(default_factory=dict)
    notes: list[Message] = field(default_factory=list)
    begins: Mapping[int, int] = field(default_factory=dict)
    paths: UniquePaths = field(default_factory=UniquePaths)
    places: dict[str, int] = field(default_factory=dict)

    def add(self, layers: Iterable[Layer]) -> None:
        """Layers of one more dictionary. What holds both is there once; another of the same name has a number."""
        for layer in layers:
            at = self.places.get(layer.path)
            if at is None or (layer.weights and self.layers[at].weights):
                path = self.paths.of(layer.path)
                self.places[path] = len(self.layers)
                self.layers.append(msgspec.structs.replace(layer, path=path))
            elif layer.weights:
                self.layers[at] = layer


UNKNOWN_TRAINING = msg(
    "A state_dict of Paddle does not record which weights are trained; moving statistics are told by rule."
)
_BFLOAT16 = msg(
    "Some arrays are whole numbers of 16 bits: Paddle writes bfloat16 in this form, and the file does not tell the two "
    "apart."
)


def describe_saved(value: Any, limits: Limits, begins: Mapping[int, int]) -> Saved:
    """Layers and states of an unpickled (inert) object; `begins` as in `Trace`.

    Raises:
        MalformedFile: An array's description cannot be.
        LimitExceeded: More arrays or layers than allowed.
    """
    found = Saved(begins=begins)
    single = _array_in(value)
    if single is not None:
        name, tensor = single
        array = _array(name or "tensor", tensor, None, {}, "", _location(value, tensor, begins))
        found.add(layers_of([array], limits))
        found.notes.append(msg("The file holds a single tensor: there are no layers to list."))
        return found
    mapping = mapping_of(value)
    if mapping is not None:
        _take(found, mapping, "", limits, 0)
    if not found.layers and not found.states:
        found.notes.append(msg("The file holds no arrays of PaddlePaddle: there are no layers to list."))
    elif found.layers:
        found.notes.append(UNKNOWN_TRAINING)
    if any(weight.dtype == "uint16" for layer in found.layers for weight in layer.weights):
        found.notes.append(_BFLOAT16)
    return found


def _take(found: Saved, mapping: dict[Any, Any], prefix: str, limits: Limits, depth: int) -> None:
    """One dictionary: its own arrays, then those inside."""
    arrays = list(_arrays(mapping, limits))
    if arrays and _is_optimizer(mapping, arrays):
        found.states.append(_optimizer(mapping, arrays, prefix))
        return
    if arrays:
        found.add(_model(mapping, arrays, prefix, limits, found.begins))
    for key, value in mapping.items():
        inner = mapping_of(value)
        name = ".".join(filter(None, (prefix, key_text(key))))
        if inner is not None and key != NAMES and depth < _MAX_DEPTH and _array_in(value) is None:
            _take(found, inner, name, limits, depth + 1)
        elif inner is None and key != NAMES and _array_in(value) is None and len(found.tags) < _MAX_TAGS:
            found.tags[text(name)] = describe(value)


def _arrays(mapping: dict[Any, Any], limits: Limits) -> Iterator[tuple[str, Any, Tensor]]:
    for count, (key, value) in enumerate(mapping.items()):
        check_weights(count, limits)
        held = _array_in(value)
        if held is not None and isinstance(key, str):
            yield key, value, held[1]


def _array_in(value: Any) -> tuple[str | None, Tensor] | None:
    """An array, alone or with its parameter's name as Paddle pickles a tensor: `tuple((name, array))`."""
    name, inner = _unwrapped(value)
    tensor = tensor_of(inner) if is_tensor(inner) else None
    return None if tensor is None else (name, tensor)


def _unwrapped(value: Any) -> tuple[str | None, Any]:
    if isinstance(value, Instance) and value.path == _TUPLE and value.positional:
        value = value.positional[0]
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
        return value[0], value[1]
    return None, value


def _is_optimizer(mapping: dict[Any, Any], arrays: list[tuple[str, Any, Tensor]]) -> bool:
    slots = sum(_SLOT.match(name) is not None for name, _, _ in arrays)
    return _SCHEDULER in mapping or _MASTER in mapping or 2 * slots > len(arrays)


def _model(
    mapping: dict[Any, Any], arrays: list[tuple[str, Any, Tensor]], prefix: str, limits: Limits,
    begins: Mapping[int, int],
) -> tuple[Layer, ...]:
    known = mapping_of(mapping.get(NAMES)) or {}
    owners: dict[str, str] = {}
    made = []
    for name, value, tensor in arrays:
        parameter = known.get(name)
        parameter = parameter if isinstance(parameter, str) else _unwrapped(value)[0]
        made.append(_array(name, tensor, parameter, owners, prefix, _location(value, tensor, begins)))
    return layers_of(made, limits, prefix)


def _array(
    name: str, tensor: Tensor, parameter: str | None, owners: dict[str, str], prefix: str, location: Location | None
) -> Array:
    full = ".".join(filter(None, (prefix, name)))
    owner = owners.setdefault(parameter or f"={name}", full)
    return Array(
        name, tensor.shape, tensor.dtype, tensor.bytes, location, name,
        None if owner == full else owner, parameter=parameter,
    )  # fmt: skip


def _location(value: Any, tensor: Tensor, begins: Mapping[int, int]) -> Location | None:
    """Where the bytes of an array lie in the pickle, if in C order and little-endian."""
    inner = _unwrapped(value)[1]
    state = inner.state if isinstance(inner, Instance) else None
    if not isinstance(state, tuple) or len(state) < 5 or state[3] is not False:
        return None
    order = getattr(state[2], "state", None)
    little = isinstance(order, tuple) and len(order) > 1 and order[1] in ("<", "|")
    place = extent(state[4], begins)
    fits = place is not None and tensor.bytes == place[1]
    return Location(offset=place[0], length=place[1]) if place is not None and little and fits else None


def _optimizer(mapping: dict[Any, Any], arrays: list[tuple[str, Any, Tensor]], prefix: str) -> State:
    weights = [_slot(name, tensor, None) for name, _, tensor in arrays]
    masters = mapping_of(mapping.get(_MASTER)) or {}
    for name, value in masters.items():
        held = _array_in(value)
        if held is not None and isinstance(name, str):
            weights.append(_slot(f"{_MASTER}.{name}", held[1], "optimizer_slot"))
    scheduler = mapping.get(_SCHEDULER)
    config = {} if scheduler is None else {_SCHEDULER: describe(scheduler)}
    return State(name=text(prefix or "optimizer"), group="optimizer", config=config, weights=tuple(weights))


def _slot(name: str, tensor: Tensor, role: str | None) -> Weight:
    match = _SLOT.match(name)
    return Weight(
        name=text(name), stored_as=text(name),
        role=role or _ROLES.get(match["slot"] if match else "", "optimizer_slot"), shape=tensor.shape,
        dtype=tensor.dtype, count=element_count(tensor.shape), bytes=tensor.bytes, group="optimizer", trainable=False,
        trainable_source="rule",
    )  # fmt: skip
