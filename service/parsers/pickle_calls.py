"""What calls in pickles do with what they are given, as far as it matters whether something else is called.

Knows names as they are written and plain values; must not know opcodes, and resolves nothing.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any, NamedTuple

from service.parsers.pickle_types import Blob, Global, Instance

MOST_ARGUMENTS = 64
"""Most values among a call's arguments that are looked at for functions."""

HOLDERS = frozenset((module, "partial") for module in ("functools", "_functools"))
"""What holds a function for a later call: making one calls nothing, and is as harmless as the function is."""

FOLDS = frozenset((module, "reduce") for module in ("functools", "_functools"))
"""What only calls the function that it is given, as members of a flag are joined."""

CALLED_METHODS = frozenset(name for kind in (dict, list, set) for name in dir(kind) if name[0] != "_") | {
    "from_arrays", "_simple_new", "holidays",
}  # fmt: skip
"""What is called on containers, by unpicklers and by objects that take up their state, and what pandas calls on a class
or a calendar: on an object with an attribute of such a name, that is called in the method's place."""
_SPECIAL = re.compile(r"__\w+__\Z", re.ASCII)
_KEPT = frozenset({"__wrapped__", "__func__", "__self__", "__class__", "__origin__", "__orig_class__", "__init__"})
"""Special names under which functions and classes are kept, and not called."""

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
    ("itertools", "imap"): ("builtins", "map"),
    ("itertools", "ifilter"): ("builtins", "filter"),
    ("itertools", "izip"): ("builtins", "zip"),
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
    """Whether this was looked up on an object, as its methods are."""
    return isinstance(value, Instance) and value.path == "builtins.getattr"


def is_holder(value: Any) -> bool:
    """Whether this holds a function for a later call."""
    maker = value.maker if isinstance(value, Instance) else None
    return isinstance(maker, Global) and (maker.module, maker.name) in HOLDERS


def is_function(value: Any) -> bool:
    """Whether this may be a function: written as a name, looked up on an object, or held by another."""
    return isinstance(value, Global) or is_bound(value) or is_holder(value)


class Held(NamedTuple):
    """A function that is held for a later call, and what it will be given."""

    function: Any
    arguments: tuple[Any, ...] = ()
    keywords: Any = None

    @property
    def makes(self) -> Global | None:
        """The class of which it makes an object: picklers that have no NEWOBJ_EX write that so."""
        maker = self.arguments[0] if self.arguments else None
        if isinstance(self.function, Global) and isinstance(maker, Global):
            return maker if self.function.path == f"{maker.path}.__new__" else None
        return None


def held(holder: Instance) -> Held:
    """What it was made of, or what its state puts in that one's place."""
    state = holder.state
    if isinstance(state, tuple) and len(state) > 2:
        return Held(state[0], state[1] if isinstance(state[1], tuple) else (), state[2])
    function, *arguments = holder.positional or (None,)
    return Held(function, tuple(arguments))


def _is_called(name: Any) -> bool:
    """Whether an attribute of this name is called as a method: numpy asks `__array__()` of any object."""
    return isinstance(name, str) and (
        name in CALLED_METHODS or (name not in _KEPT and _SPECIAL.match(name) is not None)
    )


def stand_in(state: Any) -> str | None:
    """The first attribute of a state that is a function and has the name of a method that others call."""
    for part in state if type(state) is tuple else (state,):
        if type(part) is dict:
            for name in islice(part, MOST_ARGUMENTS**2):
                if _is_called(name) and is_function(part[name]):
                    return str(name)
    return None


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
