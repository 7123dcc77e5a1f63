"""ONNX files in parts, cut, broken or hostile: each has its exact answer, and nothing but InputError comes out."""

from __future__ import annotations

import contextlib
import random

import onnx
import pytest
from onnx import TensorProto, helper

from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.readers import onnx as reader
from tests.service.readers.onnx_files import floats, graph, ints, layer, model, read, upload, weights

node = helper.make_node


def outside(name: str, *shape: int, **entries: str) -> TensorProto:
    """A tensor whose values lie in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def apart(*tensors: TensorProto) -> bytes:
    """A model that adds up these tensors."""
    return model(graph([node("Sum", [one.name for one in tensors], ["y"])], {}, ["y"], tensors)).SerializeToString()


def plain() -> bytes:
    """A small model with a bit of everything that is parsed."""
    then = graph([node("Identity", ["w"], ["t"])], {}, ["t"], [floats("inner", 2)])
    nodes = [
        node("Conv", ["x", "w"], ["h"], name="/a/Conv", pads=[1, 1, 1, 1], auto_pad="NOTSET"),
        node("Reshape", ["h", "shape"], ["r"]), node("If", ["c"], ["i"], then_branch=then, else_branch=then),
        node("F", ["r", "i"], ["y"], domain="local", alpha=0.5, names=["a", "b"]),
    ]  # fmt: skip
    function = helper.make_function("local", "F", ["a", "b"], ["o"], [node("Add", ["a", "b"], ["o"])],
                                    [helper.make_opsetid("", 21)])  # fmt: skip
    made = graph(nodes, {"x": ["N", 2, 4, 4]}, ["y"], [floats("w", 3, 2, 3, 3), ints("shape", 0, -1), floats("c")])
    made.sparse_initializer.append(helper.make_sparse_tensor(floats("s", 1), ints("at", 3), [4]))
    return model(made, domains=["local"], functions=[function]).SerializeToString()


# External data


def test_values_in_another_file() -> None:
    """Uploaded together: sizes from the file, places in the part that holds them."""
    data = apart(outside("a", 3, 4, location="w.bin", offset="16", length="48"), outside("b", 2, location="w.bin"))
    found = read({"dir/model.onnx": data, "dir/w.bin": bytes(64)})
    first, second = layer(found, "Sum_1").weights
    assert (first.location.member, first.location.offset, first.location.length) == ("dir/w.bin", 16, 48)
    assert (second.location.offset, second.location.length, second.bytes) == (0, 8, 8)
    assert (found.complete, found.info.members) == (True, ("dir/model.onnx", "dir/w.bin"))
    assert not found.findings


def test_names_are_compared_as_paths() -> None:
    """`./sub/w.bin` is `sub/w.bin` beside the model."""
    found = read({"model.onnx": apart(outside("a", 2, location=".\\sub\\w.bin")), "sub/w.bin": bytes(8)})
    assert found.complete


def test_a_missing_file_is_named() -> None:
    """The layers and counts are all there; the answer is incomplete, and says which file is missing."""
    found = read(apart(outside("a", 3, 4, location="w.bin", length="48"), outside("b", 2, location="w.bin")))
    assert (found.complete, found.totals.parameters, found.totals.bytes.total) == (False, 14, 56)
    assert [(one.rule, one.path) for one in found.findings] == [("external_data_missing", "w.bin")]
    assert str(found.notes[0]) == "Values lie in other files that were not uploaded: w.bin."


def test_values_past_the_end_of_their_file() -> None:
    """The finding names the tensor, its bytes and the file's size."""
    data = apart(outside("a", 3, 4, location="w.bin", offset="40", length="48"))
    found = read({"model.onnx": data, "w.bin": bytes(64)})
    assert [str(one.what) for one in found.findings] == ["a lies at bytes 40 to 88 of w.bin, but its data ends at 64."]
    assert weights(found)["Sum_1/input_0"].location is None


