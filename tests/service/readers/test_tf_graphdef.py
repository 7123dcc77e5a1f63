"""Frozen and unfrozen graphs beside what TensorFlow says of their constants; what begins like a graph and is none."""

from __future__ import annotations

import pytest

from service.errors import InputError
from service.readers import tf_checkpoint, tf_graphdef
from tests.corpus import corpus_dir, expected
from tests.service.parsers.sstables import varint
from tests.service.readers.tf_uploads import by_path, mutants, of_bytes, of_paths, read, rules, stored, survives

CORPUS = "keras_checkpoints"


def path(name: str):
    """One file of the corpus."""
    return corpus_dir(CORPUS) / name


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def node(name: str, op: str, *inputs: str, **attributes: bytes) -> bytes:
    """A NodeDef as a field of a GraphDef; attributes are AttrValues."""
    content = field(1, name.encode()) + field(2, op.encode()) + b"".join(field(3, one.encode()) for one in inputs)
    for key, value in attributes.items():
        content += field(5, field(1, key.encode()) + field(2, value))
    return field(1, content)


def floats(*shape: int, values: int | None = None) -> bytes:
    """A constant's value: all of its content, or `values` numbers written out."""
    dims = b"".join(field(2, b"\x08" + varint(size)) for size in shape)
    count = 1
    for size in shape:
        count *= size
    data = field(4, bytes(4 * count)) if values is None else field(5, bytes(4 * values))
    return field(8, b"\x08\x01" + field(2, dims) + data)


@pytest.mark.parametrize("name", ["frozen.pb", "frozen_keras.pb"])
def test_every_constant_is_told_as_tensorflow_reads_it(name):
    """Shape and type of every constant with more than one number, as weight or as constant; nothing else counted."""
    model = read(of_paths({name: path(name)}))
    found = {key: weight for key, weight in stored(model).items() if weight.count != 1}
    assert {key: {"shape": list(one.shape), "dtype": one.dtype} for key, one in found.items()} == expected(CORPUS)[
        "graphs"
    ][name]
    assert model.complete
    assert not rules(model)


def test_roles_by_what_reads_them():
    """Kernels, transposed ones, biases with their layer, the five tensors of a normalization, tables; edges between."""
    layers = by_path(read(of_paths({"x": path("frozen.pb")})))
    assert [(one.name, one.role, one.layout) for one in layers["conv/Conv2D"].weights] == [
        ("weights", "kernel", "HWIO"), ("biases", "bias", None),
    ]  # fmt: skip
    assert [one.role for one in layers["bn/FusedBatchNormV3"].weights] == [
        "scale", "offset", "moving_mean", "moving_variance",
    ]  # fmt: skip
    assert layers["bn/FusedBatchNormV3"].inputs == ("conv/Conv2D",)
    assert layers["deep/depthwise"].weights[0].layout == "HWIM"
    assert layers["out/MatMul"].weights[0].layout == "out-in"
    assert layers["out/MatMul"].explanation.formula == "70 × 5 + 5 = 355"
    assert [one.role for one in layers["GatherV2"].weights] == ["embedding"]
    assert layers["x"].kind == "input"
    assert layers["x"].output_shapes == ((None, 8, 8, 3),)


def test_every_layer_of_a_frozen_keras_model_is_explained():
    """A graph frozen by TF 2: convolutions, also transposed, normalization and dense, each fully explained."""
    model = read(of_paths({"x": path("frozen_keras.pb")}))
    kinds = {layer.kind: layer for layer in model.layers if layer.weights}
    assert set(kinds) == {"conv2d", "batch_norm", "depthwise_conv2d", "conv_transpose2d", "linear"}
    assert all(layer.explanation.status == "complete" for layer in kinds.values())
    assert kinds["conv_transpose2d"].weights[0].layout == "HWOI"
    assert model.totals.parameters == 449


def test_constants_lie_where_they_are_said_to():
    """The location's bytes are the values: of a small graph made here, all of them."""
    kernel = floats(2, 3).replace(bytes(24), b"\x00\x00\x80\x3f" * 6)
    data = node("x", "Placeholder") + node("w", "Const", value=kernel) + node("y", "MatMul", "x", "w")
    (weight,) = by_path(read(of_bytes({"g.pb": data})))["y"].weights
    place = weight.location
    assert data[place.offset : place.offset + place.length] == b"\x00\x00\x80\x3f" * 6


