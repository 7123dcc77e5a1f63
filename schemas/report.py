"""The report, field by field, as it is documented and checked; mirrors `service.tree`, and a test holds them together.

Every field is always present; what is not known is null.
"""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.blocks import BlockSchema
from schemas.costs import LayerCostSchema, ModelCostSchema
from schemas.measured import WeightStatisticsSchema
from schemas.shorthand import (
    STATUSES,
    boolean,
    choice,
    integer,
    integers,
    json_object,
    mapping,
    nested,
    nested_list,
    number,
    sentence,
    sentences,
    shape,
    shapes,
    string,
    strings,
)

GROUPS = ("trainable", "frozen", "statistic", "unknown", "optimizer", "ema", "other")
SOURCES = ("recorded", "rule", "unknown")
SEVERITIES = ("critical", "high", "medium", "low", "info")


class LocationSchema(Schema):
    """Where a weight's bytes lie in the upload."""

    member = string("Archive member or file of the upload; null for the file itself.", null=True)
    offset = integer("First byte, within the member if there is one.", null=True)
    length = integer("Number of bytes.", null=True)
    strides = integers("Steps in elements along each axis where they are not those of C order.", null=True)


class WeightSchema(Schema):
    """One stored or declared array of a layer."""

    name = string("The framework's own local name: kernel, moving_mean; weight, running_mean.")
    role = string("What it is, in one vocabulary for all frameworks: kernel, bias, scale, moving_mean ...")
    shape = shape("Logical sizes; [] for a scalar; null if the file does not tell.", null=True)
    dtype = string("float32, bfloat16, int8 ...", null=True)
    count = integer("Logical number of elements.", null=True)
    group = choice("How it learns, or what else it belongs to.", GROUPS)
    trainable = boolean("Whether gradient descent updates it as the model stands; null if unknown.", null=True)
    trainable_source = choice("Why: the file records it, it follows by rule, or nobody can tell.", SOURCES)
    stored_as = string("The full key in the file; null for a spec.", null=True)
    stored_count = integer("Elements as stored, where packing makes it differ from count.", null=True)
    bytes = integer("Stored size in bytes.", null=True)
    layout = string("Order of the axes in words of the field: HWIO, OIHW, in-out, out-in.", null=True)
    tied_to = string("The first weight that owns the same storage.", null=True)
    persistent = boolean("false for a PyTorch buffer that state_dict() leaves out.", null=True)
    location = nested(LocationSchema, "Where its bytes lie.", null=True)
    statistics = nested(WeightStatisticsSchema, "What its values show; null unless stats=true.", null=True)


class TermSchema(Schema):
    """One factor or summand of a formula."""

    symbol = string("As it stands in the formula.")
    meaning = sentence("What it counts.")
    value = integer("Its value.")


class PartSchema(Schema):
    """A share of a layer's count."""

    group = choice("How these weights learn.", GROUPS)
    names = strings("Which weights.")
    count = integer("Elements together.")


class ExplanationSchema(Schema):
    """Why a layer has as many weights as it has."""

    formula = string("Arithmetic that ends in = total.")
    text = sentence("The same in a sentence, for a person who meets this layer for the first time.")
    expert = sentence("For one who knows it: what the options do to the count, what the other framework counts.")
    terms = nested_list(TermSchema, "What the symbols mean.")
    parts = nested_list(PartSchema, "How the total splits.")
    total = integer("Elements in all.")
    status = choice("Whether everything it needs is known.", STATUSES)
    reference = string("Paper or documentation.", null=True)


class CountsSchema(Schema):
    """Elements of one layer's own weights by group; null where a weight's size is unknown."""

    parameters = integer("trainable + frozen + unknown.", null=True)
    trainable = integer("Learn by gradient.", null=True)
    frozen = integer("Parameters whose gradient is switched off.", null=True)
    statistics = integer("Never learn by gradient; counted beside the parameters.", null=True)
    unknown = integer("The file does not say whether they are trainable.", null=True)  # type: ignore[assignment]  # a column, not the option


