"""First sight of content: what people upload by mistake is named for what it is."""

from __future__ import annotations

import pytest

from service.formats import REFUSED_AT_SIGHT, looks_like

SEEN = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:": "Git LFS pointer",
    b"\x89PNG\r\n\x1a\n\0\0": "PNG",
    b"\xff\xd8\xff\xe0": "JPEG",
    b"%PDF-1.7": "PDF",
    b"\n\n<!DOCTYPE html><html>": "HTML page",
    b"PK\x03\x04....": "zip archive",
    b"\x1f\x8b\x08": "gzip",
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"GGUF\x03": "GGUF",
    b"\0\0\0\0TFL3": "TensorFlow Lite",
    b'{"a": 1}': "JSON",
    b"import torch\nprint('h\xc3\xa4')\n": "text file",
    b"\x00\x01\x02\x03\xff": "binary data",
    b"": "empty",
}


@pytest.mark.parametrize(("head", "words"), SEEN.items(), ids=SEEN.values())
def test_content_is_named(head: bytes, words: str) -> None:
    """In words for a person."""
    assert words in looks_like(head)


def test_what_can_hold_a_model_is_not_refused_at_sight() -> None:
    """Archives, HDF5, JSON and unknown bytes go on to the readers."""
    for head in (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"{}", b"\x80\x02", b"\x1f\x8b"):
        assert looks_like(head) not in REFUSED_AT_SIGHT
    assert looks_like(b"\x89PNG\r\n\x1a\n") in REFUSED_AT_SIGHT
