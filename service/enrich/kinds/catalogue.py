"""The catalogue of kinds, put together once: titles, classes, weights, formulas, options, examples, references.

Knows where each of these is written down; the families of kinds are one file each.
"""

from __future__ import annotations

import functools

from service.catalog.keras_classes import KIND_OF_CLASS
from service.catalog.torch_layers import KINDS as TORCH_KIND_OF_CLASS
from service.enrich.explanations.references import PAPERS, page
from service.enrich.kinds import attention, convolution, dense, normalization, others, recurrent
from service.enrich.kinds.entry import Entry
from service.enrich.kinds.titles import TITLES
from service.kindinfo import KindClasses, KindInfo
from service.language import Message, msg
from service.vocabulary import KINDS

_FAMILIES = (dense, convolution, normalization, recurrent, attention, others)
_FRAMEWORKS = ("keras", "torch")


@functools.cache
def kinds() -> tuple[KindInfo, ...]:
    """All kinds, in the order of the vocabulary."""
    entries = {name: entry for family in _FAMILIES for name, entry in family.entries().items()}
    return tuple(_info(name, entries.get(name)) for name in KINDS)


def kind(name: str) -> KindInfo | None:
    """One kind by its name, None for a word that is none."""
    return next((info for info in kinds() if info.kind == name), None)


def _info(name: str, entry: Entry | None) -> KindInfo:
    held = entry or Entry(
        notes=(msg("Layers of this kind have no weights of their own, so they add nothing to the count."),)
    )
    pages = (page(name, framework) for framework in _FRAMEWORKS)
    return KindInfo(
        kind=name,
        title=Message(TITLES[name]),
        summary=Message(KINDS[name]),
        has_weights=entry is not None and entry.has_weights,
        classes=_classes(name),
        weights=held.weights,
        formulas=held.formulas,
        terms=held.terms,
        options=held.options,
        differences=held.differences,
        examples=held.examples,
        references=tuple(found for found in (PAPERS.get(name), *pages) if found),
        notes=held.notes,
    )


def _classes(name: str) -> tuple[KindClasses, ...]:
    known = zip(_FRAMEWORKS, (KIND_OF_CLASS, TORCH_KIND_OF_CLASS), strict=True)
    found = ((framework, sorted(one for one, of in table.items() if of == name)) for framework, table in known)
    return tuple(KindClasses(framework=framework, names=tuple(names)) for framework, names in found if names)
