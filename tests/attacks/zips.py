"""Zip archives written field by field, so that any of them can lie; knows no attack."""

from __future__ import annotations

import functools
import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

STORED, DEFLATED = 0, 8


@dataclass(frozen=True)
class Entry:
    """A member. `local` and `central` override fields of its header there and in the directory.

    Fields: name, flags, method, crc, compressed, size, extra; in the directory also header, attributes, disk. `behind`
    follows its data (a data descriptor); an `alias` has no bytes of its own: it is only in the directory.
    """

    name: bytes
    data: bytes = b""
    method: int = STORED
    flags: int = 0
    extra: bytes = b""
    attributes: int = 0
    local: dict[str, Any] = field(default_factory=dict)
    central: dict[str, Any] = field(default_factory=dict)
    behind: bytes = b""
    alias: int | None = None

    @property
    def packed(self) -> bytes:
        """Its data as stored."""
        return _deflated(self.data) if self.method == DEFLATED else self.data

    def facts(self) -> dict[str, Any]:
        """Its fields without lies."""
        return {"name": self.name, "flags": self.flags, "method": self.method, "crc": zlib.crc32(self.data),
                "compressed": len(self.packed), "size": len(self.data), "extra": self.extra,
                "attributes": self.attributes, "disk": 0}  # fmt: skip


@functools.lru_cache(maxsize=4)
def _deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def local_header(entry: Entry) -> bytes:
    """What stands before its data."""
    it = {**entry.facts(), **entry.local}
    fixed = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, it["flags"], it["method"], 0, 0, it["crc"], it["compressed"],
                        it["size"], len(it["name"]), len(it["extra"]))  # fmt: skip
    return fixed + it["name"] + it["extra"]


def central_header(entry: Entry, header: int) -> bytes:
    """Its record in the directory."""
    it = {**entry.facts(), "header": header, **entry.central}
    fixed = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 0x0314, 20, it["flags"], it["method"], 0, 0, it["crc"],
                        it["compressed"], it["size"], len(it["name"]), len(it["extra"]), 0, it["disk"], 0,
                        it["attributes"], it["header"])  # fmt: skip
    return fixed + it["name"] + it["extra"]


def end_record(count: int, size: int, start: int, comment: bytes = b"", /, **lies: int) -> bytes:
    """The end record; `lies` may be here, total, size, start, disk, comment_length."""
    it = {
        "here": count,
        "total": count,
        "size": size,
        "start": start,
        "disk": 0,
        "comment_length": len(comment),
        **lies,
    }
    return struct.pack("<4s4H2IH", b"PK\x05\x06", it["disk"], it["disk"], it["here"], it["total"], it["size"],
                       it["start"], it["comment_length"]) + comment  # fmt: skip


def body(entries: list[Entry], start: int = 0) -> tuple[bytes, list[int]]:
    """Local headers and data, as they would lie from `start` on, and where each begins."""
    made, places = b"", []
    for entry in entries:
        if entry.alias is not None:
            places.append(places[entry.alias])
            continue
        places.append(start + len(made))
        made += local_header(entry) + entry.packed + entry.behind
    return made, places


def archive(entries: list[Entry], *, before: bytes = b"", gap: bytes = b"", comment: bytes = b"", shifted: bool = True,
            **lies: int) -> bytes:  # fmt: skip
    """All of it. `before` is put in front, `gap` before the directory; `shifted`: the places count `before`."""
    start = len(before) if shifted else 0
    members, places = body(entries, start)
    directory = b"".join(central_header(entry, place) for entry, place in zip(entries, places, strict=True))
    at = start + len(members) + len(gap)
    return before + members + gap + directory + end_record(len(entries), len(directory), at, comment, **lies)


def wide(entries: list[Entry], /, **lies: int) -> bytes:
    """With a zip64 end record and locator. `lies` may be entries, size, start, locator, length."""
    members, places = body(entries)
    directory = b"".join(central_header(entry, place) for entry, place in zip(entries, places, strict=True))
    it = {"entries": len(entries), "size": len(directory), "start": len(members), "length": 44,
          "locator": len(members) + len(directory), **lies}  # fmt: skip
    record = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", it["length"], 45, 45, 0, 0, it["entries"], it["entries"],
                         it["size"], it["start"])  # fmt: skip
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, it["locator"], 1)
    narrow = end_record(0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
    return members + directory + record + locator + narrow


def lying(entry: Entry, **lies: Any) -> Entry:
    """The entry with lies in its directory record."""
    return replace(entry, central={**entry.central, **lies})
