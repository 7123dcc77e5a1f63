"""Arrays into `Weight`s: who learns them, which are the same bytes, how many there may be; knows no layer's class."""

from __future__ import annotations

from collections.abc import Hashable

from service.catalog.counting import check_weights
from service.catalog.torch_dtypes import is_gradient_type
from service.config import Limits
from service.plain import text
from service.tree import Group, Source

SAFE_LENGTH = 1000
"""Shorter texts of plain letters are shown as they are."""


class Ledger:
    """What is remembered of all weights of one file: how many, and under which name the bytes of each came first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._first: dict[Hashable, str] = {}
        self._made = 0

    def count(self, more: int = 1) -> None:
        """LimitExceeded for more weights than one analysis may describe."""
        self._made += more
        check_weights(self._made, self._limits)

    def tied(self, identity: Hashable, key: str) -> str | None:
        """The full name under which the same bytes were seen before, None if they were not."""
        first = self._first.setdefault(identity, key)
        return first if first != key else None


def safe(value: str) -> str:
    """`text(value)`, at once for what needs no change."""
    return value if value.isascii() and len(value) < SAFE_LENGTH else text(value)


def group_of(role: str, dtype: str | None) -> tuple[Group, bool | None, Source]:
    """Group, trainable and source of an array in a file that does not record who learns.

    Running statistics and whole numbers never learn by gradient, nor do packed kernels; of everything else the file
    does not tell.
    """
    if role in _STATISTICS:
        return "statistic", False, "rule"
    if not is_gradient_type(dtype):
        packed = is_packed_type(dtype) or role in _PACKED or (role.endswith("_kernel") and dtype != "bool")
        return ("frozen" if packed else "statistic"), False, "rule"
    return "unknown", None, "unknown"


def is_packed_type(dtype: str | None) -> bool:
    """Whether the elements of a type are the blocks of a quantisation (ggml's `q4_k`, `iq2_xs`, `mxfp4`)."""
    return dtype is not None and dtype.startswith(_BLOCKS) and not dtype.startswith(("qint", "quint"))


_BLOCKS = ("q", "iq", "tq", "mxfp", "nvfp")
_STATISTICS = {"moving_mean", "moving_variance", "num_batches_tracked", "spectral_vector", "quant_scale", "zero_point",
               "position_ids", "mask", "count"}  # fmt: skip
_PACKED = {"kernel", "weight", "packed_kernel", "embedding"}
