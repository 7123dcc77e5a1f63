"""Analyses as JSON documents. A stored report is spliced in as the bytes it is, never decoded here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from service.jobs.records import Analysis
from service.web.problems import encode, problem

PREFIX = "/v1/analyses"


def link(identifier: str) -> str:
    """Where an analysis is found."""
    return f"{PREFIX}/{identifier}"


def timestamp(seconds: float | None) -> str | None:
    """Unix seconds as RFC 3339 in UTC, milliseconds."""
    if seconds is None:
        return None
    moment = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def links(found: Analysis) -> dict[str, str]:
    """Where to go from an analysis."""
    here = {"self": link(found.id)}
    if found.state == "succeeded":
        here["report"] = f"{link(found.id)}/report"
    return here


def analysis(found: Analysis, report: bytes | None = None) -> dict[str, Any]:
    """The document of one analysis; `report` is the stored JSON, None where it is not asked for or does not exist."""
    only = found.parts[0] if len(found.parts) == 1 else None
    return {
        "id": found.id,
        "state": found.state,
        "created_at": timestamp(found.created_at),
        "finished_at": timestamp(found.finished_at),
        "name": found.name,
        "bytes": found.bytes,
        "sha256": only and only.sha256,
        "blake3": only and only.blake3,
        "files": found.parts,
        "format": found.format,
        "framework": found.framework,
        "cached": found.cached,
        "links": links(found),
        "report": None if report is None else msgspec.Raw(report),
        "error": error(found),
    }


def error(found: Analysis) -> dict[str, Any] | None:
    """The problem a failed analysis ended with."""
    if found.error is None:
        return None
    return problem(found.error, request_id=found.request_id, instance=link(found.id))


def body(found: Analysis, report: bytes | None = None) -> bytes:
    """JSON of `analysis`."""
    return encode(analysis(found, report))


def listing(found: Sequence[Analysis], following: str | None) -> bytes:
    """JSON of one page; `following` is the address of the next, None on the last."""
    return encode({"items": [analysis(item) for item in found], "links": {"next": following}})
