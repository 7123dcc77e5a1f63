"""Inputs that once broke a reader or what follows it, made small; each is now answered or refused as it should be."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest

from service import wire
from service.enrich.pipeline import enrich
from service.errors import InputError
from service.registry import load_readers
from service.tree import Model
from service.worker.reading import read
from tests.builders import layer, model, weight
from tests.service.parsers.sstables import varint
from tests.service.readers.fielded import upload

READERS = load_readers()
PROGRAMS = Path(__file__).parent / "executorch_programs"
HALF = "\ud800"
"""Half of a surrogate pair: JSON can write it, UTF-8 cannot."""


def number(field: int, value: int) -> bytes:
    """A protobuf field that is a number."""
    return varint(field << 3) + varint(value % 2**64)


def message(field: int, content: bytes) -> bytes:
    """A protobuf field that is a message, a text or bytes."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def outcome(parts: Mapping[str, bytes]) -> Model | str:
    """The model, or the code of the error: either has crossed the wall."""
    try:
        answer = read(upload(parts), READERS)
    except InputError as error:
        return error_code(error)
    crossed = wire.decode_answer(wire.encode(answer))
    assert crossed.model is not None
    assert crossed.model == answer.model
    sound(crossed.model)
    return crossed.model


def error_code(error: InputError) -> str:
    """Its code, after it has crossed the wall."""
    crossed = wire.decode_answer(wire.encode(wire.Answer(error=error.info)))
    assert crossed.error is not None
    return crossed.error.code


def sound(found: Model) -> None:
    """Paths occur once, parents come first, inputs are layers, and no count is below nothing."""
    seen: set[str] = set()
    for one in found.layers:
        assert one.path not in seen
        assert one.parent is None or one.parent in seen
        seen.add(one.path)
    assert all(name in seen for one in found.layers for name in one.inputs or ())
    assert all((held.count or 0) >= 0 for one in found.layers for held in one.weights)


@pytest.mark.parametrize("document", [
    {"architectures": ["LlamaForCausalLM"], "model_type": "llama", HALF: 1},
    {"architectures": [HALF], "model_type": "llama"},
    {"class_name": "Sequential", "config": {"name": HALF, "layers": []}},
    {"framework": "torch", "layers": [{"type": HALF}]},
    {"framework": "torch", "layers": [{"type": "Linear", HALF: 10**30}]},
])  # fmt: skip
def test_half_a_character_in_a_specification(document: object) -> None:
    """It was passed on to whoever builds the model, and could not be sent."""
    assert outcome({"config.json": json.dumps(document).encode()}) == "invalid_spec"


def test_half_a_character_in_the_place_of_an_error() -> None:
    """A manifest's path became the error's member as it was."""
    manifest = {"itemInfoEntries": {"a": {"path": HALF}}, "rootModelIdentifier": "a"}
    parts = {"m.mlpackage/Manifest.json": json.dumps(manifest).encode(), "m.mlpackage/Data/model.mlmodel": b""}
    assert outcome(parts) == "malformed_file"


def coreml(params: bytes, kind: int) -> bytes:
    """A neural network of one layer with these parameters."""
    description = message(1, message(1, b"x") + message(3, message(5, message(1, b"\4") + number(2, 65568))))
    inner = message(1, b"a") + message(2, b"x") + message(3, b"y") + message(kind, params)
    return number(1, 4) + message(2, description) + message(500, message(1, inner))


@pytest.mark.parametrize("sizes", [(-1, 4), (4, -1), (-(2**63), 2)])
def test_sizes_below_nothing_in_core_ml(sizes: tuple[int, int]) -> None:
    """They became a weight of less than no elements."""
    embedding = number(1, sizes[0]) + number(2, sizes[1]) + message(20, message(1, bytes(16)))
    assert outcome({"m.mlmodel": coreml(embedding, 150)}) == "malformed_file"


