"""Writes pickles as joblib does, with arrays inside the stream; no expectations in here."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np


def body(value: Any) -> bytes:
    """The opcodes that make a plain value: a pickle of protocol 2 without its ends."""
    return pickle.dumps(value, 2)[2:-1]


def wrapper(array: Any, *, module: str = "joblib.numpy_pickle", aligned: bool = True, **changed: Any) -> bytes:
    """The object that stands for an array, and the array's bytes behind it, aligned to 16 as by default."""
    state: dict[str, Any] = {
        "shape": array.shape, "order": "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C",
        "dtype": array.dtype, "allow_mmap": True,
    }  # fmt: skip
    if aligned:
        state["numpy_array_alignment_bytes"] = 16
    made = f"c{module}\nNumpyArrayWrapper\n".encode() + b")\x81" + body({**state, **changed}) + b"b"
    if array.dtype.hasobject:
        return made + pickle.dumps(array, 2)
    data = array.tobytes("A" if state["order"] == "F" else "C")
    return made + (b"\x03\xff\xff\xff" if aligned else b"") + data


def mapping(items: dict[str, bytes]) -> bytes:
    """A whole pickle of a dictionary whose values are given as opcodes."""
    return b"\x80\x02}(" + b"".join(body(key) + value for key, value in items.items()) + b"u."


SAMPLE = {
    "a/kernel": np.arange(12, dtype="<f4").reshape(3, 4),
    "a/bias": np.arange(4, dtype="<f4"),
    "order": np.asfortranarray(np.arange(6, dtype="<f8").reshape(2, 3)),
    "big": np.arange(3, dtype=">i4"),
    "record": np.zeros(2, [("x", "<i4"), ("y", "<f8", (2,))]),
    "words": np.array(["x", "yyy"]),
}


def sample() -> bytes:
    """A stream with arrays of every kind, and one of objects that holds an array."""
    made = {key: wrapper(array) for key, array in SAMPLE.items()}
    made["objects"] = wrapper(np.array([None, np.ones(5), {"k": np.ones((2, 2))}], dtype=object))
    return mapping({**made, "after": body(7)})
