"""A comparison of two models, as it is documented and checked; mirrors `service.comparisons`, and a test holds both."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.analysis import STATES, ProblemSchema
from schemas.shorthand import (
    STATUSES,
    boolean,
    choice,
    integer,
    json_object,
    nested,
    nested_list,
    number,
    sentence,
    sentences,
    shape,
    string,
    strings,
)

VERDICTS = ("equal", "close", "different", "unknown")
PAIR_STATUSES = ("equal", "changed", "renamed", "added", "removed")


def _any(description: str) -> fields.Raw:
    """Any JSON value."""
    return fields.Raw(required=True, allow_none=True, metadata={"description": description})


class DifferenceSchema(Schema):
    """How the numbers of two weights differ after the transform."""

    verdict = choice("equal, close (within rounding of the coarser dtype), different; unknown if not read.", VERDICTS)
    max_absolute = number("Largest difference of two values.", null=True)
    max_relative = number("The same, relative to the larger of the two.", null=True)
    cosine = number("Cosine similarity of all values.", null=True)
    reason = sentence("Why nothing is known.", null=True)


class TransformSchema(Schema):
    """How the left weight becomes the right one."""

    code = string("identity, transpose, permute, flatten_order, gate_order, bias_sum ...; several joined by ' + '.")
    text = sentence("The same in words.")
    parameters = json_object("What it needs to be carried out, such as axes.")


class WeightPairSchema(Schema):
    """Two weights, or several, that are the same thing; or one without a counterpart."""

    left = strings("Names of the left weights; empty if there is no counterpart.")
    right = strings("Names of the right weights; empty if there is no counterpart.")
    role = string("What they are, in one vocabulary for all frameworks.")
    left_count = integer("Elements on the left.", null=True)
    right_count = integer("Elements on the right.", null=True)
    transform = nested(TransformSchema, "How the left becomes the right.", null=True)
    difference = nested(DifferenceSchema, "How the values differ; null unless values are compared.", null=True)
    left_rows = shape("Start and stop of the left weight's rows, where a weight is split; else null.", null=True)
    right_rows = shape("Start and stop of the right weight's rows, where a weight is split; else null.", null=True)
    notes = sentences("What else is worth knowing.")


class LayerPairSchema(Schema):
    """Two layers that are the same thing, or one without a counterpart."""

    left = string("Path of the left layer; null if it was added.", null=True)
    right = string("Path of the right layer; null if it was removed.", null=True)
    kind = string("What it is, in one vocabulary for all frameworks.")
    status = choice("Whether it stayed as it is.", PAIR_STATUSES)
    changes = sentences("What differs.")
    weights = nested_list(WeightPairSchema, "Its weights.")


class CauseSchema(Schema):
    """Why the two counts differ."""

    code = string("Stable identifier.")
    count = integer("Its share of the gap: right minus left, signed.")
    text = sentence("The cause in a sentence.")
    layers = strings("Paths of the layers it concerns, on either side.")


class ProblemOfValuesSchema(Schema):
    """What is wrong with the values of a conversion."""

    code = string("gate_order, not_transposed, flatten_order, mean_variance_swapped ...; ambiguous; different.")
    text = sentence("The same in words.")
    layers = strings("Paths of the layers it concerns, left first.")


class HyperParameterSchema(Schema):
    """A setting that both layers have, in each framework's convention."""

    left = string("Path of the left layer.")
    right = string("Path of the right layer.")
    name = string("The setting.")
    left_value = _any("As the left framework has it.")
    right_value = _any("As the right framework has it.")
    converted = _any("The left value in the right framework's convention.")
    equal = boolean("Whether converted and right value are the same; null if nobody can tell.", null=True)
    text = sentence("The convention in words.", null=True)


class SideSchema(Schema):
    """One of the two models."""

    name = string("Its name.", null=True)
    framework = string("As in a report.")
    format = string("What it was read as.")
    counted = integer("The number its own framework prints for it.", null=True)
    layers = integer("How many layers it has.")


class ComparisonSchema(Schema):
    """Two models, aligned and compared."""

    schema_version = string("Version of this format.")
    summary = sentence("The answer in one sentence that can be quoted.")
    status = choice("partial where a size or value is not known.", STATUSES)
    left = nested(SideSchema, "The left model.")
    right = nested(SideSchema, "The right model.")
    gap = integer("Right minus left in what each framework counts.", null=True)
    unexplained = integer("What of the gap no cause accounts for; 0 when all of it is explained.", null=True)
    causes = nested_list(CauseSchema, "Why the counts differ; together they are the gap but for what is unexplained.")
    problems = nested_list(ProblemOfValuesSchema, "What is wrong with the values; found only where they were compared.")
    layers = nested_list(LayerPairSchema, "Aligned layers.")
    hyperparameters = nested_list(HyperParameterSchema, "Settings in both conventions.")
    values = boolean("Whether the numbers were compared.")
    notes = sentences("What is partial or ambiguous and why.")


class ComparisonLinksSchema(Schema):
    """Where to go on."""

    self = string("The comparison.")
    left = string("The left analysis.")
    right = string("The right analysis.")


class ComparisonJobSchema(Schema):
    """A comparison as a resource."""

    id = string("Its id; later ones sort behind.")
    state = choice("Its state; nothing changes after succeeded, failed and cancelled.", STATES)
    created_at = string("RFC 3339, UTC.")
    finished_at = string("RFC 3339, UTC.", null=True)
    values = boolean("Whether the numbers are compared too.")
    progress = number("Share of the values that is read, 0 to 1, while it runs; else null.", null=True)
    cached = boolean("Whether it was answered from the stored comparison of the same models.")
    account = string("Whose it is; null where no key was needed.", null=True)
    links = nested(ComparisonLinksSchema, "Where to go on.")
    comparison = nested(ComparisonSchema, "The comparison, once it succeeded.", null=True)
    error = nested(ProblemSchema, "The problem it failed with.", null=True)
