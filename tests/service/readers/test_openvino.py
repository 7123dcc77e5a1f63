"""OpenVINO IRs: constants, operations and shapes as OpenVINO reads them back; every damage is named."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import Any

import pytest

from service.readers import openvino
from service.tree import Layer, Model
from tests.corpus import corpus_dir, expected
from tests.service.readers.fielded import described, mutants, only_input_errors, refused, upload, weights

MODELS = ("convolutions", "convolutions_half", "sequences", "compressed", "quantised", "branches")
TYPES = {"f32": "float32", "f16": "float16", "i64": "int64", "i32": "int32", "u8": "uint8", "i4": "int4"}
RENAMED = {"PReLU": "PRelu"}
"""As the document has it -> as OpenVINO's API does."""


def pair(name: str) -> dict[str, bytes]:
    folder = corpus_dir("field_openvino")
    return {f"{name}{ending}": Path(folder, f"{name}{ending}").read_bytes() for ending in (".xml", ".bin")}


def told(name: str) -> dict[str, Any]:
    found: dict[str, Any] = expected("field_openvino")[name]
    return found


def layers(model: Model) -> dict[str, Layer]:
    return {layer.path: layer for layer in model.layers}


@pytest.mark.parametrize("name", MODELS)
def test_every_constant_is_what_openvino_reads(name: str) -> None:
    """Element type, number of values, bytes, and the sizes but for axes of one and joined groups."""
    model = described(openvino, pair(name))
    held = weights(model)
    constants = {**told(name)["constants"], **told(name)["inner"]}
    assert held.keys() == constants.keys()
    for key, one in constants.items():
        found = held[key]
        assert (found.dtype, found.bytes, found.count) == (TYPES[one["dtype"]], one["bytes"], prod(one["shape"])), key
        shape = [size for size in found.shape or () if size != 1]
        plain = [size for size in one["shape"] if size != 1]
        assert shape == plain or key.startswith(("grouped.weight", "four")), key
    assert model.complete
    assert not [one for one in model.findings if one.rule.startswith("data_")]


@pytest.mark.parametrize("name", MODELS)
def test_operations_and_shapes_are_what_openvino_reads(name: str) -> None:
    """Every operation that is no constant, or only turns one into another, with the shapes of its outputs."""
    found = layers(described(openvino, pair(name)))
    operations = dict(told(name)["operations"])
    for path, layer in found.items():
        if layer.parent is None:
            assert RENAMED.get(layer.type or "", layer.type) == operations[path], path
            if layer.type != "Result":
                assert [list(shape) for shape in layer.output_shapes or ()] == told(name)["outputs"][path], path
    left = set(operations) - set(found)
    folding = {"Constant", "Convert", "Subtract", "Multiply", "Reshape", "FakeQuantize"}
    assert {operations[path] for path in left} <= folding


def test_weights_belong_to_the_layers_that_people_mean() -> None:
    """Biases with the convolution in front, groups joined, statistics apart; all of it explained completely."""
    found = layers(described(openvino, pair("convolutions")))
    kinds = {"conv": "conv2d", "bn": "batch_norm", "prelu": "prelu", "depthwise": "depthwise_conv2d",
             "grouped": "conv2d", "up": "conv_transpose2d", "fc": "linear", "conv.add": "operation"}  # fmt: skip
    assert {path: found[path].kind for path in kinds} == kinds
    assert [(one.name, one.role, one.shape, one.layout) for one in found["grouped"].weights] == [
        ("filters", "kernel", (12, 4, 3, 3), "OIHW"), ("bias", "bias", (12,), None),
    ]  # fmt: skip
    assert [one.role for one in found["bn"].weights] == ["scale", "offset", "moving_mean", "moving_variance"]
    assert found["fc"].weights[0].layout == "out-in"
    assert found["conv.add"].notes
    assert found["conv.add"].weights == ()
    for layer in found.values():
        assert layer.explanation is None or layer.explanation.status == "complete", layer.path
    assert found["conv"].inputs == ("image",)


