"""ncnn: a `.param` with the graph and a `.bin` with the arrays one after the other; pnnx's pair of the same endings.

Knows the two files and how they belong together. What a layer reads, and where it lies, is in the modules of that name
in `service.catalog`. Of the `.bin` only the flags between the arrays are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.catalog.integrity import Extent, check_extents, declared_differs, listed, wrong_size
from service.catalog.ncnn_bin import Placing, place
from service.catalog.ncnn_model import Plan, layers_of, plan_of
from service.catalog.ncnn_pnnx import is_pnnx, pnnx_layers
from service.catalog.ncnn_types import NAMES, is_known
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import Message, msg
from service.parsers.ncnn import Param, is_binary, is_text, read_binary, read_text
from service.parsers.zip import is_zip, open_zip
from service.plain import text
from service.source import Source
from service.tree import Danger, Finding, Layer, Model, ModelInfo

FORMAT = Format(
    id="ncnn",
    framework="ncnn",
    title=msg("ncnn model (.param and .bin)"),
    extensions=(".param", ".bin", ".param.bin"),
    reads=msg(
        "Layers, graph and parameters of a .param as text or numbers, and of pnnx files; every array of the .bin with "
        "its type and place, found by its flags; the .param alone is enough for all shapes."
    ),
    leaves=msg(
        "The values of arrays, unless statistics or a comparison of values ask for them; a .bin without its .param; "
        "what follows a layer that is not ncnn's own, whose arrays nobody can find."
    ),
    priority=30,
)

_MAX_LISTED = 20
_ENDINGS = (".pnnx.param", ".param.bin", ".param")


@dataclass(frozen=True, slots=True)
class _Read:
    """What the reading of the arrays came to."""

    layers: tuple[Layer, ...]
    findings: tuple[Finding, ...] = ()
    notes: tuple[Message, ...] = ()
    complete: bool = True


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Every graph, with the `.bin` of the same name beside it."""
    plain = {_plain(name): name for name in upload.parts}
    found = []
    for path, name in plain.items():
        ending = next((one for one in _ENDINGS if path.lower().endswith(one)), None)
        if ending is None or not _is_graph(upload.parts[name]):
            continue
        wanted = path[: -len(ending)] + (".pnnx.bin" if ending == ".pnnx.param" else ".bin")
        found.append(frozenset({name, plain[wanted]} if wanted in plain else {name}))
    return found


def accept(upload: Upload) -> bool:
    """A graph by its number at the beginning, alone or with one other file."""
    return len(upload.parts) <= 2 and _graph_part(upload) is not None


def read(upload: Upload) -> Model:
    """The model in the upload.

    Raises:
        MalformedFile: A line that is no layer, a size that cannot be.
        TruncatedFile: The graph ends before its last layer.
        LimitExceeded: More layers or arrays than one analysis may describe.
    """
    part = _graph_part(upload)
    if part is None:
        raise MalformedFile(msg("None of the files is an ncnn graph."))
    source, limits = upload.parts[part], upload.limits
    member = part if len(upload.parts) > 1 else None
    binary = is_binary(source)
    param = read_binary(source, NAMES, limits, member) if binary else read_text(source, limits, member)
    other = next((name for name in upload.parts if name != part), None)
    arrays = upload.parts[other] if other is not None else None
    pnnx = is_pnnx(param.entries)
    found = (
        _with_pnnx(pnnx_layers(param.entries, limits), arrays, other)
        if pnnx
        else _with_arrays(plan_of(param.entries, limits), arrays, other)
    )
    return Model(
        info=_info(param, pnnx, part, other),
        layers=found.layers,
        complete=found.complete,
        findings=(*_counted(param), *found.findings),
        security=() if pnnx else tuple(_dangers(param)),
        notes=(*found.notes, *_binary_notes(param)),
    )


def _is_graph(source: Source) -> bool:
    return is_text(source) or is_binary(source)


def _graph_part(upload: Upload) -> str | None:
    found = [name for name, source in upload.parts.items() if _is_graph(source)]
    return found[0] if len(found) == 1 else None


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _info(param: Param, pnnx: bool, part: str, other: str | None) -> ModelInfo:
    return ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        format_version="pnnx" if pnnx else "numbers" if param.binary else "text",
        members=tuple(text(name, 500) for name in (part, other) if name),
    )


def _counted(param: Param) -> list[Finding]:
    if len(param.entries) == param.layers:
        return []
    return [declared_differs(msg("Layers of the .param"), param.layers, len(param.entries))]


def _binary_notes(param: Param) -> tuple[Message, ...]:
    if not param.binary:
        return ()
    return (msg("A .param.bin has no names of layers and blobs: they are numbered here in their order."),)


