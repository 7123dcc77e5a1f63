"""OpenVINO IR: an `.xml` with the graph, and a `.bin` with the constants, whose bytes are never read.

Knows the two files and how they belong together. The document is read in `service.parsers.xml` and
`service.catalog.openvino_graph`, what its operations are in the other modules of that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.catalog.integrity import Extent, check_extents, listed, wrong_size
from service.catalog.openvino_constants import shape_of
from service.catalog.openvino_graph import Document, Graph, Op, read_document
from service.catalog.openvino_model import is_custom, layers_of
from service.catalog.openvino_ops import CONVOLUTIONS, bytes_of, dtype_of
from service.catalog.openvino_weights import Weigher, place_of
from service.errors import InputError, MalformedFile
from service.formats import Format, Upload
from service.language import Message, msg
from service.parsers.xml import document, root_name
from service.plain import text
from service.source import Source, head
from service.tree import Danger, Finding, Model, ModelInfo, element_count

FORMAT = Format(
    id="openvino",
    framework="openvino",
    title=msg("OpenVINO IR (.xml and .bin)"),
    extensions=(".xml", ".bin"),
    reads=msg(
        "IR versions 2 to 7, 10 and 11: operations, graph, shapes, bodies of loops, every constant with its role and "
        "place in the .bin, compressed weights with their scales; the .xml alone is enough for all but values."
    ),
    leaves=msg(
        "The values of constants, unless statistics or a comparison of values ask for them; a .bin without its .xml."
    ),
    priority=40,
)

_SNIFFED = 4096
_MARK = b"<layers>"
_ALIGNMENT = 4096
"""Gaps up to a page are padding: OpenVINO may align what it maps into memory."""
_MAX_TAGS = 100
_MAX_CUSTOM = 50


def find(upload: Upload) -> Sequence[frozenset[str]]:
    """Every `.xml` that is an IR, with the `.bin` of the same name beside it."""
    bins = {_stem(name): name for name in upload.parts if _plain(name).lower().endswith(".bin")}
    found = [name for name in upload.parts if _plain(name).lower().endswith(".xml") and _is_ir(upload.parts[name])]
    return [frozenset({name, bins[_stem(name)]} if _stem(name) in bins else {name}) for name in found]


def accept(upload: Upload) -> bool:
    """An XML document whose root is `<net>`, alone or with one other file."""
    return len(upload.parts) <= 2 and _graph_part(upload) is not None


def read(upload: Upload) -> Model:
    """The model in the upload.

    Raises:
        MalformedFile: The document is no XML or no IR, or has numbers that are none.
        UnsupportedFeature: An unknown version of the IR, a DOCTYPE, an entity.
        LimitExceeded: A document, a tensor or a model too large to be described.
    """
    part = _graph_part(upload)
    if part is None:
        raise MalformedFile(msg("None of the files is an OpenVINO document."))
    source, limits = upload.parts[part], upload.limits
    member = part if len(upload.parts) > 1 else None
    content = document(source, max_bytes=limits.json_bytes, member=member)
    found = read_document(content, limits, member)
    del content
    binary = next((name for name in upload.parts if name != part), None)
    weigher = Weigher(limits, text(binary) if binary is not None else None)
    layers = layers_of(found.graph, weigher, limits)
    ops = list(_ops(found.graph))
    return Model(
        info=_info(found, part, binary),
        layers=layers,
        complete=binary is not None,
        findings=tuple(_findings(ops, upload.parts[binary] if binary is not None else None, binary)),
        security=tuple(_dangers(ops)),
        notes=_notes(ops, binary),
    )


def _graph_part(upload: Upload) -> str | None:
    found = [name for name, source in upload.parts.items() if _is_ir(source)]
    return found[0] if len(found) == 1 else None


def _is_ir(source: Source) -> bool:
    """By the root element; `<net>` alone could be another's, so that an attribute or `<layers>` must be there too."""
    try:
        start = head(source, _SNIFFED)
    except InputError:
        return False
    return start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" and root_name(start) == "net" and (
        _MARK in start or b"version=" in start.partition(b"<net")[2].partition(b">")[0]
    )


