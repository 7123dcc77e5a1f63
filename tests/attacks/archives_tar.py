"""Attacks by tar archives and compressed files: rows A12 to A15 of the threat catalogue."""

from __future__ import annotations

import gzip
import lzma
import zlib

import zstandard

from tests.attacks.frame import Attacks, Trap, named, refused
from tests.attacks.opcodes import EMPTY_LIST, PROTO, STOP, number
from tests.attacks.torch_files import payload

ATTACKS = Attacks()
LINK = named("archive_link", "high")
ESCAPE = named("archive_path_escape", "high")
INCONSISTENT = refused("inconsistent_archive")
CRITICAL = named("pickle_global", "critical")
FILTERS = "CVE-2025-4517, CVE-2025-4330, CVE-2025-4138, CVE-2026-4360"
ROW = "security.md row A"
NOTHING = PROTO[2] + number(0) + STOP
BLOCK = 512
END = bytes(2 * BLOCK)


def header(name: str, size: int | bytes = 0, kind: bytes = b"0", link: str = "", **fields: bytes) -> bytes:
    """One tar header. A size in bytes is written as it is; `fields` may be magic, prefix, checksum, mode, sparse."""
    block = bytearray(BLOCK)
    block[0:100] = name.encode().ljust(100, b"\0")[:100]
    block[100:108], block[108:116], block[116:124] = fields.get("mode", b"0000644\0"), b"0000000\0", b"0000000\0"
    block[124:136] = size if isinstance(size, bytes) else b"%011o\0" % size
    block[136:148], block[148:156], block[156:157] = b"00000000000\0", b" " * 8, kind
    block[157:257] = link.encode().ljust(100, b"\0")[:100]
    block[257:265] = fields.get("magic", b"ustar\x0000")
    block[345:500] = fields.get("prefix", b"").ljust(155, b"\0")
    block[482:483] = fields.get("sparse", bytes(block[482:483]))
    block[148:156] = fields.get("checksum", b"%06o\0 " % sum(block))
    return bytes(block)


def member(name: str, data: bytes, kind: bytes = b"0", **fields: bytes) -> bytes:
    """Header and content."""
    return header(name, len(data), kind, **fields) + data + bytes(-len(data) % BLOCK)


def records(**values: str) -> bytes:
    """Pax records."""
    made = b""
    for key, value in values.items():
        body = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(body) + len(str(len(body) + len(str(len(body)))))
        made += str(length).encode() + body
    return made


STORAGES = member("storages", NOTHING + PROTO[2] + EMPTY_LIST + STOP)
TENSORS = member("tensors", NOTHING)
PICKLE = member("pickle", NOTHING)
OLD_FILE = PICKLE + STORAGES + TENSORS
"""PyTorch's oldest format, with nothing in it."""


# What is no file (A12)

for _number, (_kind, _what) in enumerate(
    [(b"1", "hard_link"), (b"2", "symbolic_link"), (b"3", "character_device"), (b"4", "block_device"),
     (b"6", "named_pipe"), (b"S", "sparse_file")], start=1,
):  # fmt: skip

    def _of_a_kind(trap: Trap, kind: bytes = _kind) -> bytes:
        return OLD_FILE + header("odd", 0, kind, link=str(trap.secret)) + END

    ATTACKS.add(f"A12-{_number:02}", _what, f"A {_what.replace('_', ' ')} to a file outside, among a model's members.",
                "CWE-59; CVE-2007-4559", _of_a_kind, LINK)  # fmt: skip


@ATTACKS("A12-07", source="CWE-59", expects=LINK)
def link_in_the_place_of_the_pickle(trap: Trap) -> bytes:
    """The pickle itself is a symbolic link: no member of that name can be opened."""
    return header("pickle", 0, b"2", link=str(trap.secret)) + STORAGES + TENSORS + END


