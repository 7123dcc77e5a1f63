"""What a weight's values show, as it is documented and checked; mirrors `service.measured`."""

from __future__ import annotations

from marshmallow import Schema

from schemas.shorthand import choice, integer, sentence

STATUSES = ("complete", "partial", "unavailable")


class WeightStatisticsSchema(Schema):
    """What was seen in all values of one weight."""

    status = choice("Whether all values were read.", STATUSES)
    reason = sentence("Why not.", null=True)
    count = integer("Values read.", null=True)
