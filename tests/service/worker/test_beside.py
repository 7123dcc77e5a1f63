"""What lies beside a model in its file: other formats, pickles and programs that its reader does not look at."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping

import numpy as np
import pytest

from service.registry import load_readers
from service.tree import Danger
from service.worker.reading import read
from tests.attacks.torch_files import CLEAN, ELF, WHOLE, archive, saved
from tests.service.parsers.joblibs import mapping, sample, wrapper
from tests.service.parsers.pickles import call, text
from tests.service.readers.fielded import upload

READERS = load_readers()
EVIL = b"\x80\x04" + call("os", "system", text("ls")) + b"."


def dangers(parts: Mapping[str, bytes]) -> list[Danger]:
    """Everything that is listed of an upload."""
    model = read(upload(parts), READERS).model
    assert model is not None
    return list(model.security)


def told(parts: Mapping[str, bytes]) -> set[tuple[str, str, str | None]]:
    """Code, severity and member of each."""
    return {(danger.code, danger.severity, danger.member) for danger in dangers(parts)}


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_members_that_no_reader_opens_are_looked_at(compression: int) -> None:
    """Pickles and programs by their first bytes, stored or deflated; numbers and harmless pickles are left alone."""
    more = {"m/data.pkl": CLEAN, "m/data/0": bytes(24), "m/data/1": EVIL, "m/a.bin": EVIL, "m/b.txt": ELF,
            "m/c.pkl": b"\x80\x04}" + b"." * 20}  # fmt: skip
    assert told({"f": archive(more, compression)}) == {
        ("pickle_global", "critical", "m/a.bin"), ("native_library", "high", "m/b.txt"),
    }  # fmt: skip


def test_compiled_code_of_a_python_package_is_what_it_is_for() -> None:
    """In an archive that holds a model beside it; not in one that is a model itself, whatever lies in it."""
    package = {"p/a.so": ELF, "p-1.dist-info/RECORD": b""}
    assert told({"p.whl": archive({"p/m.pt": saved(CLEAN, storages=WHOLE), **package})}) == {
        ("native_library", "medium", "p/a.so")
    }
    assert told({"m.pt": saved(CLEAN, package, WHOLE)}) == {("native_library", "high", "p/a.so")}


def test_archives_in_members_are_opened_once() -> None:
    """One level further in, with both names in the place."""
    inner = archive({"x/data.pkl": EVIL})
    outer = archive({"deeper.zip": inner})
    assert told({"f": saved(CLEAN, {"m/in.zip": inner}, WHOLE)}) == {
        ("pickle_global", "critical", "m/in.zip!/x/data.pkl")
    }
    assert told({"f": saved(CLEAN, {"m/in.zip": outer}, WHOLE)}) == set()


def test_what_the_reader_says_is_not_said_twice() -> None:
    """A payload in the pickle that the reader runs over is listed once."""
    found = dangers({"f": saved(EVIL)})
    assert len(found) == len({(danger.code, danger.member, danger.offset) for danger in found}) == 1


def test_an_archive_at_the_end_is_told_with_what_it_holds() -> None:
    """Behind any other format, though its places count from its own beginning."""
    model = b"\x80\x02}."
    assert told({"f": model + saved(CLEAN, storages=WHOLE)}) >= {("polyglot", "medium", None)}
    assert told({"f": model + saved(EVIL)}) >= {
        ("polyglot", "medium", None),
        ("pickle_global", "critical", "m/data.pkl"),
    }


def test_in_an_upload_of_several_files_the_file_is_named() -> None:
    """Before the member."""
    parts = {"a/one.pt": saved(CLEAN, {"m/x.pkl": EVIL}, WHOLE), "a/two.pt": saved(CLEAN, storages=WHOLE)}
    assert ("pickle_global", "critical", "a/one.pt!/m/x.pkl") in told(parts)


def test_bytes_that_only_resemble_an_end_record_are_none() -> None:
    """The directory that it names must be there."""
    data = b"PK\x05\x06" + struct.pack("<4H2IH", 0, 0, 1, 1, 46, 0, 0)
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (len(data), len(data))
    assert told({"f": struct.pack("<Q", len(header)) + header + data}) == set()


def test_a_pickle_of_joblib_is_read_in_both_ways() -> None:
    """A model's arrays are no dangers; what is hidden in an array's bytes, or behind it, is."""
    honest = mapping({"coef_": wrapper(np.arange(9.0)), "names": wrapper(np.array(["x", None], dtype=object))})
    evil = np.frombuffer(b"0" + EVIL[2:], "u1")
    within = mapping({"coef_": wrapper(evil, aligned=False)})
    behind = b"\x80\x02" + wrapper(np.full(4, 255, "u1"), aligned=False) + b"0" + EVIL[2:]
    assert told({"f": saved(CLEAN, {"m/x.joblib": honest}, WHOLE)}) == set()
    for data in (within, behind):
        found = told({"f": saved(CLEAN, {"m/x.joblib": data}, WHOLE)})
        assert ("pickle_global", "critical", "m/x.joblib") in found


def test_a_file_of_joblib_is_read_in_both_ways() -> None:
    """By its own reader as well; nothing is said twice."""
    evil = np.frombuffer(b"0" + EVIL[2:], "u1")
    found = dangers({"f": mapping({"coef_": wrapper(evil, aligned=False)})})
    assert [one.detail for one in found if one.severity == "critical"] == ["os.system"]
    assert {one.severity for one in dangers({"f": sample()})} <= {"medium", "low", "info"}
