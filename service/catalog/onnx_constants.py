"""Fixed tensors of an ONNX model: where their bytes lie, whether they are all there, small whole numbers in them.

Initializers, Constant nodes in every form and ConstantOfShape become a `Const`; a `View` is one seen through a
transposition, a cast or dequantisation. Knows tensors and the upload's parts; knows no operator and no layer.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from service.catalog.integrity import Extent, wrong_size
from service.catalog.onnx_external import Files, Outside
from service.catalog.onnx_types import TYPES, name_of, stored_bytes
from service.errors import LimitExceeded, MalformedFile
from service.language import msg
from service.parsers.onnx_messages import EXTERNAL, Attribute, Sparse, Tensor
from service.parsers.onnx_reading import Reading
from service.parsers.onnx_tensors import sparse_of, tensor_of
from service.parsers.protobuf import BYTES, Field, packed, signed
from service.plain import text
from service.tree import Finding, Location, Shape

MAX_INTS = 64
"""Most whole numbers of a tensor that are read: shapes, axes, pads."""

MAX_FLOATS = 8
"""Most fractions of a tensor that are read: one factor per axis."""

_FLOAT32 = "float32"
_PACKED_FLOATS = {4: 4, 10: 8}
"""float_data and double_data lie as raw little-endian values where they are packed."""
_RAW_INTS = {6: (4, True), 7: (8, True), 12: (4, False), 13: (8, False), 3: (1, True), 2: (1, False)}


@dataclass(slots=True, eq=False)
class Const:
    """A tensor that is known without running the model.

    Attributes:
        name: What the file calls it; None where nothing is stored.
        dtype: As `Weight.dtype`.
        shape: Logical sizes; None where the file does not tell.
        bytes: As stored.
        stored: Elements as stored, where they are not those of `shape`.
        location: Of its raw values.
        ints: Its values, where they are few and whole.
        floats: Its values, where they are very few and of float32, once `Store.look` was asked for them.
        path: Who lists it as a weight first: layer path and weight name, None as long as nobody does.
        same: The first constant that is the same bytes, None if it is this.
    """

    name: str | None
    dtype: str | None
    shape: tuple[int, ...] | None
    bytes: int | None = None
    stored: int | None = None
    location: Location | None = None
    ints: tuple[int, ...] | None = None
    floats: tuple[float, ...] | None = None
    path: str | None = None
    same: Const | None = None

    @property
    def owner(self) -> Const:
        """The constant that tells who lists the bytes."""
        return self if self.same is None else self.same

    @property
    def count(self) -> int | None:
        """Logical elements."""
        return None if self.shape is None else math.prod(self.shape)


class View(NamedTuple):
    """A constant as whoever uses it sees it.

    `turned` says that its two axes changed places, `reshaped` that its axes are no longer the stored ones. `scale` and
    `zero` belong to a dequantised one, `sizes` are those that ConstantOfShape was given. `formals` are the inputs of
    functions it went through.
    """

    const: Const
    turned: bool = False
    reshaped: bool = False
    scale: Const | None = None
    zero: Const | None = None
    sizes: Const | None = None
    formals: tuple[tuple[object, str], ...] = ()


class Value(NamedTuple):
    """A tensor of the graph: layers it comes from, sizes, whole numbers in it as far as known, the constant it is."""

    paths: tuple[str, ...] = ()
    shape: Shape | None = None
    dtype: str | None = None
    ints: tuple[int | None, ...] | None = None
    view: View | None = None


class _Sort(NamedTuple):
    """What follows from a tensor's type and sizes: bytes as raw data, whether they are plain, how ints lie there."""

    dtype: str | None
    elements: int
    bytes: int | None
    plain: bool
    ints: tuple[int, bool] | None


