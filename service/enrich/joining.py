"""Several models of one upload as one answer: each below a layer of its own, with its places told from the upload on.

Knows paths and totals; must not know how models are found or read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

import msgspec

from service.enrich.blocks.build import add_blocks
from service.enrich.likeness import alike
from service.enrich.sharing import say_once
from service.enrich.totals import add_totals
from service.errors import ErrorInfo
from service.language import Message
from service.plain import text
from service.tree import Component, Danger, Finding, Layer, Location, Model, ModelInfo, RuleRun, State, Weight

SEVERAL = "several"
"""The format and framework of an answer that holds models of more than one."""
_ROOT = "."
_Holder = TypeVar("_Holder", Layer, State)
_Pointing = TypeVar("_Pointing", Danger, Finding)


def placed(model: Model, member: str | None) -> Model:
    """A model that was read from one file of an upload: its members are inside that file. None: it is the upload."""
    if member is None:
        return model

    def moved(name: str | None) -> str:
        return member if name is None else f"{member}!/{name}"

    return msgspec.structs.replace(
        model,
        layers=tuple(_located(layer, moved) for layer in model.layers),
        states=tuple(_located(state, moved) for state in model.states),
        security=tuple(msgspec.structs.replace(one, member=moved(one.member)) for one in model.security),
    )


def _located(holder: _Holder, moved: Callable[[str | None], str]) -> _Holder:
    if not any(weight.location for weight in holder.weights):
        return holder
    weights = tuple(
        weight if weight.location is None else _moved(weight, weight.location, moved) for weight in holder.weights
    )
    return msgspec.structs.replace(holder, weights=weights)


def _moved(weight: Weight, location: Location, moved: Callable[[str | None], str]) -> Weight:
    return msgspec.structs.replace(weight, location=msgspec.structs.replace(location, member=moved(location.member)))


def join(models: Sequence[tuple[str, Model]], failed: Sequence[tuple[str, ErrorInfo]]) -> Model:
    """The enriched `models`, each with the path it was found at, and those that could not be read, as one model."""
    parts = [_below(path, model) for path, model in models]
    joined = Model(
        info=_info([model.info for _, model in models]),
        layers=tuple(chain.from_iterable(part.layers for part in parts)),
        states=tuple(chain.from_iterable(part.states for part in parts)),
        security=tuple(chain.from_iterable(part.security for part in parts)),
        findings=tuple(chain.from_iterable(part.findings for part in parts)),
        complete=all(model.complete for _, model in models) and not failed,
        notes=tuple(dict.fromkeys(chain.from_iterable(model.notes for _, model in models))),
        rules=_rules(model.rules for _, model in models),
        models=tuple(
            sorted([*map(_component, models), *map(_failure, failed)], key=lambda component: component.path)
        ),
    )
    sorts = alike(joined.layers)
    return say_once(add_blocks(add_totals(joined, sorts), sorts))


def _component(found: tuple[str, Model]) -> Component:
    path, model = found
    return Component(
        path=text(path),
        format=model.info.format,
        framework=model.info.framework,
        name=model.info.name,
        type=model.info.type,
        layers=len(model.layers),
        complete=model.complete,
        totals=model.totals,
        counted_as=model.counted_as,
    )


def _failure(found: tuple[str, ErrorInfo]) -> Component:
    path, error = found
    return Component(path=text(path), complete=False, code=error.code, problem=error.detail)


def _info(found: Sequence[ModelInfo]) -> ModelInfo:
    formats, frameworks = {one.format for one in found}, {one.framework for one in found}
    return ModelInfo(
        format=formats.pop() if len(formats) == 1 else SEVERAL,
        framework=frameworks.pop() if len(frameworks) == 1 else SEVERAL,
        members=tuple(dict.fromkeys(name for one in found for name in one.members)),
    )


def _rules(found: Iterable[tuple[RuleRun, ...]]) -> tuple[RuleRun, ...]:
    """A rule ran if it looked at any of the models."""
    runs: dict[str, RuleRun] = {}
    for run in chain.from_iterable(found):
        known = runs.setdefault(run.rule, run)
        if run.ran and not known.ran:
            runs[run.rule] = run
    return tuple(runs.values())


def _below(path: str, model: Model) -> Model:
    """`model` inside a layer at `path`."""
    path = text(path)

    def under(inner: str) -> str:
        return path if inner == _ROOT else f"{path}/{inner}"

    roots = [layer for layer in model.layers if layer.path == _ROOT]
    own = roots[0] if roots else Layer(path=path, name=path, kind="model", type=model.info.type)
    layers = [own, *(layer for layer in model.layers if layer is not own)]
    return msgspec.structs.replace(
        model,
        layers=tuple(_layer(layer, layer is own, path, under) for layer in layers),
        states=tuple(msgspec.structs.replace(state, name=under(state.name)) for state in model.states),
        security=tuple(_pointed(one, under) for one in model.security),
        findings=tuple(_pointed(one, under) for one in model.findings),
    )


def _layer(layer: Layer, own: bool, path: str, under: Callable[[str], str]) -> Layer:
    if own:
        return msgspec.structs.replace(layer, path=path, name=path, parent=None, weights=_weights(layer, under))
    return msgspec.structs.replace(
        layer,
        path=under(layer.path),
        parent=path if layer.parent is None else under(layer.parent),
        inputs=layer.inputs and tuple(under(one) for one in layer.inputs),
        shared_with=layer.shared_with and under(layer.shared_with),
        like=layer.like and under(layer.like),
        weights=_weights(layer, under),
    )


def _weights(layer: Layer, under: Callable[[str], str]) -> tuple[Weight, ...]:
    return tuple(
        msgspec.structs.replace(weight, tied_to=under(weight.tied_to)) if weight.tied_to else weight
        for weight in layer.weights
    )


def _pointed(one: _Pointing, under: Callable[[str], str]) -> _Pointing:
    return one if one.path is None else msgspec.structs.replace(one, path=under(one.path))


def with_notes(model: Model, notes: Iterable[Message], dangers: Iterable[Danger]) -> Model:
    """`model` with more notes and dangers."""
    return msgspec.structs.replace(model, notes=(*model.notes, *notes), security=(*model.security, *dangers))
