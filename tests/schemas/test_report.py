"""The documented schemas and the types that are really encoded are one."""

from __future__ import annotations

import json
import typing

import msgspec
import pytest
from marshmallow import ValidationError, fields

from schemas import analysis, report
from schemas import blocks as documented_blocks
from schemas import comparison as documented_comparison
from schemas import costs as documented_costs
from schemas import measured as documented_measured
from service import blocks, comparisons, costs, measured, tree
from service.enrich import pipeline
from service.jobs.records import STATES
from service.splicing import Pieces
from service.translation import encoder
from service.web import documents
from tests import builders, fakes

DOCUMENTED = {
    comparisons: documented_comparison,
    blocks: documented_blocks,
    costs: documented_costs,
    measured: documented_measured,
    tree: report,
}
SCHEMAS = {comparisons.Problem: "ProblemOfValuesSchema"}
"""Those that are not called as their type: that name is taken."""
PAIRS = {
    kind: getattr(documented, SCHEMAS.get(kind) or f"{name}Schema")
    for module, documented in DOCUMENTED.items()
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, tree.Frozen) and name not in ("Frozen", "Model")
}


@pytest.mark.parametrize(("kind", "schema"), PAIRS.items(), ids=lambda item: item.__name__)
def test_every_field_is_documented_and_no_other(kind, schema):
    """Names, and whether null may stand there."""
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    documented = schema().fields
    assert documented.keys() == types.keys()
    for name, field in documented.items():
        may_be_null = types[name] is typing.Any or type(None) in typing.get_args(types[name])
        assert field.allow_none == may_be_null, name
        assert field.required, name
        assert field.metadata["description"], name


@pytest.mark.parametrize(("kind", "schema"), PAIRS.items(), ids=lambda item: item.__name__)
def test_nested_types_have_their_own_schemas(kind, schema):
    """A list of layers is documented as a list of LayerSchema, and so on."""
    for field in msgspec.structs.fields(kind):
        inner = next((found for found in _structs(field.type)), None)
        documented = schema().fields[field.name]
        nested = documented.inner if isinstance(documented, fields.List) else documented
        assert (type(nested.schema) if isinstance(nested, fields.Nested) else None) is (PAIRS[inner] if inner else None)


def _structs(annotation):
    if isinstance(annotation, type) and issubclass(annotation, tree.Frozen):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _structs(argument)


def test_choices_are_those_of_the_types():
    """Groups, sources, statuses, severities and states."""
    assert typing.get_args(tree.Group) == report.GROUPS
    assert typing.get_args(tree.Source) == report.SOURCES
    assert typing.get_args(tree.Status) == report.STATUSES
    assert typing.get_args(tree.Severity) == report.SEVERITIES
    assert STATES == analysis.STATES
    assert typing.get_args(comparisons.Verdict) == documented_comparison.VERDICTS
    statuses = typing.get_type_hints(comparisons.LayerPair)["status"]
    assert typing.get_args(statuses) == documented_comparison.PAIR_STATUSES


def _report():
    weights = (
        builders.weight("kernel", (3, 4), "kernel"),
        builders.weight("bias", (4,), "bias", location=tree.Location(offset=3)),
    )
    layers = (
        builders.layer(
            "a", "linear", *weights, type="Dense", output_shapes=((None, 4),), config={"units": 4, "x": None}
        ),
    )
    state = tree.State(name="optimizer", group="optimizer", weights=weights[:1])
    danger = tree.Danger(code="keras_lambda", severity="critical", what="Code.")
    return builders.report(pipeline.enrich(builders.model("keras", *layers, states=(state,), security=(danger,))))


def test_an_encoded_report_loads_with_unknown_fields_refused():
    """What is stored is what is documented; one field more is not."""
    encoded = json.loads(encoder("en").encode(_report()))
    report.ReportSchema().load(encoded)
    with pytest.raises(ValidationError):
        report.ReportSchema().load({**encoded, "surprise": 1})


def test_analyses_load_through_their_schema():
    """With and without a report."""
    found = documents.Analysis(
        id="x", state="succeeded", created_at=0.0, finished_at=1.5, name="n", bytes=1, key="k", report_id=1
    )
    text = encoder("en").encode(_report())
    for parts, size in (documents.body(found), documents.body(found, Pieces((text,), len(text)))):
        body = b"".join(parts)
        assert len(body) == size
        loaded = analysis.AnalysisSchema().load(json.loads(body))
        assert (loaded["created_at"], loaded["finished_at"]) == ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.500Z")


def test_comparisons_load_through_their_schema():
    """With and without an answer."""
    found = documents.ComparisonJob(
        id="x", state="succeeded", created_at=0.0, left_id="l", right_id="r", values=True, report_id=1
    )
    answer = encoder("en").encode(fakes.comparison(_report(), _report(), values=True))
    with_answer = documents.comparison_body(found, Pieces((answer,), len(answer)))
    for parts, size in (documents.comparison_body(found), with_answer):
        body = b"".join(parts)
        assert len(body) == size
        loaded = documented_comparison.ComparisonJobSchema().load(json.loads(body))
        assert loaded["links"]["left"] == "/v1/analyses/l"
