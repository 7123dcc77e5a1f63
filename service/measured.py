"""The types of what a weight's values show; knows neither where values lie nor how they are measured."""

from __future__ import annotations

from service.basis import Frozen, Status
from service.language import Message


class WeightStatistics(Frozen, frozen=True, kw_only=True):
    """What was seen in all values of one weight. Floats that are not finite are None.

    `status` is not complete where values could not be read; `reason` says why.
    """

    status: Status
    reason: Message | None = None
    count: int | None = None