def test_scales_and_shifts_of_a_normalisation_are_its_own() -> None:
    """The Multiply and the Add behind an MVN; an embedding is a table that is looked up."""
    found = layers(described(openvino, pair("sequences")))
    assert [(one.name, one.role) for one in found["norm"].weights if one.role != "constant"] == [
        ("gamma", "scale"), ("beta", "offset"),
    ]  # fmt: skip
    assert (found["norm"].kind, found["embed"].kind, found["lstm"].kind) == ("layer_norm", "embedding", "lstm")
    assert [one.role for one in found["lstm"].weights][-3:] == ["kernel", "recurrent_kernel", "bias"]


def test_compressed_weights_are_logical() -> None:
    """Shape as the product sees it, type as stored, scales and zero points beside; one matrix for two is tied."""
    model = described(openvino, pair("compressed"))
    found = layers(model)
    assert [(one.role, one.dtype, one.shape) for one in found["first"].weights] == [
        ("kernel", "uint8", (16, 16)), ("quant_scale", "float16", (16, 1)), ("zero_point", "uint8", (16, 1)),
    ]  # fmt: skip
    four = found["second"].weights[0]
    assert (four.dtype, four.shape, four.count, four.bytes) == ("int4", (16, 16), 256, 128)
    assert four.location is not None
    assert four.location.length == 128
    assert found["fourth"].weights[0].tied_to == "third/B"
    assert model.totals is not None
    assert (model.totals.parameters, model.totals.parameters_with_repeats) == (768, 1024)


def test_branches_are_inside_their_operation() -> None:
    """Each body in a layer of its own, parents first, weights in both."""
    model = described(openvino, pair("branches"))
    found = layers(model)
    assert found["if/then_body/then.product"].parent == "if/then_body"
    assert found["if/else_body/else.product"].weights[0].shape == (4, 4)
    seen: set[str] = set()
    for layer in model.layers:
        assert layer.parent is None or layer.parent in seen
        seen.add(layer.path)


def test_the_document_alone_is_enough_for_all_but_values() -> None:
    """Shapes, types, counts; no places."""
    parts = {"convolutions.xml": pair("convolutions")["convolutions.xml"]}
    model, whole = described(openvino, parts), described(openvino, pair("convolutions"))
    assert not model.complete
    assert model.totals is not None
    assert whole.totals is not None
    assert model.totals.parameters == whole.totals.parameters
    assert all(one.location is None for one in weights(model).values())


def test_the_bin_is_held_against_the_document() -> None:
    """Arrays past its end are named one by one; bytes behind the last array too."""
    parts = pair("convolutions")
    data = parts["convolutions.bin"]
    cut = described(openvino, {**parts, "convolutions.bin": data[:-30]})
    past = {one.path for one in cut.findings if one.rule == "data_past_end"}
    assert past == {"fc.weight", "fc.bias"}
    longer = described(openvino, {**parts, "convolutions.bin": data + bytes(9000)})
    assert "data_hole" in {one.rule for one in longer.findings}


def test_sizes_and_overlaps_are_named() -> None:
    """A size that its shape does not give; two constants that share some bytes, but not all."""
    parts = pair("convolutions")
    text = parts["convolutions.xml"].decode()
    offset, size = re.search(r'name="fc.weight".*?offset="(\d+)" size="(\d+)"', text, re.DOTALL).groups()  # type: ignore[union-attr]
    wrong = text.replace(f'offset="{offset}" size="{size}"', f'offset="{int(offset) - 4}" size="{int(size) - 4}"')
    model = described(openvino, {**parts, "convolutions.xml": wrong.encode()})
    assert [one.path for one in model.findings if one.rule == "data_wrong_size"] == ["fc.weight"]
    assert "data_overlap" in {one.rule for one in model.findings}
    assert weights(model)["fc.weight"].location is None


def test_names_of_a_pair_are_found() -> None:
    """By content and stem; other XML is left alone."""
    xml, binary = pair("branches").values()
    given = upload({"a/m.xml": xml, "a/m.bin": binary, "b.xml": xml, "c.xml": b"<html/>", "c.bin": b"1", "d": b"#"})
    assert sorted(map(sorted, openvino.find(given))) == [["a/m.bin", "a/m.xml"], ["b.xml"]]
    assert not openvino.accept(upload({"c.xml": b"<svg version='1'/>"}))
    assert not openvino.accept(upload({"c.bin": binary}))