class LayerSchema(Schema):
    """One layer or module."""

    path = string("Unique in the model. Keras: names joined by /; PyTorch: the dotted module path.")
    name = string("The last step of the path.")
    kind = string("What it is, in one vocabulary for all frameworks.")
    type = string("The framework's own class.", null=True)
    type_source = choice("recorded, or concluded from the weights by rule.", SOURCES)
    module = string("Python module of the class, as recorded.", null=True)
    parent = string("Path of the layer that contains it.", null=True)
    custom = boolean("Whether the class belongs to neither framework.")
    config = json_object("Hyper-parameters as stored.")
    trainable = boolean("The layer's own switch as recorded.", null=True)
    input_shapes = shapes("One per input; null in a shape is an axis that is not fixed.", null=True)
    output_shapes = shapes("One per output.", null=True)
    inputs = strings("Paths of the layers that feed it; null if the file has no graph.", null=True)
    shared_with = string("Path of the first occurrence of a layer that occurs again; its weights are there.", null=True)
    uses = integer("How often it is called in the graph.", null=True)
    weights = nested_list(WeightSchema, "Its own weights.")
    counts = nested(CountsSchema, "Elements of its own weights.", null=True)
    explanation = nested(ExplanationSchema, "Why it has as many.", null=True)
    cost = nested(LayerCostSchema, "What one call of it costs.", null=True)
    like = string(
        "Path of the first layer with the same explanation and cost, which are null here. Only in reports of more than "
        "20,000 layers, which say it once; /v1/analyses/{id}/layers/{path} has them for every layer.", null=True,
    )  # fmt: skip
    notes = sentences("What is partial or ambiguous, and why.")


class StateSchema(Schema):
    """What a checkpoint holds beside the model."""

    name = string("The key it is stored under.")
    group = choice("What it is.", ("optimizer", "ema", "scheduler", "other"))
    type = string("Its class, as recorded.", null=True)
    config = json_object("Its plain values.")
    weights = nested_list(WeightSchema, "Its arrays.")


class BytesSchema(Schema):
    """Stored sizes in bytes; null where a weight's size is unknown."""

    total = integer("Of everything.", null=True)
    trainable = integer("Of trainable parameters.", null=True)
    frozen = integer("Of frozen parameters.", null=True)
    statistics = integer("Of statistics.", null=True)
    unknown = integer("Of parameters of which the file does not say whether they are trainable.", null=True)  # type: ignore[assignment]  # a column, not the option
    optimizer = integer("Of optimizer slots.", null=True)
    ema = integer("Of averaged copies.", null=True)
    other = integer("Of everything else.", null=True)
    by_dtype = mapping("Bytes by dtype.", fields.Integer(strict=True))
    inference = integer("Of the layers' weights alone: what the file would weigh without states.", null=True)


class TotalsSchema(Schema):
    """Elements by group, each tied or shared weight once."""

    parameters = integer("trainable + frozen + unknown.", null=True)
    trainable = integer("Learn by gradient.", null=True)
    frozen = integer("Parameters whose gradient is switched off.", null=True)
    statistics = integer("Never learn by gradient: moving means, counters. Keras calls them non-trainable.", null=True)
    unknown = integer("The file does not say whether they are trainable.", null=True)  # type: ignore[assignment]  # a column, not the option
    optimizer = integer("Belong to the optimizer.", null=True)
    ema = integer("Averaged copies of parameters.", null=True)
    other = integer("Tensors that belong to none of these.", null=True)
    parameters_with_repeats = integer("parameters, each tied weight as often as it occurs.", null=True)
    bytes = nested(BytesSchema, "The same in stored bytes.")
    status = choice("Whether all of it is known.", STATUSES)
    reason = sentence("Why not, where it is not.", null=True)


class ToolCountSchema(Schema):
    """What a well-known tool prints for this model."""

    tool = string("The tool.")
    label = string("What it calls the number.")
    value = integer("The number.", null=True)
    status = choice("Whether it can be known from this file.", STATUSES)
    note = sentence("Why it differs.", null=True)


class DangerSchema(Schema):
    """Something that could run code or reach outside when a framework loads the file. It was not executed."""

    code = string("Stable identifier.")
    severity = choice("How bad it is if the file is loaded without care.", SEVERITIES)
    what = sentence("One sentence.")
    path = string("Layer or object, where it has one.", null=True)
    member = string("Archive member.", null=True)
    offset = integer("Byte offset.", null=True)
    detail = string("The thing itself, shortened and escaped.", null=True)
    reference = string("CVE or documentation.", null=True)


