"""State and operations of the inert pickle machine; knows what each would do, not which opcode asks for it.

The stack machine is the one of the standard library's `pickle`, with every call, instantiation and attribute
replaced by a record of what would have happened. No name is resolved, nothing is called.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from service.errors import MalformedFile
from service.language import Message, msg
from service.parsers.pickle_cursor import Cursor, check_length
from service.parsers.pickle_types import (
    MAX_ODDITIES,
    WEIGHT_OF,
    Blob,
    Global,
    How,
    Instance,
    Oddity,
    Trace,
    Use,
)

KEPT_BYTES = 1 << 16
"""Longer strings are skipped and kept as a `Blob`: no name is that long, and array contents are not wanted."""
_KEY_NODES = 256
"""Most values in one dictionary key: hashing nested tuples recurses and repeats without a bound of its own."""

CALLS_ITS_ARGUMENT: dict[tuple[str, str], int] = {
    ("torch._tensor", "_rebuild_from_type_v2"): 0,
    ("torch._tensor", "_rebuild_from_type"): 0,
    ("functools", "partial"): 0,
    ("functools", "reduce"): 0,
    ("collections", "defaultdict"): 0,
    ("builtins", "map"): 0,
    ("builtins", "filter"): 0,
}
"""Callables that call one of their arguments, now or later, and which one: naming them is calling it."""

_OLD_MODULES = {
    "__builtin__": "builtins",
    "copy_reg": "copyreg",
    "exceptions": "builtins",
    "cPickle": "_pickle",
    "UserDict": "collections",
    "UserList": "collections",
    "__builtins__": "builtins",
}
"""Python 2 module names that an unpickler maps to today's."""

PersistentHook = Callable[[Any, int], Any]
Calls = Mapping[str, Callable[[tuple[Any, ...]], Any]]
"""Dotted name -> what the container makes of a call with these arguments: an inert value, or None for no opinion."""


