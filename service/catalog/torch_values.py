"""Plain values out of pickled stand-ins: mappings, sequences, numbers, hyper-parameters; knows no tensor."""

from __future__ import annotations

import math
import struct
from typing import Any

from service.parsers.pickle_types import Blob, Global, Instance, Persistent
from service.plain import text

MAX_NODES = 400
"""Most values described of one configuration; the rest is an ellipsis. Shared parts would otherwise multiply."""
MAX_DEPTH = 6
MAX_TEXT = 500

_MAPPINGS = {"collections.OrderedDict", "collections.defaultdict", "collections.Counter", "builtins.dict"}
_SEQUENCES = {
    "builtins.set",
    "builtins.frozenset",
    "builtins.list",
    "builtins.tuple",
    "collections.deque",
    "torch.Size",
}
_PATHS = {"PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path"}
_NAMESPACES = {"argparse.Namespace", "types.SimpleNamespace"}
_STRUCT_CODES = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q",
                 "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "b1": "?"}  # fmt: skip
NUMPY_SCALARS = {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}


def mapping_of(value: Any) -> dict[Any, Any] | None:
    """The items of a dictionary or of an object that acts as one (OrderedDict, defaultdict, a subclass), else None."""
    if type(value) is dict:
        return value
    if not isinstance(value, Instance):
        return None
    if value.pairs is not None:
        return value.pairs
    if value.path not in _MAPPINGS:
        return None
    first = value.positional[0] if value.positional else None
    return first if type(first) is dict else _from_pairs(first)


def _from_pairs(pairs: Any) -> dict[Any, Any]:
    """Python 2's OrderedDict was called with a list of two-element lists."""
    made: dict[Any, Any] = {}
    for pair in pairs if isinstance(pairs, list) else ():
        if isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], (str, int)):
            made[pair[0]] = pair[1]
    return made


def attributes_of(value: Any) -> dict[Any, Any] | None:
    """The attributes that BUILD gave an object: its `__dict__`, with slots, or None."""
    if not isinstance(value, Instance):
        return None
    state = value.state
    if type(state) is tuple and len(state) == 2 and type(state[1]) is dict:
        return {**(mapping_of(state[0]) or {}), **state[1]}
    return mapping_of(state)


def sequence_of(value: Any) -> list[Any] | tuple[Any, ...] | None:
    """The items of a list, tuple, set, deque or Size, else None."""
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, (set, frozenset)):
        return list(value)
    if not isinstance(value, Instance):
        return None
    if value.items is not None:
        return value.items
    if value.path not in _SEQUENCES:
        return None
    first = value.positional[0] if value.positional else ()
    return list(first) if isinstance(first, (list, tuple, set, frozenset)) else []


def bytes_of(value: Any) -> bytes | None:
    """A byte string, also as protocol 2 writes it (`_codecs.encode(text, "latin1")`)."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, Instance) or value.path != "_codecs.encode" or not value.positional:
        return None
    encoded = value.positional[0]
    return encoded.encode("latin-1", "replace") if isinstance(encoded, str) else None


def numpy_code(value: Any) -> str | None:
    """The type code (`<f4`) of a pickled `numpy.dtype`, None if it is not one."""
    if not isinstance(value, Instance) or value.path != "numpy.dtype" or not value.positional:
        return None
    code, state = value.positional[0], value.state
    order = state[1] if type(state) is tuple and len(state) > 1 else "<"
    return f"{order if order in ('<', '>') else '<'}{code}" if isinstance(code, str) else None


def number_of(value: Any) -> int | float | bool | None:
    """A number, also one that NumPy wrote; else None."""
    if isinstance(value, (int, float)):
        return value
    if not isinstance(value, Instance) or value.path not in NUMPY_SCALARS or len(value.positional) < 2:
        return None
    code, data = numpy_code(value.positional[0]), bytes_of(value.positional[1])
    letter = _STRUCT_CODES.get((code or "")[1:])
    if code is None or data is None or letter is None or struct.calcsize(letter) != len(data):
        return None
    found: int | float | bool = struct.unpack(code[0] + letter, data)[0]
    return found


def describe(value: Any, nodes: int = MAX_NODES) -> Any:
    """A JSON value that tells a person what `value` is; at most `nodes` values and `MAX_DEPTH` levels."""
    return _describe(value, MAX_DEPTH, [nodes])


def _describe(value: Any, depth: int, budget: list[int]) -> Any:
    budget[0] -= 1
    if budget[0] < 0:
        return "…"
    if value is None or isinstance(value, (bool, str)):
        return text(value, MAX_TEXT) if isinstance(value, str) else value
    number = number_of(value)
    if number is not None:
        return _number(number)
    mapping = mapping_of(value)
    if mapping is None and isinstance(value, Instance) and value.path in _NAMESPACES:
        mapping = attributes_of(value) or {}
    if mapping is not None:
        return _describe_mapping(mapping, depth, budget)
    items = sequence_of(value)
    if items is None:
        return _describe_object(value)
    return [_describe(item, depth - 1, budget) for item in items[: max(0, budget[0]) + 1]] if depth else "…"


def _describe_mapping(mapping: dict[Any, Any], depth: int, budget: list[int]) -> Any:
    if not depth:
        return "…"
    found: dict[str, Any] = {}
    for key, item in mapping.items():
        if budget[0] <= 0:
            found["…"] = f"{len(mapping) - len(found)} more"
            break
        found[key_text(key)] = _describe(item, depth - 1, budget)
    return found


def key_text(key: Any) -> str:
    """A dictionary key as text."""
    if isinstance(key, str):
        return text(key, MAX_TEXT)
    return str(_describe_object(key)) if not isinstance(key, (int, float, bool)) else str(_number(key))


def _number(value: int | float) -> Any:  # noqa: PYI041 - the two are treated apart
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value.bit_length() <= 63 or isinstance(value, bool) else f"<integer of {value.bit_length()} bits>"


def _describe_object(value: Any) -> str:
    if isinstance(value, Global):
        return text(value.path, MAX_TEXT)
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    if isinstance(value, (Blob, Persistent)):
        return f"<{value.length} bytes>" if isinstance(value, Blob) else "<stored elsewhere>"
    if isinstance(value, Instance):
        return _describe_instance(value)
    return f"<{type(value).__name__}>"


def _describe_instance(value: Instance) -> str:
    args = value.positional
    name = value.path.rsplit(".", 1)[-1]
    parts = [str(arg) for arg in args[:8] if isinstance(arg, (str, int))]
    if value.path == "torch.device" and parts:
        return text(":".join(parts), MAX_TEXT)
    if value.path.startswith("pathlib") and name in _PATHS:
        return text("/".join(parts).replace("//", "/", 1), MAX_TEXT)
    shown = ", ".join(repr(arg) for arg in args[:4] if isinstance(arg, (str, int, float)))
    if value.how == "called" and shown:
        return text(f"{value.path}({shown})", MAX_TEXT)
    return text(f"<{value.path}>", MAX_TEXT)