OLD = b"""<?xml version="1.0"?>
<net name="old" version="7" batch="1"><layers>
<layer id="0" name="data" type="Input" precision="FP32"><output><port id="0"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></output></layer>
<layer id="1" name="conv" type="Convolution" precision="FP32"><data kernel="3,3" strides="1,1" output="4" group="1"/>
<input><port id="0"><dim>1</dim><dim>3</dim><dim>8</dim><dim>8</dim></port></input>
<output><port id="3"><dim>1</dim><dim>4</dim><dim>6</dim><dim>6</dim></port></output>
<blobs><weights offset="0" size="432"/><biases offset="432" size="16"/></blobs></layer>
<layer id="2" name="fc" type="FullyConnected" precision="FP16"><data out-size="2"/>
<input><port id="0"><dim>1</dim><dim>4</dim><dim>6</dim><dim>6</dim></port></input>
<output><port id="3"><dim>1</dim><dim>2</dim></port></output>
<blobs><weights offset="448" size="576" precision="FP16"/></blobs></layer>
</layers><edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
<edge from-layer="1" from-port="3" to-layer="2" to-port="0"/></edges></net>"""  # noqa: E501 - a file


def test_weights_of_older_versions_get_their_shapes() -> None:
    """From kernel, outputs and inputs, where their product is the number of values."""
    model = described(openvino, {"old.xml": OLD, "old.bin": bytes(1024)})
    found = layers(model)
    assert [(one.role, one.shape, one.dtype, one.layout) for one in found["conv"].weights] == [
        ("kernel", (4, 3, 3, 3), "float32", "OIHW"), ("bias", (4,), "float32", None),
    ]  # fmt: skip
    assert [(one.role, one.shape, one.dtype) for one in found["fc"].weights] == [("kernel", (2, 144), "float16")]
    assert model.findings == ()
    assert all(layer.explanation and layer.explanation.status == "complete" for layer in model.layers if layer.weights)


TAIL = b"</port></output></layer></layers></net>"
ITERATOR = b"""<net name="loop" version="11"><layers>
<layer id="0" name="x" type="Parameter" version="opset1"><data shape="1,4" element_type="f32"/>
<output><port id="0"><dim>1</dim><dim>4</dim></port></output></layer>
<layer id="1" name="ti" type="TensorIterator" version="opset1">
<input><port id="0"><dim>1</dim><dim>4</dim></port></input><output><port id="1"><dim>1</dim><dim>4</dim></port></output>
<port_map><input external_port_id="0" internal_layer_id="0"/><output external_port_id="1" internal_layer_id="3"/></port_map>
<back_edges><edge from-layer="3" to-layer="0"/></back_edges>
<body><layers>
<layer id="0" name="inner" type="Parameter" version="opset1"><output><port id="0"><dim>1</dim><dim>4</dim></port></output></layer>
<layer id="1" name="w" type="Const" version="opset1"><data element_type="f32" shape="4, 4" offset="0" size="64"/>
<output><port id="0"><dim>4</dim><dim>4</dim></port></output></layer>
<layer id="2" name="product" type="MatMul" version="opset1"><data transpose_a="false" transpose_b="false"/>
<output><port id="2"><dim>1</dim><dim>4</dim></port></output></layer>
<layer id="3" name="out" type="Result" version="opset1"/></layers>
<edges><edge from-layer="0" from-port="0" to-layer="2" to-port="0"/><edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
<edge from-layer="2" from-port="2" to-layer="3" to-port="0"/></edges></body></layer></layers>
<edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0"/></edges></net>"""  # noqa: E501 - a file


def test_the_body_of_a_loop_is_inside_it() -> None:
    """Its layers have the loop for a parent, whatever numbers they share with those outside."""
    found = layers(described(openvino, {"x.xml": ITERATOR, "x.bin": bytes(64)}))
    assert list(found) == ["x", "ti", "ti/inner", "ti/product", "ti/out"]
    assert (found["ti"].kind, found["ti"].inputs, found["ti/product"].parent) == ("container", ("x",), "ti")
    assert [one.layout for one in found["ti/product"].weights] == ["in-out"]


