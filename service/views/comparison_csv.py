"""A comparison as CSV (RFC 4180), a row a pair of weights or of layers without any; headings are in no language."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from service.comparisons import Comparison, Difference, LayerPair, WeightPair
from service.translation import Say
from service.views.escape import cell

COLUMNS = (
    "left_layer",
    "right_layer",
    "kind",
    "status",
    "changes",
    "role",
    "left_weight",
    "right_weight",
    "left_count",
    "right_count",
    "transform",
    "verdict",
    "max_absolute",
    "max_relative",
    "cosine",
    "notes",
)


def render(comparison: Comparison, say: Say) -> str:
    """A header, and the rows of all layers, equal ones too."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for pair in comparison.layers:
        writer.writerows(_rows(pair, say))
    return out.getvalue()


def _rows(pair: LayerPair, say: Say) -> Iterator[list[str]]:
    changes = cell(" ".join(say(change) for change in pair.changes))
    layer = [cell(pair.left or ""), cell(pair.right or ""), cell(pair.kind), pair.status, changes]
    for weight in pair.weights:
        yield layer + _weight(weight, say)
    if not pair.weights:
        yield layer + [""] * (len(COLUMNS) - len(layer))


def _weight(weight: WeightPair, say: Say) -> list[str]:
    difference = weight.difference or Difference(verdict="unknown")
    return [
        cell(weight.role),
        cell(" + ".join(weight.left)),
        cell(" + ".join(weight.right)),
        _number(weight.left_count),
        _number(weight.right_count),
        cell(weight.transform.code) if weight.transform else "",
        weight.difference.verdict if weight.difference else "",
        _number(difference.max_absolute),
        _number(difference.max_relative),
        _number(difference.cosine),
        cell(" ".join(say(note) for note in weight.notes)),
    ]


def _number(value: float | None) -> str:
    return "" if value is None else repr(value)
