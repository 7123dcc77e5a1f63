"""Pickles that joblib writes: the bytes of an array lie inside the stream, behind the object that describes it.

Knows where they begin and how many there are, and passes over them; knows no array's meaning and runs nothing. Knows
too what an unpickler that does not know joblib takes them for: opcodes, run with the memo of the pickle around them.
Source: joblib/numpy_pickle.py (`NumpyArrayWrapper.write_array`, `read_array`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from service.config import Limits
from service.language import msg
from service.parsers.pickle_cursor import Cursor
from service.parsers.pickle_machine import Machine, PersistentHook
from service.parsers.pickle_opcodes import NO_CALLS, run_machine
from service.parsers.pickle_types import WEIGHT_OF, Global, Instance, Persistent, Trace
from service.source import Source

WRAPPERS = frozenset(
    {"joblib.numpy_pickle.NumpyArrayWrapper", "sklearn.externals.joblib.numpy_pickle.NumpyArrayWrapper"}
)
_WRAPPER_NAMES = frozenset(tuple(path.rsplit(".", 1)) for path in WRAPPERS)
HOMES = frozenset(module for module, _ in _WRAPPER_NAMES)
"""Modules of joblib that an ordinary file names."""
_ALIGNMENT = "numpy_array_alignment_bytes"
_MAX_BYTES = 2**63 - 1
_TEXTS = "numpy._core._internal._convert_to_stringdtype_kwargs"
"""What makes the type of texts of any length, which NumPy pickles as it does objects."""
_MOST_MEANT = 100_000
"""How many places of the pickles of objects are remembered: files by joblib have few, and memory is bounded."""

Name = tuple[Any, Any]
"""Module and name as an unpickler has them: texts, or whatever else lies where they should."""


@dataclass(slots=True)
class Meant:
    """What joblib's unpickler has in the pickles of objects, where another unpickler may have something else.

    Attributes:
        taken: What an opcode takes out of the memo, by the opcode's offset.
        names: Which name an opcode looks up, by its offset.
    """

    taken: dict[int, Any] = field(default_factory=dict)
    names: dict[int, Name] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Misreading:
    """When an unpickler that does not know joblib is believed to have nothing else than what is meant.

    Attributes:
        of_name: Whether a name, given as it is meant and as it is read, is.
        of_value: Whether a value that is taken out of the memo is, in the place of one that is named or a name itself.
    """

    of_name: Callable[[Name, Name], bool]
    of_value: Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class Raw:
    """An array whose bytes lie in the stream: what BUILD gave its wrapper, and where; or the object it was pickled as.

    `length` is None, and `value` the object, where it holds Python objects, which joblib pickles in place.
    """

    state: dict[Any, Any]
    offset: int
    length: int | None
    value: Any = None


class _Frames(Cursor):
    """A cursor that can be told that what follows belongs to no frame."""

    __slots__ = ()

    def leave_ended_frame(self) -> None:
        """Forget a frame whose end is here."""
        if self._frame_end is not None and self.position >= self._frame_end:
            self._frame_end = None
            self._narrow()


class _Memo(dict[int, Any]):
    """A memo that shows to somebody what is taken out of it, and gives what is made of that."""

    __slots__ = ("shown",)

    def __init__(self, shown: Callable[[Any], Any]) -> None:
        super().__init__()
        self.shown = shown

    def __getitem__(self, place: int) -> Any:
        return self.shown(super().__getitem__(place))


class _Objects(Machine):
    """The machine over a pickle of objects in place of an array, which remembers what is meant in it."""

    __slots__ = ("meant",)

    def __init__(self, cursor: Cursor, limits: Limits, hook: PersistentHook, meant: Meant) -> None:
        super().__init__(cursor, limits.pickle_argument_bytes, hook, NO_CALLS)
        self.meant = meant
        self.memo = _Memo(self._taken)

    def name(self, module: Any, name: Any) -> Global:
        """See `Machine.name`."""
        if len(self.meant.names) < _MOST_MEANT:
            self.meant.names[self.offset] = (module, name)
        return super().name(module, name)

    def _taken(self, value: Any) -> Any:
        if len(self.meant.taken) < _MOST_MEANT:
            self.meant.taken[self.offset] = value
        return value


class _Ignorant(Machine):
    """The machine of an unpickler that does not know joblib.

    It runs a pickle of objects as a part of the one around it, whose memo is filled already: what that pickle takes
    out of its own memo is something else here. Of an ordinary file that is nonsense, and no unpickler comes far with
    it; of another it is what the file's author wants to be run.
    """

    __slots__ = ("meant", "misreading")

    def __init__(
        self, cursor: Cursor, limits: Limits, hook: PersistentHook, meant: Meant, misreading: Misreading
    ) -> None:
        super().__init__(cursor, limits.pickle_argument_bytes, hook, NO_CALLS)
        self.meant = meant
        self.misreading = misreading
        self.memo = _Memo(self._taken)

    def name(self, module: Any, name: Any) -> Global:
        """See `Machine.name`."""
        read = (module, name)
        meant = self.meant.names.get(self.offset, read)
        return super().name(*(meant if meant != read and self.misreading.of_name(meant, read) else read))

    def _taken(self, value: Any) -> Any:
        meant = self.meant.taken.get(self.offset, value)
        named = isinstance(value, Global) or isinstance(meant, Global)
        return meant if named and meant is not value and self.misreading.of_value(value) else value


class _Joblib(Machine):
    """The machine, with arrays behind their wrappers."""

    __slots__ = ("limits", "meant", "source", "stream")

    def __init__(self, source: Source, offset: int, limits: Limits, hook: PersistentHook, meant: Meant) -> None:
        self.stream = _Frames(source, offset, limits.pickle_argument_bytes)
        self.source = source
        self.limits = limits
        self.meant = meant
        super().__init__(self.stream, limits.pickle_argument_bytes, hook, NO_CALLS)

    def build(self, target: Any, state: Any) -> None:
        """See `Machine.build`; an array's bytes follow its wrapper's state."""
        super().build(target, state)
        if isinstance(target, Instance) and target.path in WRAPPERS and type(state) is dict:
            target.state = self._array(state)

    def _array(self, state: dict[Any, Any]) -> Raw:
        self.stream.leave_ended_frame()
        size, objects = _item_bytes(state.get("dtype"))
        if objects:
            return self._objects(state)
        length = size
        for one in _sizes(state.get("shape")):
            length *= one
        if size < 0 or length > _MAX_BYTES:
            self.fail(msg("An array in the stream is described in a way that joblib does not write."))
        if type(state.get(_ALIGNMENT)) is int:
            self.stream.skip(self.stream.byte())
        return Raw(state, self.stream.skip(length), length)

    def _objects(self, state: dict[Any, Any]) -> Raw:
        """An array of Python objects: a pickle of its own, in place."""
        start = self.stream.position
        cursor = Cursor(self.source, start, self.limit)
        trace = run_machine(_Objects(cursor, self.limits, self.hook, self.meant), self.limits)
        for key, use in trace.uses.items():
            known = self.trace.uses.get(key)
            if known is None or WEIGHT_OF[use.how] > WEIGHT_OF[known.how]:
                self.trace.uses[key] = use
        self.trace.oddities.extend(trace.oddities)
        self.trace.texts.extend(trace.texts)
        if trace.broken is not None:
            raise trace.broken
        self.stream.skip(trace.end - start)
        return Raw(state, start, None, trace.value)


def run_joblib(
    source: Source, offset: int, limits: Limits, hook: PersistentHook = Persistent, meant: Meant | None = None
) -> Trace:
    """One pickle from `offset` to its STOP, as `pickle_opcodes.run`; an array's wrapper gets a `Raw` as its state.

    `meant` is filled for `run_ignorant`.
    """
    return run_machine(_Joblib(source, offset, limits, hook, Meant() if meant is None else meant), limits)


def run_ignorant(source: Source, offset: int, limits: Limits, meant: Meant, misreading: Misreading,
                 hook: PersistentHook = Persistent) -> Trace:  # fmt: skip
    """The pickle as an unpickler runs it that takes the arrays' bytes for opcodes, of what `run_joblib` says is meant.

    Where `misreading` has it that this changes nothing, what is meant is gone on with.
    """
    cursor = Cursor(source, offset, limits.pickle_argument_bytes)
    return run_machine(_Ignorant(cursor, limits, hook, meant, misreading), limits)


def names_joblib(trace: Trace) -> bool:
    """Whether a pickle names what joblib writes arrays behind: other unpicklers go on in the array's bytes."""
    return not _WRAPPER_NAMES.isdisjoint(trace.uses)


