"""The type of an addition: weights beside those that make a layer what it is, with their sum and sentences."""

from __future__ import annotations

from service.enrich.explanations.recipe import Sum
from service.language import Message
from service.tree import Frozen, Weight


class Addition(Frozen, frozen=True, kw_only=True):
    """`weights` are those explained by `sums`; the sentences stand behind those of the layer's kind."""

    weights: tuple[Weight, ...]
    sums: tuple[Sum, ...]
    text: Message
    expert: Message
    reference: str | None = None
