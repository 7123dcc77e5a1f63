"""GGUF models against the `gguf` package, which llama.cpp's tools are made with, and against damage of every kind."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gguf as reference
import numpy as np
import pytest

from service.catalog.gguf_types import FILE_TYPES, TYPES, type_name
from service.config import Limits
from service.errors import InputError, MalformedFile, TruncatedFile, UnsupportedFeature
from service.formats import Upload
from service.language import english
from service.readers import gguf
from service.source import BytesSource, Meter
from service.tree import Model, Weight
from tests.service.parsers.ggufs import Tensor, Writer

LLAMA = [
    ("general.architecture", "string", "llama"), ("general.name", "string", "Tiny"),
    ("llama.block_count", "uint32", 2), ("llama.embedding_length", "uint32", 32),
    ("tokenizer.ggml.model", "string", "gpt2"), ("tokenizer.ggml.tokens", "array", ("string", ["a"] * 300)),
]  # fmt: skip


def upload(files: dict[str, bytes] | bytes) -> Upload:
    """An upload of one file, or of several by their names."""
    meter = Meter(Limits())
    named = files if isinstance(files, dict) else {"file": files}
    return Upload({name: BytesSource(data, meter) for name, data in named.items()}, meter)


def read(files: dict[str, bytes] | bytes) -> Model:
    """The model in a file or in several."""
    given = upload(files)
    assert gguf.accept(given)
    found = gguf.read(given)
    assert isinstance(found, Model)
    return found


def weights(found: Model) -> dict[str, Weight]:
    """Every weight by its name in the file."""
    return {weight.stored_as or "": weight for layer in found.layers for weight in layer.weights}


def findings(found: Model) -> list[tuple[str, str]]:
    """Rules and sentences."""
    return [(finding.rule, english(finding.what)) for finding in found.findings]


def notes(found: Model) -> str:
    return " ".join(map(english, found.notes))


def tiny(*tensors: Tensor, keys: Sequence[Any] = LLAMA, data: int = 4096, writer: Writer = Writer()) -> bytes:  # noqa: B008
    return writer.file(keys, tensors, data)


WHOLE = [Tensor("token_embd.weight", (32, 300), 30, 0), Tensor("output.weight", (32, 300), 8, 19200),
         *(Tensor(f"blk.{n}.attn_q.weight", (32, 32), 0, 29408 + 4096 * n) for n in range(2))]  # fmt: skip
WHOLE_DATA = 29408 + 8192


# Against the package


def test_the_table_of_types_is_the_packages() -> None:
    """Every type that the package knows has its name, its block and its bytes."""
    theirs = {kind.value: (kind.name, *sizes) for kind, sizes in reference.GGML_QUANT_SIZES.items()}
    plain = {"F32": "float32", "F16": "float16", "F64": "float64", "BF16": "bfloat16",
             "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64"}  # fmt: skip
    ours = {number: (kind.name, kind.elements, kind.size) for number, kind in TYPES.items() if number in theirs}
    assert ours == {number: (plain.get(name, name.lower()), *sizes) for number, (name, *sizes) in theirs.items()}


def test_the_names_of_files_are_the_packages() -> None:
    """`general.file_type` is told as people call such a file."""
    theirs = {kind.value: kind.name.removeprefix("MOSTLY_").removeprefix("ALL_") for kind in reference.LlamaFileType}
    del theirs[reference.LlamaFileType.GUESSED]
    assert {number: gguf_name for number, gguf_name in theirs.items() if FILE_TYPES.get(number) != gguf_name} == {}


def write(path: Path, fill: Callable[[reference.GGUFWriter], None], *, big: bool = False, **options: Any) -> None:
    """A file that the package writes."""
    order = reference.GGUFEndian.BIG if big else reference.GGUFEndian.LITTLE
    writer = reference.GGUFWriter(path, "llama", endianess=order, **options)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def every_type(writer: reference.GGUFWriter) -> None:
    """A tensor of each type, and values of each kind."""
    writer.add_name("every type")
    writer.add_block_count(1)
    writer.add_token_list([f"word {number}" for number in range(1000)])
    writer.add_file_type(15)
    writer.add_float32("a.float", 0.25)
    writer.add_array("a.heads", [1, 2, 3])
    for kind, (block, size) in reference.GGML_QUANT_SIZES.items():
        rows = np.zeros((3, 2 * size), np.uint8)
        if block > 1 or size == 1 or kind.name == "BF16":
            writer.add_tensor(f"blk.0.{kind.name.lower()}.weight", rows, raw_shape=rows.shape, raw_dtype=kind)
        else:
            dtype = {"F": "f", "I": "i"}[kind.name[0]] + str(size)
            writer.add_tensor(f"blk.0.{kind.name.lower()}.weight", np.zeros((3, 2), dtype))


@pytest.mark.parametrize("big", [False, True], ids=["little", "big"])
def test_every_type_is_read_as_the_package_reads_it(tmp_path: Path, *, big: bool) -> None:
    """Names, shapes, types, bytes and places of tensors, and the metadata, in both byte orders."""
    path = tmp_path / "every.gguf"
    write(path, every_type, big=big)
    found = read(path.read_bytes())
    theirs = reference.GGUFReader(path)
    expected = {
        tensor.name: (tuple(int(size) for size in tensor.shape[::-1]), type_name(int(tensor.tensor_type)),
                      int(tensor.n_bytes), int(tensor.data_offset))
        for tensor in theirs.tensors
    }  # fmt: skip
    ours = weights(found)
    assert {name: (weight.shape, weight.dtype, weight.bytes) for name, weight in ours.items()} == {
        name: facts[:3] for name, facts in expected.items()
    }
    assert all(weight.count == math.prod(weight.shape or ()) for weight in ours.values())
    located = {name: weight.location.offset for name, weight in ours.items() if weight.location is not None}
    assert located == ({} if big else {name: facts[3] for name, facts in expected.items()})
    assert (found.info.name, found.info.type, found.info.format_version) == ("every type", "llama", "3")
    assert found.info.tags["tokenizer.ggml.tokens"] == {"type": "string", "count": 1000}
    assert found.info.tags["quantization"] == "Q4_K_M"
    assert found.info.tags.get("byteorder") == ("big" if big else None)
    assert found.layers[0].config == {"block_count": 1}
    assert found.complete
    assert findings(found) == []


def test_a_split_model_is_one_model(tmp_path: Path) -> None:
    """Parts as the package writes them, in any order: all tensors, each located in its own file."""

    def fill(writer: reference.GGUFWriter) -> None:
        for number in range(5):
            writer.add_tensor(f"blk.{number}.attn_q.weight", np.ones((4, 8), np.float32))

    write(tmp_path / "m.gguf", fill, split_max_tensors=2)
    files = {f"folder/{path.name}": path.read_bytes() for path in sorted(tmp_path.iterdir(), reverse=True)}
    assert len(files) == 3
    assert gguf.find(upload({**files, "README.md": b"text"})) == [frozenset(files)]
    found = read(files)
    assert list(weights(found)) == [f"blk.{number}.attn_q.weight" for number in range(5)]
    for number, weight in enumerate(weights(found).values()):
        assert weight.location is not None
        name = f"folder/m-0000{number // 2 + 1}-of-00003.gguf"
        assert weight.location.member == name
        start = weight.location.offset or 0
        assert files[name][start : start + 128] == np.ones((4, 8), "<f4").tobytes()
    assert (found.complete, findings(found)) == (True, [])
    assert gguf.accept(upload({str(number): data for number, data in enumerate(files.values())}))


def parts(count: int, total: int, declared: int | None = None) -> list[bytes]:
    """Parts with one tensor each."""
    made = []
    for number in range(count):
        keys = [("split.no", "uint16", number), ("split.count", "uint16", total)]
        keys += [("split.tensors.count", "int32", total if declared is None else declared)]
        made.append(Writer().file([*(LLAMA[:1] if not number else ()), *keys], [Tensor(f"t{number}.weight")], 128))
    return made


def test_parts_that_are_missing_are_named() -> None:
    """The description is that of the parts that are there, and says so."""
    made = parts(4, 4)
    found = read({"m-00001-of-00004.gguf": made[0], "m-00003-of-00004.gguf": made[2]})
    assert not found.complete
    assert "split into 4 files, and parts 2 and 4 are not in the upload. 2 of 4 tensors are described." in notes(found)
    alone = read(made[1])
    assert not alone.complete
    assert "parts 1, 3 and 4" in notes(alone)


def test_parts_that_do_not_fit_are_found() -> None:
    """A part twice, a part of another split, and a number of tensors that is not what was counted."""
    made = parts(2, 2, declared=5)
    again = gguf.read(upload({"a": made[0], "b": made[0], "c": made[1]}))
    assert ("gguf_split", "Part 1 of 2 is there 2 times.") in findings(again)
    assert ("gguf_doubled_tensor", "t0.weight is listed 2 times; the first is described.") in findings(again)
    other = gguf.read(upload({"a": made[0], "b": parts(2, 3)[1]}))
    assert ("gguf_split", "a is part 1 of 2; another says that there are 3.") in findings(other)
    assert ("declared_mismatch", "Tensors of all parts: 5 is declared, 2 were counted.") in findings(
        read({"a": made[0], "b": made[1]})
    )


def test_two_models_are_not_one() -> None:
    """A model and its projector sent together are not taken for parts of one; nor is what is no GGUF file."""
    assert not gguf.accept(upload({"a.gguf": tiny(*WHOLE), "b.gguf": tiny(*WHOLE)}))
    assert not gguf.accept(upload({"m-00001-of-00002.gguf": parts(1, 2)[0], "m-00002-of-00002.gguf": b"text"}))
    assert not gguf.accept(upload({}))
    assert not gguf.accept(upload(b"{}"))


def test_an_absurd_number_of_parts_costs_nothing() -> None:
    """The first missing ones are named."""
    data = Writer().file([("split.no", "uint16", 3), ("split.count", "uint64", 2**62)], [], 0)
    assert "parts 1, 2, 3, 5, 6, 7, 8, 9, 10, 11 and …" in notes(read(data))


# What is there and what is not


def test_a_header_alone_is_described() -> None:
    """All names, shapes and sizes; not complete, and the note says why."""
    data = tiny(*WHOLE, data=WHOLE_DATA)
    whole, start = read(data), len(data) - WHOLE_DATA
    for length in (start, start - 1):
        found = read(data[:length])
        assert not found.complete
        assert [layer.weights for layer in found.layers] == [layer.weights for layer in whole.layers]
        assert "only the header is there" in notes(found)
        assert [rule for rule, _ in findings(found)] == ["data_truncated"]


def test_data_that_is_cut_is_counted() -> None:
    """How many tensors are not whole, and how many bytes there should be."""
    data = tiny(*WHOLE, data=WHOLE_DATA)
    found = read(data[:-5000])
    assert "The data of 2 of 4 tensors is missing or cut" in notes(found)
    assert findings(found) == [(
        "data_truncated",
        "The arrays need 37,600 bytes, but only 32,600 are there: the file was cut off or is still being downloaded.",
    )]  # fmt: skip


def test_bytes_that_do_not_fit_are_found() -> None:
    """Overlaps, holes beyond the padding, bytes behind the end, and an offset far beyond it."""
    start = len(tiny(Tensor("a"), Tensor("b"), Tensor("c"), data=0))

    def said(*offsets: int, data: int = 384) -> list[tuple[str, str]]:
        tensors = [Tensor(name, (32,), 0, offset) for name, offset in zip("abc", offsets, strict=False)]
        return findings(read(tiny(*tensors, data=data)))

    assert said(0, 128, 256) == []
    assert said(0, 96, 256) == [
        ("data_overlap", f"b and a share bytes {start + 96:,} to {start + 128:,} of the file."),
        ("data_hole", f"Bytes {start + 224:,} to {start + 256:,} of the file belong to no array."),
    ]
    assert said(0, 128, 288, data=416) == [
        ("data_hole", f"Bytes {start + 256:,} to {start + 288:,} of the file belong to no array.")
    ]
    assert said(0, 128, 256, data=416)[0][0] == "data_hole"
    past, end = start + 2**40, start + 384
    lies = f"c lies at bytes {past:,} to {past + 128:,} of the file, but its data ends at {end:,}."
    assert said(0, 128, 2**40)[0] == ("data_past_end", lies)
    assert said(0, 120, 256)[-1] == (
        "gguf_misaligned", "b begins at byte 120 of the data, which is no multiple of the alignment 32.")  # fmt: skip


def test_types_that_are_not_known_have_the_room_they_have() -> None:
    """Named by their number; the size is the distance to the next tensor or the end."""
    found = read(tiny(Tensor("a.weight", (32,), 99, 0), Tensor("b.weight", (32,), 0, 64), data=192))
    weight = weights(found)["a.weight"]
    assert (weight.dtype, weight.count, weight.bytes, weight.location) == ("ggml_type_99", 32, 64, None)
    assert "Element types of numbers 99 are not known here" in notes(found)


def test_descriptions_that_ggml_refuses_are_found() -> None:
    """Five axes, a name too long, a row that its blocks do not fill, a tensor twice."""
    name = "n" * 64
    tensors = [Tensor("five", (2, 2, 2, 2, 2), 0, 0), Tensor(name, (32,), 0, 128), Tensor("odd", (33, 2), 2, 256),
               Tensor("five", (32,), 0, 352)]  # fmt: skip
    found = read(tiny(*tensors, data=480))
    assert findings(found) == [
        ("gguf_axes", "five has 5 axes; ggml allows 4."),
        ("gguf_long_name", f"The name {name} is longer than the 63 bytes of ggml."),
        ("gguf_broken_block", "odd has rows of 33 elements, which blocks of 32 (q4_0) do not fill."),
        ("gguf_doubled_tensor", "five is listed 2 times; the first is described."),
    ]
    assert weights(found)["five"].shape == (2, 2, 2, 2, 2)


def test_sizes_beyond_counting_are_refused() -> None:
    """At the tensor's place in the header."""
    data = tiny(Tensor("a"), Tensor("b", (2**40, 2**40)))
    with pytest.raises(MalformedFile) as error:
        read(data)
    assert error.value.info.offset == data.index(b"\x01\0\0\0\0\0\0\0b")


