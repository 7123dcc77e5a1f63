"""`python -m tests.fuzz.dense [BYTES]`: files with as much in a megabyte as there can be, and what reading them takes.

One for every thing that a format may hold many of: layers, weights, nodes, members, keys, opcodes, levels. Prints a
table: what a file holds, its size, processor time and memory of the child that read it, and what it answered. Where it
was refused, a second row has about the most that is not.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import msgpack
import numpy as np

from service.sandbox.client import Sandbox
from tests.fuzz.campaign import Input, complaint, tried, wall
from tests.fuzz.finding import Finding, Order
from tests.service.parsers.flatbuffers_writer import write
from tests.service.parsers.ggufs import Tensor, Writer
from tests.service.parsers.protobufs import held, whole
from tests.service.parsers.sstables import table

SIZE = 1_000_000
Make = Callable[[int], bytes]
"""Takes how many; gives a file that holds as many."""


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _safetensors(name: Callable[[int], str]) -> Make:
    def make(count: int) -> bytes:
        entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
        header = _json({name(number): entry for number in range(count)})
        return struct.pack("<Q", len(header)) + header

    return make


def _gguf(count: int) -> bytes:
    tensors = [Tensor(f"{number:x}", (0,), 0, 0) for number in range(count)]
    return Writer().file([("general.architecture", "string", "llama")], tensors)


def _gguf_keys(count: int) -> bytes:
    return Writer().file([(f"{number:x}", "uint8", 1) for number in range(count)])


def _gguf_texts(count: int) -> bytes:
    return Writer().file([("t", "array", ("string", [""] * count))])


def _onnx(graph: bytes) -> bytes:
    return whole(1, 8) + held(7, graph + held(2, "g")) + held(8, whole(2, 17))


def _relu(number: int) -> bytes:
    return held(1, held(1, f"{number:x}") + held(2, f"{number + 1:x}") + held(4, "Relu"))


def _onnx_nodes(count: int) -> bytes:
    return _onnx(b"".join(map(_relu, range(count))))


def _onnx_empty_nodes(count: int) -> bytes:
    return _onnx(held(1, held(4, "A")) * count)


def _onnx_inputs(count: int) -> bytes:
    inputs = b"".join(held(1, f"{number:x}") for number in range(count))
    return _onnx(held(1, inputs + held(2, "y") + held(4, "Concat")))


def _onnx_weights(count: int) -> bytes:
    weights = b"".join(held(5, whole(1, 0) + whole(2, 1) + held(8, f"{number:x}")) for number in range(count))
    return _onnx(weights + _relu(0))


def _onnx_deep(count: int) -> bytes:
    graph = _relu(0)
    for _ in range(count):
        graph = held(1, held(4, "If") + held(5, held(1, "then_branch") + whole(20, 5) + held(6, graph)))
    return _onnx(graph)


def _graph(feeder: Callable[[int], bytes]) -> Make:
    def make(count: int) -> bytes:
        nodes = (held(1, held(1, f"{number:x}") + held(2, "A") + feeder(number)) for number in range(1, count))
        return b"".join(nodes)

    return make


def _graph_one_fed_by_all(count: int) -> bytes:
    feeders = b"".join(held(3, f"{number:x}") for number in range(1, count))
    return _graph(lambda _: b"")(count) + held(1, held(1, "z") + held(2, "AddN") + feeders)


def _keras(config: Callable[[int], object]) -> Make:
    def make(count: int) -> bytes:
        with io.BytesIO() as weights, io.BytesIO() as written:
            with h5py.File(weights, "w") as file:
                file.create_group("layers")
            with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
                archive.writestr("config.json", _json(config(count)))
                archive.writestr("metadata.json", '{"keras_version":"3.0.0"}')
                archive.writestr("model.weights.h5", weights.getvalue())
            return written.getvalue()

    return make


def _sequential(count: int) -> object:
    layers = [
        {"module": "keras.layers", "class_name": "Dense", "config": {"name": f"{number:x}", "units": 1}}
        for number in range(count)
    ]
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": layers}}


def _functional(count: int) -> object:
    given = {"name": "0", "batch_shape": [None, 1]}
    layers: list[object] = [{"class_name": "InputLayer", "name": "0", "config": given, "inbound_nodes": []}]
    layers += [
        {"class_name": "Dense", "name": f"{number:x}", "config": {"name": f"{number:x}", "units": 1},
         "inbound_nodes": [[[f"{number - 1:x}", 0, 0, {}]]]}
        for number in range(1, count)
    ]  # fmt: skip
    ends = {"input_layers": [["0", 0, 0]], "output_layers": [[f"{count - 1:x}", 0, 0]]}
    return {"module": "keras", "class_name": "Functional", "config": {"name": "s", "layers": layers, **ends}}


def _hdf5(libver: str) -> Make:
    def make(count: int) -> bytes:
        with io.BytesIO() as written:
            with h5py.File(written, "w", libver=libver) as file:
                layers = file.create_group("layers")
                for number in range(count):
                    layers.create_group(f"{number:x}")
                file.create_dataset("layers/last/vars/0", data=[1.0])
            return written.getvalue()

    return make


def _hdf5_attributes(count: int) -> bytes:
    with io.BytesIO() as written:
        with h5py.File(written, "w", libver="latest") as file:
            layers = file.create_group("layers")
            for number in range(count):
                layers.attrs[f"{number:x}"] = number
        return written.getvalue()


def _pickled_keys(count: int) -> bytes:
    return pickle.dumps({f"{number:x}": number for number in range(count)}, 2)


def _pickled_lists(count: int) -> bytes:
    return b"\x80\x02](" + b"]" * count + b"e."


def _pickled_deep(count: int) -> bytes:
    return b"\x80\x02" + b"]" * count + b"a" * (count - 1) + b"."


def _pickled_memo(count: int) -> bytes:
    return b"\x80\x04]" + b"\x94" * count + b"."


def _pickled_calls(count: int) -> bytes:
    return b"\x80\x02(" + b"cos\nsystem\n)R" * count + b"l."


def _zipped(member: Callable[[int], tuple[str, bytes]]) -> Make:
    def make(count: int) -> bytes:
        with io.BytesIO() as written:
            with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
                for number in range(count):
                    archive.writestr(*member(number))
            return written.getvalue()

    return make


def _tar(count: int) -> bytes:
    with io.BytesIO() as written:
        with tarfile.open(fileobj=written, mode="w") as archive:
            for number in range(count):
                archive.addfile(tarfile.TarInfo(f"{number:x}"))
        return written.getvalue()


def _array() -> bytes:
    with io.BytesIO() as written:
        np.save(written, np.zeros(0, "<f4"))
        return written.getvalue()


def _flax(count: int) -> bytes:
    array = msgpack.ExtType(1, msgpack.packb([[0], "float32", b""]))
    return bytes(msgpack.packb({"params": {f"{number:x}": array for number in range(count)}}))


def _ncnn(count: int) -> bytes:
    lines = (f"ReLU r{number:x} 1 1 {number - 1:x} {number:x}\n" for number in range(1, count))
    return f"7767517\n{count} {count}\nInput i 0 1 0\n{''.join(lines)}".encode()


def _openvino(count: int) -> bytes:
    ports = '<input><port id="0"/></input><output><port id="1"/></output>'
    layers = (f'<layer id="{at}" name="{at:x}" type="ReLU">{ports}</layer>' for at in range(count))
    edges = (f'<edge from-layer="{at}" from-port="1" to-layer="{at + 1}" to-port="0"/>' for at in range(count - 1))
    start = '<?xml version="1.0"?><net name="m" version="11"><layers>'
    return f"{start}{''.join(layers)}</layers><edges>{''.join(edges)}</edges></net>".encode()


def _xml_deep(count: int) -> bytes:
    return b'<?xml version="1.0"?><net name="m" version="11">' + b"<a>" * count + b"</a>" * count + b"</net>"


def _coreml(count: int) -> bytes:
    ports = held(1, held(1, "0")) + held(10, held(1, f"{count:x}"))
    layers = b"".join(
        held(1, held(1, f"{at:x}") + held(2, f"{at:x}") + held(3, f"{at + 1:x}") + held(130, held(10, b"")))
        for at in range(count)
    )
    return whole(1, 4) + held(2, ports) + held(500, layers)


def _tflite(count: int) -> bytes:
    tensors = [{0: ("i", [1]), 1: ("b", 0)} for _ in range(count + 1)]
    operators = [{0: ("I", 0), 1: ("i", [at]), 2: ("i", [at + 1])} for at in range(count)]
    graph = {0: tensors, 1: ("i", [0]), 2: ("i", [count]), 3: operators, 4: "main"}
    return write({0: ("I", 3), 1: [{0: ("b", 19)}], 2: [graph], 4: [{}]}, b"TFL3")


def _bundle(count: int) -> bytes:
    entry = whole(1, 1) + held(2, b"")
    pairs = [(b"", whole(1, 1)), *((f"{number:06x}".encode(), entry) for number in range(count))]
    return table([pairs])


_LAYERS = _safetensors("layers.{}.w".format)
FILES: dict[str, Make] = {
    "safetensors: tensors": _safetensors("{:x}".format),
    "safetensors: layers": _LAYERS,
    "safetensors: a deep name": lambda count: _safetensors(lambda _: ".".join("a" * count))(1),
    "safetensors: deep names": _safetensors(lambda number: ".".join([*map(str, range(100)), str(number)])),
    "GGUF: tensors": _gguf, "GGUF: keys": _gguf_keys, "GGUF: texts of an array": _gguf_texts,
    "ONNX: nodes in a row": _onnx_nodes, "ONNX: nodes of nothing": _onnx_empty_nodes,
    "ONNX: inputs of a node": _onnx_inputs, "ONNX: weights that nobody uses": _onnx_weights,
    "ONNX: branches in branches": _onnx_deep,
    "GraphDef: nodes": _graph(lambda _: b""),
    "GraphDef: nodes in a row": _graph(lambda number: held(3, f"{number - 1:x}")),
    "GraphDef: a node fed by all": _graph_one_fed_by_all,
    ".keras: layers": _keras(_sequential), ".keras: layers in a row": _keras(_functional),
    "HDF5: groups": _hdf5("earliest"), "HDF5: groups, new": _hdf5("latest"), "HDF5: attributes": _hdf5_attributes,
    "pickle: keys": _pickled_keys, "pickle: lists": _pickled_lists, "pickle: lists in lists": _pickled_deep,
    "pickle: memo": _pickled_memo, "pickle: calls": _pickled_calls,
    "zip: members": _zipped(lambda number: (f"{number:x}", b"")),
    "npz: arrays": _zipped(lambda number: (f"{number:x}.npy", _array())),
    "zip: models": _zipped(lambda number: (f"{number:x}.safetensors", _safetensors("{:x}".format)(1))),
    "zip: a header that packs well": lambda count: _zipped(lambda _: ("a", _LAYERS(count)))(1),
    "tar: members": _tar, "MessagePack: arrays": _flax, "ncnn: layers in a row": _ncnn,
    "OpenVINO: layers in a row": _openvino, "OpenVINO: elements in elements": _xml_deep,
    "Core ML: layers in a row": _coreml, "TFLite: operators in a row": _tflite, "checkpoint: tensors": _bundle,
    "TensorFlow.js: weights": lambda count: _json(
        [{"paths": [], "weights": [{"name": f"{at:x}", "shape": [], "dtype": "int32"} for at in range(count)]}]
    ),
    "index: tensors": lambda count: _json({"weight_map": {f"{at:x}": "a.safetensors" for at in range(count)}}),
    "layer list: layers": lambda count: _json({"framework": "torch", "layers": [{"type": "ReLU"}] * count}),
}  # fmt: skip


def filled(make: Make, size: int) -> tuple[int, bytes]:
    """The largest file of at most about `size` bytes, and how many it holds."""
    count, found = 8, make(8)
    while len(found) < size * 0.9 and count < 4 * size:
        grown = max(count + 1, min(count * 8, int(count * size * 0.97 / len(found))))
        more = make(grown)
        if len(more) > size:
            break
        count, found = grown, more
    return count, found


def most_answered(sandbox: Sandbox, make: Make, refused: int) -> tuple[int, bytes, Finding] | None:
    """About the most that is answered, of less than was refused; None where hardly any is."""
    known, too_many, found = 8, refused, None
    for _ in range(8):
        count = int((known * too_many) ** 0.5) if too_many > 4 * known else (known + too_many) // 2
        data = make(count)
        (one,) = tried(sandbox, [Input({"file": data}, Order())])
        if one.how == "answered":
            known, found = count, (count, data, one)
        else:
            too_many = count
    return found


def measure(size: int) -> Iterator[str]:
    """The table, line by line."""
    yield "| many | how many | bytes | seconds | MiB | answered |"
    yield "| --- | --: | --: | --: | --: | --- |"
    with tempfile.TemporaryDirectory(prefix="weighbridge-") as folder, wall(Path(folder) / "run") as sandbox:
        for name, make in FILES.items():
            count, data = filled(make, size)
            (found,) = tried(sandbox, [Input({"file": data}, Order())])
            yield _row(name, count, data, found)
            fewer = most_answered(sandbox, make, count) if found.how == "refused" else None
            if fewer is not None:
                yield _row(f"{name}, fewer", *fewer)


def _row(name: str, count: int, data: bytes, found: Finding) -> str:
    said = complaint(found) or found.code or found.how
    return f"| {name} | {count} | {len(data)} | {found.seconds:.2f} | {found.peak >> 20} | {said} |"


if __name__ == "__main__":
    for line in measure(int(sys.argv[1]) if len(sys.argv) > 1 else SIZE):
        print(line, flush=True)
