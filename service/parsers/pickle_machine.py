"""State and operations of the inert pickle machine; knows what each would do, not which opcode asks for it.

The stack machine is the one of the standard library's `pickle`, with every call, instantiation and attribute
replaced by a record of what would have happened. No name is resolved, nothing is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, NoReturn

from service.errors import LimitExceeded, MalformedFile
from service.language import Message, msg
from service.parsers import pickle_calls
from service.parsers.pickle_calls import FOLDS, HOLDERS, NEVER_CALL
from service.parsers.pickle_cursor import Cursor, check_length
from service.parsers.pickle_keys import Keys
from service.parsers.pickle_types import (
    MAX_ODDITIES,
    WEIGHT_OF,
    Blob,
    Global,
    How,
    Instance,
    Oddity,
    Persistent,
    Trace,
    Use,
)

KEPT_BYTES = 1 << 16
"""Longer strings are skipped and kept as a `Blob`: no name is that long, and array contents are not wanted."""
_MOST_NAMES = 20_000
_MOST_SETS = 500_000
_FAR = 1 << 20
"""How far beyond a pickle's length a place in its memo may be: no pickler counts further than it writes."""

PersistentHook = Callable[[Any, int], Any]
Calls = Mapping[str, Callable[[tuple[Any, ...]], Any]]
"""Dotted name -> what the container makes of a call with these arguments: an inert value, or None for no opinion."""


