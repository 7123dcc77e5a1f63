"""Layers and states of a model whose variables are told by names: checkpoints, graphs that were not frozen.

Knows how variables, states and names come together; must not know files.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from service.catalog.tf_bundle import SUFFIX
from service.catalog.tf_scopes import layers_of
from service.catalog.tf_states import set_apart
from service.catalog.tf_variables import AS_STORED, Variable
from service.config import Limits
from service.language import Message
from service.plain import text
from service.tree import Layer, State

_NAMELESS = re.compile(r"/*|Variable(?:_\d+)?")
"""What TensorFlow calls variables that the program gave no name."""


class Trained(NamedTuple):
    """Layers, what is stored beside them, and what there is to say."""

    layers: tuple[Layer, ...]
    states: tuple[State, ...]
    notes: tuple[Message, ...]


def describe(
    variables: Sequence[Variable],
    limits: Limits,
    *,
    slots: Mapping[str, str] | None = None,
    roles: Mapping[str, str] | None = None,
) -> Trained:
    """The model that `variables` make up; `slots` and `roles` by key, where a graph tells of them."""
    named = distinct(variables)
    found = set_apart(named, slots)
    layers = layers_of(found.model, limits, roles)
    marked = any(one.trainable is not None for one in found.model)
    return Trained(layers, found.states, (AS_STORED,) if marked else ())


def distinct(variables: Sequence[Variable]) -> list[Variable]:
    """`variables` under names that occur once: those called alike, or not at all, under the path of their key."""
    counts = Counter(one.name for one in variables)
    return [_renamed(one) if counts[one.name] > 1 or _NAMELESS.fullmatch(one.name) else one for one in variables]


def _renamed(one: Variable) -> Variable:
    return Variable(
        name=one.key.removesuffix(SUFFIX), key=one.key, shape=one.shape, dtype=one.dtype, trainable=one.trainable,
        bytes=one.bytes, location=one.location, slices=one.slices, meant=one.meant,
    )  # fmt: skip


def with_optimizer(states: Sequence[State], settings: Mapping[str, object]) -> tuple[State, ...]:
    """`states` with the class and configuration of the optimizer, where they are recorded."""
    name, config = settings.get("class_name"), settings.get("config")
    told = {
        "type": text(name.rpartition(">")[2]) if isinstance(name, str) else None,
        "config": config if isinstance(config, dict) else {},
    }
    if not settings:
        return tuple(states)
    if not any(state.group == "optimizer" for state in states):
        return (*states, State(name="optimizer", group="optimizer", **told))  # type: ignore[arg-type]
    return tuple(msgspec.structs.replace(state, **told) if state.group == "optimizer" else state for state in states)
