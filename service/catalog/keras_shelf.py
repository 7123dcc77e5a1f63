"""Where the weights of a configured model's layers are: in an object tree (Keras 3), under names (legacy), nowhere.

A shelf belongs to one model and hands out, for each of its layers, either that layer's weights or the shelf of a
nested model. Knows both ways of storing; must not know the archive around them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from service.catalog.keras_classes import KIND_OF_CLASS, snake_case
from service.catalog.keras_config import Spec
from service.catalog.keras_inner import GroupNames
from service.catalog.keras_names import Stored, distribute, relative_names
from service.catalog.keras_objects import VARIABLES, Named, Reading, group_name, holds_data, natural
from service.catalog.keras_variables import own_variables
from service.catalog.keras_weights import Owner, make_weight, owner_of
from service.language import Message
from service.parsers.hdf5 import Group
from service.tree import Frozen, Weight

CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
"""Groups that hold a model's layers: today's, and that of Keras 2.12 and 2.13."""


class Found(Frozen, frozen=True, kw_only=True):
    """A layer's weights in order, with notes on what is ambiguous.

    `keys` are the variables' full names where the file has them: a shared layer is stored again under the same.
    """

    weights: tuple[Weight, ...] = ()
    notes: tuple[Message, ...] = ()
    keys: tuple[str, ...] = ()


Same = Callable[[Weight, Weight], bool]
"""Whether two stored weights hold the same values, by a sample of them."""


class Shelf(Protocol):
    """The stored weights of one model."""

    def has(self, layer: Spec, /) -> bool | None:
        """Whether there is a place for `layer`; None if this kind of file cannot tell."""
        ...

    def weights(self, layer: Spec, trainable: bool | None, /) -> Found:
        """The weights of a layer that is not a model."""
        ...

    def inner(self, layer: Spec, /) -> Shelf:
        """The shelf of a nested model."""
        ...

    def own(self, trainable: bool | None, /) -> Found:
        """Variables that the model holds itself, outside its layers."""
        ...

    def repeats(self, earlier: tuple[Weight, ...], later: tuple[Weight, ...], /) -> bool:
        """Whether weights stored under the same names are the same ones, stored twice."""
        ...


class NoShelf:
    """For files without weights."""

    def has(self, _layer: Spec) -> bool | None:
        """Nothing can be told."""
        return None

    def weights(self, _layer: Spec, _trainable: bool | None) -> Found:
        """None."""
        return Found()

    def inner(self, _layer: Spec) -> Shelf:
        """The same."""
        return self

    def own(self, _trainable: bool | None) -> Found:
        """None."""
        return Found()

    def repeats(self, _earlier: tuple[Weight, ...], _later: tuple[Weight, ...]) -> bool:
        """Nothing is stored."""
        return False


class ObjectShelf:
    """Weights in a Keras 3 object tree below `group`."""

    def __init__(self, model: Spec, group: Group | None, member: str | None) -> None:
        self._group = group
        self._member = member
        self._places = _places(model, group) if group is not None else {}

    def has(self, layer: Spec) -> bool | None:
        """Whether the layer was written here; a shared layer is written at its first place only."""
        return layer.pointer in self._places

    def weights(self, layer: Spec, trainable: bool | None) -> Found:
        """Own and inner variables, in the order of Keras' `layer.weights`."""
        group = self._places.get(layer.pointer)
        if group is None:
            return Found()
        reading = Reading(self._member)
        reading.layer(group, Named(class_name=layer.class_name, config=layer.config, trainable=trainable))
        return Found(weights=tuple(reading.weights), notes=tuple(reading.notes))

    def inner(self, layer: Spec) -> Shelf:
        """The nested model's group."""
        return ObjectShelf(layer, self._places.get(layer.pointer), self._member)

    def own(self, trainable: bool | None) -> Found:
        """The group `vars` beside the layers; unnamed, as the model is a class of the user's."""
        own = self._group.group(VARIABLES) if self._group is not None else None
        if own is None or not own.children:
            return Found()
        reading = Reading(self._member)
        reading.layer(
            Group(path=self._group.path if self._group else "", attributes={}, children={VARIABLES: own}),
            Named(class_name=None, config=None, trainable=False if trainable is False else None),
        )
        return Found(weights=tuple(reading.weights), notes=tuple(reading.notes))

    def repeats(self, _earlier: tuple[Weight, ...], _later: tuple[Weight, ...]) -> bool:
        """Never: a shared layer is stored once."""
        return False


def _places(model: Spec, group: Group) -> dict[str, Group]:
    """The group of each layer, by pointer: where its class and position put it if its name agrees, else by name."""
    container = next((found for found in map(group.group, CONTAINERS) if found is not None), None)
    if container is None:
        return {}
    if container.path.rsplit("/", 1)[-1] == CONTAINERS[1]:
        return _places_by_order(model, container)
    names, places, open_layers = GroupNames(), {}, []
    claimed: set[str] = set()
    for layer in _saved(model):
        key = names.next(layer.class_name)
        child = container.group(key)
        if child is not None and group_name(child) in (None, layer.name):
            places[layer.pointer] = child
            claimed.add(key)
        else:
            open_layers.append(layer)
    by_name = {group_name(child) or key: child for key, child in container.groups.items() if key not in claimed}
    places.update({layer.pointer: by_name[layer.name] for layer in open_layers if layer.name in by_name})
    return places


