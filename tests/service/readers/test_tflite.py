"""TensorFlow Lite: files of TensorFlow's own converter, and hand-made ones for what it does not write."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from service.catalog.tflite_names import OPERATORS, TENSOR_TYPES
from service.config import Limits
from service.enrich.pipeline import enrich
from service.formats import Upload
from service.registry import load_readers
from service.source import BytesSource, Meter
from service.tree import Layer, Location, Model
from service.worker.searching import search
from tests.corpus import expected
from tests.service.parsers.flatbuffers_writer import write
from tests.service.readers.tflite_answers import hold, read, weights
from tests.service.readers.tflite_files import content, dense, made, tensor

CORPUS: dict[str, Any] = expected("keras_tflite")
FILES = sorted(CORPUS["files"])
CUSTOM, LSTM = 32, 44


def layers(model: Model) -> dict[str, Layer]:
    """By path."""
    return {layer.path: layer for layer in model.layers}


@pytest.mark.parametrize("name", FILES)
def test_every_tensor_is_tensorflows(name: str) -> None:
    """All tensors and operators of all subgraphs; every constant is a weight, none is invented."""
    hold(content(name), CORPUS["files"][name])


@pytest.mark.parametrize("name", FILES)
def test_every_formula_holds(name: str) -> None:
    """Explanations evaluate to what was counted."""
    found = enrich(read(content(name)))
    assert [finding for finding in found.findings if finding.rule.endswith("mismatch")] == []
    assert {layer.explanation.status for layer in found.layers if layer.explanation} == {"complete"}


@pytest.mark.parametrize("name", FILES)
def test_the_tree_is_whole(name: str) -> None:
    """Paths are unique, parents and feeders come before, and each tie leads to a weight that is there."""
    found = read(content(name))
    held, seen = weights(found), set()
    for layer in found.layers:
        assert layer.path not in seen
        assert layer.parent is None or layer.parent in seen
        assert set(layer.inputs or ()) <= seen
        seen.add(layer.path)
    assert all(weight.tied_to in held for weight in held.values() if weight.tied_to)


def test_names_of_operators_and_types_are_the_schemas() -> None:
    """By number, as TensorFlow's generated schema has them."""
    assert {int(number): name for number, name in CORPUS["schema"]["operators"].items()}.items() <= dict(
        enumerate(OPERATORS)
    ).items()
    assert {int(number): name for number, name in CORPUS["schema"]["types"].items()}.items() <= TENSOR_TYPES.items()


@pytest.mark.parametrize(
    ("name", "kinds"), [("float.tflite", "float32"), ("half.tflite", "float16"), ("whole.tflite", "int8")]
)
def test_weights_have_their_roles(name: str, kinds: str) -> None:
    """By operator input, through operators that unpack float16; whole numbers are frozen, of the rest nobody knows."""
    found = {weight.role: weight for weight in weights(read(content(name))).values()}
    facts = [("kernel", (2, 864), "out-in"), ("depthwise_kernel", (1, 3, 3, 8), "IHWO"), ("slope", (1, 1, 5), None)]
    for role, shape, layout in facts:
        assert (found[role].shape, found[role].layout, found[role].dtype) == (shape, layout, kinds)
        assert found[role].group == ("frozen" if kinds == "int8" else "unknown")
    assert found["constant"].group == "statistic"


def test_scales_are_settings_and_no_parameters() -> None:
    """One scale per channel is told with its axis; one for the whole tensor with its zero point."""
    layer = layers(read(content("whole.tflite")))["functional_1/re_lu_1/Relu"]
    quantization = layer.config["quantization"]
    assert quantization["filter"] == {"scales": 4, "axis": 0}
    assert set(quantization["output"]) == {"scale", "zero_point"}
    assert layer.config["fused_activation_function"] == "RELU"


def test_a_folded_normalisation_is_told() -> None:
    """The depthwise convolution took in a BatchNormalization that its tensors still name."""
    found = read(content("float.tflite"))
    layer = layers(found)["functional_1/deep_bn_1/batchnorm/mul_1"]
    (note,) = layer.notes
    assert str(note).startswith("BatchNormalization was here (functional_1/deep_bn_1/batchnorm/mul_1) and is folded")
    assert any("folded into 1 layer" in str(note) for note in found.notes)