@ATTACKS("A12-08", source="PAX sparse format 1.0", expects=LINK)
def sparse_by_pax(trap: Trap) -> bytes:
    """A sparse file by its pax records, whose real name stands there too."""
    extended = records(
        GNU__sparse__major="1", GNU__sparse__minor="0", GNU__sparse__name="pickle", GNU__sparse__realsize="9"
    )
    return OLD_FILE + member("x", extended, b"x") + member("GNUSparseFile.0/pickle", b"0\n" + bytes(510)) + END


@ATTACKS("A12-09", source="GNU tar old sparse format", expects=LINK)
def sparse_with_a_longer_map(trap: Trap) -> bytes:
    """A sparse file whose map goes on in blocks behind its header: who does not know takes them for content."""
    more = bytes(504) + b"\0" + bytes(7)
    return OLD_FILE + header("odd", BLOCK, b"S", magic=b"ustar  \0", sparse=b"\1") + more + bytes(BLOCK) + END


# Names and links that lead out (A13)


for _number, (_name, _what) in enumerate(
    [("../../../escaped", "parent"), ("/tmp/escaped", "absolute"), ("a/../../../escaped", "parent_in_the_middle"),
     ("..\\..\\escaped", "backslash")], start=1,
):  # fmt: skip

    def _escaping(trap: Trap, name: str = _name) -> bytes:
        return OLD_FILE + member(name, b"escaped") + END

    ATTACKS.add(f"A13-{_number:02}", f"name_{_what}", "A member whose name leads out of its folder.", FILTERS,
                _escaping, ESCAPE)  # fmt: skip


@ATTACKS("A13-05", source=FILTERS, expects=LINK)
def chain_of_links(trap: Trap) -> bytes:
    """Folders and links nested until the path is longer than the system resolves, and then one that leads out."""
    folder = "d" * 60
    links = b"".join(header(f"l{at}", 0, b"2", link="/".join([folder] * at)) for at in range(1, 16))
    long = "/".join(f"l{at}" for at in range(1, 16)) + "/" + "../" * 16 + "escaped"
    return OLD_FILE + links + member("x", records(path=long), b"x") + member("short", b"escaped") + END


@ATTACKS("A13-06", source="CVE-2025-4330", expects=LINK)
def file_through_a_link(trap: Trap) -> bytes:
    """A link out, then a member whose name goes through it."""
    return OLD_FILE + header("out", 0, b"2", link="/tmp") + member("out/escaped", b"escaped") + END


# Numbers, and headers that programs understand differently (A14)


@ATTACKS("A14-01", source="CVE-2025-8194", expects=refused("malformed_file"))
def negative_size(trap: Trap) -> bytes:
    """A size of -512 in base 256: tarfile went back and read the same header for ever."""
    return PICKLE + header("loop", size=b"\xff" * 10 + b"\xfe\x00") + STORAGES + TENSORS + END


@ATTACKS("A14-02", source="CVE-2025-8194", expects=refused("truncated_file"))
def size_of_95_bits(trap: Trap) -> bytes:
    """The largest size that base 256 can state."""
    return PICKLE + header("huge", size=b"\x80" + b"\xff" * 11) + STORAGES + END


@ATTACKS("A14-03", source=ROW, expects=refused("malformed_file"))
def size_that_is_no_number(trap: Trap) -> bytes:
    """Letters where octal digits should be."""
    return PICKLE + header("odd", size=b"0x7fffffff\0\0") + STORAGES + END


@ATTACKS("A14-04", source=ROW, expects=refused("malformed_file"))
def pax_size_that_is_negative(trap: Trap) -> bytes:
    """The pax record overrides the size with -1."""
    return PICKLE + member("x", records(size="-1"), b"x") + member("odd", b"x") + STORAGES + END


@ATTACKS("A14-05", source=ROW, expects=refused("truncated_file"))
def pax_size_beyond_the_file(trap: Trap) -> bytes:
    """The pax record overrides the size with 10^18."""
    return PICKLE + member("x", records(size="1" + "0" * 18), b"x") + member("odd", b"x") + STORAGES + END


@ATTACKS("A14-06", source=ROW, expects=INCONSISTENT)
def pax_name_for_all(trap: Trap) -> bytes:
    """A global pax header renames every member: tarfile does as it says, others do not."""
    return member("g", records(path="pickle"), b"g") + PICKLE + STORAGES + TENSORS + END


