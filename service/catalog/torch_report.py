"""Joins a described object, what the file is and what could run code into a `Model`; knows no container."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from service.catalog.torch_dangers import is_serious
from service.catalog.torch_model import Description
from service.catalog.torch_weights import ABSENT, REPEATED
from service.errors import InputError
from service.language import msg
from service.plain import json_value
from service.tree import Danger, Model, ModelInfo

MAX_DANGERS = 1000
_NOTES = {
    ABSENT: msg("The values of some tensors are not, or not wholly, in the file: see the findings."),
    REPEATED: msg("Tensors are counted by their shapes, also those that repeat stored elements: see the findings."),
}


def build(
    info: ModelInfo,
    broken: InputError | None,
    dangers: list[Danger],
    describe: Callable[[], tuple[Description, list[Danger]]],
) -> Model:
    """The model that `describe` finds, with all dangers.

    A file that is broken behind something that would already have run is reported with what was read of it, as
    incomplete; any other broken file raises its InputError.
    """
    try:
        if broken is not None:
            raise broken
        described, more = describe()
    except InputError as error:
        if not is_serious(dangers):
            raise
        return _incomplete(info, error, dangers)
    rules = {finding.rule for finding in described.findings}
    return Model(
        info=_with(info, described),
        layers=tuple(described.layers),
        states=tuple(described.states),
        security=tuple(_unique([*dangers, *more])),
        findings=tuple(described.findings),
        complete=ABSENT not in rules,
        notes=(*described.notes, *(note for rule, note in _NOTES.items() if rule in rules)),
    )


def _with(info: ModelInfo, described: Description) -> ModelInfo:
    tags = {**info.tags, **{name: json_value(value) for name, value in described.tags.items()}}
    return ModelInfo(
        format=info.format,
        framework=info.framework,
        type=info.type or described.type,
        name=info.name,
        format_version=info.format_version,
        framework_version=info.framework_version,
        producer=info.producer,
        members=info.members,
        tags=tags,
    )


def _incomplete(info: ModelInfo, error: InputError, dangers: list[Danger]) -> Model:
    note = msg(
        "The file could not be read to its end (from byte {offset}): {detail} See security for what came before.",
        offset="?" if error.info.offset is None else error.info.offset,
        detail=error.info.detail,
    )
    last = Danger(code="broken_after_payload", severity="high", member=error.info.member, offset=error.info.offset,
                  what=msg("The file breaks off after something that would already have run."))  # fmt: skip
    return Model(info=info, layers=(), security=tuple(_unique([*dangers, last])), complete=False, notes=(note,))


def _unique(dangers: Iterable[Danger]) -> list[Danger]:
    """Each danger once, at most `MAX_DANGERS`."""
    found: dict[tuple[object, ...], Danger] = {}
    for danger in dangers:
        found.setdefault((danger.code, danger.member, danger.offset, danger.what), danger)
    return list(found.values())[:MAX_DANGERS]
