"""Flatbuffers read in place and without trust: tables, vectors, strings and unions; knows no schema and no model.

A table is a position; its fields are found through its vtable (flatbuffers internals, "Tables"). Every offset is
checked before it is followed, and offsets to tables only lead forward, so nothing can go round in circles. What a file
shares between many places is read once; what it visits again and again beyond its own size is refused, so that the work
is bounded by the bytes that are there. Large byte vectors are never read, only their place is told.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from service.errors import LimitExceeded, MalformedFile, TruncatedFile
from service.language import msg
from service.plain import MAX_TEXT, text
from service.source import Source

_PAGE = 1024
_SHIFT = 10
_MOST_PAGES = 64
"""Pages read at once where neighbouring ones were wanted before: 64 KiB."""
_U16, _U32, _I32 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<i")
_SCALARS = {code: struct.Struct(f"<{code}") for code in "?bBhHiIqQfd"}
_FEW = {code: [struct.Struct(f"<{count}{code}") for count in range(9)] for code in _SCALARS}
"""How vectors of few numbers lie."""
_MAX_STRING = 4 * MAX_TEXT
_SLACK = 1 << 16
_RECORD = 12
"""What a table counts for. With its place in a list it takes at least 8 bytes; the allowance is three times that."""

Scalar = Any
"""int, float or bool, by the code of `struct` that was asked for."""


class Span(NamedTuple):
    """The elements of a vector: `offset` in the source, `length` in bytes."""

    offset: int
    length: int


class Fields:
    """Fields of a table that are read together: `I` and the like are numbers by their code in `struct`, `o` offsets.

    `lines` are `number:code` or `number:code=default` with whole numbers as defaults.
    """

    __slots__ = ("codes", "defaults", "numbers")

    def __init__(self, *lines: str) -> None:
        parts = [line.replace("=", ":").split(":") for line in lines]
        self.numbers = [int(part[0]) for part in parts]
        self.codes = [part[1] for part in parts]
        self.defaults = [int(part[2]) if len(part) > 2 else 0 for part in parts]


class _Plan(NamedTuple):
    """How the fields of tables with one vtable are read at once.

    `pick` puts the numbers that were unpacked, followed by the `defaults`, into the order of the fields; `leads` are
    (index among the fields, offset within the table) of those that are offsets themselves.
    """

    unpack: struct.Struct
    defaults: tuple[Any, ...]
    pick: Callable[[tuple[Any, ...]], tuple[Any, ...]]
    leads: tuple[tuple[int, int], ...]


class Flatbuffer:
    """One flatbuffer: all of `source`, whose positions are absolute."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.size = source.size
        self._pages: dict[int, bytes] = {}
        self._vtables: dict[int, tuple[int, tuple[int, ...]]] = {}
        self._texts: dict[int, str] = {}
        self._vectors: dict[str, dict[int, tuple[Any, ...]]] = {code: {} for code in _SCALARS}
        self._equal: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self._plans: dict[Fields, dict[int, _Plan]] = {}
        self._left = 3 * source.size + _SLACK
        self._run = 1
        self._all = (self.size + _PAGE - 1) >> _SHIFT

    def root(self) -> Table:
        """The table that the first four bytes point to."""
        return self.table_at(self.follow(0))

    def table_at(self, position: int) -> Table:
        """The table at `position`; MalformedFile where there can be none."""
        self.spend(_RECORD)
        size, fields = self._described(position - self.unpack(_I32, position), position)
        return Table(self, position, size, fields)

    def record(self, position: int, fields: Fields) -> list[Any]:
        """The `fields` of the table at `position`, in their order; offsets as positions, 0 where one is left out.

        The fast way through the hundred thousands of small tables of a large model.
        """
        self._left -= _RECORD
        page = self._pages.get(position >> _SHIFT, b"")
        offset = position & (_PAGE - 1)
        if offset + 4 <= len(page):
            vtable = position - _I32.unpack_from(page, offset)[0]
        else:
            vtable = position - self.unpack(_I32, position)
        plans = self._plans.setdefault(fields, {})
        plan = plans.get(vtable)
        if plan is None:
            plan = plans[vtable] = self._plan(vtable, position, fields)
        size = plan.unpack.size
        if offset + size <= len(page):
            values = plan.unpack.unpack_from(page, offset)
        else:
            values = plan.unpack.unpack(self.read(position, size))
        if self._left < 0:
            self.spend(0)
        found = list(plan.pick(values + plan.defaults))
        for index, base in plan.leads:
            base += position  # noqa: PLW2901 - where the offset stands
            target = found[index] + base
            if target < base + 4 or target + 4 > self.size:
                raise _outside(base)
            found[index] = target
        return found

    def records(self, position: int, fields: Fields, most: int) -> Iterator[list[Any]]:
        """The same fields of every table of the vector at `position`; none where it is left out."""
        for table in self.offsets(position, most) if position else ():
            yield self.record(table, fields)

    def offsets(self, position: int, most: int) -> Iterator[int]:
        """Where the offsets in the vector at `position` lead."""
        size = self.size
        for at, offset in enumerate(self.numbers(position, "I", most)):
            target = position + 4 + 4 * at + offset
            if offset < 4 or target + 4 > size:
                raise _outside(position + 4 + 4 * at)
            yield target

    def _plan(self, vtable: int, table: int, fields: Fields) -> _Plan:
        size, offsets = self._described(vtable, table)
        present = sorted(
            (offsets[number], index, "I" if code == "o" else code, code == "o")
            for index, (number, code) in enumerate(zip(fields.numbers, fields.codes, strict=True))
            if number < len(offsets) and offsets[number]
        )
        reached, layout = 0, "<"
        for offset, _, code, _ in present:
            if offset < max(reached, 4) or offset + struct.calcsize(f"<{code}") > size:
                raise MalformedFile(msg("A field lies outside its table."), offset=table)
            layout += f"{offset - reached}x{code}"
            reached = offset + struct.calcsize(f"<{code}")
        order = {index: place for place, (_, index, _, _) in enumerate(present)}
        picked = [order.get(index, len(present) + index) for index in range(len(fields.numbers))]
        leads = tuple((index, offset) for offset, index, _, leads in present if leads)
        return _Plan(struct.Struct(layout), tuple(fields.defaults), _picker(picked), leads)

    def _described(self, vtable: int, table: int) -> tuple[int, tuple[int, ...]]:
        found = self._vtables.get(vtable)
        if found is None:
            found = self._vtables[vtable] = self._vtable(vtable, table)
        if table + found[0] > self.size:
            raise _outside(table)
        return found

    def follow(self, position: int) -> int:
        """Where the offset stored at `position` leads: always forward."""
        offset = int(self.unpack(_U32, position))
        if offset < 4:
            raise MalformedFile(msg("An offset of the file's structure leads nowhere."), offset=position)
        if position + offset + 4 > self.size:
            raise _outside(position)
        return position + offset

    def unpack(self, kind: struct.Struct, position: int) -> Any:
        """One number."""
        page = self._pages.get(position >> _SHIFT)
        offset = position & (_PAGE - 1)
        if page is not None and offset + kind.size <= len(page):
            return kind.unpack_from(page, offset)[0]
        return kind.unpack(self.read(position, kind.size))[0]

    def read(self, position: int, length: int) -> bytes:
        """Bytes of the structure: short ones from pages that are kept, long ones as they are."""
        if position < 0 or position + length > self.size:
            raise _outside(position)
        if length > _PAGE:
            return self.source.read_at(position, length)
        first, last = position >> _SHIFT, (position + max(length, 1) - 1) >> _SHIFT
        data = self._page(first) if first == last else self._page(first) + self._page(last)
        start = position - (first << _SHIFT)
        return data[start : start + length]

    def spend(self, amount: int) -> None:
        """Count `amount` bytes looked at; MalformedFile where the structure holds more than its own bytes can."""
        self._left -= amount
        if self._left < 0:
            raise MalformedFile(
                msg("Parts of the file's structure are used over and over: it unfolds to more than it has.")
            )

    def vector(self, position: int, width: int) -> tuple[int, int]:
        """(position of the elements, how many) of the vector at `position`, whose elements take `width` bytes."""
        count = int(self.unpack(_U32, position))
        if position + 4 + count * width > self.size:
            raise TruncatedFile(
                msg("A list of {count} elements reaches beyond the end of the file.", count=count), offset=position
            )
        return position + 4, count

    def string(self, position: int) -> str:
        """The UTF-8 text at `position`, shortened where it is longer than any name."""
        found = self._texts.get(position)
        if found is None:
            found = self._texts[position] = _decoded(self._values(position, 1, _MAX_STRING, cut=True)[0])
        return found

    def numbers(self, position: int, code: str, most: int) -> tuple[Any, ...]:
        """The numbers of the vector at `position`; LimitExceeded beyond `most`. Equal ones are one object."""
        known = self._vectors[code]
        found = known.get(position)
        if found is None:
            data, count = self._values(position, _SCALARS[code].size, most)
            forms = _FEW[code]
            found = forms[count].unpack(data) if count < len(forms) else struct.unpack(f"<{count}{code}", data)
            found = known[position] = self._equal.setdefault(found, found)
        return found

    def forget(self) -> None:
        """Give up what was read of texts and vectors: it is in the hands of whoever asked."""
        self._texts.clear()
        self._equal.clear()
        for known in self._vectors.values():
            known.clear()

    def _values(self, position: int, width: int, most: int, *, cut: bool = False) -> tuple[bytes, int]:
        """(bytes, number) of the elements of a vector of at most `most`, or of the first of them."""
        page = self._pages.get(position >> _SHIFT, b"")
        offset = (position & (_PAGE - 1)) + 4
        count = _U32.unpack_from(page, offset - 4)[0] if offset <= len(page) else self.vector(position, width)[1]
        end = offset + count * width
        if end <= len(page) and count <= most:
            self._left -= count * width
            return page[offset:end], count
        self.vector(position, width)
        if count > most and not cut:
            raise LimitExceeded(
                "elements", most, msg("A list has {count} elements; {most} are read at most.", count=count, most=most),
                value=count, offset=position,
            )  # fmt: skip
        count = min(count, most)
        self.spend(count * width)
        return self.read(position + 4, count * width), count

    def _vtable(self, position: int, table: int) -> tuple[int, tuple[int, ...]]:
        """(bytes of the table, offset of each field in it, 0 for one that is not there)."""
        if position < 0:
            raise MalformedFile(msg("A table of the file's structure has no description."), offset=table)
        if position + 4 > self.size:
            raise _outside(table)
        length, size = self.unpack(_U16, position), self.unpack(_U16, position + 2)
        if length < 4 or length % 2 or size < 4 or position + length > self.size:
            raise MalformedFile(msg("A table of the file's structure has a broken description."), offset=position)
        self.spend(length)
        return size, struct.unpack(f"<{length // 2 - 2}H", self.read(position + 4, length - 4))

    def _page(self, number: int) -> bytes:
        page = self._pages.get(number)
        return self._load(number) if page is None else page

    def _load(self, number: int) -> bytes:
        """Read a page, and more of them in its direction where its neighbour was wanted before."""
        below, above = number - 1 in self._pages, number + 1 in self._pages
        self._run = min(self._run * 2, _MOST_PAGES) if below or above else 1
        first, last = number, number
        step = -1 if above and not below else 1
        while last - first + 1 < self._run and 0 <= (more := (first if step < 0 else last) + step) < self._all:
            if more in self._pages:
                break
            first, last = min(first, more), max(last, more)
        start = first << _SHIFT
        data = self.source.read_at(start, min((last + 1) << _SHIFT, self.size) - start)
        for at in range(0, len(data), _PAGE):
            self._pages[first + (at >> _SHIFT)] = data[at : at + _PAGE]
        return self._pages[number]