@ATTACKS("A14-07", source="Solaris tar", expects=named("pickle_global", "critical", "pickle"))
def pax_header_of_solaris(trap: Trap) -> bytes:
    """An extended header of kind X, which tarfile knows and others do not, gives a text the name of the pickle."""
    return member("X", records(path="pickle"), b"X") + member("readme", payload(trap)) + STORAGES + TENSORS + END


@ATTACKS("A14-08", source="CPython Lib/tarfile.py _proc_builtin", expects=INCONSISTENT)
def members_in_a_member_of_no_kind(trap: Trap) -> bytes:
    """A member of an unknown kind whose content is headers: one reader passes over them, another reads them."""
    return OLD_FILE + member("odd", member("pickle", payload(trap)), b"Z") + END


@ATTACKS("A14-09", source="CPython Lib/tarfile.py frombuf", expects=INCONSISTENT)
def members_in_a_folder(trap: Trap) -> bytes:
    """A file whose name ends in a slash is a folder to tarfile, and its content the next header."""
    return OLD_FILE + member("odd/", member("pickle", payload(trap)), b"\0") + END


@ATTACKS("A14-10", source="libarchive archive_read_support_format_tar.c", expects=INCONSISTENT)
def members_in_a_hard_link(trap: Trap) -> bytes:
    """A hard link with a size: some take what follows for its content, some for the next header."""
    return OLD_FILE + member("odd", member("pickle", payload(trap)), b"1") + END


@ATTACKS("A14-11", source="CPython Lib/tarfile.py frombuf", expects=INCONSISTENT)
def prefix_of_an_old_header(trap: Trap) -> bytes:
    """A prefix in a header that is not POSIX': tarfile puts it before the name, GNU tar does not."""
    return OLD_FILE + member("x", b"x", magic=b"ustar  \0", prefix=b"pickle") + END


@ATTACKS("A14-12", source="tar -i", expects=INCONSISTENT)
def archive_behind_the_end(trap: Trap) -> bytes:
    """Behind the end marker lies another archive, which some programs go on with."""
    return OLD_FILE + END + member("pickle", payload(trap)) + END


@ATTACKS("A14-13", source=ROW, expects=INCONSISTENT)
def doubled_name(trap: Trap) -> bytes:
    """Two members of one name: the second wins with some."""
    return OLD_FILE + member("pickle", payload(trap)) + END


@ATTACKS("A14-14", source=ROW, expects=refused("malformed_file"))
def wrong_checksum(trap: Trap) -> bytes:
    """A header that does not add up."""
    return PICKLE + header("odd", checksum=b"000001\0 ") + STORAGES + TENSORS + END


@ATTACKS("A14-15", source=ROW, expects=refused("truncated_file"))
def no_end(trap: Trap) -> bytes:
    """The end marker is missing."""
    return OLD_FILE


@ATTACKS("A14-16", source=ROW, expects=refused("limit_exceeded", "tar_extension_bytes"))
def long_name_without_end(trap: Trap) -> bytes:
    """A long name of 2 MB."""
    return PICKLE + member("L", b"n" * (2 << 20), b"L") + STORAGES + TENSORS + END


@ATTACKS("A14-17", source=ROW, expects=refused("malformed_file"))
def pax_record_that_lies(trap: Trap) -> bytes:
    """A pax record's length leads out of its header."""
    return PICKLE + member("x", b"99999 path=pickle\n", b"x") + STORAGES + TENSORS + END


@ATTACKS("A14-18", source=ROW, expects=refused("unknown_format"))
def headers_without_number(trap: Trap) -> bytes:
    """1,500 empty members, the most that fit; none is a model."""
    return b"".join(header(f"f{at}") for at in range(1500)) + END


# Compressed files (A15)


def _tar(trap: Trap) -> bytes:
    return member("pickle", payload(trap)) + STORAGES + TENSORS + END


