"""The numbers of weights in every format whose values lie as raw arrays, against the arrays that were written."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import random
from collections.abc import Iterator
from pathlib import Path

import gguf
import ml_dtypes
import msgpack
import numpy as np
import onnx
import pytest
import safetensors.numpy
from onnx import helper, numpy_helper

from service.errors import InputError
from service.values.opening import open_values
from tests.corpus import ROOT, corpus_dir
from tests.service.parsers import joblibs
from tests.service.values.formats import RANDOM, drawn, facts, files, holds, measured, reasons, seen, statistics, upload

# What frameworks wrote


@pytest.mark.parametrize("name", ["network", "plain", "recurrent"])
@pytest.mark.parametrize("ending", [".keras", "_saved", "_checkpoint"])
def test_what_tensorflow_writes(name: str, ending: str) -> None:
    """Keras' own arrays, in its archive, in a SavedModel's and in a checkpoint's data file."""
    folder = corpus_dir("keras_formats")
    with np.load(folder / f"{name}.npz") as arrays:
        holds(files(folder / f"{name}{ending}"), dict(arrays))


def test_tensorflow_lite() -> None:
    """Kernels in other orders, the same numbers."""
    folder = corpus_dir("keras_formats")
    with np.load(folder / "plain.npz") as arrays:
        holds(files(folder / "plain.tflite"), dict(arrays))


CNN = ("conv", "norm", "hidden", "square")
FIELD = {
    "openvino": ("network.xml", "network.bin"), "coreml": ("network.mlpackage",), "flax": ("network.msgpack",),
    "paddle": ("network.json", "network.pdiparams"), "paddle_state": ("network.pdparams",),
}  # fmt: skip


@pytest.mark.parametrize("name", FIELD)
def test_what_other_frameworks_write(name: str) -> None:
    """OpenVINO's .bin, Core ML's weight.bin, Flax's msgpack, Paddle's parameters and state: what was given to them."""
    folder = corpus_dir("field_formats")
    with np.load(folder / "weights.npz") as stored:
        arrays = {key: array for key, array in stored.items() if key.startswith(CNN)}
        if name == "coreml":  # its converter folds the normalisation into the convolution
            arrays = {key: array for key, array in arrays.items() if key.startswith(("hidden", "square"))}
    holds(files(*(folder / one for one in FIELD[name])), arrays)


def test_executorch() -> None:
    """A fresh BatchNormalization has ones and zeros; the convolution before it neither."""
    found = measured(files(ROOT / "tests" / "service" / "readers" / "executorch_programs" / "plain.pte"))
    norm = next(layer for layer in found.layers if layer.kind == "batch_norm")
    ranges = {one.role: (one.statistics.min, one.statistics.max) for one in norm.weights if one.statistics is not None}
    assert ranges == {"scale": (1, 1), "offset": (0, 0), "moving_mean": (0, 0), "moving_variance": (1, 1)}
    convolution = next(layer for layer in found.layers if layer.kind == "conv2d")
    assert all(one.statistics is not None and one.statistics.max for one in convolution.weights)


# Formats that the tests write themselves


TYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1", "U64": "u8", "U32": "u4",
    "U16": "u2", "U8": "u1", "BOOL": "u1", "BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2, "F8_E8M0": ml_dtypes.float8_e8m0fnu,
}  # fmt: skip


@pytest.mark.parametrize("folder", ["types", "llama_shards", "gpt2_half"])
def test_safetensors(folder: str) -> None:
    """Every element type, one file and shards, against what the safetensors library reads."""
    held = corpus_dir("torch_safetensors") / folder
    found = statistics(files(held))
    compared = 0
    for path in held.glob("*.safetensors"):
        for name, held_as in safetensors.deserialize(path.read_bytes()):
            kind = TYPES.get(held_as["dtype"])
            one = found[name]
            if kind is None:
                continue
            array = np.frombuffer(held_as["data"], kind)
            if array.size and one.count == array.size:
                assert one.status == "complete"
                numbers = array.astype(np.float64)
                assert (one.min, one.max) == (numbers.min(), numbers.max()), name
                assert one.mean == pytest.approx(numbers.mean())
                compared += 1
    assert compared


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_small_floats(dtype: str) -> None:
    """As ml_dtypes rounds them."""
    array = drawn(6, 7).astype(getattr(ml_dtypes, dtype))
    holds({"m.safetensors": safetensors.numpy.save({"w": array})}, {"w": array.astype(np.float32)})