def _sizes(shape: Any) -> tuple[int, ...]:
    """The sizes of an array; -1, which nothing can multiply to a length, where they cannot be."""
    good = isinstance(shape, tuple) and len(shape) <= 64 and all(type(one) is int and one >= 0 for one in shape)
    return shape if good else (_MAX_BYTES + 1,)


def _item_bytes(dtype: Any) -> tuple[int, bool]:
    """Bytes of one element of a pickled `numpy.dtype`, and whether it holds Python objects; -1 for what is none."""
    if isinstance(dtype, Instance) and dtype.path == _TEXTS:
        return 0, True
    if not isinstance(dtype, Instance) or not dtype.positional or not isinstance(dtype.positional[0], str):
        return -1, False
    code, state = dtype.positional[0], dtype.state
    if code[:1] == "O" or _holds_objects(state):
        return 0, True
    size = state[5] if isinstance(state, tuple) and len(state) > 5 else -1
    if type(size) is int and size > 0:
        return size, False
    return (int(code[1:]), False) if code[1:].isdigit() and len(code) < 12 else (-1, False)


def _holds_objects(state: Any) -> bool:
    """Whether a record type has a field of objects: NumPy sets the lowest flag of a type that does."""
    flags = state[7] if isinstance(state, tuple) and len(state) > 7 else 0
    return type(flags) is int and bool(flags & 1)
