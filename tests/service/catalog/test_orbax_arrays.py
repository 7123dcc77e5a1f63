"""The JSON files of an Orbax checkpoint: sizes that were written, arrays on one device, zarr's own headers."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from service.catalog.orbax_arrays import Zarr, sizes, whole_names, written_shapes, zarr_of
from service.config import Limits

LIMITS = Limits()
V3 = {"zarr_format": 3, "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 4]}}}


@pytest.mark.parametrize(("value", "expected"), [
    ([3, 4], (3, 4)), ([], ()), ([0], (0,)), ([-1], None), ([1.0], None), ([True], None), (["3"], None), (None, None),
    ({"0": 3}, None), ([1] * 64, (1,) * 64), ([1] * 65, None), ([2**70], None),
])  # fmt: skip
def test_sizes_are_whole_numbers(value: Any, expected: tuple[int, ...] | None) -> None:
    """Not negative, no truth value, of no more axes than any array has."""
    assert sizes(value, LIMITS) == expected


@pytest.mark.parametrize(("document", "expected"), [
    ({"shape": [3, 8], "dtype": "<f4", "chunks": [2, 4]}, Zarr((3, 8), "float32", 4)),
    ({"shape": [3, 8], "dtype": "bfloat16", "chunks": [3, 8]}, Zarr((3, 8), "bfloat16", 1)),
    ({"shape": [5], "dtype": "|b1", "chunks": [5]}, Zarr((5,), "bool", 1)),
    ({"shape": [5], "dtype": "|u1", "chunks": [2]}, Zarr((5,), "uint8", 3)),
    ({"shape": [], "dtype": "<i8", "chunks": []}, Zarr((), "int64", 1)),
    ({"shape": [3, 8], "data_type": "float32", **V3}, Zarr((3, 8), "float32", 4)),
    ({"shape": [3, 8], "data_type": "float32"}, Zarr((3, 8), "float32", None)),
    ({"shape": [3], "dtype": "<f4", "chunks": [0]}, Zarr((3,), "float32", None)),
    ({"shape": [3], "dtype": "<f4", "chunks": [3, 1]}, Zarr((3,), "float32", None)),
    ({"shape": [3], "dtype": 7, "chunks": [3]}, Zarr((3,), None, 1)),
    ({"dtype": "<f4", "chunks": [3]}, None),
])  # fmt: skip
def test_zarr_tells_sizes_type_and_files(document: dict[str, Any], expected: Zarr | None) -> None:
    """Of both versions; how many chunk files there are where the grid is one that fits."""
    assert zarr_of(document, LIMITS) == expected


def test_the_first_written_shape_of_a_name_counts() -> None:
    """What is no name or no shape is passed over."""
    held = [{"array_metadata": {"param_name": "a", "write_shape": [2, 3]}}, {"array_metadata": {"param_name": "a",
            "write_shape": [9]}}, {"array_metadata": {"param_name": 3, "write_shape": [1]}}, {"array_metadata": None},
            7, {"array_metadata": {"param_name": "b", "write_shape": "x"}}]  # fmt: skip
    assert written_shapes({"array_metadatas": held}, LIMITS) == {"a": (2, 3)}
    assert written_shapes({"array_metadatas": {"a": 1}}, LIMITS) == {}


def name(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_an_array_on_one_device_is_whole() -> None:
    """Or on a mesh of one; what is no name in base64, or no sharding, says nothing."""
    document = {
        name("a"): json.dumps({"sharding_type": "SingleDeviceSharding"}),
        name("b"): {"sharding_type": "NamedSharding", "shape": [1, 1]},
        name("c"): json.dumps({"sharding_type": "NamedSharding", "shape": [4, 1]}),
        name("d"): "[]",
        name("e"): "{broken",
        "no base64!": "{}",
    }
    assert whole_names(document) == {"a": True, "b": True, "c": False, "d": False}
