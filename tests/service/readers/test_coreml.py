"""Core ML models that coremltools wrote are read as it reads them itself; damaged ones get their exact error."""

from __future__ import annotations

import random
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.config import Limits
from service.enrich.pipeline import enrich
from service.errors import InputError, MalformedFile, TruncatedFile, UnsupportedFeature
from service.formats import Upload
from service.readers import coreml, coreml_package
from service.source import BytesSource, Meter
from service.tree import Layer, Model, Weight
from tests.corpus import corpus_dir, expected

CORPUS = "field_coreml"
_WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"
_MODEL = "Data/com.apple.CoreML/model.mlmodel"


def upload(parts: Mapping[str, bytes]) -> Upload:
    """Parts in memory."""
    meter = Meter(Limits())
    return Upload({name: BytesSource(data, meter) for name, data in parts.items()}, meter)


def files(name: str) -> dict[str, bytes]:
    """A file of the corpus, or the files of a package."""
    path = corpus_dir(CORPUS) / name
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {str(one.relative_to(path)): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}


def read(parts: Mapping[str, bytes]) -> Model:
    """What the reader that takes them says of the parts."""
    given = upload(parts)
    reader = coreml if given.single is not None else coreml_package
    assert reader.accept(given)
    found = reader.read(given)
    assert isinstance(found, Model)
    return found


def by_name(model: Model) -> dict[str, Layer]:
    """Layers by their own names."""
    return {layer.name: layer for layer in model.layers}


PROGRAMS = sorted(name for name in expected(CORPUS) if name.endswith(".mlpackage"))
NETWORKS = sorted(name for name in expected(CORPUS) if "network" in name or "updatable" in name)
_SETTINGS = frozenset({"bool", "string", "int32"})


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_have_the_operations_and_arrays_that_coremltools_reads(name: str) -> None:
    """Every operation with its type; every array operand with its shape, and every float one with its type."""
    model = read(files(name))
    layers = by_name(model)
    for operation, facts in expected(CORPUS)[name]["layers"].items():
        layer = layers[operation]
        assert layer.type == facts["type"]
        weights = {weight.name: weight for weight in layer.weights}
        for operand, array in facts["arrays"].items():
            if operand in weights:
                assert list(weights[operand].shape or ()) == array["shape"], (operation, operand)
            else:
                assert array["dtype"] in _SETTINGS or array["shape"] in ([], [1]) or operand.startswith("initial_")
    assert model.complete
    assert not model.findings


@pytest.mark.parametrize("name", PROGRAMS)
def test_layers_of_programs_are_explained(name: str) -> None:
    """Convolutions, linear layers, normalisations and embeddings have formulas that give their counts."""
    found = enrich(read(files(name)))
    wanted = ("conv", "linear", "batch_norm", "layer_norm", "embedding", "prelu")
    status = {layer.path: layer.explanation.status for layer in found.layers
              if layer.explanation is not None and layer.kind.startswith(wanted)}  # fmt: skip
    assert set(status.values()) == {"complete"}
    assert not [one for one in found.findings if one.rule == "formula_mismatch"]


@pytest.mark.parametrize(
    ("name", "dtype", "stored", "size"),
    [
        ("plain.mlpackage", "float32", None, 2560), ("fp16.mlpackage", "float16", None, 1280),
        ("linear8.mlpackage", "int8", None, 640), ("linear4.mlpackage", "int4", None, 320),
        ("palette4.mlpackage", "uint4", None, 320), ("palette3.mlpackage", "uint3", None, 240),
        ("sparse.mlpackage", "float32", 256, 1024),
    ],
)  # fmt: skip
def test_compressed_weights_keep_their_logical_count(name: str, dtype: str, stored: int | None, size: int) -> None:
    """A matrix of 40 × 16 has 640 values however few bits or elements are stored of them."""
    layer = by_name(read(files(name)))["fc" if name != "fp16.mlpackage" else "fc_cast_fp16"]
    weight = next(one for one in layer.weights if one.name == "weight")
    assert (weight.count, weight.dtype, weight.stored_count, weight.bytes) == (640, dtype, stored, size)
    assert weight.layout == "out-in"


