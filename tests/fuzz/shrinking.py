"""Makes an input small that shows something wrong: fewer files, fewer pieces, fewer bytes, more zeros; always the same.

Delta debugging (Zeller and Hildebrandt 2002): pieces are left out as long as what is wrong stays, and halved when none
can be.
"""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from tests.fuzz.seeds import Parts

T = TypeVar("T")
StillWrong = Callable[[Parts], bool]


def shrunk(parts: Parts, still_wrong: StillWrong) -> Parts:
    """A smaller upload that is as wrong."""
    names = _fewer(list(parts), lambda names: bool(names) and still_wrong({name: parts[name] for name in names}))
    found = {name: parts[name] for name in names}
    for name in names:

        def wrong(content: bytes, name: str = name) -> bool:
            return still_wrong({**found, name: content})

        for smaller in (_members, _values, _bytes, _zeros):
            found[name] = smaller(found[name], wrong)
    return found


def _fewer(pieces: list[T], still_wrong: Callable[[list[T]], bool]) -> list[T]:
    """As few of `pieces` as show it."""
    size = len(pieces)
    while size:
        at = 0
        while at < len(pieces):
            rest = pieces[:at] + pieces[at + size :]
            if still_wrong(rest):
                pieces = rest
            else:
                at += size
        size //= 2
    return pieces


def _members(data: bytes, wrong: Callable[[bytes], bool]) -> bytes:
    """A zip archive with fewer members."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(info.filename, info.compress_type, archive.read(info)) for info in archive.infolist()]
    except Exception:  # noqa: BLE001 - no archive, or a broken one: its bytes are made fewer
        return data
    written = _written(members)
    if not wrong(written):
        return data
    members = _fewer(members, lambda some: wrong(_written(some)))
    for at, (name, method, content) in enumerate(members):

        def of_member(content: bytes, at: int = at, name: str = name, method: int = method) -> bool:
            return wrong(_written([*members[:at], (name, method, content), *members[at + 1 :]]))

        members[at] = (name, method, _bytes(_values(content, of_member), of_member))
    return _written(members)


def _written(members: Sequence[tuple[str, int, bytes]]) -> bytes:
    written = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(written, "w") as archive:
        warnings.simplefilter("ignore")
        for name, method, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return written.getvalue()


def _values(data: bytes, wrong: Callable[[bytes], bool]) -> bytes:
    """A JSON document with fewer values."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not wrong(_text(document)):
        return data
    smaller = True
    while smaller:
        smaller = False
        for holder, key in list(_places(document)):
            if key not in (holder if isinstance(holder, dict) else range(len(holder))):
                continue
            had = holder.pop(key)
            if wrong(_text(document)):
                smaller = True
            elif isinstance(holder, dict):
                holder[key] = had
            else:
                holder.insert(key, had)
    return _text(document)


def _text(document: Any) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in reversed(list(items)):
        yield value, key
        yield from _places(item)


def _bytes(data: bytes, wrong: Callable[[bytes], bool]) -> bytes:
    return bytes(_fewer(list(data), lambda some: wrong(bytes(some))))


def _zeros(data: bytes, wrong: Callable[[bytes], bool]) -> bytes:
    """The same bytes with as many zeros as can be: what is left means something."""
    found = bytearray(data)
    size = len(found)
    while size:
        for at in range(0, len(found), size):
            tried = bytearray(found)
            tried[at : at + size] = bytes(len(found[at : at + size]))
            if tried != found and wrong(bytes(tried)):
                found = tried
        size //= 2
    return bytes(found)
