"""Places, sizes and types that lie: in reports, whose values are looked up in their upload, and in the files' headers.

Whatever they say, each weight has numbers or a reason, nothing but an `InputError` leaves, and memory stays bounded.
"""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gguf
import msgspec
import numpy as np
import pytest
import safetensors.numpy

from service.config import Limits
from service.errors import InputError
from service.formats import Upload
from service.registry import load_readers
from service.source import BytesSource, Meter
from service.tree import Layer, Location, Model, Weight
from service.values.base import ValuesUnavailable
from service.values.measure import measure
from service.values.opening import open_values
from service.worker.reading import read
from tests import builders
from tests.corpus import corpus_dir
from tests.mutation import mutants
from tests.service.values import test_blocks, test_pieces
from tests.service.values.formats import Files, drawn, measured, reasons
from tests.service.values.test_format_values import small_files, tfjs

MOST = 1 << 24
"""Bytes of values that one analysis may look at here."""
PEAK = 100 << 20
NUMBERS = (0, 1, -1, 2, 3, 7, 64, 255, 10**6, 2**31, 2**40, 2**62, 2**63 - 1, None)
DTYPES = (
    "float32", "float64", "bfloat16", "int4", "uint4", "q8_0", "q4_k", "iq2_xs", "mxfp4", "complex128", "bool", "qint8",
    "float8_e4m3fn", "nope", None,
)  # fmt: skip
MEMBERS = (None, "", "x", "a!/b", "../x", "model.weights.h5", "a" * 300)


def sent(given: Files) -> Upload:
    """Files as they are sent, with a small limit on what is looked at."""
    meter = Meter(Limits(), MOST)
    return Upload({name: BytesSource(data, meter) for name, data in given.items()}, meter)


def uploads(folder: Path) -> dict[str, Files]:
    """A small upload of every way in which values are stored."""
    q8 = gguf.quants.quantize(drawn(4, 64), gguf.GGMLQuantizationType.Q8_0)
    tensors = {"a.weight": (q8, "Q8_0"), "b.weight": (drawn(4, 64), None)}
    torch, keras = corpus_dir("torch_files"), corpus_dir("keras_files")
    found: dict[str, Files] = {
        **small_files(),
        "gguf": {"m.gguf": test_blocks.file(folder, tensors)},
        "flax": test_pieces.file(kernel=test_pieces.pieced(drawn(6, 10), 7, 20), bias=test_pieces.extension(drawn(10))),
    }
    for path in (torch / "zoo_state.pt", torch / "recurrent_state_legacy.pth", keras / "attentions.h5",
                 keras / "attentions.keras"):  # fmt: skip
        found[path.name] = {path.name: path.read_bytes()}
    return found


NAMES = (
    "safetensors", "npz", "onnx", "tfjs", "pickle", "gguf", "flax", "zoo_state.pt", "recurrent_state_legacy.pth",
    "attentions.h5", "attentions.keras",
)  # fmt: skip


def bounded(work: Callable[[], Model | None]) -> None:
    """Run `work`: an error of the input, or a model whose weights all say what became of their values."""
    tracemalloc.reset_peak()
    try:
        model = work()
    except InputError:
        model = None
    for layer in model.layers if model is not None else ():
        for weight in layer.weights:
            assert weight.statistics is not None
            assert weight.statistics.status in ("complete", "unavailable")
    assert tracemalloc.get_traced_memory()[1] < PEAK


@pytest.fixture(autouse=True)
def _traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def lying(weight: Weight, draw: random.Random) -> Weight:
    """A weight of which a few facts are others."""
    fact: dict[str, Any] = json.loads(msgspec.json.encode(msgspec.structs.replace(weight, statistics=None)))
    place = fact["location"] or {"member": None, "offset": 0, "length": 4, "strides": None}
    for _ in range(draw.choice((1, 1, 2, 3))):
        rank = draw.choice((0, 1, 2, 2, 3, len(fact["shape"] or ())))
        changes: list[tuple[dict[str, Any], str, Any]] = [
            (place, "offset", draw.choice((*NUMBERS, draw.randrange(5000)))),
            (place, "length", draw.choice((*NUMBERS, draw.randrange(5000)))),
            (place, "member", draw.choice((*MEMBERS, place["member"]))),
            (place, "strides", [draw.choice((0, 1, 4, -1, 2**40)) for _ in range(rank)]),
            (fact, "dtype", draw.choice(DTYPES)),
            (fact, "shape", [draw.choice(NUMBERS) for _ in range(rank)]),
            (fact, "shape", [1] * draw.choice((62, 63, 64, 65, 300))),
            (fact, "stored_as", draw.choice((None, "", "a", "/", "layers/dense/vars/0"))),
            (fact, "stored_count", draw.choice(NUMBERS)),
        ]
        holder, key, value = draw.choice(changes)
        holder[key] = value
    fact["location"] = place
    return msgspec.convert(fact, Weight)