def _saved(model: Spec) -> list[Spec]:
    """The layers Keras writes: bare operations of Keras 3 are no layers, TensorFlow's are."""
    return [
        layer for layer in model.members if not layer.operation or KIND_OF_CLASS.get(layer.class_name) == "operation"
    ]


def _places_by_order(model: Spec, container: Group) -> dict[str, Group]:
    """Files of Keras 2.12 and 2.13 number layers with gaps: those of one class that hold weights keep their order."""
    groups: dict[str, list[Group]] = {}
    for key, child in sorted(container.groups.items(), key=lambda item: _numbered(item[0])):
        if holds_data(child):
            groups.setdefault(_numbered(key)[0], []).append(child)
    places = {}
    for layer in _saved(model):
        rule = own_variables(layer.class_name, layer.config)
        waiting = groups.get(snake_case(layer.class_name))
        if waiting and (layer.layers is not None or rule is None or rule.names or KIND_OF_CLASS.get(layer.class_name)):
            places[layer.pointer] = waiting.pop(0)
    return places


def _numbered(key: str) -> tuple[str, tuple[bool, int, str]]:
    base, _, number = key.rpartition("_")
    return (base, natural(number)) if base and not natural(number)[0] else (key, natural("0"))


class NamedShelf:
    """Weights stored by name: for each layer of the file's model a list, a nested model's lying flat."""

    def __init__(self, lists: dict[str, list[Stored]], own: list[Stored], same: Same) -> None:
        self._lists = lists
        self._own = own
        self._same = same

    def has(self, _layer: Spec) -> bool | None:
        """Legacy files write a shared layer at every place: nothing can be told."""
        return None

    def weights(self, layer: Spec, trainable: bool | None) -> Found:
        """The layer's list, names relative to it."""
        return _named_weights(self._lists.get(layer.name, []), layer, trainable)

    def inner(self, layer: Spec) -> Shelf:
        """The nested model's list, dealt out to its layers."""
        shares, rest = distribute(self._lists.get(layer.name, []), layer)
        return _DealtShelf(shares, (), rest, self._same)

    def own(self, trainable: bool | None) -> Found:
        """`top_level_model_weights`."""
        return _unclaimed(self._own, trainable)

    def repeats(self, earlier: tuple[Weight, ...], later: tuple[Weight, ...]) -> bool:
        """Legacy files store a shared layer wherever it occurs; its values are then the same."""
        return repeated(earlier, later, self._same)


class _DealtShelf:
    """What `distribute` dealt to the layers of a nested model, and of models nested in it."""

    def __init__(
        self, shares: dict[tuple[str, ...], list[Stored]], above: tuple[str, ...], rest: list[Stored], same: Same
    ) -> None:
        self._shares = shares
        self._above = above
        self._rest = rest
        self._same = same

    def has(self, _layer: Spec) -> bool | None:
        """Nothing can be told."""
        return None

    def weights(self, layer: Spec, trainable: bool | None) -> Found:
        """The layer's share."""
        return _named_weights(self._shares.get((*self._above, layer.name), []), layer, trainable)

    def inner(self, layer: Spec) -> Shelf:
        """The same shares, one step further in."""
        return _DealtShelf(self._shares, (*self._above, layer.name), [], self._same)

    def own(self, trainable: bool | None) -> Found:
        """What no layer claimed."""
        return _unclaimed(self._rest, trainable)

    def repeats(self, earlier: tuple[Weight, ...], later: tuple[Weight, ...]) -> bool:
        """As in the model around it."""
        return repeated(earlier, later, self._same)


def repeated(earlier: tuple[Weight, ...], later: tuple[Weight, ...], same: Same) -> bool:
    """Whether two layers' weights agree in shape, type and values."""
    return len(earlier) == len(later) and all(
        first.shape == second.shape and first.dtype == second.dtype and same(first, second)
        for first, second in zip(earlier, later, strict=True)
    )


def _named_weights(variables: list[Stored], layer: Spec, trainable: bool | None) -> Found:
    """The weights of one layer from its named variables."""
    rule = own_variables(layer.class_name, layer.config)
    scale = next((found.dataset.shape for found in variables if found.steps[-1] == "kernel_scale"), None)
    owner = owner_of(layer.class_name, layer.config, rule, trainable, scale)
    names = relative_names(variables, layer.name, layer.class_name)
    weights = tuple(
        make_weight(variable.dataset, name, owner, None) for variable, name in zip(variables, names, strict=True)
    )
    return Found(weights=weights, keys=tuple(variable.name for variable in variables))


def _unclaimed(variables: list[Stored], trainable: bool | None) -> Found:
    owner = Owner(class_name=None, known=False, trainable=False if trainable is False else None)
    return Found(weights=tuple(make_weight(found.dataset, found.name, owner, None) for found in variables))
