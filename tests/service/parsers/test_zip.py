"""The zip directory: agrees with Python's own reader on sound archives, refuses what readers disagree on."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Limits
from service.errors import EncryptedFile, InconsistentArchive, InputError, LimitExceeded, MalformedFile, TruncatedFile
from service.parsers.zip import ZipArchive, is_zip, open_zip
from service.source import BytesSource, Meter


def opened(data: bytes, **limits: int) -> ZipArchive:
    return open_zip(BytesSource(data, Meter(Limits(**limits))))


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as target:
        for name, data in entries.items():
            target.writestr(name, data)
        target.comment = comment
    return out.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("comment", [b"", b"a comment", b"PK\x05\x06 in a comment"])
def test_members_are_those_of_zipfile(compression: int, comment: bytes) -> None:
    """Names, order and contents are what Python's own reader finds, whatever compression and comment."""
    entries = {"config.json": b"{}", "empty": b"", "größe/layer 1": b"x" * 300_000, "b/data.pkl": bytes(range(256)) * 9}
    found = opened(archive(entries, compression, comment))
    assert found.names == tuple(entries)
    assert {name: found.read(name, 1 << 20) for name in found.names} == entries
    assert found.anomalies == ()


def test_streamed_archives_with_data_descriptors_are_read() -> None:
    """An archive written to a pipe has sizes behind the data (flag bit 3), as torch and browsers write it."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as target:  # type: ignore[arg-type]
        target.writestr("a", b"a" * 1000)
        target.writestr("b", b"b" * 1000)
    found = opened(bytes(pipe.data))
    assert found.read("b", 1000) == b"b" * 1000
    assert found.anomalies == ()


def test_zip64_sizes_are_read() -> None:
    """An entry whose local header is written for zip64 (`force_zip64`) is read like any other."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target, target.open("big", "w", force_zip64=True) as member:
        member.write(b"12345")
    assert opened(out.getvalue()).read("big", 10) == b"12345"


def test_deflated_members_are_read_at_random() -> None:
    """Any range of a deflated member equals the same range of the plain bytes, in any order of reading."""
    plain = b"".join(struct.pack("<I", number * 2654435761 % 2**32) for number in range(600_000))
    source = opened(archive({"m": plain}, zipfile.ZIP_DEFLATED)).open("m")
    for offset in (0, 2_399_000, 1_000_003, 5, 262_143, 2_097_152, 1_048_576, 17):
        assert source.read_at(offset, 1000) == plain[offset : offset + 1000]


def patched(data: bytes, signature: bytes, offset: int, value: bytes, occurrence: int = 0) -> bytes:
    at = -1
    for _ in range(occurrence + 1):
        at = data.index(signature, at + 1)
    return data[: at + offset] + value + data[at + offset + len(value) :]


LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
SOUND = archive({"first": b"12345", "second": b"67890"})

AMBIGUOUS = {
    "local name differs": patched(SOUND, LOCAL, 30, b"wrong"),
    "local method differs": patched(SOUND, LOCAL, 8, b"\x08\x00"),
    "local size differs": patched(SOUND, LOCAL, 22, b"\x04\x00\x00\x00"),
    "local checksum differs": patched(SOUND, LOCAL, 14, b"\x00\x00\x00\x01"),
    "stored size differs": patched(SOUND, CENTRAL, 24, b"\x09\x00\x00\x00"),
    "two entries on one header": patched(
        patched(SOUND, CENTRAL, 42, b"\x00\x00\x00\x00", 1), CENTRAL, 46, b"first ", 1
    ),
    "prepended data": b"prefix" + SOUND,
    "two archives in a row": SOUND + archive({"third": b"x"}),
    "doubled names": archive({"one": b"1", "two": b"2"}).replace(b"two", b"one"),
}


@pytest.mark.parametrize("data", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_ambiguous_archives_are_refused(data: bytes) -> None:
    """Where two readers would see different contents, none is believed."""
    with pytest.raises(MalformedFile) as caught:
        opened(data)
    assert caught.value.code in ("inconsistent_archive", "malformed_file")


def test_trailing_data_is_refused() -> None:
    """Bytes behind the end record leave no end record that reaches the end of the file."""
    with pytest.raises(TruncatedFile):
        opened(SOUND + b"trailing")


def test_encrypted_archives_say_so() -> None:
    """Flag bit 0 gives `encrypted_file` with the member's name."""
    data = patched(patched(SOUND, LOCAL, 6, b"\x01\x00"), CENTRAL, 8, b"\x01\x00")
    with pytest.raises(EncryptedFile) as caught:
        opened(data)
    assert caught.value.info.member == "first"


@pytest.mark.parametrize("kept", range(0, len(SOUND) - 1, 7))
def test_every_truncation_is_an_input_error(kept: int) -> None:
    """An archive cut anywhere is refused with one of our errors."""
    with pytest.raises(InputError):
        opened(SOUND[:kept])


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SOUND) - 1), st.integers(0, 255))
def test_flipped_bytes_raise_input_errors_only(at: int, value: int) -> None:
    """Any single changed byte gives a readable archive or an InputError, never another exception."""
    data = SOUND[:at] + bytes([value]) + SOUND[at + 1 :]
    try:
        found = opened(data)
        for name in found.names:
            found.read(name, 100)
    except InputError:
        pass


