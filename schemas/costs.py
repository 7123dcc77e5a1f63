"""What a model costs to run, as it is documented and checked; mirrors `service.costs`."""

from __future__ import annotations

from marshmallow import Schema, fields

from schemas.shorthand import (
    STATUSES,
    choice,
    integer,
    mapping,
    nested,
    nested_list,
    sentence,
    sentences,
    shape,
    shapes,
    string,
)


class QuantitySchema(Schema):
    """One number, and how far it can be trusted."""

    value = integer("The number.", null=True)
    status = choice("Whether it is known.", STATUSES)
    method = sentence("How it was found.", null=True)
    assumptions = sentences("What was assumed.")


class ExtentsSchema(Schema):
    """One number per spatial axis, in positions of the model's input."""

    value = shape("One per axis.", null=True)
    status = choice("Whether it is known.", STATUSES)
    method = sentence("How it was found.", null=True)
    assumptions = sentences("What was assumed.")


class ByDtypeSchema(Schema):
    """Bytes per dtype."""

    value = mapping("Bytes by dtype.", fields.Integer(strict=True), null=True)
    status = choice("Whether it is known.", STATUSES)
    method = sentence("How it was found.", null=True)
    assumptions = sentences("What was assumed.")


class LayerCostSchema(Schema):
    """What one call of one layer costs."""

    macs = nested(QuantitySchema, "Multiplications that are added up.")
    flops = nested(QuantitySchema, "Floating-point operations; a multiply and an add are two.")
    activation_elements = nested(QuantitySchema, "Elements of its outputs.")
    activation_bytes = nested(QuantitySchema, "Bytes of its outputs.")
    parameter_bytes = nested(ByDtypeSchema, "Bytes of its weights.")
    receptive_field = nested(ExtentsSchema, "Input positions that one output position sees.", null=True)
    stride = nested(ExtentsSchema, "Input positions from one output position to the next.", null=True)
    calls = integer("How often the model calls the layer for one batch.")


class MemorySchema(Schema):
    """Bytes needed to serve or to train in one way."""

    scenario = string("serve, train_sgd, train_adam, train_adam_mixed ...")
    title = sentence("The same in words.")
    bytes = nested(QuantitySchema, "Bytes in all.")
    parts = mapping("Bytes by what they hold.", fields.Integer(strict=True))


class ModelCostSchema(Schema):
    """Totals over the layers."""

    batch = integer("Examples at once.")
    input_shapes = shapes("Input sizes that were assumed, batch axis left out.", null=True)
    macs = nested(QuantitySchema, "Multiplications that are added up.")
    flops = nested(QuantitySchema, "Floating-point operations.")
    activation_elements = nested(QuantitySchema, "Elements of all outputs.")
    activation_bytes = nested(QuantitySchema, "Bytes of all outputs.")
    parameter_bytes = nested(ByDtypeSchema, "Bytes of all weights.")
    memory = nested_list(MemorySchema, "Memory to serve and to train.")
    uncounted = integer("Layers whose MACs are not known and not in the totals.")