def test_values_of_another_size() -> None:
    """What the file declares does not fit the shape."""
    found = read({"model.onnx": apart(outside("a", 3, location="w.bin", length="8")), "w.bin": bytes(8)})
    assert [one.rule for one in found.findings] == ["data_wrong_size"]
    found = read(apart(TensorProto(name="a", data_type=1, dims=[3], raw_data=b"1234")))
    assert [str(one.what) for one in found.findings] == ["a has 4 bytes; its shape and element type need 12."]


def test_the_same_bytes_twice_are_tied() -> None:
    """Two tensors at one place of a file are one weight, as two names of one tensor are."""
    entries = {"location": "w.bin", "offset": "0", "length": "8"}
    found = read({"model.onnx": apart(outside("a", 2, **entries), outside("b", 2, **entries)), "w.bin": bytes(8)})
    assert weights(found)["Sum_1/input_1"].tied_to == "Sum_1/input_0"
    assert (found.totals.parameters, found.findings) == (2, ())


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/passwd", "C:\\w.bin", "a/../../w.bin", "..\\w.bin", "\\\\host\\w"]
)
def test_names_that_reach_outside(location) -> None:
    """Never looked up, even if a part is called so; a danger that quotes the name."""
    found = read(apart(outside("a", 2, location=location)))
    (danger,) = found.security
    assert (danger.code, danger.severity, danger.detail) == ("onnx_external_path", "high", location)
    assert not found.complete
    assert not reader.accept(upload({"model.onnx": apart(outside("a", 2, location=location)), location: bytes(8)}))


@pytest.mark.parametrize("first", [True, False])
def test_any_of_several_names_may_reach_outside(first: bool) -> None:
    """Readers differ in which of two they take: both are looked at, and neither is looked up."""
    tensor = outside("a", 2, location="../w.bin" if first else "w.bin")
    tensor.external_data.add(key="location", value="w.bin" if first else "../w.bin")
    found = read(apart(tensor))
    assert [(danger.code, danger.detail) for danger in found.security] == [("onnx_external_path", "../w.bin")]


def test_a_folder_is_taken_apart() -> None:
    """`find` gives each model with the files that it names, and nothing else; `accept` says yes to each such set."""
    parts = {
        "a/model.onnx": apart(outside("a", 2, location="model.onnx.data")), "a/model.onnx.data": bytes(8),
        "b/model.onnx": apart(floats("b", 2)), "README.md": b"# two models", "model.onnx.data": bytes(8),
    }  # fmt: skip
    found = reader.find(upload(parts))
    assert found == [frozenset({"a/model.onnx", "a/model.onnx.data"}), frozenset({"b/model.onnx"})]
    assert all(reader.accept(upload({name: parts[name] for name in names})) for names in found)
    assert not reader.accept(upload(parts))


# What is and what is not ONNX


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x08", b"\x08\x07", b"PK\x03\x04" * 10, b"{}", b"\x80\x02}q\x00.",
        TensorProto(name="a", data_type=1, dims=[3]).SerializeToString(),
        onnx.GraphProto(name="g", node=[node("Relu", ["x"], ["y"])]).SerializeToString(),
        b"\x08\x01\x12\x90\x4e" + bytes(10_000), b"\x08\x04\x12\x04\x0a\x02hi\x92\x1f\x00", bytes(100),
    ],
    ids=["empty", "a tag", "a version", "zip", "json", "pickle", "TensorProto", "GraphProto", "SavedModel", "Core ML",
         "zeros"],
)  # fmt: skip
def test_other_files_are_not_accepted(data) -> None:
    """Other messages and formats, and files too short to tell."""
    assert not reader.accept(upload(data))
    assert not reader.find(upload(data))


def test_onnx_runtimes_own_format() -> None:
    """It is recognised, and the answer says what to send instead."""
    data = b"\x18\0\0\0ORTM" + bytes(50)
    assert reader.accept(upload(data))
    with pytest.raises(UnsupportedFeature, match=r"ONNX Runtime's own format \(\.ort\)") as caught:
        reader.read(upload(data))
    assert str(caught.value.info.hint) == "Upload the ONNX model that it was converted from."


