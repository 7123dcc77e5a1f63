"""What one analysis is, as rows become frozen records; knows no SQL."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from blake3 import blake3

from service.errors import ErrorInfo

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
STATES: tuple[State, ...] = ("queued", "running", "succeeded", "failed", "cancelled")


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One uploaded file. `name` is relative and checked, and is never used as a path; hashes are hex."""

    name: str
    bytes: int
    blake3: str
    sha256: str | None = None


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `report_id` is set exactly when `state` is succeeded, `error` exactly when it is failed.

    Times are Unix seconds. `cached`: answered from the stored report of the same bytes.
    """

    id: str
    state: State
    created_at: float
    name: str
    bytes: int
    key: str
    request_id: str = ""
    finished_at: float | None = None
    format: str | None = None
    framework: str | None = None
    cached: bool = False
    report_id: int | None = None
    error: ErrorInfo | None = None
    attempts: int = 0
    parts: tuple[Part, ...] = ()

    @property
    def final(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in ("queued", "running")


class StoredReport(msgspec.Struct, frozen=True, kw_only=True):
    """A report as stored: gzip of its JSON, the JSON's length, and an entity tag of its content."""

    body: bytes
    size: int
    etag: str


def result_key(parts: tuple[Part, ...], version: str, **options: Any) -> str:
    """Equal for analyses that must give equal reports. Names count only where several files refer to one another."""
    names = [part.name for part in parts] if len(parts) > 1 else []
    facts = [version, sorted(options.items()), names, [part.blake3 for part in parts]]
    return blake3(msgspec.json.encode(facts)).hexdigest()