class FindingSchema(Schema):
    """Something worth knowing about the model."""

    rule = string("Stable identifier.")
    severity = choice("How much it matters.", SEVERITIES)
    what = sentence("One sentence.")
    why = sentence("Why it matters.", null=True)
    action = sentence("What to do.", null=True)
    path = string("The layer.", null=True)
    reference = string("Paper or documentation.", null=True)


class RuleRunSchema(Schema):
    """One rule of findings, and whether it looked at this model."""

    rule = string("Stable identifier.")
    ran = boolean("Whether it looked.")
    reason = sentence("Why not.", null=True)


class ModelInfoSchema(Schema):
    """What the file is."""

    format = string("As listed by /v1/formats; `several` for models of more than one.")
    framework = string("keras, torch, tensorflow, jax, onnx, tflite, ggml ...; `several`, or `unknown`.")
    name = string("The model's name.", null=True)
    type = string("The model's class.", null=True)
    format_version = string("Version of the format.", null=True)
    framework_version = string("Version of the framework that wrote it.", null=True)
    producer = string("What wrote it.", null=True)
    members = strings("Members of an archive, or the files of the upload.")
    tags = json_object("What else the file says about itself.")
    sha256 = string("SHA-256 of a single file; null until computed: for large files, soon after the answer.", null=True)
    blake3 = string("BLAKE3 of a single file.", null=True)
    bytes = integer("Size of the upload.", null=True)


class ComponentSchema(Schema):
    """One of several models in an upload."""

    path = string("The file or folder it is in; its layers are inside the layer of this path.")
    format = string("As listed by /v1/formats; null where it could not be read.", null=True)
    framework = string("As in `model`.", null=True)
    name = string("The model's name.", null=True)
    type = string("The model's class.", null=True)
    layers = integer("How many layers it has.")
    complete = boolean("As in the report.")
    totals = nested(TotalsSchema, "Its own elements and bytes by group.", null=True)
    counted_as = nested_list(ToolCountSchema, "What well-known tools print for it.")
    code = string("Code of the error that kept it from being read.", null=True)
    problem = sentence("That error.", null=True)


class ConfinementSchema(Schema):
    """Which layers of the wall stood while the upload was read."""

    confined = boolean("Whether all that the installation demands stood.")
    layers = mapping("Each layer.", fields.Boolean())


class ProvenanceSchema(Schema):
    """How the answer came about."""

    reader = string("Which reader.")
    method = choice("Read statically, or built by the framework from a spec.", ("static", "framework"))
    version = string("Version of the service.")
    seconds = number("Time taken by the reading or building process.")
    bytes_read = integer("Bytes of the upload that were read.", null=True)
    confinement = nested(ConfinementSchema, "The wall.")
    framework_version = string("Version of the framework that built it.", null=True)
    peak_memory_bytes = integer("Most memory held.", null=True)


class ReportSchema(Schema):
    """The answer."""

    schema_version = string("Version of this schema.")
    model = nested(ModelInfoSchema, "What the file is.")
    complete = boolean("false where the upload left out what the answer needs; notes say what.")
    layers = nested_list(LayerSchema, "Execution order where the file has one, else storage order. Parents first.")
    totals = nested(TotalsSchema, "Elements and bytes by group.")
    counted_as = nested_list(ToolCountSchema, "What well-known tools print for the same model.")
    states = nested_list(StateSchema, "What is stored beside the model.")
    security = nested_list(DangerSchema, "What in the file could run code. Never executed.")
    findings = nested_list(FindingSchema, "What is worth knowing.")
    notes = sentences("What is partial or ambiguous, and why.")
    blocks = nested_list(BlockSchema, "The layers as a person groups them; equal blocks folded into one.")
    cost = nested(ModelCostSchema, "What running the model costs.", null=True)
    rules = nested_list(RuleRunSchema, "Which rules of findings ran.")
    models = nested_list(ComponentSchema, "The models in it, where the upload holds several; else empty.")
    provenance = nested(ProvenanceSchema, "How the answer came about.")