def test_a_model_without_a_graph() -> None:
    """Recognised by its version and opsets, and refused for what it lacks."""
    data = onnx.ModelProto(ir_version=9, opset_import=[helper.make_opsetid("", 20)]).SerializeToString()
    with pytest.raises(MalformedFile, match="The model has no graph"):
        read(data)


# Damage


def test_a_header_alone() -> None:
    """A file cut within its tensors is described as far as it goes, with what is missing."""
    data = model(graph([node("MatMul", ["x", "w"], ["y"])], {"x": ["N", 100]}, ["y"], [floats("w", 100, 1000)]))
    found = read(data.SerializeToString()[:500])
    assert (found.complete, found.totals.parameters) == (False, 100_000)
    assert [one.rule for one in found.findings] == ["data_truncated"]
    assert layer(found, "MatMul_1").weights[0].shape == (100, 1000)


@pytest.mark.parametrize(
    ("tensor", "error", "words"),
    [
        (TensorProto(name="a", data_type=1, dims=[-1, 3]), MalformedFile, "negative"),
        (TensorProto(data_type=1, dims=[3]), MalformedFile, "An initializer has no name"),
        (TensorProto(name="a", data_type=1, dims=[1] * 65), LimitExceeded, "A tensor has 65 axes"),
        (TensorProto(name="a", data_type=1, dims=[2**62] * 3), LimitExceeded, "too many elements"),
    ],
)
def test_impossible_tensors(tensor, error, words) -> None:
    """Sizes that no tensor has are refused with the place of the tensor or of its sizes."""
    with pytest.raises(error, match=words) as caught:
        read(apart(tensor))
    assert caught.value.info.offset is not None


def test_a_broken_field_inside() -> None:
    """A field of a node that reaches beyond it is TruncatedFile at its place, for the file is whole."""
    data = plain()
    place = data.index(b"Conv\x3a") if b"Conv\x3a" in data else data.index(b"/a/Conv") - 1
    with pytest.raises(TruncatedFile) as caught:
        read(data[:place] + b"\x7f" + data[place + 1 :])
    assert 0 < caught.value.info.offset <= place


def test_graphs_nested_too_deeply() -> None:
    """Seventy branches within one another are refused, without recursion."""
    inner = b""
    for _ in range(70):
        inner = field(1, field(1, b"x") + field(4, b"If") + field(5, field(1, b"then_branch") + field(6, inner)))
    with pytest.raises(LimitExceeded, match="nested too deeply"):
        read(b"\x08\x09" + field(7, inner))


def field(number: int, data: bytes) -> bytes:
    """A field of bytes, as protobuf writes it; its own libraries refuse to nest as deep."""
    size, length = b"", len(data)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + data


def test_limits_hold() -> None:
    """More nodes or tensors than one analysis may describe."""
    made = graph([node("Relu", ["x"], ["y"])] * 20, {"x": [1]}, ["y"], [floats(f"w{i}", 1) for i in range(20)])
    for limits in ({"layers": 10}, {"weights": 10}):
        with pytest.raises(LimitExceeded):
            read(model(made), **limits)


def test_mutations_of_a_small_file() -> None:
    """Cut at every byte, and every byte changed in several ways: an answer or an InputError, never anything else."""
    data = plain()
    draw = random.Random(20261121)  # noqa: S311 - a corpus, not a secret
    mutants = [data[:cut] for cut in range(len(data))]
    for place in range(len(data)):
        values = (data[place] ^ 1 << draw.randrange(8), 0xFF, 0)
        mutants.extend(data[:place] + bytes([value]) + data[place + 1 :] for value in values)
    for mutant in mutants:
        given = upload(mutant)
        with contextlib.suppress(InputError):
            if reader.accept(given):
                reader.read(given)
