"""Orbax folders: the tree that Orbax saved, with shapes and types where a file tells them, and never more than that."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from service.readers import orbax
from tests.corpus import corpus_dir, expected
from tests.service.readers.fielded import described, folder, mutants, only_input_errors, refused, upload, weights

WITH_TYPES = ("zarr", "zarr3")
WITHOUT_TYPES = ("ocdbt", "ocdbt3", "standard", "manager")


def saved(name: str) -> dict[str, bytes]:
    return folder(Path(corpus_dir("field_flax"), name))


@pytest.mark.parametrize("name", [*WITH_TYPES, *WITHOUT_TYPES])
def test_every_array_is_what_was_saved(name: str) -> None:
    """Key and shape of each; the element type where zarr's metadata is there."""
    model = described(orbax, saved(name))
    told = {key: {"shape": list(one.shape or ()), "dtype": one.dtype} for key, one in weights(model).items()}
    untyped = {key: {**one, "dtype": None} for key, one in expected("field_flax")["orbax"][name].items()}
    assert told == (expected("field_flax")["orbax"][name] if name in WITH_TYPES else untyped)
    assert model.complete is (name in WITH_TYPES)
    assert not [one for one in model.findings if one.rule.startswith("data_")]
    paths = {layer.path for layer in model.layers}
    assert paths == {"Conv_0", "BatchNorm_0", "Dense_0", "table", "LayerNorm_0", "Dense_1"}


@pytest.mark.parametrize("name", [*WITH_TYPES, *WITHOUT_TYPES])
def test_a_folder_is_found_whole_among_others(name: str) -> None:
    """All files of one checkpoint are one set; a neighbour's are not in it."""
    parts = {**saved(name), "README.md": b"#", "elsewhere/config.json": b"{}"}
    (found,) = orbax.find(upload(parts))
    assert found == frozenset(saved(name))


def test_two_steps_are_two_checkpoints() -> None:
    """Each with the files of its own step."""
    parts = saved("manager")
    twice = {**parts, **{path.replace("/5/", "/6/"): data for path, data in parts.items()}}
    found = orbax.find(upload(twice))
    assert sorted(map(len, found)) == [len(parts), len(parts)]
    assert not orbax.accept(upload(twice))


def test_the_tree_alone_is_enough_for_the_keys() -> None:
    """One file, and what cannot be known from it is said."""
    (tree,) = [data for path, data in saved("standard").items() if path.endswith("/_METADATA")]
    model = described(orbax, {"_METADATA": tree})
    assert len(model.layers) == 6
    assert not model.complete
    assert any("_sharding" in str(note) for note in model.notes)


def test_a_missing_chunk_is_named() -> None:
    """Of an array whose every chunk must be there."""
    parts = saved("zarr")
    lost = next(path for path in parts if path.endswith("params.Dense_0.kernel/0.0"))
    model = described(orbax, {path: data for path, data in parts.items() if path != lost})
    assert [one.path for one in model.findings if one.rule == "data_missing"] == ["params.Dense_0.kernel"]


def tree(shape: list[int] | None, **more: Any) -> bytes:
    value = {"value_type": "jax.Array", "skip_deserialize": False, **({} if shape is None else {"write_shape": shape})}
    entry = {"key_metadata": [{"key": "params"}, {"key": "d"}, {"key": "kernel"}], "value_metadata": value}
    return json.dumps({"tree_metadata": {"('params', 'd', 'kernel')": entry}, **more}).encode()


def sharding(kind: dict[str, Any]) -> bytes:
    key = base64.b64encode(b"params.d.kernel").decode()
    return json.dumps({key: json.dumps(kind)}).encode()


SINGLE = {"sharding_type": "SingleDeviceSharding"}
SPREAD = {"sharding_type": "NamedSharding", "shape": [4, 2], "partition_spec": ["x", None]}


@pytest.mark.parametrize(
    ("parts", "shape"),
    [
        ({"_METADATA": tree([2, 3]), "_sharding": sharding(SINGLE)}, (2, 3)),
        ({"_METADATA": tree([2, 3]), "_sharding": sharding({**SPREAD, "shape": [1, 1]})}, (2, 3)),
        ({"_METADATA": tree([2, 3]), "_sharding": sharding(SPREAD)}, None),
        ({"_METADATA": tree(None), "_sharding": sharding(SINGLE)}, None),
        ({"_METADATA": tree(None), "_sharding": sharding(SINGLE), "array_metadatas/process_0": json.dumps(
            {"array_metadatas": [{"array_metadata": {"param_name": "params.d.kernel", "write_shape": [2, 3]}}]}
        ).encode()}, (2, 3)),
        ({"_METADATA": tree([2, 3]), "_sharding": sharding(SPREAD), "params.d.kernel/.zarray": json.dumps(
            {"shape": [8, 3], "chunks": [2, 3], "dtype": "<f4"}
        ).encode()}, (8, 3)),
    ],
)  # fmt: skip
def test_a_shape_is_told_only_where_a_file_has_it_all(parts: dict[str, bytes], shape: tuple[int, ...] | None) -> None:
    """What one process wrote is the array where it lies on one device; of a spread one only zarr knows the whole."""
    model = described(orbax, parts)
    assert weights(model)["params/d/kernel"].shape == shape


def test_a_version_without_a_tree_is_read_by_its_folders() -> None:
    """Names of zarr's folders are the keys."""
    zarray = json.dumps({"shape": [2, 3], "chunks": [2, 3], "dtype": "bfloat16"}).encode()
    model = described(orbax, {"old/checkpoint": b"\x81", "old/params.d.kernel/.zarray": zarray})
    held = weights(model)["params/d/kernel"]
    assert (held.shape, held.dtype) == ((2, 3), "bfloat16")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'{"tree_metadata": [', "malformed_json"),
        (b'{"tree_metadata": []}', "malformed_file"),
        (b'{"tree_metadata": {"a": {}}}', "malformed_file"),
        (b'{"tree_metadata": {"a": {"key_metadata": [], "value_metadata": {}}}}', "malformed_file"),
    ],
)
def test_a_broken_tree_gets_its_error(data: bytes, code: str) -> None:
    """With the file it is in."""
    error = refused(orbax, {"_METADATA": data})
    assert (error.info.code, error.info.member) == (code, "_METADATA")


def test_others_are_left_to_others() -> None:
    """Folders without a tree, JSON of other sorts."""
    assert not orbax.accept(upload({"config.json": b"{}"}))
    assert not orbax.find(upload({"x.zarr/.zarray": b"{}", "checkpoints/model.ckpt": b"1"}))
    assert not orbax.accept(upload({"a/_METADATA": tree([1]), "README.md": b"#"}))


def test_damage_never_surprises() -> None:
    """Changed metadata brings answers or errors of the input."""
    parts = saved("zarr")
    ends = ("_METADATA", "_sharding", "array_metadatas/process_0", "params.Conv_0.kernel/.zarray")
    for end in (*ends, "_CHECKPOINT_METADATA"):
        name = next(path for path in parts if path.endswith(end))
        for damaged in mutants(parts[name], 120):
            only_input_errors(orbax, {**parts, name: damaged})
