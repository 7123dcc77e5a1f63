"""Where the weights, the formula and the recorded configuration of a layer do not agree, as findings.

Knows how to compare, and whose word counts: a class concluded from names of weights contradicts nothing, nor does a
class that is not the framework's own.
"""

from __future__ import annotations

from typing import Any

from service.catalog.mismatch import mismatch_of, other_weights
from service.enrich.explanations.recipe import Claim, Recipe, evaluate, formula
from service.language import Message, msg, msgn
from service.tree import Finding, Frozen, Layer

MAX_LISTED = 50
"""Most layers named one by one."""


MAX_AXES = 16
"""Most sizes of a recorded setting that are looked at."""


class Contradiction(Frozen, frozen=True, kw_only=True):
    """A setting that the configuration records otherwise than the weights tell."""

    what: Message


def contradictions(layer: Layer, recipe: Recipe) -> list[Contradiction]:
    """The recorded settings that the shapes contradict."""
    return [] if not _is_sure(layer) else [found for claim in recipe.claims if (found := _held_against(layer, claim))]


def _is_sure(layer: Layer) -> bool:
    """Whether the class is the framework's own and was recorded."""
    return layer.type is not None and layer.type_source == "recorded" and not layer.custom


def _held_against(layer: Layer, claim: Claim) -> Contradiction | None:
    name, told = claim
    recorded = _comparable(layer.config.get(name), told)
    if recorded is None or recorded == told:
        return None
    return Contradiction(
        what=msg("The configuration says {setting}, but the weights have {setting_of_weights}.",
                 setting=f"{name}={_written(recorded)}", setting_of_weights=f"{name}={_written(told)}")
    )  # fmt: skip


def _comparable(recorded: Any, told: object) -> bool | int | tuple[int, ...] | None:
    """The recorded value as the shapes would tell it; None where it is of another sort and so tells nothing."""
    if isinstance(told, tuple):
        values = [recorded] * len(told) if type(recorded) is int else recorded
        if not isinstance(values, list | tuple) or not all(type(value) is int for value in values):
            return None
        return tuple(values[:MAX_AXES])
    return recorded if isinstance(recorded, bool | int) and type(recorded) is type(told) else None


def _written(value: object) -> str:
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, tuple) else str(value)


def misrecorded(layer: Layer, broken: list[Contradiction]) -> list[Finding]:
    """One finding per setting that is not what the weights tell."""
    return [
        Finding(
            rule="config_mismatch",
            severity="low",
            path=layer.path,
            what=one.what,
            why=msg("Whoever builds the layer from its configuration gets other weights than the file holds."),
            action=msg("Save the model again from the code that made it, or correct the configuration."),
        )
        for one in broken
    ]


def mismatch(layer: Layer, recipe: Recipe, total: int) -> list[Finding]:
    """The finding of a formula that does not give the count; none where the class is only concluded."""
    if not _is_sure(layer):
        return []
    return [
        mismatch_of(
            layer,
            msg("{type} with these sizes has {expected} weights ({formula}), but the file holds {total}.",
                type=layer.type, expected=evaluate(recipe.sums), formula=formula(recipe.sums), total=total),
        )
    ]  # fmt: skip


def unassigned(layer: Layer, framework: str) -> Finding | None:
    """The finding of a Keras layer whose stored weights are not those that its configuration asks for."""
    held = [weight for weight in layer.weights if weight.role == "weight"]
    if framework != "keras" or not _is_sure(layer) or not held or not layer.config:
        return None
    return other_weights(layer)


def with_rest(found: list[Finding]) -> list[Finding]:
    """The findings, with one in place of those beyond what anybody would read."""
    more = len(found) - MAX_LISTED
    if more <= 0:
        return found
    rest = Finding(
        rule=found[MAX_LISTED].rule,
        severity="low",
        what=msgn(
            "{n} more finding of this kind is not listed.", "{n} more findings of this kind are not listed.", n=more
        ),
    )
    return [*found[:MAX_LISTED], rest]
