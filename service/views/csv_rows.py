"""A report as CSV (RFC 4180), a row a weight, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from service.measured import WeightStatistics
from service.translation import Say
from service.tree import Layer, Report, Weight
from service.views.escape import cell
from service.views.values import infinite

COLUMNS = (
    "layer_path",
    "layer_type",
    "layer_kind",
    "weight",
    "role",
    "shape",
    "dtype",
    "count",
    "bytes",
    "group",
    "trainable",
    "trainable_source",
    "tied_to",
    "stored_as",
    "min",
    "max",
    "mean",
    "std",
    "l2",
    "zeros",
    "nan",
    "inf",
)
"""What is measured stands at the end, and is empty where values were not looked at."""


def render(report: Report, say: Say) -> str:  # noqa: ARG001 - every view is called alike; columns have stable names
    """A header and a row for each weight of the model, then for each weight stored beside it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(_rows(report))
    return out.getvalue()


def _rows(report: Report) -> Iterator[list[str]]:
    for layer in report.layers:
        for weight in layer.weights:
            yield [*_layer_cells(layer), *_weight_cells(weight)]
    for state in report.states:
        for weight in state.weights:
            yield [cell(state.name), cell(state.type or ""), cell(state.group), *_weight_cells(weight)]


def _layer_cells(layer: Layer) -> list[str]:
    return [cell(layer.path), cell(layer.type or ""), cell(layer.kind)]


def _weight_cells(weight: Weight) -> list[str]:
    shape = "" if weight.shape is None else "x".join("?" if size is None else str(size) for size in weight.shape)
    return [
        cell(weight.name),
        cell(weight.role),
        shape,
        cell(weight.dtype or ""),
        _number(weight.count),
        _number(weight.bytes),
        weight.group,
        {True: "true", False: "false", None: ""}[weight.trainable],
        weight.trainable_source,
        cell(weight.tied_to or ""),
        cell(weight.stored_as or ""),
        *_measured(weight.statistics),
    ]


def _measured(seen: WeightStatistics | None) -> list[str]:
    if seen is None:
        return [""] * 8
    figures = (seen.min, seen.max, seen.mean, seen.std, seen.l2, seen.zeros, seen.nan, infinite(seen))
    return [_number(value) for value in figures]


def _number(value: float | None) -> str:
    return "" if value is None else str(value)
