"""The files of a PaddlePaddle model together: a program, its parameters and what else was saved; knows no wire format.

Parameters lie in one stream, in the order of their sorted names, or each in a file of its name. Names are only in the
program, shapes in both: they are held against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.catalog.counting import check_weights
from service.catalog.integrity import Extent, check_extents, declared_differs, listed, truncated
from service.catalog.paddle_graph import Graph, layers_of
from service.catalog.paddle_weights import Told
from service.catalog.torch_dangers import dangers_of
from service.catalog.torch_values import mapping_of
from service.errors import InputError
from service.language import Message, msg
from service.parsers.paddle_program import Program, Variable
from service.parsers.paddle_tensors import Stored, tensor, tensors
from service.parsers.pickle_opcodes import run
from service.plain import output_tags, text
from service.source import Source
from service.tree import Danger, Finding, Location, Model, ModelInfo

Part = tuple[str | None, Source]
"""A file by its part name (None where it is the whole upload)."""

_MAX_INFO = 64 << 20
MAX_DANGERS = 1000
"""Most dangerous operators that are listed."""
_FEEDS = frozenset({"feed", "fetch"})


@dataclass(slots=True)
class Files:
    """What of a model was uploaded.

    Attributes:
        combined: The stream with all parameters.
        single: One stream per parameter, by its name.
        info: The pickle that names parameters as the Python code does (`.pdiparams.info`).
    """

    combined: Part | None = None
    single: Mapping[str, Part] = field(default_factory=dict)
    info: Part | None = None


@dataclass(slots=True)
class _Found:
    places: dict[str, Location] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[Message] = field(default_factory=list)
    complete: bool = True


def describe_program(program: Program, files: Files, info: ModelInfo, source: Source) -> Model:
    """The model of a program and the files beside it. Raises InputError."""
    found = _Found()
    wanted = parameters(program)
    if files.combined is not None:
        _combined(found, wanted, files.combined)
    elif files.single:
        _separate(found, wanted, files.single)
    elif wanted:
        found.complete = False
        found.notes.append(
            msg("The values lie in a file of parameters that was not uploaded (.pdiparams): shapes and element types "
                "are those that the program declares.")
        )  # fmt: skip
    told, dangers = _told(files.info)
    placed = {name: _placed(told.get(name), place) for name, place in found.places.items()}
    graph = Graph(program, source.meter.limits, told | placed)
    layers, states = layers_of(graph)
    if any(weight.trainable_source == "unknown" for layer in layers for weight in layer.weights):
        found.notes.append(_UNKNOWN)
    tags = output_tags(graph.outputs)
    version = {} if program.version is None else {"program_version": program.version}
    return Model(
        info=_replaced(info, {**version, **tags}),
        layers=layers,
        states=states,
        security=(*graph.dangers[:MAX_DANGERS], *dangers),
        findings=(*found.findings, *graph.findings),
        complete=found.complete,
        notes=tuple(found.notes),
    )


def _placed(told: Told | None, place: Location) -> Told:
    return Told(place=place) if told is None else told._replace(place=place)


_UNKNOWN = msg(
    "A program saved for inference does not record which parameters were trained: they are counted as unknown. Moving "
    "statistics are told by rule."
)


def _replaced(info: ModelInfo, tags: dict[str, Any]) -> ModelInfo:
    return ModelInfo(
        format=info.format, framework=info.framework, type=info.type, members=info.members, tags={**info.tags, **tags}
    )


def parameters(program: Program) -> list[Variable]:
    """The variables that a file of parameters holds, in the order in which it holds them."""
    kept = [
        one
        for one in program.variables.values()
        if one.persistable and one.name not in _FEEDS and one.shape is not None and one.dtype is not None
    ]
    return sorted(kept, key=lambda one: one.name.encode("utf-8"))


def _combined(found: _Found, wanted: Sequence[Variable], part: Part) -> None:
    member, source = part
    held = list(_within(member, tensors(source), source))
    if len(held) != len(wanted):
        found.findings.append(
            declared_differs(msg("Parameters in the program and in its file"), len(wanted), len(held), severity="high")
        )
        found.notes.append(
            msg("Which of the stored parameters is which cannot be told where their number is not the program's.")
        )
        found.complete = False
    wrong = []
    for variable, stored in zip(wanted, held, strict=False):
        if _fits(variable, stored):
            if stored.end <= source.size:
                found.places[variable.name] = Location(member=member, offset=stored.offset, length=stored.length)
        else:
            wrong.append(_differs(variable, stored))
    found.findings.extend(listed("parameter_differs", wrong) if wrong else [])
    if held and held[-1].end > source.size:
        found.findings.append(truncated(held[-1].end, source.size, member))
        found.complete = False


def _separate(found: _Found, wanted: Sequence[Variable], files: Mapping[str, Part]) -> None:
    missing, wrong = [], []
    for variable in wanted:
        part = files.get(variable.name)
        if part is None:
            missing.append(text(variable.name, 200))
            continue
        member, source = part
        stored = _one(member, source)
        if not _fits(variable, stored):
            wrong.append(_differs(variable, stored))
        found.findings.extend(check_extents([Extent(variable.name, 0, stored.end)], source.size, member=member))
        if stored.end <= source.size:
            found.places[variable.name] = Location(member=member, offset=stored.offset, length=stored.length)
    found.findings.extend(listed("parameter_differs", wrong) if wrong else [])
    if missing:
        found.complete = False
        found.notes.append(
            msg("Of the program's {total} parameters, {n} have no file: {names}.", total=len(wanted), n=len(missing),
                names=tuple(missing[:20]))
        )  # fmt: skip


def _one(member: str | None, source: Source) -> Stored:
    try:
        return tensor(source, 0)
    except InputError as error:
        raise (error.within(member) if member is not None else error) from None


def _within(member: str | None, held: Iterator[Stored], source: Source) -> Iterator[Stored]:
    try:
        for count, one in enumerate(held, 1):
            check_weights(count, source.meter.limits)
            yield one
    except InputError as error:
        raise (error.within(member) if member is not None else error) from None


def _fits(variable: Variable, stored: Stored) -> bool:
    return variable.shape == stored.shape and variable.dtype == stored.dtype


def _differs(variable: Variable, stored: Stored) -> Finding:
    return Finding(
        rule="parameter_differs", severity="high", path=text(variable.name),
        what=msg(
            "{name} is {declared} in the program, but {found} in its file.", name=text(variable.name, 200),
            declared=_written(variable.dtype, variable.shape), found=_written(stored.dtype, stored.shape),
        ),
        why=msg("The program and the parameters come from different versions of the model, or one was damaged."),
    )  # fmt: skip


def _written(dtype: str | None, shape: Sequence[int | None] | None) -> str:
    return f"{dtype or '?'}[{', '.join('?' if size is None else str(size) for size in shape or ())}]"


def _told(part: Part | None) -> tuple[dict[str, Told], list[Danger]]:
    """Names and training of parameters from the pickle beside them; nothing of one that is broken."""
    if part is None or part[1].size > _MAX_INFO:
        return {}, []
    member, source = part
    limits = source.meter.limits
    trace = run(source, 0, limits)
    dangers = dangers_of(trace, source, limits, member)
    found: dict[str, Told] = {}
    for name, value in (mapping_of(trace.value) or {}).items() if trace.broken is None else ():
        said = mapping_of(value)
        if isinstance(name, str) and said is not None:
            known, trainable = said.get("structured_name"), said.get("trainable")
            found[name] = Told(
                known if isinstance(known, str) else None, trainable if isinstance(trainable, bool) else None
            )
    return found, dangers


def normal(name: str) -> str:
    """A part's name with forward slashes."""
    return name.replace("\\", "/").removeprefix("./")
