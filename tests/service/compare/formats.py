"""One network in the formats of several frameworks, and two of them compared; no expectations of single formats."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from service.compare.compare import compare
from service.comparisons import Comparison
from service.config import Limits
from service.formats import Upload
from service.registry import load_readers
from service.source import BytesSource, Meter
from service.tree import Report
from service.values.opening import open_values
from service.values.pair import PairOfValues
from service.worker.reading import read
from tests import builders
from tests.corpus import corpus_dir

Files = Mapping[str, bytes]
Arrays = Mapping[str, np.ndarray]


def files(*paths: Path) -> dict[str, bytes]:
    """Files by their names, or a folder's by theirs below it."""
    found: dict[str, bytes] = {}
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        below = path if path.is_dir() else path.parent
        found |= {str(one.relative_to(below)): one.read_bytes() for one in inside if one.is_file()}
    return found


def upload(given: Files) -> Upload:
    """Files as they are sent."""
    meter = Meter(Limits())
    return Upload({name: BytesSource(data, meter) for name, data in given.items()}, meter)


def report(given: Files) -> Report:
    """What is told of them."""
    answer = read(upload(given), load_readers())
    assert answer.model is not None
    return builders.report(answer.model)


def proved(left: Files, right: Files) -> Comparison:
    """Both, with their values."""
    ours, theirs = report(left), report(right)
    return compare(ours, theirs, PairOfValues(open_values(upload(left), ours), open_values(upload(right), theirs)))


def verdicts(found: Comparison) -> set[str]:
    return {weight.difference.verdict for pair in found.layers for weight in pair.weights if weight.difference}


def codes(found: Comparison) -> dict[tuple[str | None, str], str]:
    """Transforms by left layer and left weight."""
    return {(pair.left, " ".join(weight.left)): weight.transform.code
            for pair in found.layers for weight in pair.weights if weight.transform}  # fmt: skip


def is_proved(found: Comparison) -> None:
    """Nothing is wrong, nothing is left over, everything was compared."""
    assert found.problems == (), str(found.summary)
    assert found.unexplained == 0
    assert found.status == "complete"
    assert verdicts(found) <= {"equal", "close"}
    assert "weights are equal" in str(found.summary)


def both_ways(left: Files, right: Files) -> Comparison:
    """Proved from either side; the comparison from the left."""
    is_proved(proved(right, left))
    found = proved(left, right)
    is_proved(found)
    return found


def torch(arrays: Arrays) -> Files:
    """A state_dict as safetensors."""
    held = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return {"model.safetensors": safetensors.numpy.save(held, metadata={"format": "pt"})}


@functools.cache
def weights() -> dict[str, np.ndarray]:
    """The network of `tests/factory/field_formats.py` in PyTorch's names and layouts."""
    with np.load(corpus_dir("field_formats") / "weights.npz") as stored:
        return dict(stored)


def network() -> dict[str, np.ndarray]:
    """The same without its LSTM."""
    return {name: array for name, array in weights().items() if not name.startswith("lstm.")}


def written(*names: str) -> Files:
    """What the factory wrote."""
    return files(*(corpus_dir("field_formats") / name for name in names))


RANDOM = np.random.default_rng(2)
RECURRENT = {
    f"{owner}.{name}": RANDOM.normal(size=shape).astype(np.float32)
    for owner, gates, ends, inputs, units in (("rnn", 4, ("", "_reverse"), 5, 7), ("gru", 3, ("",), 14, 4))
    for end in ends
    for name, shape in (
        (f"weight_ih_l0{end}", (gates * units, inputs)), (f"weight_hh_l0{end}", (gates * units, units)),
        (f"bias_ih_l0{end}", (gates * units,)), (f"bias_hh_l0{end}", (gates * units,)),
    )
}  # fmt: skip


def regated(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Blocks of rows in another order."""
    blocks = np.split(array, len(order))
    return np.concatenate([blocks[place] for place in order])
