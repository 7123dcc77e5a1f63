"""Why each layer's count is what it is; knows how to check a rule's formula, while the rules are one file each.

A rule (a module in `service/enrich/explanations/` with `KINDS` and `explain(layer, framework)`) answers with a
`Recipe`: sums of products whose values follow from the shapes in the file. The formula is evaluated here and must give
the number of elements that the framework counts; what it says of the layer's settings must be what the configuration
records. Where either fails, the layer gets the honest sum of its weights, or a partial explanation, and a finding.

What is explained is what the layer's own framework counts as the layer's parameters: in Keras all its weights, the
moving statistics too; in PyTorch its parameters, with the buffers named beside them.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType

import msgspec

from service.enrich import explanations
from service.enrich.explanations import lora
from service.enrich.explanations.addition import Addition
from service.enrich.explanations.additions import additions_of
from service.enrich.explanations.contradictions import (
    Contradiction,
    contradictions,
    mismatch,
    misrecorded,
    unassigned,
    with_rest,
)
from service.enrich.explanations.inner import unwrapped, wrapping
from service.enrich.explanations.recipe import Recipe, counted, evaluate, formula, parts, terms
from service.enrich.explanations.remarks import beside
from service.enrich.explanations.weight_sum import sum_of_weights
from service.enrich.likeness import Alike
from service.frameworks import conventions
from service.language import Message, msg, sentences
from service.tree import Explanation, Finding, Layer, Status, element_count

RULES = ("formula_mismatch", "config_mismatch")
"""The rules of the findings that explaining may bring."""


class Explaining:
    """Explains layers, those of a sort once, and keeps the findings where an explanation fails."""

    def __init__(self, framework: str, sorts: Alike) -> None:
        self._framework, self._sorts = framework, sorts
        self._known: dict[int, tuple[Explanation | None, list[Finding]]] = {}
        self._found: list[Finding] = []

    def of(self, at: int, layer: Layer) -> Explanation | None:
        """The explanation of the layer at this place, None without weights of known size."""
        if not layer.weights:
            return None
        number = self._sorts.numbers[at]
        known = self._known.get(number)
        if known is None:
            known = explained(layer, self._framework)
            if self._sorts.times[number] > 1:
                self._known[number] = known
        explanation, findings = known
        if findings:
            self._found.extend(msgspec.structs.replace(one, path=layer.path) for one in findings)
        return explanation

    def findings(self) -> list[Finding]:
        """What was found at all layers so far."""
        return with_rest(self._found)


def explained(layer: Layer, framework: str) -> tuple[Explanation | None, list[Finding]]:
    """One layer's explanation, None without weights of known size; and what contradicts it."""
    if not layer.weights or None in [weight.count for weight in layer.weights]:
        return None, []
    total = sum([weight.count or 0 for weight in counted(layer, framework)])
    recipe = _recipe(layer, framework)
    if recipe is None:
        honest = sum_of_weights(layer, framework)
        has_rule = layer.kind in expected_kinds() and not layer.custom and total > 0
        finding = unassigned(layer, framework) if has_rule else None
        return _explanation(honest, layer, framework, "partial" if has_rule else "complete"), [
            finding
        ] if finding else []
    if evaluate(recipe.sums) != total:
        honest = _honest(layer, framework, recipe)
        return _explanation(honest, layer, framework, "partial"), mismatch(layer, recipe, total)
    broken = contradictions(layer, recipe)
    status: Status = "complete" if recipe.certain and not broken else "partial"
    return _explanation(_doubted(recipe, broken), layer, framework, status), misrecorded(layer, broken)


@functools.cache
def rules() -> dict[str, ModuleType]:
    """The rule of each kind."""
    found: dict[str, ModuleType] = {}
    for entry in pkgutil.iter_modules(explanations.__path__):
        module = importlib.import_module(f"{explanations.__name__}.{entry.name}")
        found.update(dict.fromkeys(getattr(module, "KINDS", ()), module))
    return found


@functools.cache
def expected_kinds() -> frozenset[str]:
    """Kinds whose layers are expected to have a formula: all with a rule, but for packed parameters of any sort."""
    return frozenset(rules()) - {"quantization"}


def _recipe(layer: Layer, framework: str) -> Recipe | None:
    """The recipe of the layer's kind with its additions; None where no rule fits its weights."""
    if any(weight.count != element_count(weight.shape) for weight in layer.weights):
        return None
    ways = conventions(framework)
    adapter = lora.adapter(layer, ways)
    if adapter is not None:
        return adapter
    subject = unwrapped(layer, framework) or layer
    rule = rules().get(subject.kind)
    if rule is None:
        return None
    added = additions_of(subject, ways)
    if added:
        extra = {id(weight) for addition in added for weight in addition.weights}
        core = tuple(weight for weight in subject.weights if id(weight) not in extra)
        subject = msgspec.structs.replace(subject, weights=core)
    own: Recipe | None = rule.explain(subject, framework)
    return None if own is None else _joined(own, added, layer, lora.merged(layer) if framework == "keras" else None)


def _joined(own: Recipe, added: tuple[Addition, ...], layer: Layer, remark: Message | None) -> Recipe:
    """A kind's recipe, the additions' and a last remark for experts in one."""
    around = wrapping(layer)
    if not added and around is None and remark is None:
        return own
    references = dict.fromkeys([own.reference, *(addition.reference for addition in added)])
    return msgspec.structs.replace(
        own,
        sums=(*own.sums, *(part for addition in added for part in addition.sums)),
        text=_in_a_row(own.text, around, *(addition.text for addition in added)),
        expert=_in_a_row(own.expert, *(addition.expert for addition in added), remark),
        reference="; ".join(reference for reference in references if reference) or None,
    )


def _in_a_row(first: Message, *more: Message | None) -> Message:
    return sentences(first, *more) if any(more) else first


def _honest(layer: Layer, framework: str, recipe: Recipe) -> Recipe:
    """The sum of the weights, with a word on the formula that does not give it."""
    honest = sum_of_weights(layer, framework)
    doubt = msg("The formula of this kind of layer gives another count: {formula}.", formula=formula(recipe.sums))
    return msgspec.structs.replace(honest, text=sentences(honest.text, doubt), reference=recipe.reference)


def _doubted(recipe: Recipe, broken: list[Contradiction]) -> Recipe:
    if not broken:
        return recipe
    return msgspec.structs.replace(recipe, text=_in_a_row(recipe.text, *(one.what for one in broken)))


def _explanation(recipe: Recipe, layer: Layer, framework: str, status: Status) -> Explanation:
    total = evaluate(recipe.sums)
    return Explanation(
        formula=formula(recipe.sums),
        text=_in_a_row(recipe.text, beside(layer, framework, total)),
        expert=recipe.expert,
        terms=terms(recipe.sums),
        parts=parts(layer),
        total=total,
        status=status,
        reference=recipe.reference,
    )
