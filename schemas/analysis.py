"""An analysis, a page of them, and a problem: what comes back beside the report itself."""

from __future__ import annotations

from marshmallow import INCLUDE, Schema, fields

from schemas.kinds import KindInfoSchema
from schemas.report import FindingSchema, LayerSchema, ReportSchema
from schemas.shorthand import boolean, choice, integer, json_object, nested, nested_list, number, string, strings

STATES = ("queued", "running", "succeeded", "failed", "cancelled")


class ProblemSchema(Schema):
    """RFC 9457. Fields that say nothing are left out; a code may bring further ones, such as `limit` and `maximum`."""

    class Meta:
        """Extension members are part of the format."""

        unknown = INCLUDE

    type = string("URN of the code.")
    title = string("The code in words.")
    status = integer("The HTTP status.")
    detail = string("What is wrong, in a sentence.")
    code = string("Stable identifier.")
    request_id = string("As in X-Request-Id and in the log.")
    instance = string("The resource it happened to.")
    member = string("Archive member, file of the upload or HDF5 path where it broke.")
    offset = integer("Byte offset where it broke.")
    pointer = string("The field of the spec or request that is at fault.")
    hint = string("What to do.")
    analysis = json_object("The analysis that failed: id, state, links.")


for _name in ("instance", "member", "offset", "pointer", "hint", "analysis"):
    ProblemSchema._declared_fields[_name].required = False  # noqa: SLF001


class FileSchema(Schema):
    """One uploaded file."""

    name = string("Relative name as sent, normalised.")
    bytes = integer("Size.")
    blake3 = string("BLAKE3, hex.")
    sha256 = string("SHA-256, hex; null until it is computed.", null=True)


class LinksSchema(Schema):
    """Where to go on."""

    self = string("The analysis.")
    report = fields.String(metadata={"description": "Its report, once there is one; not there until then."})


class OptionsSchema(Schema):
    """What was asked of an analysis beyond the structure."""

    stats = boolean("Whether the values of all weights are read for statistics.")


class AnalysisSchema(Schema):
    """One analysis."""

    id = string("Its id; later ones sort behind.")
    state = choice("Its state; nothing changes after succeeded, failed and cancelled.", STATES)
    created_at = string("RFC 3339, UTC.")
    finished_at = string("RFC 3339, UTC.", null=True)
    name = string("Name of the file, or of what several files have in common.")
    bytes = integer("Size of the upload.")
    sha256 = string("SHA-256 of a single file.", null=True)
    blake3 = string("BLAKE3 of a single file.", null=True)
    files = nested_list(FileSchema, "All files of the upload.")
    format = string("What it was read as, once known.", null=True)
    framework = string("keras, torch, onnx ..., once known.", null=True)
    cached = boolean("Whether it was answered from the stored report of the same bytes.")
    account = string("Whose it is; null where no key was needed.", null=True)
    options = nested(OptionsSchema, "What was asked beyond the structure.")
    progress = number("Share of the values that is read, 0 to 1, while statistics are made; else null.", null=True)
    links = nested(LinksSchema, "Where to go on.")
    report = nested(ReportSchema, "The report of a succeeded analysis; null in listings.", null=True)
    error = nested(ProblemSchema, "The problem of a failed analysis.", null=True)


class PageLinksSchema(Schema):
    """Where the next page is."""

    next = string("Address of the next page; null on the last.", null=True)


class PageSchema(Schema):
    """A page of analyses, newest first. Their reports are left out."""

    items = nested_list(AnalysisSchema, "The analyses.")
    links = nested(PageLinksSchema, "Where the next page is.")


class FormatSchema(Schema):
    """One format that is read."""

    id = string("What report.model.format says.")
    framework = string("Of the models in it: keras, torch, onnx ...; several in words: keras or torch.")
    title = string("For people.")
    extensions = strings("Usual endings; content decides, never the name.")
    reads = string("What is read from it.")
    leaves = string("What is not, and why.")
    priority = integer("Readers are asked in ascending order.")


class FormatsSchema(Schema):
    """All formats."""

    items = nested_list(FormatSchema, "In the order in which readers are asked.")


class LayerLinksSchema(Schema):
    """Where to go on from a layer."""

    self = string("The layer.")
    analysis = string("The analysis it belongs to.")
    report = string("The report it is part of.")


class LayerAnswerSchema(Schema):
    """One layer with everything that is known of it."""

    analysis = string("Id of the analysis.")
    layer = nested(LayerSchema, "The layer.")
    findings = nested_list(FindingSchema, "What was found about it.")
    kind = nested(KindInfoSchema, "What layers of its kind are; null if the catalogue has none.", null=True)
    block = string("Name of the block that holds it; null if none does.", null=True)
    blocks = strings("Names of the blocks around it, outermost first.")
    links = nested(LayerLinksSchema, "Where to go on.")


class KindsSchema(Schema):
    """The catalogue of layer kinds."""

    items = nested_list(KindInfoSchema, "All kinds, in the order of the vocabulary.")
