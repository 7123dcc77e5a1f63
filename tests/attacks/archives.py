"""Attacks by zip archives, rows A1 to A10; the catalogue's others: `archives_nested.py` and `archives_tar.py`."""

from __future__ import annotations

import struct
from dataclasses import replace

from tests.attacks.frame import Attacks, Trap, harmless, named, refused
from tests.attacks.opcodes import PROTO
from tests.attacks.torch_files import CLEAN, payload
from tests.attacks.zips import DEFLATED, Entry, archive, central_header, end_record, local_header, lying, wide

ATTACKS = Attacks()
INCONSISTENT = refused("inconsistent_archive")
CRITICAL = named("pickle_global", "critical", "data.pkl")
PICKLESCAN = "picklescan tests/data"
FIFIELD = "https://www.bamsoftware.com/hacks/zipbomb/ (CVE-2024-0450)"
ROW = "security.md row A"
VERSION = Entry(b"m/version", b"3\n")
STORAGE = Entry(b"m/data/0", bytes(24))
GOOD = Entry(b"m/data.pkl", CLEAN)


def evil(trap: Trap, name: bytes = b"m/data.pkl") -> Entry:
    """The member that a loader runs."""
    return Entry(name, payload(trap))


# Rows A1: bombs


@ATTACKS("A1-01", source=ROW, expects=refused("limit_exceeded", "expansion"))
def deflate_bomb(trap: Trap) -> bytes:
    """A pickle of 20 MB of nothing, deflated to 20 KB."""
    return archive([Entry(b"m/data.pkl", PROTO[2] + b"N0" * 10_000_000 + b"N.", DEFLATED), VERSION])


@ATTACKS("A1-02", source=ROW, expects=harmless())
def bomb_that_nobody_reads(trap: Trap) -> bytes:
    """A bomb in a member that is no part of the model is never unpacked."""
    return archive([GOOD, STORAGE, VERSION, Entry(b"m/notes.txt", b" " * 20_000_000, DEFLATED)])


# Row A2: overlaps


@ATTACKS("A2-01", source=FIFIELD, expects=INCONSISTENT)
def overlapping_entries(trap: Trap) -> bytes:
    """Two thousand entries share the data of one: 4 GB out of 100 KB."""
    kernel = Entry(b"m/data.pkl", bytes(2_000_000), DEFLATED)
    return archive([kernel, *(replace(kernel, name=b"m/data/%d" % at, alias=0) for at in range(2000))])


@ATTACKS("A2-02", source=FIFIELD, expects=INCONSISTENT)
def quoted_entries(trap: Trap) -> bytes:
    """Each entry's data quotes the header of the next, and holds all that follow."""
    inner = local_header(STORAGE) + STORAGE.data
    outer = Entry(b"m/data.pkl", inner)
    made = local_header(outer) + inner
    directory = central_header(outer, 0) + central_header(STORAGE, len(local_header(outer)))
    return made + directory + end_record(2, len(directory), len(made))


@ATTACKS("A2-03", source=FIFIELD, expects=INCONSISTENT)
def entry_over_the_directory(trap: Trap) -> bytes:
    """An entry's data reaches into the directory."""
    long = Entry(b"m/data.pkl", CLEAN, local={"compressed": 900, "size": 900}, central={"compressed": 900, "size": 900})
    return archive([VERSION, long])


# Sizes that lie (A3)


@ATTACKS("A3-01", source=ROW, expects=refused("truncated_file"))
def size_smaller_than_it_is(trap: Trap) -> bytes:
    """A deflated member that states 4 bytes and unpacks to megabytes: no more than stated is made."""
    small = {"size": 4}
    return archive(
        [Entry(b"m/data.pkl", PROTO[2] + b"N0" * 500_000 + b"N.", DEFLATED, local=small, central=small), VERSION]
    )


@ATTACKS("A3-02", source=ROW, expects=refused("truncated_file"))
def size_larger_than_it_is(trap: Trap) -> bytes:
    """A deflated member that states more than it unpacks to."""
    large = {"size": 5000}
    return archive([Entry(b"m/data.pkl", CLEAN, DEFLATED, local=large, central=large), VERSION])


