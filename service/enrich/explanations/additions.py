"""What a layer of any kind may have beside its own weights: low-rank pairs, scales of quantisation, split kernels.

Knows roles and the names that libraries give to such weights; each addition has a sum and sentences of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from service.enrich.explanations import lora, quantization, reparametrization
from service.enrich.explanations.addition import Addition
from service.tree import Layer

_FINDERS: tuple[Callable[[Layer, str], Addition | None], ...] = (
    lora.addition,
    quantization.addition,
    reparametrization.addition,
)


def additions_of(layer: Layer, framework: str) -> tuple[Addition, ...]:
    """The additions that a layer has."""
    return tuple([addition for find in _FINDERS if (addition := find(layer, framework)) is not None])