def test_subgraphs_stand_below_what_runs_them() -> None:
    """The loop's body and condition, both branches and the set-up of variables, under two signatures."""
    found = read(content("counter.tflite"))
    parents = {layer.path: layer.parent for layer in found.layers if layer.type == "SubGraph"}
    assert parents["loop/while/body"] == "loop/while"
    assert {"CALL_ONCE_0/init", "loop", "loop/while/cond"} <= parents.keys()
    again = next(layer for layer in found.layers if layer.path == "loop/CALL_ONCE_0/init")
    assert again.shared_with == "CALL_ONCE_0/init"
    assert set(found.info.tags["signatures"]) == {"add", "loop"}
    assert found.info.tags["signatures"]["add"]["inputs"] == {"x": "add_x:0"}


def test_the_same_buffer_is_tied() -> None:
    """A table that is looked up and multiplied with."""
    found = weights(read(content("embedded.tflite")))
    assert {name: (one.role, one.tied_to) for name, one in found.items()} == {
        "Gather/params": ("embedding", None),
        "Identity/weights": ("kernel", "Gather/params"),
    }


def test_open_sizes_are_open() -> None:
    """A batch that was not fixed is None in the shapes; a fixed one is as it is stored."""
    assert layers(read(content("float.tflite")))["serving_default_keras_tensor:0"].output_shapes == ((None, 8, 8, 3),)
    assert layers(read(content("embedded.tflite")))["ids"].output_shapes == ((3,),)


def test_the_converter_is_named() -> None:
    """From the metadata."""
    info = read(content("float.tflite")).info
    assert (info.producer, info.format_version) == ("MLIR Converted.", "3")
    assert info.framework_version is not None
    assert info.framework_version.startswith("2.")
    assert info.tags["min_runtime_version"]


@pytest.mark.parametrize(("kind", "dtype", "size"), [
    (0, "float32", 60), (1, "float16", 30), (17, "int4", 8), (19, "int2", 4), (20, "uint4", 8), (18, "bfloat16", 30),
    (8, "complex64", 120), (11, "complex128", 240), (6, "bool", 15), (4, "int64", 120), (16, "uint16", 30),
    (21, "float8_e4m3fn", 15), (5, "string", 77), (13, "resource", 4), (14, "variant", 4),
])  # fmt: skip
def test_every_type_has_its_name_and_size(kind: int, dtype: str, size: int) -> None:
    """Packed ones too; a place is only told where the values lie as a plain array."""
    found = read(dense(kind, {0: bytes(size)}))
    weight = weights(found)["y/weights"]
    assert (weight.dtype, weight.count, weight.bytes) == (dtype, 15, size)
    assert (weight.location is None) == (dtype in ("int4", "int2", "uint4", "string", "resource", "variant"))
    assert not found.findings


def test_a_place_is_where_the_values_are() -> None:
    """The bytes at the told offset are the weight's."""
    values = bytes(range(60))
    data = dense(0, {0: values})
    place = weights(read(data))["y/weights"].location
    assert place is not None
    assert place.offset is not None
    assert data[place.offset : place.offset + 60] == values


def test_data_behind_the_flatbuffer_is_found() -> None:
    """Buffers of models beyond 2 GB have an offset in the file instead of data."""
    start = len(dense(0, {1: ("Q", 1 << 40), 2: ("Q", 60)}))
    found = read(dense(0, {1: ("Q", start), 2: ("Q", 60)}) + bytes(60))
    assert weights(found)["y/weights"].location == Location(offset=start, length=60)
    assert (found.complete, found.findings) == (True, ())


