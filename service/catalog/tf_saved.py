"""A SavedModel's objects, graph and checkpoint brought together: which kind of model it is, its layers and states.

Knows Keras 2 and 3, plain modules and TF 1 by what they leave in the file; must not know files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from service.catalog import listing
from service.catalog.keras_objects import natural
from service.catalog.keras_pickles import dangers_of_config
from service.catalog.tf_bundle import Data, tensor_keys
from service.catalog.tf_constants import variables, wholes
from service.catalog.tf_dangers import dangers_of_graph
from service.catalog.tf_frozen import describe_frozen
from service.catalog.tf_keras import KerasParts, Metadata, is_keras, plain, read_keras
from service.catalog.tf_objects import Owned, children_of, owned, reached_from
from service.catalog.tf_ops import MAX_DANGERS
from service.catalog.tf_states import set_apart
from service.catalog.tf_training import describe, with_optimizer
from service.catalog.tf_uses import roles_of
from service.catalog.tf_variables import Variable, beside
from service.config import Limits
from service.errors import InputError
from service.language import Message, msg
from service.parsers.json_text import parse_object
from service.parsers.protobuf import Blocks, Field, bytes_of, message
from service.parsers.tensorflow_graph import MetaGraph, variable_names
from service.parsers.tensorflow_nodes import Listed, Node, read_graph
from service.parsers.tensorflow_objects import Object, read_saved
from service.plain import json_value, text
from service.tree import Danger, Finding, Layer, State

_KERAS_3 = frozenset({"_operations", "_functional", "_layers", "_all_variables"})
"""Attributes of Keras 3's models and exports that no other object has."""
_COPIES = "_all_variables"
_NO_CHECKPOINT = msg(
    "The checkpoint below variables/ was not uploaded: shapes and types come from the graph of objects, the values are "
    "not here."
)
_EXPORTED = msg(
    "Exported by Keras 3, which keeps no layers: they are concluded from the names of the variables, and how they are "
    "joined is not told."
)
_TWICE = msg(
    "Keras 3 stores each variable a second time below _all_variables: the copies are listed apart and counted once."
)
_SEVERAL = msg("The SavedModel holds several graphs with different tags; the first is described.")


@dataclass(frozen=True, slots=True)
class SavedFiles:
    """What stands beside `saved_model.pb`: the checkpoint, and Keras' metadata by the object's number."""

    data: Data | None
    metadata: Mapping[int, Field]
    metadata_source: Blocks | None
    main: str | None


@dataclass(frozen=True, slots=True)
class Described:
    """What a report says of a SavedModel."""

    framework: str
    layers: tuple[Layer, ...]
    states: tuple[State, ...] = ()
    security: tuple[Danger, ...] = ()
    findings: tuple[Finding, ...] = ()
    complete: bool = True
    notes: tuple[Message, ...] = ()
    name: str | None = None
    type: str | None = None
    frozen: bool = False


def describe_saved(source: Blocks, graphs: Sequence[MetaGraph], files: SavedFiles, limits: Limits) -> Described:
    """The model in the first of `graphs`. Raises InputError."""
    graph = graphs[0]
    listed = _listed(source, graph)
    objects = read_saved(source, graph.objects, limits) if graph.objects is not None else ()
    if any(one.variable is not None for one in objects):
        found = _of_objects(source, objects, files, limits)
    else:
        found = _of_graph(source, graph, listed.nodes, files, limits)
    notes = list(found.notes)
    complete = found.complete
    if files.data is None and not found.frozen:
        notes, complete = [*notes, _NO_CHECKPOINT], False
    elif files.data is not None and files.data.missing:
        notes, complete = [*notes, *_missing(files.data)], False
    return replace(
        found,
        security=(
            *found.security,
            *_dangers(source, [(graph, listed), *((one, _listed(source, one)) for one in graphs[1:])], files.main),
        ),
        findings=(*found.findings, *(files.data.findings() if files.data is not None else ())),
        notes=(*notes, *((_SEVERAL,) if len(graphs) > 1 else ())),
        complete=complete,
    )


def _missing(data: Data) -> list[Message]:
    note = data.note()
    return [note] if note is not None else []


def _listed(source: Blocks, graph: MetaGraph) -> Listed:
    return read_graph(source, message(source, graph.graph)) if graph.graph is not None else Listed([], ())


def _dangers(source: Blocks, graphs: Sequence[tuple[MetaGraph, Listed]], member: str | None) -> Iterator[Danger]:
    """Those of all graphs: a file may hold as many as it has bytes."""
    found = (one for said, graph in graphs for one in dangers_of_graph(source, graph, said, member))
    return listing.listed(found, MAX_DANGERS)


