"""Analyses and comparisons as JSON documents. What they answer is spliced in as bytes, never decoded here."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import msgspec

from service.jobs.records import Analysis, ComparisonJob
from service.splicing import Pieces, around
from service.translation import DEFAULT
from service.web.problems import encode, problem

PREFIX = "/v1/analyses"
COMPARISONS = "/v1/comparisons"


def link(identifier: str) -> str:
    """Where an analysis is found."""
    return f"{PREFIX}/{identifier}"


def public_id(found: Analysis) -> str:
    """The id a client knows: one that was derived for statistics is shown as the analysis it belongs to."""
    return found.parent_id or found.id


def timestamp(seconds: float | None) -> str | None:
    """Unix seconds as RFC 3339 in UTC, milliseconds."""
    if seconds is None:
        return None
    moment = dt.datetime.fromtimestamp(seconds, tz=dt.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def links(found: Analysis) -> dict[str, str]:
    """Where to go from an analysis."""
    here = {"self": link(public_id(found))}
    if found.state == "succeeded":
        here["report"] = f"{here['self']}/report{'?stats=true' if found.parent_id else ''}"
    return here


def analysis(found: Analysis, report: msgspec.Raw | None = None) -> dict[str, Any]:
    """The document of one analysis; `report` is its JSON, None where it is not asked for or does not exist."""
    only = found.parts[0] if len(found.parts) == 1 else None
    return {
        "id": public_id(found),
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
        "account": found.account or None,
        "options": found.options,
        "progress": found.progress,
        "links": links(found),
        "report": report,
        "error": error(found),
    }


def error(found: Analysis) -> dict[str, Any] | None:
    """The problem a failed analysis ended with."""
    if found.error is None:
        return None
    return problem(found.error, request_id=found.request_id, instance=link(public_id(found)))


def body(found: Analysis, report: Pieces | None = None, language: str = DEFAULT) -> Pieces:
    """JSON of `analysis` with its report; what a failed one ended with is said in `language`."""
    return _enclosing(lambda text: encode(analysis(found, text), language), report)


def comparison_body(found: ComparisonJob, answer: Pieces | None = None, language: str = DEFAULT) -> Pieces:
    """JSON of `comparison` with its answer."""
    return _enclosing(lambda text: encode(comparison(found, text), language), answer)


def _enclosing(encoded: Callable[[msgspec.Raw], bytes], within: Pieces | None) -> Pieces:
    before, behind = around(encoded)
    parts, size = within or Pieces((b"null",), 4)
    return Pieces(chain((before,), parts, (behind,)), len(before) + size + len(behind))


def listing(found: Sequence[Analysis], following: str | None, language: str = DEFAULT) -> bytes:
    """JSON of one page; `following` is the address of the next, None on the last."""
    return encode({"items": [analysis(item) for item in found], "links": {"next": following}}, language)


def comparison_links(found: ComparisonJob) -> dict[str, str]:
    """Where to go from a comparison."""
    return {"self": f"{COMPARISONS}/{found.id}", "left": link(found.left_id), "right": link(found.right_id)}


def comparison(found: ComparisonJob, answer: msgspec.Raw | None = None) -> dict[str, Any]:
    """The document of one comparison; `answer` is its JSON, None where there is none (yet)."""
    links = comparison_links(found)
    failed = found.error
    return {
        "id": found.id,
        "state": found.state,
        "created_at": timestamp(found.created_at),
        "finished_at": timestamp(found.finished_at),
        "values": found.values,
        "progress": found.progress,
        "cached": found.cached,
        "account": found.account or None,
        "links": links,
        "comparison": answer,
        "error": failed and problem(failed, request_id=found.request_id, instance=links["self"]),
    }
