"""What all views of a comparison say, in the reader's language; knows the comparison, no layout.

Layers that differ in the same way are told once: a renamed model of a thousand layers reads in a screen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from functools import reduce

import msgspec

from service.basis import Frozen
from service.comparisons import Cause, Comparison, Difference, HyperParameter, LayerPair, Problem, Side, WeightPair
from service.language import Message, msg, sentences, verbatim
from service.translation import Say

MAX_LINES = 200
"""Most lines of one section in a view for eyes; CSV and JSON hold all."""
_MAX_NAMES = 5
_MAX_VALUE = 80

MODELS = msg("Models")
CAUSES = msg("Why the counts differ")
PROBLEMS = msg("What is wrong with the values")
SETTINGS = msg("Hyper-parameters")
LAYERS = msg("Layers that differ")
NOTES = msg("Notes")
SIDE_HEADINGS = (msg("Model"), msg("Name"), msg("Framework"), msg("Format"), msg("Layers"), msg("Counted"))
CAUSE_HEADINGS = (msg("Difference"), msg("Cause"), msg("Layers"), msg("Why"))
PROBLEM_HEADINGS = (msg("Code"), msg("Layers"), msg("What"))
SETTING_HEADINGS = (msg("Setting"), msg("Left layer"), msg("Right layer"), msg("Left"), msg("Converted"), msg("Right"))
LAYER_HEADINGS = (msg("Status"), msg("Kind"), msg("Left layer"), msg("Right layer"), msg("What differs"))
STATUSES = {
    "equal": msg("same structure"),
    "changed": msg("changed"),
    "renamed": msg("renamed"),
    "added": msg("added"),
    "removed": msg("removed"),
}
_VERDICTS = {
    "equal": msg("equal values"),
    "close": msg("close values"),
    "different": msg("different values"),
    "unknown": msg("values not known"),
}


class Fold(Frozen, frozen=True, kw_only=True):
    """Layer pairs that differ in the same way: the first of them, and how many there are."""

    first: LayerPair
    count: int


def signed(value: int | None) -> str:
    """Thousands separated, with its sign; `?` if unknown."""
    return "?" if value is None else f"{value:+,}" if value else "0"


def side_cells(comparison: Comparison, say: Say) -> list[tuple[str, ...]]:
    """A row for each model, under `SIDE_HEADINGS`."""
    sides = ((msg("left"), comparison.left), (msg("right"), comparison.right))
    return [(say(which), *_side(side)) for which, side in sides]


def _side(side: Side) -> tuple[str, ...]:
    counted = "?" if side.counted is None else f"{side.counted:,}"
    return side.name or "", side.framework, side.format, f"{side.layers:,}", counted


def gap_text(comparison: Comparison, say: Say) -> str:
    """The gap, and what of it is not explained."""
    gap, left = signed(comparison.gap), signed(comparison.unexplained)
    return say(msg("Right minus left: {gap}; not explained: {unexplained}.", gap=gap, unexplained=left))


def cause_cells(cause: Cause, say: Say) -> tuple[str, ...]:
    """A row under `CAUSE_HEADINGS`."""
    return signed(cause.count), cause.code, names(cause.layers, say), say(cause.text)


def problem_cells(problem: Problem, say: Say) -> tuple[str, ...]:
    """A row under `PROBLEM_HEADINGS`."""
    return problem.code, names(problem.layers, say), say(problem.text)


def names(paths: tuple[str, ...], say: Say) -> str:
    """The first few paths, and how many more there are."""
    if len(paths) <= _MAX_NAMES:
        return ", ".join(paths)
    return say(msg("{paths} and {more} more", paths=", ".join(paths[:_MAX_NAMES]), more=len(paths) - _MAX_NAMES))


def settings(comparison: Comparison) -> list[HyperParameter]:
    """Hyper-parameters that are not, or not known to be, the same on both sides once converted."""
    return [found for found in comparison.hyperparameters if found.equal is not True]


def equal_settings(comparison: Comparison, say: Say) -> str | None:
    """How many hyper-parameters are the same on both sides; None if none is."""
    count = len(comparison.hyperparameters) - len(settings(comparison))
    return say(msg("Equal once converted: {count}.", count=count)) if count else None


def setting_cells(found: HyperParameter) -> tuple[str, ...]:
    """A row under `SETTING_HEADINGS`."""
    values = (found.left_value, found.converted, found.right_value)
    return found.name, found.left, found.right, *(value_text(value) for value in values)


def value_text(value: object) -> str:
    """A value of a config as JSON, cut to what a cell can hold."""
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def folds(comparison: Comparison) -> list[Fold]:
    """Pairs that are not plainly equal, those that differ in the same way together, in order of the first."""
    firsts: dict[Hashable, LayerPair] = {}
    counts: Counter[Hashable] = Counter()
    for pair in comparison.layers:
        if pair.status != "equal" or pair.changes or any(_tells(weight) for weight in pair.weights):
            likeness = _likeness(pair)
            firsts.setdefault(likeness, pair)
            counts[likeness] += 1
    return [Fold(first=first, count=counts[likeness]) for likeness, first in firsts.items()]


def _tells(weight: WeightPair) -> bool:
    """Whether something about this weight is worth telling even where its layers have the same structure."""
    differs = weight.difference is not None and weight.difference.verdict in ("different", "unknown")
    return differs or bool(weight.notes)


def _likeness(pair: LayerPair) -> Hashable:
    """What is the same for layer pairs that are told together: everything but names and numbers."""
    weights = tuple(
        (
            weight.role,
            len(weight.left),
            len(weight.right),
            weight.transform and weight.transform.code,
            weight.difference and weight.difference.verdict,
            weight.notes,
        )
        for weight in pair.weights
    )
    return pair.left is None, pair.right is None, pair.kind, pair.status, pair.changes, weights


def layer_cells(fold: Fold, say: Say) -> tuple[str, ...]:
    """A row under `LAYER_HEADINGS`."""
    pair = fold.first
    status = f"{say(STATUSES[pair.status])}{f' × {fold.count:,}' if fold.count > 1 else ''}"
    return (
        status,
        pair.kind,
        path_text(pair.left),
        path_text(pair.right),
        say(sentences(*map(verbatim, details(pair, say)))),
    )


def path_text(path: str | None) -> str:
    """The layer's path; a dash where there is no such layer."""
    return "—" if path is None else path


