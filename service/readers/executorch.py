"""ExecuTorch programs (.pte), bundled ones (.bpte), and programs with their weights in .ptd files beside them."""

from __future__ import annotations

from collections.abc import Iterator

from service.catalog.executorch_layers import Layers
from service.catalog.executorch_weights import Placed, Weights
from service.catalog.torch_program import FIXED_NOTE
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import Message, msg
from service.parsers.executorch import BUNDLED, DATA, PROGRAM, Program, bundled, read_data, read_program
from service.parsers.flatbuffer import identifier
from service.plain import MAX_ITEMS, json_value, text
from service.source import Source, WindowSource, head
from service.tree import Danger, Model, ModelInfo

FORMAT = Format(
    id="executorch",
    framework="torch",
    title=msg("ExecuTorch program"),
    extensions=(".pte", ".bpte"),
    reads=msg(
        "operators in order with their settings, weights by argument, requires_grad, ties, weights in .ptd files sent "
        "along, delegates and what they weigh"
    ),
    leaves=msg("what is inside a delegate's data: it is the backend's own; the weights' values, unless asked for"),
    priority=20,
)
_MAX_NAMED = 1000


def accept(upload: Upload) -> bool:
    """One program; with files of named data beside it."""
    kinds = sorted(identifier(head(source, 8)) for source in upload.parts.values())
    programs = [kind for kind in kinds if kind in (PROGRAM, BUNDLED)]
    return len(programs) == 1 and all(kind == DATA for kind in kinds if kind not in programs)


def find(upload: Upload) -> list[frozenset[str]]:
    """In each folder with one program: it and all named data there."""
    folders: dict[str, list[tuple[str, bytes]]] = {}
    for name, source in upload.parts.items():
        kind = identifier(head(source, 8))
        if kind in (PROGRAM, BUNDLED, DATA):
            folders.setdefault(name.replace("\\", "/").rpartition("/")[0], []).append((name, kind))
    return [
        frozenset(name for name, _ in files)
        for files in folders.values()
        if len(files) > 1 and sum(kind != DATA for _, kind in files) == 1
    ]


def read(upload: Upload) -> Model:
    """The program's methods.

    Raises:
        MalformedFile: The flatbuffer is broken; TruncatedFile where it ends too early.
        LimitExceeded: More of anything than one analysis may describe.
    """
    name, source = _program_of(upload)
    member = name if len(upload.parts) > 1 else None
    start = 0
    if identifier(head(source, 8)) == BUNDLED:
        place = bundled(source)
        start, source = place.offset, WindowSource(source, place.offset, place.length)
    program = read_program(source, upload.limits)
    weights = Weights(program, _outside(upload, name), upload.limits, (member, start, source.size))
    layers = Layers(weights)
    described = layers.describe(program.plans)
    closed = _closed(program, layers.delegates)
    return Model(
        info=_info(program, layers.delegates),
        layers=tuple(described),
        security=tuple(_dangers(layers.delegates)),
        findings=tuple(weights.findings),
        complete=not (closed or weights.missing or weights.cut),
        notes=tuple(_notes(closed, layers.delegates, weights)),
    )


def _program_of(upload: Upload) -> tuple[str, Source]:
    for name, source in upload.parts.items():
        if identifier(head(source, 8)) in (PROGRAM, BUNDLED):
            return name, source
    raise MalformedFile(msg("None of the files is an ExecuTorch program."))


def _outside(upload: Upload, program: str) -> dict[str, Placed]:
    """Data in the other files, by name."""
    return {
        named.key: Placed(name, named.place)
        for name, source in upload.parts.items()
        if name != program
        for named in read_data(source)[1]
        if named.place.offset + named.place.length <= source.size
    }


def _info(program: Program, delegates: dict[str, int]) -> ModelInfo:
    operators = sorted({name for plan in program.plans for name in plan.operators})
    tags = {
        "methods": [plan.name for plan in program.plans[:MAX_ITEMS]],
        "operators": operators[:MAX_ITEMS],
        "delegates": dict(list(delegates.items())[:_MAX_NAMED]),
        "named_data": {one.key: one.place.length for one in program.named[:_MAX_NAMED]},
        "segments": [list(segment) for segment in program.segments[:_MAX_NAMED]],
    }
    return ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        format_version=str(program.version),
        tags=json_value({name: value for name, value in tags.items() if value}),
    )


def _dangers(delegates: dict[str, int]) -> Iterator[Danger]:
    for name in delegates:
        yield Danger(
            code="executorch_delegate",
            severity="low",
            what=msg("A part of the program is code for a backend, which runs it unseen."),
            detail=text(name, 200),
        )


def _closed(program: Program, delegates: dict[str, int]) -> int:
    """Bytes that belong to backends: their code, and data that they look up by name."""
    return sum(delegates.values()) + sum(place.length for place in {one.place for one in program.named})


def _notes(closed: int, delegates: dict[str, int], weights: Weights) -> Iterator[Message]:
    yield FIXED_NOTE
    if closed:
        yield msg(
            "{size} bytes belong to backends ({names}): the weights in them are not counted.",
            size=closed, names=tuple(text(name, 100) for name in list(delegates)[:20]),
        )  # fmt: skip
    if weights.missing:
        names = list(weights.missing)
        yield msg(
            "The values of {count} weights are in .ptd files that were not sent along, {name} for one.",
            count=len(names), name=text(names[0], 200),
        )  # fmt: skip