class Table:
    """A table: `fields` are offsets within its `size` bytes. Fields are asked for by their number in the schema.

    A plain class, because files hold hundreds of thousands of tables.
    """

    __slots__ = ("buffer", "fields", "position", "size")

    def __init__(self, buffer: Flatbuffer, position: int, size: int, fields: tuple[int, ...]) -> None:
        self.buffer = buffer
        self.position = position
        self.size = size
        self.fields = fields

    def at(self, field: int, width: int = 4) -> int | None:
        """Position of a field of `width` bytes, None where it is left out."""
        offset = self.fields[field] if field < len(self.fields) else 0
        if not offset:
            return None
        if offset < 4 or offset + width > self.size:
            raise MalformedFile(msg("A field lies outside its table."), offset=self.position)
        return self.position + offset

    def scalar(self, field: int, code: str, default: Scalar = 0) -> Scalar:
        """A number by its code in `struct`."""
        kind = _SCALARS[code]
        position = self.at(field, kind.size)
        return default if position is None else self.buffer.unpack(kind, position)

    def text(self, field: int) -> str | None:
        """A string, shortened to what a name may have."""
        position = self.at(field)
        return None if position is None else self.buffer.string(self.buffer.follow(position))

    def table(self, field: int) -> Table | None:
        """A table, or the value of a union."""
        position = self.at(field)
        return None if position is None else self.buffer.table_at(self.buffer.follow(position))

    def numbers(self, field: int, code: str, most: int) -> tuple[Any, ...] | None:
        """A vector of numbers; None where it is left out, which is not the same as an empty one."""
        position = self.at(field)
        return None if position is None else self.buffer.numbers(self.buffer.follow(position), code, most)

    def span(self, field: int, width: int = 1) -> Span | None:
        """Where the elements of a vector lie; they are not read."""
        position = self.at(field)
        if position is None:
            return None
        start, count = self.buffer.vector(self.buffer.follow(position), width)
        return Span(start, count * width)


def _picker(places: Sequence[int]) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
    """Those of several values, in this order; `itemgetter` gives a single one by itself."""
    if len(places) == 1:
        first = places[0]
        return lambda values: (values[first],)
    return itemgetter(*places)


def identifier(head: bytes) -> bytes:
    """The four characters that tell the schema, from the first eight bytes of a file."""
    return head[4:8]


def _decoded(data: bytes) -> str:
    try:
        found = data.decode("utf-8")
    except UnicodeDecodeError:
        return text(data.decode("utf-8", errors="replace"))
    return found if len(found) <= MAX_TEXT else text(found)


def _outside(position: int) -> MalformedFile:
    return TruncatedFile(
        msg("The file's structure points beyond its end: the file was cut off or is damaged."), offset=position
    )
