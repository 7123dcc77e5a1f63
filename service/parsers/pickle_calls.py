"""What calls in pickles do with what they are given, as far as it matters whether something else is called.

Knows names as they are written and plain values; must not know opcodes, and resolves nothing.
"""

from __future__ import annotations

import re
from typing import Any

from service.parsers.pickle_types import Blob, Global, Instance

MOST_ARGUMENTS = 64
"""Most values among a call's arguments that are looked at for functions."""

HOLDERS = frozenset((module, name) for module in ("functools", "_functools") for name in ("partial", "reduce"))
"""What takes a function to call it: making one is as harmless as the function is."""

NEVER_CALL = frozenset(
    ("torch._utils", name)
    for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter")
) | {("collections", "OrderedDict"), ("torch", "Size"), ("torch", "device"), ("_codecs", "encode")}
"""Rebuilders that call none of their arguments: the calls that checkpoints are made of."""

CLASS_ARGUMENTS: dict[tuple[str, str], tuple[int, ...]] = {
    ("torch._tensor", "_rebuild_from_type_v2"): (1,),
    ("torch._tensor", "_rebuild_from_type"): (1,),
    ("torch._utils", "_rebuild_wrapper_subclass"): (0,),
    ("numpy.core.multiarray", "_reconstruct"): (0,),
    ("numpy._core.multiarray", "_reconstruct"): (0,),
    ("numpy.ma.core", "_mareconstruct"): (0, 1),
    ("pandas.core.indexes.base", "_new_Index"): (0,),
    ("pandas.core.indexes.datetimes", "_new_DatetimeIndex"): (0,),
    ("pandas.core.indexes.period", "_new_PeriodIndex"): (0,),
    ("types", "GenericAlias"): (0, 1),
    ("_operator", "getitem"): (0, 1),
    ("operator", "getitem"): (0, 1),
}
"""Callables and which of their arguments are classes to make something of, not functions that they call."""

_REBUILDER = re.compile(r"newObj\Z|__pyx_unpickle_", re.ASCII)
"""How what Cython and scikit-learn's trees write begins: it makes an object of the class that is its first argument."""

CREATORS = frozenset({("copyreg", "_reconstructor"), ("copyreg", "__newobj__"), ("copyreg", "__newobj_ex__")})
"""Helpers that make an object of the class that is their first argument."""

LOOK_UPS = frozenset({("numpy.core", "_ufunc_reconstruct"), ("numpy._core", "_ufunc_reconstruct")})
"""What imports a module and looks up a name in it, both given as text: a global in other words."""

LOADERS = frozenset({("torch.storage", "_load_from_bytes")})
"""What loads its argument as a pickle: harmless where that is written in the file, and searched."""
_PLAIN_TEXTS = frozenset({"latin1", "latin-1", "ascii"})

SUBSCRIPTS = frozenset({("operator", "getitem"), ("_operator", "getitem")})
"""What takes a value out of another by a key, as types with parameters are written: `List[int]`."""
_TYPE_NAME = re.compile(r"(?:[\w.]*\.)?(?:_?[A-Z]\w*|dict|list|tuple|type|set|frozenset|deque|defaultdict)\Z", re.ASCII)

SHARED = frozenset({("logging", "getLogger")})
"""What gives out an object of the program's own, which others use as well."""

PLAIN_TYPES = frozenset(
    {"object", "dict", "list", "tuple", "set", "frozenset", "int", "float", "complex", "str", "bytes", "bytearray"}
)
"""Built-in classes that an object can be made on top of: their `__init__` only takes values."""

OLD_MODULES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "exceptions": "builtins",
    "cPickle": "_pickle",
    "UserDict": "collections",
    "UserList": "collections",
    "__builtins__": "builtins",
}
"""Python 2 module names that an unpickler maps to today's."""
OLD_NAMES = {
    ("__builtin__", "xrange"): ("builtins", "range"),
    ("__builtin__", "long"): ("builtins", "int"),
    ("__builtin__", "unicode"): ("builtins", "str"),
    ("__builtin__", "unichr"): ("builtins", "chr"),
    ("__builtin__", "reduce"): ("functools", "reduce"),
}
"""Python 2 built-ins that an unpickler maps to today's."""

_WORD = re.compile(r"[\w-]{1,40}\Z", re.ASCII)
_ALLOCATORS = frozenset(
    {"bytearray", "bytes", "range", "array", "ndarray", "_reconstruct", "UntypedStorage", "ByteStorage", "FloatStorage"}
)
"""Last names of what makes as much as it is told to."""
_MUCH = 1 << 28


def is_word(value: Any) -> bool:
    """Whether an argument is what an enumeration's member is had by: one word or one number."""
    return type(value) in (int, bool) or (type(value) is str and _WORD.match(value) is not None)


def class_arguments(known: tuple[str, str]) -> tuple[int, ...]:
    """Which arguments of a call are classes to make something of."""
    return (0,) if _REBUILDER.match(known[1]) else CLASS_ARGUMENTS.get(known, ())


def is_type(value: Any) -> bool:
    """Whether something is written as the name of a class, which a subscript gives parameters to."""
    return isinstance(value, Global) and _TYPE_NAME.match(value.name or "") is not None


def is_bound(value: Any) -> bool:
    """Whether this is a function that was looked up on an object."""
    return isinstance(value, Instance) and value.path == "builtins.getattr"


def is_written(args: tuple[Any, ...]) -> bool:
    """Whether the one argument is a byte string that stands in the file, or a text of its bytes, as Python 2 wrote."""
    if len(args) == 1 and isinstance(args[0], Instance) and args[0].path == "_codecs.encode":
        value, encoding = (*args[0].positional, None, None)[:2]
        return isinstance(value, str | Blob) and encoding in _PLAIN_TEXTS
    return len(args) == 1 and isinstance(args[0], bytes | str | Blob)


def asked_for(name: str, args: tuple[Any, ...]) -> int:
    """How many values a call would make room for where that is absurd, else 0."""
    if name not in _ALLOCATORS:
        return 0
    given = [one for value in args[:8] for one in (value[:64] if type(value) is tuple else (value,))]
    most = max((one for one in given if type(one) is int), default=0)
    return min(most, 2**63) if most > _MUCH else 0