def test_old_compression_stores_packed_bytes() -> None:
    """Indices of 4 bits lie two to a byte in an array of bytes; a sparse array keeps its values and a mask of bits."""
    palette = by_name(read(files("old_palette4.mlpackage")))["fc_cast_fp16"].weights
    weight = next(one for one in palette if one.name == "weight")
    assert (weight.count, weight.dtype, weight.stored_count) == (1280, "uint8", 640)
    assert [one.role for one in palette if one.name == "weight.lut"] == ["quant_scale"]
    sparse = by_name(read(files("old_sparse.mlpackage")))["fc_cast_fp16"].weights
    assert {one.name: one.count for one in sparse}["weight.mask"] == 160


def test_locations_point_at_the_values() -> None:
    """The bytes at the place told of a batch normalisation's variance are its values: positive floats."""
    parts = files("plain.mlpackage")
    layer = next(layer for layer in read(parts).layers if layer.type == "linear")
    place = next(one.location for one in layer.weights if one.name == "bias")
    assert place is not None
    assert (place.member, place.length) == (_WEIGHTS, 160)
    values = np.frombuffer(parts[_WEIGHTS], "<f4", 40, place.offset or 0)
    assert np.isfinite(values).all()
    assert 0.1 < np.abs(values).mean() < 2


def test_branches_lie_below_their_operation() -> None:
    """The operations of a condition's two blocks are layers below it, each with its own weight."""
    layers = {layer.path: layer for layer in read(files("branching.mlpackage")).layers}
    inner = [path for path, layer in layers.items() if layer.type == "linear"]
    assert sorted(path.split("/")[1] for path in inner) == ["block0", "block1"]
    assert all(layers[path.rpartition("/")[0]].kind == "container" for path in inner)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_the_layers_and_arrays_that_coremltools_reads(name: str) -> None:
    """Every layer with its type and every array with its number of elements; quantised ones by their bits."""
    model = read(files(name))
    layers = by_name(model)
    for layer_name, facts in expected(CORPUS)[name]["layers"].items():
        layer = layers[layer_name]
        assert layer.type == facts["type"]
        weights = {weight.name: weight for weight in layer.weights}
        for path, (elements, bits) in facts["arrays"].items():
            if elements:
                _same_elements(weights[path.rpartition("/")[2]], elements, bits)
    assert not model.findings


def _same_elements(weight: Weight, elements: int, bits: int) -> None:
    if bits in (0, 8):
        assert weight.count == elements
    else:
        assert weight.stored_count == elements == ((weight.count or 0) * bits + 7) // 8


def test_a_network_is_a_graph_with_roles() -> None:
    """Inputs are layers, each layer names those before it, and every layer with weights is what it is."""
    found = enrich(read(files("network.mlmodel")))
    layers = by_name(found)
    assert layers["bn"].inputs == ("act",)
    assert layers["image"].kind == "input"
    kinds = {name: layers[name].kind for name in ("conv", "act", "dw", "up", "fc", "emb", "lstm", "gru", "rnn")}
    assert kinds == {"conv": "conv2d", "act": "prelu", "dw": "conv2d", "up": "conv_transpose2d", "fc": "linear",
                     "emb": "embedding", "lstm": "lstm", "gru": "gru", "rnn": "simple_rnn"}  # fmt: skip
    assert [weight.role for weight in layers["bn"].weights] == ["scale", "offset", "moving_mean", "moving_variance"]
    explained = ("conv", "dw", "up", "bn", "fc", "emb", "shifted", "act", "lstm", "gru", "rnn")
    status = {name: layers[name].explanation for name in explained}
    assert all(one is not None and one.status == "complete" for one in status.values())
    assert layers["shifted"].kind == "embedding"
    assert (status["gru"] and status["gru"].formula) == "3 × (6 × 8 + 8 × 8 + 8) = 360"


def test_an_embedding_is_told_as_rows_of_indices() -> None:
    """Its table of 50 indices and 6 values lies with one column per index: strides say so."""
    weight = by_name(read(files("network.mlmodel")))["emb"].weights[0]
    assert weight.shape == (50, 6)
    assert weight.location is not None
    assert weight.location.strides == (1, 50)


