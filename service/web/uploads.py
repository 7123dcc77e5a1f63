"""What a POST brought, streamed to the blob folder's temporary files and hashed on the way; never held in memory.

Three ways in: a multipart form, a raw body, a JSON spec. A form has one model in its `file` fields, or two in `left`
and `right`. Whatever goes wrong, the temporary files are gone when the context ends. Knows the request's shape; no
model format beyond the look of its first bytes.
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
    UnknownFormat,
    UnsupportedMediaType,
    UploadTooLarge,
)
from service.formats import HEAD_BYTES, REFUSED_AT_SIGHT, looks_like
from service.jobs.blobs import Incoming
from service.jobs.records import Part
from service.jobs.storage import Storage
from service.language import Message, msg
from service.registry import formats
from service.web import names
from service.web.body import announced_length, check_length, pieces
from service.web.guard import metered

CHECK_DISK_EVERY = 64 << 20
MAX_BOUNDARY = 200
"""RFC 2046 allows 70 characters."""
MAX_SETTING = 16
"""Longest value of a form field that is no file."""
SPEC = "spec.json"
ONE_MODEL = ("file",)
TWO_MODELS = ("left", "right")


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


class Form(msgspec.Struct, frozen=True):
    """Which fields a form may have: those that hold a model's files, and those that hold a short text."""

    models: tuple[str, ...]
    settings: tuple[str, ...] = ()


