"""The values of two uploads side by side, for a comparison; knows neither format."""

from __future__ import annotations

from dataclasses import dataclass

from service.values.base import Values


@dataclass(frozen=True, slots=True)
class PairOfValues:
    """What a comparison reads numbers from."""

    left: Values
    right: Values
