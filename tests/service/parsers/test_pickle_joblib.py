"""joblib's streams: arrays are passed over by their size, and what follows them is read."""

from __future__ import annotations

import numpy as np
import pytest

from service.config import Limits
from service.errors import InputError, MalformedFile, TruncatedFile
from service.parsers.pickle_joblib import Meant, Misreading, Raw, names_joblib, run_ignorant, run_joblib
from service.parsers.pickle_types import Trace
from service.source import BytesSource, Meter
from tests.service.parsers.joblib_pickler import dumped
from tests.service.parsers.joblibs import SAMPLE, body, mapping, sample, wrapper


def run(data: bytes) -> Trace:
    return run_joblib(BytesSource(data, Meter(Limits())), 0, Limits())


def test_arrays_lie_where_they_are_said_to() -> None:
    """The bytes at each place are the array's; what comes after the last one is read too."""
    data = sample()
    trace = run(data)
    assert trace.broken is None
    assert trace.end == len(data)
    assert trace.value["after"] == 7
    for key, array in SAMPLE.items():
        raw = trace.value[key].state
        assert isinstance(raw, Raw)
        assert raw.state["shape"] == array.shape
        order = "A" if raw.state["order"] == "F" else "C"
        assert data[raw.offset : raw.offset + (raw.length or 0)] == array.tobytes(order)


def test_an_array_of_objects_is_a_pickle_in_place() -> None:
    """It is followed, and the names in it are noted."""
    trace = run(sample())
    raw = trace.value["objects"].state
    assert raw.length is None
    assert raw.value.path.endswith("multiarray._reconstruct")
    assert any(use.name == "_reconstruct" for use in trace.uses.values())


@pytest.mark.parametrize("module", ["joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle"])
def test_wrappers_of_older_versions_are_known(module: str) -> None:
    """Without alignment, and from scikit-learn's own copy."""
    array = np.arange(5, dtype="<f4")
    trace = run(mapping({"a": wrapper(array, module=module, aligned=False), "b": body("x")}))
    assert (trace.value["a"].state.length, trace.value["b"]) == (20, "x")


def test_frames_end_before_arrays() -> None:
    """Protocol 4 closes its frame before an array: nothing odd about it."""
    made = mapping({"a": wrapper(np.ones(9))})[2:]
    at = made.index(b"b\x03\xff") + 1
    data = b"\x80\x04\x95" + at.to_bytes(8, "little") + made
    trace = run(data)
    assert (trace.broken, trace.oddities) == (None, [])
    assert trace.value["a"].state.length == 72


BROKEN: dict[str, tuple[bytes, type[InputError]]] = {
    "array cut off": (sample()[:300], TruncatedFile),
    "endless array": (mapping({"a": wrapper(np.ones(3), shape=(2**50,))}), TruncatedFile),
    "impossible array": (mapping({"a": wrapper(np.ones(3), shape=(2**62, 2**62))}), MalformedFile),
    "negative size": (mapping({"a": wrapper(np.ones(3), shape=(-3,))}), MalformedFile),
    "no shape": (mapping({"a": wrapper(np.ones(3), shape="x")}), MalformedFile),
    "no type": (mapping({"a": wrapper(np.ones(3), dtype="f8")}), MalformedFile),
    "objects cut off": (mapping({"a": wrapper(np.array([None], dtype=object))})[:-10], TruncatedFile),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_is_refused_with_its_place(name: str) -> None:
    """The exact error, and where."""
    data, kind = BROKEN[name]
    broken = run(data).broken
    assert type(broken) is kind
    assert broken.info.offset is not None


def test_a_stream_cut_anywhere_is_truncated_or_malformed() -> None:
    """At every byte."""
    data = sample()
    for length in range(2, len(data)):
        assert isinstance(run(data[:length]).broken, MalformedFile)


def test_whether_joblib_is_named_at_all() -> None:
    """By the class that stands for arrays, of any of its homes; other classes of joblib do not put bytes between."""
    array = np.ones(2)
    for module in ("joblib.numpy_pickle", "sklearn.externals.joblib.numpy_pickle"):
        assert names_joblib(run(mapping({"a": wrapper(array, module=module)})))
    assert not names_joblib(run(mapping({"a": b"cjoblib.numpy_pickle\nNDArrayWrapper\n"})))
    assert not names_joblib(run(mapping({"a": body("joblib.numpy_pickle.NumpyArrayWrapper")})))


OBJECTS = {"a": np.array(["x", None, np.ones(3)], dtype=object), "b": np.arange(4), "c": [np.array(["y"], object)]}


@pytest.mark.parametrize("inner", [2, 4, 5])
@pytest.mark.parametrize("protocol", range(2, 6))
def test_pickles_of_objects_are_read_in_every_protocol(protocol: int, inner: int) -> None:
    """With a memo of their own, whichever joblib writes for them, and frames around or not: nothing odd is found."""
    trace = run(dumped(OBJECTS, protocol, inner))
    assert (trace.broken, trace.oddities) == (None, [])
    first = trace.value["a"].state.value
    assert first.state[4][:2] == ["x", None]
    assert first.state[4][2].path.endswith(("_reconstruct", "_frombuffer"))
    assert trace.value["c"][0].state.value.state[4] == ["y"]
    homes = ("joblib.numpy_pickle", "numpy", "_codecs")
    assert all((use.module or "").startswith(homes) for use in trace.uses.values())


def ignorant(data: bytes, *, believed: bool) -> Trace:
    """The run of an unpickler that does not know joblib."""
    meant, source = Meant(), BytesSource(data, Meter(Limits()))
    run_joblib(source, 0, Limits(), meant=meant)
    misreading = Misreading(lambda *_names: believed, lambda _value: believed)
    return run_ignorant(source, 0, Limits(), meant, misreading)


def test_another_unpickler_has_other_names_in_a_pickle_of_objects() -> None:
    """It goes on with the memo of the pickle around: the module of `numpy.dtype` is a key there."""
    data = dumped({"key": {"other": OBJECTS["a"]}})
    assert ("numpy", "dtype") in ignorant(data, believed=True).uses
    modules = {use.module for use in ignorant(data, believed=False).uses.values() if use.name == "dtype"}
    assert modules - {"numpy"}


def test_another_unpickler_takes_numbers_for_opcodes() -> None:
    """There nothing is meant that could be believed instead."""
    array = np.frombuffer(b"0cos\nsystem\n.", "u1")
    trace = ignorant(mapping({"a": wrapper(array, aligned=False)}), believed=True)
    assert ("os", "system") in trace.uses


def test_texts_of_any_length_are_pickled_as_objects() -> None:
    """NumPy 2's type of texts: no bytes of a known size follow, a pickle does."""
    if not hasattr(np.dtypes, "StringDType"):
        pytest.skip("NumPy before 2 has no such type")
    trace = run(dumped([np.array(["a", "bcd"], np.dtypes.StringDType()), 7]))
    assert trace.broken is None
    assert trace.value[1] == 7
