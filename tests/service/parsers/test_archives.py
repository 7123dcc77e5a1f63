"""Archives of any kind are named members: what is in them reads as it does outside, and bombs are stopped."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile

import pytest
import zstandard

from service.config import Limits
from service.errors import (
    InconsistentArchive,
    InputError,
    LimitExceeded,
    MalformedFile,
    TruncatedFile,
    UnsupportedFeature,
)
from service.parsers.archives import CONTENT, is_archive, open_archive
from service.parsers.gzip import open_gzip
from service.parsers.zstd import BLOCK, ZstdSource
from service.source import BytesSource, Meter

NOISE = random.Random(4).randbytes(3 * BLOCK + 12_345)  # noqa: S311 - content that does not compress
FILES = {"a/config.json": b"{}", "a/weights.bin": NOISE, "README.md": b"words"}


def source(data: bytes, **limits: int) -> BytesSource:
    return BytesSource(data, Meter(Limits(**limits)))


def tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def packed_zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


KINDS = {
    "zip": packed_zip(FILES), "tar": tar(FILES), "tar.gz": gzip.compress(tar(FILES)),
    "tar.zst": zstandard.compress(tar(FILES)),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_members_are_what_was_put_in(kind: str) -> None:
    """Names in order, and every byte wherever it is read."""
    archive = open_archive(source(KINDS[kind]))
    assert archive.names == tuple(FILES)
    for name, data in FILES.items():
        member = archive.open(name)
        assert member.size == len(data)
        draw = random.Random(name)  # noqa: S311 - places to read at
        for _ in range(20):
            start = draw.randrange(len(data))
            length = draw.randrange(len(data) - start)
            assert member.read_at(start, length) == data[start : start + length]


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_compressed_file_is_an_archive_of_one(pack) -> None:  # type: ignore[no-untyped-def]
    """Whatever it was called."""
    archive = open_archive(source(pack(NOISE)))
    assert archive.names == (CONTENT,)
    assert archive.open(CONTENT).read_at(0, len(NOISE)) == NOISE


@pytest.mark.parametrize("data", [b"", b"x", b"GGUF" + bytes(600), b"\x1f", b"\x28\xb5"])
def test_other_content_is_no_archive(data: bytes) -> None:
    """Too short, or something else."""
    assert not is_archive(source(data))


def test_a_gzip_header_may_hold_a_name_a_comment_and_more() -> None:
    """RFC 1952: extra field, name, comment, header checksum, all before the data."""
    plain = gzip.compress(b"content", mtime=0)
    head = plain[:3] + bytes([2 | 4 | 8 | 16]) + plain[4:10] + b"\x03\x00abc" + b"name\0" + b"comment\0" + b"\0\0"
    opened = open_gzip(source(head + plain[10:]))
    assert opened.read_at(0, opened.size) == b"content"


BROKEN = {
    "cut in the data": (gzip.compress(NOISE, mtime=0)[:12], TruncatedFile),
    "cut in the header": (gzip.compress(NOISE, mtime=0)[:6], TruncatedFile),
    "another method": (b"\x1f\x8b\x07" + gzip.compress(b"x", mtime=0)[3:], UnsupportedFeature),
    "a header without end": (b"\x1f\x8b\x08\x08" + b"n" * 100_000, MalformedFile),
    "an impossible size": (gzip.compress(b"x", mtime=0)[:-4] + b"\xff\xff\xff\x7f", MalformedFile),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_gzip_files_are_named(how: str) -> None:
    """By what is wrong with them."""
    data, error = BROKEN[how]
    with pytest.raises(error):
        open_gzip(source(data))


def unpacked(data: bytes) -> bytes:
    """All of a gzip file's content."""
    opened = open_gzip(source(data))
    return opened.read_at(0, opened.size)


@pytest.mark.parametrize("length", [1, 262_143, 262_144, 262_145, 600_000])
def test_a_gzip_file_ends_with_its_content(length: int) -> None:
    """Its last bytes are had where nothing follows; more content, another member or other bytes are another file."""
    content = (NOISE * 20)[:length].ljust(length, b"x")
    plain = gzip.compress(content, mtime=0)
    assert unpacked(plain) == content
    for odd in (gzip.compress(content, mtime=0) * 2, plain[:-8] + b"behind" + plain[-8:],
                gzip.compress(content + b"more", mtime=0)[:-4] + length.to_bytes(4, "little")):  # fmt: skip
        with pytest.raises(InconsistentArchive):
            unpacked(odd)


def test_a_gzip_file_that_states_too_little_is_refused_at_once() -> None:
    """As one whose last member is empty."""
    with pytest.raises(InconsistentArchive):
        open_gzip(source(gzip.compress(NOISE, mtime=0) + gzip.compress(b"", mtime=0)))


def test_broken_zstandard_data_is_named() -> None:
    """By the place in the compressed file."""
    data = bytearray(zstandard.compress(NOISE))
    data[len(data) // 2] ^= 0xFF
    data[len(data) // 2 + 1] ^= 0xFF
    with pytest.raises(MalformedFile):
        ZstdSource(source(bytes(data[:4]) + b"\xff" * 50))


def test_several_frames_are_one_content() -> None:
    """As the zstd program reads them."""
    opened = ZstdSource(source(zstandard.compress(b"one ") + zstandard.compress(b"two")))
    assert opened.read_at(0, opened.size) == b"one two"


@pytest.mark.parametrize(("limit", "value"), [("expansion", 100), ("inflated_bytes", 20 << 20)])
def test_bombs_are_stopped(limit: str, value: int) -> None:
    """Both by the ratio and by the number of bytes, in either compression, before they fill the memory."""
    bomb = bytes(64 << 20)
    for pack, unpack in ((zstandard.compress, ZstdSource), (gzip.compress, open_gzip)):
        with pytest.raises(LimitExceeded):
            read_through(unpack, source(pack(bomb), **{limit: value}))


def read_through(unpack, packed: BytesSource) -> None:  # type: ignore[no-untyped-def]
    opened = unpack(packed)
    for start in range(0, opened.size, BLOCK):
        opened.read_at(start, min(BLOCK, opened.size - start))


def test_truncation_anywhere_is_an_input_error() -> None:
    """Of every kind of archive, wherever it is cut: our errors, or an archive whose members end early."""
    for data in KINDS.values():
        for end in {*range(0, 700, 7), *range(0, len(data), 90_001)}:
            part = source(data[:end])
            try:
                if is_archive(part):
                    archive = open_archive(part)
                    for name in archive.names:
                        member = archive.open(name)
                        member.read_at(0, member.size)
            except InputError:
                continue