def details(pair: LayerPair, say: Say) -> list[str]:
    """What differs in a pair of layers, a sentence each: of the layer, then of its weights."""
    changes = [say(change) for change in pair.changes]
    if pair.left is None or pair.right is None:
        return changes
    return changes + [_weight(weight, say) for weight in pair.weights if _tells(weight) or _differs(weight)]


def _differs(weight: WeightPair) -> bool:
    transformed = weight.transform is not None and weight.transform.code != "identity"
    return transformed or not (weight.left and weight.right)


def _weight(weight: WeightPair, say: Say) -> str:
    parts = [weight_names(weight)]
    if weight.transform is not None and weight.transform.code != "identity":
        parts.append(say(weight.transform.text))
    if weight.difference is not None:
        parts.append(difference_text(weight.difference, say))
    told = [part.rstrip(".。") for part in [*parts, *(say(note) for note in weight.notes)]]
    both = reduce(lambda one, other: say(msg("{one}; {other}", one=one, other=other)), told)
    return say(msg("{sentence}.", sentence=both))


def weight_names(weight: WeightPair) -> str:
    """`kernel → weight`; a dash where there is no counterpart."""
    left, right = (" + ".join(side) or "—" for side in (weight.left, weight.right))
    return left if left == right else f"{left} → {right}"


def difference_text(found: Difference, say: Say) -> str:
    """The verdict on the values, and by how much they differ."""
    said = say(_VERDICTS[found.verdict])
    if found.reason is not None:
        return _in_brackets(said, say(found.reason).rstrip(".。"), say)
    if found.verdict == "equal":
        return said
    figures = (("max |Δ|", found.max_absolute), ("max |Δ|/|x|", found.max_relative), ("cos", found.cosine))
    shown = [f"{label} {value:.3g}" for label, value in figures if value is not None]
    return _in_brackets(said, ", ".join(shown), say) if shown else said


def _in_brackets(said: str, more: str, say: Say) -> str:
    return say(msg("{said} ({more})", said=said, more=more))


def verdict_text(comparison: Comparison, say: Say) -> str | None:
    """How many weights have which verdict; None where values were not compared."""
    counts: Counter[str] = Counter(
        weight.difference.verdict for pair in comparison.layers for weight in pair.weights if weight.difference
    )
    if not counts:
        return None
    shown = tuple(
        msg("{verdict}: {count}", verdict=said, count=counts[verdict])
        for verdict, said in _VERDICTS.items()
        if counts[verdict]
    )
    return say(msg("Weights with {verdicts}.", verdicts=shown))


def equal_layers(comparison: Comparison, shown: list[Fold], say: Say) -> str:
    """How many pairs of layers have nothing to be told of."""
    count = len(comparison.layers) - sum(fold.count for fold in shown)
    return say(msg("Layers without a difference: {count}.", count=count))


def left_out(count: int, say: Say) -> str:
    """That there are more lines than are shown."""
    return say(msg("{count} more are left out here; JSON and CSV hold all.", count=count))


class Section(Frozen, frozen=True, kw_only=True):
    """One table of a comparison, and what is said below it."""

    heading: Message
    headings: tuple[Message, ...]
    lines: tuple[tuple[str, ...], ...]
    below: tuple[str, ...] = ()


def sections(comparison: Comparison, say: Say) -> Iterator[Section]:
    """The tables of every page for eyes, in order; at most `MAX_LINES` lines each, and how many are left out."""
    found = folds(comparison)
    told = gap_text(comparison, say), verdict_text(comparison, say)
    yield _section(MODELS, SIDE_HEADINGS, side_cells(comparison, say), say, *told)
    yield _section(CAUSES, CAUSE_HEADINGS, [cause_cells(cause, say) for cause in comparison.causes], say)
    yield _section(PROBLEMS, PROBLEM_HEADINGS, [problem_cells(problem, say) for problem in comparison.problems], say)
    lines = [setting_cells(setting) for setting in settings(comparison)]
    yield _section(SETTINGS, SETTING_HEADINGS, lines, say, equal_settings(comparison, say))
    lines = [layer_cells(fold, say) for fold in found]
    yield _section(LAYERS, LAYER_HEADINGS, lines, say, equal_layers(comparison, found, say))


def _section(
    heading: Message, headings: tuple[Message, ...], lines: Sequence[tuple[str, ...]], say: Say, *below: str | None
) -> Section:
    more = len(lines) - MAX_LINES
    said = [left_out(more, say) if more > 0 else None, *below]
    return Section(
        heading=heading, headings=headings, lines=tuple(lines[:MAX_LINES]), below=tuple(text for text in said if text)
    )
