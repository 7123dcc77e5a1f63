"""What a POST brought, streamed to the blob folder's temporary files and hashed on the way; never held in memory.

Three ways in: a multipart form with `file` fields, a raw body, a JSON spec. Whatever goes wrong, the temporary files
are gone when the context ends. Knows the request's shape; no model format beyond the look of its first bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec
from flask import Request
from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser
from werkzeug.http import parse_options_header

from service.config import Settings
from service.errors import (
    NothingUploaded,
    RequestError,
    StorageFull,
    UnknownFormat,
    UnsupportedMediaType,
    UploadTooLarge,
)
from service.formats import HEAD_BYTES, REFUSED_AT_SIGHT, looks_like
from service.jobs.blobs import Blobs, Incoming
from service.jobs.records import Part
from service.registry import formats
from service.web import names
from service.web.body import announced_length, check_length, pieces

CHECK_DISK_EVERY = 64 << 20
MAX_BOUNDARY = 200
"""RFC 2046 allows 70 characters."""


class File(msgspec.Struct):
    """One file while it arrives."""

    name: str
    incoming: Incoming
    head: bytes = b""

    def write(self, data: bytes) -> None:
        """Append; the first bytes are kept to be looked at."""
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        self.incoming.write(data)


class Upload(msgspec.Struct, frozen=True):
    """All files of one request, on disk and durable but not yet placed."""

    files: tuple[File, ...]

    def parts(self) -> tuple[Part, ...]:
        """Names, sizes and hashes, as they are stored."""
        return tuple(
            Part(name=file.name, bytes=file.incoming.size, blake3=file.incoming.digest, sha256=file.incoming.sha256())
            for file in self.files
        )


class Receiver:
    """Takes one request's body. `filename` is what the query says, if anything."""

    def __init__(self, request: Request, settings: Settings, blobs: Blobs, stack: ExitStack) -> None:
        self._request = request
        self._settings = settings
        self._blobs = blobs
        self._stack = stack
        self._files: list[File] = []

    def receive(self, filename: str | None) -> Upload:
        """The upload. Files live until the stack given to the constructor is closed.

        Raises:
            RequestError: Of any kind: see `service.web.body` and the checks here.
            UnknownFormat: The first bytes can be no model.
            StorageFull: The disk has no room for it.
        """
        kind, options = parse_options_header(self._request.headers.get("Content-Type"))
        self._check_encoding()
        if kind == "multipart/form-data":
            self._multipart(options.get("boundary", ""))
        elif kind.startswith("multipart/"):
            raise UnsupportedMediaType(f"A body of type {kind[:80]} is not taken; multipart/form-data is.")
        elif kind == "application/json":
            self._whole(names.clean(filename or "spec.json"), self._settings.limits.spec_bytes, by_sight=False)
        else:
            name = names.clean(filename or self._disposition_name())
            self._whole(name, self._settings.max_upload_bytes, by_sight=True)
        return self._finish()

    def _check_encoding(self) -> None:
        encoding = self._request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise UnsupportedMediaType("A body in a content encoding is not taken.", hint="Send the file as it is.")

    def _disposition_name(self) -> str | None:
        return parse_options_header(self._request.headers.get("Content-Disposition"))[1].get("filename")

    def _pieces(self, maximum: int) -> Iterator[bytes]:
        """The body, after the checks that need no byte of it, and with an eye on the disk."""
        announced = announced_length(self._request)
        check_length(announced, maximum)
        self._check_disk(announced or 0)
        unchecked = 0
        for data in pieces(self._request, self._settings, maximum):
            unchecked += len(data)
            if announced is None and unchecked > CHECK_DISK_EVERY:
                self._check_disk(0)
                unchecked = 0
            yield data

    def _check_disk(self, wanted: int) -> None:
        if self._blobs.free_bytes() - wanted < self._settings.min_free_disk_bytes:
            raise StorageFull("There is not enough room on the service's disk for this upload.")

    def _open(self, name: str) -> File:
        if any(file.name == name for file in self._files):
            raise RequestError("Two files have the same name.", pointer=f"file[{len(self._files)}].filename")
        announced = announced_length(self._request)
        file = File(name=name, incoming=self._stack.enter_context(Incoming(self._blobs, announced)))
        self._files.append(file)
        return file

    def _whole(self, name: str, maximum: int, *, by_sight: bool) -> None:
        file = self._open(name)
        for data in self._pieces(maximum):
            file.write(data)
            if by_sight:
                refuse_at_sight(file.head)
                by_sight = False
        file.incoming.finish()

    def _multipart(self, boundary: str) -> None:
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            raise RequestError("The multipart body has no usable boundary.", pointer="Content-Type")
        try:
            self._parse(
                PushMultipartParser(
                    boundary.encode("utf-8", "replace"),
                    max_segment_count=self._settings.max_upload_parts,
                    max_header_size=8192,
                    header_charset="utf-8",
                )
            )
        except ParserLimitReached as error:
            raise UploadTooLarge(
                f"The multipart body breaks a limit: {error}.",
                limit="max_upload_parts",
                maximum=self._settings.max_upload_parts,
            ) from None
        except MultipartError as error:
            raise RequestError(f"The multipart body is broken: {error}.") from None

    def _parse(self, parser: PushMultipartParser) -> None:
        file: File | None = None
        anything = False
        for data in self._pieces(self._settings.max_upload_bytes):
            anything = True
            for event in parser.parse(data):
                if isinstance(event, MultipartSegment):
                    file = self._segment(event)
                elif file is not None and event is not None:
                    file.write(event)
                elif file is not None:
                    file.incoming.finish()
        parser.close(check_complete=anything)

    def _segment(self, segment: MultipartSegment) -> File:
        pointer = f"file[{len(self._files)}]"
        if segment.name != "file":
            raise RequestError(
                "The form has a field that is not known; every model file goes into a field named file.",
                pointer=segment.name[:100] or "(no name)",
            )
        return self._open(names.clean(segment.filename, f"{pointer}.filename"))

    def _finish(self) -> Upload:
        if not self._files:
            raise NothingUploaded("The form holds no file.")
        if not any(file.incoming.size for file in self._files):
            raise NothingUploaded("The file is empty." if len(self._files) == 1 else "All files are empty.")
        if len(self._files) == 1 and self._files[0].name != "spec.json":
            refuse_at_sight(self._files[0].head)
        return Upload(files=tuple(self._files))


def refuse_at_sight(head: bytes) -> None:
    """UnknownFormat for content that can be no model whatever follows."""
    seen = looks_like(head)
    if seen in REFUSED_AT_SIGHT or seen.startswith("an HTML page"):
        raise UnknownFormat(
            f"This is no model that is read here: it looks like {seen}.",
            looks_like=seen,
            formats=[known.id for known in formats()],
        )


def names_of(upload: Upload) -> str:
    """One name for the whole upload: the file's, or what the files' folders share."""
    if len(upload.files) == 1:
        return upload.files[0].name
    return os.path.commonpath([file.name for file in upload.files]) or f"{len(upload.files)} files"
