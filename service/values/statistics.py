"""All statistics of one weight in one pass over its codes, in bounded memory; knows no file and no layer.

Exactness and error bounds, for n values:
- Counts, minimum, maximum, histogram and exponents are exact. They come from counting the upper 16 bits of each code
  (sign, exponent, at least 4 bits of fraction): every edge of a histogram falls between two such codes.
- Sums are formed in double precision in runs of 8,192 and blocks of 65,536 values, and blocks are merged pairwise as
  in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979). The
  relative error of `l1`, `l2` and of the sum behind `mean` (relative to `l1`) is below (8,200 + n / 65,536) * 2**-53:
  2e-12 for 10**9 values. `std` is taken about each block's own mean, so nothing cancels.
- Types of up to 16 bits are counted code by code; each sum then has one term per code.
- Whole numbers beyond 2**53 are rounded to the nearest double. Sums of squares beyond 1.8e308 give no `l2` or `std`.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Protocol

import numpy as np
from blake3 import blake3

from service.measured import BINS, Exponents, Histogram, WeightStatistics
from service.values.channels import Channels
from service.values.elements import Array, Element, doubles
from service.values.moments import BLOCK, Moments

_CODES = 1 << 16
_FEW = 1 << 12
"""Up to so many values, sorting them is cheaper than a table of all codes."""
_SIGN = 1 << 15
_LEAST_POWER = -1016
"""Below it the edges of bins would be denormal doubles."""


class Accumulator(Protocol):
    """Takes flat chunks of codes, in C order, and says in the end what they show."""

    def add(self, codes: Array) -> None:
        """Look at one chunk."""
        ...

    def result(self) -> WeightStatistics:
        """What was seen in all chunks."""
        ...


def accumulator(element: Element, channels: Channels | None) -> Accumulator:
    """The accumulator for a type of element."""
    digest = blake3()
    if element.bits <= 16:
        return _Coded(element, channels, digest)
    return _Wide(element, channels, digest)


class _Tally:
    """How often each 16-bit number occurred."""

    def __init__(self) -> None:
        self._counts: Array | None = None
        self._few: list[Array] = []
        self._held = 0
        self._same: dict[int, int] = {}

    def add(self, codes: Array) -> Array | None:
        """Count; how often each number occurs in `codes` alone, None where that was not worth a table."""
        if self._counts is None and self._held + codes.size <= _FEW:
            self._few.append(codes.copy())
            self._held += codes.size
            return None
        if self._counts is None:
            self._counts = np.zeros(_CODES, np.int64)
            for kept in self._few:
                self._counts += np.bincount(kept, minlength=_CODES)
        found = np.bincount(codes, minlength=_CODES)
        self._counts += found
        return found

    def add_same(self, code: int, count: int) -> None:
        """One number that occurred `count` times."""
        self._same[code] = self._same.get(code, 0) + count

    def pairs(self) -> tuple[Array, Array]:
        """The numbers that occurred, ascending, and how often."""
        every = np.concatenate(self._few) if self._few and self._counts is None else np.zeros(0, np.uint16)
        codes, counts = np.unique(every, return_counts=True) if self._counts is None else _occurring(self._counts)
        return _merged(codes.astype(np.int64), counts.astype(np.int64), self._same)


def _occurring(counts: Array) -> tuple[Array, Array]:
    codes = np.flatnonzero(counts)
    return codes, counts[codes]


def _merged(codes: Array, counts: Array, same: dict[int, int]) -> tuple[Array, Array]:
    if not same:
        return codes, counts
    both = np.concatenate((codes, np.array([*same], np.int64)))
    found, places = np.unique(both, return_inverse=True)
    summed = np.zeros(found.size, np.int64)
    np.add.at(summed, places, np.concatenate((counts, np.array([*same.values()], np.int64))))
    return found, summed


class _Coded:
    """Types of up to 16 bits: how often each code occurs tells everything."""

    def __init__(self, element: Element, channels: Channels | None, digest: blake3) -> None:
        self._element = element
        self._channels = channels
        self._digest = digest
        self._tally = _Tally()

    def add(self, codes: Array) -> None:
        """See `Accumulator.add`."""
        self._digest.update(codes.view(np.uint8).data)
        self._tally.add(codes.view(f"u{codes.itemsize}"))
        if self._channels is not None:
            for first in range(0, codes.size, BLOCK):
                values = doubles(self._element.decode(codes[first : first + BLOCK]))
                self._channels.add(np.where(np.isfinite(values), values, 0.0))

    def result(self) -> WeightStatistics:
        """See `Accumulator.result`."""
        codes, counts = self._tally.pairs()
        stored = codes.astype(f"u{self._element.code.itemsize}").view(self._element.code)
        values = doubles(self._element.decode(stored))
        finite = np.isfinite(values)
        kinds = {
            "nan": int(counts[np.isnan(values)].sum()),
            "positive_infinity": int(counts[values == np.inf].sum()),
            "negative_infinity": int(counts[values == -np.inf].sum()),
        }
        values, counts = values[finite], counts[finite]
        total = int(counts.sum())
        facts: dict[str, Any] = {**kinds, **_weighted(values, counts, total)}
        magnitudes, counts = np.abs(values), np.where(values == 0, 0, counts)
        facts["denormal"] = int(counts[magnitudes < self._element.smallest_normal].sum())
        facts["histogram"] = histogram(magnitudes, values < 0, counts, facts["linf"])
        facts["exponents"] = exponents(magnitudes, counts, self._element.smallest_normal)
        return _statistics(total, facts, self._digest, self._channels)


def _weighted(values: Array, counts: Array, total: int) -> dict[str, Any]:
    """Counts, extremes and moments of `values` that occur `counts` times."""
    if not total:
        return {"zeros": 0, "negative": 0, **_NOTHING}
    weights = counts / total
    mean = float((values * weights).sum())
    return {
        "zeros": int(counts[values == 0].sum()),
        "negative": int(counts[values < 0].sum()),
        "min": float(values.min()),
        "max": float(values.max()),
        "mean": mean,
        "std": math.sqrt(float((np.square(values - mean) * weights).sum())),
        "l1": float((np.abs(values) * counts).sum()),
        "l2": math.sqrt(float((np.square(values) * counts).sum())),
        "linf": float(np.abs(values).max()),
    }


_NOTHING: dict[str, Any] = dict.fromkeys(("min", "max", "mean", "std", "l1", "l2", "linf"))


class _Wide:
    """Types of 32 and 64 bits, complex ones as two numbers: the upper halves are counted, the numbers summed."""

    def __init__(self, element: Element, channels: Channels | None, digest: blake3) -> None:
        self._real = np.dtype(f"f{element.code.itemsize // 2}") if element.code.kind == "c" else element.code
        self._whole = element.code.kind in "iu"
        self._channels = channels
        self._digest = digest
        self._tally = _Tally()
        self._moments = Moments()
        self._seen = dict.fromkeys(("nan", "positive_infinity", "negative_infinity", "zeros", "negative"), 0)
        self._range: tuple[Any, Any] | None = None

    def add(self, codes: Array) -> None:
        """See `Accumulator.add`."""
        self._digest.update(codes.view(np.uint8).data)
        numbers = codes.view(self._real)
        if self._whole:
            numbers = numbers.astype(np.float64)
        step = numbers.itemsize // 2
        upper = numbers.view(np.uint16)[(step - 1 if sys.byteorder == "little" else 0) :: step]
        low, high = numbers.min(), numbers.max()
        if low == high:  # counting the same code again and again is what bincount is slowest at
            self._tally.add_same(int(upper[0]), upper.size)
            tally = None
        else:
            tally = self._tally.add(upper)
        if np.isfinite(low) and np.isfinite(high):
            self._add_finite(numbers, low, high, tally)
            self._moments.add(numbers, self._channels)
        else:
            self._add_mixed(numbers)

    def _add_finite(self, numbers: Array, low: Any, high: Any, tally: Array | None) -> None:
        """Range and signs of finite numbers; the tally spares a look at each where no code may be a zero."""
        before = self._range
        self._range = (low, high) if before is None else (min(before[0], low), max(before[1], high))
        if tally is None or tally[0] or tally[_SIGN]:
            self._seen["zeros"] += numbers.size - int(np.count_nonzero(numbers))
            self._seen["negative"] += int(np.count_nonzero(numbers < 0))
        else:
            self._seen["negative"] += int(tally[_SIGN:].sum())

    def _add_mixed(self, numbers: Array) -> None:
        """A chunk with values that are not finite: counted, then left out of everything else."""
        finite = np.isfinite(numbers)
        self._seen["nan"] += int(np.count_nonzero(np.isnan(numbers)))
        self._seen["positive_infinity"] += int(np.count_nonzero(numbers == np.inf))
        self._seen["negative_infinity"] += int(np.count_nonzero(numbers == -np.inf))
        kept = numbers[finite]
        if kept.size:
            self._add_finite(kept, kept.min(), kept.max(), None)
            self._moments.add(kept, None)
        if self._channels is not None:
            self._channels.add(np.where(finite, numbers, 0).astype(np.float64))

    def result(self) -> WeightStatistics:
        """See `Accumulator.result`."""
        codes, counts = self._tally.pairs()
        width = np.dtype(np.float64) if self._whole else self._real
        facts: dict[str, Any] = {**self._seen, **_NOTHING, **self._moments.result()}
        if self._range is not None:
            low, high = map(float, self._range)
            facts |= {"min": low, "max": high, "linf": max(abs(low), abs(high))}
        facts |= _by_codes(codes, counts, width, facts)
        return _statistics(self._moments.count, facts, self._digest, self._channels)


def _by_codes(codes: Array, counts: Array, width: np.dtype[Any], facts: dict[str, Any]) -> dict[str, Any]:
    """Denormals, histogram and exponents from the upper 16 bits of floating-point numbers."""
    upper = codes.astype(f"u{width.itemsize}") << (8 * width.itemsize - 16)
    magnitudes = doubles((upper & ~(np.array(1, upper.dtype) << (8 * width.itemsize - 1))).view(width))
    finite = np.isfinite(magnitudes)
    codes, counts, magnitudes = codes[finite], counts[finite].copy(), magnitudes[finite]
    below = codes >= _SIGN
    smallest = float(np.finfo(width).tiny)
    denormal = int(counts[magnitudes < smallest].sum()) - facts["zeros"]
    _without_zeros(codes, counts, below, facts)
    return {
        "denormal": denormal,
        "histogram": histogram(magnitudes, below, counts, facts["linf"]),
        "exponents": exponents(magnitudes, counts, smallest),
    }


def _without_zeros(codes: Array, counts: Array, below: Array, facts: dict[str, Any]) -> None:
    """Take zeros out of the two codes that they share with the smallest denormal numbers of each sign."""
    least_negative = facts["negative"] - int(counts[below & (codes != _SIGN)].sum())
    least = int(counts[(codes == 0) | (codes == _SIGN)].sum()) - facts["zeros"]
    counts[codes == 0] = least - least_negative
    counts[codes == _SIGN] = least_negative


def histogram(magnitudes: Array, below: Array, counts: Array, largest: float | None) -> Histogram | None:
    """Bins of equal width up to the power of two above `largest`; `below` marks the values less than zero.

    `magnitudes` may be rounded down to 5 bits or more: no edge has more.
    """
    if not largest:
        return None
    power = min(max(math.frexp(largest)[1], _LEAST_POWER), 1023)
    half, kept = BINS // 2, counts > 0
    with np.errstate(under="ignore"):
        steps = np.minimum(np.ldexp(magnitudes[kept], -power) * half, half - 1).astype(np.int64)
    bins = np.where(below[kept], half - 1 - steps, half + steps)
    found = np.bincount(bins, weights=counts[kept], minlength=BINS)
    return Histogram(span=math.ldexp(1.0, power), counts=tuple(map(int, found)))


def exponents(magnitudes: Array, counts: Array, smallest: float) -> Exponents | None:
    """Powers of two of the normal numbers."""
    normal = (magnitudes >= smallest) & (magnitudes > 0) & (counts > 0)
    if not normal.any():
        return None
    powers = np.frexp(magnitudes[normal])[1] - 1
    first = int(powers.min())
    found = np.bincount(powers - first, weights=counts[normal])
    return Exponents(first=first, counts=tuple(map(int, found)))


def _statistics(finite: int, facts: dict[str, Any], digest: blake3, channels: Channels | None) -> WeightStatistics:
    count = finite + facts["nan"] + facts["positive_infinity"] + facts["negative_infinity"]
    facts = {**facts, **{name: finite_or_none(facts[name]) for name in _NOTHING}}
    return WeightStatistics(
        status="complete",
        count=count,
        finite=finite,
        constant=bool(count) and finite == count and facts["min"] == facts["max"],
        digest=digest.hexdigest(),
        channels=channels.result() if channels is not None else None,
        **facts,
    )


def finite_or_none(value: float | None) -> float | None:
    """A float that JSON can hold."""
    return value if value is not None and math.isfinite(value) else None