@pytest.mark.parametrize("name", NAMES)
def test_reports_that_lie_about_places(tmp_path, name):
    """A report is not believed: fifty of each upload, in which half of the weights lie."""
    given = uploads(tmp_path)[name]
    model = measured(given)
    held = [layer for layer in model.layers if layer.weights][:8]
    draw = random.Random(4)  # noqa: S311 - a corpus, not a secret
    for _ in range(50):
        layers = tuple(
            msgspec.structs.replace(
                layer, weights=tuple(lying(one, draw) if draw.random() < 0.5 else one for one in layer.weights[:4])
            )
            for layer in held
        )
        bounded(lambda layers=layers: measure(sent(given), msgspec.structs.replace(model, layers=layers), nobody))


def nobody(_done: int, _total: int) -> None:
    """Nobody hears of progress."""


def answered(given: Files) -> Model | None:
    """What an upload's readers say, with statistics."""
    upload = sent(given)
    return read(upload, load_readers(), lambda model: measure(upload, model, nobody)).model


def test_safetensors_headers_that_lie():
    """Types, shapes and offsets replaced, removed and repeated; the data behind stays."""
    arrays = {"a": drawn(3, 4), "b": drawn(5).astype(np.float16), "c": np.arange(12).reshape(3, 4)}
    data = safetensors.numpy.save(arrays)
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    for lie in (*mutants([header], 100), *other_places(header, 150)):
        text = json.dumps(lie).encode()
        bounded(lambda text=text: answered({"m.safetensors": len(text).to_bytes(8, "little") + text + data[end:]}))


def other_places(header: dict[str, Any], count: int) -> Iterator[dict[str, Any]]:
    """Headers in which sizes and offsets are other numbers."""
    draw = random.Random(6)  # noqa: S311 - a corpus, not a secret
    for _ in range(count):
        lie = json.loads(json.dumps(header))
        for one in lie.values():
            key = draw.choice(("shape", "data_offsets", "dtype"))
            numbers = [draw.choice((*NUMBERS[:-1], 24, 48, draw.randrange(120))) for _ in range(draw.choice((1, 2, 3)))]
            one[key] = draw.choice(("F64", "BF16", "I8", "BOOL", "F8_E8M0", "C64")) if key == "dtype" else numbers
        yield lie


def test_manifests_that_lie():
    """TensorFlow.js tells places in JSON too."""
    given = tfjs(100)[0]
    for lie in mutants([json.loads(given["weights_manifest.json"])], 100):
        bounded(lambda lie=lie: answered({**given, "weights_manifest.json": json.dumps(lie).encode()}))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("safetensors", "tfjs")])
def test_binary_headers_that_lie(tmp_path, name):
    """Bytes, words and double words replaced by numbers that are hard to bear."""
    given = uploads(tmp_path)[name]
    draw = random.Random(8)  # noqa: S311 - a corpus, not a secret
    for _ in range(30):
        part = draw.choice(sorted(given))
        data = bytearray(given[part])
        for _ in range(draw.choice((1, 1, 2, 4))):
            at, width = draw.randrange(min(len(data), 4000)), draw.choice((1, 1, 2, 4, 8))
            number = draw.choice((0, 1, 2, 16, 255, 2**31 - 1, 2**32 - 1, 2**40, 2**63 - 1, draw.randrange(256)))
            data[at : at + width] = (number % 256**width).to_bytes(width, draw.choice(("little", "big")))
        bounded(lambda part=part, data=bytes(data): answered({**given, part: data}))


@pytest.mark.parametrize("axes", [63, 64, 65])
def test_more_axes_than_numpy_knows(axes):
    """A tensor of hundreds of axes of one element is well formed: beyond 63 it has a reason."""
    header = json.dumps({"a": {"dtype": "F32", "shape": [1] * axes, "data_offsets": [0, 4]}}).encode()
    given = {"m.safetensors": len(header).to_bytes(8, "little") + header + bytes(4)}
    assert reasons(given) == (set() if axes < 64 else {f"It has {axes:,} axes; 63 are read at most."})


@pytest.mark.parametrize("shape", [(0, 2**62), (2**62, 0), (1, 2**70, 0), (2**32, 2**32), (2**62,)])
@pytest.mark.parametrize("strides", [None, (0,) * 3, (2**62,) * 3])
def test_sizes_beyond_any_file(shape, strides):
    """An axis of none does not make the others small, and a step of none not the array."""
    steps = None if strides is None else strides[: len(shape)]
    place = Location(offset=0, length=None, strides=steps)
    weight = builders.weight("w", shape, "kernel", layout="out-in", location=place)
    model = builders.model("torch", Layer(path="a", name="a", kind="linear", weights=(weight,)))
    given = {"file": drawn(64).tobytes()}
    bounded(lambda: measure(sent(given), model, nobody))
    values = open_values(sent(given), model)
    with pytest.raises((ValuesUnavailable, InputError)):
        values.of(model.layers[0], weight).array()
