"""Flax checkpoints in MessagePack (`flax.serialization.to_bytes`, `flax_model.msgpack`): a tree of arrays.

Knows what such a file begins with, and what to say where it ends too early. Arrays are found in
`service.catalog.flax_arrays`, layers in `service.catalog.named`.
"""

from __future__ import annotations

from service.catalog.flax_arrays import ARRAY, SCALAR, Array, Tree, array_at, collect
from service.catalog.flax_collections import PARAMETERS, STATISTICS, Found, describe_tree, tags_of
from service.catalog.integrity import listed, truncated, wrong_size
from service.config import Limits
from service.errors import InputError, MalformedFile
from service.formats import Format, Upload
from service.language import Message, msg
from service.parsers.msgpack import Cursor, Extension, leaves
from service.plain import text
from service.source import Source, head
from service.tree import Finding, Location, Model, ModelInfo

FORMAT = Format(
    id="flax_msgpack",
    framework="jax",
    title=msg("Flax checkpoint (MessagePack)"),
    extensions=(".msgpack", ".flax", ".ckpt"),
    reads=msg(
        "Parameters, moving statistics, optimizer state and plain values; every array's shape, type and place; arrays "
        "in pieces. The beginning of a file is enough for the arrays in it."
    ),
    leaves=msg(
        "The arrays' values, unless statistics or a comparison of values ask for them; classes, which are not in it."
    ),
    priority=70,
)

_SNIFFED = 16
_LOOKED_AT = 500
_FIRST = frozenset({*range(0x81, 0x90), 0xDE, 0xDF})
_KNOWN = PARAMETERS | STATISTICS | {"opt_state", "step"}


def accept(upload: Upload) -> bool:
    """A MessagePack map in which the first arrays are Flax's, or with the names of its collections at the top."""
    source = upload.single
    if source is None:
        return False
    start = head(source, _SNIFFED)
    return bool(start) and start[0] in _FIRST and _key_follows(start) and _has_array(source, upload.limits)


def _key_follows(start: bytes) -> bool:
    """Whether a string begins where the first key of the map is."""
    at = {0xDE: 3, 0xDF: 5}.get(start[0], 1)
    return len(start) > at and (0xA1 <= start[at] <= 0xBF or start[at] == 0xD9)


def _has_array(source: Source, limits: Limits) -> bool:
    """Whether there is an array among the first leaves, or a known name at the top where there is none."""
    seen: set[str] = set()
    cursor = Cursor(source)
    try:
        for path, value in leaves(cursor, max_depth=limits.json_depth, max_leaves=_LOOKED_AT):
            seen.add(path[0])
            if isinstance(value, Extension) and value.code in (ARRAY, SCALAR):
                array_at(cursor, value, path, limits)
                return True
    except InputError:
        pass
    return not seen.isdisjoint(_KNOWN)


def read(upload: Upload) -> Model:
    """The tree in the file; of a file that is cut off, what is before the cut.

    Raises:
        MalformedFile: The bytes are no MessagePack, an array is not described as one, a key occurs twice.
        TruncatedFile: The file ends before its first value.
        LimitExceeded: More values, or deeper, than one analysis may describe.
    """
    source, limits = upload.single, upload.limits
    if source is None:
        raise MalformedFile(msg("A Flax checkpoint is a single file."))
    cursor = Cursor(source)
    tree = collect(cursor, limits)
    findings, notes = _integrity(tree, cursor, source)
    tops = {array.path[0] for array in tree.arrays if array.path} | {path[0] for path in tree.values if path}
    named = describe_tree(
        [Found(one.path, one.shape, one.dtype, one.bytes, _place(one, source)) for one in tree.arrays], tops, limits
    )
    return Model(
        info=ModelInfo(format=FORMAT.id, framework=FORMAT.framework, tags=dict(tags_of(tree.values.items()))),
        layers=named.layers,
        states=named.states,
        findings=(*named.findings, *findings),
        complete=not findings or all(one.rule != "data_truncated" for one in findings),
        notes=(*named.notes, *notes),
    )


def _place(array: Array, source: Source) -> Location | None:
    place = array.location
    if place is None or place.offset is None or place.offset + (place.length or 0) > source.size:
        return None
    return place if array.expected == array.bytes else None


def _integrity(tree: Tree, cursor: Cursor, source: Source) -> tuple[list[Finding], tuple[Message, ...]]:
    """What is wrong with the bytes: arrays that do not fit their shape, an end that comes too early or too late."""
    wrong = [
        wrong_size("/".join(one.path), one.bytes, one.expected)
        for one in tree.arrays
        if one.expected is not None and one.expected != one.bytes
    ]
    found = listed("data_wrong_size", wrong)
    notes: tuple[Message, ...] = ()
    last = tree.arrays[-1] if tree.arrays else None
    if tree.cut is not None:
        at = tree.cut.info.offset or source.size
        found.append(truncated(max(cursor.at, at + 1), source.size))
        notes = (
            msg("The file ends at byte {size}; the last array that begins before is {name}. What comes after is not "
                "known.", size=source.size, name=text("/".join(last.path), 200) if last is not None else "-"),
        )  # fmt: skip
    elif cursor.at > source.size:
        found.append(truncated(cursor.at, source.size))
    elif cursor.at < source.size:
        found.append(
            Finding(
                rule="data_hole", severity="low",
                what=msg("Bytes {begin} to {end} of {member} belong to no array.", begin=cursor.at, end=source.size,
                         member=msg("the file")),
            )
        )  # fmt: skip
    return found, notes
