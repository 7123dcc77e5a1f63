"""A report's bytes: encoded once, and amended when a large file's SHA-256 becomes known after the first answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from service import decoding, pressed, splicing, wire
from service.comparisons import Comparison
from service.jobs import catalogue
from service.jobs.database import Database
from service.jobs.records import StoredReport
from service.tree import Report


def encode(result: Report | Comparison) -> Iterator[bytes]:
    """The JSON that is stored, in pieces: its sentences are still data, in no language."""
    return wire.encode_pieces(result)


def text(stored: StoredReport) -> bytes:
    """The stored JSON."""
    return pressed.unpress(stored.body, stored.size)


def lines(stored: StoredReport) -> Iterator[list[bytes]]:
    """The stored JSON by lines, some at a time: a report may have one for each of its layers."""
    return splicing.lines(pressed.unpressed(stored.body))


def decode(stored: StoredReport) -> Report:
    """The stored report as its type."""
    return wire.decode_report(text(stored))


def decode_comparison(stored: StoredReport) -> Comparison:
    """The stored answer of a comparison as its type."""
    return wire.decode_comparison(text(stored))


def learn_sha256(database: Database, digest: str, sha256: str) -> None:
    """Fill the SHA-256 of the file with BLAKE3 `digest` in, wherever it is missing. Harmless to repeat."""
    for report_id in catalogue.note_sha256(database, digest, sha256):
        report: Any = decoding.outline.decode(text(catalogue.report(database, report_id)))
        if report.model.sha256 is None:
            info = msgspec.structs.replace(report.model, sha256=sha256)
            catalogue.replace_report(database, report_id, [wire.encode(msgspec.structs.replace(report, model=info))])
