"""Sizes of tensors in a GGUF file, where their type is known and where it is not."""

from __future__ import annotations

import pytest

from service.catalog.gguf_parts import Held, Part, held_in, unique
from service.catalog.gguf_types import stored_bytes
from service.config import Limits
from service.parsers.gguf import read_header
from service.source import BytesSource, Meter
from tests.service.parsers.ggufs import Tensor, Writer


def held(*tensors: Tensor, data: int) -> list[Held]:
    content = Writer().file([], tensors, data)
    return held_in(Part(None, len(content), read_header(BytesSource(content, Meter(Limits())), Limits())))


@pytest.mark.parametrize(("kind", "dims", "expected"), [
    (0, (), 4), (0, (3, 5), 60), (2, (64, 3), 108), (12, (512, 2), 576), (39, (32,), 17), (40, (128,), 72),
    (2, (33,), None), (99, (32,), None), (0, (0, 7), 0),
])  # fmt: skip
def test_bytes_follow_from_blocks(kind: int, dims: tuple[int, ...], expected: int | None) -> None:
    """Rows of whole blocks; None for others and for unknown types."""
    assert stored_bytes(kind, dims) == expected


def test_unknown_types_have_the_distance_to_what_follows() -> None:
    """The next tensor's offset, the end of the file for the last; nothing where the file ends before it."""
    found = held(Tensor("c", (32,), 99, 96), Tensor("a", (32,), 99, 0), Tensor("b", (32,), 99, 32), data=160)
    assert {one.info.name: (one.bytes, one.exact) for one in found} == {
        "c": (64, False), "a": (32, False), "b": (64, False),
    }  # fmt: skip
    assert [one.bytes for one in held(Tensor("a", (32,), 99, 64), data=64)] == [None]


def test_the_first_of_a_name_counts() -> None:
    """In the order of the file."""
    found = held(Tensor("a", (1,)), Tensor("b", (2,)), Tensor("a", (3,)), data=128)
    assert [(one.info.name, one.shape) for one in unique(found)] == [("a", (1,)), ("b", (2,))]
