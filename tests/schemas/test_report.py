"""The documented schemas and the types that are really encoded are one."""

from __future__ import annotations

import json
import typing

import msgspec
import pytest
from marshmallow import ValidationError, fields

from schemas import analysis, report
from schemas import blocks as documented_blocks
from schemas import costs as documented_costs
from schemas import measured as documented_measured
from service import blocks, costs, measured, tree
from service.enrich import pipeline
from service.jobs.records import STATES
from service.translation import encoder
from service.web import documents
from tests import builders

DOCUMENTED = {blocks: documented_blocks, costs: documented_costs, measured: documented_measured, tree: report}
PAIRS = {
    kind: getattr(documented, f"{name}Schema")
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
        assert field.allow_none == (type(None) in typing.get_args(types[name])), name
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
    for body in (documents.body(found), documents.body(found, encoder("en").encode(_report()))):
        loaded = analysis.AnalysisSchema().load(json.loads(body))
        assert (loaded["created_at"], loaded["finished_at"]) == ("1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.500Z")
