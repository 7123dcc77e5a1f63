"""Texts put together from pieces are the texts that would have been encoded, and come apart at their lines."""

from __future__ import annotations

import json

import msgspec
import pytest

from service.splicing import around, in_lines, lines


def test_what_stands_around_a_value() -> None:
    """Wherever it stands, and whatever looks like it."""
    before, behind = around(lambda text: msgspec.json.encode({"a": "0" * 32, "b": [1, text], "c": 2}))
    assert before + b"[3]" + behind == b'{"a":"' + b"0" * 32 + b'","b":[1,[3]],"c":2}'


@pytest.mark.parametrize("some", [[], [b"1"], [b"1\n2"], [b"1", b"2\n3", b"4"]])
def test_a_list_has_a_line_for_each_item(some: list[bytes]) -> None:
    """Whatever pieces they come in; it is the list that it would have been."""
    text = b"".join(in_lines(b'{"x":', some, b',"y":0}'))
    items = b"\n".join(some).split(b"\n") if some else []
    assert json.loads(text) == {"x": [int(item) for item in items], "y": 0}
    head, *held, tail = text.split(b"\n")
    assert (head, [item.lstrip(b",") for item in held], tail) == (b'{"x":[', items, b'],"y":0}')


@pytest.mark.parametrize("text", [b"", b"a", b"a\n", b"\n", b"ab\ncd\nef", b"\n\n"])
@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_lines_do_not_depend_on_how_the_text_is_cut(text: bytes, step: int) -> None:
    """The last is always by itself, so that whoever needs it last need not look ahead."""
    found = list(lines(text[at : at + step] for at in range(0, len(text), step)))
    assert [line for some in found for line in some] == text.split(b"\n")
    assert found[-1] == text.split(b"\n")[-1:]
