"""The index of a model in several files: what it says and names, and every way in which files may differ from it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.catalog.shards import (
    Index,
    beside,
    check,
    check_parameters,
    check_size,
    escapes,
    index_ending,
    plain_path,
    read_index,
    series_names,
    series_of,
)
from service.config import Limits
from service.errors import InputError, LimitExceeded, MalformedFile, MalformedJson
from service.source import BytesSource, Meter
from tests.service.readers.hf_uploads import index


def source(data: bytes, **limits: int) -> BytesSource:
    return BytesSource(data, Meter(Limits(**limits)))


def parse(data: bytes, **limits: int) -> Index:
    return read_index(source(data), Limits(**limits))


def refusal(data: bytes, **limits: int) -> InputError:
    with pytest.raises(InputError) as error:
        parse(data, **limits)
    return error.value


def test_an_index_is_read() -> None:
    """Files in order, and the sums that it declares; a whole number written as a fraction is one."""
    found = parse(index({"b": "2.bin", "a": "1.bin", "c": "2.bin"}, total_size=12.0, total_parameters=3))
    assert (found.files, found.total_size, found.total_parameters) == (["1.bin", "2.bin"], 12, 3)


@pytest.mark.parametrize("total", [None, "12", 1.5, -1, True, [], 2**130])
def test_a_sum_that_is_no_number_is_none(total: Any) -> None:
    """What cannot be a sum of bytes is not held against anything."""
    assert parse(index({"a": "1.bin"}, total_size=total)).total_size is None


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b'{"weight_map": {"a": "1.bin", "a": "2.bin"}}', MalformedJson, "twice"),
        (b'{"weight_map": {"a": "1.bin", "\\u0061": "2.bin"}}', MalformedJson, "twice"),
        (b'{"weight_map": {"a": "1.bin"}, "weight_map": {}}', MalformedJson, "twice"),
        (b'{"weight_map": {"a": 1}}', MalformedFile, "does not name a file for a"),
        (b'{"weight_map": ["a"]}', MalformedFile, "no weight_map"),
        (b"{}", MalformedFile, "no weight_map"),
        (b'{"weight_map": {"a": "1.bin"', MalformedJson, "Not valid JSON"),
        (b"[1]", MalformedFile, "JSON object"),
    ],
)
def test_what_is_refused(data: bytes, kind: type[InputError], words: str) -> None:
    """Doubled keys, entries that are no file names, other JSON."""
    error = refusal(data)
    assert isinstance(error, kind)
    assert words in str(error.info.detail)


def test_limits_hold() -> None:
    """More arrays, or more JSON, than one analysis may have."""
    data = index({"a": "1.bin", "b": "1.bin"})
    assert refusal(data, weights=1).info.extra["limit"] == "weights"
    assert isinstance(refusal(data, json_bytes=10), LimitExceeded)


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (index({"a": "model-00001-of-00002.safetensors"}), ".safetensors"),
        (index({"a": "pytorch_model-00001-of-00002.bin"}), ".bin"),
        (index({"layers/dense/vars/0": "x_00000.weights.h5"}), ".h5"),
        (json.dumps({"weight_map": {"a": ["x.weights.h5"]}}).encode(), None),
        (index({}), None),
        (b"[]", None),
        (b"weight_map", None),
        (b"", None),
    ],
)
def test_an_index_is_told_by_the_files_it_names(data: bytes, ending: str | None) -> None:
    """By the ending of the first; no other JSON is an index."""
    assert index_ending(source(data)) == ending


def test_names_are_compared_plainly() -> None:
    """Backslashes, `./` and folders; a file beside the index that names it."""
    assert plain_path(".\\a\\b.json") == "a/b.json"
    assert beside("a\\model.index.json", "./1.bin") == "a/1.bin"
    assert series_of("model-00002-of-00003.safetensors") == ("model", 2, 3, ".safetensors")
    assert series_of("model-00004-of-00003.safetensors") is None
    assert series_of("model.safetensors") is None
    assert series_names("m-00002-of-00002.bin") == ["m-00001-of-00002.bin", "m-00002-of-00002.bin"]
    assert series_names("m.bin") == ["m.bin"]


def test_files_elsewhere_are_dangers() -> None:
    """A path out of the folder, whichever way it is written."""
    names = ["../x.bin", "/etc/x.bin", "C:\\x.bin", "a/../../x.bin", "..\\x.bin"]
    found = escapes(Index({str(n): name for n, name in enumerate([*names, "a/x.bin", "x.bin"])}), "i.json")
    assert sorted(one.detail or "" for one in found) == sorted(names)
    assert {(one.code, one.severity, one.member) for one in found} == {("index_path_escape", "high", "i.json")}


WANTED = {"a": "1", "b": "1", "c": "2", "d": "2"}


@pytest.mark.parametrize(
    ("held", "unnamed", "expected"),
    [
        ({"1": ["a", "b"], "2": ["c", "d"]}, [], []),
        ({"1": ["a", "b"]}, [], [("index_missing_shard", "2")]),
        ({"1": ["a"], "2": ["c", "d"]}, [], [("index_missing_tensor", "b")]),
        ({"1": ["a"], "2": ["b", "c", "d"]}, [], [("index_wrong_shard", "b")]),
        ({"1": ["a", "b", "x"], "2": ["c", "d"]}, [], [("index_unlisted_tensor", "x")]),
        ({"1": ["a", "b", "c"], "2": ["c", "d"]}, [], [("index_doubled_tensor", "c")]),
        (
            {"1": ["a", "b"], "2": ["c", "d"], "3": ["x"]},
            ["3"],
            [("index_unlisted_shard", "3"), ("index_unlisted_tensor", "x")],
        ),
        (
            {"1": ["a", "b", "c", "d"]},
            [],
            [("index_missing_shard", "2"), ("index_wrong_shard", "c"), ("index_wrong_shard", "d")],
        ),
    ],
)
def test_each_difference_is_named(
    held: dict[str, list[str]], unnamed: list[str], expected: list[tuple[str, str]]
) -> None:
    """Missing, misplaced, unlisted and doubled arrays, missing and unlisted files: each with its name, nothing else."""
    found = check(Index(WANTED), held, unnamed)
    assert [(one.rule, one.path) for one in found] == expected
    assert all(one.path in str(one.what) for one in found if one.path)


def test_many_differences_are_counted() -> None:
    """Fifty are listed, and the rest is a number."""
    found = check(Index({f"t{n}": "1" for n in range(120)}), {"1": []}, [])
    assert len(found) == 51
    assert str(found[-1].what) == "And 70 more like these."


def test_declared_sums_are_held_against_those_counted() -> None:
    """total_size must be one of the sums that tools write; total_parameters may leave out buffers and repeats."""
    declared = Index({}, total_size=100, total_parameters=10)
    assert check_size(declared, (100, 90)) == check_size(declared, (90, 100)) == check_size(Index({}), (1,)) == []
    (size,) = check_size(declared, (101, 99))
    assert str(size.what) == "total_size of the index, in bytes: 100 is declared, 101 were counted."
    assert check_parameters(declared, 8, 12) == check_parameters(declared, 10, 10) == []
    assert [one.rule for one in check_parameters(declared, 11, 12)] == ["declared_mismatch"]
