"""Whether numbers were rounded to a smaller type and are stored in a larger one; knows IEEE 754, no model."""

from __future__ import annotations

import numpy as np

from service.compare.arrays import Array

_HALF_STEP = 2.0**-24
"""Half of the smallest float16 above zero, rounded up."""


def rounded_to(left: Array, right: Array) -> str | None:
    """`float16` or `bfloat16` where one of two float32 arrays is the other, rounded; else None."""
    if left.dtype != np.float32 or right.dtype != np.float32 or left.shape != right.shape:
        return None
    for coarse, fine in ((right, left), (left, right)):
        for dtype, bits, step in (("float16", 11, _HALF_STEP), ("bfloat16", 7, 0.0)):
            if _is(dtype, coarse) and bool(np.all(np.abs(coarse - fine) <= 2.0**-bits * np.abs(fine) + step)):
                return dtype
    return None


def _is(dtype: str, array: Array) -> bool:
    """Whether float32 numbers have no more digits than the type."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return bool((array.astype(np.float16).astype(np.float32) == array).all())
    return not (np.ascontiguousarray(array).view(np.uint32) & 0xFFFF).any()
