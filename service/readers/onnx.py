"""ONNX models: one protobuf file, and the files beside it in which large tensors lie.

The format has no magic number: a file is taken for it by its first fields. Nothing but names, sizes and the few whole
numbers that shapes follow from is read of its tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from service.catalog.onnx_external import Files, normal, reaches_outside
from service.catalog.onnx_model import describe
from service.errors import InputError, MalformedFile, UnsupportedFeature
from service.formats import Format, Upload
from service.language import msg
from service.parsers.onnx_messages import Tensor
from service.parsers.onnx_reading import Reading
from service.parsers.onnx_tensors import tensor_of
from service.parsers.protobuf import BYTES, VARINT, Blocks, Field, fields, message
from service.source import Source, head
from service.tree import Model

FORMAT = Format(
    id="onnx",
    framework="onnx",
    title=msg("ONNX model"),
    extensions=(".onnx", ".onnx.data"),
    reads=msg(
        "nodes as layers with edges and shapes, weights from initializers, Constant nodes, subgraphs and functions, "
        "roles by operator input, quantisation, external data, training information"
    ),
    leaves=msg(
        "the weights' values, unless statistics or a comparison of values ask for them; ONNX does not say what is "
        "trained; models in ONNX Runtime's own format (.ort)"
    ),
    priority=60,
)

_ORT = b"ORTM"
_TOP = {1: VARINT, 5: VARINT, **dict.fromkeys((2, 3, 4, 6, 7, 8, 14, 20, 25, 26), BYTES)}
"""Fields of a ModelProto and how they are written."""
_GRAPH = frozenset({1, 2, 5, 10, 11, 12, 13, 14, 15, 16})
_MAX_FIELDS = 200
_MAX_IR_VERSION = 100
_MAX_LOCATIONS = 10_000


def accept(upload: Upload) -> bool:
    """A ModelProto, alone or with the files that its tensors name; also one of ONNX Runtime's own format."""
    single = upload.single
    if single is not None:
        return _is_ort(single) or is_model(single)
    main = _main(upload)
    return main is not None and set(upload.parts) <= _belonging(upload, main, _normal_names(upload))


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Each model of a folder together with those files that its tensors name."""
    by_name = _normal_names(upload)
    return [frozenset(_belonging(upload, name, by_name)) for name, source in upload.parts.items() if is_model(source)]


def read(upload: Upload) -> Model:
    """The model."""
    name = next(iter(upload.parts)) if len(upload.parts) == 1 else _main(upload)
    if name is None:
        raise MalformedFile(msg("None of the files is an ONNX model."))
    source = upload.parts[name]
    if _is_ort(source):
        raise UnsupportedFeature(
            msg("This is a model in ONNX Runtime's own format (.ort), which is made for one version of it."),
            hint=msg("Upload the ONNX model that it was converted from."),
        )
    others = {normal(part): held.size for part, held in upload.parts.items() if part != name}
    files = Files(normal(name).rpartition("/")[0] + "/" * ("/" in normal(name)), others)
    reading = Reading(Blocks(source), upload.limits, tolerant=_is_cut(source))
    several = len(upload.parts) > 1
    return describe(reading, name if several else None, files, tuple(upload.parts) if several else ())


def is_model(source: Source) -> bool:
    """Whether a file begins as a ModelProto does: known fields only, a version, and a graph or what goes with it."""
    blocks = Blocks(source)
    seen: dict[int, Field] = {}
    try:
        for count, one in enumerate(fields(blocks, tolerant=True)):
            if _TOP.get(one.number) != one.wire:
                return False
            seen[one.number] = one
            if count >= _MAX_FIELDS or (1 in seen and 7 in seen):
                break
        version = seen.get(1)
        if version is None or not 0 < version.value < _MAX_IR_VERSION or not (7 in seen or 8 in seen):
            return False
        return 7 not in seen or _is_graph(blocks, seen[7])
    except InputError:
        return False


def _is_graph(blocks: Blocks, graph: Field) -> bool:
    first = next(message(blocks, graph, tolerant=True), None)
    return first is None or (first.number in _GRAPH and first.wire == BYTES)


def _is_ort(source: Source) -> bool:
    return head(source, 8)[4:] == _ORT


def _is_cut(source: Source) -> bool:
    """Whether the outermost message goes on after the file ends: a header alone."""
    end = 0
    for one in fields(Blocks(source), tolerant=True):
        end = one.offset + one.length
    return end != source.size


def _main(upload: Upload) -> str | None:
    """The one part that is a model; None if there is none or several are."""
    found = [name for name, source in upload.parts.items() if is_model(source)]
    return found[0] if len(found) == 1 else None


def _normal_names(upload: Upload) -> dict[str, str]:
    """The upload's names by their usual spelling."""
    return {normal(name): name for name in upload.parts}


def _belonging(upload: Upload, main: str, by_name: Mapping[str, str]) -> set[str]:
    """A model's part and those parts that its tensors name, by their names in the upload."""
    folder = normal(main).rpartition("/")[0]
    found = {main}
    try:
        for location in _locations(upload, main):
            part = by_name.get(f"{folder}/{location}" if folder else location)
            if part is not None:
                found.add(part)
    except InputError:
        return found
    return found


def _locations(upload: Upload, main: str) -> Iterator[str]:
    """Names of the files that the tensors of the main graph lie in, each once."""
    reading = Reading(Blocks(upload.parts[main]), upload.limits, tolerant=True)
    seen: set[str] = set()
    for tensor in _initializers(reading):
        location = dict(tensor.external).get("location", "")
        if location and location not in seen and not reaches_outside(location):
            seen.add(location)
            if len(seen) > _MAX_LOCATIONS:
                return
            yield normal(location)


def _initializers(reading: Reading) -> Iterator[Tensor]:
    for one in fields(reading.source, tolerant=True):
        if one.number == 7 and one.wire == BYTES:
            for part in reading.inside(one):
                if part.number == 5 and part.wire == BYTES:
                    yield tensor_of(reading, part)
