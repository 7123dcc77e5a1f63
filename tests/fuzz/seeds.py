"""Valid uploads of every format, from which fuzzing starts: small files of the test corpora, and some made by hand."""

from __future__ import annotations

import functools
import gzip
import io
import json
import pickle
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np
import zstandard
from onnx import helper

from service.worker.rehearsal import FILES
from tests.corpus import corpus_dir
from tests.service.parsers import joblibs
from tests.service.parsers.ggufs import Tensor, Writer
from tests.service.readers import numpy_files, onnx_files, test_layer_list, test_tfjs

Parts = Mapping[str, bytes]
"""An upload: contents by name."""
_HERE = Path(__file__).parent
_PROGRAMS = _HERE.parent / "service" / "readers" / "executorch_programs"


@functools.cache
def seeds(*, corpora: bool = True) -> Mapping[str, tuple[Parts, ...]]:
    """Uploads by format; without `corpora` only those that need no framework to have written them."""
    found: dict[str, list[Parts]] = {}
    listed = tomllib.loads((_HERE / "seeds.toml").read_text()) if corpora else {}
    for format_, names in listed.items():
        found[format_] = [_from_corpus(name) for name in names]
    for format_, parts in _made():
        found.setdefault(format_, []).append(parts)
    return {format_: tuple(given) for format_, given in sorted(found.items())}


def _from_corpus(name: str) -> Parts:
    corpus, _, inner = name.partition("/")
    path = corpus_dir(corpus) / inner
    if not name.endswith("/"):
        return {path.name: path.read_bytes()}
    return {str(one.relative_to(path)): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}


def _made() -> Iterator[tuple[str, Parts]]:
    for path in sorted(FILES.iterdir()):
        yield "rehearsal", {path.name: path.read_bytes()}
    for path in sorted(_PROGRAMS.glob("*.pt[ed]")):
        yield "executorch_data" if path.suffix == ".ptd" else "executorch", {path.name: path.read_bytes()}
    for document in (*test_layer_list.DOCUMENTED, test_layer_list.LIST):
        yield "layer_list", {"spec.json": json.dumps(document).encode()}
    yield from (("gguf", {"model.gguf": data}) for data in _ggufs())
    yield from (("onnx", {"model.onnx": data}) for data in _onnx())
    yield from (("npy", {"array.npy": data}) for data in _npy())
    yield from (("hdf5", {"model.weights.h5": data}) for data in _hdf5())
    yield from (("archive", {name: data}) for name, data in _archives())
    yield "numpy_pickle", {"arrays.joblib": joblibs.sample()}
    yield "numpy_pickle", {"arrays.pkl": pickle.dumps({"a/kernel": np.ones((2, 3)), "b": [np.int64(3), "x", None]}, 4)}
    yield "npz", {"weights.npz": numpy_files.archived(packed=True, **{"dense/kernel": np.ones((3, 4), "<f4")})}
    yield "tfjs", {"model.json": test_tfjs.encoded(test_tfjs.layers_model())}
    yield "tfjs", {"model.json": test_tfjs.encoded(test_tfjs.layers_model()), **test_tfjs.shards()}
    yield "tfjs", {"manifest.json": test_tfjs.encoded(test_tfjs.manifest())}


def _ggufs() -> Iterator[bytes]:
    keys = [
        ("general.architecture", "string", "llama"), ("general.name", "string", "tiny"),
        ("llama.block_count", "uint32", 1), ("llama.embedding_length", "uint32", 32),
        ("llama.attention.head_count", "uint32", 2), ("llama.feed_forward_length", "uint32", 64),
        ("tokenizer.ggml.tokens", "array", ("string", ["a", "b", "c"])),
        ("x.deep", "array", ("array", [("uint8", [1])])), ("general.alignment", "uint32", 32),
        ("tokenizer.chat_template", "string", "{{ messages[0]['content'] }}"),
    ]  # fmt: skip
    tensors = [
        Tensor("token_embd.weight", (32, 3), 0, 0), Tensor("blk.0.attn_q.weight", (32, 32), 2, 384),
        Tensor("blk.0.ffn_up.weight", (32, 64), 12, 960), Tensor("output_norm.weight", (32,), 1, 2112),
    ]  # fmt: skip
    yield Writer().file(keys, tensors, 2304)
    yield Writer(2).file(keys[:3], tensors[:1], 384)
    yield Writer(3, ">").file(keys[:2], tensors[:2], 2000)
    yield Writer(1).file(keys[:2], tensors[:1], 384)


