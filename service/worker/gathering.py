"""Which files of a folder are a model's training state, and which hold nothing: a run's folder is one model, not four.

Knows what was read of each; must not know how it was found or read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from service.plain import text
from service.tree import Model


class Held(NamedTuple):
    """What one reader made of some files: where they are, in which folder, and what they hold."""

    path: str
    folder: str
    model: Model


class Gathered(NamedTuple):
    """Models, each with the states beside it, and the paths of what holds nothing at all."""

    models: list[Held]
    empty: list[str]


def gather(held: Sequence[Held]) -> Gathered:
    """Give the states to the model that is alone in their folder; leave out what is empty where anything is not."""
    named = [one for one in held if one.model.layers]
    if not named:
        return Gathered(list(held), [])
    hosts: dict[str, list[Held]] = defaultdict(list)
    for one in named:
        hosts[one.folder].append(one)
    states: dict[str, list[Held]] = defaultdict(list)
    apart, empty = [], []
    for one in held:
        if one.model.layers:
            continue
        if _is_empty(one.model):
            empty.append(one.path)
        elif len(hosts.get(one.folder, ())) == 1:
            states[one.folder].append(one)
        else:
            apart.append(one)
    models = [one._replace(model=_with(one.model, states[one.folder])) for one in named]
    return Gathered(sorted([*models, *apart], key=lambda one: one.path), empty)


def _is_empty(model: Model) -> bool:
    return model.complete and not (model.states or model.security or model.findings)


def _with(model: Model, states: Iterable[Held]) -> Model:
    """The model with states of other files, by the names of those files."""
    for one in states:
        file = text(one.path).rpartition("/")[2]
        other = one.model
        model = msgspec.structs.replace(
            model,
            info=msgspec.structs.replace(model.info, members=(*model.info.members, file)),
            states=(
                *model.states,
                *(msgspec.structs.replace(state, name=f"{file}/{state.name}") for state in other.states),
            ),
            security=(*model.security, *other.security),
            findings=(*model.findings, *other.findings),
            notes=model.notes if other.complete else (*model.notes, *other.notes),
            complete=model.complete and other.complete,
        )
    return model