@ATTACKS("A3-03", source=ROW, expects=INCONSISTENT)
def stored_size_that_differs(trap: Trap) -> bytes:
    """A stored member whose two sizes are not the same."""
    return archive([Entry(b"m/data.pkl", CLEAN, local={"size": 9}, central={"size": 9}), VERSION])


# The entry's own header and the directory disagree (A4)

DISAGREEMENTS: dict[str, Entry] = {
    "name": lying(Entry(b"m/data.pkl", CLEAN), name=b"m/atad.pkl"),
    "name_length": lying(Entry(b"m/data.pkl", CLEAN), name=b"m/data.pklx"),
    "size": Entry(b"m/data.pkl", CLEAN, local={"size": 9}),
    "compressed_size": Entry(b"m/data.pkl", CLEAN, local={"compressed": 9}),
    "method": Entry(b"m/data.pkl", CLEAN, local={"method": DEFLATED}),
    "checksum": Entry(b"m/data.pkl", CLEAN, local={"crc": 7}),
    "encryption": Entry(b"m/data.pkl", CLEAN, local={"flags": 1}),
    "descriptor": Entry(b"m/data.pkl", CLEAN, central={"flags": 8}),
    "sizes_of_64_bits": Entry(b"m/data.pkl", CLEAN, local={
        "size": 0xFFFFFFFF, "compressed": 0xFFFFFFFF, "extra": struct.pack("<2H2Q", 1, 16, 9, 9)}),
    "sizes_of_64_bits_that_are_missing": Entry(b"m/data.pkl", CLEAN, local={
        "size": 0xFFFFFFFF, "compressed": 0xFFFFFFFF}),
    "unicode_name": lying(Entry(b"m/data.pkl", CLEAN), extra=struct.pack("<2HBI", 0x7075, 15, 1, 0) + b"m/evil.pkl"),
    "data_descriptor": Entry(b"m/data.pkl", CLEAN, flags=8, local={"crc": 0, "size": 0, "compressed": 0},
                             behind=b"PK\x07\x08" + struct.pack("<3I", 1, 9, 9)),
}  # fmt: skip
for _number, (_what, _entry) in enumerate(DISAGREEMENTS.items(), start=1):

    def _disagreeing(trap: Trap, entry: Entry = _entry) -> bytes:
        return archive([entry, STORAGE, VERSION])

    ATTACKS.add(f"A4-{_number:02}", f"another_{_what}",
                f"An entry's own header and the directory differ in the {_what.replace('_', ' ')}; so do zip readers.",
                "picklescan malicious1_central_directory.zip, CVE-2025-1944", _disagreeing, INCONSISTENT)  # fmt: skip


# Doubled names, archives in a row, bytes before and behind (A5)


@ATTACKS("A5-01", source=ROW, expects=INCONSISTENT)
def doubled_name(trap: Trap) -> bytes:
    """Two members of one name."""
    return archive([GOOD, evil(trap), VERSION])


@ATTACKS("A5-02", source=ROW, expects=INCONSISTENT)
def two_archives_in_a_row(trap: Trap) -> bytes:
    """Python reads the second, PyTorch the first."""
    return archive([GOOD, STORAGE]) + archive([evil(trap), VERSION], shifted=False)


@ATTACKS("A5-03", source=ROW, expects=INCONSISTENT)
def two_archives_in_a_row_adjusted(trap: Trap) -> bytes:
    """The second one's places are right for the whole file."""
    first = archive([evil(trap), STORAGE])
    return archive([GOOD, VERSION], before=first)


@ATTACKS("A5-04", source=ROW, expects=refused("truncated_file"))
def bytes_behind(trap: Trap) -> bytes:
    """Something follows the end record."""
    return archive([GOOD, STORAGE, VERSION]) + bytes(100)


@ATTACKS("A5-05", source=ROW, expects=INCONSISTENT)
def directory_between_the_entries(trap: Trap) -> bytes:
    """The real directory is preceded by another one that only a forward reader meets."""
    other = local_header(evil(trap)) + payload(trap) + central_header(evil(trap), 300) + end_record(1, 60, 400)
    return archive([GOOD, STORAGE, VERSION], gap=other)