def test_an_updatable_model_records_who_learns() -> None:
    """In a model made to be updated, the marked layer learns and the others are frozen; elsewhere nobody knows."""
    layers = by_name(read(files("updatable.mlmodel")))
    assert {weight.trainable for weight in layers["fc"].weights} == {True}
    assert {weight.group for weight in layers["conv"].weights} == {"frozen"}
    assert {weight.trainable_source for weight in layers["conv"].weights} == {"recorded"}
    plain = by_name(read(files("network.mlmodel")))
    assert {weight.group for weight in plain["fc"].weights} == {"unknown"}


@pytest.mark.parametrize("name", ["linear_model.mlmodel", "trees.mlmodel", "pipeline.mlmodel"])
def test_classical_models_tell_how_many_values_they_hold(name: str) -> None:
    """Each array of fitted numbers with the number of values that are stored."""
    found = {weight.name: weight.count for layer in read(files(name)).layers for weight in layer.weights}
    wanted = expected(CORPUS)[name]["arrays"]
    assert {key: found[key] for key in wanted} == wanted


def test_trees_are_counted() -> None:
    """Two trees of three nodes, two of which are leaves."""
    layer = by_name(read(files("trees.mlmodel")))["treeEnsembleRegressor"]
    assert layer.config == {"trees": 2, "nodes": 6, "leaves": 4, "numPredictionDimensions": 1}


def test_models_of_a_pipeline_lie_below_their_names() -> None:
    """The scaler is called `scale` and the network `net`, and their layers are inside."""
    paths = {layer.path for layer in read(files("pipeline.mlmodel")).layers}
    assert {"scale", "scale/scaler", "net", "net/conv", "net/fc"} <= paths


def test_a_custom_model_is_a_danger() -> None:
    """A model of the application's own class needs code from outside."""
    (danger,) = read(files("custom.mlmodel")).security
    assert (danger.code, danger.detail) == ("coreml_custom_model", "MyModel")


def test_a_program_alone_is_incomplete() -> None:
    """Without its weights the shapes are those the program declares, and the answer names the missing file."""
    model = read({"model.mlmodel": files("plain.mlpackage")[_MODEL]})
    assert not model.complete
    assert "weight.bin" in str(model.notes[-1])
    assert sum(weight.count or 0 for layer in model.layers for weight in layer.weights) == 8550


def test_a_package_without_weights_is_incomplete() -> None:
    """The same of a package whose weight file was left out."""
    parts = files("plain.mlpackage")
    del parts[_WEIGHTS]
    assert not read(parts).complete


def test_values_past_the_end_are_found() -> None:
    """A weight file that was cut tells which arrays are missing and where they should be."""
    parts = files("plain.mlpackage")
    parts[_WEIGHTS] = parts[_WEIGHTS][:20000]
    found = [one for one in read(parts).findings if one.rule == "data_past_end"]
    assert found
    assert "20,000" in str(found[0].what)


def test_a_wrong_size_is_found() -> None:
    """Metadata that says another number of bytes than the program's type needs is told with both."""
    parts = files("plain.mlpackage")
    data = bytearray(parts[_WEIGHTS])
    place = _metadata_of(parts, "fc", "bias")
    struct.pack_into("<Q", data, place + 8, 156)
    parts[_WEIGHTS] = bytes(data)
    (found,) = [one for one in read(parts).findings if one.rule == "data_wrong_size"]
    assert (found.path, "156" in str(found.what), "160" in str(found.what)) == ("fc/bias", True, True)


def _metadata_of(parts: Mapping[str, bytes], layer: str, name: str) -> int:
    weight = next(one for one in by_name(read(parts))[layer].weights if one.name == name)
    assert weight.location is not None
    return (weight.location.offset or 0) - 64


