"""Short ways to write documented, strict fields: a schema should read like a table. Knows marshmallow only."""

from __future__ import annotations

from typing import Any, TypeVar

from marshmallow import fields, validate
from marshmallow.types import StrSequenceOrSet

F = TypeVar("F", bound=fields.Field[Any])

STATUSES = ("complete", "partial", "unavailable")
"""How far a number is known."""


def _about(description: str) -> dict[str, Any]:
    return {"description": description}


def string(description: str, *, null: bool = False, pattern: str | None = None) -> fields.String:
    """A string; may be null where `null`."""
    checks = validate.Regexp(pattern) if pattern else None
    return fields.String(required=True, allow_none=null, validate=checks, metadata=_about(description))


def optional(field: F) -> F:
    """A field that may be left out."""
    field.required = False
    return field


def sentence(description: str, *, null: bool = False) -> fields.String:
    """A sentence for a person, in the language that was asked for."""
    return string(description, null=null)


def sentences(description: str) -> fields.List[Any]:
    """A list of sentences."""
    return strings(description)


def choice(description: str, values: StrSequenceOrSet, *, null: bool = False) -> fields.String:
    """One of fixed strings."""
    checks = validate.OneOf([*values, None] if null else list(values))
    return fields.String(required=True, allow_none=null, validate=checks, metadata=_about(description))


def integer(description: str, *, null: bool = False) -> fields.Integer:
    """A whole number of any size."""
    return fields.Integer(required=True, strict=True, allow_none=null, metadata=_about(description))


def number(description: str, *, null: bool = False) -> fields.Float:
    """A number."""
    return fields.Float(required=True, allow_none=null, metadata=_about(description))


def boolean(description: str, *, null: bool = False) -> fields.Boolean:
    """Either true or false."""
    return fields.Boolean(required=True, allow_none=null, truthy={True}, falsy={False}, metadata=_about(description))


def json_object(description: str) -> fields.Dict:
    """An object of any JSON values."""
    return fields.Dict(
        keys=fields.String(), values=fields.Raw(allow_none=True), required=True, metadata=_about(description)
    )


def mapping(description: str, values: fields.Field[Any], *, null: bool = False) -> fields.Dict:
    """An object whose values are all of one kind."""
    return fields.Dict(
        keys=fields.String(), values=values, required=True, allow_none=null, metadata=_about(description)
    )


def strings(description: str, *, null: bool = False) -> fields.List[Any]:
    """A list of strings."""
    return fields.List(fields.String(), required=True, allow_none=null, metadata=_about(description))


def integers(description: str, *, null: bool = False) -> fields.List[Any]:
    """A list of whole numbers."""
    return fields.List(fields.Integer(strict=True), required=True, allow_none=null, metadata=_about(description))


def numbers(description: str, *, null: bool = False) -> fields.List[Any]:
    """A list of numbers; null for one that is not finite."""
    return fields.List(fields.Float(allow_none=True), required=True, allow_none=null, metadata=_about(description))


def nested(schema: Any, description: str, *, null: bool = False) -> fields.Nested:
    """An object of another schema."""
    return fields.Nested(schema, required=True, allow_none=null, metadata=_about(description))


def nested_list(schema: Any, description: str) -> fields.List[Any]:
    """A list of objects of another schema."""
    return fields.List(fields.Nested(schema), required=True, metadata=_about(description))


def shape(description: str, *, null: bool = False) -> fields.List[Any]:
    """Sizes along each axis; null where a size is not fixed."""
    return fields.List(
        fields.Integer(strict=True, allow_none=True), required=True, allow_none=null, metadata=_about(description)
    )


def shapes(description: str, *, null: bool = False) -> fields.List[Any]:
    """A list of shapes."""
    inner = fields.List(fields.Integer(strict=True, allow_none=True))
    return fields.List(inner, required=True, allow_none=null, metadata=_about(description))