def _onnx() -> Iterator[bytes]:
    weights = [onnx_files.floats("w", 4, 3, 3, 3), onnx_files.floats("b", 4), onnx_files.floats("f", 4, 2)]
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]), helper.make_node("Flatten", ["g"], ["h"]),
        helper.make_node("Gemm", ["h", "f"], ["y"]),
    ]  # fmt: skip
    yield onnx_files.model(onnx_files.graph(nodes, {"x": [1, 3, 8, 8]}, ["y"], weights)).SerializeToString()
    then = onnx_files.graph([helper.make_node("Relu", ["x"], ["t"])], {}, ["t"])
    chosen = [helper.make_node("If", ["k"], ["y"], then_branch=then, else_branch=then)]
    yield onnx_files.model(onnx_files.graph(chosen, {"x": [2], "k": []}, ["y"])).SerializeToString()
    cells = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=2)]
    held = [onnx_files.floats("w", 1, 8, 3), onnx_files.floats("r", 1, 8, 2)]
    yield onnx_files.model(onnx_files.graph(cells, {"x": [5, 1, 3]}, ["y"], held)).SerializeToString()


def _npy() -> Iterator[bytes]:
    yield numpy_files.saved(np.arange(6, dtype="<f4").reshape(2, 3))
    yield numpy_files.saved(np.zeros(2, [("x", "<i4"), ("y", ">f8", (2,))]))
    yield numpy_files.saved(np.array([{"a": 1}, None], dtype=object))
    with io.BytesIO() as written:
        np.lib.format.write_array(written, np.ones((2, 2), order="F"), version=(3, 0))
        yield written.getvalue()


def _hdf5() -> Iterator[bytes]:
    """What Keras does not write, but may be in a file: newer structures, chunks, filters, links, odd types."""
    for libver in ("earliest", "latest"):
        with io.BytesIO() as written:
            with h5py.File(written, "w", libver=libver, track_order=libver == "latest") as file:
                weights = file.create_group("layers/dense/vars")
                options = {"chunks": (4, 4), "compression": "gzip", "shuffle": True, "fletcher32": True}
                weights.create_dataset("0", data=np.arange(64.0).reshape(8, 8), maxshape=(None, 8), **options)
                weights.create_dataset("1", data=np.arange(4, dtype=">f2"))
                file.create_dataset("layers/texts", data=["a", "bcd"], dtype=h5py.string_dtype())
                file.create_dataset("layers/records", data=np.zeros(2, [("x", "<i4"), ("y", "<f8", (2,))]))
                file.create_dataset("layers/choice", data=[1, 2], dtype=h5py.enum_dtype({"one": 1, "two": 2}, "i1"))
                for number in range(12):
                    file["layers"].attrs[f"key {number}"] = "x" * number
                    file.create_group(f"layers/empty {number}")
                file["layers/soft"], file["layers/hard"] = h5py.SoftLink("/layers/dense"), file["layers/dense"]
                file["layers/out"] = h5py.ExternalLink("other.h5", "/")
            yield written.getvalue()


def _archives() -> Iterator[tuple[str, bytes]]:
    """Models in whatever they may be packed in."""
    model = (FILES / "tiny_state_dict.pt").read_bytes()
    header = b'{"a.weight":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    small = len(header).to_bytes(8, "little") + header + bytes(8)
    yield "model.safetensors.gz", gzip.compress(small)
    yield "model.safetensors.zst", zstandard.compress(small)
    for form in ("w", "w:gz"):
        with io.BytesIO() as written:
            with tarfile.open(fileobj=written, mode=form) as archive:
                for name, content in (("a/model.safetensors", small), ("a/tiny.pt", model), ("a/README", b"text")):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
            yield "models.tar", written.getvalue()
    with io.BytesIO() as written:
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in (("a.safetensors", small), ("b/tiny.pt", model), ("c.gguf", next(_ggufs()))):
                packed.writestr(name, content)
        yield "models.zip", written.getvalue()