def test_a_wrong_sentinel_is_an_error_at_its_place() -> None:
    """Metadata that does not begin with 0xDEADBEEF is named with its file and offset."""
    parts = files("plain.mlpackage")
    place = _metadata_of(parts, "fc", "bias")
    data = bytearray(parts[_WEIGHTS])
    data[place] ^= 1
    parts[_WEIGHTS] = bytes(data)
    with pytest.raises(MalformedFile) as caught:
        read(parts)
    assert (caught.value.info.member, caught.value.info.offset) == (_WEIGHTS, place)


def test_a_manifest_that_leads_outside_is_refused_and_told() -> None:
    """A model outside the package is an error; any other item outside is a danger, and not followed."""
    parts = files("plain.mlpackage")
    manifest = parts["Manifest.json"]
    parts["Manifest.json"] = manifest.replace(b"com.apple.CoreML/model.mlmodel", b"../../../etc/passwd")
    with pytest.raises(MalformedFile, match="outside the package"):
        read(parts)
    parts["Manifest.json"] = manifest.replace(b'"com.apple.CoreML/weights"', b'"/etc/shadow"')
    assert [danger.code for danger in read(parts).security] == ["path_outside"]


def test_weights_outside_the_package_are_a_danger() -> None:
    """A program that names a weight file above its folder gets none, and the path is told."""
    parts = files("plain.mlpackage")
    parts[_MODEL] = parts[_MODEL].replace(b"@model_path/weights/weight.bin", b"@model_path/../eights/weig.bin")
    model = read(parts)
    assert model.security[0].code == "path_outside"
    assert not model.complete


def test_a_compiled_model_is_refused() -> None:
    """A .mlmodelc folder is recognised, with what to send instead."""
    parts = {"m.mlmodelc/coremldata.bin": b"x", "m.mlmodelc/metadata.json": b"[]", "m.mlmodelc/model.mil": b""}
    assert coreml_package.accept(upload(parts))
    with pytest.raises(UnsupportedFeature, match="compiled"):
        coreml_package.read(upload(parts))


def test_packages_are_found_among_other_files() -> None:
    """Each package is one set of its manifest and data; files beside it are nobody's."""
    parts = {f"a/b.mlpackage/{name}": data for name, data in files("plain.mlpackage").items()}
    (found,) = coreml_package.find(upload({**parts, "README.md": b"x", "a/Manifest.json": b"{}"}))
    assert found == frozenset(parts)


@pytest.mark.parametrize("cut", [100, 1000, 5000])
def test_a_cut_protobuf_is_recognised_and_named(cut: int) -> None:
    """A file that ends early is still Core ML's, and the error says that it is cut."""
    data = files("network.mlmodel")["network.mlmodel"][: cut + 300]
    given = upload({"m.mlmodel": data})
    assert coreml.accept(given)
    with pytest.raises(TruncatedFile):
        coreml.read(given)


@pytest.mark.parametrize("name", ["network_linear4.mlmodel", "trees.mlmodel", "pipeline.mlmodel", "palette3.mlpackage"])
def test_damaged_files_give_input_errors_only(name: str) -> None:
    """Whatever byte is flipped and wherever the file is cut, the answer is a model or an InputError."""
    draw = random.Random(20261121)  # noqa: S311 - a corpus, not a secret
    parts = files(name)
    place = next(one for one in parts if one.endswith(".mlmodel"))
    for round_ in range(150):
        data = bytearray(parts[place])
        for _ in range(draw.choice((1, 1, 3))):
            data[draw.randrange(min(len(data), 6000))] = draw.randrange(256)
        if round_ % 5 == 0:
            del data[draw.randrange(len(data)) :]
        damaged: dict[str, Any] = {**parts, place: bytes(data)}
        given = upload(damaged)
        for reader in (coreml, coreml_package):
            try:
                if reader.accept(given):
                    enrich(reader.read(given))
            except InputError:
                continue


def test_other_protobufs_are_not_taken() -> None:
    """An ONNX model begins with the same bytes, but its fields are others."""
    onnx = b"\x08\x08\x12\x07pytorch\x3a\x04\x12\x02ab"
    for data in (onnx, b"", b"\x08", b"\x08\x01\x12\x00", b"\x0a\x02ab", Path(__file__).read_bytes()):
        assert not coreml.accept(upload({"x": data}))
