"""Attacks on where uploads lie and how they are named: rows A17 and A18 of the threat catalogue."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from service.config import Limits
from service.errors import InputLost
from service.jobs.blobs import Blobs, Incoming
from service.sandbox.client import Sandbox
from tests.attacks.frame import Trap
from tests.attacks.test_behind_wall import asked
from tests.attacks.torch_files import CLEAN, WHOLE, payload, saved


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    made = Blobs(tmp_path / "data")
    made.prepare()
    return made


def kept(blobs: Blobs, data: bytes) -> str:
    """The digest of stored content."""
    with Incoming(blobs) as incoming:
        incoming.write(data)
        incoming.finish()
        incoming.keep()
        return incoming.digest


def test_uploads_are_their_owners_alone(blobs: Blobs) -> None:
    """A17: folders are 0700, files 0600, and a file that arrives is made new, under a name nobody knows beforehand."""
    digest = kept(blobs, b"content")
    with Incoming(blobs), Incoming(blobs):
        arriving = list(blobs.temporary.iterdir())
    assert len(arriving) == 2
    modes = {
        path: stat.S_IMODE(path.stat().st_mode) for path in (blobs.root, blobs.temporary, blobs.path(digest).parent)
    }
    assert set(modes.values()) == {0o700}
    assert stat.S_IMODE(blobs.path(digest).stat().st_mode) == 0o600


@pytest.mark.parametrize("how", ["symbolic link", "hard link", "folder", "pipe"])
def test_what_is_put_in_the_place_of_an_upload_is_not_opened(blobs: Blobs, trap: Trap, how: str) -> None:
    """A17 (CVE-2026-34446, -34447, -27489): no link or other file is taken for the upload, and none is waited for."""
    digest = kept(blobs, b"the upload")
    path = blobs.path(digest)
    path.unlink()
    put = {"symbolic link": lambda: path.symlink_to(trap.secret), "hard link": lambda: path.hardlink_to(trap.secret),
           "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}  # fmt: skip
    put[how]()
    opened: list[Any] = []

    def open_it() -> None:
        with pytest.raises(InputLost):
            opened.append(blobs.open(digest, len(b"the upload")))
        opened.append("refused")

    thread = threading.Thread(target=open_it, daemon=True)
    thread.start()
    thread.join(10)
    assert opened == ["refused"]


def test_the_analysis_is_of_what_was_uploaded(sandbox: Sandbox, trap: Trap) -> None:
    """A17: swapped for a link to something else between upload and analysis, the upload's own bytes are read."""
    (path,) = trap.put({"model.pt": saved(CLEAN, storages=WHOLE)}).values()
    swapped = path.with_name("swapped")
    swapped.write_bytes(payload(trap))
    descriptor = os.open(path, os.O_RDONLY)
    path.unlink()
    path.symlink_to(swapped)
    try:
        found = asked(sandbox, {"model.pt": Path(f"/proc/self/fd/{descriptor}")}, Limits())
    finally:
        os.close(descriptor)
    assert (found.code, found.dangers) == (None, ())


@pytest.mark.parametrize("digest", ["../../../secret.txt", "sha256:" + "0" * 64, "", "0" * 63, "0" * 64 + "/..",
                                    "G" * 64, "\u0660" * 64, "0" * 64 + "\n"])  # fmt: skip
def test_only_digests_become_paths(blobs: Blobs, digest: str) -> None:
    """A18 (CVE-2026-7020): anything else is refused before a path is made of it."""
    with pytest.raises(ValueError, match="digest"):
        blobs.path(digest)


@pytest.mark.parametrize("name", ["../../../escaped", "/tmp/escaped", "..\\..\\escaped", "a/../../../escaped",
                                  "nul\x00.pt", "C:\\escaped", "-rf", "~/escaped", "$(touch escaped)"])  # fmt: skip
def test_names_of_uploads_are_only_names(service: Any, name: str) -> None:
    """A18: whatever an upload is called, its content lies below its digest, and nothing else was made."""
    response = service.ask("POST", "/v1/analyses?wait=30", fields=[("file", (name, saved(CLEAN, storages=WHOLE)))])
    assert response.status in (201, 400), response.data
    assert not [path for path in service.data_dir.parent.rglob("*") if "escaped" in path.name]
    stored = [path.relative_to(service.data_dir / "blobs") for path in (service.data_dir / "blobs").rglob("*")]
    assert all(set("".join(path.parts)) <= set("0123456789abcdef") or path.parts[0] == "tmp" for path in stored), stored


IDENTIFIERS = ["..%2f..%2fetc%2fpasswd", "%2e%2e", "..;", "%00", "%ff%fe", "a" * 4000, "sha256:" + "0" * 64,
               "'%20OR%201=1--",
               "%0d%0aX-Injected:%201", "{id}", "00000000-0000-0000-0000-000000000000", "-1", "*"]  # fmt: skip


@pytest.mark.parametrize("identifier", IDENTIFIERS)
@pytest.mark.parametrize("rest", ["", "/report", "/report.html", "/layers"])
def test_made_up_identifiers_find_nothing(service: Any, identifier: str, rest: str) -> None:
    """A18: identifiers are the service's own; others are 404 in every resource and method, and come back escaped."""
    for collection in ("analyses", "comparisons"):
        for method in ("GET", "DELETE"):
            response = service.ask(method, f"/v1/{collection}/{identifier}{rest}", redirect=False)
            assert response.status in (400, 404, 405, 414), (response.status, response.data)
            assert b"root:" not in response.data
            assert "X-Injected" not in response.headers