def test_a_splat_is_counted_as_it_is_meant():
    """One number written for all: the logical count, the stored count beside it, no place of an array."""
    data = node("x", "Placeholder") + node("w", "Const", value=floats(50, 4, values=1)) + node("y", "MatMul", "x", "w")
    (weight,) = by_path(read(of_bytes({"g.pb": data})))["y"].weights
    assert (weight.count, weight.stored_count, weight.bytes, weight.location) == (200, 1, 4, None)


def test_a_constant_that_two_operations_read_is_counted_once():
    """The second use is tied to the first."""
    data = b"".join(
        [node("x", "Placeholder"), node("w", "Const", value=floats(4, 4)), node("w/read", "Identity", "w"),
         node("a", "MatMul", "x", "w/read"), node("b", "MatMul", "a", "w/read")]
    )  # fmt: skip
    model = read(of_bytes({"g.pb": data}))
    layers = by_path(model)
    assert layers["b"].weights[0].tied_to == f"a/{layers['a'].weights[0].name}"
    assert (model.totals.parameters, model.totals.parameters_with_repeats) == (16, 32)


def test_an_addition_that_is_no_bias_stays():
    """A sum that others read too, or of another length, is an operation of its own."""
    start = [node("x", "Placeholder"), node("w", "Const", value=floats(4, 4)), node("m", "MatMul", "x", "w")]
    wide = b"".join([*start, node("c", "Const", value=floats(7, 4)), node("s", "AddV2", "m", "c")])
    read_twice = b"".join(
        [*start, node("c", "Const", value=floats(4)), node("s", "AddV2", "m", "c"), node("r", "Relu", "m")]
    )
    for data in (wide, read_twice):
        layers = by_path(read(of_bytes({"g.pb": data})))
        assert [one.role for one in layers["s"].weights] == ["offset"]
        assert len(layers["m"].weights) == 1


def test_cycles_do_not_hang():
    """A graph whose nodes pass on to each other in a circle ends."""
    data = node("a", "Identity", "b") + node("b", "Identity", "a") + node("c", "MatMul", "a", "b")
    assert [layer.path for layer in read(of_bytes({"g.pb": data})).layers] == ["c"]


def test_code_and_files_are_named():
    """Operations that run Python or read files, in the graph, with the node that does."""
    data = node("f", "ReadFile", "name") + node("p", "PyFunc", "f") + node("n", "Relu", "p")
    dangers = {one.code: one for one in read(of_bytes({"g.pb": data})).security}
    assert set(dangers) == {"tf_file_operation", "tf_code_operation"}
    assert dangers["tf_code_operation"].severity == "critical"
    assert dangers["tf_code_operation"].path == "p"


def test_meta_graph_alone():
    """A `.meta` file: variables from the graph, which of them learn from its collections; values are missing."""
    model = read(of_paths({"x.meta": path("v2/model.ckpt-7.meta")}))
    layers = by_path(model)
    assert model.info.type == "MetaGraphDef"
    assert [one.group for one in layers["bn"].weights] == ["trainable", "trainable", "statistic", "statistic"]
    assert not model.complete
    assert not tf_checkpoint.accept(of_paths({"x.meta": path("v2/model.ckpt-7.meta")}))


def test_a_partitioned_variable_without_its_checkpoint():
    """Its slices are one variable of the shape that its declaration gives."""
    model = read(of_paths({"x.meta": path("v2/model.ckpt-7.meta")}))
    (weight,) = by_path(model)["big"].weights
    assert (weight.name, weight.shape, weight.count, weight.bytes) == ("kernel", (288, 70), 20160, 80640)


def test_constants_without_a_name_are_no_parameters():
    """What was added as a number of the program is set apart; what a product reads as its kernel may have learned."""
    data = node("x", "Placeholder", dtype=b"\x30\x01") + node("Const", "Const", value=floats(3))
    data += node("a/Const_1", "Const", value=floats(3, 4)) + node("mean", "Const", value=floats(3))
    data += node("sub", "Sub", "x", "Const") + node("add", "Add", "sub", "mean")
    data += node("mm", "MatMul", "add", "a/Const_1")
    model = read(of_bytes({"x": data}))
    assert {layer.path: [weight.role for weight in layer.weights] for layer in model.layers if layer.weights} == {
        "add": ["offset"], "mm": ["kernel"],
    }  # fmt: skip
    assert (model.totals.parameters, model.totals.other) == (15, 3)
    assert "counted as parameters" in str(model.notes[0])


LONG = b"\x12\x90\x03" + b"w" * 400


