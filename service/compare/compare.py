"""Compares two reports: aligns, explains the gap in counts, converts settings, and tells what the numbers prove.

Knows the order of the steps; must not know framework conventions, nor NumPy unless values are given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.basis import Status
from service.compare.beside import weightless
from service.compare.causes import cause
from service.compare.counting import counted, shares
from service.compare.hyperparameters import hyperparameters
from service.compare.matched import Match, match
from service.compare.notes import notes, repaired
from service.compare.pairs import layer_pairs
from service.compare.proof import proved
from service.compare.summary import summary
from service.comparisons import Comparison, HyperParameter, LayerPair, Problem, Side
from service.language import Message
from service.tree import Layer, Report

if TYPE_CHECKING:
    from service.compare.judging import Judged
    from service.values.pair import PairOfValues

SCHEMA_VERSION = "1.0"


def compare(left: Report, right: Report, values: PairOfValues | None = None) -> Comparison:
    """How `right` differs from `left`, and why. Total: any two reports can be compared.

    With `values` the numbers of every pair are compared after its transform, and what differs is diagnosed.
    Weights whose values cannot be read get the verdict `unknown` with the reason, and `status` is partial.
    """
    matched = match(left, right)
    judged = None if values is None else _judged(matched, values)
    matched = matched if judged is None else judged.match
    problems = () if judged is None else judged.problems
    settings = tuple(hyperparameters(matched, _layers(matched)))
    pairs = layer_pairs(matched, settings, {} if judged is None else judged.differences, _by_layers(problems))
    found = shares(matched)
    ours, theirs = counted(left), counted(right)
    gap = None if ours is None or theirs is None else theirs - ours
    unexplained = None if gap is None else gap - sum(share.count for share in found)
    frameworks = left.model.framework, right.model.framework
    causes = tuple(cause(share, frameworks) for share in found)
    differing = () if judged is None or matched.one_framework else tuple(each for each in settings if not _same(each))
    said = summary((ours, gap, unexplained), causes, pairs, problems, differing)
    return Comparison(
        schema_version=SCHEMA_VERSION,
        summary=said
        if judged is None
        else proved(said, pairs, problems, judged.unexplained, converted=not matched.one_framework, apart=judged.apart),
        status=_status(left, right, gap, pairs),
        left=_side(left, ours),
        right=_side(right, theirs),
        gap=gap,
        unexplained=unexplained,
        causes=causes,
        layers=pairs,
        hyperparameters=settings,
        values=values is not None,
        problems=problems,
        notes=(*notes(matched, settings), *(() if judged is None else repaired(judged.repaired))),
    )


def _same(setting: HyperParameter) -> bool:
    """Whether a setting is the same on both sides, or nobody knows."""
    return setting.equal is not False


def _layers(matched: Match) -> list[tuple[Layer, Layer]]:
    """Pairs of layers, those with weights first, each once."""
    found = {
        (pair.left.layer.path, pair.right.layer.path): (pair.left.layer, pair.right.layer)
        for pair in matched.pairs
        if pair.left is not None and pair.right is not None
    }
    return [*found.values(), *weightless(matched)[0]]


def _judged(matched: Match, values: PairOfValues) -> Judged:
    from service.compare.judging import judge  # noqa: PLC0415 - NumPy is there only where values are read

    return judge(matched, values)


def _by_layers(problems: tuple[Problem, ...]) -> dict[tuple[str | None, str | None], list[Message]]:
    """Problems by the pair of layers that they are about, left first."""
    found: dict[tuple[str | None, str | None], list[Message]] = {}
    for problem in problems:
        for place in range(0, len(problem.layers) - 1, 2):
            found.setdefault((problem.layers[place], problem.layers[place + 1]), []).append(problem.text)
    return found


def _status(left: Report, right: Report, gap: int | None, pairs: tuple[LayerPair, ...]) -> Status:
    known = left.totals.status == right.totals.status == "complete" and gap is not None
    differences = [weight.difference for pair in pairs for weight in pair.weights]
    read = all(difference is None or difference.verdict != "unknown" for difference in differences)
    return "complete" if known and read else "partial"


def _side(report: Report, total: int | None) -> Side:
    return Side(name=report.model.name, framework=report.model.framework, format=report.model.format, counted=total,
                layers=len(report.layers))  # fmt: skip
