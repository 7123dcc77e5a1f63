"""Pickles as joblib's own pickler writes them, with the memo and the frames that it makes; no expectations in here.

After `joblib.numpy_pickle.NumpyPickler`: joblib is not among the packages of the tests.
"""

from __future__ import annotations

import io
import pickle
import sys
from types import ModuleType
from typing import Any
from unittest import mock

import numpy as np

_HOME = "joblib.numpy_pickle"


class NumpyArrayWrapper:
    """What stands for an array."""

    def __init__(self, array: Any) -> None:
        self.subclass = np.ndarray
        self.shape = array.shape
        self.order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
        self.dtype = array.dtype
        self.allow_mmap = not array.dtype.hasobject
        self.numpy_array_alignment_bytes = 16


NumpyArrayWrapper.__module__ = _HOME


class _Pickler(pickle._Pickler):
    """Puts the bytes of an array behind its wrapper, and a pickle of it where it holds objects."""

    def __init__(self, file: io.BytesIO, protocol: int, inner: int) -> None:
        super().__init__(file, protocol)
        self.file = file
        self.inner = inner

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """One object."""
        if type(obj) is not np.ndarray:
            super().save(obj, save_persistent_id)
            return
        super().save(NumpyArrayWrapper(obj))
        if self.proto >= 4:
            self.framer.commit_frame(force=True)
        if obj.dtype.hasobject:
            pickle.dump(obj, self.file, self.inner)
            return
        padding = 16 - (self.file.tell() + 1) % 16
        self.file.write(bytes([padding]) + b"\xff" * padding + obj.tobytes("A"))


def dumped(value: Any, protocol: int = 4, inner: int = 5) -> bytes:
    """As `joblib.dump` writes it; `inner` is the protocol of arrays of objects: 2 before joblib 1.5, 5 since."""
    home = ModuleType(_HOME)
    home.NumpyArrayWrapper = NumpyArrayWrapper  # type: ignore[attr-defined]
    file = io.BytesIO()
    with mock.patch.dict(sys.modules, {"joblib": ModuleType("joblib"), _HOME: home}):
        _Pickler(file, protocol, inner).dump(value)
    return file.getvalue()