def test_too_many_entries_are_refused_before_they_are_read() -> None:
    """The count in the end record is checked first."""
    with pytest.raises(LimitExceeded) as caught:
        opened(archive({str(number): b"" for number in range(11)}), archive_entries=10)
    assert caught.value.info.extra == {"limit": "archive_entries", "maximum": 10, "value": 11}


def test_a_bomb_is_stopped_by_its_ratio() -> None:
    """A member that claims to unpack to more than `expansion` times its size is refused when opened."""
    found = opened(archive({"zeros": bytes(8 << 20)}, zipfile.ZIP_DEFLATED), expansion=100)
    with pytest.raises(LimitExceeded, match="times its size"):
        found.read("zeros", 16 << 20)


def test_a_lying_size_is_not_believed() -> None:
    """A deflated member shorter than declared is truncated, whatever both headers say."""
    data = archive({"m": b"0123456789" * 10}, zipfile.ZIP_DEFLATED)
    lying = patched(patched(data, LOCAL, 22, struct.pack("<I", 200)), CENTRAL, 24, struct.pack("<I", 200))
    with pytest.raises(TruncatedFile):
        opened(lying).read("m", 1000)


def test_a_wrong_checksum_is_named() -> None:
    """A changed byte in stored data is reported; PyTorch would read it without a word."""
    found = opened(SOUND.replace(b"12345", b"12346"))
    assert found.read("first", 10) == b"12346"
    assert [danger.code for danger in found.anomalies] == ["archive_checksum"]


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../b", "C:\\x", "..\\x"])
def test_path_escapes_are_named(name: str) -> None:
    """Names are never paths here; what they would do elsewhere is listed."""
    assert [danger.code for danger in opened(archive({name: b""})).anomalies] == ["archive_path_escape"]


def test_symbolic_links_are_named() -> None:
    """A unix symlink entry is data here and listed as a danger."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        link = zipfile.ZipInfo("link")
        link.create_system = 3
        link.external_attr = 0o120777 << 16
        target.writestr(link, "/etc/passwd")
    assert [danger.code for danger in opened(out.getvalue()).anomalies] == ["archive_link"]


def gapped(filling: bytes) -> bytes:
    """An archive with bytes that belong to no entry before its directory."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        target.writestr("shown", b"1")
        out.write(filling)
        target.start_dir = out.tell()
    return out.getvalue()


def test_hidden_bytes_between_entries_are_named() -> None:
    """A gap large enough for an entry is an anomaly."""
    assert [danger.code for danger in opened(gapped(b"hidden" * 20)).anomalies] == ["archive_gap"]


@pytest.mark.parametrize("sign", [b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"])
def test_entries_that_the_directory_does_not_name_are_refused(sign: bytes) -> None:
    """Who reads an archive from its beginning on finds an entry, or a directory, where others find a gap."""
    with pytest.raises(InconsistentArchive):
        opened(gapped(b"\0" * 9 + sign + b"hidden" * 20))


def described(descriptor: bytes) -> bytes:
    """An archive written without seeking back, its only member followed by this descriptor."""
    data = b"pickled" * 9
    crc, size, name = zlib.crc32(data), len(data), b"m"
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 8, 0, 0, 0, 0, 0, 0, 1, 0) + name + data + descriptor
    central = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 8, 0, 0, 0, crc, size, size, 1, 0, 0, 0, 0, 0, 0) + name
    return local + central + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)


def test_descriptors_say_what_the_directory_says() -> None:
    """With or without a signature, of 32 or 64 bits; another size or checksum is another archive to who reads it."""
    data = b"pickled" * 9
    crc, size = zlib.crc32(data), len(data)
    for good in (struct.pack("<3I", crc, size, size), struct.pack("<I2Q", crc, size, size)):
        for sign in (b"", b"PK\7\x08"):
            assert opened(described(sign + good)).read("m", 1000) == data
    for bad in (b"", struct.pack("<3I", crc, 9, 9), b"PK\7\x08" + struct.pack("<3I", crc ^ 1, size, size)):
        with pytest.raises(InconsistentArchive):
            opened(described(bad)).read("m", 1000)


def test_names_that_differ_in_case_only_are_named() -> None:
    """PyTorch looks names up without regard to case."""
    (danger,) = opened(archive({"m/data.pkl": b"1", "m/DATA.PKL": b"2"})).anomalies
    assert (danger.code, danger.severity, danger.member) == ("archive_case_clash", "medium", "m/DATA.PKL")


def test_is_zip_looks_at_four_bytes() -> None:
    """Content decides, and an empty file is no archive."""
    meter = Meter(Limits())
    assert is_zip(BytesSource(SOUND, meter))
    assert not is_zip(BytesSource(b"", meter))
    assert not is_zip(BytesSource(b"not a zip", meter))


def test_inconsistent_archive_is_a_malformed_file() -> None:
    """Callers may treat every broken container alike."""
    assert issubclass(InconsistentArchive, MalformedFile)