def test_a_recurrent_layer_with_a_bias_of_an_absurd_size() -> None:
    """Its formula named each of 2^62 vectors."""
    held = [weight("weight_ih_l0", (6, 2), "kernel"), weight("weight_hh_l0", (6, 2), "recurrent_kernel"),
            weight("bias_ih_l0", (2**62,), "bias")]  # fmt: skip
    found = enrich(model("torch", layer("gru", "gru", *held)))
    assert found.totals is not None
    assert found.totals.parameters == 24 + 2**62


def test_nodes_of_the_same_name_in_a_graph() -> None:
    """Both became layers of the same path."""
    node = message(1, message(1, b"a") + message(2, b"Relu"))
    found = outcome({"graph.pb": node + node})
    assert isinstance(found, Model)
    assert [one.path for one in found.layers] == ["a", "a~2"]


def test_a_type_of_quantization_that_is_no_text() -> None:
    """An object was looked up in a set."""
    entry = {"name": "a", "shape": [1], "dtype": "float32", "quantization": {"dtype": {}}}
    assert outcome({"m.json": json.dumps([{"paths": [], "weights": [entry]}]).encode()}) == "malformed_file"


def test_a_cut_executorch_program_is_not_complete() -> None:
    """The values that are gone were told, but not that the answer lacks something."""
    data = (PROGRAMS / "plain.pte").read_bytes()
    found = outcome({"m.pte": data[:-100]})
    assert isinstance(found, Model)
    assert not found.complete
    told = next(one for one in found.findings if one.rule == "data_past_end" and one.path == "mm.weight")
    start, extent = struct.unpack_from("<QQ", data, 24)
    assert str(told.what).endswith(f"there are only {start + extent - 100 - 6080}.")


def onnx(node: bytes) -> bytes:
    """A graph of one node and one initializer `w` of 2 x 2."""
    tensor = number(1, 2) + number(1, 2) + number(2, 1) + message(8, b"w") + message(9, bytes(16))
    shape = message(2, message(1, number(1, 4)))
    given = message(11, message(1, b"x") + message(2, message(1, number(1, 1) + shape)))
    graph = message(1, node) + message(2, b"g") + message(5, tensor) + given + message(12, message(1, b"y"))
    return number(1, 8) + message(7, graph) + message(8, number(2, 17))


def graph_def(repeats: int) -> bytes:
    """A constant of 2 x 2 that one operation is given again and again."""
    shape = message(2, message(2, number(1, 2)) * 2)
    attributes = {b"dtype": number(6, 1), b"value": message(8, number(1, 1) + shape + message(4, bytes(16)))}
    written = b"".join(message(5, message(1, key) + message(2, value)) for key, value in attributes.items())
    held = message(1, message(1, b"w") + message(2, b"Const") + written)
    return held + message(1, message(1, b"m") + message(2, b"AddN") + message(3, b"w") * repeats)


def program(repeats: int) -> bytes:
    """PaddlePaddle's: a parameter of 2 x 2 that one operator is given again and again."""
    kind = message(2, number(1, 7) + message(3, message(1, number(1, 5) + number(2, 2) * 2)))
    variable = message(3, message(1, b"w") + kind + number(3, 1) + number(5, 1))
    given = message(1, message(1, b"X") + message(2, b"w") * repeats)
    made = message(2, message(1, b"Out") + message(2, b"y"))
    return message(1, number(1, 0) + number(2, -1) + variable + message(4, given + made + message(3, b"concat")))


@pytest.mark.parametrize("data", [
    onnx(message(1, b"w") * 3000 + message(2, b"y") + message(4, b"Concat")), graph_def(3000), program(3000),
], ids=["onnx", "tensorflow", "paddle"])  # fmt: skip
def test_a_weight_given_to_one_operation_again_and_again(data: bytes) -> None:
    """Each time made a weight, a term of a formula and, for one reader, a count: four values, not twelve thousand."""
    found = outcome({"content": data})
    assert isinstance(found, Model)
    held = [one for layer in found.layers for one in layer.weights]
    held += [one for state in found.states for one in state.weights]
    assert len(held) == 1
    assert held[0].count == 4
