"""What lies beside a model in its file: other formats, pickles and programs that its reader does not look at."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

import numpy as np
import pytest

from service.registry import load_readers
from service.tree import Danger
from service.worker.reading import read
from tests.attacks.torch_files import CLEAN, ELF, WHOLE, archive, saved
from tests.attacks.zips import DEFLATED, Entry
from tests.attacks.zips import archive as zipped
from tests.service.parsers.joblibs import mapping, sample, wrapper
from tests.service.parsers.pickles import call, text
from tests.service.readers.fielded import upload
from tests.service.readers.hf_uploads import entry, safetensors

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


BYTECODE = b"\xa7\x0d\x0d\x0a" + bytes(12) + b"\xe3" + bytes(20)
FOLDER = {"model.safetensors": safetensors({"w": entry(0, 4, [1])}, bytes(4))}


def test_files_of_a_folder_are_looked_at_as_members_are() -> None:
    """Programs, bytecode, pickles and Python, each by its name in the upload."""
    files = {"a.so": ELF, "b.pyc": BYTECODE, "c.pkl": b"N0" * 99 + EVIL[2:],
             "modeling_x.py": b"", "train.py": b"", "test.py": b"", "read.me": b"x"}  # fmt: skip
    assert told({**FOLDER, **files}) == {
        ("native_library", "high", "a.so"), ("python_code", "medium", "b.pyc"), ("pickle_global", "critical", "c.pkl"),
        ("python_code", "medium", "modeling_x.py"), ("python_code", "low", "train.py"),
    }  # fmt: skip


def test_documents_of_a_folder_are_looked_into_and_say_which_python_runs() -> None:
    """JSON and YAML by their endings; what was told by the model's own reader is told once."""
    files = {"config.json": b'{"model_type":"llama","architectures":["L"],"auto_map":{"AutoModel":"odd.M"}}',
             "sub/params.json": b'{"_target_": "os.system"}', "a.yml": b"_target_: os.system",
             "odd.py": b""}  # fmt: skip
    found = dangers({**FOLDER, **files})
    assert sorted((one.code, one.severity, one.member) for one in found) == [
        ("hydra_target", "high", "a.yml"), ("hydra_target", "high", "sub/params.json"),
        ("python_code", "medium", "odd.py"), ("remote_code", "medium", "config.json"),
    ]  # fmt: skip


def test_code_of_torchscript_is_its_readers_and_of_a_package_is_what_it_is_for() -> None:
    """Neither is told as Python beside a model; in another archive `code` is a folder as any other."""
    package = {"p/a.py": b"", "p/b.pyc": BYTECODE, "p-1.dist-info/RECORD": b""}
    assert told({"p.whl": archive({"p/m.pt": saved(CLEAN, storages=WHOLE), **package})}) == set()
    script = {"m/code/__torch__/x.py": b"", "m/constants.pkl": b"\x80\x02)."}
    assert told({"f": archive({"a.safetensors": FOLDER["model.safetensors"], **script})}) == set()
    assert told({"f": saved(CLEAN, {"m/code/x.py": b""}, WHOLE)}) == {("python_code", "low", "m/code/x.py")}


def test_storages_are_numbers_in_archives_of_pytorch_alone() -> None:
    """Elsewhere `data/0` is a file as any other."""
    assert told({"f": saved(CLEAN, {"m/data/1": EVIL}, WHOLE)}) == set()
    assert told({"f": archive({"a.safetensors": FOLDER["model.safetensors"], "data/0": EVIL})}) == {
        ("pickle_global", "critical", "data/0")
    }


def test_a_member_that_cannot_be_opened_is_said_if_it_is_called_as_a_pickle() -> None:
    """Packed by a method that is not read, or beyond what may be unpacked; others are nobody's to load."""
    out = io.BytesIO(saved(CLEAN, storages=WHOLE))
    with zipfile.ZipFile(out, "a") as target:
        target.writestr(zipfile.ZipInfo("m/a.pkl"), EVIL, zipfile.ZIP_BZIP2)
        target.writestr(zipfile.ZipInfo("m/a.txt"), EVIL, zipfile.ZIP_BZIP2)
        target.writestr(zipfile.ZipInfo("m/b.pkl"), bytes(4 << 20), zipfile.ZIP_DEFLATED)
    assert told({"f": out.getvalue()}) == {
        ("pickle_unsearched", "low", "m/a.pkl"),
        ("pickle_unsearched", "medium", None),
    }


def test_lesser_dangers_do_not_take_the_place_of_grave_ones() -> None:
    """However many files have some."""
    names = "".join(f"_target_: a.B{at}\n" for at in range(100)).encode()
    found = told({**FOLDER, **{f"{at}.yaml": names for at in range(9)}, "z.pkl": EVIL})
    assert ("pickle_global", "critical", "z.pkl") in found


@pytest.mark.parametrize("size", [30, 131, 5000])
@pytest.mark.parametrize("name", [b"extra.npy", b"extra.pkl", b"extra.yaml", b"extra.zip", b"extra.joblib"])
def test_a_member_that_is_broken_refuses_no_model(name: bytes, size: int) -> None:
    """It ends before its declared size: nobody can load it, and the model is none the worse; what follows is seen."""
    longer = {"size": size}
    broken = Entry(name, b"\x93NUMPY" + bytes(14), DEFLATED, local=longer, central=longer)
    model = [Entry(b"m/data.pkl", CLEAN), Entry(b"m/data/0", bytes(24)), Entry(b"m/version", b"3\n")]
    assert told({"m.pt": zipped([*model, broken, Entry(b"z.pkl", EVIL)])}) == {("pickle_global", "critical", "z.pkl")}
