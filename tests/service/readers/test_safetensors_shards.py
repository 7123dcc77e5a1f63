"""safetensors shards and their index against what the library reads in them, and which files are one model."""

from __future__ import annotations

import pytest

from service.errors import InputError, MalformedJson, TruncatedFile, UnknownFormat
from service.formats import Upload
from service.readers import safetensors as reader
from tests.service.readers.hf_uploads import (
    entry,
    folder,
    header_only,
    index,
    read,
    rules,
    safetensors,
    upload,
    weights,
)
from tests.service.readers.safetensors_answers import EXPECTED, SHARDS, facts, theirs

INDEX = "model.safetensors.index.json"


def shards() -> dict[str, bytes]:
    return {name: data for name, data in folder(SHARDS).items() if "-of-" in name}


def without(name: str) -> dict[str, bytes]:
    return {key: data for key, data in folder(SHARDS).items() if key != name}


def test_an_index_and_headers_alone_are_described() -> None:
    """All shapes and counts, incomplete; the declared sums are still held against the headers."""
    files = {name: header_only(data) if "-of-" in name else data for name, data in folder(SHARDS).items()}
    found = read(files)
    assert (facts(found), found.complete, rules(found)) == (theirs(SHARDS), False, [])
    short = files[INDEX].replace(b'"total_size": 118912', b'"total_size": 118908')
    assert rules(read({**files, INDEX: short})) == ["declared_mismatch"]


def test_an_index_alone_names_arrays() -> None:
    """Names and files are known, shapes are not: no counts, incomplete, and no finding."""
    found = read({INDEX: folder(SHARDS)[INDEX]})
    assert {name: (weight.shape, weight.count) for name, weight in weights(found).items()} == dict.fromkeys(
        theirs(SHARDS), (None, None)
    )
    assert (found.complete, rules(found)) == (False, [])
    assert "Only the index was sent: the names of the arrays and their files are known, not their shapes." in map(
        str, found.notes
    )


def test_a_missing_shard_is_named() -> None:
    """Its arrays are listed with unknown shapes, those of the others as they are."""
    name = "model-00002-of-00007.safetensors"
    found = read(without(name))
    gone = {key for key, one in EXPECTED[SHARDS]["weights"].items() if one["file"] == name}
    assert {key for key, weight in weights(found).items() if weight.shape is None} == gone
    assert [(one.rule, one.path) for one in found.findings] == [("index_missing_shard", name)]
    assert not found.complete


def test_shards_without_an_index_are_one_model() -> None:
    """By the numbers in their names; a missing one is named, though not what was in it."""
    found = read(shards())
    assert (facts(found), found.complete, rules(found)) == (theirs(SHARDS), True, [])
    name = "model-00007-of-00007.safetensors"
    fewer = read({key: data for key, data in shards().items() if key != name})
    assert ([(one.rule, one.path) for one in fewer.findings], fewer.complete) == (
        [("index_missing_shard", name)],
        False,
    )


def test_one_shard_alone_says_that_it_is_a_part() -> None:
    """By its name."""
    name = "model-00001-of-00007.safetensors"
    found = read({name: shards()[name]})
    assert not found.complete
    assert len(found.findings) == 6


