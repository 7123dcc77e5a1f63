"""Joblib's pickles of objects, as an unpickler reads them that does not know joblib."""

from __future__ import annotations

import collections
import datetime as dt
import decimal
import fractions
import pickle
import pickletools
from typing import Any

import numpy as np
import pytest

from service.catalog.numpy_pickles import Pickled, open_pickle
from service.config import Limits
from service.source import BytesSource, Meter
from tests.service.parsers.joblib_pickler import dumped
from tests.service.parsers.joblibs import mapping, wrapper
from tests.service.parsers.pickles import text


def opened(data: bytes) -> Pickled:
    return open_pickle(BytesSource(data, Meter(Limits())), 0, Limits())


def serious(data: bytes) -> set[tuple[str, str | None]]:
    return {(one.severity, one.detail) for one in opened(data).dangers if one.severity in ("critical", "high")}


def objects(*held: Any) -> Any:
    made = np.empty(len(held), dtype=object)
    made[:] = held
    return made


class Encoder:
    """Stands for a class of a library."""

    def __init__(self, held: Any) -> None:
        self.classes_ = held


HELD: dict[str, Any] = {
    "words": objects("no", "yes"),
    "plain values": objects(1, 2.5, None, b"x", 1j, frozenset([2]), {"a": [3]}),
    "NumPy's numbers": objects(np.float64(1), np.float64(2), np.int8(3), np.datetime64("2020")),
    "arrays": objects(np.ones(2), np.zeros((2, 2)), np.float32(1)),
    "arrays of objects": objects(objects("a", np.ones(1)), objects("b")),
    "moments": objects(dt.date(2020, 1, 1), dt.datetime(2020, 1, 1), dt.timedelta(1)),  # noqa: DTZ001
    "numbers": objects(decimal.Decimal(1), decimal.Decimal(2), fractions.Fraction(1, 2)),
    "containers": objects(collections.OrderedDict(a=1), collections.deque([1]), collections.Counter("aa")),
    "objects": objects(Encoder(np.ones(2)), Encoder(np.zeros(3))),
    "types and functions": objects(np.float32, np.dtype("f4"), int, np.mean),
    "a field of a record": np.array([(1, "a"), (2, "b")], [("x", "i4"), ("o", "O")]),
    "a value without axes": np.array(None),
}
AROUND: dict[str, Any] = {
    "alone": lambda value: value,
    "an attribute": Encoder,
    "a key": lambda value: {"a": np.ones(3), "x": value, "y": [value, objects("again")]},
    "an object that is called for": lambda value: collections.OrderedDict(x=value),
    "behind others": lambda value: [dt.date(2020, 1, 1), decimal.Decimal(1), np.random.RandomState(1), value],
}


@pytest.mark.parametrize("inner", [2, 4, 5])
@pytest.mark.parametrize("held", HELD)
def test_ordinary_arrays_of_objects_are_no_danger(held: str, inner: int) -> None:
    """Of whatever, in whatever, by joblib of every age: read to the end, and nothing serious said of it."""
    for protocol in range(2, 6):
        for make in AROUND.values():
            data = dumped(make(HELD[held]), protocol, inner)
            assert opened(data).broken is None
            assert serious(data) == set()


def test_the_test_misreads_names() -> None:
    """The pickler writes what it is here for: `pickle.load` fails on it, for a name is something else there."""
    with pytest.raises((pickle.UnpicklingError, AttributeError, ImportError)):
        pickle.loads(dumped(Encoder(objects("a"))))


KEPT, DROPPED, TWICE = b"\x94", b"0", b"h\0h\1\x93"


def crafted(outer: bytes, inner: bytes, call: bytes) -> bytes:
    """Opcodes that fill a memo's first places, in the pickle and in its array of objects, which calls what is there."""
    state = {"shape": (1,), "order": "C", "dtype": np.dtype("O"), "allow_mmap": False}
    kept_nothing = pickletools.optimize(pickle.dumps(state, 2))[2:-1]
    array = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81" + kept_nothing + b"b"
    return b"\x80\x04" + outer + array + b"\x80\x04" + inner + call + text("f4") + b"\x85R." + b"."


def named(module: str, name: str) -> bytes:
    return text(module) + KEPT + text(name) + KEPT + DROPPED * 2


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        (("os", "system"), ("numpy", "dtype"), {("critical", "os.system")}),
        (("builtins", "eval"), ("numpy", "dtype"), {("critical", "builtins.eval")}),
        (("posix", "dtype"), ("numpy", "dtype"), set()),
        (("os", "system"), ("math", "system"), {("critical", "os.system")}),
        (("pandas", "read_pickle"), ("math", "read_pickle"), {("high", "pandas.read_pickle")}),
        (("pandas", "read_pickle"), ("numpy", "dtype"), {("high", "pandas.read_pickle")}),
        (("numpy", "load"), ("numpy", "dtype"), {("critical", "numpy.load")}),
        (("classes_", "dtype"), ("numpy", "dtype"), set()),
    ],
)
def test_what_is_misread_on_purpose_is_told(
    outer: tuple[str, str], inner: tuple[str, str], expected: set[tuple[str, str]]
) -> None:
    """What `pickle.load` would call, though joblib calls something harmless at the same place."""
    assert serious(crafted(named(*outer), named(*inner), TWICE)) == expected


MADE = b"cfunctools\npartial\ncpandas\nread_pickle\n\x8c\x01x\x86R"


@pytest.mark.parametrize(
    ("outer", "expected"),
    [
        (b"cpandas\nread_pickle\n", {("high", "pandas.read_pickle")}),
        (b"cnumpy\nload\n", {("critical", "numpy.load"), ("high", "numpy.load")}),
        (MADE, {("high", None), ("high", "pandas.read_pickle")}),
        (b"csklearn.tree\nDecisionTree\n", set()),
        (b"csklearn.tree\nDecisionTree\n)\x81", set()),
        (b"cnumpy\ndtype\n", set()),
        (text("coef_"), set()),
    ],
)
def test_another_function_in_the_memo_is_told(outer: bytes, expected: set[tuple[str, str | None]]) -> None:
    """A function, or what was made of one, lies where joblib has a class; what ordinary files keep does not."""
    assert serious(crafted(outer + KEPT + DROPPED, b"cnumpy\ndtype\n" + KEPT + DROPPED, b"h\0")) == expected


def test_opcodes_in_numbers_are_told_as_before() -> None:
    """An array of numbers has nothing that is meant otherwise."""
    payload = np.frombuffer(b"0cos\nsystem\n\x8c\x02id\x85R.", "u1")
    assert serious(mapping({"a": wrapper(payload, aligned=False)})) == {("critical", "os.system")}
