"""NumPy's element types by their codes, and records of them."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from service.catalog.numpy_types import Element, element_of, fields_of, record_bytes

PLAIN = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
         "float64", "complex64", "complex128"]  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_numbers_have_their_names_and_sizes(name: str) -> None:
    """In both byte orders; only the little-endian ones lie as values are read."""
    dtype = np.dtype(name)
    assert element_of(dtype.str) == Element(name, dtype.itemsize)
    assert element_of(dtype.newbyteorder(">").str) == Element(name, dtype.itemsize, dtype.itemsize > 1)


@pytest.mark.parametrize(("code", "expected"), [
    ("|O", Element("object", None)), ("<U5", Element("string", 20)), ("|S5", Element("string", 5)),
    ("<M8[ns]", Element("datetime64", 8)), ("<m8[D]", Element("timedelta64", 8)), ("|V16", Element("void128", 16)),
    (np.dtype(ml_dtypes.bfloat16).str, Element("bfloat16", 2)), ("?", Element("bool", 1)),
    ("<q4", None), ("", None), (None, None), ("<f4<f4", None), (["a"], None),
])  # fmt: skip
def test_other_codes(code: Any, expected: Element | None) -> None:
    """Texts, times, objects, bytes without a type; None for what NumPy does not write."""
    assert element_of(code) == expected


@pytest.mark.parametrize("dtype", [
    [("a", "<i4"), ("b", "<f8", (2, 3))], [("x", [("y", "|u1"), ("z", "<U3", (2,))], (4,))],
    {"names": ["a", "b"], "formats": ["i1", "<f8"], "offsets": [0, 8], "itemsize": 24}, "<f4",
])  # fmt: skip
def test_records_have_the_bytes_that_numpy_gives_them(dtype: Any) -> None:
    """Padding included."""
    fields = fields_of(np.lib.format.dtype_to_descr(np.dtype(dtype)))
    assert fields is not None
    assert record_bytes(fields) == np.dtype(dtype).itemsize


@pytest.mark.parametrize("descr", [[("a",)], [("a", "<q4")], [(1, "<f4")], [("a", "<f4", (-1,))], {}, [["a", "<f4"]]])
def test_what_is_no_record_is_none(descr: Any) -> None:
    """A field without a type, with an unknown one, without a name, with a size that cannot be."""
    assert fields_of(descr) is None
