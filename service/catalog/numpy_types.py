"""NumPy's element types by their codes (`<f4`, `|V2`), and records of them; knows no file.

Source: numpy's array interface (`typestr`) and `dtype.__reduce__`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from service.catalog.torch_dtypes import from_numpy_code
from service.parsers.pickle_types import Instance
from service.tree import element_count

_CODE = re.compile(r"([<>=|]?)([?biufcOSUVmMa])(\d{0,12})(\[[^\]]{0,30}\])?\Z")
_LONGEST = 64
"""Characters of a code with as many digits, and as long a unit, as are read."""
_MAX_FIELDS = 10_000
_MAX_DEPTH = 16
_NAMES = {"O": "object", "S": "string", "a": "string", "U": "string", "m": "timedelta64", "M": "datetime64"}


class Element(NamedTuple):
    """One element type: its name in reports, its bytes (None for objects), whether the highest byte comes first."""

    name: str
    size: int | None
    big: bool = False

    @property
    def plain(self) -> bool:
        """Whether its values are numbers that lie as this name says."""
        return not self.big and self.name.startswith(("float", "bfloat", "int", "uint", "bool", "complex"))


class Field(NamedTuple):
    """A field of a record: the way to it, its type and the shape of its own."""

    path: tuple[str, ...]
    element: Element
    shape: tuple[int, ...]


def element_of(code: Any) -> Element | None:
    """The element type of a code, None for one that NumPy does not write.

    A void of two bytes is bfloat16: NumPy has no such type, and ml_dtypes, which has, is stored so.
    """
    return _known(code) if isinstance(code, str) and len(code) <= _LONGEST else None


@lru_cache(maxsize=4096)
def _known(code: str) -> Element | None:
    found = _CODE.match(code)
    if found is None:
        return None
    order, kind, digits, _ = found.groups()
    size = int(digits) if digits else 1
    if kind == "O":
        return Element("object", None)
    if kind == "V":
        return Element("bfloat16" if size == 2 else f"void{8 * size}", size)
    if kind in _NAMES:
        return Element(_NAMES[kind], size * (4 if kind == "U" else 1), order == ">")
    name = from_numpy_code(f"{kind}{digits}")
    return None if name is None else Element(name, 1 if kind == "?" else size, order == ">" and size > 1)


def fields_of(descr: Any) -> list[Field] | None:
    """The leaves of a record type as a .npy header describes it; None for what is none."""
    found: list[Field] = []
    pending: list[tuple[tuple[str, ...], Any, tuple[int, ...]]] = [((), descr, ())]
    while pending:
        path, item, shape = pending.pop()
        if isinstance(item, list) and len(path) < _MAX_DEPTH:
            inner = list(_inner(path, item, shape))
            if len(inner) != len(item):
                return None
            pending.extend(reversed(inner))
            continue
        element = element_of(item)
        if element is None or len(found) >= _MAX_FIELDS:
            return None
        if item[1:] != "V" or path:
            found.append(Field(path, element, shape))
    return found


def _inner(
    path: tuple[str, ...], fields: list[Any], shape: tuple[int, ...]
) -> Iterator[tuple[tuple[str, ...], Any, tuple[int, ...]]]:
    for field in fields:
        if not isinstance(field, tuple) or len(field) not in (2, 3):
            return
        name = field[0][-1] if isinstance(field[0], tuple) and field[0] else field[0]
        sizes = field[2] if len(field) == 3 else ()
        sizes = sizes if isinstance(sizes, tuple) else (sizes,)
        if not isinstance(name, str) or not all(type(size) is int and size >= 0 for size in sizes):
            return
        yield (*path, name), field[1], (*shape, *sizes)


def record_bytes(fields: list[Field]) -> int | None:
    """Bytes of one record; None where it holds objects."""
    total = 0
    for field in fields:
        count = element_count(field.shape)
        if field.element.size is None or count is None:
            return None
        total += field.element.size * count
    return total


def pickled_element(value: Any) -> Element | None:
    """The element type of a pickled `numpy.dtype`; a record is one, by its size; None for what is no type."""
    if not isinstance(value, Instance) or not value.path.startswith("numpy.") or not value.positional:
        return None
    code, state = value.positional[0], value.state
    order = state[1] if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|") else "<"
    size = state[5] if isinstance(state, tuple) and len(state) > 5 else None
    if not isinstance(code, str):
        return None
    if isinstance(state, tuple) and len(state) > 3 and state[3] is not None:
        return Element("record", size if type(size) is int and size > 0 else None)
    return element_of(f"{order}{code}")
