"""Statistics of whole uploads of any format, and arrays to hold them against; no expectations of single formats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.config import Limits
from service.formats import Upload
from service.measured import WeightStatistics
from service.registry import load_readers
from service.source import BytesSource, Meter
from service.tree import Model
from service.values.elements import doubles
from service.values.measure import measure
from service.worker.reading import read
from tests.service.values.opened import PLENTY

Files = Mapping[str, bytes]
RANDOM = np.random.default_rng(11)


def files(path: Path, *more: Path) -> dict[str, bytes]:
    """A folder's files by their names below it, or single files by theirs."""
    if path.is_dir():
        return {str(one.relative_to(path)): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}
    return {one.name: one.read_bytes() for one in (path, *more)}


def upload(given: Files) -> Upload:
    """Files as they are sent."""
    meter = Meter(Limits(), PLENTY)
    return Upload({name: BytesSource(data, meter) for name, data in given.items()}, meter)


def measured(given: Files) -> Model:
    """The report of an upload with statistics."""
    sent = upload(given)
    answer = read(sent, load_readers(), lambda model: measure(sent, model, lambda _done, _all: None))
    assert answer.model is not None
    return answer.model


def statistics(given: Files | Model) -> dict[str, WeightStatistics]:
    """The statistics of every weight by the name that it is stored under, or by its path."""
    model = given if isinstance(given, Model) else measured(given)
    found = {
        weight.stored_as or f"{layer.path}/{weight.name}": weight.statistics
        for layer in model.layers
        for weight in layer.weights
    }
    assert all(found.values())
    return {name: one for name, one in found.items() if one is not None}


def facts(array: np.ndarray) -> tuple[int, float, float, float]:
    """What tells one array from another, whatever order its axes are in."""
    numbers = doubles(array)
    return array.size, float(numbers.min()), float(numbers.max()), float(np.float32(numbers.mean()))


def seen(found: WeightStatistics) -> tuple[Any, ...]:
    """The same of a weight's statistics."""
    return found.count, found.min, found.max, None if found.mean is None else float(np.float32(found.mean))


def holds(given: Files | Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Every array is found with NumPy's own smallest, largest and mean number."""
    told = [seen(one) for one in statistics(given).values()]
    for name, array in arrays.items():
        expected = facts(array)
        assert any(one[:3] == expected[:3] and one[3] == pytest.approx(expected[3], rel=1e-5, abs=1e-6)
                   for one in told if one[3] is not None), name  # fmt: skip


def drawn(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


def reasons(given: Files) -> set[str]:
    """Why weights have no values."""
    return {str(one.reason) for one in statistics(given).values() if one.status == "unavailable"}
