"""Small files of every format, whole and cut short: one reader takes each, and a cut file is named for what it is."""

from __future__ import annotations

import io
import json
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from service.config import Limits
from service.errors import InputError, UnknownFormat
from service.formats import Upload
from service.registry import load_readers
from service.source import BytesSource, Meter
from service.worker.reading import read
from tests.corpus import ROOT, corpus_dir
from tests.service.parsers.ggufs import Tensor, Writer
from tests.service.readers.hf_uploads import entry, safetensors

READERS = load_readers()
FALLBACKS = {"torch_pickle", "numpy_pickle"}
"""Asked last: they take any pickle, also one that a more specific reader has taken before."""
ARCHIVE = "archive"
ALIKE = (
    {"keras_v3", "npz", "torch_export", "torch_zip", "torchscript", ARCHIVE},
    {"keras_h5", "keras_weights_h5"},
    {"paddle_params", "numpy_pickle", "torch_pickle"},
)
"""What is told apart by the end of the file: cut short, they are refused alike, zips also by whoever opens archives."""
SEVERAL_FILES = {"coreml_package"}
"""Formats that no single file is."""
PROGRAMS = Path(__file__).parent / "executorch_programs"

FILES = {
    "coreml": ("field_coreml", "*.mlmodel"),
    "executorch": (PROGRAMS, "*.pte"),
    "executorch_data": (PROGRAMS, "*.ptd"),
    "flax_msgpack": ("field_flax", "*.msgpack"),
    "hf_adapter": ("torch_safetensors", "adapter/adapter_config.json"),
    "hf_config": ("torch_safetensors", "*/config.json"),
    "keras_h5": ("keras_old_files", "keras_1.h5"),
    "keras_json": (ROOT / "docs/samples", "digits.json"),
    "keras_v3": (ROOT / "docs/samples", "digits.keras"),
    "keras_weights_h5": (ROOT / "docs/samples", "digits.weights.h5"),
    "layer_list": (ROOT / "docs/samples", "spec_*.json"),
    "ncnn": ("field_ncnn", "*.param"),
    "openvino": ("field_openvino", "*.xml"),
    "orbax": ("field_flax", "*/_METADATA"),
    "paddle_inference": ("field_paddle", "*.pdmodel"),
    "paddle_json": ("field_paddle", "pir.json"),
    "paddle_params": ("field_paddle", "*.pdparams"),
    "paddle_tensors": ("field_paddle", "*.pdiparams"),
    "tf_checkpoint": ("keras_checkpoints", "*/*ckpt-*.index"),
    "tf_graphdef": ("keras_checkpoints", "*.pb"),
    "tf_savedmodel": ("keras_savedmodels", "*/saved_model.pb"),
    "tflite": ("keras_tflite", "*.tflite"),
    "torch_export": (ROOT / "docs/samples", "*.pt2"),
    "torch_legacy": ("torch_files", "*_state_legacy.pth"),
    "torch_pickle": ("torch_files", "*.pkl"),
    "torch_shards": ("torch_safetensors", "*/pytorch_model.bin.index.json"),
    "torch_tar": ("torch_files", "*.tar"),
    "torch_zip": (ROOT / "docs/samples", "digits_state_dict.pt"),
    "torchscript": (ROOT / "docs/samples", "digits_torchscript.pt"),
}  # fmt: skip
"""Format: where to look, and for what."""
MOST_BYTES, MOST_FILES = 70_000, 3

CUTS = (0.01, 0.1, 0.5, 0.9, 0.99)
NOTHING_LEFT = {
    "hf_config": 130, "hf_adapter": 100, "layer_list": 100, "tfjs": 100, "torch_shards": 100, "torch_tar": 512,
}  # fmt: skip
"""Bytes of a format that need not be recognised, where it is not the usual number."""
USUAL = 40


def saved(value: object) -> bytes:
    """An array as numpy.save writes it."""
    file = io.BytesIO()
    np.save(file, value)
    return file.getvalue()


def zipped() -> bytes:
    """Two arrays as numpy.savez writes them."""
    file = io.BytesIO()
    np.savez(file, kernel=np.zeros((3, 4), np.float32), bias=np.zeros(4, np.float32))
    return file.getvalue()


