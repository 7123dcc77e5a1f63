"""Plain values out of pickles: described for people, bounded, without loss where JSON can hold them."""

from __future__ import annotations

import argparse
import collections
import datetime as dt
import enum
import math
import pathlib
import pickle
from typing import Any

import pytest

from service.catalog.torch_values import MAX_NODES, attributes_of, describe, mapping_of, sequence_of
from tests.service.parsers.pickles import trace


class Color(enum.Enum):
    RED = 1


class Slotted:
    __slots__ = ("size",)


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(
    ("value", "described"),
    [
        ({"lr": 0.1, "steps": [1, 2], "name": None}, {"lr": 0.1, "steps": [1, 2], "name": None}),
        ((1, (2, 3)), [1, [2, 3]]),
        ({1: "a", (1, 2): "b"}, {"1": "a", "<tuple>": "b"}),
        (math.inf, "inf"),
        (2**100, "<integer of 101 bits>"),
        (argparse.Namespace(lr=0.1), {"lr": 0.1}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (pathlib.PurePosixPath("/data/x.pt"), "/data/x.pt"),
        ({1, 2}, [1, 2]),
        (collections.deque([1, 2]), [1, 2]),
        (len, "builtins.len"),
        (dt.date, "datetime.date"),
    ],
)
def test_values_are_described(value: Any, described: Any, protocol: int) -> None:
    """Mappings, sequences, numbers, paths, namespaces and names, whatever class holds them."""
    assert describe(trace(pickle.dumps(value, protocol)).value) == described


def test_enumerations_and_unknown_objects_are_named() -> None:
    """An enumeration member by its name or value; an object by its class."""
    assert "Color" in describe(trace(pickle.dumps(Color.RED, 4)).value)
    assert describe(trace(pickle.dumps(argparse.ArgumentError(None, "x"), 4)).value).startswith(
        ("<argparse", "argparse")
    )


def test_slots_are_attributes() -> None:
    """State of the form (dict, slots)."""
    made = Slotted()
    made.size = 3
    assert attributes_of(trace(pickle.dumps(made, 4)).value) == {"size": 3}


def test_descriptions_are_bounded() -> None:
    """Wide, deep and self-containing values end, and say that something is missing."""
    wide = describe(list(range(10 * MAX_NODES)))
    assert len(wide) <= MAX_NODES + 1
    loop: list[Any] = []
    loop.append(loop)
    assert describe(loop) == [[[[[["…"]]]]]]
    assert describe({str(number): number for number in range(5 * MAX_NODES)})["…"].endswith("more")
    assert len(describe("x" * 10_000)) < 600


def test_other_values_are_no_containers() -> None:
    """Numbers and texts are neither mapping nor sequence."""
    for value in (1, "x", None):
        assert mapping_of(value) is None
        assert sequence_of(value) is None
