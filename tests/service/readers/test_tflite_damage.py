"""TensorFlow Lite files that are cut off, broken or of another kind: each is told or refused for what it is."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest

from service.config import Limits
from service.enrich.pipeline import enrich
from service.errors import InputError, LimitExceeded, MalformedFile, TruncatedFile, UnsupportedFeature
from service.formats import Upload
from service.readers import tflite
from service.source import BytesSource, Meter
from tests.service.parsers.flatbuffers_writer import write
from tests.service.readers.tflite_answers import read, upload
from tests.service.readers.tflite_files import content, dense, made, tensor


def test_data_that_is_cut_off_is_told() -> None:
    """The structure is described, the answer is incomplete, and the finding says how much there should be."""
    start = len(dense(0, {1: ("Q", 1 << 40), 2: ("Q", 60)}))
    found = read(dense(0, {1: ("Q", start), 2: ("Q", 60)}) + bytes(59))
    assert found.complete is False
    assert [finding.rule for finding in found.findings] == ["data_truncated", "data_past_end"]
    assert f"{start + 60:,} bytes" in str(found.findings[0].what)


def test_data_of_another_size_is_told() -> None:
    """14 values where the shape has 15."""
    (finding,) = read(dense(0, {0: bytes(56)})).findings
    assert (finding.rule, finding.path) == ("data_wrong_size", "y/weights")


@pytest.mark.parametrize(("data", "words"), [
    (b"\0\0\0\0TFL2" + bytes(20), "TFL2"), (b"LITERTLM" + bytes(40), "LiteRT-LM"),
    (write({0: ("I", 2)}, b"TFL3"), "schema version 2"),
])  # fmt: skip
def test_variants_that_are_not_read_are_named(data: bytes, words: str) -> None:
    """Schemas before version 3, and bundles of LiteRT-LM."""
    given = upload(data)
    assert tflite.accept(given)
    with pytest.raises(UnsupportedFeature) as caught:
        tflite.read(given)
    assert words in str(caught.value.info.detail)


def test_other_files_are_not_taken() -> None:
    """Neither other flatbuffers, nor short files, nor several at once."""
    meter = Meter(Limits())
    for data in (b"", b"TFL3", b"\0\0\0\0ET12", b"PK\x03\x04"):
        assert not tflite.accept(upload(data))
    two = {name: BytesSource(b"\0\0\0\0TFL3", meter) for name in ("a", "b")}
    assert not tflite.accept(Upload(two, meter))


def broken(operator: dict[int, Any], **more: Any) -> bytes:
    """A model whose one operator is what it should not be."""
    return made([tensor("x", [1, 5], **more), tensor("y", [1, 3])], operator)


@pytest.mark.parametrize(("data", "words"), [
    (broken({0: ("I", 3), 1: ("i", [0]), 2: ("i", [1])}), "operator code 3 of 1"),
    (broken({0: ("I", 0), 1: ("i", [2]), 2: ("i", [1])}), "not among the 2"),
    (broken({0: ("I", 0), 1: ("i", [-2]), 2: ("i", [1])}), "not among the 2"),
    (broken({0: ("I", 0), 1: ("i", [0]), 2: ("i", [1])}, _2=("I", 9)), "buffer 9 of 1"),
])  # fmt: skip
def test_references_that_lead_nowhere_are_malformed(data: bytes, words: str) -> None:
    """Each with what it refers to and how many there are."""
    with pytest.raises(MalformedFile) as caught:
        read(data)
    assert words in str(caught.value.info.detail)


def test_a_cut_file_is_truncated() -> None:
    """Half of a model, with the byte that leads out."""
    data = content("float.tflite")
    with pytest.raises(TruncatedFile) as caught:
        read(data[: len(data) // 2])
    assert caught.value.info.offset is not None


def test_more_weights_than_allowed_is_a_named_limit() -> None:
    """And not a long wait."""
    meter = Meter(Limits(weights=3))
    with pytest.raises(LimitExceeded) as caught:
        tflite.read(Upload({"m": BytesSource(content("float.tflite"), meter)}, meter))
    assert caught.value.info.extra["limit"] == "weights"


def test_a_subgraph_that_runs_itself_ends() -> None:
    """A loop whose body is its own subgraph is described once."""
    tensors = [tensor("x", [1]), tensor("y", [1])]
    operator = {0: ("I", 0), 1: ("i", [0]), 2: ("i", [1]), 3: ("B", 93), 4: {0: ("i", 0), 1: ("i", 0)}}
    found = read(made(tensors, operator, code={0: ("b", 119)}))
    assert [layer.type for layer in found.layers] == [None, "WHILE", "SubGraph", "SubGraph"]


@pytest.mark.parametrize("name", ["counter.tflite", "whole.tflite"])
def test_damage_is_always_an_input_error(name: str) -> None:
    """Changed bytes and cut ends of real files: an answer or an InputError, never anything else."""
    data = content(name)
    draw = random.Random(5)  # noqa: S311 - a corpus, not a secret
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 2, 5))):
            at = draw.randrange(len(changed))
            if draw.random() < 0.5:
                changed[at] ^= 1 << draw.randrange(8)
            else:
                number = draw.choice((0, 1, 4, 2**31, 2**32 - 1, len(data)))
                changed[at & ~3 : (at & ~3) + 4] = struct.pack("<I", number)
        _try(bytes(changed))
    for end in range(0, len(data), 97):
        _try(data[:end])


def _try(data: bytes) -> None:
    given = upload(data)
    try:
        if tflite.accept(given):
            enrich(tflite.read(given))
    except InputError:
        pass
