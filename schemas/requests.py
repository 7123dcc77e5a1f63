"""Query parameters and bodies, checked; what is not known is refused rather than ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, pre_load, validate

from schemas.analysis import STATES
from service.language import Message, msg
from service.translation import LANGUAGES

MAX_WAIT = 60.0
MAX_PAGE = 200
MAX_BATCH = 1 << 20
MAX_TEXT = 4096
MAX_ID = 100
ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
WAIT = "Seconds to wait for the end."
REPORT_FORMATS = ("json", "text", "csv", "markdown", "html", "svg", "dot", "mermaid")
COMPARISON_FORMATS = ("json", "text", "csv", "markdown", "html")
LEVELS = ("block", "layer")

UNKNOWN, NO_NUMBER, NO_BOOLEAN, TWICE = (
    msg("It is not known."),
    msg("It is not a number."),
    msg("It is neither true nor false."),
    msg("It is given twice."),
)


FLAG_MESSAGES: Any = {"invalid": [NO_BOOLEAN], "null": [NO_BOOLEAN]}


class Between(validate.Range):
    """A number from `min` to `max`; what it says of another is a message."""

    def __call__(self, value: Any) -> Any:
        """`value`, or ValidationError; a NaN is between nothing."""
        if not self.min <= value <= self.max:
            raise refused(msg("It must be from {least} to {most}.", least=self.min, most=self.max))
        return value


class OneOf(validate.OneOf):
    """One of some words; what it says of another is a message."""

    def __call__(self, value: Any) -> Any:
        """`value`, or ValidationError."""
        if value not in self.choices:
            raise refused(msg("It must be one of: {choices}.", choices=[*self.choices]))
        return value


class OneTag(OneOf):
    """One of some language tags; letter case has no meaning in them (BCP 47)."""

    def __call__(self, value: Any) -> Any:
        """`value`, or ValidationError."""
        known = {tag.lower(): tag for tag in self.choices}
        return super().__call__(known.get(value.lower(), value))


class Flag(fields.Boolean):
    """`true` or `false` of JSON; not the numbers that Python takes for them."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Shaped(validate.Regexp):
    """A text of a form; what it says of another is a message."""

    def __call__(self, value: Any) -> Any:
        """`value`, or ValidationError."""
        if self.regex.match(value) is None:
            raise refused(msg("It is not of the form that is described."))
        return value


class Short(validate.Length):
    """A text up to `max` characters; what it says of a longer one is a message."""

    def __call__(self, value: Any) -> Any:
        """`value`, or ValidationError."""
        if self.max is not None and len(value) > self.max:
            raise refused(msg("It is longer than {most} characters.", most=self.max))
        return value


def refused(reason: Message) -> ValidationError:
    """A reason as marshmallow raises it."""
    reasons: list[Any] = [reason]  # said when the problem is written
    return ValidationError(reasons)


def _text(description: str, *checks: Any, most: int = MAX_TEXT, **more: Any) -> fields.String:
    return fields.String(validate=[Short(max=most), *checks], metadata={"description": description, **more})


def _flag(description: str) -> fields.Boolean:
    return fields.Boolean(
        truthy={"true", "1", "yes"},
        falsy={"false", "0", "no"},
        error_messages=FLAG_MESSAGES,
        metadata={"description": description},
    )


def _number(kind: type[fields.Number[Any]], check: Between, description: str, **more: Any) -> Any:
    messages: Any = {name: [NO_NUMBER] for name in ("invalid", "special", "too_large")}
    return kind(validate=check, error_messages=messages, metadata={"description": description}, **more)


def _language() -> fields.String:
    known = ", ".join(LANGUAGES)
    return fields.String(
        validate=OneTag(LANGUAGES),
        metadata={"description": f"Language of the sentences: {known}; wins over Accept-Language."},
    )


def _id(description: str) -> fields.String:
    messages: Any = {"required": [msg("It is missing.")], "invalid": [msg("It is not a text.")]}
    messages["null"] = messages["required"]
    return fields.String(
        required=True, validate=Short(max=MAX_ID), error_messages=messages, metadata={"description": description}
    )


class Query(Schema):
    """What every query may hold."""

    error_messages: Any = {"unknown": UNKNOWN}  # noqa: RUF012 - as marshmallow has it

    lang = _language()

    @pre_load
    def once(self, data: Mapping[str, Any], **_: Any) -> Mapping[str, Any]:
        """The parameters; one that is given twice has no meaning."""
        values = getattr(data, "getlist", None)
        twice = [name for name in data if values is not None and len(values(name)) > 1]
        if twice:
            raise ValidationError({name: [TWICE] for name in twice})
        return data


class Viewed(Query):
    """How a report is shown."""

    batch = _number(fields.Integer, Between(1, MAX_BATCH), "Examples at once, for costs; 1 if not given.")
    input_shape = _text(
        "Sizes of the input without the batch axis, for costs where the file has none; several inputs by ;.",
        examples=["224,224,3", "128;128,64"],
    )
    rules = _text(
        "Rules whose findings are shown: a,b (these), -a,-b (all but these), all, none.",
        examples=["bias_before_normalization,zero_weights", "-untied_embeddings"],
    )
    stats = _flag("Read the values of all weights, and add what they show.")


class ShowQuery(Viewed):
    """GET /v1/analyses/{id}."""

    wait = _number(fields.Float, Between(0, MAX_WAIT), WAIT)


class CreateQuery(ShowQuery):
    """POST /v1/analyses."""

    filename = fields.String(metadata={"description": "Name of a raw body; data only."})


class ListQuery(Query):
    """GET /v1/analyses."""

    state = fields.String(validate=OneOf(STATES), metadata={"description": "Only those in this state."})
    format = _text("Only those of this format.", most=100)
    name = _text("Only those of this name.", most=1024)
    sha256 = _text("Only those of a file with this hash.", Shaped(r"^[0-9a-fA-F]{64}\Z"))
    limit = _number(fields.Integer, Between(1, MAX_PAGE), "Analyses on a page.", load_default=50)
    cursor = _text("As given by links.next.", Shaped(ID))


class ReportQuery(ShowQuery):
    """GET /v1/analyses/{id}/report."""

    format = _text(f"{', '.join(REPORT_FORMATS)}; wins over Accept.", most=100)
    level = fields.String(validate=OneOf(LEVELS), metadata={"description": "What a diagram shows: blocks or layers."})


class LayerQuery(ShowQuery):
    """GET /v1/analyses/{id}/layers/{path}."""


class CatalogueQuery(Query):
    """GET /v1/kinds, /v1/kinds/{kind} and /v1/formats."""


class ComparisonQuery(Query):
    """GET /v1/comparisons/{id}."""

    wait = _number(fields.Float, Between(0, MAX_WAIT), WAIT)
    format = _text(f"{', '.join(COMPARISON_FORMATS)}; wins over Accept.", most=100)


class CompareQuery(Query):
    """POST /v1/comparisons."""

    wait = _number(fields.Float, Between(0, MAX_WAIT), WAIT)
    values = _flag("Compare the numbers too.")


class CompareBody(Schema):
    """The body of POST /v1/comparisons as JSON."""

    error_messages: Any = {"unknown": UNKNOWN, "type": msg("It is not a JSON object.")}  # noqa: RUF012 - as marshmallow has it

    left = _id("Id of the left analysis.")
    right = _id("Id of the right analysis.")
    values = Flag(
        error_messages=FLAG_MESSAGES, metadata={"description": "Compare the numbers too; false if not given."}
    )