def test_what_is_declared_is_held_against_what_is_there() -> None:
    """Blocks, widths, vocabulary and the number of parameters."""
    keys = [("llama.block_count", "uint32", 3), ("llama.embedding_length", "uint32", 64),
            ("tokenizer.ggml.tokens", "array", ("string", ["a"] * 301)), ("general.parameter_count", "uint64", 1),
            LLAMA[0]]  # fmt: skip
    found = read(tiny(*WHOLE, keys=keys, data=WHOLE_DATA))
    assert [what for rule, what in findings(found) if rule == "declared_mismatch"] == [
        "llama.block_count of the metadata: 3 is declared, 2 were counted.",
        "llama.embedding_length of the metadata: 64 is declared, 32 were counted.",
        "tokenizer.ggml.tokens of the metadata: 301 is declared, 300 were counted.",
        "general.parameter_count of the metadata: 1 is declared, 21,248 were counted.",
    ]
    assert findings(read(tiny(*WHOLE, data=WHOLE_DATA))) == []
    gap = read(tiny(Tensor("blk.3.a.weight"), Tensor("blk.999999999.a.weight", (32,), 0, 128), data=256))
    assert ("gguf_blocks", "There are tensors of block 999,999,999, but none of block 0.") in findings(gap)


# Kinds of files


