"""A report's bytes: encoded once, and amended when a large file's SHA-256 becomes known after the first answer."""

from __future__ import annotations

import gzip

import msgspec

from service.jobs import catalogue
from service.jobs.database import Database
from service.jobs.records import StoredReport
from service.language import as_data, from_data
from service.tree import Report

_encoder = msgspec.json.Encoder(enc_hook=as_data)
_decoder = msgspec.json.Decoder(Report, dec_hook=from_data)


def encode(report: Report) -> bytes:
    """The JSON that is stored: its sentences are still data, in no language."""
    return _encoder.encode(report)


def text(stored: StoredReport) -> bytes:
    """The stored JSON."""
    return gzip.decompress(stored.body)


def decode(stored: StoredReport) -> Report:
    """The stored report as its type."""
    return _decoder.decode(text(stored))


def learn_sha256(database: Database, digest: str, sha256: str) -> None:
    """Fill the SHA-256 of the file with BLAKE3 `digest` in, wherever it is missing. Harmless to repeat."""
    for report_id in catalogue.note_sha256(database, digest, sha256):
        report = decode(catalogue.report(database, report_id))
        if report.model.sha256 is None:
            info = msgspec.structs.replace(report.model, sha256=sha256)
            catalogue.replace_report(database, report_id, encode(msgspec.structs.replace(report, model=info)))