HEAD = b'<net name="x" version="11"><layers>'


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b'<net name="x" version="9"/>', "unsupported_feature"),
        (HEAD + b'<layer name="a" type="Const"/></layers></net>', "malformed_file"),
        (HEAD + b'<layer id="1" name="a"/><layer id="1" name="b"/></layers></net>', "malformed_file"),
        (HEAD + b'<layer id="1"><output><port id="0"><dim>x</dim>' + TAIL, "malformed_file"),
        (HEAD + b'<layer id="1"><output><port id="0">' + b"<dim>1</dim>" * 70 + TAIL, "limit_exceeded"),
        (HEAD + b'</layers><edges><edge from-layer="1" from-port="0" to-layer="2" to-port="0"/></edges></net>',
         "malformed_file"),
        (HEAD + b'<layer id="1">', "truncated_file"),
        (HEAD + b'</layers><edges><edge from-layer="1"/></edges></net>', "malformed_file"),
        (HEAD + b"</net>", "malformed_file"),
        (HEAD + b"<layer id='1' name='&evil;'/></layers></net>", "unsupported_feature"),
    ],
)  # fmt: skip
def test_a_broken_document_gets_its_error(document: bytes, code: str) -> None:
    """Unknown versions, lacking numbers, doubled operations, sizes that are none, ends that come too early."""
    assert refused(openvino, {"x.xml": document}).info.code == code


def test_names_that_occur_again_get_the_next_free_number() -> None:
    """Also where a name looks like a numbered one; thousands of equal names cost no more each."""
    names = ["a#2", "a", "a", "a", *["b"] * 5000]
    layers_of = b"".join(b'<layer id="%d" name="%s" type="Sin" version="opset1"/>' % (index, name.encode())
                         for index, name in enumerate(names))  # fmt: skip
    model = described(openvino, {"x.xml": HEAD + layers_of + b"</layers></net>"})
    paths = [layer.path for layer in model.layers]
    assert paths[:4] == ["a#2", "a", "a#3", "a#4"]
    assert len(set(paths)) == len(names)


def test_edges_and_ports_may_be_written_in_any_way() -> None:
    """Attributes in another order, single quotes, comments, an element that is not closed at once: the same model."""
    parts = pair("convolutions")
    document = parts["convolutions.xml"].decode()
    turned = re.sub(r'<edge (from-layer="\d+") (from-port="\d+") (to-layer="\d+") (to-port="\d+") ?/>',
                    r"<edge \4 \3\n\2 \1></edge><!-- <edge/> -->", document)  # fmt: skip
    turned = turned.replace("<dim>1</dim>", "<dim> 1 </dim>")
    turned = re.sub(r'<port id="(\d+)" precision="(\w+)"', r"<port precision='\2'  id='\1'", turned)
    assert turned.count("<!-- <edge/> -->") > 10
    assert described(openvino, {**parts, "convolutions.xml": turned.encode()}) == described(openvino, parts)


@pytest.mark.parametrize(
    ("broken", "instead"),
    [("<dim>8</dim>", "<dim>x</dim>"), ('to-layer="2"', 'to-layer="x"'), ("<dim>8</dim>", "<dim>8")],
)
def test_what_is_broken_within_ports_and_edges_has_its_place(broken: str, instead: str) -> None:
    """The offset is that of the tag that is wrong, in the whole document."""
    document = pair("convolutions")["convolutions.xml"].decode()
    at = document.index(broken, document.index("<output") if "dim" in broken else 0)
    error = refused(openvino, {"model.xml": (document[:at] + instead + document[at + len(broken) :]).encode()})
    assert error.info.code == "malformed_file"
    assert error.info.offset is not None
    assert -80 < error.info.offset - at < 80


def test_custom_operations_are_dangers() -> None:
    """A library of code has to be loaded for them."""
    document = HEAD + b'<layer id="1" name="a" type="StringTensorUnpack" version="extension"/></layers></net>'
    model = described(openvino, {"x.xml": document})
    assert [one.code for one in model.security] == ["openvino_extension"]
    assert model.layers[0].custom


def test_damage_never_surprises() -> None:
    """Changed documents bring answers or errors of the input."""
    for name, count in (("convolutions", 400), ("compressed", 400), ("branches", 400)):
        parts = pair(name)
        for damaged in mutants(parts[f"{name}.xml"], count):
            only_input_errors(openvino, {**parts, f"{name}.xml": damaged})
    for damaged in mutants(OLD, 400):
        only_input_errors(openvino, {"old.xml": damaged, "old.bin": bytes(1024)})
    document = pair("branches")["branches.xml"]
    for end in range(0, len(document), 17):
        only_input_errors(openvino, {"x.xml": document[:end]})