@pytest.mark.parametrize(
    "written",
    [
        {"a": b"\x18\x07", "long": LONG, "z": b"\x28\x01", "value": floats(300, 2)},
        {"value": floats(300, 2), "a": b"\x18\x07", "long": LONG, "z": b"\x28\x01"},
        {"long": LONG, "value": floats(300, 2), "z": b"\x28\x01", "a": b"\x18\x07"},
    ],
)
def test_attributes_in_any_order_and_of_any_length(written):
    """A node longer than is read at once, with a constant before, between or behind its attributes."""
    data = node("k", "Const", **written)
    data += node("x", "Placeholder", **{key: value for key, value in written.items() if key != "value"})
    data += node("y", "MatMul", "x", "k", **{key: value for key, value in written.items() if key != "value"})
    layers = by_path(read(of_bytes({"x": data})))
    assert layers["y"].config == layers["x"].config == {"a": 7, "long": "w" * 400, "z": True}
    (weight,) = layers["y"].weights
    assert (weight.shape, weight.bytes) == ((300, 2), 2400)
    assert weight.location.offset == data.index(bytes(2400))


def test_a_constant_wherever_a_read_ends():
    """Names of any length before it: where its attribute lies across the end of what was read at once, too."""
    for length in range(380, 500):
        name = "k" * length
        data = node("x", "Placeholder") + node(name, "Const", dtype=b"\x30\x01", value=floats(30, 4))
        data += node("y", "MatMul", "x", name)
        (weight,) = by_path(read(of_bytes({"x": data})))["y"].weights
        assert (weight.shape, weight.location.offset) == ((30, 4), data.index(bytes(480)))


@pytest.mark.parametrize(
    "value",
    [
        field(8, b"\x08\x81\x00" + floats(2, 3)[4:]),
        floats(2, 3, values=6),
        field(8, floats(2, 3)[4:] + b"\x08\x01"),
        field(8, b"\x08\x01\x12\x0a\x12\x02\x08\x02\x12\x04\x08\x03\x18\x00" + b"\x2d\x00\x00\x80\x3f" * 6),
    ],
)
def test_constants_written_in_other_ways(value):
    """Numbers longer than need be, one by one, or fields in another order: the same constant."""
    data = node("x", "Placeholder") + node("k", "Const", value=value) + node("y", "MatMul", "x", "k")
    (weight,) = by_path(read(of_bytes({"x": data})))["y"].weights
    assert (weight.shape, weight.dtype, weight.bytes, weight.stored_count) == ((2, 3), "float32", 24, None)


def test_an_attribute_called_value_that_is_no_constant():
    """Is a setting like any other; equal ends of nodes are told alike, also where only lengths differ."""
    data = node("x", "Placeholder", value=b"\x18\x05") + node("y", "Relu", "x", value=b"\x18\x05", b=b"\x18\x01")
    layers = by_path(read(of_bytes({"x": data})))
    assert layers["x"].config == {"value": 5}
    assert layers["y"].config == {"value": 5, "b": 1}


def test_training_graph():
    """A graph that was not frozen: its variables, optimizer slots apart; a note says where the values are."""
    model = read(of_paths({"x.pb": path("training.pb")}))
    assert {state.group for state in model.states} == {"optimizer", "ema", "other"}
    assert model.totals.parameters == 21337
    assert "checkpoint that was not uploaded" in str(model.notes[-1])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x0a",
        b"\x0a\x03abc",
        b"\x08\x07\x12\x04CNTK",
        b"\x0a\x08\x0a\x01a\x12\x03add",
        b"\x00" * 40,
        b"{}",
        b"\x0a" * 40,
    ],
)
def test_other_messages_are_not_claimed(data):
    """Too short, text, an ONNX model, an operation in lower case: no graph."""
    assert not tf_graphdef.accept(of_bytes({"x": data}))


def test_a_cut_graph_is_malformed():
    """It is known for what it is; the error has the place."""
    data = path("frozen.pb").read_bytes()[:-7000]
    upload = of_bytes({"x": data})
    assert tf_graphdef.accept(upload)
    with pytest.raises(InputError) as caught:
        tf_graphdef.read(upload)
    assert caught.value.info.code == "truncated_file"
    assert caught.value.info.offset is not None


def test_no_mutation_gets_through_as_another_error():
    """Changed and cut bytes of two graphs: an answer or an InputError."""
    for name in ("frozen_keras.pb", "v2/model.ckpt-7.meta"):
        data = path(name).read_bytes()
        for mutant in mutants(data, 80):
            survives(lambda mutant=mutant: of_bytes({"x": mutant}))