def _dangers(param: Param) -> list[Danger]:
    """Layers that are not ncnn's own: code has to be registered for them before the model loads."""
    custom = {entry.type: entry.name for entry in reversed(param.entries) if not is_known(entry.type)}
    return [
        Danger(
            code="ncnn_custom_layer",
            severity="low",
            what=msg("{type} is no layer of ncnn's own: whoever runs this model brings code for it.",
                     type=text(type_name, 100)),
            path=text(name, 500),
        )
        for type_name, name in list(custom.items())[:_MAX_LISTED]
    ]  # fmt: skip


# The arrays


def _with_arrays(plan: Plan, source: Source | None, member: str | None) -> _Read:
    if source is None:
        note = msg(
            "The .bin is missing: the shapes follow from the parameters of the layers, but how the arrays are stored, "
            "and whether they are all there, is only known from it. Send both files together."
        )
        return _Read(layers_of(plan, None, None), notes=(note, *_unknown_notes(plan, certain=False)), complete=False)
    name = text(member or "", 500)
    arrays = tuple(plan.flat())
    placing = place(arrays, source)
    unknown = plan.first_unknown()
    if unknown is None or (not placing.missing and placing.end == source.size):
        findings = _findings(plan, placing, source, member)
        return _Read(layers_of(plan, placing, name), tuple(findings), _unknown_notes(plan, certain=True),
                     complete=not placing.missing)  # fmt: skip
    safe = place(arrays[: plan.before(unknown)], source)
    findings = _cut(plan, safe, source, member) if safe.missing else []
    return _Read(layers_of(plan, safe, name), tuple(findings), _unknown_notes(plan, certain=False), complete=False)


def _unknown_notes(plan: Plan, *, certain: bool) -> tuple[Message, ...]:
    unknown = plan.first_unknown()
    if unknown is None:
        return ()
    entry = plan.entries[unknown]
    type_name, name = text(entry.type, 100), text(entry.name, 200)
    if certain:
        return (
            msg("{type} ({name}) is not known here, but the arrays of the other layers use up the .bin: it has none.",
                type=type_name, name=name),
        )  # fmt: skip
    return (
        msg("Nobody but its author knows which arrays {type} ({name}) has, so that none of those after it can be found "
            "in the .bin; the shapes of the layers known are those their parameters give.", type=type_name, name=name),
    )  # fmt: skip


def _findings(plan: Plan, placing: Placing, source: Source, member: str | None) -> list[Finding]:
    if placing.missing:
        return _cut(plan, placing, source, member)
    if placing.end == source.size:
        return []
    return check_extents([Extent("", 0, placing.end)], source.size, member=member) if placing.end else []


def _cut(plan: Plan, placing: Placing, source: Source, member: str | None) -> list[Finding]:
    """The file ends inside an array: which one, where, and how many after it are missing altogether."""
    index = len(placing.placed)
    owners = (f"{entry.name}/{array.name}" for entry, held in zip(plan.entries, plan.arrays, strict=True)
              for array in held or ())  # fmt: skip
    name = next((owner for at, owner in enumerate(owners) if at == index), "")
    needed = placing.cut.offset + placing.cut.length if placing.cut is not None else placing.end + 4
    return [
        Finding(
            rule="data_truncated",
            severity="high",
            path=text(name, 500),
            what=msg(
                "{name} lies at bytes {begin} to {end} of {member}, which ends at {size}; with it {missing} arrays are "
                "missing.",
                name=text(name, 200), begin=placing.end, end=needed, member=text(member or "", 200), size=source.size,
                missing=placing.missing,
            ),
            action=msg("Compare its size with the original's and download it again."),
        )
    ]  # fmt: skip


def _with_pnnx(layers: tuple[Layer, ...], source: Source | None, member: str | None) -> _Read:
    """The `.bin` of a pnnx model is a zip with a member per array; its bytes are compared with the shapes."""
    if source is None:
        note = msg("The .bin is missing: everything but the values is known from the .param alone.")
        return _Read(layers, notes=(note,), complete=False)
    if not is_zip(source):
        raise MalformedFile(msg("The .bin of a pnnx model is a zip archive; this is none."), member=member, offset=0)
    archive = open_zip(source)
    wrong, missing = [], []
    for layer in layers:
        for weight in layer.weights:
            held = archive.members.get(weight.stored_as or "")
            if held is None:
                missing.append(weight.stored_as or "")
            elif weight.bytes is not None and held.size != weight.bytes:
                wrong.append(wrong_size(held.name, held.size, weight.bytes))
    found = [*listed("data_wrong_size", wrong), *listed("data_missing", [_missing(name, member) for name in missing])]
    return _Read(layers, tuple(found), complete=not missing)


def _missing(name: str, member: str | None) -> Finding:
    return Finding(
        rule="data_missing",
        severity="high",
        path=text(name, 500),
        what=msg("{name} is not in {member}.", name=text(name, 200), member=text(member or "", 200)),
    )