def test_gguf(tmp_path: Path) -> None:
    """float32, float16 and bfloat16 as they are; blocks of codes as the numbers that they stand for."""
    arrays = {"a": drawn(4, 32), "b": drawn(3, 64).astype(np.float16)}
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama")
    for name, array in arrays.items():
        writer.add_tensor(f"{name}.weight", array)
    whole = drawn(2, 64)
    half = gguf.quants.quantize(whole, gguf.GGMLQuantizationType.BF16)
    writer.add_tensor("c.weight", half, raw_dtype=gguf.GGMLQuantizationType.BF16)
    packed = gguf.quants.quantize(whole, gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("d.weight", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    given = files(tmp_path / "m.gguf")
    holds(given, {**arrays, "c": gguf.quants.dequantize(half, gguf.GGMLQuantizationType.BF16),
                  "d": gguf.quants.dequantize(packed, gguf.GGMLQuantizationType.Q8_0)})  # fmt: skip
    assert not reasons(given)


def graph(*initializers: onnx.TensorProto) -> bytes:
    """A product with each initializer."""
    nodes = [helper.make_node("MatMul", ["x", one.name], [f"y{one.name}"]) for one in initializers]
    inputs = [helper.make_tensor_value_info("x", 1, [1, 4])]
    outputs = [helper.make_tensor_value_info(node.output[0], 1, None) for node in nodes]
    return helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, initializers)).SerializeToString()


def test_onnx() -> None:
    """raw_data, numbers in a typed field, external data; numbers that the file does not hold have a reason."""
    raw, typed, outside = drawn(4, 6), drawn(4, 5), drawn(4, 7)
    external = numpy_helper.from_array(outside, "outside")
    onnx.external_data_helper.set_external_data(external, "weights.bin", offset=8, length=outside.nbytes)
    external.ClearField("raw_data")
    model = graph(numpy_helper.from_array(raw, "raw"), external,
                  helper.make_tensor("typed", 1, typed.shape, typed.ravel().tolist()))  # fmt: skip
    given = {"m.onnx": model, "weights.bin": bytes(8) + outside.tobytes()}
    holds(given, {"raw": raw, "typed": typed, "outside": outside})
    alone = statistics({"m.onnx": model})
    assert alone["raw"].status == "complete"
    assert alone["outside"].status == "unavailable"
    assert "do not lie in the upload as one plain array" in str(alone["outside"].reason)


def test_numbers_of_4_bits() -> None:
    """Two in a byte, the first in the low bits; an odd row is not read, and says so."""
    codes = RANDOM.integers(-8, 8, (4, 6)).astype(ml_dtypes.int4)
    odd = RANDOM.integers(-8, 8, (3, 3)).astype(ml_dtypes.int4)
    given = {"m.onnx": graph(numpy_helper.from_array(codes, "even"), numpy_helper.from_array(odd, "odd"))}
    found = statistics(given)
    assert facts(codes.astype(np.int8)) == seen(found["even"])
    assert str(found["odd"].reason) == "The values are packed in a way that is not read."
    model = measured(given)
    layer = next(one for one in model.layers if one.weights and one.weights[0].stored_as == "even")
    assert np.array_equal(open_values(upload(given), model).of(layer, layer.weights[0]).array(), codes.astype(np.int8))
    folder = corpus_dir("field_openvino")
    four = statistics(files(folder / "compressed.xml", folder / "compressed.bin"))["four"]
    assert (four.status, four.count, four.min, four.max) == ("complete", 256, -8, 6)


@pytest.mark.parametrize("packed", [False, True])
def test_npz(packed: bool) -> None:
    """Members stored and deflated, in Fortran order too."""
    arrays = {"a": drawn(5, 6), "b": np.asfortranarray(drawn(3, 4, 5)), "c": drawn(7).astype(np.float16)}
    out = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(out, **arrays)
    holds({"m.npz": out.getvalue()}, arrays)


def test_npy_in_fortran_order() -> None:
    """The first row is the first row, though it does not lie in one piece."""
    array = np.asfortranarray(drawn(5, 6))
    out = io.BytesIO()
    np.save(out, array)
    given = {"m.npy": out.getvalue()}
    holds(given, {"m": array})
    model = measured(given)
    values = open_values(upload(given), model).of(model.layers[0], model.layers[0].weights[0])
    assert np.array_equal(values.array(), array)


def tfjs(cut: int) -> tuple[dict[str, bytes], dict[str, np.ndarray]]:
    """A manifest with two files, cut at a byte."""
    arrays = {"dense/kernel": drawn(5, 6), "dense/bias": drawn(6), "last/kernel": drawn(6, 4)}
    data = b"".join(array.tobytes() for array in arrays.values())
    weights = [{"name": name, "shape": array.shape, "dtype": "float32"} for name, array in arrays.items()]
    manifest = json.dumps([{"paths": ["one.bin", "two.bin"], "weights": weights}]).encode()
    return {"weights_manifest.json": manifest, "one.bin": data[:cut], "two.bin": data[cut:]}, arrays