def test_a_tied_output_is_said() -> None:
    """A generator without output.weight uses its embedding again; an embedding model does not."""
    tied = [WHOLE[0], *(tensor._replace(offset=tensor.offset - 10208) for tensor in WHOLE[2:])]
    assert "token_embd.weight is its output too" in notes(read(tiny(*tied, data=WHOLE_DATA - 10208)))
    assert "token_embd.weight" not in notes(read(tiny(*WHOLE, data=WHOLE_DATA)))
    pooled = [*LLAMA, ("llama.pooling_type", "uint32", 1)]
    assert "token_embd.weight" not in notes(read(tiny(*tied, keys=pooled, data=WHOLE_DATA - 10208)))


def test_an_adapter_is_told() -> None:
    """Its alpha and rank are tags; a note says what it is."""
    keys = [LLAMA[0], ("general.type", "string", "adapter"), ("adapter.type", "string", "lora"),
            ("adapter.lora.alpha", "float32", 16.0)]  # fmt: skip
    pair = [Tensor("blk.0.attn_q.weight.lora_a", (32, 8), 0, 0), Tensor("blk.0.attn_q.weight.lora_b", (8, 32), 0, 1024)]
    found = read(tiny(*pair, keys=keys, data=2048))
    assert (found.info.tags["adapter.lora.alpha"], found.info.tags["adapter.lora.rank"]) == (16.0, 8)
    assert "adapter" in notes(found)
    shapes = {name: weight.shape for name, weight in weights(found).items()}
    assert shapes == {pair[0].name: (8, 32), pair[1].name: (32, 8)}
    assert [weight.role for weight in weights(found).values()] == ["lora_a", "lora_b"]


