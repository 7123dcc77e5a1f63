"""The variable lists of a legacy Keras file, and layers made from them where no configuration is there.

Knows the attributes `layer_names` and `weight_names` and what names tell about classes; must not know the file.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from service.catalog.keras_classes import KIND_OF_CLASS, class_of_group, kind_of
from service.catalog.keras_names import Stored, class_by_weights, class_fits, relative_names, stored
from service.catalog.keras_objects import natural
from service.catalog.keras_paths import Paths
from service.catalog.keras_shelf import Same, repeated
from service.catalog.keras_unclaimed import is_numeric, unclaimed_in
from service.catalog.keras_variables import KERAS_1_NAMES, own_variables
from service.catalog.keras_weights import Owner, make_weight
from service.language import Message, msg
from service.parsers.hdf5 import Dataset, Group
from service.parsers.hdf5_attributes import texts
from service.plain import text
from service.tree import Frozen, Layer

_OWN = "top_level_model_weights"
_COMPOSITE = frozenset(
    {
        "bidirectional",
        "time_distributed",
        "rnn",
        "multi_head_attention",
        "grouped_query_attention",
        "simple_rnn",
        "lstm",
        "gru",
        "conv_lstm",
        "rnn_cell",
        "spectral_norm",
    }
)


class StoredNames(Frozen, frozen=True, kw_only=True):
    """Per layer its variables in stored order; the model's own; the optimizer's; notes on what is missing.

    `unlisted` are arrays that no list names, `others` datasets in a list that are no arrays of numbers.
    """

    layers: tuple[tuple[str, tuple[Stored, ...]], ...]
    own: tuple[Stored, ...]
    optimizer: tuple[Stored, ...]
    notes: tuple[Message, ...]
    unlisted: tuple[Dataset, ...] = ()
    others: tuple[Dataset, ...] = ()


def read_names(weights: Group, optimizer: Group | None) -> StoredNames:
    """The lists in `model_weights` (or the root of a weights-only file) and in `optimizer_weights`.

    Raises:
        MalformedFile: The lists are not text.
    """
    notes: list[Message] = []
    layers = tuple((name, _listed(_walk(weights, name), name, notes)) for name in layer_names(weights))
    group = weights.group(_OWN)
    own = _listed(group, _OWN, notes) if group is not None else ()
    held = (*own, *(one for _, variables in layers for one in variables))
    return StoredNames(
        layers=tuple((name, _numbers(variables)) for name, variables in layers),
        own=_numbers(own),
        optimizer=_listed(optimizer, "optimizer_weights", notes) if optimizer is not None else (),
        notes=tuple(notes[:20]),
        unlisted=unclaimed_in(weights, {one.dataset.path for one in held}),
        others=tuple(one.dataset for one in held if not is_numeric(one.dataset)),
    )


def _numbers(variables: tuple[Stored, ...]) -> tuple[Stored, ...]:
    return tuple(one for one in variables if is_numeric(one.dataset))


def layer_names(weights: Group) -> tuple[str, ...]:
    """The layers a legacy file lists; files of Keras 0.x only number their groups."""
    names = texts(weights.attributes, "layer_names")
    if names is not None:
        return tuple(dict.fromkeys(names))
    if "nb_layers" in weights.attributes:
        return tuple(sorted(weights.groups, key=lambda name: natural(name.rpartition("_")[2])))
    return ()


def _walk(group: Group | None, path: str) -> Group | Dataset | None:
    found: Group | Dataset | None = group
    for step in path.split("/"):
        if not isinstance(found, Group):
            return None
        found = found.children.get(step) if step else found
    return found


def _listed(group: Group | Dataset | None, layer: str, notes: list[Message]) -> tuple[Stored, ...]:
    if not isinstance(group, Group):
        notes.append(msg("The file lists {layer} and does not hold it.", layer=text(layer, 200)))
        return ()
    names = texts(group.attributes, "weight_names")
    if names is None:  # Keras 0.x: param_0, param_1 ...
        ordered = sorted(group.datasets.items(), key=lambda item: natural(item[0].rpartition("_")[2]))
        return tuple(stored(name, dataset) for name, dataset in ordered)
    found: list[Stored] = []
    for name in names:
        dataset = _walk(group, name)
        if isinstance(dataset, Dataset):
            found.append(stored(name, dataset))
        else:
            notes.append(
                msg(
                    "The file lists {name} in {layer} and does not hold it.",
                    name=text(name, 200),
                    layer=text(layer, 200),
                )
            )
    return tuple(found)


def unlisted_layers(
    lists: dict[str, list[Stored]], own: list[Stored], same: Same, taken: Iterable[str] = ()
) -> tuple[Layer, ...]:
    """Layers without configuration: class by automatic name if the variables agree, else by the variables alone."""
    layers: list[Layer] = []
    paths = Paths(taken)
    found: dict[tuple[str, ...], Layer] = {}

    def add(name: str, parent: str | None, variables: list[Stored]) -> None:
        layer = _layer(name, parent, variables, paths)
        keys = tuple(variable.name for variable in variables)
        first = found.setdefault(keys, layer) if keys else layer
        if first is not layer and repeated(first.weights, layer.weights, same):
            layer = msgspec.structs.replace(layer, weights=(), shared_with=first.path)
        layers.append(layer)

    for name, variables in lists.items():
        scopes = _scopes(name, variables)
        add(name, None, variables if len(scopes) < 2 else [])
        parent = layers[-1].path
        for scope, members in scopes.items() if len(scopes) > 1 else ():
            add(scope, parent, members)
    if own:
        add(".", None, own)
    return tuple(layers)


def _scopes(name: str, variables: list[Stored]) -> dict[str, list[Stored]]:
    """Variables by the layer they were made in, if `name` is a nested model: several layers under one name."""
    guess = class_of_group(name)
    if guess is not None and KIND_OF_CLASS[guess] != "container":
        return {}
    scopes: dict[str, list[Stored]] = {}
    for variable in variables:
        scopes.setdefault("/".join(variable.steps[:-1]), []).append(variable)
    steps = [scope.split("/") for scope in scopes]
    shared = (
        next((i for i, found in enumerate(zip(*steps, strict=False)) if len(set(found)) > 1), 0)
        if len(steps) > 1
        else 0
    )
    shortened = {"/".join(scope.split("/")[shared:]): found for scope, found in scopes.items()}
    return {} if "" in shortened or any(_is_part(scope) for scope in shortened) else shortened


def _is_part(scope: str) -> bool:
    """Whether a scope is the inside of one composite layer."""
    last = scope.rsplit("/", 1)[-1]
    return (
        last.startswith(("forward_", "backward_"))
        or last in ("query", "key", "value", "attention_output")
        or last.rstrip("0123456789_").endswith("_cell")
    )


def _layer(name: str, parent: str | None, variables: list[Stored], paths: Paths) -> Layer:
    last = name.rsplit("/", 1)[-1]
    class_name = _class_of(last, variables)
    names = relative_names(variables, last, class_name)
    known = class_name is not None and own_variables(class_name, {}) is not None
    owner = Owner(class_name=class_name, known=known, trainable=None)
    kind = kind_of(class_name)
    return Layer(
        path=paths.take(parent, name),
        name=name,
        parent=parent,
        type=class_name,
        type_source="unknown" if class_name is None else "rule",
        kind="parameter" if name == "." else kind,
        weights=tuple(
            make_weight(found.dataset, relative, owner, None) for found, relative in zip(variables, names, strict=True)
        ),
    )


def _class_of(name: str, variables: list[Stored]) -> str | None:
    guess = class_of_group(name)
    if guess is not None and KIND_OF_CLASS[guess] in (*_COMPOSITE, "container"):
        return guess
    names = [_local(variable.steps[-1], name) for variable in variables]
    if guess is not None and class_fits(guess, names):
        return guess
    return class_by_weights(names, [found.dataset.shape for found in variables])


def _local(variable: str, layer: str) -> str:
    """A variable's own name as Keras 2 and 3 have it."""
    local = variable.removeprefix(f"{layer}_")
    return KERAS_1_NAMES.get(local, local)
