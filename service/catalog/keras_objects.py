"""Weights from the object tree of Keras 3 files (`layers/dense/vars/0`): which stored variable is which weight.

Knows how Keras mirrors objects as groups and numbers their variables. Names come from class and arguments; where
these do not fit what is stored, or are not there, the variables stay unnamed and a note says why.
"""

from __future__ import annotations

from typing import Any

from service.catalog.keras_inner import Inner, guessed_class, inner_layers
from service.catalog.keras_variables import Variables, own_variables, rank_fits
from service.catalog.keras_weights import make_weight, owner_of
from service.language import Message, msg
from service.parsers.hdf5 import Dataset, Group
from service.parsers.hdf5_attributes import text_of
from service.tree import Frozen, Weight

VARIABLES = "vars"
_TIED_KERNEL = "SpectralNormalization"
"""Its own first variable is its inner layer's kernel, stored twice."""


class Named(Frozen, frozen=True, kw_only=True):
    """A layer to be read from a group.

    `config` is None where there is none, so that names are a guess by class; `prefix` goes before names;
    `trainable` is None where the file does not say; `first_is_tied` where its first variable was counted before.
    """

    class_name: str | None
    config: dict[str, Any] | None
    trainable: bool | None
    prefix: str = ""
    first_is_tied: bool = False


class Reading:
    """Collects the weights of one layer: `weights` in Keras' order, `notes` on what is ambiguous."""

    def __init__(self, member: str | None) -> None:
        self._member = member
        self.weights: list[Weight] = []
        self.notes: list[Message] = []
        self._numbers: dict[str, int] = {}

    def layer(self, group: Group, layer: Named) -> None:
        """Add the weights below `group`: the layer's own, then its inner layers', then what nobody asked for."""
        self._own(group, layer)
        used = {VARIABLES}
        for inner in _inner(layer):
            found = _find(group, inner)
            if found is not None:
                used.add(found[0].split("/")[0])
                self._inner(found[1], inner, layer)
        for name, child in group.groups.items():
            if name not in used:
                self._stranger(name, child, layer, in_list=False)

    def _inner(self, group: Group, inner: Inner, outer: Named) -> None:
        name = group_name(group) or inner.name or inner.attributes[0]
        trainable = False if inner.config.get("trainable") is False else outer.trainable
        visible = inner.visible or bool(outer.prefix)
        self.layer(
            group,
            Named(
                class_name=inner.class_name,
                config=inner.config if outer.config is not None else None,
                trainable=trainable,
                prefix=self._prefix(outer, name) if visible else outer.prefix,
                first_is_tied=outer.class_name == _TIED_KERNEL,
            ),
        )

    def _prefix(self, outer: Named, name: str) -> str:
        """What goes before the names of an inner layer's weights; a second layer of one name gets a number."""
        wanted = prefix = f"{outer.prefix}{name}"
        number = self._numbers.get(wanted, 0)
        while prefix in self._numbers:
            prefix, number = f"{wanted}_{number}", number + 1
        self._numbers[prefix] = 1
        self._numbers[wanted] = max(number, 1)
        return f"{prefix}/"

    def _stranger(self, key: str, group: Group, outer: Named, in_list: bool) -> None:
        """A layer nothing is known of but its group: of a custom layer, or of a list of layers in one."""
        if VARIABLES not in group.children:
            for inner_key, child in group.groups.items():
                self._stranger(inner_key, child, outer, in_list=True)
            return
        name = group_name(group)
        known_frozen = False if outer.trainable is False else None
        self.layer(
            group,
            Named(
                class_name=guessed_class(key, name, in_list),
                config=None,
                trainable=known_frozen,
                prefix=self._prefix(outer, name or key),
                first_is_tied=outer.class_name == _TIED_KERNEL and not outer.prefix,
            ),
        )

    def _own(self, group: Group, layer: Named) -> None:
        stored = variables_of(group)
        rule = _rule(layer)
        names = rule.fit(len(stored)) if rule is not None else None
        if names is None or not _ranks_fit(layer.class_name, names, stored):
            rule = None
            names = tuple(_stored_name(key) for key, _ in stored)
            if stored and all(is_number(key) for key, _ in stored):
                self.notes.append(_unnamed(group, layer, len(stored)))
        elif layer.class_name == _TIED_KERNEL:
            names = (f"{_tied_name(group)}/{names[0]}", *names[1:])
        scale = next(
            (found.shape for name, (_, found) in zip(names, stored, strict=True) if name == "kernel_scale"), None
        )
        owner = owner_of(layer.class_name, layer.config or {}, rule, layer.trainable, scale)
        for local, (_, dataset) in list(zip(names, stored, strict=True))[layer.first_is_tied :]:
            self.weights.append(make_weight(dataset, layer.prefix + local, owner, self._member))


