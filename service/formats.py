"""What a reader must offer, what it is given, and what content looks like at first sight. Reads no format itself.

A reader is a module in `service/readers/` with `FORMAT: Format`, `accept(probe) -> bool` and
`read(upload) -> Model | BuildRequest`. `accept` decides by content only; names never decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from service.config import Limits
from service.language import Message, mark, verbatim
from service.source import Meter, Source
from service.tree import Danger, Model

HEAD_BYTES = 8192
"""How much of each file `accept` may see without asking for more: covers HDF5 user blocks up to 4096."""


class Format(msgspec.Struct, frozen=True, kw_only=True):
    """One format, for /v1/formats and docs/formats.md.

    Attributes:
        id: Stable, snake_case: what `report.model.format` says.
        framework: As in `service.frameworks`; several in words (`keras or torch`).
        title: For people.
        extensions: Usual endings, for information only.
        reads: What is read from it.
        leaves: What is not, and why.
        priority: Readers are asked in ascending order; specific ones come first.
    """

    id: str
    framework: str
    title: Message
    extensions: tuple[str, ...]
    reads: Message
    leaves: Message = verbatim("")
    priority: int = 100


class Upload:
    """What one analysis was given: one or more files by their (untrusted, relative) names."""

    def __init__(self, parts: Mapping[str, Source], meter: Meter) -> None:
        self.parts = dict(parts)
        self.meter = meter
        self._places: dict[str, int] | None = None

    @property
    def limits(self) -> Limits:
        """The limits of this analysis."""
        return self.meter.limits

    @property
    def single(self) -> Source | None:
        """The only file, or None when there are several."""
        return next(iter(self.parts.values())) if len(self.parts) == 1 else None

    def only(self, names: Iterable[str]) -> Upload:
        """Those of its files that are called `names`, in its order, as an upload of their own."""
        if self._places is None:
            self._places = {name: place for place, name in enumerate(self.parts)}
        wanted = sorted(self._places.keys() & frozenset(names), key=self._places.__getitem__)
        return Upload({name: self.parts[name] for name in wanted}, self.meter)


class BuildRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A reader's answer when only a framework can go on: data to build from, checked for size and depth.

    `kind` is the worker kind; `spec` the architecture, JSON values only; `dialect` which builder reads it; `dangers`
    what in the spec could run code or reach outside, for the model to list: a builder has nothing to look into it with.
    """

    kind: Literal["keras", "torch", "transformers"]
    dialect: Literal["keras_config", "layer_list", "hf_config"]
    spec: dict[str, Any]
    dangers: tuple[Danger, ...] = ()


class Reader(Protocol):
    """The shape of a module in `service/readers/`.

    A format whose model takes several files has, besides, `find(upload) -> Sequence[frozenset[str]]`: which of the
    upload's files are one model each. Cheap, as `accept`, and true of what `accept` says yes to.
    """

    FORMAT: Format

    def accept(self, upload: Upload) -> bool:
        """Whether the content is this format. Cheap; reads a header or an archive directory at most."""
        ...

    def read(self, upload: Upload) -> Model | BuildRequest:
        """The model inside, or what a framework must build. Raises InputError only."""
        ...


_SIGNATURES: tuple[tuple[bytes, int, str], ...] = (
    (
        b"version https://git-lfs.github.com/spec/",
        0,
        mark("a Git LFS pointer: the real file was never downloaded (git lfs pull)"),
    ),
    (b"\x89PNG\r\n\x1a\n", 0, mark("a PNG picture")),
    (b"\xff\xd8\xff", 0, mark("a JPEG picture")),
    (b"GIF8", 0, mark("a GIF picture")),
    (b"WEBP", 8, mark("a WebP picture")),
    (b"%PDF-", 0, mark("a PDF document")),
    (b"\x7fELF", 0, mark("an ELF program or library")),
    (b"MZ", 0, mark("a Windows program")),
    (b"7z\xbc\xaf\x27\x1c", 0, mark("a 7-Zip archive")),
    (b"Rar!\x1a\x07", 0, mark("a RAR archive")),
    (b"\x1f\x8b", 0, mark("a gzip-compressed file")),
    (b"BZh", 0, mark("a bzip2-compressed file")),
    (b"\xfd7zXZ\x00", 0, mark("an xz-compressed file")),
    (b"\x28\xb5\x2f\xfd", 0, mark("a Zstandard-compressed file")),
    (b"SQLite format 3\x00", 0, mark("an SQLite database")),
    (b"PAR1", 0, mark("a Parquet table")),
    (b"GGUF", 0, mark("a GGUF model")),
    (b"TFL3", 4, mark("a TensorFlow Lite model")),
    (b"ET12", 4, mark("an ExecuTorch program")),
    (b"PTMF", 4, mark("a PyTorch mobile flatbuffer")),
    (b"\x93NUMPY", 0, mark("a NumPy array")),
    (b"PK\x03\x04", 0, mark("a plain zip archive")),
    (b"PK\x05\x06", 0, mark("an empty zip archive")),
    (b"\x89HDF\r\n\x1a\n", 0, mark("an HDF5 file without Keras weights in it")),
    (b"ustar", 257, mark("a plain tar archive")),
    (b"#!", 0, mark("a script")),
    (b"RIFF", 0, mark("a RIFF media file")),
    (b"OggS", 0, mark("an Ogg media file")),
    (b"ID3", 0, mark("an MP3 file")),
)

REFUSED_AT_SIGHT = frozenset(
    text
    for _, _, text in _SIGNATURES
    if any(
        word in text for word in ("picture", "pointer", "PDF", "program or", "Windows", "media", "MP3", "RAR", "7-Zip")
    )
)
"""Content that can never be a model for us, whatever follows: refused before anything is stored."""


def looks_like(head: bytes) -> str:
    """What the first bytes resemble, in words for a person; "nothing known" if nothing."""
    if not head:
        return mark("an empty file")
    for signature, offset, text in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return text
    return _text_kind(head)


def _text_kind(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:256].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return mark("an HTML page (a download link often returns its web page)")
    if start.startswith((b"<?xml", b"<svg")):
        return mark("an XML document")
    if start[:1] in (b"{", b"["):
        return mark("a JSON document that is not a known architecture")
    if _is_text(head):
        return mark("a text file")
    return mark("binary data of no known format")


def _is_text(head: bytes) -> bool:
    try:
        text = head[: len(head) // 2 * 2].decode("utf-8", errors="strict")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\r\n\t\f" for character in text)