def test_an_importance_matrix_has_no_parameters() -> None:
    """Its sums are statistics."""
    keys = [("general.type", "string", "imatrix"), ("imatrix.chunk_count", "uint32", 5)]
    found = read(tiny(Tensor("blk.0.attn_q.weight.in_sum2", (32, 1)), keys=keys, data=128))
    assert "importance matrix" in notes(found)
    assert found.info.tags["imatrix.chunk_count"] == 5
    assert [weight.group for weight in weights(found).values()] == ["statistic"]


@pytest.mark.parametrize(("keys", "words"), [
    (LLAMA, "a vocabulary and no tensors"),
    (LLAMA[:2], "metadata and no tensors"),
    ([LLAMA[0], ("general.type", "string", "mmproj")], "encoder and projector"),
])  # fmt: skip
def test_other_kinds_are_told(keys: Sequence[Any], words: str) -> None:
    """Whole, though no model by themselves."""
    found = read(Writer().file(keys))
    assert words in notes(found)
    assert found.complete


def test_a_template_that_breaks_out_is_a_danger() -> None:
    """It is a tag, and one that reaches for Python's internals is said to; an ordinary one is not."""
    plain = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    attack = "{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}"
    found = [read(Writer().file([*LLAMA, ("tokenizer.chat_template", "string", text)])) for text in (plain, attack)]
    assert [model.info.tags["tokenizer.chat_template"] for model in found] == [plain, attack]
    assert [[danger.code for danger in model.security] for model in found] == [[], ["gguf_chat_template"]]


@pytest.mark.parametrize("start", [b"lmgg", b"fmgg\x01\0\0\0", b"tjgg\x03\0\0\0", b"algg\x01\0\0\0"])
def test_formats_before_gguf_are_named(start: bytes) -> None:
    """And refused in words."""
    with pytest.raises(UnsupportedFeature, match=start[:4][::-1].decode()):
        read(start + bytes(40))


def test_damage_gives_input_errors_only() -> None:
    """Cut and flipped at random places: a model or an InputError, never anything else."""
    chance = random.Random(5)  # noqa: S311 - repeatable damage, no secret
    data = tiny(*WHOLE, data=64)
    for number in range(1500):
        changed = bytearray(data[: chance.randrange(4, len(data))] if number % 5 == 0 else data)
        for _ in range(chance.choice([1, 1, 2, 8])):
            changed[chance.randrange(4, len(changed))] ^= 1 << chance.randrange(8)
        with contextlib.suppress(InputError):
            gguf.read(upload(bytes(changed)))
    with pytest.raises(TruncatedFile) as error:
        gguf.read(upload({"a": data, "m-00002-of-00002.gguf": data[:50]}))
    assert error.value.info.member == "m-00002-of-00002.gguf"
