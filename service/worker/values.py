"""What the kind `values` has beyond the readers; the one module through which NumPy comes into a warm process."""

from __future__ import annotations

from service.values.base import Values
from service.values.measure import measure
from service.values.opening import open_values
from service.values.pair import PairOfValues

__all__ = ["measure", "open_values", "pair"]


def pair(left: Values, right: Values) -> PairOfValues:
    """What a comparison reads numbers from."""
    return PairOfValues(left, right)
