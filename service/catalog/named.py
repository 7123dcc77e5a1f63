"""Named arrays without classes into layers: the tree from names, kinds and roles by rule, packing, ties, anatomy.

What safetensors, GGUF, NumPy archives, Flax and Paddle files and pickled dictionaries have in common: names, shapes and
element types, and nothing that says what a layer is. Knows names, shapes and conventions; must not know any file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.catalog.anatomy import split
from service.catalog.named_again import with_repeats
from service.catalog.named_arrays import Stored
from service.catalog.named_layers import Layouts, layers_of_tree
from service.catalog.named_repeats import Repeats, repeats_of
from service.catalog.named_states import states_of
from service.catalog.named_tree import tree_of
from service.catalog.named_weights import Ledger
from service.catalog.packing_schemes import scheme_of
from service.config import Limits
from service.language import Message
from service.tree import Finding, Layer, State

__all__ = ["Named", "Stored", "describe"]


@dataclass(frozen=True, slots=True)
class Named:
    """What a set of named arrays is: layers of the model, what is stored beside it, and what there is to say."""

    layers: tuple[Layer, ...]
    states: tuple[State, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[Message, ...] = field(default=())


def describe(
    arrays: Sequence[Stored],
    limits: Limits,
    *,
    quantization: Mapping[str, Any] | None = None,
    separator: str = ".",
    layouts: Layouts = "torch",
) -> Named:
    """Layers and states of `arrays`, in their order.

    Args:
        arrays: All arrays of one model or checkpoint.
        limits: Of this analysis.
        quantization: `quantization_config` of the model's configuration, where there is one.
        separator: Between the steps of a layer's path in the answer; names come with dots. A dot, where a name has it.
        layouts: Whose axis orders arrays called `weight` have. An array called `kernel` has Flax' in any case.

    Raises:
        LimitExceeded: More weights or layers than one analysis may describe.
    """
    if separator != "." and any(separator in one.name for one in arrays):
        separator = "."
    ledger = Ledger(limits)
    found = split(arrays)
    scheme = scheme_of(quantization)
    repeats = repeats_of(found.model) if separator == "." and not scheme.overrides else Repeats(found.model)
    nodes = tree_of(repeats.own, limits)
    layers, notes = layers_of_tree(nodes, ledger, scheme, layouts=layouts, separator=separator)
    if repeats.again:
        layers = with_repeats(layers, nodes, repeats, ledger, limits)
    return Named(tuple(layers), states_of(found, ledger, separator), notes=tuple(notes))