def _plain(name: str) -> str:
    return name.replace("\\", "/").removeprefix("./")


def _stem(name: str) -> str:
    return _plain(name).rpartition(".")[0]


def _ops(graph: Graph) -> Iterator[Op]:
    """The operations of a graph and of all bodies in it."""
    pending = [graph]
    while pending:
        one = pending.pop()
        for op in one.ops.values():
            yield op
            pending.extend(op.bodies.values())


def _info(found: Document, part: str, binary: str | None) -> ModelInfo:
    facts = found.facts
    version = facts.get("Runtime_version") or facts.get("runtime_version") or facts.get("MO_version")
    names = ("conversion_parameters/framework", "framework", "cli_parameters/framework")
    producer = next((facts[name] for name in names if name in facts), None)
    return ModelInfo(
        format=FORMAT.id,
        framework=FORMAT.framework,
        name=found.name,
        format_version=found.version,
        framework_version=version if isinstance(version, str) else None,
        producer=producer if isinstance(producer, str) else None,
        members=tuple(text(name, 500) for name in (part, binary) if name),
        tags=_tags(facts),
    )


def _tags(facts: Mapping[str, Any]) -> dict[str, Any]:
    return dict(list(facts.items())[:_MAX_TAGS])


def _extents(ops: list[Op]) -> list[Extent]:
    """Every stretch of the `.bin` once: constants that share all of theirs are ties, not overlaps."""
    places: dict[tuple[int, int], str] = {}
    for op in ops:
        place = place_of(op) if op.type == "Const" else None
        if place is not None and place[1]:
            places.setdefault(place, op.name)
        for blob in op.blobs:
            if blob.size:
                places.setdefault((blob.offset, blob.size), f"{op.name}/{blob.name}")
    return [Extent(name, offset, offset + size) for (offset, size), name in places.items()]


def _findings(ops: list[Op], binary: Source | None, name: str | None) -> list[Finding]:
    wrong = [one for op in ops if op.type == "Const" and (one := _size(op)) is not None]
    found = listed("data_wrong_size", wrong)
    if binary is not None:
        found.extend(check_extents(_extents(ops), binary.size, member=name, alignment=_ALIGNMENT))
    return found


def _size(op: Op) -> Finding | None:
    place = place_of(op)
    expected = bytes_of(dtype_of(op.data.get("element_type")), element_count(shape_of(op)))
    if place is None or expected is None or place[1] == expected:
        return None
    return wrong_size(op.name, place[1], expected)


def _dangers(ops: list[Op]) -> list[Danger]:
    """Operations of other sets: a library of code has to be loaded for them."""
    custom: dict[str, str] = {}
    for op in ops:
        if is_custom(op):
            custom.setdefault(op.type, op.name)
    return [
        Danger(
            code="openvino_extension",
            severity="low",
            what=msg(
                "{type} belongs to no operation set of OpenVINO's own: whoever runs this model loads a library of code "
                "for it.", type=text(type_name, 100),
            ),
            path=text(name, 500),
        )
        for type_name, name in list(custom.items())[:_MAX_CUSTOM]
    ]  # fmt: skip


def _notes(ops: list[Op], binary: str | None) -> tuple[Message, ...]:
    notes = []
    if binary is None:
        notes.append(
            msg("The .bin is missing: everything but the values of the constants, and whether all of them are there, "
                "is known from the .xml alone. Send both files together.")
        )  # fmt: skip
    if any(op.type == "FakeQuantize" for op in ops):
        notes.append(msg("FakeQuantize operations mark where values are quantised when the model is compiled; the "
                         "weights below them are stored as listed."))  # fmt: skip
    if any(op.blobs for op in ops):
        notes.append(
            msg("This version of the IR stores weights without shapes: they were concluded from the layers' settings.")
        )
    types = {op.type for op in ops}
    if not types.isdisjoint(CONVOLUTIONS) and "BatchNormInference" not in types:
        notes.append(msg("Normalisations over the batch were folded into the weights before them, if there were any: "
                         "OpenVINO's converter does so."))  # fmt: skip
    return tuple(notes)