class Receiver:
    """Takes one request's body."""

    def __init__(self, request: Request, settings: Settings, storage: Storage, stack: ExitStack) -> None:
        self._request = request
        self._settings = settings
        self._storage = storage
        self._stack = stack
        self._files: dict[str, list[File]] = {}
        self._texts: dict[str, bytes] = {}

    def receive(self, filename: str | None) -> Upload:
        """One model; `filename` is what the query says. Its files live until the constructor's stack is closed.

        Raises:
            RequestError: Of any kind: see `service.web.body` and the checks here.
            UnknownFormat: The first bytes can be no model.
            StorageFull: The disk has no room for it.
        """
        kind, options = parse_options_header(self._request.headers.get("Content-Type"))
        self._check_encoding()
        if kind == "multipart/form-data":
            self._multipart(options.get("boundary", ""), Form(ONE_MODEL))
        elif kind.startswith("multipart/"):
            raise UnsupportedMediaType(
                msg("A body of type {type} is not taken; multipart/form-data is.", type=kind[:80]),
                pointer="Content-Type",
            )
        elif kind == "application/json":
            self._whole(names.clean(filename or SPEC), self._settings.limits.spec_bytes, by_sight=False)
        else:
            name = names.clean(filename or self._disposition_name())
            self._whole(name, self._settings.max_upload_bytes, by_sight=True)
        return self._upload("file")

    def receive_two(self) -> tuple[dict[str, Upload], dict[str, str]]:
        """A form's two models by side, and its field `values` as text if it is there. Raises as `receive`."""
        kind, options = parse_options_header(self._request.headers.get("Content-Type"))
        self._check_encoding()
        if kind != "multipart/form-data":
            raise UnsupportedMediaType(
                msg(
                    "A comparison is asked for as application/json or multipart/form-data, not as {type}.",
                    type=kind[:80] or "?",
                ),
                pointer="Content-Type",
            )
        self._multipart(options.get("boundary", ""), Form(TWO_MODELS, ("values",)))
        texts = {name: text.decode("utf-8", "replace") for name, text in self._texts.items()}
        return {side: self._upload(side) for side in TWO_MODELS}, texts

    def _check_encoding(self) -> None:
        encoding = self._request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise UnsupportedMediaType(
                msg("A body in a content encoding is not taken."),
                hint=msg("Send the file as it is."),
                pointer="Content-Encoding",
            )

    def _disposition_name(self) -> str | None:
        return parse_options_header(self._request.headers.get("Content-Disposition"))[1].get("filename")

    def _pieces(self, maximum: int) -> Iterator[bytes]:
        """The body, after the checks that need no byte of it, and with an eye on the disk."""
        announced = announced_length(self._request)
        check_length(announced, maximum)
        self._storage.require_room(announced or 0)
        unchecked = 0
        for data in metered(pieces(self._request, self._settings, maximum), announced):
            unchecked += len(data)
            if announced is None and unchecked > CHECK_DISK_EVERY:
                self._storage.require_room(0)
                unchecked = 0
            yield data
        self._storage.require_room(0)  # what others have sent meanwhile

    def _open(self, field: str, name: str) -> File:
        here = self._files.setdefault(field, [])
        if any(file.name == name for file in here):
            raise RequestError(msg("Two files have the same name."), pointer=f"{field}[{len(here)}].filename")
        announced = announced_length(self._request)
        file = File(name=name, incoming=self._stack.enter_context(Incoming(self._storage.blobs, announced)))
        here.append(file)
        return file

    def _whole(self, name: str, maximum: int, *, by_sight: bool) -> None:
        file = self._open("file", name)
        for data in self._pieces(maximum):
            file.write(data)
            if by_sight:
                refuse_at_sight(file.head)
                by_sight = False
        file.incoming.finish()

    def _multipart(self, boundary: str, form: Form) -> None:
        if not 0 < len(boundary) <= MAX_BOUNDARY:
            raise RequestError(msg("The multipart body has no usable boundary."), pointer="Content-Type")
        try:
            self._parse(
                PushMultipartParser(
                    boundary.encode("utf-8", "replace"),
                    max_segment_count=self._settings.max_upload_parts,
                    max_header_size=8192,
                    header_charset="utf-8",
                ),
                form,
            )
        except ParserLimitReached as error:
            raise UploadTooLarge(
                msg("The multipart body breaks a limit: {reason}.", reason=str(error)),
                limit="max_upload_parts",
                maximum=self._settings.max_upload_parts,
            ) from None
        except MultipartError as error:
            raise RequestError(msg("The multipart body is broken: {reason}.", reason=str(error))) from None

    def _parse(self, parser: PushMultipartParser, form: Form) -> None:
        target: File | str = ""
        anything = False
        for data in self._pieces(self._settings.max_upload_bytes):
            anything = True
            for event in parser.parse(data):
                if isinstance(event, MultipartSegment):
                    target = self._segment(event, form)
                else:
                    self._take(target, event)
        parser.close(check_complete=anything)

    def _take(self, target: File | str, data: bytes | None) -> None:
        """What a segment brings; None at its end."""
        if isinstance(target, str):
            self._texts[target] = self._texts.get(target, b"") + (data or b"")
            if len(self._texts[target]) > MAX_SETTING:
                raise RequestError(msg("The field is longer than any value it may have."), pointer=target)
        elif data is not None:
            target.write(data)
        else:
            target.incoming.finish()

    def _segment(self, segment: MultipartSegment, form: Form) -> File | str:
        field = str(segment.name or "")
        if field in form.settings:
            if field in self._texts:
                raise RequestError(msg("The form has this field twice."), pointer=field)
            self._texts[field] = b""
            return field
        if field not in form.models:
            raise RequestError(
                msg("The form has a field that is not known; files go into {fields}.", fields=form.models),
                pointer=field[:100] or "(no name)",
            )
        number = len(self._files.get(field, ()))
        return self._open(field, names.clean(segment.filename, f"{field}[{number}].filename"))

    def _upload(self, field: str) -> Upload:
        files = self._files.get(field, [])
        if not files:
            raise NothingUploaded(
                msg("The form has no file in a field {field}.", field=field), pointer=field, hint=_how_to_send(field)
            )
        if not any(file.incoming.size for file in files):
            empty = msg("The file is empty.") if len(files) == 1 else msg("All files are empty.")
            raise NothingUploaded(empty, pointer=field, hint=_how_to_send(field))
        if len(files) == 1 and files[0].name != SPEC:
            refuse_at_sight(files[0].head, field)
        return Upload(files=tuple(files))


def _how_to_send(field: str) -> Message | None:
    """What to do where a field is missing; None where the error itself knows."""
    return None if field in ONE_MODEL else msg("Send both models: -F left=@model.keras -F right=@model.pt")


def refuse_at_sight(head: bytes, field: str | None = None) -> None:
    """UnknownFormat for content, of a form's field, that can be no model whatever follows."""
    seen = looks_like(head)
    if seen in REFUSED_AT_SIGHT or seen.startswith("an HTML page"):
        raise UnknownFormat(
            msg("This is no model that is read here: it looks like {seen}.", seen=Message(seen)),
            pointer=field,
            looks_like=seen,
            formats=[known.id for known in formats()],
        )


def names_of(upload: Upload) -> str:
    """One name for the whole upload: the file's, or what the files' folders share."""
    if len(upload.files) == 1:
        return upload.files[0].name
    return os.path.commonpath([file.name for file in upload.files]) or f"{len(upload.files)} files"
