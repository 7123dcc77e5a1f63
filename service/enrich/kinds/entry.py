"""Short ways to write a kind down; knows how an example is worked out, no kind."""

from __future__ import annotations

from typing import Any

from service.enrich.explain import explained
from service.kindinfo import KindExample, KindFormula, KindOption, KindTerm, KindWeight
from service.language import Message
from service.tree import Frozen, Group, Layer, Weight, element_count
from service.vocabulary import ROLES

Held = tuple[str, str, tuple[int, ...], str | None]
"""Name, role, shape and layout of a weight of an example."""

_NEVER_LEARNED = frozenset({"moving_mean", "moving_variance", "num_batches_tracked", "mean", "variance", "count",
                            "quant_scale", "zero_point", "spectral_vector"})  # fmt: skip


class Entry(Frozen, frozen=True, kw_only=True):
    """What is written down of a kind; title, classes and references are found elsewhere."""

    weights: tuple[KindWeight, ...] = ()
    formulas: tuple[KindFormula, ...] = ()
    terms: tuple[KindTerm, ...] = ()
    options: tuple[KindOption, ...] = ()
    differences: tuple[Message, ...] = ()
    examples: tuple[KindExample, ...] = ()
    notes: tuple[Message, ...] = ()
    has_weights: bool = True


def weight(framework: str, name: str, role: str, shape: str, when: Message | None = None) -> KindWeight:
    """A weight; its group and meaning follow from its role."""
    return KindWeight(
        framework=framework,
        name=name,
        role=role,
        shape=shape,
        group=_group(role),
        meaning=Message(ROLES[role]),
        when=when,
    )


def _group(role: str) -> Group:
    return "statistic" if role in _NEVER_LEARNED else "trainable"


def formulas(keras: str | None, torch: str | None) -> tuple[KindFormula, ...]:
    """What each framework counts; None for one that has no such layer."""
    both = (("keras", keras), ("torch", torch))
    return tuple(KindFormula(framework=framework, formula=found) for framework, found in both if found)


def symbol(name: str, meaning: Message) -> KindTerm:
    """A symbol."""
    return KindTerm(symbol=name, meaning=meaning)


def option(framework: str, name: str, effect: Message) -> KindOption:
    """An option that changes the count."""
    return KindOption(framework=framework, name=name, changes=True, effect=effect)


def without_effect(framework: str, names: tuple[str, ...], reason: Message) -> tuple[KindOption, ...]:
    """Options that only seem to change the count."""
    return tuple(KindOption(framework=framework, name=name, changes=False, effect=reason) for name in names)


def example(
    framework: str, kind: str, layer: str, held: tuple[Held, ...], config: dict[str, Any] | None = None
) -> KindExample:
    """A layer worked out by the code that explains those of a file. `layer` is how the framework writes it."""
    beside_lora = any(role == "lora_a" for _, role, _, _ in held)
    made = Layer(
        path=kind,
        name=kind,
        kind=kind,
        type=layer.partition("(")[0],
        config=config or {},
        weights=tuple(_weight(*one, frozen=one[1] == "kernel" and beside_lora) for one in held),
    )
    found, contradicted = explained(made, framework)
    if found is None or found.status != "complete" or contradicted:
        raise ValueError(f"{layer} is no example of {kind}")
    return KindExample(
        framework=framework,
        layer=layer,
        formula=found.formula,
        text=found.text,
        expert=found.expert,
        terms=found.terms,
        parts=found.parts,
        total=found.total,
    )


def _weight(name: str, role: str, shape: tuple[int, ...], layout: str | None, *, frozen: bool) -> Weight:
    group = "frozen" if frozen else _group(role)
    return Weight(
        name=name,
        role=role,
        shape=shape,
        dtype="float32",
        count=element_count(shape),
        group=group,
        trainable=group == "trainable",
        trainable_source="rule",
        layout=layout,
    )