def test_weights_in_other_files_are_named() -> None:
    """An external buffer: a low danger beside the model, a high one where its path leads out of the folder."""

    def data(name: str) -> bytes:
        tensors = [tensor("x", [1, 5]), tensor("w", [3, 5], 0, 0, _10=("I", 7)), tensor("y", [1, 3])]
        more = {8: [{0: name}], 9: [{0: ("I", 7), 1: ("I", 0), 2: ("Q", 16), 3: ("Q", 60)}]}
        return made(tensors, {0: ("I", 0), 1: ("i", [0, 1]), 2: ("i", [2])}, more=more)

    found = read(data("weights.bin"))
    weight = weights(found)["y/weights"]
    assert (found.complete, weight.bytes, weight.count, weight.location) == (False, 60, 15, None)
    assert [(one.code, one.severity) for one in found.security] == [("tflite_external_file", "low")]
    assert [one.severity for one in read(data("../../etc/passwd")).security] == ["high"]


@pytest.mark.parametrize(("name", "code"), [("FlexErf", "tflite_flex_operator"), ("mine", "tflite_custom_operator")])
def test_operators_of_others_are_told(name: str, code: str) -> None:
    """They need code that is not in the file; their constants are weights of unknown purpose."""
    tensors = [tensor("x", [1, 5]), tensor("w", [3, 5], 0, 1), tensor("y", [1, 3])]
    operator = {0: ("I", 0), 1: ("i", [0, 1]), 2: ("i", [2]), 5: b"options"}
    found = read(made(tensors, operator, code={0: ("b", CUSTOM), 1: name}, buffers=[{0: bytes(60)}]))
    layer = layers(found)["y"]
    assert (layer.type, layer.kind, layer.custom, layer.config["custom_options_bytes"]) == (name, "custom", True, 7)
    assert [(one.code, one.detail) for one in found.security] == [(code, name)]
    assert layer.weights[0].role == "parameter"


@pytest.mark.parametrize(("name", "expected"), [
    ("FlexReadFile", ("tf_file_operation", "high")), ("FlexEagerPyFunc", ("tf_code_operation", "critical")),
    ("FlexSaveV2", ("tflite_flex_operator", "low")), ("FlexMatMul", ("tflite_flex_operator", "low")),
])  # fmt: skip
def test_operations_of_tensorflow_are_told_for_what_they_do(name: str, expected: tuple[str, str]) -> None:
    """As in a graph of TensorFlow; the savers of models that go on learning are given their path by the caller."""
    tensors = [tensor("x", [1, 5]), tensor("y", [1, 3])]
    operator = {0: ("I", 0), 1: ("i", [0]), 2: ("i", [1])}
    found = read(made(tensors, operator, code={0: ("b", CUSTOM), 1: name}))
    assert [(one.code, one.severity, one.path) for one in found.security] == [(*expected, "y")]


def test_states_are_variables_without_data() -> None:
    """An LSTM's states are not stored, so they are told and not counted; its gates are weights of their own."""
    gates = [tensor(f"g{at}", [4, 3] if at < 4 else [4, 4], 0, 1 + at) for at in range(8)]
    biases = [tensor(f"b{at}", [4], 0, 9 + at) for at in range(4)]
    kept = [tensor(name, [1, 4], _5=("?", True)) for name in ("h", "c")]
    tensors = [tensor("x", [1, 7, 3]), *gates, *biases, *kept, tensor("y", [1, 7, 4])]
    inputs = [0, *range(1, 9), -1, -1, -1, *range(9, 13), -1, -1, 13, 14]
    buffers = [{0: bytes(size)} for size in (48, 64, 16) for _ in range(4)]
    found = read(made(tensors, {0: ("I", 0), 1: ("i", inputs), 2: ("i", [15])}, code={0: ("b", LSTM)}, buffers=buffers))
    layer = layers(found)["y"]
    names = [weight.name for weight in layer.weights]
    assert names[:2] == ["input_to_input_weights", "input_to_forget_weights"]
    assert len(names) == 12
    state = {"shape": [1, 4], "dtype": "float32"}
    assert layer.config["variables"] == {"output_state": state, "cell_state": state}
    assert layer.input_shapes == ((1, 7, 3),)
    totals = enrich(found).totals
    assert totals is not None
    assert totals.parameters == 4 * (4 * 3 + 4 * 4 + 4)