def test_tensorflow_js() -> None:
    """Weights in either file; one that lies in both has a reason, the others have their numbers."""
    given, arrays = tfjs(120)
    holds(given, arrays)
    given, arrays = tfjs(100)
    assert len(reasons(given)) == 1
    del arrays["dense/kernel"]
    holds(given, arrays)


@pytest.mark.parametrize("half", [False, True])
def test_ncnn(half: bool) -> None:
    """Behind the flag of its type, float32 and float16."""
    kernel, bias = drawn(3, 4), drawn(3)
    lines = ["7767517", "2 2", "Input in 0 1 a 0=4", "InnerProduct fc 1 1 a b 0=3 1=1 2=12"]
    stored = kernel.astype(np.float16) if half else kernel
    flag = (0x01306B47 if half else 0).to_bytes(4, "little")
    given = {"m.param": "\n".join(lines).encode() + b"\n", "m.bin": flag + stored.tobytes() + bias.tobytes()}
    holds(given, {"kernel": stored, "bias": bias})


def test_flax_without_its_library() -> None:
    """Arrays as extensions of type 1, as its documentation says."""
    arrays = {"kernel": drawn(4, 6), "bias": drawn(6)}
    packed = {name: msgpack.ExtType(1, msgpack.packb((array.shape, array.dtype.name, array.tobytes())))
              for name, array in arrays.items()}  # fmt: skip
    holds({"m.msgpack": msgpack.packb({"params": {"Dense_0": packed}})}, arrays)


def test_arrays_in_pickles() -> None:
    """Behind their wrappers, as joblib writes them; small and large ones of a plain pickle in its byte strings."""
    arrays = {"a": drawn(3, 4), "b": np.asfortranarray(drawn(4, 5))}
    written = joblibs.mapping({name: joblibs.wrapper(array) for name, array in arrays.items()})
    holds({"m.joblib": written}, arrays)
    assert not reasons({"m.joblib": written})
    small, large = drawn(3, 4), drawn(200, 100)
    given = {"m.pkl": pickle.dumps({"a": small, "b": large, "c": np.asfortranarray(drawn(4, 5))}, protocol=4)}
    holds(given, {"small": small, "large": large})
    assert not reasons(given)


# Damage


def test_a_cut_file_has_what_is_left() -> None:
    """What ends before the cut has numbers, what does not says where it should end."""
    arrays = {f"w{index}": drawn(64) for index in range(4)}
    data = safetensors.numpy.save(arrays)
    found = statistics({"m.safetensors": data[:-300]})
    kinds = {one.status for one in found.values()}
    assert kinds == {"complete", "unavailable"}
    assert "cut off" in str(found["w3"].reason)
    header = data[: 8 + int.from_bytes(data[:8], "little")]
    assert {one.status for one in statistics({"m.safetensors": header}).values()} == {"unavailable"}


def small_files() -> dict[str, dict[str, bytes]]:
    """A small upload of several formats, whose files are damaged one after the other."""
    out = io.BytesIO()
    np.savez_compressed(out, a=drawn(3, 4), b=np.asfortranarray(drawn(2, 3)))
    packed = RANDOM.integers(-8, 8, (2, 4)).astype(ml_dtypes.int4)
    return {
        "safetensors": {"m.safetensors": safetensors.numpy.save({"a": drawn(3, 4), "b": drawn(5)})},
        "npz": {"m.npz": out.getvalue()},
        "onnx": {"m.onnx": graph(numpy_helper.from_array(drawn(4, 3), "a"), numpy_helper.from_array(packed, "b"))},
        "tfjs": tfjs(100)[0],
        "pickle": {"m.pkl": pickle.dumps({"a": drawn(3, 4), "b": drawn(5)}, protocol=4)},
    }


def damaged(data: bytes) -> Iterator[bytes]:
    """Cut at a few places, and with single bytes changed; always the same ones."""
    draw = random.Random(5)  # noqa: S311 - a corpus, not a secret
    for _ in range(60):
        at = draw.randrange(len(data))
        yield data[:at] if draw.random() < 0.25 else data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]


@pytest.mark.parametrize("name", ["safetensors", "npz", "onnx", "tfjs", "pickle"])
def test_damaged_files_have_numbers_or_reasons(name: str) -> None:
    """Whatever is changed or cut off: an error of the input, or a report whose every weight has its state told."""
    given = small_files()[name]
    for part, data in given.items():
        for changed in damaged(data):
            with contextlib.suppress(InputError):
                assert all(one.status in ("complete", "unavailable")
                           for one in statistics({**given, part: changed}).values())  # fmt: skip