def onnx() -> bytes:
    """One multiplication."""
    weight = helper.make_tensor("w", TensorProto.FLOAT, [4, 3], bytes(48), raw=True)
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", inputs, outputs, [weight])
    return bytes(helper.make_model(graph).SerializeToString())


def manifest() -> list[dict[str, object]]:
    """A manifest of TensorFlow.js."""
    weights = [{"name": f"conv{index}/filters", "shape": [3, 4], "dtype": "float32"} for index in range(9)]
    return [{"weights": weights, "paths": ["shard1"]}]


MADE = {
    "gguf": Writer().file([("general.architecture", "string", "llama")], [Tensor("blk.0.attn_q.weight")], data=128),
    "npy": saved(np.zeros((3, 4), np.float32)),
    "npz": zipped(),
    "numpy_pickle": pickle.dumps({"kernel": np.zeros((3, 4), np.float32)}, 4),
    "onnx": onnx(),
    "safetensors": safetensors({"a.weight": entry(0, 48, [3, 4]), "a.bias": entry(48, 60, [3])}, bytes(60)),
    "tfjs": json.dumps({"modelTopology": {"node": []}, "weightsManifest": manifest()}).encode(),
}
BARE = json.dumps(manifest()).encode()


def upload(data: bytes) -> Upload:
    """The content under a name that says nothing."""
    meter = Meter(Limits())
    return Upload({"content": BytesSource(data, meter)}, meter)


def samples() -> Iterator[tuple[str, str, bytes]]:
    """Format, name and content of some small files of every format."""
    yield from ((format_id, "made", data) for format_id, data in MADE.items())
    yield "tfjs", "manifest", BARE
    for format_id, (place, pattern) in FILES.items():
        folder = corpus_dir(place) if isinstance(place, str) else place
        files = [path for path in folder.glob(pattern) if path.stat().st_size <= MOST_BYTES]
        assert files, format_id
        for path in sorted(files, key=lambda path: (-path.stat().st_size, path))[:MOST_FILES]:
            yield format_id, path.name, path.read_bytes()


@pytest.fixture(scope="module")
def known() -> list[tuple[str, str, bytes]]:
    """The samples, made once."""
    return list(samples())


def takers(data: bytes) -> list[str]:
    """The readers that accept the content, in the order in which they are asked."""
    return [reader.FORMAT.id for reader in READERS if reader.accept(upload(data))]


def test_every_format_of_one_file_has_a_sample(known: list[tuple[str, str, bytes]]) -> None:
    """So that a new reader is held against all others."""
    assert {format_id for format_id, _, _ in known} | SEVERAL_FILES == {reader.FORMAT.id for reader in READERS}


def test_one_reader_takes_each(known: list[tuple[str, str, bytes]]) -> None:
    """The right one; besides it at most those that take any pickle, which are asked after it."""
    for format_id, name, data in known:
        found = takers(data)
        assert found[:1] == [format_id], (format_id, name, found)
        assert set(found[1:]) <= FALLBACKS, (format_id, name, found)


def test_what_is_cut_is_still_that_format(known: list[tuple[str, str, bytes]]) -> None:
    """It is described as incomplete or refused at a place, by its own reader, unless next to nothing is left."""
    for format_id, name, data in known:
        for end in sorted({*(int(len(data) * share) for share in CUTS), len(data) - 1}):
            gone = data[end:].strip(b" \r\n\0")
            told = outcome(data[:end], whole=not gone)
            enough = end >= NOTHING_LEFT.get(format_id, USUAL)
            alike = next((group for group in ALIKE if format_id in group), {format_id})
            assert told in alike or (told is None and not enough), (format_id, name, end, told)


def outcome(data: bytes, *, whole: bool) -> str | None:
    """The format that cut content is taken for, None for none; says so where the answer is not as it must be."""
    try:
        answer = read(upload(data), READERS)
    except UnknownFormat:
        return None
    except InputError as error:
        place = (error.info.offset, error.info.member, error.info.pointer)
        found = takers(data)[:1] or [ARCHIVE]
        return found[0] if any(one is not None for one in place) else f"{found[0]}, without a place: {error}"
    if whole or (answer.model is not None and not answer.model.complete):
        return answer.reader
    return f"{answer.reader}, told as complete"
