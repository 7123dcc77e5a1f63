"""ExecuTorch named data (.ptd): tensors by their full names in a PyTorch module, as any file of named arrays."""

from __future__ import annotations

from service.catalog.integrity import Extent, check_extents, truncated, wrong_size
from service.catalog.named import Stored, describe
from service.catalog.torch_dtypes import SCALAR_TYPES, stored_bytes
from service.errors import MalformedFile
from service.formats import Format, Upload
from service.language import msg
from service.parsers.executorch import DATA, Named, read_data
from service.parsers.flatbuffer import identifier
from service.plain import json_value
from service.source import head
from service.tree import Finding, Location, Model, ModelInfo, element_count

FORMAT = Format(
    id="executorch_data",
    framework="torch",
    title=msg("ExecuTorch named data"),
    extensions=(".ptd",),
    reads=msg("names, shapes and types of all tensors; the tree from their names"),
    leaves=msg("data for backends, which has a name and a size only; the weights' values, unless asked for"),
    priority=20,
)
_MAX_BLOBS = 1000


def accept(upload: Upload) -> bool:
    """A flatbuffer that calls itself FT01."""
    source = upload.single
    return source is not None and identifier(head(source, 8)) == DATA


def read(upload: Upload) -> Model:
    """The named tensors.

    Raises:
        MalformedFile: The flatbuffer is broken; TruncatedFile where it ends too early.
        LimitExceeded: More tensors than one analysis may describe.
    """
    source = upload.single
    if source is None:
        raise MalformedFile(msg("Named data is a single file."))
    version, named = read_data(source)
    unique = {one.key: one for one in named}
    arrays = [_stored(one) for one in unique.values() if one.tensor is not None]
    blobs = {one.key: one.place.length for one in unique.values() if one.tensor is None}
    found = describe(arrays, upload.limits)
    tags = {"blobs": json_value(dict(list(blobs.items())[:_MAX_BLOBS]))} if blobs else {}
    findings = _checked(list(unique.values()), source.size)
    return Model(
        info=ModelInfo(format=FORMAT.id, framework=FORMAT.framework, format_version=str(version), tags=tags),
        layers=found.layers,
        states=found.states,
        findings=(*found.findings, *findings),
        complete=not blobs and not any(finding.rule == "data_truncated" for finding in findings),
        notes=found.notes,
    )


def _stored(one: Named) -> Stored:
    kind, sizes, order = one.tensor or (0, (), ())
    dtype = SCALAR_TYPES.get(kind, f"type_{kind}")
    plain = list(order) == sorted(order) and stored_bytes(dtype, element_count(sizes)) == one.place.length
    return Stored(
        name=one.key,
        shape=sizes,
        dtype=dtype,
        bytes=one.place.length,
        identity=(one.place.offset, one.place.length) if one.place.length else None,
        location=Location(offset=one.place.offset, length=one.place.length) if plain else None,
    )


def _checked(named: list[Named], size: int) -> list[Finding]:
    """Data beyond the end of the file, in each other's way, or of another size than its tensor needs."""
    places = {one.place: one.key for one in reversed(named)}
    extents = [Extent(key, place.offset, place.offset + place.length) for place, key in places.items()]
    past = max((extent.end for extent in extents), default=0)
    found = [truncated(past, size)] if past > size else []
    for one in named:
        if one.tensor is not None:
            needed = stored_bytes(SCALAR_TYPES.get(one.tensor[0]), element_count(one.tensor[1]))
            if needed is not None and needed > one.place.length:
                found.append(wrong_size(one.key, one.place.length, needed))
    return [*found, *check_extents(extents, size, holes=False)]
