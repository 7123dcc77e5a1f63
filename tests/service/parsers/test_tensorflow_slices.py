"""Keys of slices of partitioned variables: TensorFlow's own code of names and numbers."""

from __future__ import annotations

import pytest

from service.parsers.tensorflow_slices import is_slice_key, read_key, sizes


@pytest.mark.parametrize(
    ("numbers", "value"),
    [
        (b"\x80", 0),
        (b"\xbf", 63),
        (b"\xc0\x40", 64),
        (b"\xdf\xff", 8191),
        (b"\xe0\x20\x00", 8192),
        (b"\xf0\x10\x00\x00", 1 << 20),
        (b"\xf8\x08\x00\x00\x00", 1 << 27),
    ],
)
def test_starts_of_every_length(numbers, value):
    """OrderedCode::WriteSignedNumIncreasing, as tested in tensorflow/core/lib/strings/ordered_code_test.cc."""
    assert read_key(b"\x00name\x00\x01\x01\x01" + numbers + b"\x7f") == ("name", ((value, None),))


def test_names_with_nulls_are_unescaped():
    """A null byte and a 255 in a name are written with a second byte."""
    assert read_key(b"\x00a\x00\xffb\x00\x01\x00") == ("a\x00b", ())


@pytest.mark.parametrize("key", [b"\x00name", b"\x00name\x00\x01", b"\x00n\x00\x01\x01\x01\x80", b"\x00n\x00\x01\x00x"])
def test_broken_keys_are_none(key):
    """Keys that end early or go on are no keys of slices."""
    assert is_slice_key(key)
    assert read_key(key) is None


def test_shapes_of_slices():
    """A length of None is the whole axis; another rank does not fit."""
    assert sizes(((0, 2), (0, None)), (4, 3)) == (2, 3)
    assert sizes(((0, 2),), (4, 3)) is None
