"""The documented catalogue of kinds and the types that are really encoded are one."""

from __future__ import annotations

import json
import typing

import msgspec
import pytest

from schemas import kinds as documented
from service import kindinfo
from service.basis import Frozen
from service.enrich.kinds.catalogue import kinds
from service.translation import encoder

PAIRS = {
    kind: getattr(documented, f"{name}Schema")
    for name, kind in vars(kindinfo).items()
    if isinstance(kind, type) and issubclass(kind, Frozen) and name.startswith("Kind")
}


@pytest.mark.parametrize(("kind", "schema"), PAIRS.items(), ids=lambda item: item.__name__)
def test_every_field_is_documented_and_no_other(kind, schema):
    """Names, and whether null may stand there."""
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    documented_fields = schema().fields
    assert documented_fields.keys() == types.keys()
    for name, field in documented_fields.items():
        assert field.allow_none == (type(None) in typing.get_args(types[name])), name
        assert field.metadata["description"], name


def test_the_whole_catalogue_loads_through_its_schema():
    """What is sent is what is documented; unknown fields are refused."""
    sent = json.loads(encoder("en").encode(kinds()))
    documented.KindInfoSchema(many=True).load(sent)
