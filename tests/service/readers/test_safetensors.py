"""safetensors files against what the libraries read in them; every damage by its name."""

from __future__ import annotations

import random
import struct

import pytest

from service.errors import LimitExceeded, TruncatedFile
from service.readers import safetensors as reader
from service.tree import element_count
from tests.service.readers.hf_uploads import (
    entry,
    folder,
    header_only,
    read,
    refusal,
    rules,
    safetensors,
    upload,
    weights,
)
from tests.service.readers.safetensors_answers import EXPECTED, SHARDS, facts, theirs

FOLDERS = sorted(name for name in EXPECTED if any(one.endswith(".safetensors") for one in folder(name)))
SINGLE = sorted(name for name in FOLDERS if "model.safetensors" in folder(name))


@pytest.mark.parametrize("name", FOLDERS)
def test_every_array_is_read_as_the_library_reads_it(name: str) -> None:
    """Names, shapes and element types, in whole folders: one file or shards; nothing is missing, nothing invented."""
    found = read(folder(name))
    assert (facts(found), found.complete) == (theirs(name), True)
    assert found.info.format == "safetensors"


@pytest.mark.parametrize("name", FOLDERS)
def test_honest_folders_have_no_findings(name: str) -> None:
    """What transformers writes of Llama, Qwen, Mixtral, GPT-2, BERT, T5, ViT and Whisper is not doubted."""
    told = {"declared_mismatch"} if name == "adapter_wrong" else set()
    assert set(rules(read(folder(name)))) == told


@pytest.mark.parametrize("name", SINGLE)
def test_a_file_alone_is_read_under_any_name(name: str) -> None:
    """By its content."""
    found = read({"upload": folder(name)["model.safetensors"]})
    assert facts(found) == theirs(name)


@pytest.mark.parametrize("name", [name for name in FOLDERS if EXPECTED[name].get("parameters")])
def test_parameters_are_counted_as_the_library_counts_them(name: str) -> None:
    """Unique elements that are no buffers are `model.parameters()`; a fixed table of positions counts there, too."""
    counted = sum(weight.count or 0 for weight in weights(read(folder(name))).values() if weight.tied_to is None)
    assert counted == EXPECTED[name]["parameters"]


def test_where_the_bytes_lie_is_told() -> None:
    """Offset and length in the file; in a folder, of the file that it is in. The bytes there are the array's."""
    data = folder("types")["types.safetensors"]
    found = weights(read({"x": data}))
    place = found["scalar"].location
    assert place is not None
    assert place.offset is not None
    assert struct.unpack("<f", data[place.offset : place.offset + (place.length or 0)]) == (1.5,)
    assert place.member is None
    for name, weight in weights(read(folder(SHARDS))).items():
        assert weight.location is not None
        assert weight.location.member == EXPECTED[SHARDS]["weights"][name]["file"]


def test_headers_are_all_that_is_read() -> None:
    """Of 7 shards, their index and two documents: headers and documents, and not one byte of data."""
    files = folder(SHARDS)
    given = upload(files)
    sizes: list[int] = []
    for source in given.parts.values():
        original = source.read_at
        source.read_at = lambda offset, length, original=original: (  # type: ignore[method-assign]
            sizes.append(offset + length) or original(offset, length)
        )
    reader.read(given)
    assert max(sizes) <= 4096


def test_the_framework_is_what_the_metadata_says() -> None:
    """`format` of `__metadata__`; unknown where there is none, or another word."""
    for word, framework in (("pt", "torch"), ("tf", "tensorflow"), ("flax", "jax"), ("mlx", "mlx"), ("x", "unknown")):
        found = read({"x": safetensors({"__metadata__": {"format": word}, "a.weight": entry(0, 4)}, bytes(4))})
        assert (found.info.framework, found.info.tags["format"]) == (framework, word)
    assert read({"x": safetensors({"a": entry(0, 4)}, bytes(4))}).info.framework == "unknown"