SMALL = {
    "model-00001-of-00002.safetensors": safetensors({"a": entry(0, 4), "b": entry(4, 8)}, bytes(8)),
    "model-00002-of-00002.safetensors": safetensors({"c": entry(0, 4)}, bytes(4)),
}
FIRST, SECOND = SMALL
MAP = {"a": FIRST, "b": FIRST, "c": SECOND}
DIFFERENT = {
    "none": (index(MAP, total_size=12, total_parameters=3), {}, []),
    "total_size": (index(MAP, total_size=16), {}, [("declared_mismatch", None)]),
    "total_parameters": (index(MAP, total_parameters=4), {}, [("declared_mismatch", None)]),
    "missing": (index({**MAP, "d": SECOND}), {}, [("index_missing_tensor", "d")]),
    "misplaced": (
        index({**MAP, "c": FIRST}, total_size=12),
        {},
        [("index_unlisted_shard", SECOND), ("index_wrong_shard", "c")],
    ),
    "unlisted": (index({"a": FIRST, "c": SECOND}), {}, [("index_unlisted_tensor", "b")]),
    "doubled": (
        index(MAP),
        {SECOND: safetensors({"c": entry(0, 4), "a": entry(4, 8)}, bytes(8))},
        [("index_doubled_tensor", "a")],
    ),
    "unlisted shard": (
        index({"a": FIRST, "b": FIRST}),
        {},
        [("index_unlisted_shard", SECOND), ("index_unlisted_tensor", "c")],
    ),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_index_and_shards_are_held_against_each_other(name: str) -> None:
    """Missing, misplaced, unlisted and doubled arrays, unlisted files, wrong sums: each by its rule and name."""
    document, more, found = DIFFERENT[name]
    model = read({INDEX: document, **SMALL, **more})
    assert [(one.rule, one.path) for one in model.findings] == found


def test_a_damaged_shard_is_named() -> None:
    """Errors and findings say in which file."""
    with pytest.raises(TruncatedFile) as error:
        read({**folder(SHARDS), "model-00003-of-00007.safetensors": shards()["model-00003-of-00007.safetensors"][:20]})
    assert error.value.info.member == "model-00003-of-00007.safetensors"
    found = read({INDEX: index(MAP), **SMALL, SECOND: SMALL[SECOND][:-1]})
    assert [(one.rule, one.path) for one in found.findings] == [("data_truncated", SECOND), ("data_past_end", "c")]


def test_a_damaged_index_is_refused_with_its_place() -> None:
    """A key that occurs twice, or JSON that breaks off."""
    twice = f'{{"weight_map": {{"a": "{FIRST}", "a": "{FIRST}"}}}}'.encode()
    for document in (twice, index(MAP)[:-3]):
        with pytest.raises(MalformedJson) as error:
            read({INDEX: document})
        assert error.value.info.member == INDEX


def test_an_index_that_names_files_elsewhere_is_a_danger() -> None:
    """What lies outside the folder is not looked for."""
    found = read({INDEX: index({**MAP, "d": "../../secret.safetensors"}), **SMALL})
    assert [one.code for one in found.security] == ["index_path_escape"]


# Which files are one model


def found(*names: str, **contents: bytes) -> set[frozenset[str]]:
    """What `find` makes of empty safetensors files, JSON objects and others of these names."""
    empty = {name: safetensors({}) if name.endswith(".safetensors") else b"{}" for name in names}
    return set(reader.find(upload({**empty, **contents})))


def test_find_tells_models_apart() -> None:
    """An index with its shards and documents, other files with the documents, series, folders; nothing else's files."""
    assert found("README.md", "tokenizer.json", "config.json") == set()
    assert found("model.safetensors", "config.json", "generation_config.json", "tokenizer.json") == {
        frozenset({"model.safetensors", "config.json", "generation_config.json"})
    }
    assert found(
        "vae/model.safetensors", "vae/config.json", "unet\\a.safetensors", "unet\\config.json", "model_index.json"
    ) == {
        frozenset({"vae/model.safetensors", "vae/config.json"}),
        frozenset({"unet\\a.safetensors", "unet\\config.json"}),
    }
    assert found("adapter_model.safetensors", "adapter_config.json", "config.json") == {
        frozenset({"adapter_model.safetensors", "adapter_config.json"})
    }
    series = [f"./m-0000{n}-of-00003.safetensors" for n in (1, 3)]
    assert found(*series, "other.safetensors") == {frozenset(series), frozenset({"other.safetensors"})}
    whole = set(reader.find(upload({**folder(SHARDS), "README.md": b"#", "consolidated.safetensors": safetensors({})})))
    assert whole == {
        frozenset(folder(SHARDS)),
        frozenset({"consolidated.safetensors", "config.json", "generation_config.json"}),
    }


def test_what_find_finds_is_accepted() -> None:
    """Each set alone is an upload of this format; all files of two models together are not."""
    given = upload({**folder(SHARDS), "b/model.safetensors": safetensors({}), "b/config.json": b"{}"})
    sets = reader.find(given)
    assert len(sets) == 2
    assert all(reader.accept(given.only(names)) for names in sets)
    assert not reader.accept(given)


def test_other_files_are_not_ours() -> None:
    """Other indexes, other JSON, nothing."""
    for data in (index({"a": "x.bin"}), index({"a": "x.weights.h5"}), b"{}", b"", b"hello"):
        assert not reader.accept(upload({"x": data}))
    with pytest.raises(UnknownFormat):
        read({"a.txt": b"a", "b.txt": b"b"})


def test_an_upload_of_files_in_a_folder_is_read() -> None:
    """Names with folders and backslashes: the index's names are those beside it."""
    files = {f".\\llama\\{key}": data for key, data in folder(SHARDS).items()}
    assert facts(read(files)) == theirs(SHARDS)


def test_reading_needs_a_model() -> None:
    """Files that are no model together are an InputError, not a bug."""
    with pytest.raises(InputError):
        reader.read(Upload({}, upload({"x": b""}).meter))
