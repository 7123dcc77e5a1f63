"""ncnn models: every layer reads exactly the bytes that ncnn reads, what is missing is named, nothing is guessed."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from service.catalog.ncnn_types import NAMES
from service.readers import ncnn
from tests.corpus import corpus_dir, expected
from tests.service.readers.fielded import described, mutants, only_input_errors, refused, upload, weights

FLOAT16, INT8 = 0x01306B47, 0x000D4B38
GRAPH = b"""7767517
6 7
Input            data   0 1 data 0=8 1=8 2=3
Convolution      conv   1 1 data a 0=4 1=3 5=1 6=108
BatchNorm        bn     1 1 a b 0=4
Split            split  1 2 b c d
BinaryOp         add    2 1 c d e 0=0
InnerProduct     fc     1 1 e f 0=2 1=1 2=8
"""


def flagged(flag: int, size: int) -> bytes:
    return struct.pack("<I", flag) + b"\0" * size


ARRAYS = flagged(FLOAT16, 216) + bytes(16) + bytes(4 * 16) + flagged(0, 32) + bytes(8)


def pair(graph: bytes = GRAPH, arrays: bytes = ARRAYS) -> dict[str, bytes]:
    return {"model.param": graph, "model.bin": arrays}


def measured() -> dict[str, Any]:
    return expected("field_ncnn")


def files(name: str) -> dict[str, bytes]:
    folder = corpus_dir("field_ncnn")
    return {f"{name}{ending}": Path(folder, f"{name}{ending}").read_bytes() for ending in (".param", ".bin")}


def test_every_layer_reads_the_bytes_that_ncnn_reads() -> None:
    """For each kind of layer, with each of its switches: the arrays end where ncnn stops reading."""
    for name, size in measured()["bytes"].items():
        parts = files(name)
        assert len(parts[f"{name}.bin"]) == size
        model = described(ncnn, parts)
        assert model.complete, name
        assert not [one for one in model.findings if one.rule.startswith("data_")], name


def test_every_way_of_storing_is_told_by_its_flag() -> None:
    """float32 under both flags, the halves, int8, and 256 values with an index each."""
    types = {}
    for name in measured()["forms"]:
        model = described(ncnn, files(f"form_{name}"))
        assert model.complete, name
        held = weights(model)["layer/weight"]
        types[name] = (held.dtype, held.bytes, held.count, held.shape)
    assert types == {
        "float32": ("float32", 60, 15, (3, 5)), "float32_again": ("float32", 60, 15, (3, 5)),
        "float16": ("float16", 30, 15, (3, 5)), "bfloat16": ("bfloat16", 30, 15, (3, 5)),
        "int8": ("int8", 15, 15, (3, 5)), "table": ("uint8", 15, 15, (3, 5)),
    }  # fmt: skip


@pytest.mark.parametrize(("name", "kernel", "dtype", "stored", "others"), [
    ("gemm_blocks", (6, 70), "int8", 420, {"C": (6,), "B_data_quantize_scales": (6, 3)}),
    ("gemm_blocks_of_64", (6, 70), "int4", 210, {"B_data_quantize_scales": (6, 2)}),
    ("gemm_blocks_scaled", (6, 70), "int6", 318,
     {"C": (6,), "B_data_quantize_scales": (6, 1), "B_data_input_scales": (70,)}),
])  # fmt: skip
def test_weights_of_few_bits_lie_in_blocks(name, kernel, dtype, stored, others) -> None:  # type: ignore[no-untyped-def]
    """The term of three digits says how many bits and how long a block is; each row begins with a byte of its own."""
    held = {one.name: one for one in weights(described(ncnn, files(name))).values()}
    assert (held["B"].shape, held["B"].dtype, held["B"].bytes, held["B"].count) == (kernel, dtype, stored, 420)
    assert held["B"].stored_count == (None if stored == 420 else stored)
    assert {key: one.shape for key, one in held.items() if key not in ("B", "bias")} == others


def test_attention_in_blocks_has_four_kernels() -> None:
    """Each with its own number of inputs, and so with its own number of scales."""
    held = {one.name: one for one in weights(described(ncnn, files("attention_blocks_scaled"))).values()}
    shapes = {key: one.shape for key, one in held.items() if key.startswith(("k_", "out_"))}
    assert shapes == {
        "k_weight": (8, 35), "k_bias": (8,), "k_weight_data_quantize_scales": (8, 1),
        "k_weight_data_input_scales": (35,), "out_weight": (9, 8), "out_bias": (9,),
        "out_weight_data_quantize_scales": (9, 1), "out_weight_data_input_scales": (8,),
    }  # fmt: skip


@pytest.mark.parametrize("term", ["18=700", "18=420", "18=803", "18=800 2=1", "18=800 4=1", "18=150"])
def test_terms_that_ncnn_does_not_know_are_not_guessed(term: str) -> None:
    """Bits, forms and blocks that there are not, and sides that cannot be in blocks."""
    graph = b"7767517\n2 2\nInput in 0 1 in\nGemm g 1 1 in out 3=1 5=1 8=6 9=70 " + term.encode() + b"\n"
    model = described(ncnn, {"m.param": graph, "m.bin": bytes(900)})
    assert weights(model) == {}
    assert not model.complete


def test_types_have_the_numbers_that_ncnn_gives_them() -> None:
    """The order of the names is the numbering of a `.param.bin`."""
    for name, number in measured()["numbers"].items():
        assert NAMES[number] == name


def test_a_model_is_described_with_its_graph() -> None:
    """Kinds, named parameters, edges, roles, layouts, places; convolution, normalisation and product are explained."""
    model = described(ncnn, pair())
    by_path = {layer.path: layer for layer in model.layers}
    assert [layer.kind for layer in model.layers] == [
        "input", "conv2d", "batch_norm", "operation", "merge", "linear",
    ]  # fmt: skip
    assert by_path["data"].output_shapes == ((None, 3, 8, 8),)
    assert by_path["add"].inputs == ("split", "split")
    assert by_path["conv"].config["kernel_w"] == 3
    explained = {layer.path: layer.explanation for layer in model.layers if layer.weights}
    assert [one.status if one else "" for one in explained.values()] == ["complete"] * 3
    assert explained["conv"] is not None
    assert explained["conv"].formula == "4 × 3 × 3 × 3 + 4 = 112"
    kernel = by_path["conv"].weights[0]
    assert (kernel.shape, kernel.dtype, kernel.layout, kernel.bytes) == ((4, 3, 3, 3), "float16", "OIHW", 216)
    assert kernel.location is not None
    assert (kernel.location.member, kernel.location.offset, kernel.location.length) == ("model.bin", 4, 216)
    assert [one.group for one in by_path["bn"].weights] == ["unknown", "statistic", "statistic", "unknown"]
    assert model.totals is not None
    assert (model.totals.parameters, model.totals.statistics) == (112 + 8 + 10, 8)
    assert model.findings == ()


def test_the_graph_alone_gives_all_shapes() -> None:
    """Counts follow from the parameters; how flagged arrays are stored does not."""
    model = described(ncnn, {"model.param": GRAPH})
    assert not model.complete
    assert model.totals is not None
    assert model.totals.parameters == 130
    held = weights(model)
    assert (held["conv/weight"].dtype, held["conv/bias"].dtype) == (None, "float32")
    assert held["conv/weight"].location is None


def test_every_cut_of_the_arrays_is_named() -> None:
    """Which array the file ends in, and how many are missing with it; those before are where they were."""
    for end in range(0, len(ARRAYS), 4):
        model = described(ncnn, pair(arrays=ARRAYS[:end]))
        assert not model.complete
        (finding,) = [one for one in model.findings if one.rule == "data_truncated"]
        assert str(end) in str(finding.what).replace(",", "")
    cut = described(ncnn, pair(arrays=ARRAYS[:230]))
    (finding,) = [one for one in cut.findings if one.rule == "data_truncated"]
    assert finding.path == "conv/bias"
    assert "7 arrays are missing" in str(finding.what)


def test_bytes_behind_the_arrays_are_named() -> None:
    """Where they begin and end."""
    model = described(ncnn, pair(arrays=ARRAYS + bytes(12)))
    (finding,) = [one for one in model.findings if one.rule == "data_hole"]
    assert f"Bytes {len(ARRAYS)} to {len(ARRAYS) + 12}" in str(finding.what)
    assert model.complete


CUSTOM = GRAPH.replace(b"6 7\n", b"7 8\n").replace(b"Split ", b"MyOwn own 1 1 b bb 0=3\nSplit ").replace(
    b"split  1 2 b", b"split  1 2 bb"
)


def test_what_follows_a_layer_of_the_users_own_is_not_guessed() -> None:
    """Arrays before it have places, those after it only shapes, and the answer says so."""
    model = described(ncnn, pair(CUSTOM, ARRAYS[: 220 + 16 + 64] + bytes(20) + ARRAYS[300:]))
    held = weights(model)
    assert not model.complete
    assert held["bn/bias"].location is not None
    assert (held["fc/weight"].location, held["fc/weight"].count) == (None, 8)
    assert any("MyOwn" in str(note) for note in model.notes)
    assert [one.code for one in model.security] == ["ncnn_custom_layer"]


def test_a_layer_of_the_users_own_without_arrays_is_proved_by_the_size() -> None:
    """Where the arrays of the others use up the file, it has none, and all have their places."""
    model = described(ncnn, pair(CUSTOM))
    assert model.complete
    assert weights(model)["fc/weight"].location is not None


def test_counts_that_do_not_agree_are_told() -> None:
    """More lines than announced: ncnn reads as many as it was told."""
    model = described(ncnn, pair(GRAPH.replace(b"6 7", b"5 7")))
    assert "declared_mismatch" in {one.rule for one in model.findings}


@pytest.mark.parametrize(
    ("graph", "code"),
    [
        (GRAPH.replace(b"6=108", b"6=-108"), "malformed_file"),
        (GRAPH.replace(b"0=4 1=3", b"0=x 1=3"), "malformed_file"),
        (GRAPH.replace(b"6 7\n", b"9 7\n"), "truncated_file"),
        (GRAPH.replace(b"1 1 data a", b"9 1 data a"), "malformed_file"),
    ],
)
def test_a_broken_graph_gets_its_error(graph: bytes, code: str) -> None:
    """Sizes below nothing, words for numbers, missing layers, missing blobs."""
    assert refused(ncnn, pair(graph)).info.code == code


def test_pairs_in_a_folder_are_found() -> None:
    """By content and name: each graph with its arrays, and nothing else."""
    given = upload({"a/model.param": GRAPH, "a/model.bin": ARRAYS, "b.param": GRAPH, "README.md": b"#",
                    "other.bin": b"x", "x.param": b"no graph"})  # fmt: skip
    assert sorted(map(sorted, ncnn.find(given))) == [["a/model.bin", "a/model.param"], ["b.param"]]


PNNX = b"""7767517
3 2
pnnx.Input pnnx_input_0 0 1 0 #0=(1,3,8,8)f32
nn.Conv2d conv1 1 1 0 1 bias=True in_channels=3 out_channels=4 kernel_size=(3,3) @bias=(4)f32 @weight=(4,3,3,3)f32 #1=(1,4,6,6)f32
pnnx.Output pnnx_output_0 1 0 1
"""  # noqa: E501 - a line of the file


def test_pnnx_pairs_are_read() -> None:
    """Classes of PyTorch, arrays by name, shapes of blobs; the zip's members are compared."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("conv1.weight", bytes(432))
        archive.writestr("conv1.bias", bytes(12))
    model = described(ncnn, {"m.pnnx.param": PNNX, "m.pnnx.bin": out.getvalue()})
    conv = model.layers[1]
    assert (conv.kind, conv.type, conv.output_shapes) == ("conv2d", "Conv2d", ((1, 4, 6, 6),))
    assert conv.config["kernel_size"] == [3, 3]
    assert [(one.name, one.role, one.shape) for one in conv.weights] == [
        ("bias", "bias", (4,)), ("weight", "kernel", (4, 3, 3, 3)),
    ]  # fmt: skip
    assert [one.path for one in model.findings if one.rule == "data_wrong_size"] == ["conv1.bias"]
    assert conv.explanation is not None
    assert conv.explanation.status == "complete"


def test_damage_never_surprises() -> None:
    """Thousands of changed graphs and arrays bring answers or errors of the input."""
    for damaged in mutants(GRAPH, 1500):
        only_input_errors(ncnn, pair(damaged))
    for damaged in mutants(PNNX, 500):
        only_input_errors(ncnn, {"m.param": damaged})
    for damaged in mutants(ARRAYS, 300):
        only_input_errors(ncnn, pair(arrays=damaged))
    for end in range(len(GRAPH)):
        only_input_errors(ncnn, pair(GRAPH[:end]))