@ATTACKS("A15-01", source=ROW, expects=refused("limit_exceeded", "expansion"))
def gzip_bomb(trap: Trap) -> bytes:
    """20 MB of zeros in 20 KB."""
    return gzip.compress(bytes(20_000_000), mtime=0)


@ATTACKS("A15-02", source=ROW, expects=refused("limit_exceeded", "expansion"))
def zstd_bomb(trap: Trap) -> bytes:
    """50 MB of zeros in 2 KB."""
    return zstandard.compress(bytes(50_000_000))


@ATTACKS("A15-03", source=ROW, expects=refused("limit_exceeded", "expansion"))
def zlib_bomb(trap: Trap) -> bytes:
    """A compressed pickle that never ends."""
    return zlib.compress(PROTO[2] + b"cnumpy\ndtype\n0" + b"N0" * 10_000_000, 9)


@ATTACKS("A15-04", source=ROW, expects=INCONSISTENT)
def gzip_of_several_members(trap: Trap) -> bytes:
    """A harmless member in front, the payload in a second one: gzip reads both, others one."""
    evil = payload(trap)
    clean = PROTO[2] + b"}" + b"N0" * ((len(evil) - 4) // 2) + b"." + b" " * (len(evil) % 2)
    return gzip.compress(clean[: len(evil)], mtime=0) + gzip.compress(evil, mtime=0)


@ATTACKS("A15-05", source=ROW, expects=INCONSISTENT)
def gzip_whose_end_is_empty(trap: Trap) -> bytes:
    """The last member is empty, so that the file seems to hold nothing."""
    return gzip.compress(_tar(trap) + bytes(range(256)) * 8, 1, mtime=0) + gzip.compress(b"", mtime=0)


@ATTACKS("A15-06", source=ROW, expects=INCONSISTENT)
def gzip_with_bytes_behind(trap: Trap) -> bytes:
    """A pickle follows the compressed data, in front of the trailer."""
    packed = gzip.compress(_tar(trap), mtime=0)
    return packed[:-8] + payload(trap) + packed[-8:]


@ATTACKS("A15-07", source=ROW, expects=refused("malformed_file"))
def gzip_whose_size_lies(trap: Trap) -> bytes:
    """The trailer states 4 GB."""
    return gzip.compress(_tar(trap), mtime=0)[:-4] + b"\xff\xff\xff\xff"


@ATTACKS("A15-08", source=ROW, expects=CRITICAL)
def tar_in_gzip(trap: Trap) -> bytes:
    """PyTorch's oldest format, compressed."""
    return gzip.compress(_tar(trap), mtime=0)


@ATTACKS("A15-09", source=ROW, expects=CRITICAL)
def pickle_in_zstd(trap: Trap) -> bytes:
    """A pickle in a Zstandard file, in two frames."""
    evil = payload(trap)
    return zstandard.compress(evil[:9]) + zstandard.compress(evil[9:])


@ATTACKS("A15-10", source=ROW, expects=refused("malformed_file"))
def zstd_with_a_window_of_gigabytes(trap: Trap) -> bytes:
    """A frame that asks for a window of 2 GB."""
    return b"\x28\xb5\x2f\xfd\x00\xa8" + bytes(20)


@ATTACKS("A15-11", source=ROW, expects=refused("unknown_format"))
def pickle_in_xz(trap: Trap) -> bytes:
    """A compression that is not read: said so, not called clean."""
    return lzma.compress(payload(trap))


@ATTACKS("A15-12", source=ROW, expects=refused("unknown_format"))
def gzip_in_gzip(trap: Trap) -> bytes:
    """Ten layers of gzip around a pickle."""
    data = payload(trap)
    for _ in range(10):
        data = gzip.compress(data, mtime=0)
    return data


@ATTACKS("A15-13", source=ROW, expects=refused("unsupported_feature"))
def gzip_of_another_method(trap: Trap) -> bytes:
    """A compression method that gzip never had."""
    return b"\x1f\x8b\x09" + bytes(40)


@ATTACKS("A15-14", source=ROW, expects=refused("malformed_file"))
def gzip_name_without_end(trap: Trap) -> bytes:
    """A file name in the header that never ends."""
    return b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 100_000
