"""What is measured does not depend on how values are stored: strides, repeats, byte order, values never written."""

from __future__ import annotations

import io

import h5py
import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from service.config import Limits
from service.measured import WeightStatistics
from service.source import BytesSource, Meter
from service.values.base import CHUNK_BYTES, WeightValues
from service.values.elements import element_of
from service.values.measure import measure, statistics_of
from service.values.statistics import accumulator
from service.values.strided import strided
from tests.corpus import corpus_dir
from tests.service.values.opened import opened, read, upload, weights

TYPES = ("float32", "float64", "float16", "bfloat16", "float8_e4m3fn", "int8", "int64", "bool", "complex64")
STRIDES = [
    ((7,), (1,)), ((7,), (2,)), ((7,), (0,)), ((), ()), ((1,), (5,)), ((3, 4), (1, 3)), ((3, 4), (0, 1)),
    ((3, 4), (1, 0)), ((3, 4), (0, 0)), ((3, 4), (8, 2)), ((2, 3, 4), (0, 4, 1)), ((2, 3, 4), (1, 2, 6)),
    ((5, 1, 6), (6, 9, 1)), ((300, 1000), (1, 300)), ((400_000,), (0,)), ((400_000,), (2,)), ((0, 3), (3, 1)),
]  # fmt: skip


def straight(codes: np.ndarray, dtype: str) -> WeightStatistics:
    """Statistics of an array in one piece, in the pieces that streams have."""
    element = element_of(dtype)
    assert element is not None
    found, flat = accumulator(element, None), np.ascontiguousarray(codes).reshape(-1)
    step = CHUNK_BYTES // flat.itemsize
    for first in range(0, flat.size, step):
        found.add(flat[first : first + step])
    return found.result()


def close(ours: WeightStatistics, truth: WeightStatistics) -> bool:
    """The same but for the last bits of sums, which follow from where a stream is cut."""
    for name in WeightStatistics.__struct_fields__:
        left, right = getattr(ours, name), getattr(truth, name)
        if left != right and (name not in ("mean", "std", "l1", "l2") or abs(left - right) > 1e-12 * (truth.l1 or 1)):
            return False
    return True


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("dtype", TYPES)
def test_strides_and_byte_order(dtype: str, big: bool) -> None:
    """Every second value, a transposed matrix, one value repeated: as if copied into one piece first."""
    element = element_of(dtype)
    assert element is not None
    for shape, strides in STRIDES:
        extent = 1 + sum((size - 1) * step for size, step in zip(shape, strides, strict=True) if size)
        made = np.frombuffer(np.random.default_rng(extent).bytes(max(extent, 1) * element.code.itemsize), np.uint8)
        codes = (made & 1 if dtype == "bool" else made).view(element.code)
        meter = Meter(Limits(), 1 << 40)
        source = BytesSource(codes.astype(element.code.newbyteorder(">" if big else "<")).tobytes(), meter)
        stored = strided(source, 0, shape, strides, element, big=big)
        steps = [step * element.code.itemsize for step in strides]
        assert close(
            statistics_of(WeightValues(stored, element, meter)), straight(as_strided(codes, shape, steps), dtype)
        ), (shape, strides)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (300_000,), (700, 900), ()])
@pytest.mark.parametrize("dtype", ["f4", "f2", "f8", "i4"])
def test_datasets_that_were_never_written(shape: tuple[int, ...], dtype: str) -> None:
    """All values are the fill value, which no byte of the file holds once for each; in chunks as well."""
    data = io.BytesIO((corpus_dir("keras_values") / "plain.weights.h5").read_bytes())
    with h5py.File(data, "r+") as file:
        del file["layers/dense/vars"]
        file.create_dataset("layers/dense/vars/0", shape, dtype, fillvalue=3)
        if shape:
            file.create_dataset("layers/dense/vars/1", shape, dtype, fillvalue=-2, chunks=True)
    model, values = opened(data.getvalue())
    found = {key: held for key, held in weights(model).items() if key.startswith("layers/dense/")}
    assert len(found) == (2 if shape else 1)
    for layer, weight in found.values():
        seen = statistics_of(values.of(layer, weight))
        fill = 3 if weight.stored_as == "layers/dense/vars/0" else -2
        assert (seen.count, seen.min, seen.max, seen.constant) == (int(np.prod(shape)), fill, fill, True)
        assert seen == straight(np.full(shape, fill, dtype), {"f4": "float32", "f2": "float16", "f8": "float64",
                                                              "i4": "int32"}[dtype])  # fmt: skip


def test_a_whole_model_that_was_never_written() -> None:
    """An application of Keras whose weights are holes: each is measured, none fails."""
    given = upload(corpus_dir("keras_blocks") / "MobileNetV2.keras")
    measured = measure(given, read(given), lambda _done, _total: None)
    seen = [weight.statistics for layer in measured.layers for weight in layer.weights]
    assert len(seen) > 100
    assert all(one is not None and one.status == "complete" and one.constant for one in seen)