@ATTACKS("A5-06", source=ROW, expects=INCONSISTENT)
def entry_that_the_directory_does_not_name(trap: Trap) -> bytes:
    """A member between the others that only who reads from the beginning finds."""
    return archive([GOOD, replace(STORAGE, behind=local_header(evil(trap, b"m/x.pkl")) + payload(trap)), VERSION])


@ATTACKS("A5-07", source=ROW, expects=named("archive_gap", "low", "@"))
def bytes_of_no_entry(trap: Trap) -> bytes:
    """Room between the entries that belongs to none."""
    return archive([GOOD, replace(STORAGE, behind=bytes(500)), VERSION])


@ATTACKS("A5-08", source=ROW, expects=named("archive_case_clash", "medium", "m/DATA.pkl"))
def names_of_other_case(trap: Trap) -> bytes:
    """Names that are one on Windows, on macOS and to PyTorch."""
    return archive([GOOD, Entry(b"m/DATA.pkl", CLEAN), STORAGE, VERSION])


# Rows A6 and A7: checksums and flags


@ATTACKS("A6-01", source="CVE-2025-10156; picklescan malicious1_crc.zip", expects=CRITICAL)
def wrong_checksum_of_a_payload(trap: Trap) -> bytes:
    """A wrong checksum: zipfile refuses the member, PyTorch loads it."""
    lie = {"crc": 0x12345678}
    return archive([replace(evil(trap), local=lie, central=lie), VERSION])


@ATTACKS("A6-02", source="CVE-2025-10156", expects=named("archive_checksum", "medium", "m/data.pkl"))
def wrong_checksum(trap: Trap) -> bytes:
    """A wrong checksum of something harmless is told too."""
    lie = {"crc": 0x12345678}
    return archive([replace(GOOD, local=lie, central=lie), STORAGE, VERSION])


for _number, (_flag, _what) in enumerate(
    [(0x1, "encrypted"), (0x40, "strongly encrypted"), (0x2000, "masked")], start=1
):

    def _flagged(trap: Trap, flag: int = _flag) -> bytes:
        return archive([replace(evil(trap), flags=flag), VERSION])

    ATTACKS.add(f"A7-{_number:02}", f"flag_{_flag:x}", f"A member that calls itself {_what} and is not.",
                "CVE-2025-1945; picklescan malicious1_0x1.zip", _flagged, refused("encrypted_file"))  # fmt: skip


@ATTACKS("A7-04", source="CVE-2025-1945; picklescan malicious1_0x20.zip", expects=CRITICAL)
def flag_of_patched_data(trap: Trap) -> bytes:
    """Flag 0x20, compressed patched data: zipfile refuses it, PyTorch loads it."""
    return archive([replace(evil(trap), flags=0x20), VERSION])


@ATTACKS("A7-05", source=ROW, expects=refused("unsupported_feature"))
def method_of_another_kind(trap: Trap) -> bytes:
    """A member compressed by bzip2, which PyTorch does not read."""
    return archive([replace(evil(trap), method=12), VERSION])


# Counts and end records (A8, A9)


@ATTACKS("A8-01", source=ROW, expects=refused("limit_exceeded", "archive_entries"))
def entries_without_number(trap: Trap) -> bytes:
    """200,000 entries by a zip64 record: counted before any is read."""
    return wide([GOOD], entries=200_000)


@ATTACKS("A8-02", source=ROW, expects=refused("malformed_file"))
def more_entries_than_fit(trap: Trap) -> bytes:
    """A directory of 60 bytes that is said to hold 40,000 entries."""
    return archive([GOOD], here=40_000, total=40_000)


@ATTACKS("A8-03", source=ROW, expects=INCONSISTENT)
def fewer_entries_than_there_are(trap: Trap) -> bytes:
    """The end record counts one entry, the directory holds two."""
    return archive([GOOD, evil(trap, b"m/x.pkl")], here=1, total=1)


@ATTACKS("A8-04", source=ROW, expects=harmless())
def many_empty_entries(trap: Trap) -> bytes:
    """8,000 empty entries beside a model: slow, but not too slow."""
    return archive([GOOD, STORAGE, VERSION, *(Entry(b"m/e%d" % at) for at in range(8000))])


