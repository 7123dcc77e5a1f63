"""What of the files beside a model is code, by first bytes and by names."""

from __future__ import annotations

import pytest

from service.worker.beside_code import HEAD, is_bytecode, is_native, is_source, native, sources


@pytest.mark.parametrize(("start", "expected"), [
    (b"\x7fELF\x02", True), (b"\xcf\xfa\xed\xfe", True), (b"\xfe\xed\xfa\xcf", True), (b"\xca\xfe\xba\xbe", True),
    (b"MZ".ljust(60, b"\0") + b"\x80\0\0\0", True), (b"MZ".ljust(HEAD, b"z"), False), (b"MZ", False), (b"", False),
    (b"\x80\x02}.", False),
])  # fmt: skip
def test_programs_by_their_first_bytes(start: bytes, expected: bool) -> None:
    """Two letters alone are no proof: a Windows program says where its own header is."""
    assert is_native(start) is expected


@pytest.mark.parametrize(("holder", "severity"), [("folder", "high"), ("archive", "high"), ("package", "medium")])
def test_programs_are_as_bad_as_what_they_lie_in(holder: str, severity: str) -> None:
    """A Python package is there to be imported."""
    found = native("a.so", holder)
    assert (found.code, found.severity, found.member) == ("native_library", severity, "a.so")


CODE = b"\xa7\x0d\x0d\x0a" + bytes(12) + b"\xe3" + bytes(40)


@pytest.mark.parametrize(("name", "start", "expected"), [
    ("a.pyc", CODE[:8], True), ("a", CODE, True), ("a.pyc", b"text", False), ("a", b"", False),
    ("a.txt", b"ab\r\nfour lines of text", False),
])  # fmt: skip
def test_bytecode(name: str, start: bytes, expected: bool) -> None:
    """By its first bytes; by fewer of them if it is called so too."""
    assert is_bytecode(name, start) is expected


def told(*names: str, modules: tuple[str, ...] = (), served: bool = False) -> list[tuple[str, str | None]]:
    return [(one.severity, one.detail or one.member) for one in sources(names, modules, served=served)]


def test_python_that_loaders_run_is_told_file_by_file() -> None:
    """By names that they look for, by names that documents have, or all of an archive for a server."""
    known = ["modeling_x.py", "a/tokenization_y.py", "handler.py", "pipeline.py", "custom_generate/generate.py"]
    assert told(*known) == [("medium", name) for name in known]
    assert told("odd.py", "sub/odder.py", modules=("odd", "sub.odder")) == [
        ("medium", "odd.py"),
        ("medium", "sub/odder.py"),
    ]
    assert told("x.py", served=True) == [("medium", "x.py")]


def test_other_python_is_told_together() -> None:
    """With the first names, however many there are."""
    names = [f"{at}.py" for at in range(300)]
    assert told(*names) == [("low", ", ".join([*names[:10], "…"]))]
    assert told() == []


def test_what_is_called_as_python_source() -> None:
    """Notebooks too."""
    assert [is_source(name) for name in ("a.py", "A.PY", "a.ipynb", "a.pyc", "py")] == [True, True, True, False, False]
