"""ExecuTorch: programs that ExecuTorch 1.5.1 wrote (executorch_programs/make.py), hand-made ones, and broken ones."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from service.catalog.torch_dtypes import SCALAR_TYPES
from service.config import Limits
from service.enrich.pipeline import enrich
from service.errors import InputError, MalformedFile, TruncatedFile
from service.formats import Upload
from service.parsers.executorch import DELEGATE, KERNEL, MOVE, Tensor, read_program
from service.readers import executorch, executorch_data
from service.registry import load_readers
from service.source import BytesSource, Meter
from service.tree import Model, Weight
from service.worker.searching import search
from tests.service.parsers.flatbuffers_writer import write

FOLDER = Path(__file__).with_name("executorch_programs")
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())
NAMES = sorted(EXPECTED)
KINDS = {"KernelCall": KERNEL, "DelegateCall": DELEGATE, "MoveCall": MOVE}


def content(name: str) -> bytes:
    """One of the files."""
    return (FOLDER / name).read_bytes()


def upload(**files: bytes) -> Upload:
    """Files by name; `_` stands for the dot."""
    meter = Meter(Limits())
    return Upload({name.replace("_", "."): BytesSource(data, meter) for name, data in files.items()}, meter)


def read(**files: bytes) -> Model:
    """What the one reader says that accepts them."""
    given = upload(**files)
    (reader,) = [one for one in (executorch, executorch_data) if one.accept(given)]
    return reader.read(given)


def weights(model: Model) -> dict[str, Weight]:
    """By layer path and name."""
    return {f"{layer.path}.{weight.name}": weight for layer in model.layers for weight in layer.weights}


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_executorchs(name: str) -> None:
    """Types, sizes, names, requires_grad and the data of every tensor of every method; operators and delegates."""
    data = content(name)
    program = read_program(BytesSource(data, Meter(Limits())), Limits())
    assert [plan.name for plan in program.plans] == list(EXPECTED[name])
    for plan in program.plans:
        theirs = EXPECTED[name][plan.name]
        assert plan.operators == theirs["operators"]
        assert [one.id for one in plan.delegates] == theirs["delegates"]
        assert [one.kind for one in plan.instructions] == [KINDS[one] for one in theirs["instructions"] if one in KINDS]
        ours = {str(index): value for index, value in enumerate(plan.values) if isinstance(value, Tensor)}
        assert ours.keys() == theirs["tensors"].keys()
        for index, facts in theirs["tensors"].items():
            one = ours[index]
            assert (one.type, list(one.sizes), one.requires_grad, one.key, one.external) == (
                facts["type"], facts["sizes"], facts["requires_grad"], facts["key"] or "", facts["external"]
            )  # fmt: skip
            if facts["data"]:
                start = program.constants[one.buffer].offset
                held = bytes.fromhex(facts["data"])
                assert data[start : start + len(held)] == held


@pytest.mark.parametrize("name", NAMES)
def test_the_tree_is_whole_and_every_formula_holds(name: str) -> None:
    """Paths are unique, feeders are there, ties lead somewhere, explanations evaluate, nothing is found wrong."""
    found = enrich(read(program_pte=content(name)))
    paths = [layer.path for layer in found.layers]
    held = weights(found)
    assert len(set(paths)) == len(paths)
    assert {one for layer in found.layers for one in layer.inputs or ()} <= set(paths)
    assert all(weight.tied_to in held for weight in held.values() if weight.tied_to)
    assert [finding for finding in found.findings if finding.rule.endswith("mismatch")] == []
    assert {layer.explanation.status for layer in found.layers if layer.explanation} == {"complete"}


def test_weights_have_their_roles_and_learn_as_recorded() -> None:
    """By argument; a matrix that is turned before it is used is stored as outputs by inputs."""
    found = read(program_pte=content("plain.pte"))
    facts = {
        (layer.type, weight.name): (layer.kind, weight.role, weight.shape, weight.layout, weight.group)
        for layer in found.layers
        for weight in layer.weights
    }
    assert facts["aten::convolution.out", "weight"] == ("conv2d", "kernel", (4, 3, 3, 3), "OIHW", "trainable")
    assert facts["aten::addmm.out", "weight"] == ("linear", "kernel", (5, 4), "out-in", "trainable")
    assert facts["aten::addmm.out", "bias"] == ("linear", "bias", (5,), None, "trainable")
    assert facts["aten::embedding.out", "weight"] == ("embedding", "embedding", (7, 4), None, "trainable")
    norm = "aten::_native_batch_norm_legit_no_training.out"
    assert facts[norm, "running_var"] == ("batch_norm", "moving_variance", (4,), None, "statistic")
    assert {weight.trainable_source for weight in weights(found).values() if weight.role == "kernel"} == {"recorded"}


def test_a_kernel_used_twice_is_tied() -> None:
    """So are all weights that two methods share."""
    assert weights(read(program_pte=content("plain.pte")))["mm_2.weight"].tied_to == "mm.weight"
    shared = weights(read(program_pte=content("methods.pte")))
    assert shared["encode.addmm.weight"].tied_to == "decode.addmm.weight"


def test_totals_are_the_modules() -> None:
    """112 + 8 + 28 + 25 + 25 parameters; those of a second method are not counted again."""
    totals = [enrich(read(program_pte=content(name))).totals for name in ("plain.pte", "methods.pte")]
    assert [one and one.trainable for one in totals] == [198, 20]


def test_settings_are_told() -> None:
    """Those that stand among the arguments."""
    config = next(layer.config for layer in read(program_pte=content("plain.pte")).layers if layer.kind == "conv2d")
    assert (config["stride"], config["transposed"], config["groups"]) == ([1, 1], False, 1)


def test_a_buffer_without_a_beginning_is_a_variable() -> None:
    """It has no bytes in the file; with a beginning it has."""
    plain, begun = (weights(read(program_pte=content(name)))["add.input_0"] for name in ("plain.pte", "mutable.pte"))
    assert (plain.bytes, plain.persistent, plain.group) == (0, False, "statistic")
    assert (begun.bytes, begun.persistent) == (4, None)
    assert begun.location is not None


def test_weights_in_another_file_are_found_there() -> None:
    """Program and data together: full names make paths, and each weight says in which file it lies."""
    data = content("external.ptd")
    found = read(program_pte=content("external.pte"), weights_ptd=data)
    kernel = weights(found)["conv.weight"]
    assert (found.complete, kernel.stored_as) == (True, "conv.weight")
    assert kernel.location is not None
    assert (kernel.location.member, kernel.location.length) == ("weights.ptd", 432)
    start = kernel.location.offset or 0
    assert data[start : start + 432].hex() == EXPECTED["plain.pte"]["forward"]["tensors"]["0"]["data"]


def test_a_program_alone_says_what_is_missing() -> None:
    """Shapes and counts are there, values are not."""
    found = read(program_pte=content("external.pte"))
    assert found.complete is False
    assert weights(found)["conv.weight"].count == 108
    assert any("conv.weight for one" in str(note) for note in found.notes)


def test_named_data_is_a_module_tree() -> None:
    """Alone, a .ptd file is read as any file of named arrays; equal data is stored once."""
    found = weights(read(weights_ptd=content("external.ptd")))
    assert {name: (one.shape, one.dtype) for name, one in found.items()} == {
        facts["key"]: (tuple(facts["sizes"]), SCALAR_TYPES[facts["type"]])
        for facts in EXPECTED["external.pte"]["forward"]["tensors"].values()
        if facts["external"]
    }
    assert found["bn.running_mean"].tied_to == "bn.bias"


def test_programs_and_their_data_are_found_together() -> None:
    """In a folder with one program; two programs are two models."""
    given = upload(a_pte=content("external.pte"), b_ptd=content("external.ptd"))
    assert executorch.find(given) == [frozenset({"a.pte", "b.ptd"})]
    assert [one.reader.FORMAT.id for one in search(given, load_readers()).found] == ["executorch"]
    two = upload(a_pte=content("plain.pte"), c_pte=content("choice.pte"), b_ptd=content("external.ptd"))
    assert executorch.find(two) == []
    assert not executorch.accept(two)


def test_delegates_are_closed_boxes() -> None:
    """Their names and sizes are told, their weights are not counted, and the answer says so."""
    found = read(program_pte=content("xnnpack.pte"))
    boxes = [layer for layer in found.layers if layer.type == "XnnpackBackend"]
    assert [(layer.kind, layer.weights) for layer in boxes] == [("custom", ())] * 2
    assert sum(layer.config["bytes"] for layer in boxes) == found.info.tags["delegates"]["XnnpackBackend"]
    assert (found.complete, [one.code for one in found.security]) == (False, ["executorch_delegate"])
    assert any("belong to backends" in str(note) for note in found.notes)


def test_a_bundled_program_is_read_in_its_place() -> None:
    """A .bpte file holds the program as bytes; places are told from the start of the file."""
    inner = content("plain.pte")
    data = write({0: ("I", 0), 2: inner}, b"BP08")
    kernel = next(one for one in weights(read(model_bpte=data)).values() if one.role == "kernel")
    assert kernel.location is not None
    start = kernel.location.offset or 0
    assert data[start : start + 432].hex() == EXPECTED["plain.pte"]["forward"]["tensors"]["0"]["data"]


def program(tensor: dict[int, Any], **more: Any) -> bytes:
    """A program of one method with one operator on one tensor; `more` by field number after an underscore."""
    plan = {0: "forward", 2: [{0: ("B", 5), 1: tensor}], 3: ("i", []), 4: ("i", [0]), 6: [{0: "aten::relu", 1: "out"}],
            5: [{2: [{0: ("B", 1), 1: {0: ("i", 0), 1: ("i", [0, 0])}}]}]}  # fmt: skip
    fields = {int(key[1:]): value for key, value in more.items()}
    return write({0: ("I", 0), 1: [plan | fields.pop(1, {})], **fields}, b"ET12")


def test_older_programs_keep_constants_in_the_flatbuffer() -> None:
    """`constant_buffer`, which nothing writes any more, and axes in another order than they are named in."""
    tensor = {0: ("b", 6), 2: ("i", [2, 3]), 3: ("B", [1, 0]), 5: ("I", 1)}
    plan = {2: [{0: ("B", 5), 1: tensor}, {0: ("B", 5), 1: {0: ("b", 6), 2: ("i", [2, 3])}}],
            5: [{2: [{0: ("B", 1), 1: {0: ("i", 0), 1: ("i", [0, 1, 1])}}]}]}  # fmt: skip
    data = program(tensor, _1=plan, _2=[{}, {0: bytes(range(24))}])
    (weight,) = weights(read(program_pte=data)).values()
    assert (weight.shape, weight.bytes) == ((2, 3), 24)
    assert weight.location is not None
    assert weight.location.strides == (1, 2)
    assert data[weight.location.offset or 0 :][:24] == bytes(range(24))


@pytest.mark.parametrize(("data", "words"), [
    (program({0: ("b", 6), 2: ("i", [-1])}), "negative size"),
    (program({}, _1={4: ("i", [9])}), "not among the 1"),
    (program({}, _1={6: []}), "operator that is not there"),
    (program({}, _4=[{0: ("Q", 0), 1: ("Q", 4)}]), "no header"),
    (program({}, _7=[{0: "k", 1: ("I", 3)}]), "segment 3 of 0"),
])  # fmt: skip
def test_what_cannot_be_is_malformed(data: bytes, words: str) -> None:
    """Each with what is wrong."""
    with pytest.raises(MalformedFile) as caught:
        read(program_pte=data)
    assert words in str(caught.value.info.detail)


def test_a_tensor_that_refers_to_no_buffer_is_malformed() -> None:
    """With the numbers of both."""
    plan = {2: [{0: ("B", 5), 1: {0: ("b", 6), 2: ("i", [2]), 5: ("I", 7)}}, {0: ("B", 5), 1: {}}],
            5: [{2: [{0: ("B", 1), 1: {0: ("i", 0), 1: ("i", [0, 1, 1])}}]}]}  # fmt: skip
    with pytest.raises(MalformedFile) as caught:
        read(program_pte=program({}, _1=plan))
    assert "buffer 7 of 0" in str(caught.value.info.detail)


def test_cut_data_is_told() -> None:
    """Without its last segment the structure is still described; cut in its structure it is truncated."""
    data = content("plain.pte")
    found = read(program_pte=data[:-400])
    assert {finding.rule for finding in found.findings} == {"data_past_end"}
    with pytest.raises(TruncatedFile):
        read(program_pte=data[:2000])


@pytest.mark.parametrize("name", ["plain.pte", "xnnpack.pte", "choice.pte", "external.ptd"])
def test_damage_is_always_an_input_error(name: str) -> None:
    """Changed bytes and cut ends of real files: an answer or an InputError, never anything else."""
    data = content(name)
    draw = random.Random(7)  # noqa: S311 - a corpus, not a secret
    for _ in range(500):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 2, 5))):
            changed[draw.randrange(len(changed))] = draw.choice((0, 1, 4, 127, 128, 255))
        _try(bytes(changed))
    for end in range(0, len(data), 61):
        _try(data[:end])


def _try(data: bytes) -> None:
    given = upload(file=data)
    try:
        for reader in (executorch, executorch_data):
            if reader.accept(given):
                enrich(reader.read(given))
    except InputError:
        pass
