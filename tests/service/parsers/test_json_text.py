"""Strict JSON: what Python's parser would let through and we do not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import LimitExceeded, MalformedFile, MalformedJson
from service.parsers.json_text import nesting, parse, parse_object

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def parsed(data: bytes, **changes: object) -> object:
    return parse(data, **{"max_bytes": 1 << 20, "max_depth": 64, **changes})  # type: ignore[arg-type]


@given(VALUES)
def test_what_python_writes_is_read_back(value: object) -> None:
    """Every JSON value survives, with escaped and with plain non-ASCII text."""
    assert parsed(json.dumps(value).encode()) == value
    if "\\ud" not in json.dumps(value):
        assert parsed(json.dumps(value, ensure_ascii=False).encode()) == value


def depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(item) for item in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth(item) for item in value), default=0)
    return 0


@given(VALUES)
def test_nesting_is_the_depth(value: object) -> None:
    """Brackets in strings do not count, and neither do escaped quotes end a string."""
    assert nesting(json.dumps(value).encode(), 64) == depth(value)


@pytest.mark.parametrize("ending", [b"", b"\\", b'"', b'"}'])
def test_a_string_that_never_ends_is_walked_through_once(ending: bytes) -> None:
    """A million escaped quotation marks: as many attempts to find the end from each of them would take days."""
    assert nesting(b'{"a":"' + b'\\"' * 1_000_000 + ending, 64) == 1


@pytest.mark.parametrize("data", [b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 80 + b"1" + b"}" * 80])
def test_deep_documents_are_refused(data: bytes) -> None:
    """Depth is bounded before the parser's recursion could be."""
    with pytest.raises(LimitExceeded) as caught:
        parsed(data)
    assert caught.value.info.extra["limit"] == "json_depth"


def test_doubled_keys_are_refused() -> None:
    """Two readers would keep different values."""
    with pytest.raises(MalformedJson, match="'type' occurs twice"):
        parsed(b'{"type": "Dense", "type": "Lambda"}')


def test_constants_that_are_not_json() -> None:
    """NaN and Infinity become text where files hold them, and are refused in specs."""
    assert parsed(b'{"a": NaN, "b": -Infinity}') == {"a": "NaN", "b": "-Infinity"}
    with pytest.raises(MalformedJson, match="NaN is not a JSON number"):
        parsed(b"[NaN]", constants="refuse")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe{\x00}\x00", b'{"a": 01}', b"1" * 5000, b"nul", b'"\x01"'])
def test_broken_documents_say_where(data: bytes) -> None:
    """Whatever is not JSON in UTF-8 raises MalformedJson."""
    with pytest.raises(MalformedJson):
        parsed(data)


def test_the_offset_is_in_bytes() -> None:
    """Characters before the break may take several bytes."""
    with pytest.raises(MalformedJson) as caught:
        parsed('{"größe": ?}'.encode())
    assert caught.value.info.offset == '{"größe": ?}'.encode().index(b"?")


def test_too_many_bytes_or_values() -> None:
    """Size is judged before anything is built."""
    with pytest.raises(LimitExceeded):
        parsed(b"[1, 2, 3]", max_bytes=8)
    with pytest.raises(LimitExceeded):
        parse(b"[" + b"[]," * 5_000_001 + b"[]]", max_bytes=1 << 30, max_depth=64)


def test_an_object_is_asked_for() -> None:
    """`parse_object` names what came instead."""
    with pytest.raises(MalformedFile, match="not a list"):
        parse_object(b"[]", max_bytes=10, max_depth=4)
