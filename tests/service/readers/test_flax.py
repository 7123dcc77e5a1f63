"""Flax checkpoints: every array as Flax restores it, collections kept apart, beginnings of files described exactly."""

from __future__ import annotations

import struct
from math import prod
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import TruncatedFile
from service.readers import flax
from service.tree import Model
from tests.corpus import corpus_dir, expected
from tests.service.readers.fielded import described, mutants, only_input_errors, refused, upload, weights

FILES = ("variables", "parameters", "state", "odd", "pieces")


def written(name: str) -> dict[str, bytes]:
    return {"checkpoint": Path(corpus_dir("field_flax"), f"{name}.msgpack").read_bytes()}


def array(shape: tuple[int, ...], dtype: str = "float32", data: bytes | None = None) -> msgpack.ExtType:
    """An array as Flax packs it."""
    return msgpack.ExtType(1, msgpack.packb((shape, dtype, bytes(4 * prod(shape)) if data is None else data)))


def packed(tree: Any) -> dict[str, bytes]:
    return {"file": msgpack.packb(tree)}


@pytest.mark.parametrize("name", FILES)
def test_every_array_is_what_flax_restores(name: str) -> None:
    """Key, shape and element type of each; also where they are stored in pieces, as scalars, as halves."""
    model = described(flax, written(name))
    restored = expected("field_flax")["msgpack"][f"{name}.msgpack"]
    found = {key: {"shape": list(one.shape or ()), "dtype": one.dtype} for key, one in weights(model).items()}
    assert found == restored
    assert model.complete
    assert not [one for one in model.findings if one.rule.startswith("data_")]


def test_a_train_state_is_taken_apart() -> None:
    """Parameters, moving statistics of the same layers, and optimizer slots with their roles."""
    model = described(flax, written("state"))
    count = expected("field_flax")["parameters"]
    assert model.totals is not None
    assert (model.totals.parameters, model.totals.statistics) == (count["params"], count["batch_stats"])
    kinds = {layer.path: layer.kind for layer in model.layers}
    assert kinds == {"Conv_0": "conv2d", "BatchNorm_0": "batch_norm", "Dense_0": "linear", "table": "embedding",
                     "LayerNorm_0": "layer_norm", "Dense_1": "linear"}  # fmt: skip
    assert all(layer.explanation and layer.explanation.status == "complete" for layer in model.layers)
    (state,) = model.states
    assert (state.name, state.group, model.totals.optimizer) == ("opt_state", "optimizer", 2 * count["params"] + 1)
    assert {one.role for one in state.weights} == {"momentum", "velocity", "iteration"}
    assert model.info.tags["step"] == 0


def test_places_are_those_of_the_values() -> None:
    """Offset and length of each array in one piece."""
    data = struct.pack("<6f", *range(6))
    parts = packed({"params": {"d": {"kernel": array((2, 3), data=data)}}})
    place = weights(described(flax, parts))["params/d/kernel"].location
    assert place is not None
    assert parts["file"][place.offset :][: place.length] == data


def beginning(data: bytes) -> Model | None:
    """What is said of it, None where there is nothing to describe."""
    try:
        return flax.read(upload({"f": data}))
    except TruncatedFile:
        return None


@pytest.mark.parametrize("name", FILES)
def test_any_beginning_of_a_file_is_described_or_refused(name: str) -> None:
    """Arrays before the cut are listed, the cut is named, nothing after it is invented."""
    whole = written(name)["checkpoint"]
    all_keys = weights(flax.read(upload({"f": whole}))).keys()
    for end in range(1, len(whole), 97):
        model = beginning(whole[:end])
        if model is not None:
            assert not model.complete
            assert "data_truncated" in {one.rule for one in model.findings}
            assert name == "pieces" or weights(model).keys() <= all_keys


def test_bytes_and_shapes_are_held_against_each_other() -> None:
    """An array with fewer bytes than its shape needs, and bytes after the last value."""
    model = described(flax, packed({"params": {"a": {"kernel": array((2, 3), data=b"1234")}}}))
    (finding,) = [one for one in model.findings if one.rule == "data_wrong_size"]
    assert finding.path == "params/a/kernel"
    assert weights(model)["params/a/kernel"].location is None
    rest = described(flax, {"file": packed({"params": {"a": {"kernel": array((2, 3))}}})["file"] + b"rest"})
    assert "data_hole" in {one.rule for one in rest.findings}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (msgpack.packb({"params": msgpack.ExtType(1, b"\x93\x01\x02\x03")}), "malformed_file"),
        (msgpack.packb({"params": msgpack.ExtType(1, msgpack.packb((["x"], "float32", b"")))}), "malformed_file"),
        (msgpack.packb({"params": msgpack.ExtType(1, msgpack.packb(([-1], "float32", b"")))}), "malformed_file"),
        (msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb(([1], "float32", b"1234")) + b"x")}), "malformed_file"),
        (msgpack.packb({"params": msgpack.ExtType(1, b"")}), "malformed_file"),
        (b"\x82\xa6params\x01\xa6params\x02", "malformed_file"),
        (b"\x81\xa6params\xc1", "malformed_file"),
        (b"\x81\xa6params" + b"\x81\xa1a" * 300 + b"\x01", "limit_exceeded"),
    ],
)
def test_what_is_no_array_is_refused(data: bytes, code: str) -> None:
    """Descriptions that are none, doubled keys, bytes that begin nothing, trees without end."""
    assert refused(flax, {"f": data}).info.code == code


def test_keys_with_dots_lose_nothing() -> None:
    """Two arrays whose keys join to the same name are both counted."""
    tree = {"params": {"a.b": {"kernel": array((2, 3))}, "a": {"b": {"kernel": array((2, 3))}}}}
    model = described(flax, packed(tree))
    assert model.totals is not None
    assert (model.totals.parameters, len(weights(model))) == (12, 2)


def test_other_files_are_left_to_others() -> None:
    """MessagePack of something else, pickles, text, nothing."""
    for data in (msgpack.packb({"a": 1, "b": [1, 2]}), b"\x80\x04K\x01.", b"{}", b"", b"\x81", b"\x85\xff\xff"):
        assert not flax.accept(upload({"f": data}))
    assert not flax.accept(upload({"a": b"x", "b": b"y"}))


SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)


HELD = st.dictionaries(st.sampled_from(["kernel", "x"]), SHAPES, min_size=1)


@given(st.dictionaries(st.sampled_from("abcdefgh"), HELD, min_size=1))
@settings(max_examples=60)
def test_any_tree_of_arrays_is_read_completely(tree: dict[str, dict[str, tuple[int, ...]]]) -> None:
    """Every array with its shape, whatever the names."""
    data = {"params": {name: {key: array(shape) for key, shape in held.items()} for name, held in tree.items()}}
    found = {key: one.shape for key, one in weights(described(flax, packed(data))).items()}
    assert found == {f"params/{name}/{key}": shape for name, held in tree.items() for key, shape in held.items()}


def test_damage_never_surprises() -> None:
    """Changed files bring answers or errors of the input."""
    for name, count in (("odd", 1500), ("pieces", 300), ("state", 300)):
        for damaged in mutants(written(name)["checkpoint"], count):
            only_input_errors(flax, {"f": damaged})