def test_metadata_is_told() -> None:
    """Training settings and the model's own card as tags, its title as the name, its architecture as the type."""
    metadata = {"ss_network_dim": "8", "modelspec.title": "T", "modelspec.architecture": "sdxl/lora"}
    found = read({"x": safetensors({"__metadata__": metadata, "a": entry(0, 4)}, bytes(4))}).info
    assert (found.tags, found.name, found.type) == (metadata, "T", "sdxl/lora")


def test_metadata_that_is_no_text_is_named() -> None:
    """The library refuses such a file; what it holds is described all the same."""
    found = read({"x": safetensors({"__metadata__": {"a": 1, "b": "x"}, "t": entry(0, 4)}, bytes(4))})
    assert [(one.rule, str(one.what)) for one in found.findings] == [
        ("metadata_not_text", "The value of a in __metadata__ is not a text.")
    ]
    assert found.info.tags == {"a": "1", "b": "x"}


def test_weights_left_out_as_tied_are_listed_as_tied() -> None:
    """`save_model` keeps one of two names and notes the other in the metadata."""
    found = weights(read(folder("tied")))
    assert (found["head.weight"].tied_to, found["embed.weight"].tied_to) == ("embed.weight", None)
    assert found["head.weight"].shape == found["embed.weight"].shape == (11, 6)


def test_element_types_of_part_of_a_byte() -> None:
    """Four and six bits: as many elements as the shape says, in as many bytes as they take."""
    header = {
        "four": entry(0, 3, [2, 3], "F4"),
        "six": entry(3, 6, [4], "F6_E2M3"),
        "other_six": entry(6, 9, [2, 2], "F6_E3M2"),
        "scale": entry(9, 10, [1], "F8_E8M0"),
    }
    found = read({"x": safetensors(header, bytes(10))})
    assert facts(found) == {
        "four": ([2, 3], "float4_e2m1fn"),
        "six": ([4], "float6_e2m3fn"),
        "other_six": ([2, 2], "float6_e3m2fn"),
        "scale": ([1], "float8_e8m0fnu"),
    }
    assert {name: weight.bytes for name, weight in weights(found).items()} == {
        "four": 3, "six": 3, "other_six": 3, "scale": 1,
    }  # fmt: skip
    assert rules(found) == []


def test_an_unknown_element_type_is_told_as_it_is() -> None:
    """Its bytes are known from the file; a note says that the type is not."""
    found = read({"x": safetensors({"a.weight": entry(0, 8, [4], "Q7")}, bytes(8))})
    weight = weights(found)["a.weight"]
    assert (weight.dtype, weight.shape, weight.bytes) == ("Q7", (4,), 8)
    assert "The element types Q7 are not known here: their bytes are as the header has them." in map(str, found.notes)


def test_ten_thousand_arrays_are_all_there() -> None:
    """As many weights as the header has, each with its own place."""
    header = {f"layers.{n}.weight": entry(4 * n, 4 * n + 4) for n in range(10_000)}
    model = read({"x": header_only(safetensors(header))})
    places = {weight.location.offset for weight in weights(model).values() if weight.location is not None}
    assert (len(weights(model)), len(places)) == (10_000, 0)
    assert sum(element_count(weight.shape) or 0 for weight in weights(model).values()) == 10_000


def test_sizes_of_packed_weights_are_read_where_they_are_stored() -> None:
    """compressed-tensors and bitsandbytes keep them as small arrays: logical counts follow from them."""
    state = b'{"blocksize": 64, "shape": [6, 8], "dtype": "float16"}'
    data = struct.pack("<2q", 4, 16) + bytes(4 * 2 * 4) + bytes(24) + bytes(4) + state
    end = len(data)
    header = {
        "a.weight_shape": entry(0, 16, [2], "I64"),
        "a.weight_packed": entry(16, 48, [4, 2], "I32"),
        "b.weight": entry(48, 72, [24, 1], "U8"),
        "b.weight.absmax": entry(72, 76),
        "b.weight.quant_state.bitsandbytes__nf4": entry(76, end, [end - 76], "U8"),
    }
    packed = weights(read({"x": safetensors(header, data)}))
    assert (packed["a.weight_packed"].shape, packed["a.weight_packed"].count) == ((4, 16), 64)
    assert (packed["b.weight"].shape, packed["b.weight"].count) == ((6, 8), 48)


