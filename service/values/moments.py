"""Sums of finite numbers in double precision, block by block; knows numbers only. Error bounds: see `statistics`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from service.values.channels import RUN, Channels
from service.values.elements import Array

BLOCK = 1 << 16
"""Numbers converted to double precision at once: 512 KiB, which stays in a core's own cache."""


class Moments:
    """Count, mean, spread about the mean, and norms of all numbers added so far."""

    def __init__(self) -> None:
        self.count = 0
        self._mean = 0.0
        self._spread = 0.0
        self._absolute = 0.0
        self._squares = 0.0
        self._block = np.empty(BLOCK)
        self._scratch = np.empty(BLOCK)

    def add(self, numbers: Array, channels: Channels | None) -> None:
        """Add finite numbers, and hand each block of them to `channels`."""
        with np.errstate(over="ignore", invalid="ignore"):
            for first in range(0, numbers.size, BLOCK):
                block = self._block[: min(BLOCK, numbers.size - first)]
                np.copyto(block, numbers[first : first + BLOCK])
                self._add_block(block)
                if channels is not None:
                    channels.add(block)

    def _add_block(self, block: Array) -> None:
        size, scratch = block.size, self._scratch[: block.size]
        mean = _dot(block, _ONES) / size
        np.abs(block, out=scratch)
        self._absolute += _dot(scratch, _ONES)
        np.subtract(block, mean, out=scratch)
        spread = _dot(scratch, scratch)
        self._squares += spread + size * mean * mean
        total = self.count + size
        shift = mean - self._mean
        self._mean += shift * size / total
        self._spread += spread + shift * shift * self.count * size / total
        self.count = total

    def result(self) -> dict[str, Any]:
        """`mean`, `std` (of the population), `l1`, `l2`; nothing if there were no numbers."""
        if not self.count:
            return {}
        return {
            "mean": self._mean,
            "std": math.sqrt(self._spread / self.count),
            "l1": self._absolute,
            "l2": math.sqrt(self._squares),
        }


_ONES = np.ones(BLOCK)


def _dot(left: Array, right: Array) -> float:
    """Sum of products, in runs of `RUN`; `right` may be longer."""
    whole = left.size - left.size % RUN
    found = float(np.dot(left[whole:], right[whole : left.size]))
    if whole:
        runs = np.vecdot(left[:whole].reshape(-1, RUN), right[:whole].reshape(-1, RUN))
        found += float(runs.sum())
    return found