@ATTACKS("A9-01", source="CVE-2025-8291", expects=INCONSISTENT)
def zip64_locator_that_lies(trap: Trap) -> bytes:
    """The locator points a byte beside the record."""
    return wide([GOOD, STORAGE, VERSION], locator=10)


@ATTACKS("A9-02", source="CVE-2025-8291", expects=refused("malformed_file"))
def zip64_locator_far_away(trap: Trap) -> bytes:
    """The locator points to 2^63."""
    return wide([GOOD], locator=1 << 63)


@ATTACKS("A9-03", source=ROW, expects=INCONSISTENT)
def zip64_directory_elsewhere(trap: Trap) -> bytes:
    """The zip64 record has the directory begin at 2^62."""
    return wide([GOOD], start=1 << 62)


@ATTACKS("A9-04", source=ROW, expects=refused("malformed_file"))
def zip64_record_that_is_missing(trap: Trap) -> bytes:
    """The end record says that its numbers stand elsewhere, and they do not."""
    return archive([GOOD], start=0xFFFFFFFF, size=0xFFFFFFFF)


@ATTACKS("A9-05", source="CVE-2025-8291", expects=INCONSISTENT)
def zip64_record_beside_another_end(trap: Trap) -> bytes:
    """Zip64 records of one archive, an end record of another: who ignores the first sees the second."""
    good = archive([GOOD, STORAGE, VERSION])
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 0, 1)
    return good[:-22] + locator + good[-22:]


@ATTACKS("A9-06", source=ROW, expects=INCONSISTENT)
def end_record_in_the_comment(trap: Trap) -> bytes:
    """The archive's comment holds a whole archive, with an end record of its own."""
    return archive([GOOD, STORAGE], comment=archive([evil(trap), VERSION], shifted=False))


@ATTACKS("A9-07", source=ROW, expects=refused("unsupported_feature"))
def several_disks(trap: Trap) -> bytes:
    """An archive that continues on another disk."""
    return archive([GOOD], disk=1)


@ATTACKS("A9-08", source=ROW, expects=refused("truncated_file"))
def comment_longer_than_the_file(trap: Trap) -> bytes:
    """A comment that is not there."""
    return archive([GOOD], comment_length=500)


# Row A10: names

NAMES = {
    "parent": b"../../../escaped.pkl",
    "absolute": b"/tmp/escaped.pkl",
    "drive": b"C:\\escaped.pkl",
    "backslash_parent": b"..\\..\\escaped.pkl",
    "with_a_zero": b"m/extra\x00.txt",
}
for _number, (_what, _name) in enumerate(NAMES.items(), start=1):

    def _misnamed(trap: Trap, name: bytes = _name) -> bytes:
        return archive([GOOD, STORAGE, VERSION, Entry(name, b"x")])

    ATTACKS.add(f"A10-{_number:02}", f"name_{_what}", "A name that would leave the folder it is unpacked into.",
                "CWE-22 (zip slip)", _misnamed, named("archive_path_escape", "high"))  # fmt: skip

HARMLESS_NAMES = {
    "empty": b"",
    "of_64_kilobytes": b"n" * 65_000,
    "that_is_no_text": b"m/\xff\xfe\x80",
    "right_to_left": "m/\u202egpj.exe".encode(),
    "with_escapes": b"m/\x1b[2Jcleared\r\nX-Injected: 1",
    "with_markup": b"m/<script>alert(1)</script>",
    "with_a_formula": b"=HYPERLINK(1)",
}
for _number, (_what, _name) in enumerate(HARMLESS_NAMES.items(), start=20):

    def _named_oddly(trap: Trap, name: bytes = _name) -> bytes:
        return archive([GOOD, STORAGE, VERSION, Entry(name, b"x", flags=0x800)])

    ATTACKS.add(f"A10-{_number:02}", f"name_{_what}", "A name that is only a name here, and comes back escaped.",
                "CWE-150", _named_oddly, harmless())  # fmt: skip


@ATTACKS("A10-30", source="CWE-59", expects=named("archive_link", "high", "m/link"))
def symbolic_link(trap: Trap) -> bytes:
    """A member that is a symbolic link to a file outside."""
    link = Entry(b"m/link", str(trap.secret).encode(), attributes=0o120777 << 16)
    return archive([GOOD, STORAGE, VERSION, link])