# Integrity


DAMAGE = {
    "wrong size": (
        {"a": entry(0, 8, [3])},
        8,
        [("data_wrong_size", "a has 8 bytes; its shape and element type need 12.")],
    ),
    "hole": (
        {"a": entry(0, 4), "b": entry(8, 12)},
        12,
        [("data_hole", "Bytes 4 to 8 of the file belong to no array.")],
    ),
    "overlap": (
        {"a": entry(0, 8), "b": entry(4, 12)},
        12,
        [("data_overlap", "b and a share bytes 4 to 8 of the file.")],
    ),
    "trailing": ({"a": entry(0, 4)}, 9, [("data_hole", "Bytes 4 to 9 of the file belong to no array.")]),
    "no arrays": ({}, 5, [("data_hole", "Bytes 0 to 5 of the file belong to no array.")]),
    "late start": ({"a": entry(4, 8)}, 8, [("data_hole", "Bytes 0 to 4 of the file belong to no array.")]),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_is_named(name: str) -> None:
    """Sizes that do not fit, holes, overlaps, bytes before the first and behind the last array."""
    header, size, found = DAMAGE[name]
    model = read({"x": safetensors(header, bytes(size))})
    assert [(one.rule, str(one.what)) for one in model.findings] == found


def test_a_file_cut_in_its_data_says_which_arrays_are_gone() -> None:
    """A report, incomplete: which arrays end beyond the file, how much there is, no place for lost values."""
    data = safetensors({"a": entry(0, 8), "b": entry(8, 16), "c": entry(16, 24)}, bytes(12))
    found = read({"x": data})
    assert not found.complete
    assert [(one.rule, one.path) for one in found.findings] == [
        ("data_truncated", None), ("data_past_end", "b"), ("data_past_end", "c"),
    ]  # fmt: skip
    assert "The data of the file has 12 of 24 bytes: 2 arrays are not, or not wholly, there." in map(str, found.notes)
    assert {name: weight.location is None for name, weight in weights(found).items()} == {
        "a": False,
        "b": True,
        "c": True,
    }


@pytest.mark.parametrize("name", SINGLE)
def test_a_header_alone_is_described(name: str) -> None:
    """Everything but values, incomplete, with a note and without a finding."""
    found = read({"x": header_only(folder(name)["model.safetensors"])})
    assert (facts(found), found.complete, rules(found)) == (theirs(name), False, [])
    assert "Only the header of the file was sent: values cannot be looked at." in map(str, found.notes)


def test_a_cut_header_is_truncated() -> None:
    """At any place in it."""
    data = header_only(folder("bert")["model.safetensors"])
    for size in (9, 100, len(data) - 1):
        with pytest.raises(TruncatedFile) as error:
            read({"x": data[:size]})
        assert error.value.info.extra["missing"] == len(data) - size


def test_more_elements_than_any_model_has_are_refused() -> None:
    """Sizes whose product is beyond all limits."""
    with pytest.raises(LimitExceeded):
        read({"x": safetensors({"a": entry(0, 4, [2**62] * 3)}, bytes(4))})


def test_damage_only_raises_input_errors() -> None:
    """300 changed files of each small folder: a model or an InputError."""
    chance = random.Random(5)  # noqa: S311 - repeatable damage
    for name in ("types", "adapter", "tied"):
        whole = folder(name)
        target = next(one for one in whole if one.endswith(".safetensors"))
        for _ in range(300):
            changed = bytearray(whole[target])
            for _ in range(chance.choice([1, 2, 8])):
                changed[chance.randrange(min(len(changed), 2500))] ^= 1 << chance.randrange(8)
            given = upload({**whole, target: bytes(changed)})
            if reader.accept(given):
                error = refusal(lambda given=given: reader.read(given))
                assert error is None or error.info.detail
