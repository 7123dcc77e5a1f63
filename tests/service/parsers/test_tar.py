"""The tar directory: agrees with Python's tarfile on sound archives, extracts nothing, places what is wrong."""

from __future__ import annotations

import contextlib
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Limits
from service.errors import InconsistentArchive, InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.tar import TarArchive, is_tar, open_tar
from service.source import BytesSource, Meter

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def source(data: bytes, **limits: int) -> BytesSource:
    return BytesSource(data, Meter(Limits(**limits)))


def opened(data: bytes, **limits: int) -> TarArchive:
    return open_tar(source(data, **limits))


def archive(*entries: tuple[str, bytes], form: int = tarfile.PAX_FORMAT, kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:", format=form) as target:
        for name, data in entries:
            info = tarfile.TarInfo(name)
            info.size, info.type = len(data), kind
            if kind != tarfile.REGTYPE:
                info.linkname, info.size = "/etc/passwd", 0
            target.addfile(info, io.BytesIO(data))
    return out.getvalue()


def with_size(data: bytes, size: bytes) -> bytes:
    """The first header with another size field and a checksum that fits."""
    header = data[:124] + size.ljust(12, b"\0") + data[136:148] + b" " * 8 + data[156:512]
    total = sum(header)
    return header[:148] + b"%06o\0 " % total + header[156:] + data[512:]


@pytest.mark.parametrize("form", FORMATS)
def test_members_are_those_of_tarfile(form: int) -> None:
    """Names and contents are what Python's own reader finds, long names and empty members too."""
    name = "folder/" * (12 if form == tarfile.USTAR_FORMAT else 60) + "end"
    entries = [("sys_info", b"x"), ("empty", b""), (name, b"y" * 2000), ("exact", b"z" * 512)]
    data = archive(*entries, form=form)
    found = opened(data)
    with tarfile.open(fileobj=io.BytesIO(data)) as reference:
        assert list(found.names) == reference.getnames()
    assert {key: found.open(key).read_at(0, found.members[key].size) for key in found.names} == dict(entries)
    assert found.anomalies == ()


def member(name: bytes, size: int, kind: bytes, *, magic: bytes = b"ustar\x0000", prefix: bytes = b"") -> bytes:
    """One header, by hand."""
    head = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0" + b" " * 8
    block = bytearray((head + kind + bytes(100) + magic + bytes(80) + prefix).ljust(512, b"\0"))
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


END = bytes(1024)


@pytest.mark.parametrize("odd", [
    member(b"odd", 512, b"Z") + bytes(512), member(b"odd/", 512, b"\0") + bytes(512),
    member(b"odd", 512, b"1") + bytes(512),
    member(b"odd", 1, b"0", magic=b"ustar  \0", prefix=b"other") + bytes(512),
    member(b"all", 14, b"g") + b"14 path=other\n".ljust(512, b"\0"), END + member(b"behind", 0, b"0"),
])  # fmt: skip
def test_headers_that_programs_understand_differently_are_refused(odd: bytes) -> None:
    """Unknown kinds, folders and links with content, old prefixes, names for all, archives behind the end (A14)."""
    assert opened(member(b"a", 0, b"0") + member(b"odd", 1, b"0") + bytes(512) + END).names == ("a", "odd")
    with pytest.raises(InconsistentArchive):
        opened(member(b"a", 0, b"0") + odd + END)


def test_sparse_files_are_passed_over_with_their_maps() -> None:
    """The old kind with a map that goes on behind the header, and the kind of pax records: listed, not opened."""
    old = bytearray(member(b"s", 512, b"S", magic=b"ustar  \0"))
    old[482] = 1
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old)
    more = bytes(504) + b"\0" + bytes(7)
    found = opened(bytes(old) + more + bytes(512) + member(b"after", 1, b"0") + b"x".ljust(512, b"\0") + END)
    assert (found.names, [danger.code for danger in found.anomalies]) == (("after",), ["archive_link"])
    record = b"22 GNU.sparse.major=1\n"
    pax = member(b"x", len(record), b"x") + record.ljust(512, b"\0") + member(b"s", 512, b"0") + bytes(512)
    assert opened(pax + END).names == ()


def test_names_outside_ascii_are_read() -> None:
    """Pax records carry UTF-8."""
    assert opened(archive(("größe/重み", b"1"))).names == ("größe/重み",)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_listed_and_cannot_be_opened(kind: bytes) -> None:
    """Nothing but regular members can be opened (A12)."""
    found = opened(archive(("link", b""), kind=kind))
    assert [danger.code for danger in found.anomalies] == ["archive_link"]
    assert "link" not in found


@pytest.mark.parametrize("name", ["../up", "/etc/x", "a/../../b", "C:\\x"])
def test_names_that_lead_out_are_listed(name: str) -> None:
    """A path-like name is only a name here, and is reported."""
    assert [danger.code for danger in opened(archive((name, b""))).anomalies] == ["archive_path_escape"]


def test_two_members_of_one_name_are_refused() -> None:
    """Readers differ on which one counts."""
    with pytest.raises(InconsistentArchive):
        opened(archive(("a", b"1"), ("a", b"2")))


def test_a_size_beyond_the_file_is_a_cut_file() -> None:
    """Octal and base-256 sizes are believed only as far as the file reaches (A14)."""
    data = archive(("a", b"1"))
    for size in (b"77777777777", b"\x80" + b"\xff" * 11):
        with pytest.raises(TruncatedFile) as error:
            opened(with_size(data, size))
        assert error.value.info.member == "a"


def test_a_size_that_is_no_number_is_refused() -> None:
    """Letters and signs are not octal digits."""
    for size in (b"-1", b"12x", b"99"):
        with pytest.raises(MalformedFile):
            opened(with_size(archive(("a", b"1")), size))


def test_a_wrong_checksum_is_refused_with_its_place() -> None:
    """The second header's damage is reported at the second header."""
    data = bytearray(archive(("a", b"1"), ("b", b"2"), form=tarfile.USTAR_FORMAT))
    data[1024] ^= 0xFF
    with pytest.raises(MalformedFile) as error:
        opened(bytes(data))
    assert error.value.info.offset == 1024


def test_pax_records_that_lie_are_refused() -> None:
    """A record's length must fit the record."""
    data = archive(("ü" * 80, b"1"))
    assert b" path=" in data
    for wrong in (b"999 path=", b"0 path=", b"x path="):
        start = data.index(b" path=") - 3
        broken = data[:start] + wrong.ljust(9, b"=") + data[start + 9 :]
        with pytest.raises(InputError):
            opened(broken)


def test_entries_are_bounded() -> None:
    """Exactly the limit passes, one more does not."""
    data = archive(*[(str(number), b"") for number in range(5)], form=tarfile.USTAR_FORMAT)
    assert len(opened(data, archive_entries=5).names) == 5
    with pytest.raises(LimitExceeded):
        opened(data, archive_entries=4)


def test_recognised_by_checksum_alone() -> None:
    """Neither a name nor a magic number decides; anything else is no tar."""
    assert is_tar(source(archive(("a", b"1"))))
    assert not is_tar(source(b"\0" * 1024))
    assert not is_tar(source(b"x" * 1024))
    assert not is_tar(source(b"short"))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_never_raises_anything_else(data: st.DataObject) -> None:
    """Property: any change to any bytes of an archive gives an archive or an InputError."""
    body = bytearray(archive(("a", b"1" * 600), ("b" * 120, b"2")))
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    with contextlib.suppress(InputError):
        opened(bytes(body[:cut]))
