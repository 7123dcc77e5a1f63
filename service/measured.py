"""The types of what a weight's values show; knows neither where values lie nor how they are measured."""

from __future__ import annotations

from service.basis import Frozen, Status
from service.language import Message

BINS = 64
"""Bins of a histogram: half of them below zero, half above."""
VECTOR = 4096
"""Most values of a normalisation's weight that are given one by one."""


class Histogram(Frozen, frozen=True, kw_only=True):
    """How many finite values other than zero lie in each of `BINS` bins of equal width from `-span` to `span`.

    `span` is the power of two above the largest magnitude, so that histograms of different weights have edges in
    common: that of span 1 is that of span 2 with pairs of bins joined. A bin has the edge that is nearer to zero.
    """

    span: float
    counts: tuple[int, ...]


class Exponents(Frozen, frozen=True, kw_only=True):
    """How many normal values have which power of two: `counts[i]` those with `2**(first+i) <= |x| < 2**(first+i+1)`."""

    first: int
    counts: tuple[int, ...]


class ChannelStatistics(Frozen, frozen=True, kw_only=True):
    """What the slices of a kernel along its output axis show.

    Attributes:
        axis: The axis along which the channels lie.
        count: How many channels.
        zero: How many are zero throughout.
        zero_indices: The first of them, at most 100.
        smallest, median, largest: Euclidean norms of the channels.
    """

    axis: int
    count: int
    zero: int
    zero_indices: tuple[int, ...]
    smallest: float | None
    median: float | None
    largest: float | None


class WeightStatistics(Frozen, frozen=True, kw_only=True):
    """What was seen in all values of one weight. Floats that are not finite, or have no meaning here, are None.

    `status` is unavailable where values could not be read; `reason` says why, and everything else is None or empty.
    Quantised values are measured as the whole numbers that are stored, but for those in blocks; complex ones as two
    numbers each.

    Attributes:
        count: Values looked at.
        finite, nan, positive_infinity, negative_infinity: How many of each kind; they add up to `count`.
        zeros, negative, denormal: How many of the finite values are zero, below zero, and not zero but below the
            smallest normal number of their type.
        min, max, mean, std: Of the finite values; `std` is that of the population (divided by their number).
        l1, l2, linf: Norms of the finite values: sum of magnitudes, root of the sum of squares, largest magnitude.
        constant: Whether all values are finite and the same.
        digest: BLAKE3 of the stored codes in C order, little-endian; equal for weights with the same bits.
        histogram, exponents: None where no finite value differs from zero.
        values: The values themselves, for the weights of a normalisation with at most `VECTOR` of them.
        channels: For kernels whose output axis is known.
        dequantised: Whether all this is of numbers that were made of blocks of codes (ggml's types), in single
            precision, and not of what is stored; so is `digest`.
    """

    status: Status
    reason: Message | None = None
    count: int | None = None
    finite: int | None = None
    nan: int | None = None
    positive_infinity: int | None = None
    negative_infinity: int | None = None
    zeros: int | None = None
    negative: int | None = None
    denormal: int | None = None
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    l1: float | None = None
    l2: float | None = None
    linf: float | None = None
    constant: bool | None = None
    digest: str | None = None
    histogram: Histogram | None = None
    exponents: Exponents | None = None
    values: tuple[float | None, ...] | None = None
    channels: ChannelStatistics | None = None
    dequantised: bool = False