def _of_objects(source: Blocks, objects: Sequence[Object], files: SavedFiles, limits: Limits) -> Described:
    """Models of TF 2, whose objects own their variables."""
    found = owned(objects, files.data)
    if is_keras(objects):
        read = read_keras(objects, _metadata(source, objects, files, limits), found.variables, limits)
        if read is not None:
            return _keras_2(read, found, files.main, limits)
    return _plain(objects, found, limits)


def _keras_2(read: KerasParts, found: Owned, member: str | None, limits: Limits) -> Described:
    others = [one for one in (*found.variables.values(), *found.rest) if text(one.key) not in read.claimed]
    apart = set_apart(others, found.slots)
    states = list(apart.states)
    if apart.model:
        states.append(_beside("unclaimed", apart.model))
    settings = read.compiled.get("optimizer_config")
    document = {"class_name": read.spec.class_name, "config": read.spec.config, "training_config": read.compiled}
    return Described(
        framework="keras",
        layers=read.layers,
        states=with_optimizer(states, json_value(settings) if isinstance(settings, dict) else {}),
        security=dangers_of_config(document, member or "saved_model.pb", limits),
        findings=tuple(found.findings),
        notes=read.notes,
        name=text(read.spec.name, 500),
        type=text(read.spec.class_name, 500),
    )


def _plain(objects: Sequence[Object], found: Owned, limits: Limits) -> Described:
    """Modules, and Keras 3, which leaves no more than names."""
    children = children_of(objects[0])
    keras = not _KERAS_3.isdisjoint(children)
    copies = _copies(objects, found) if _COPIES in children else []
    repeated = {one.key for one in copies}
    variables = [one for one in (*found.variables.values(), *found.rest) if one.key not in repeated]
    if keras:
        variables.sort(key=_in_order)
    model = describe(variables, limits, slots=found.slots)
    states = (*model.states, *((_beside(_COPIES, copies),) if copies else ()))
    notes = (*model.notes, *((_EXPORTED,) if keras else ()), *((_TWICE,) if copies else ()))
    return Described(
        framework="keras" if keras else "tensorflow",
        layers=model.layers,
        states=states,
        findings=tuple(found.findings),
        notes=notes,
    )


def _in_order(one: Variable) -> list[tuple[bool, int, str]]:
    """Lists of layers and variables by their numbers: the order in which Keras 3 runs or made them."""
    return [natural(step) for step in one.key.split("/")]


def _copies(objects: Sequence[Object], found: Owned) -> list[Variable]:
    """Variables that only the list `_all_variables` holds, and that are called and shaped like one held elsewhere."""
    children = children_of(objects[0])
    inside = reached_from(objects, [children[_COPIES]])
    others = reached_from(objects, [child for name, child in objects[0].children if name != _COPIES])
    known = {(one.name, one.shape, one.dtype) for number, one in found.variables.items() if number in others}
    return [
        one
        for number, one in found.variables.items()
        if number in inside and number not in others and (one.name, one.shape, one.dtype) in known
    ]


def _beside(name: str, variables: Sequence[Variable]) -> State:
    return State(name=name, group="other", weights=tuple(beside(one, "other", "other") for one in variables))


def _metadata(source: Blocks, objects: Sequence[Object], files: SavedFiles, limits: Limits) -> Metadata:
    """The descriptions of Keras objects: in the graph of objects, or in a file of their own since TF 2.5."""

    def described(number: int) -> dict[str, Any]:
        place, where = objects[number].metadata, source
        if place is None and files.metadata_source is not None and number in files.metadata:
            place, where = files.metadata[number], files.metadata_source
        if place is None:
            return {}
        data = bytes_of(where, place, limits.json_bytes)
        try:
            found: dict[str, Any] = plain(parse_object(data, max_bytes=limits.json_bytes, max_depth=limits.json_depth))
        except InputError:
            if number == 0:
                raise
            return {}
        return found

    return described


def _of_graph(source: Blocks, graph: MetaGraph, listed: list[Node], files: SavedFiles, limits: Limits) -> Described:
    """Models of TF 1, whose variables are in collections; or without any, frozen."""
    every = variable_names(source, graph.collections.get("variables"))
    learn = variable_names(source, graph.collections.get("trainable_variables"))
    declared = {**every, **learn}
    whole = {name: told.whole for name, told in declared.items()}
    trainable = {whole[name]: name in learn for name in whole}
    roles = {whole.get(name, name): role for name, role in roles_of(listed).items()}
    if files.data is not None:
        found = [files.data.variable(key, key, trainable.get(key)) for key in tensor_keys(files.data.bundle)]
    else:
        found = wholes(variables(source, listed, {name: name in learn for name in whole}), declared)
    if not found:
        frozen = describe_frozen(source, listed, limits)
        return Described(
            framework="tensorflow", layers=frozen.layers, states=frozen.states, notes=frozen.notes, frozen=True
        )
    model = describe(found, limits, roles=roles)
    return Described(framework="tensorflow", layers=model.layers, states=model.states, notes=model.notes)
