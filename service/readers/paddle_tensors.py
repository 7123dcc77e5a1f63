"""PaddlePaddle's tensor streams without a program: parameters in one file, a single tensor, or a folder of them.

A stream has no names: they are in the program. In a folder the files' names are the parameters' names.
"""

from __future__ import annotations

from collections.abc import Sequence

from service.catalog.integrity import truncated
from service.catalog.paddle_files import normal
from service.catalog.paddle_names import Array, layers_of
from service.errors import InputError, LimitExceeded, MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.paddle_program import looks_like_program
from service.parsers.paddle_tensors import Stored, looks_like_tensor, tensor, tensors
from service.plain import text
from service.source import Source
from service.tree import Layer, Location, Model, ModelInfo, Weight

FORMAT = Format(
    id="paddle_tensors",
    framework="paddle",
    title=msg("PaddlePaddle parameters without a program (.pdiparams, tensor files)"),
    extensions=(".pdiparams", ".pdtensor"),
    reads=msg("every tensor's shape, type and place; names where each tensor is a file of its own"),
    leaves=msg("names and layers of parameters in one file: they are in the program (.pdmodel or .json) beside it"),
    priority=84,
)

_MEMBERS_KEPT = 1000
_PARAMETERS = "parameters"


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Folders whose files are one tensor each, and streams with no program beside them."""
    folders: dict[str, list[str]] = {}
    programs: set[str] = set()
    for name, source in upload.parts.items():
        folder = normal(name).rpartition("/")[0]
        if looks_like_program(source):
            programs.add(folder)
        elif looks_like_tensor(source) and _is_one(source):
            folders.setdefault(folder, []).append(name)
    return tuple(frozenset(names) for folder, names in folders.items() if len(names) > 1 and folder not in programs)


def _is_one(source: Source) -> bool:
    """Whether the file is exactly one tensor."""
    try:
        return tensor(source, 0).end == source.size
    except InputError:
        return False


def accept(upload: Upload) -> bool:
    """Nothing but tensors, each with its head at the beginning of its file."""
    return bool(upload.parts) and all(looks_like_tensor(source) for source in upload.parts.values())


def read(upload: Upload) -> Model:
    """The tensors.

    Raises:
        InputError: What is in the file is no stream of tensors, or is cut within a tensor's head.
    """
    source = upload.single
    info = ModelInfo(format=FORMAT.id, framework=FORMAT.framework)
    return _folder(upload, info) if source is None else _stream(source, info)


def _stream(source: Source, info: ModelInfo) -> Model:
    limit = source.meter.limits.weights
    weights: list[Weight] = []
    end = 0
    for one in tensors(source):
        if len(weights) >= limit:
            raise LimitExceeded("weights", limit, msg("The file holds more than {weights} tensors.", weights=limit))
        weights.append(_weight(str(len(weights)), one, source.size))
        end = one.end
    layer = Layer(
        path=_PARAMETERS, name=_PARAMETERS, kind="parameter", type=None, type_source="unknown", weights=tuple(weights)
    )
    notes = [
        msg(
            "A stream of parameters has no names: they are numbered as they are stored, which is the order of their "
            "sorted names. Send the program (.pdmodel or .json) along to get layers and names."
        )
    ]
    cut = end > source.size
    findings = (truncated(end, source.size),) if cut else ()
    return Model(info=info, layers=(layer,), findings=findings, notes=tuple(notes), complete=not cut)


def _weight(name: str, one: Stored, size: int) -> Weight:
    count = 1
    for axis in one.shape:
        count *= axis
    return Weight(
        name=name, role="weight", shape=one.shape, dtype=one.dtype, count=count, bytes=one.length, group="unknown",
        trainable=None, trainable_source="unknown",
        location=Location(offset=one.offset, length=one.length) if one.end <= size else None,
    )  # fmt: skip


def _folder(upload: Upload, info: ModelInfo) -> Model:
    arrays, findings = [], []
    for name, source in upload.parts.items():
        try:
            one = tensor(source, 0)
        except InputError as error:
            raise error.within(name) from None
        if one.end < source.size:
            raise MalformedFile(
                msg("More than one tensor lies in this file, so its name cannot be that of a parameter."), member=name,
                offset=one.end,
            )  # fmt: skip
        whole = one.end == source.size
        if not whole:
            findings.append(truncated(one.end, source.size, name))
        place = Location(member=name, offset=one.offset, length=one.length) if whole else None
        arrays.append(Array(normal(name).rpartition("/")[2], one.shape, one.dtype, one.length, place))
    members = tuple(text(part, 500) for part in list(upload.parts)[:_MEMBERS_KEPT])
    return Model(
        info=ModelInfo(format=info.format, framework=info.framework, members=members),
        layers=layers_of(sorted(arrays, key=lambda one: one.name), upload.limits),
        findings=tuple(findings),
        complete=not findings,
        notes=(msg("The names are those of the files; what a layer is follows from Paddle's way of numbering names."),),
    )
