"""Rows of the threat catalogue that are about the service around the files, over HTTP; see tests/attacks/rows.py."""

from __future__ import annotations

import gzip
import json
import os
import re
import unicodedata
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from service import config
from service.config import Limits
from service.sandbox.launch import running as behind_a_wall
from tests.attacks.names import NAMES
from tests.attacks.test_behind_wall import asked
from tests.corpus import ROOT

ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
HERE = re.escape(os.fsencode(ROOT))
LEAKS = re.compile(rb"Traceback|File \"|\.py\b|/site-packages|/usr/lib|/proc/|/tmp/|" + HERE, re.IGNORECASE)
FORM = {"Content-Type": "multipart/form-data; boundary=b", "Connection": "close"}


def form(*parts: bytes) -> bytes:
    """A multipart body."""
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def file_part(name: str, data: bytes) -> bytes:
    """A file in a form; its name as browsers write it."""
    return (
        b'Content-Disposition: form-data; name="file"; filename="'
        + name.encode("utf-8", "replace")
        + b'"\r\n\r\n'
        + data
    )


@pytest.mark.parametrize(
    "body",
    [
        form(*[b'Content-Disposition: form-data; name="x"\r\n\r\n1'] * 100_000),
        form(*[file_part(f"{at}.bin", b"x") for at in range(3000)]),
        form(b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n\r' + b"\n\r" * 500_000),
        form(b"A: " + b"b" * 100_000 + b"\r\n\r\nx"),
        b"--b" * 300_000,
    ],
    ids=["many fields", "many files", "line ends without end", "a header without end", "boundaries only"],
)
def test_forms_of_many_and_strange_parts_are_refused_at_once(service: Any, body: bytes) -> None:
    """W2: a clear refusal within the limit, and nothing is left."""
    response = service.ask("POST", "/v1/analyses", body=body, headers=FORM)
    assert 400 <= response.status < 500, response.data
    assert response.json()["code"]
    assert service.left_behind() == []


@pytest.mark.parametrize("item", [{"x": 1}, [], "x", None], ids=["object", "list", "text", "null"])
def test_lists_of_wrong_items_cost_nothing(service: Any, item: Any) -> None:
    """W3: a hundred thousand wrong items are one refusal, whose length does not grow with them."""
    body = json.dumps({"left": [item] * 100_000, "right": [item] * 100_000, "values": [item] * 100_000}).encode()
    response = service.ask("POST", "/v1/comparisons", body=body, headers={"Content-Type": "application/json"})
    assert 400 <= response.status < 500
    assert len(response.data) < 100_000


@pytest.mark.parametrize(
    "encoding", ["gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "GZIP", "identity, gzip"]
)
def test_compressed_bodies_are_not_unpacked(service: Any, encoding: str) -> None:
    """W6: 415 for every content encoding; a bomb stays packed."""
    data = zlib.compress(bytes(10 << 20)) if encoding == "deflate" else gzip.compress(bytes(10 << 20))
    for path in ("/v1/analyses", "/v1/comparisons"):
        headers = {"Content-Encoding": encoding, "Content-Type": "application/octet-stream"}
        response = service.ask("POST", path, body=data, headers=headers)
        assert response.status == 415, response.data
    assert service.left_behind() == []


def test_names_of_files_act_nowhere_in_answers_headers_and_logs(service: Any, model: Any) -> None:
    """W7: whatever a file is called, no answer, no header and no line of the log holds what acts in a terminal."""
    before = len(service.output)
    for name in NAMES:
        safe = name.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22").replace("\0", "")
        for data in (model(3), b"no model"):
            response = service.ask("POST", "/v1/analyses?wait=30", body=form(file_part(safe, data)), headers=FORM)
            assert response.status < 500, response.data
            _is_quiet(response.data.decode())
            _is_quiet("".join(f"{key}: {value}" for key, value in response.headers.items()))
    _is_quiet(service.ask("GET", "/v1/analyses?limit=100").data.decode())
    for line in service.output[before:]:
        _is_quiet(line.rstrip("\n"))


@pytest.mark.parametrize("name", ["a b", "\x1b[31m", "a\tb", "\u00e9", "x" * 500, "=1+1", "<script>"])
def test_a_request_id_that_acts_is_not_taken(service: Any, name: str) -> None:
    """W7: only plain ones come back, in the header and in problems."""
    response = service.ask("GET", "/v1/analyses/none", headers={"X-Request-Id": name.encode("latin-1")})
    assert re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", response.headers["X-Request-Id"])
    assert response.json()["request_id"] == response.headers["X-Request-Id"] != name


def _is_quiet(text: str) -> None:
    assert not {one for one in text if unicodedata.category(one) in ACTING and one != "\n"}, text[:300]


def test_no_answer_tells_of_the_machine(service: Any, model: Any) -> None:
    """W9: no path, no stack trace, no line of code in any problem, of whatever is wrong."""
    asked_for = [
        ("GET", "/nothing", {}), ("PATCH", "/v1/analyses", {}), ("GET", "/v1/analyses/%00", {}),
        ("GET", "/v1/analyses?limit=x", {}), ("POST", "/v1/analyses?wait=x", {"body": b"x"}),
        ("POST", "/v1/analyses?wait=30", {"body": b"\x89HDF\r\n\x1a\n" + bytes(500)}),
        ("POST", "/v1/analyses?wait=30", {"body": b"PK\x03\x04" + bytes(500)}),
        ("POST", "/v1/analyses?wait=30", {"body": model(3)[:900]}),
        ("POST", "/v1/comparisons", {"body": b"{", "headers": {"Content-Type": "application/json"}}),
        ("POST", "/v1/analyses?wait=30", {"body": b'{"framework": "torch", "layers": [{"type": "X"}]}'}),
    ]  # fmt: skip
    for method, path, more in asked_for:
        response = service.ask(method, path, **more)
        assert response.status < 500, response.data
        assert not LEAKS.search(response.data), response.data
        server = response.headers.get("Server", "")
        assert not re.search(r"\d", server), server


IMPORTED = ("json.py", "sitecustomize.py", "usercustomize.py", "msgspec.py", "service.py", "os.py", "x.pth", "h5py.so")


def test_files_that_python_would_import_are_only_names(service: Any) -> None:
    """W12: no file of the data folder is ever called as an upload is."""
    parts = [file_part(name, b"raise SystemExit") for name in IMPORTED]
    response = service.ask("POST", "/v1/analyses?wait=30", body=form(*parts), headers=FORM)
    assert response.status == 415, response.data
    assert not {path.name for path in service.data_dir.rglob("*")} & set(IMPORTED)


def test_code_in_the_working_folder_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Any
) -> None:
    """W12: workers that start where such files lie, with variables that point there, import none of them."""
    folder, marker = tmp_path / "uploads", tmp_path / "marker"
    folder.mkdir()
    for name in IMPORTED:
        (folder / name).write_text(f"import pathlib; pathlib.Path({str(marker)!r}).touch()\n")
    (folder / "upload").write_bytes(model(3))
    monkeypatch.chdir(folder)
    for name in ("PYTHONPATH", "PYTHONUSERBASE", "PYTHONHOME", "PYTHONSTARTUP", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, str(folder))
    settings = msgspec.structs.replace(config.load(), warm_frameworks=False, spare_children=1)
    with behind_a_wall(settings, tmp_path / "run", ["static"]) as sandbox:
        assert asked(sandbox, {"upload": folder / "upload"}, Limits()).complete
    assert not marker.exists()