@dataclass(slots=True)
class Store:
    """Makes constants of tensors, and keeps what is to be said of their bytes."""

    reading: Reading
    files: Files
    member: str | None
    findings: list[Finding] = field(default_factory=list)
    cut: int = 0
    firsts: dict[tuple[object, ...], Const] = field(default_factory=dict)
    sorts: dict[tuple[int, tuple[int, ...]], _Sort] = field(default_factory=dict)

    def of(self, tensor: Tensor, name: str) -> Const:
        """The constant that a tensor is; MalformedFile for negative sizes."""
        sort = self.sorts.get((tensor.type, tensor.dims)) or self._sorted(tensor)
        made = Const(name, sort.dtype, tensor.dims)
        if tensor.location == EXTERNAL:
            self._outside(made, tensor, sort.bytes)
        elif tensor.raw is not None:
            self._raw(made, tensor.raw, sort)
        else:
            self._typed(made, tensor, sort.elements)
        return made

    def _sorted(self, tensor: Tensor) -> _Sort:
        kind, shape = tensor.type, _sizes(tensor.dims, tensor.offset)
        count = math.prod(shape)
        if count > self.reading.limits.elements:
            raise LimitExceeded(
                "elements", self.reading.limits.elements, msg("A tensor has too many elements."), offset=tensor.offset
            )
        found = _Sort(name_of(kind), count, stored_bytes(kind, count), _is_plain(kind), _RAW_INTS.get(kind))
        self.sorts[kind, shape] = found
        return found

    def _raw(self, made: Const, raw: Field, sort: _Sort) -> None:
        length, end = raw.length, raw.offset + raw.length
        made.bytes = length
        self.cut = max(self.cut, end)
        if sort.bytes is not None and sort.bytes != length:
            self.findings.append(wrong_size(made.name or "", length, sort.bytes))
        elif sort.plain:
            made.location = Location(member=self.member, offset=raw.offset, length=length)
        width = sort.ints
        if width is not None and length == sort.bytes and length <= MAX_INTS * width[0]:
            made.ints = self._ints(raw.offset, length, *width)

    def look(self, const: Const) -> None:
        """Read the values of a constant in this file, if they are very few and of float32."""
        place = const.location
        if place is None or place.member != self.member or const.dtype != _FLOAT32 or const.floats is not None:
            return
        if place.offset is not None and place.length is not None:
            const.floats = self._floats(place.offset, place.length)

    def _ints(self, offset: int, length: int, width: int, negative: bool) -> tuple[int, ...] | None:
        if offset + length > self.reading.source.size:
            return None
        data = self.reading.source.read_at(offset, length)
        return tuple(int.from_bytes(data[at : at + width], "little", signed=negative) for at in range(0, length, width))

    def _floats(self, offset: int, length: int) -> tuple[float, ...] | None:
        if length > 4 * MAX_FLOATS or offset + length > self.reading.source.size:
            return None
        return struct.unpack(f"<{length // 4}f", self.reading.source.read_at(offset, length))

    def _typed(self, made: Const, tensor: Tensor, count: int) -> None:
        """Values in the typed lists: packed floats are raw bytes, everything else is written number by number."""
        made.bytes = tensor.typed_bytes
        last = tensor.typed[-1] if tensor.typed else None
        if last is not None:
            self.cut = max(self.cut, last.offset + last.length)
        if count and not tensor.typed:
            self.findings.append(wrong_size(made.name or "", 0, stored_bytes(tensor.type, count) or count))
        if last is None or (len(tensor.typed) > 1 and last.wire == BYTES and last.number in _PACKED_FLOATS):
            return
        width = _PACKED_FLOATS.get(last.number)
        if width is not None and last.wire == BYTES:
            needed = stored_bytes(tensor.type, count)
            if needed != last.length:
                self.findings.append(wrong_size(made.name or "", last.length, needed or 0))
            else:
                made.location = Location(member=self.member, offset=last.offset, length=last.length)
        elif last.number in (5, 7, 11) and count <= MAX_INTS and tensor.typed_bytes <= 10 * MAX_INTS:
            source, found = self.reading.source, []
            if last.offset + last.length <= source.size:
                found = [signed(value) for one in tensor.typed for value in packed(source, one, MAX_INTS)]
            made.ints = tuple(found) if len(found) == count else None

    def _outside(self, made: Const, tensor: Tensor, needed: int | None) -> None:
        """Values in another file, whose entries are checked against what is there."""
        found: Outside = self.files.find(tensor.external, needed, made.name)
        made.bytes = found.length if found.length is not None else needed
        if found.length is not None and needed is not None and found.length != needed:
            self.findings.append(wrong_size(made.name or "", found.length, needed))
            return
        if found.part is None or found.length is None:
            return
        self.files.extents[found.part].append(Extent(made.name or "", found.offset, found.offset + found.length))
        key = (found.part, found.offset, found.length, made.dtype, made.shape)
        first = self.firsts.setdefault(key, made) if found.length else made
        made.same = None if first is made else first
        if _is_plain(tensor.type) and found.offset + found.length <= self.files.sizes[found.part]:
            made.location = Location(member=text(found.part), offset=found.offset, length=found.length)

    def sparse(self, one: Sparse, name: str) -> Const:
        """The constant that a sparse tensor is: its stored elements are those that are not zero."""
        values = self.of(one.values, name) if one.values is not None else Const(name, None, (0,))
        indices = self.of(one.indices, f"{name} (indices)") if one.indices is not None else None
        made = Const(name, values.dtype, _sizes(one.dims, one.values.offset if one.values is not None else 0))
        made.stored = values.count
        made.bytes = (values.bytes or 0) + ((indices.bytes or 0) if indices is not None else 0)
        return made

    def constant(self, attributes: Mapping[str, Attribute], name: str) -> Const | None:
        """The value of a Constant node, in whichever of its forms; None if it has none."""
        for form, one in attributes.items():
            if form == "value" and one.tensors:
                return self.of(tensor_of(self.reading, one.tensors[0]), name)
            if form == "sparse_value" and one.sparse:
                return self.sparse(sparse_of(self.reading, one.sparse[0]), name)
            if form in _FORMS:
                dtype, width = _FORMS[form]
                several = form.endswith("s")
                ints = tuple(v for v in (one.value if isinstance(one.value, tuple) else (one.value,)) if type(v) is int)
                return Const(
                    name, dtype, (one.size,) if several else (),
                    bytes=one.size * width if width else None,
                    ints=ints if dtype == "int64" and len(ints) == one.size <= MAX_INTS else None,
                )  # fmt: skip
        return None

    def filled(self, attributes: Mapping[str, Attribute], sizes: tuple[int, ...]) -> Const:
        """What ConstantOfShape makes: one value repeated, of which the file stores nothing."""
        given = attributes.get("value")
        kind = tensor_of(self.reading, given.tensors[0]).type if given is not None and given.tensors else 1
        return Const(None, name_of(kind), _sizes(sizes, None), bytes=0, stored=0)


_FORMS = {
    "value_float": ("float32", 4), "value_floats": ("float32", 4), "value_int": ("int64", 8),
    "value_ints": ("int64", 8), "value_string": ("string", 0), "value_strings": ("string", 0),
}  # fmt: skip


def _is_plain(kind: int) -> bool:
    """Whether raw data of a type is one element after the other in whole bytes, or two whole numbers in each."""
    if kind not in TYPES:
        return False
    return TYPES[kind].name in ("int4", "uint4") or (TYPES[kind].bits % 8 == 0 and TYPES[kind].bits > 0)


def _sizes(dims: tuple[int, ...], offset: int | None) -> tuple[int, ...]:
    if dims and min(dims) < 0:
        raise MalformedFile(msg("A tensor's size along one axis is negative."), offset=offset)
    return dims
