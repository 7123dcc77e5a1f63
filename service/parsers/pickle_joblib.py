"""Pickles that joblib writes: the bytes of an array lie inside the stream, behind the object that describes it.

Knows where they begin and how many there are, and passes over them; knows no array's meaning and runs nothing.
Source: joblib/numpy_pickle.py (`NumpyArrayWrapper.write_array`, `read_array`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.config import Limits
from service.language import msg
from service.parsers.pickle_cursor import Cursor
from service.parsers.pickle_machine import Machine, PersistentHook
from service.parsers.pickle_opcodes import NO_CALLS, run, run_machine
from service.parsers.pickle_types import WEIGHT_OF, Instance, Persistent, Trace
from service.source import Source

WRAPPERS = frozenset(
    {"joblib.numpy_pickle.NumpyArrayWrapper", "sklearn.externals.joblib.numpy_pickle.NumpyArrayWrapper"}
)
_WRAPPER_NAMES = frozenset(tuple(path.rsplit(".", 1)) for path in WRAPPERS)
_ALIGNMENT = "numpy_array_alignment_bytes"
_MAX_BYTES = 2**63 - 1


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


class _Joblib(Machine):
    """The machine, with arrays behind their wrappers."""

    __slots__ = ("source", "stream")

    def __init__(self, source: Source, offset: int, limits: Limits, hook: PersistentHook) -> None:
        self.stream = _Frames(source, offset, limits.pickle_argument_bytes)
        self.source = source
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
        trace = run(self.source, start, self.source.meter.limits, self.hook)
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


def run_joblib(source: Source, offset: int, limits: Limits, hook: PersistentHook = Persistent) -> Trace:
    """One pickle from `offset` to its STOP, as `pickle_opcodes.run`; an array's wrapper gets a `Raw` as its state."""
    return run_machine(_Joblib(source, offset, limits, hook), limits)


def names_joblib(trace: Trace) -> bool:
    """Whether a pickle names what joblib writes arrays behind: other unpicklers go on in the array's bytes."""
    return not _WRAPPER_NAMES.isdisjoint(trace.uses)


def _sizes(shape: Any) -> tuple[int, ...]:
    """The sizes of an array; -1, which nothing can multiply to a length, where they cannot be."""
    good = isinstance(shape, tuple) and len(shape) <= 64 and all(type(one) is int and one >= 0 for one in shape)
    return shape if good else (_MAX_BYTES + 1,)


def _item_bytes(dtype: Any) -> tuple[int, bool]:
    """Bytes of one element of a pickled `numpy.dtype`, and whether it holds Python objects; -1 for what is none."""
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