def _tied_name(group: Group) -> str:
    """The name of the layer whose kernel a wrapper holds too."""
    inner = group.group("layer")
    return (group_name(inner) if inner is not None else None) or "layer"


def _inner(layer: Named) -> tuple[Inner, ...]:
    if layer.class_name is None:
        return ()
    return inner_layers(layer.class_name, layer.config or {})


def _rule(layer: Named) -> Variables | None:
    if layer.class_name is None:
        return None
    if layer.config is not None:
        return own_variables(layer.class_name, layer.config)
    return _rule_without_config(layer.class_name)


def _rule_without_config(class_name: str) -> Variables | None:
    """With nothing configured only a bias may be missing without making the rest ambiguous."""
    rule = own_variables(class_name, {"bias_axes": "?"})
    return None if rule is None else Variables(names=rule.names, optional=frozenset({"bias"}) & set(rule.names))


def _ranks_fit(class_name: str | None, names: tuple[str, ...], stored: list[tuple[str, Dataset]]) -> bool:
    """Whether each variable has as many axes as one of its name would."""
    return all(
        dataset.shape is None or rank_fits(class_name, name, len(dataset.shape))
        for name, (_, dataset) in zip(names, stored, strict=True)
    )


def _stored_name(key: str) -> str:
    return f"{VARIABLES}/{key}" if is_number(key) else key


def _unnamed(group: Group, layer: Named, count: int) -> Message:
    place = group.path or "/"
    if layer.class_name is None:
        return msg(
            "{place}: {count} variables of a class the file does not name; what each of them is remains open.",
            place=place,
            count=count,
        )
    if layer.config is None:
        return msg(
            "{place}: {count} variables do not tell which of the optional ones of {class_name} are missing "
            "(for instance scale or center); without the model's configuration their roles are ambiguous.",
            place=place,
            count=count,
            class_name=layer.class_name,
        )
    if own_variables(layer.class_name, layer.config) is None:
        return msg(
            "{place}: the file numbers the {count} variables of the user's class {class_name} without names.",
            place=place,
            count=count,
            class_name=layer.class_name,
        )
    return msg(
        "{place}: the {count} stored variables do not fit the configuration of {class_name}; they stay unnamed.",
        place=place,
        count=count,
        class_name=layer.class_name,
    )


def _find(group: Group, inner: Inner) -> tuple[str, Group] | None:
    for attribute in inner.attributes:
        found: Group | None = group
        for step in attribute.split("/"):
            found = found.group(step) if found is not None else None
        if found is not None:
            return attribute, found
    return None


def group_name(group: Group) -> str | None:
    """The layer name that Keras 3 keeps beside the variables, None in files of earlier versions."""
    variables = group.group(VARIABLES)
    return text_of(variables.attributes, "name") if variables is not None else None


def variables_of(group: Group) -> list[tuple[str, Dataset]]:
    """A group's own variables: numbered ones in order, then named ones."""
    variables = group.group(VARIABLES)
    stored = variables.datasets if variables is not None else {}
    return sorted(stored.items(), key=lambda item: natural(item[0]))


def is_number(key: str) -> bool:
    """Whether a group or variable is numbered."""
    return key.isascii() and key.isdecimal() and len(key) < 10


def natural(key: str) -> tuple[bool, int, str]:
    """Sort key: numbers by value before names."""
    return (False, int(key), "") if is_number(key) else (True, 0, key)


def holds_data(group: Group) -> bool:
    """Whether there is any dataset below `group`."""
    open_groups = [group]
    while open_groups:
        for child in open_groups.pop().children.values():
            if isinstance(child, Dataset):
                return True
            open_groups.append(child)
    return False