class Machine:
    """Stack, marks and memo of one run. Opcode functions in `pickle_opcodes` drive it."""

    __slots__ = ("calls", "cursor", "hook", "limit", "marks", "memo", "stack", "stopped", "trace")

    def __init__(self, cursor: Cursor, limit: int, hook: PersistentHook, calls: Calls) -> None:
        self.cursor = cursor
        self.limit = limit
        self.hook = hook
        self.calls = calls
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.stopped = False
        self.trace = Trace()

    @property
    def offset(self) -> int:
        """Where the current opcode is."""
        return self.cursor.opcode_at

    def pop_mark(self) -> list[Any]:
        """Everything above the last mark, which is removed."""
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def odd(self, code: str, what: Message, offset: int | None = None) -> None:
        """Record something no pickler writes, at the current opcode if no other place is given."""
        if len(self.trace.oddities) < MAX_ODDITIES:
            self.trace.oddities.append(Oddity(code, what, self.offset if offset is None else offset))

    def fail(self, what: Message) -> NoReturn:
        """MalformedFile at the current opcode."""
        raise MalformedFile(what, offset=self.offset)

    def use(self, value: Any, how: How) -> None:
        """Note that the global `value` is used; anything else called is an oddity."""
        if not isinstance(value, Global):
            if how == "called":
                self.odd("pickle_computed_call", msg("Something is called that the pickle computed, not named."))
            return
        uses = self.trace.uses
        key = (value.module, value.name)
        known = uses.get(key)
        if known is None:
            uses[key] = Use(value.module, value.name, how, self.offset)
        elif WEIGHT_OF[how] > WEIGHT_OF[known.how]:
            known.how, known.offset = how, self.offset

    def name(self, module: Any, name: Any) -> Global:
        """The stand-in of a global; parts that are not plain strings stay unknown and are an oddity."""
        if not isinstance(module, str) or not isinstance(name, str):
            self.odd(
                "pickle_computed_global",
                msg("A global's name is computed by the pickle instead of being written in it."),
            )
            module = module if isinstance(module, str) else None
            name = name if isinstance(name, str) else None
        found = Global(_OLD_MODULES.get(module, module), name, self.offset)
        self.use(found, "referenced")
        return found

    def text(self, length: int) -> str | Blob:
        """A UTF-8 string argument of `length` bytes."""
        if length > KEPT_BYTES:
            return self._blob(length, is_text=True)
        value = self.cursor.take(length).decode("utf-8", "surrogatepass")
        if length > 23:
            self.trace.texts.append((self.offset, value))
        return value

    def data(self, length: int) -> bytes | Blob:
        """A byte string argument of `length` bytes."""
        if length > KEPT_BYTES:
            return self._blob(length, is_text=False)
        value = self.cursor.take(length)
        if length > 3:
            self.trace.texts.append((self.offset, value))
            self.trace.begins[id(value)] = self.cursor.position - length
        return value

    def _blob(self, length: int, *, is_text: bool) -> Blob:
        blob = Blob(self.cursor.skip(length), length, is_text=is_text)
        self.trace.texts.append((self.offset, blob))
        return blob

    def integer(self, length: int) -> int:
        """A signed little-endian integer of `length` bytes."""
        check_length(length, self.limit, self.offset)
        return int.from_bytes(self.cursor.take(length), "little", signed=True)

    def call(self, maker: Any, args: Any) -> Any:
        """What REDUCE pushes: usually an Instance; copyreg's helpers and getattr on a class are seen through."""
        if not isinstance(args, tuple):
            self.odd("pickle_type_confusion", msg("A call's arguments are not a tuple."))
        elif isinstance(maker, Global) and args:
            seen_through = self._special(maker, args)
            if seen_through is not None:
                return seen_through
        self.use(maker, "called")
        return Instance(maker, args, None, "called", self.offset)

    def _special(self, maker: Global, args: tuple[Any, ...]) -> Any:
        """The result of a call that is understood; None for all others."""
        known = (maker.module or "", maker.name or "")
        self._use_argument(known, args)
        if known in _CREATORS:
            return self.create(args[0], args[1] if known == ("copyreg", "__newobj_ex__") else args[1:], None)
        if known == ("builtins", "getattr"):
            return self._attribute(args)
        special = self.calls.get(maker.path) if self.calls else None
        if special is None:
            return None
        self.use(maker, "called")
        return special(args)

    def _use_argument(self, known: tuple[str, str], args: tuple[Any, ...]) -> None:
        index = CALLS_ITS_ARGUMENT.get(known)
        if index is not None and index < len(args) and isinstance(args[index], Global):
            self.use(args[index], "called")

    def _attribute(self, args: tuple[Any, ...]) -> Any:
        """`getattr(Class, "member")` (enumerations, nested classes): a dotted global. Of an object: a bound method.

        Neither runs anything by itself; what is then called is noted as always. None for any other look-up.
        """
        owner, member = args[0], args[1] if len(args) > 1 else None
        if not isinstance(member, str) or not member.isidentifier():
            return None
        if isinstance(owner, Global):
            return self.name(owner.module, f"{owner.name}.{member}")
        if isinstance(owner, Instance) and not member.startswith("__"):
            return Instance(Global("builtins", "getattr", self.offset), args, None, "called", self.offset)
        return None

    def create(self, maker: Any, args: Any, kwargs: Any) -> Instance:
        """An object of a class, without a call of anything but its `__new__`."""
        self.use(maker, "created")
        if not isinstance(maker, Global):
            self.odd("pickle_computed_call", msg("An object is made of a class that the pickle computed, not named."))
        return Instance(maker, args, kwargs, "created", self.offset)

    def build(self, target: Any, state: Any) -> None:
        """BUILD: set an object's state. On anything but an Instance no pickler would."""
        if isinstance(target, Instance):
            target.state = state
            self.use(target.maker, "built")
        elif isinstance(target, Global):
            self.use(target, "called")
            self.odd("pickle_type_confusion", msg("Attributes of {path} itself are overwritten.", path=target.path))
        else:
            self.odd(
                "pickle_type_confusion",
                msg("The state of a {type} is set, which has none.", type=type(target).__name__),
            )

    def set_item(self, target: Any, key: Any, value: Any) -> None:
        """SETITEM(S): one pair into a dictionary or an object that acts as one."""
        if type(key) is not str:
            self._check_key(key)
        if type(target) is dict:
            target[key] = value
        elif isinstance(target, Instance):
            if target.pairs is None:
                target.pairs = {}
            target.pairs[key] = value
        else:
            self.odd(
                "pickle_type_confusion",
                msg("An item is set on a {type}, which is not a dictionary.", type=type(target).__name__),
            )

    def extend(self, target: Any, values: list[Any]) -> None:
        """APPEND(S), ADDITEMS: values into a list, a set or an object that acts as one."""
        if type(target) is list:
            target.extend(values)
        elif type(target) is set:
            for value in values:
                self._check_key(value)
                target.add(value)
        elif isinstance(target, Instance):
            if target.items is None:
                target.items = []
            target.items.extend(values)
        else:
            self.odd(
                "pickle_type_confusion",
                msg("Values are appended to a {type}, which is not a list.", type=type(target).__name__),
            )

    def _check_key(self, key: Any) -> None:
        """MalformedFile unless `key` can be hashed cheaply."""
        pending, seen = [key], 0
        while pending:
            value = pending.pop()
            seen += 1
            if seen > _KEY_NODES:
                self.fail(msg("A dictionary key holds too many values."))
            if type(value) is tuple:
                pending.extend(value[: _KEY_NODES + 1])
            elif isinstance(value, (dict, list, set, bytearray)):
                self.fail(msg("A {type} cannot be a dictionary key.", type=type(value).__name__))


_CREATORS = {("copyreg", "_reconstructor"), ("copyreg", "__newobj__"), ("copyreg", "__newobj_ex__")}
