"""Objects of a SavedModel or a TF 2 checkpoint and the variables they own, under the keys they are stored by.

Knows how TensorFlow makes keys of paths through the graph of objects; must not know Keras.
Source: tensorflow/python/checkpoint/graph_view.py, trackable_view.py, trackable/trackable_utils.py.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from service.catalog.tf_bundle import SUFFIX, Data, tensor_keys
from service.catalog.tf_variables import Variable, byte_count
from service.language import msg
from service.parsers.tensorflow_bundle import OBJECT_GRAPH
from service.parsers.tensorflow_objects import Object
from service.plain import text
from service.tree import Finding, Shape

_MAX_LOST = 50


class Owned(NamedTuple):
    """The variables of a graph of objects.

    Attributes:
        variables: By the number of their object, in order.
        slots: Keys of optimizer slots, and the name of each slot.
        rest: What the checkpoint holds beside them.
        findings: Where the two disagree.
    """

    variables: dict[int, Variable]
    slots: dict[str, str]
    rest: list[Variable]
    findings: list[Finding]


def paths_of(objects: Sequence[Object]) -> dict[int, str]:
    """The path to each object that can be reached from the first: the shortest, first attributes first."""
    if not objects:
        return {}
    paths = {0: ""}
    waiting = deque([0])
    while waiting:
        number = waiting.popleft()
        for name, child in objects[number].children:
            if child not in paths:
                paths[child] = _joined(paths[number], name)
                waiting.append(child)
    return paths


def owned(objects: Sequence[Object], data: Data | None) -> Owned:
    """The variables of a SavedModel's objects, with their places where the checkpoint is there."""
    keys = _keys(objects, data)
    found: dict[int, Variable] = {}
    findings: list[Finding] = []
    for number, one in enumerate(objects):
        if one.variable is None:
            continue
        key = keys.get(number, f"#{number}")
        told = one.variable
        name = told.name or key.removesuffix(SUFFIX)
        if data is not None and key in data.bundle.tensors:
            found[number] = data.variable(key, name, told.trainable)
            findings.extend(_differences(name, told.dtype, told.shape, found[number]))
        else:
            found[number] = Variable(
                name=name, key=key, shape=told.shape, dtype=told.dtype, trainable=told.trainable,
                bytes=byte_count(told.shape, told.dtype),
            )  # fmt: skip
            if data is not None:
                findings.append(_lost(name))
    taken = {one.key for one in found.values()}
    rest = [data.variable(key) for key in tensor_keys(data.bundle) if key not in taken] if data is not None else []
    return Owned(found, _slots(objects, keys), rest, findings[:_MAX_LOST])


def full_names(objects: Sequence[Object]) -> dict[str, str]:
    """In a checkpoint of TF 2: the names that the program gave its variables, by key."""
    return {key: name for one in objects for name, key in one.saved if name and key != OBJECT_GRAPH}


def slot_keys(objects: Sequence[Object]) -> dict[str, str]:
    """In a checkpoint of TF 2: keys of optimizer slots, and what each slot is called."""
    found: dict[str, str] = {}
    for one in objects:
        for _, name, number in one.slots:
            if number < len(objects):
                found.update((key, name) for _, key in objects[number].saved)
    return found


def reached_from(objects: Sequence[Object], starts: Iterable[int]) -> set[int]:
    """The numbers of `starts` and everything they hold."""
    waiting = list(starts)
    found = set(waiting)
    while waiting:
        for _, child in objects[waiting.pop()].children:
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def children_of(one: Object) -> dict[str, int]:
    """Attributes and numbers of what an object holds."""
    return dict(one.children)


def _keys(objects: Sequence[Object], data: Data | None) -> dict[int, str]:
    """Keys of variables by their number: along any way that leads to them, if only one of these is stored."""
    paths = paths_of(objects)
    there = data.bundle.tensors if data is not None else {}
    found = {number: f"{path}{SUFFIX}" for number, path in paths.items() if objects[number].variable is not None}
    for number, one in enumerate(objects):
        if number not in paths or not there:
            continue
        for name, child in one.children:
            if child in found and found[child] not in there:
                other = f"{_joined(paths[number], name)}{SUFFIX}"
                found[child] = other if other in there else found[child]
    for number, one in enumerate(objects):
        for original, name, slot in one.slots:
            if slot < len(objects) and original in found and slot not in found:
                base = found[original].removesuffix(SUFFIX)
                found[slot] = f"{base}/.OPTIMIZER_SLOT/{paths.get(number, '')}/{_escaped(name)}{SUFFIX}"
    return found


def _slots(objects: Sequence[Object], keys: dict[int, str]) -> dict[str, str]:
    return {keys[slot]: name for one in objects for _, name, slot in one.slots if slot in keys}


def _joined(path: str, name: str) -> str:
    return f"{path}/{_escaped(name)}" if path else _escaped(name)


def _escaped(name: str) -> str:
    return name.replace(".", "..").replace("/", ".S")


def _differences(name: str, dtype: str | None, shape: Shape | None, stored: Variable) -> Iterable[Finding]:
    fixed = shape is not None and None not in shape
    if (dtype and stored.dtype and dtype != stored.dtype) or (fixed and stored.shape != shape):
        yield Finding(
            rule="variable_mismatch",
            severity="high",
            path=text(name),
            what=msg(
                "{name} is {told} in saved_model.pb and {stored} in the checkpoint.",
                name=text(name, 200), told=_shown(dtype, shape), stored=_shown(stored.dtype, stored.shape),
            ),
            why=msg("The files come from different versions of the model."),
        )  # fmt: skip


def _shown(dtype: str | None, shape: Shape | None) -> str:
    sizes = "?" if shape is None else ", ".join("?" if size is None else str(size) for size in shape)
    return f"{dtype or '?'} ({sizes})"


def _lost(name: str) -> Finding:
    return Finding(
        rule="variable_missing",
        severity="high",
        path=text(name),
        what=msg("{name} is a variable of the model, and the checkpoint does not hold it.", name=text(name, 200)),
    )