class Machine:
    """Stack, marks and memo of one run. Opcode functions in `pickle_opcodes` drive it."""

    __slots__ = ("calls", "cursor", "hook", "keys", "limit", "marks", "memo", "sets", "stack", "stopped", "trace")

    def __init__(self, cursor: Cursor, limit: int, hook: PersistentHook, calls: Calls) -> None:
        self.cursor = cursor
        self.limit = limit
        self.hook = hook
        self.calls = calls
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.stopped = False
        self.keys = Keys()
        self.sets = 0
        self.trace = Trace()

    @property
    def offset(self) -> int:
        """Where the current opcode is."""
        return self.cursor.opcode_at

    def close(self) -> None:
        """Note where the run ended, and what its frames said that was not so."""
        self.trace.end = self.cursor.position
        if self.cursor.straddled is not None:
            what = msg("An opcode crosses the end of its frame: unpicklers disagree on what follows.")
            self.odd("pickle_frame", what, self.cursor.straddled)
        if self.cursor.overrun is not None and self.trace.broken is None:
            what = msg("A frame announces more than follows: some unpicklers read it all the same.")
            self.odd("pickle_frame", what, self.cursor.overrun)

    def empty_set(self) -> set[Any]:
        """A new set: the largest of the empty things, so that there may not be any number of them."""
        self.sets += 1
        if self.sets > _MOST_SETS:
            what = msg("The pickle makes more than {n} sets.", n=_MOST_SETS)
            raise LimitExceeded("pickle_sets", _MOST_SETS, what, offset=self.offset)
        return set()

    def push_set(self) -> None:
        """A new set on the stack."""
        self.stack.append(self.empty_set())

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

    def use(self, value: Any, how: How, *, picks: bool = False) -> None:
        """Note that the global `value` is used; anything else called is an oddity."""
        if not isinstance(value, Global):
            if how == "called" and len(self.trace.oddities) < MAX_ODDITIES:
                self.odd("pickle_computed_call", msg("Something is called that the pickle computed, not named."))
            return
        uses = self.trace.uses
        key = (value.module, value.name)
        known = uses.get(key)
        if known is None:
            if len(uses) >= _MOST_NAMES:
                what = msg("The pickle names more than {n} globals.", n=_MOST_NAMES)
                raise LimitExceeded("pickle_names", _MOST_NAMES, what, offset=self.offset)
            uses[key] = Use(value.module, value.name, how, self.offset, picks)
        elif WEIGHT_OF[how] > WEIGHT_OF[known.how]:
            known.how, known.offset, known.picks = how, self.offset, picks
        elif how == "called" and not picks:
            known.picks = False

    def name(self, module: Any, name: Any) -> Global:
        """The stand-in of a global; parts that are not plain strings stay unknown and are an oddity."""
        if not isinstance(module, str) or not isinstance(name, str):
            self.odd(
                "pickle_computed_global",
                msg("A global's name is computed by the pickle instead of being written in it."),
            )
            module = module if isinstance(module, str) else None
            name = name if isinstance(name, str) else None
        module, name = pickle_calls.OLD_NAMES.get((module, name), (pickle_calls.OLD_MODULES.get(module, module), name))
        found = Global(module, name, self.offset)
        self.use(found, "referenced")
        return found

    def text(self, length: int) -> str | Blob:
        """A UTF-8 string argument of `length` bytes."""
        if length > KEPT_BYTES:
            return self._blob(length, is_text=True)
        return self.noted(self.cursor.take(length).decode("utf-8", "surrogatepass"))

    def noted(self, value: str) -> str:
        """The text, remembered where it is long enough to hide a pickle."""
        if len(value) > 11:
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
        how: How = "called"
        picks = False
        if not isinstance(args, tuple):
            self.odd("pickle_type_confusion", msg("A call's arguments are not a tuple."))
        elif isinstance(maker, Global) and args:
            known = (maker.module or "", maker.name or "")
            seen_through = self._special(maker, known, args)
            if seen_through is not None:
                return seen_through
            if known in HOLDERS or (known in FOLDS and isinstance(args[0], Global)):
                how = "created"
            picks = len(args) == 1 and pickle_calls.is_word(args[0])
        if pickle_calls.is_holder(maker):
            held = pickle_calls.held(maker)
            if held.makes is not None and args == ():
                return self.create(held.makes, held.arguments[1:], held.keywords)
            self._give(maker)
        self.use(maker, how, picks=picks)
        return Instance(maker, args, None, "called", self.offset)

    def _special(self, maker: Global, known: tuple[str, str], args: tuple[Any, ...]) -> Any:
        """The result of a call that is understood; None for all others."""
        if known in pickle_calls.CREATORS:
            return self._reconstruct(known[1], args)
        if known == ("builtins", "getattr"):
            return self._attribute(args)
        if known in pickle_calls.LOOK_UPS and len(args) == 2:
            return self.name(*args)
        if known == ("builtins", "type") and len(args) == 1 and (args[0] is None or args[0] is ...):
            return self.name("types", "NoneType")
        if known not in NEVER_CALL and known not in HOLDERS:
            self._doubt_arguments(known, args)
            self._use_arguments(args, pickle_calls.class_arguments(known))
            asked = pickle_calls.asked_for(known[1], args)
            if asked:
                what = msg("Loading the file would make room for {n} values that are not in it.", n=asked)
                self.odd("pickle_allocation", what)
        special = self.calls.get(maker.path) if self.calls else None
        if special is None:
            return None
        self.use(maker, "called")
        return special(args)

    def _doubt_arguments(self, known: tuple[str, str], args: tuple[Any, ...]) -> None:
        """Note arguments that are computed where only what is written can be judged."""
        if known in pickle_calls.LOADERS and not pickle_calls.is_written(args):
            self.odd("pickle_computed_call", msg("Bytes that the pickle computes are loaded as a pickle."))
        if known in pickle_calls.SUBSCRIPTS and not pickle_calls.is_type(args[0]):
            self.odd("pickle_computed_global", msg("The pickle takes what it goes on with out of an object by a key."))

    def _reconstruct(self, name: str, args: tuple[Any, ...]) -> Instance:
        """What copyreg's helpers make; `_reconstructor(class, base, state)` also calls `base.__init__`."""
        if name != "_reconstructor":
            return self.create(args[0], args[1] if name == "__newobj_ex__" else args[1:], None)
        base = args[1] if len(args) > 1 else None
        if not isinstance(base, Global) or base.module != "builtins" or base.name not in pickle_calls.PLAIN_TYPES:
            self.use(base, "called")
            self.use(args[0], "called")
        return self.create(args[0], args[1:], None)

    def _use_arguments(self, args: Iterable[Any], classes: tuple[int, ...] = ()) -> None:
        """Who is given a function may call it: each among the arguments, or in a container there, counts as called."""
        for index, value in enumerate(islice(args, pickle_calls.MOST_ARGUMENTS)):
            held: Iterable[Any] = (value,)
            if type(value) in (tuple, list):
                held = value[: pickle_calls.MOST_ARGUMENTS]
            elif type(value) is dict:
                held = islice(value.values(), pickle_calls.MOST_ARGUMENTS)
            for one in held:
                if isinstance(one, Global):
                    self.use(one, "created" if index in classes else "called")
                elif pickle_calls.is_bound(one) or pickle_calls.is_holder(one):
                    self._give(one)

    def _give(self, function: Instance) -> None:
        """A function that the pickle made is given to what may call it."""
        inner = pickle_calls.held(function).function if pickle_calls.is_holder(function) else None
        if isinstance(inner, Global):
            self.use(inner, "called")
        else:
            self.odd("pickle_computed_call", msg("A function that is looked up on an object is given to another."))

    def _attribute(self, args: tuple[Any, ...]) -> Any:
        """`getattr(Class, "member")` (enumerations, nested classes): a dotted global. Of an object: a bound method.

        Neither runs anything by itself; what is then called is noted as always. None for any other look-up.
        """
        owner, member = args[0], args[1] if len(args) > 1 else None
        if not isinstance(member, str) or not member.isidentifier():
            return None
        if isinstance(owner, Global):
            return self.name(owner.module, f"{owner.name}.{member}")
        if isinstance(owner, Instance | str | bytes | list | dict | set) and not member.startswith("__"):
            self._look_up_on(owner, member)
            return Instance(Global("builtins", "getattr", self.offset), args, None, "called", self.offset)
        return None

    def _look_up_on(self, owner: Any, member: str) -> None:
        """Note what is looked up: step by step, any module can be reached from any object."""
        if pickle_calls.is_bound(owner):
            what = msg("The pickle takes attributes of what it looked up on an object, step by step.")
            self.odd("pickle_computed_global", what)
        elif isinstance(owner, Instance) and isinstance(owner.maker, Global):
            self.name(owner.maker.module, f"{owner.maker.name}.{member}")

    def create(self, maker: Any, args: Any, kwargs: Any) -> Instance:
        """An object of a class, without a call of anything but its `__new__`."""
        self.use(maker, "created")
        if not isinstance(maker, Global):
            self.odd("pickle_computed_call", msg("An object is made of a class that the pickle computed, not named."))
        else:
            self._use_arguments((*args, kwargs) if isinstance(args, tuple) else (kwargs,))
        return Instance(maker, args, kwargs, "created", self.offset)

    def build(self, target: Any, state: Any) -> None:
        """BUILD: set an object's state. On anything but an Instance no pickler would."""
        if isinstance(target, Instance):
            self._changed(target)
            target.state = state
            self.use(target.maker, "built")
            name = pickle_calls.stand_in(state)
            if name is not None:
                what = msg("A function stands where {name}() of an object is called.", name=name)
                self.odd("pickle_type_confusion", what)
        elif isinstance(target, Global):
            self.use(target, "called")
            self.odd("pickle_type_confusion", msg("Attributes of {path} itself are overwritten.", path=target.path))
        else:
            self.odd(
                "pickle_type_confusion",
                msg("The state of a {type} is set, which has none.", type=type(target).__name__),
            )

    def _changed(self, target: Instance) -> None:
        """Something is set on an object; one that the program itself uses is not the pickle's to change.

        Picklers write an object's values, then its pairs, then its state: after that, its own methods would be called.
        """
        maker = target.maker
        if target.state is not None:
            self.odd("pickle_type_confusion", msg("An object is changed after its state was set."))
        if pickle_calls.is_bound(target):
            self.odd("pickle_type_confusion", msg("What was looked up on an object is changed."))
        if target.how == "called" and isinstance(maker, Global) and (maker.module, maker.name) in pickle_calls.SHARED:
            what = msg("Attributes of what {path} returns are overwritten.", path=maker.path)
            self.odd("pickle_type_confusion", what)

    def set_item(self, target: Any, key: Any, value: Any) -> None:
        """SETITEM(S): one pair into a dictionary or an object that acts as one."""
        if type(key) is not str:
            self.keys.check(key, self.offset)
        if type(target) is dict:
            target[key] = value
        elif isinstance(target, Instance):
            self._changed(target)
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
                self.keys.check(value, self.offset)
                target.add(value)
        elif isinstance(target, Instance):
            self._changed(target)
            if target.items is None:
                target.items = []
            target.items.extend(values)
        else:
            self.odd(
                "pickle_type_confusion",
                msg("Values are appended to a {type}, which is not a list.", type=type(target).__name__),
            )

    def look_up(self, persistent_id: Any) -> Any:
        """What the container makes of a persistent id; an oddity where nothing is known of it."""
        found = self.hook(persistent_id, self.offset)
        if isinstance(found, Persistent):
            what = msg("An object comes from outside the pickle: only the program that loads it knows what it is.")
            self.odd("pickle_persistent_id", what)
        return found

    def place(self) -> int:
        """A place in the memo, written as text: a size, as unpicklers want it; larger ones can be made to collide."""
        place = int(self.cursor.line())
        if not 0 <= place < 2**63:
            self.fail(msg("A place in the pickle's memo is no size."))
        return place

    def memorize(self, place: int) -> None:
        """Put what is on top into the memo. Unpicklers in C make room for every place before it."""
        if place > self.cursor.position + _FAR:
            self.odd("pickle_memo", msg("The pickle's memo is filled far beyond what the file holds."))
        self.memo[place] = self.stack[-1]
