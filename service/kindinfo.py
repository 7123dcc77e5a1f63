"""The type of an entry of the catalogue of kinds: what layers of a kind hold and why; readable without a model.

Knows no framework's code and no file; `service.enrich.kinds` fills it.
"""

from __future__ import annotations

from service.basis import Frozen, Group
from service.language import Message
from service.tree import Part, Term


class KindClasses(Frozen, frozen=True, kw_only=True):
    """The classes of a framework that are of this kind, in alphabetical order."""

    framework: str
    names: tuple[str, ...]


class KindWeight(Frozen, frozen=True, kw_only=True):
    """A weight that layers of this kind have.

    Attributes:
        framework: keras or torch.
        name: The framework's own local name.
        role: As in a report.
        shape: Sizes in symbols, in the framework's own axis order: `[inputs, units]`.
        group: How it learns as long as nothing is frozen.
        meaning: What it is.
        when: The option that brings it; None where it is always there.
    """

    framework: str
    name: str
    role: str
    shape: str
    group: Group
    meaning: Message
    when: Message | None = None


class KindFormula(Frozen, frozen=True, kw_only=True):
    """What a framework counts, in symbols: `inputs × units + units`."""

    framework: str
    formula: str


class KindTerm(Frozen, frozen=True, kw_only=True):
    """A symbol of the formulas and shapes."""

    symbol: str
    meaning: Message


class KindOption(Frozen, frozen=True, kw_only=True):
    """An option of the layer and what it does to the count; `changes` is False for one that only seems to."""

    framework: str
    name: str
    changes: bool
    effect: Message


class KindExample(Frozen, frozen=True, kw_only=True):
    """A layer worked out by the code that explains real ones.

    Attributes:
        layer: The layer in the framework's own words: `Dense(64)`.
        formula, text, expert, terms, parts, total: As in the explanation of a report.
    """

    framework: str
    layer: str
    formula: str
    text: Message
    expert: Message
    terms: tuple[Term, ...]
    parts: tuple[Part, ...]
    total: int


class KindInfo(Frozen, frozen=True, kw_only=True):
    """What there is to know of a kind of layer.

    Attributes:
        kind: The word that reports use.
        title: Its name for a person.
        summary: What such a layer does.
        has_weights: Whether layers of this kind can have weights of their own.
        notes: What its weights depend on, where no table can say it.
    """

    kind: str
    title: Message
    summary: Message
    has_weights: bool
    classes: tuple[KindClasses, ...] = ()
    weights: tuple[KindWeight, ...] = ()
    formulas: tuple[KindFormula, ...] = ()
    terms: tuple[KindTerm, ...] = ()
    options: tuple[KindOption, ...] = ()
    differences: tuple[Message, ...] = ()
    examples: tuple[KindExample, ...] = ()
    references: tuple[str, ...] = ()
    notes: tuple[Message, ...] = ()
