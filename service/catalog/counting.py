"""What readers count while they describe a model: weights against the limit, and paths that must be unique.

Knows limits and names; must not know any format.
"""

from __future__ import annotations

from service.config import Limits
from service.errors import LimitExceeded
from service.language import msg


def check_weights(count: int, limits: Limits) -> None:
    """LimitExceeded for more weights than one analysis may describe."""
    if count > limits.weights:
        raise LimitExceeded(
            "weights",
            limits.weights,
            msg("The file holds more than {weights} tensors.", weights=limits.weights),
        )


class UniquePaths:
    """Hands out each path once; the next that would have it gets a number behind. Constant time each."""

    def __init__(self) -> None:
        self._taken: dict[str, int] = {}

    def of(self, path: str) -> str:
        """`path`, or `path_2`, `path_3` ... where other layers have it."""
        number = self._taken.get(path)
        if number is None:
            self._taken[path] = 1
            return path
        while True:
            number += 1
            candidate = f"{path}_{number}"
            if candidate not in self._taken:
                self._taken[path], self._taken[candidate] = number, 1
                return candidate