@pytest.mark.parametrize(("code", "shape", "formula"), [
    (3, [8, 3, 2, 4], "8 × 3 × 2 × 4 = 192"), (4, [1, 3, 2, 8], "1 × 3 × 2 × 8 = 48"),
    (132, [2, 3, 4, 5, 6], "2 × 3 × 4 × 5 × 6 = 720"), (9, [7, 5], "5 × 7 = 35"),
])  # fmt: skip
def test_kernels_are_explained_by_their_layout(code: int, shape: list[int], formula: str) -> None:
    """Filters first, except in three dimensions; a depthwise filter sees one channel."""
    tensors = [tensor("x", [1, 5]), tensor("w", shape, 0, 1), tensor("y", [1, 3])]
    size = 4
    for axis in shape:
        size *= axis
    operator = {0: ("I", 0), 1: ("i", [0, 1]), 2: ("i", [2])}
    found = enrich(read(made(tensors, operator, code={3: ("i", code)}, buffers=[{0: bytes(size)}])))
    explanation = layers(found)["y"].explanation
    assert explanation is not None
    assert (explanation.formula, explanation.status) == (formula, "complete")


def test_scales_of_blocks_are_weights_beside() -> None:
    """BlockwiseQuantization keeps its scales as a tensor: counted as no parameter."""
    quantization = {4: ("B", 2), 5: {0: ("i", 2), 1: ("i", -1), 2: ("i", 32)}}
    table = tensor("w", [2, 64], 17, 1, _4=quantization)
    tensors = [tensor("x", [1, 64]), table, tensor("s", [2, 2], 1, 2), tensor("y", [1, 2])]
    found = read(made(tensors, {0: ("I", 0), 1: ("i", [0, 1]), 2: ("i", [3])}, buffers=[{0: bytes(64)}, {0: bytes(8)}]))
    layer = layers(found)["y"]
    assert [(one.name, one.role, one.group) for one in layer.weights] == [
        ("weights", "kernel", "frozen"), ("weights_scales", "quant_scale", "statistic")
    ]  # fmt: skip
    assert layer.config["quantization"]["weights"] == {"block_size": 32, "axis": 0}


def test_zeros_left_out_are_counted() -> None:
    """A sparse tensor of 15 values that stores 4."""
    weight = weights(read(dense(0, {0: bytes(16)}, _6={0: ("i", [0, 1])})))["y/weights"]
    assert (weight.count, weight.stored_count, weight.bytes, weight.location) == (15, 4, 16, None)


def test_label_files_behind_the_model_are_listed() -> None:
    """TensorFlow Lite metadata packs them as a zip archive that begins where the model ends."""
    card = write({0: "Bird finder", 3: [], 4: "Ada"}, b"M001")
    tensors = [tensor("x", [1, 5]), tensor("w", [3, 5], 0, 1), tensor("y", [1, 3])]
    operator = {0: ("I", 0), 1: ("i", [0, 1]), 2: ("i", [2])}
    more = {6: [{0: "TFLITE_METADATA", 1: ("I", 2)}]}
    held = io.BytesIO(made(tensors, operator, buffers=[{0: bytes(60)}, {0: card}], more=more))
    with zipfile.ZipFile(held, "a") as archive:
        archive.writestr("labels.txt", "wren\n")
    info = read(held.getvalue()).info
    assert (info.name, info.tags["packed_files"], info.tags["model_author"]) == ("Bird finder", ["labels.txt"], "Ada")


def test_each_model_of_a_bundle_is_described() -> None:
    """A .task file is an archive: its models are found and read, one inside another bundle too."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("detector.tflite", content("embedded.tflite"))
    outer = io.BytesIO()
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("hand.task", inner.getvalue())
        archive.writestr("landmarks.tflite", content("half.tflite"))
    meter = Meter(Limits())
    found = search(Upload({"a.task": BytesSource(outer.getvalue(), meter)}, meter), load_readers())
    assert [(one.path, one.reader.FORMAT.id) for one in found.found] == [
        ("hand.task!/detector.tflite", "tflite"), ("landmarks.tflite", "tflite")
    ]  # fmt: skip
